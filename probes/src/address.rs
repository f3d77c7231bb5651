//! What an address tells about the line: public or not, translated on the way or not, and whether the way
//! out is still the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::Ipv4Network;
use serde::Serialize;

/// Where an address means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everywhere.
    Public,
    /// Within one's own network (RFC 1918, RFC 4193).
    Private,
    /// Within the provider's network, who translates it (RFC 6598, 100.64.0.0/10).
    Carrier,
    /// On one link (RFC 3927, RFC 4291).
    Link,
    /// On this machine.
    Machine,
    /// Nowhere: reserved, for documentation, for groups.
    None,
}

/// The scope of an address, after the registries of special addresses (RFC 6890).
#[must_use]
pub fn scope(address: IpAddr) -> Scope {
    match address.to_canonical() {
        IpAddr::V4(v4) => scope_v4(v4),
        IpAddr::V6(v6) => scope_v6(v6),
    }
}

fn scope_v4(address: Ipv4Addr) -> Scope {
    const CARRIER: (Ipv4Addr, u8) = (Ipv4Addr::new(100, 64, 0, 0), 10);
    let carrier = Ipv4Network::new(CARRIER.0, CARRIER.1);
    match address {
        _ if address.is_loopback() => Scope::Machine,
        _ if address.is_private() => Scope::Private,
        _ if carrier.is_ok_and(|network| network.contains(address)) => Scope::Carrier,
        _ if address.is_link_local() => Scope::Link,
        _ if address.octets()[0] == 0
            || address.octets()[0] >= 224
            || address.is_documentation() =>
        {
            Scope::None
        }
        _ => Scope::Public,
    }
}

fn scope_v6(address: Ipv6Addr) -> Scope {
    let [first, second, ..] = address.segments();
    match address {
        _ if address.is_loopback() => Scope::Machine,
        _ if address.is_unique_local() => Scope::Private,
        _ if address.is_unicast_link_local() => Scope::Link,
        // RFC 3849.
        _ if (first, second) == (0x2001, 0x0db8) => Scope::None,
        // All that is given out so far (RFC 3513, section 2.5.4).
        _ if first & 0xe000 == 0x2000 => Scope::Public,
        _ => Scope::None,
    }
}

/// Whether the addresses of a line are translated on the way (NAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Translation {
    /// The far end sees an address of this machine.
    None,
    /// It sees another one: the router translates.
    Router,
    /// The provider translates, too, or alone: nobody outside can call this line.
    Carrier,
    /// The far end has not told.
    Unknown,
}

/// How a machine's addresses are translated, given the one that the far end `seen`. An address of the
/// provider's own range on the way out is proof of the provider's translation; a private one is of somebody's.
#[must_use]
pub fn translation(own: &[IpAddr], seen: Option<IpAddr>) -> Translation {
    let is_carriers = |address: &IpAddr| scope(*address) == Scope::Carrier;
    if own.iter().any(is_carriers) {
        return Translation::Carrier;
    }
    match seen.map(|seen| seen.to_canonical()) {
        None => Translation::Unknown,
        Some(seen) if own.contains(&seen) => Translation::None,
        Some(seen) if is_carriers(&seen) => Translation::Carrier,
        Some(_) => Translation::Router,
    }
}

/// The way out of a site at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WayOut {
    /// The router that the default route leads to.
    pub gateway: Option<IpAddr>,
    /// The address that the far end sees.
    pub public: Option<IpAddr>,
}

/// How a way out differs from an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Another router: the site has failed over to a second line, or back.
    Gateway,
    /// The same router, but another address from outside: its line has changed, or the line's address.
    PublicAddress,
}

/// The part of a public address that belongs to the line. A host changes the lower half of an IPv6 address every
/// day by itself (RFC 8981); that is no other line.
fn of_line(public: IpAddr) -> IpAddr {
    match public {
        IpAddr::V4(_) => public,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Whether the way out has changed. What was not known then or is not known now has not changed: an
/// address that nobody told is no other line.
#[must_use]
pub fn changed(before: &WayOut, now: &WayOut) -> Option<Change> {
    let differ = |before: Option<IpAddr>, now: Option<IpAddr>| matches!((before, now), (Some(before), Some(now)) if before != now);
    if differ(before.gateway, now.gateway) {
        Some(Change::Gateway)
    } else if differ(before.public.map(of_line), now.public.map(of_line)) {
        Some(Change::PublicAddress)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_range_has_its_scope() {
        for (address, expected) in [
            ("127.0.0.1", Scope::Machine),
            ("10.20.0.1", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("172.32.0.0", Scope::Public),
            ("192.168.178.1", Scope::Private),
            ("100.63.255.255", Scope::Public),
            ("100.64.0.0", Scope::Carrier),
            ("100.127.255.255", Scope::Carrier),
            ("100.128.0.0", Scope::Public),
            ("169.254.1.1", Scope::Link),
            ("192.0.2.1", Scope::None),
            ("0.0.0.0", Scope::None),
            ("224.0.0.1", Scope::None),
            ("9.9.9.9", Scope::Public),
            ("::1", Scope::Machine),
            ("::ffff:10.0.0.1", Scope::Private),
            ("fd00::1", Scope::Private),
            ("fe80::1", Scope::Link),
            ("2001:db8::1", Scope::None),
            ("2620:fe::fe", Scope::Public),
            ("ff02::1", Scope::None),
        ] {
            assert_eq!(scope(ip(address)), expected, "{address}");
        }
    }

    #[test]
    fn translation_follows_from_what_the_far_end_sees() {
        for (own, seen, expected) in [
            ("9.9.9.9", Some("9.9.9.9"), Translation::None),
            ("10.0.0.5", Some("9.9.9.9"), Translation::Router),
            ("100.64.3.4", Some("9.9.9.9"), Translation::Carrier),
            ("100.64.3.4", None, Translation::Carrier),
            ("10.0.0.5", Some("100.64.3.4"), Translation::Carrier),
            ("10.0.0.5", None, Translation::Unknown),
            ("2620:fe::fe", Some("2620:fe::fe"), Translation::None),
        ] {
            assert_eq!(translation(&[ip(own)], seen.map(ip)), expected, "{own}");
        }
    }

    #[test]
    fn another_router_or_another_address_is_another_way_out() {
        let way = |gateway: Option<&str>, public: Option<&str>| WayOut {
            gateway: gateway.map(ip),
            public: public.map(ip),
        };
        let cable = way(Some("10.0.0.1"), Some("9.9.9.9"));
        for (now, expected) in [
            (cable, None),
            (
                way(Some("10.0.0.2"), Some("9.9.9.9")),
                Some(Change::Gateway),
            ),
            (
                way(Some("10.0.0.1"), Some("9.9.9.10")),
                Some(Change::PublicAddress),
            ),
            (way(Some("10.0.0.1"), None), None),
            (way(None, None), None),
        ] {
            assert_eq!(changed(&cable, &now), expected);
        }
        let v6 = |public| way(Some("fe80::1"), Some(public));
        let (morning, evening) = (v6("2620:fe::1"), v6("2620:fe::2"));
        assert_eq!(changed(&morning, &evening), None);
        let other = v6("2620:ff::1");
        assert_eq!(changed(&morning, &other), Some(Change::PublicAddress));
    }
}
