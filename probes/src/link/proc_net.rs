//! The tables in `/proc/thread-self/net` (proc(5)), which show the calling thread's own network
//! namespace.

use serde::Serialize;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A table is read up to this size; a routing table with more than some ten thousand routes is cut off.
const LARGEST_TABLE: u64 = 4 * 1024 * 1024;

/// Flags of a route (`linux/route.h`).
const RTF_UP: u32 = 0x0001;
const RTF_GATEWAY: u32 = 0x0002;
const RTF_REJECT: u32 = 0x0200;

/// What an interface has carried since it was made. A counter that became smaller was restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets received with errors.
    pub rx_errors: u64,
    /// Packets received and dropped for want of room.
    pub rx_drops: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that could not be sent for an error.
    pub tx_errors: u64,
    /// Packets dropped before they were sent.
    pub tx_drops: u64,
}

/// A route to everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Through this interface.
    pub interface: String,
    /// Over this router; `None` where the interface itself leads everywhere, as with PPP.
    pub gateway: Option<IpAddr>,
    /// Its cost: of several, the smallest is taken.
    pub metric: u32,
}

/// The text of one table.
pub(super) fn read(table: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(format!("/proc/thread-self/net/{table}"))?
        .take(LARGEST_TABLE)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The counters of `interface` in the text of `dev`.
pub(super) fn counters(dev: &str, interface: &str) -> Option<Counters> {
    let numbers = dev
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == interface)
        .map(|(_, numbers)| numbers)?;
    let numbers: Vec<u64> = numbers
        .split_ascii_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let [rx, tx] = [numbers.get(..8)?, numbers.get(8..16)?];
    Some(Counters {
        rx_bytes: rx[0],
        rx_packets: rx[1],
        rx_errors: rx[2],
        rx_drops: rx[3],
        tx_bytes: tx[0],
        tx_packets: tx[1],
        tx_errors: tx[2],
        tx_drops: tx[3],
    })
}

/// Whether the text of `dev` or `wireless` has a line for `interface`.
pub(super) fn lists(table: &str, interface: &str) -> bool {
    table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, _)| name.trim() == interface)
}

/// The default route in the text of `route`.
pub(super) fn default_route_v4(route: &str) -> Option<Route> {
    cheapest(route.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [
            interface,
            destination,
            gateway,
            flags,
            _,
            _,
            metric,
            mask,
            ..,
        ] = fields[..]
        else {
            return None;
        };
        let everywhere = hex(destination)? == 0 && hex(mask)? == 0;
        let flags = hex(flags)?;
        // The kernel prints the address as the number that its bytes are in memory.
        let address = IpAddr::V4(Ipv4Addr::from(hex(gateway)?.to_ne_bytes()));
        (everywhere && leads_on(flags)).then_some(Route {
            interface: interface.to_owned(),
            gateway: (flags & RTF_GATEWAY != 0).then_some(address),
            metric: metric.parse().ok()?,
        })
    }))
}

/// The default route in the text of `ipv6_route`.
pub(super) fn default_route_v6(ipv6_route: &str) -> Option<Route> {
    cheapest(ipv6_route.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [
            destination,
            prefix,
            _,
            _,
            gateway,
            metric,
            _,
            _,
            flags,
            interface,
        ] = fields[..]
        else {
            return None;
        };
        let address = |text| u128::from_str_radix(text, 16).ok();
        let everywhere = address(destination)? == 0 && hex(prefix)? == 0;
        let flags = hex(flags)?;
        let router = IpAddr::V6(Ipv6Addr::from(address(gateway)?));
        (everywhere && leads_on(flags)).then_some(Route {
            interface: interface.to_owned(),
            gateway: (flags & RTF_GATEWAY != 0).then_some(router),
            metric: hex(metric)?,
        })
    }))
}

/// Whether a route is in use and not one of those that forbid.
const fn leads_on(flags: u32) -> bool {
    flags & RTF_UP != 0 && flags & RTF_REJECT == 0
}

/// The first of the routes with the smallest metric.
fn cheapest(routes: impl Iterator<Item = Route>) -> Option<Route> {
    routes.min_by_key(|route| route.metric)
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0:18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
";

    #[test]
    fn counters_are_found_where_the_name_touches_the_first_number() {
        let expected = Counters {
            rx_bytes: u64::MAX,
            rx_packets: 2,
            rx_errors: 3,
            rx_drops: 4,
            tx_bytes: 9,
            tx_packets: 10,
            tx_errors: 11,
            tx_drops: 12,
        };
        assert_eq!(counters(DEV, "eth0"), Some(expected));
        assert_eq!(counters(DEV, "eth"), None);
        assert_eq!(counters("eth0: 1 2 3", "eth0"), None);
        assert!(lists(DEV, "lo") && !lists(DEV, "wlan0"));
    }

    /// The kernel of a little-endian machine wrote this.
    #[cfg(target_endian = "little")]
    #[test]
    fn the_cheapest_default_route_is_taken() {
        const ROUTE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\tFE000A0A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t00000000\t01000A0A\t0002\t0\t0\t0\t00000000\t0\t0\t0
*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0
eth0\t00000A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";
        let expected = Route {
            interface: "eth0".into(),
            gateway: Some(IpAddr::from([10, 10, 0, 254])),
            metric: 100,
        };
        assert_eq!(default_route_v4(ROUTE), Some(expected));
    }

    #[test]
    fn a_dialled_line_has_no_gateway() {
        let ppp = "ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0";
        let route = default_route_v4(ppp).unwrap();
        assert_eq!((route.interface.as_str(), route.gateway), ("ppp0", None));
        assert_eq!(default_route_v4(""), None);
    }

    #[test]
    fn the_ipv6_route_that_forbids_is_no_way() {
        const ROUTE: &str = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
        let expected = Route {
            interface: "eth0".into(),
            gateway: Some("fe80::1".parse().unwrap()),
            metric: 1024,
        };
        assert_eq!(default_route_v6(ROUTE), Some(expected));
        assert_eq!(default_route_v6("x y"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9a-f]{0,33}[ \t:\n]{1,2}){0,40}") {
            let _ = (default_route_v4(&text), default_route_v6(&text), counters(&text, "a"));
        }
    }
}
