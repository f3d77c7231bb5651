//! The addresses of a sweep, numbered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use thiserror::Error;

/// Most addresses of one sweep: those of an IPv4 network with a prefix of 12 bits.
pub const MAX_TARGETS: usize = 1 << 20;

/// Addresses of one family in ascending order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    is_v4: bool,
    /// Not overlapping, ascending, none empty.
    ranges: Vec<Range>,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    first: u128,
    last: u128,
    /// The number of the first address.
    index: usize,
}

/// These networks cannot be swept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetsRefused {
    /// None.
    #[error("no network is named")]
    None,
    /// IPv4 and IPv6.
    #[error("IPv4 and IPv6 networks cannot be swept in one go; name them in two")]
    Mixed,
    /// Too many.
    #[error("{networks} have more than {MAX_TARGETS} addresses; sweep them in parts")]
    TooMany {
        /// Which.
        networks: String,
    },
}

impl Targets {
    /// The hosts of these networks: without the address of the network itself and the one of all its hosts
    /// where IPv4 has these (RFC 919; not in networks of one or two addresses, RFC 3021).
    ///
    /// # Errors
    /// Where there are none, too many, or of both families.
    pub fn of(networks: &[IpNetwork]) -> Result<Self, TargetsRefused> {
        let is_v4 = networks.first().ok_or(TargetsRefused::None)?.is_ipv4();
        if networks.iter().any(|network| network.is_ipv4() != is_v4) {
            return Err(TargetsRefused::Mixed);
        }
        let mut bounds: Vec<(u128, u128)> = networks.iter().map(bounds).collect();
        bounds.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(bounds.len());
        for (first, last) in bounds {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        let mut ranges = Vec::with_capacity(merged.len());
        let mut count = 0_usize;
        for (first, last) in merged {
            ranges.push(Range {
                first,
                last,
                index: count,
            });
            let more = usize::try_from(last - first).map_or(usize::MAX, |more| more);
            count = count.saturating_add(more).saturating_add(1);
            if count > MAX_TARGETS {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                return Err(TargetsRefused::TooMany {
                    networks: networks.join(", "),
                });
            }
        }
        Ok(Self {
            is_v4,
            ranges,
            count,
        })
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether they are IPv4 addresses.
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.is_v4
    }

    /// The address of a number, counted from 0.
    #[must_use]
    pub fn address(&self, index: usize) -> Option<IpAddr> {
        let at = self.ranges.partition_point(|range| range.index <= index);
        let range = self.ranges.get(at.checked_sub(1)?)?;
        let bits = range.first + (index - range.index) as u128;
        (bits <= range.last).then(|| {
            if self.is_v4 {
                IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        })
    }

    /// The number of an address.
    #[must_use]
    pub fn index_of(&self, address: IpAddr) -> Option<usize> {
        let bits = match address {
            IpAddr::V4(address) if self.is_v4 => address.to_bits().into(),
            IpAddr::V6(address) if !self.is_v4 => address.to_bits(),
            _ => return None,
        };
        let at = self.ranges.partition_point(|range| range.first <= bits);
        let range = self.ranges.get(at.checked_sub(1)?)?;
        (bits <= range.last).then(|| range.index + (bits - range.first) as usize)
    }
}

fn bounds(network: &IpNetwork) -> (u128, u128) {
    match network {
        IpNetwork::V4(network) => {
            let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
            if network.prefix() < 31 {
                (u128::from(first) + 1, u128::from(last) - 1)
            } else {
                (first.into(), last.into())
            }
        }
        IpNetwork::V6(network) => (network.network().to_bits(), network.broadcast().to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(networks: &[&str]) -> Result<Targets, TargetsRefused> {
        let networks: Vec<IpNetwork> = networks.iter().map(|one| one.parse().unwrap()).collect();
        Targets::of(&networks)
    }

    #[test]
    fn a_network_has_hosts_and_not_its_own_address_or_the_one_of_all() {
        for (networks, count) in [
            (&["10.0.0.0/24"][..], 254),
            (&["10.0.0.0/31"], 2),
            (&["10.0.0.7/32"], 1),
            (&["127.1.0.0/16", "127.2.0.0/30"], 65_536),
            (&["10.0.0.0/24", "10.0.0.128/25"], 254),
            (&["fd00::/112"], 65_536),
        ] {
            assert_eq!(of(networks).unwrap().count(), count, "{networks:?}");
        }
        let first = of(&["10.0.0.77/24"]).unwrap().address(0).unwrap();
        assert_eq!(first.to_string(), "10.0.0.1");
    }

    #[test]
    fn what_cannot_be_swept_is_said() {
        assert_eq!(of(&[]), Err(TargetsRefused::None));
        assert_eq!(
            of(&["10.0.0.0/24", "fd00::/120"]),
            Err(TargetsRefused::Mixed)
        );
        for too_many in [&["10.0.0.0/8"][..], &["::/0"], &["fd00::/64", "fd01::/64"]] {
            let refused = of(too_many).unwrap_err().to_string();
            assert!(refused.contains("more than 1048576 addresses"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_are_one_to_one(
            networks in prop::collection::vec((any::<u32>(), 22_u8..=32), 1..8),
        ) {
            let networks: Vec<IpNetwork> = networks
                .into_iter()
                .map(|(bits, prefix)| IpNetwork::new(Ipv4Addr::from_bits(bits).into(), prefix).unwrap())
                .collect();
            let targets = Targets::of(&networks).unwrap();
            let mut before = None;
            for index in 0..targets.count() {
                let address = targets.address(index).unwrap();
                prop_assert_eq!(targets.index_of(address), Some(index));
                prop_assert!(networks.iter().any(|network| network.contains(address)));
                prop_assert!(before < Some(address));
                before = Some(address);
            }
            prop_assert_eq!(targets.address(targets.count()), None);
        }
    }
}
