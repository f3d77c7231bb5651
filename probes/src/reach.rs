//! Which addresses a probe may speak to. Names are no part of it: what a name leads to is asked for when a probe
//! begins, and the address that came is what is held against this.

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;
use messnetz_metric::{Failure, FailureReason};

use crate::address::{Scope, scope};

/// Whom a probe may speak to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Everybody: whoever started the program named the target.
    #[default]
    Anywhere,
    /// Some addresses only.
    Within(Within),
}

/// A part of all addresses. Without anything it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Public addresses, except for those of `inside`.
    pub public: bool,
    /// Networks that are no part of the outside, even where their addresses are public.
    pub inside: Vec<IpNetwork>,
    /// Further networks, whatever their addresses are.
    pub networks: Vec<IpNetwork>,
}

impl Within {
    fn includes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let lies_in = |networks: &[IpNetwork]| networks.iter().any(|one| one.contains(address));
        lies_in(&self.networks)
            || (self.public && scope(address) == Scope::Public && !lies_in(&self.inside))
    }
}

impl Reach {
    /// Whether an address lies within.
    #[must_use]
    pub fn includes(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Within(within) => within.includes(address),
        }
    }

    /// Those of a target's addresses that lie within, in their order.
    ///
    /// # Errors
    /// [`FailureReason::Permission`] where none of them does.
    pub fn admitted(
        &self,
        target: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut outside = None;
        let within = |address: &SocketAddr| {
            let includes = self.includes(address.ip());
            if !includes {
                outside = Some(address.ip());
            }
            includes
        };
        let admitted: Vec<SocketAddr> = addresses.into_iter().filter(within).collect();
        match outside {
            Some(outside) if admitted.is_empty() => Err(Failure::new(
                FailureReason::Permission,
                format_args!(
                    "{target} leads to {outside}, which the limits of this agent do not let it speak to"
                ),
            )),
            _ => Ok(admitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside() -> Reach {
        Reach::Within(Within {
            public: true,
            inside: vec![
                "2620:fe:1::/48".parse().unwrap(),
                "9.9.9.0/24".parse().unwrap(),
            ],
            networks: vec!["10.20.0.0/16".parse().unwrap()],
        })
    }

    #[test]
    fn the_outside_is_public_and_not_of_the_own_networks() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("9.9.9.9", false),
            ("10.20.3.4", true),
            ("::ffff:10.20.3.4", true),
            ("10.21.0.1", false),
            ("::ffff:192.168.1.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("64:ff9b::a00:1", false),
            ("2620:fe::fe", true),
            ("2620:fe:1:7::1", false),
        ] {
            assert_eq!(
                outside().includes(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn of_a_name_with_addresses_inside_and_outside_only_the_outside_is_spoken_to() {
        let addresses = |text: &[&str]| -> Vec<SocketAddr> {
            text.iter().map(|one| one.parse().unwrap()).collect()
        };
        let mixed = addresses(&["192.168.1.1:80", "1.1.1.1:80"]);
        let admitted = outside().admitted("rebound.example", mixed).unwrap();
        assert_eq!(admitted, addresses(&["1.1.1.1:80"]));
        let inside = addresses(&["192.168.1.1:80"]);
        let refused = outside().admitted("rebound.example", inside).unwrap_err();
        assert_eq!(refused.reason, FailureReason::Permission);
        assert!(
            refused
                .detail
                .starts_with("rebound.example leads to 192.168.1.1"),
            "{refused}"
        );
        assert!(
            outside()
                .admitted("nowhere.example", [])
                .unwrap()
                .is_empty()
        );
    }
}
