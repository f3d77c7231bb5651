//! Wire or radio.

use std::fs;
use std::path::Path;

use messnetz_metric::Medium;

use super::proc_net;

/// What the kernel says of an interface's hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hardware {
    kind: u16,
    address: Option<[u8; 6]>,
}

impl Hardware {
    pub(super) const fn new(kind: u16, address: Option<[u8; 6]>) -> Self {
        Self { kind, address }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Frames are Ethernet's; radios look like that, too.
    ethernet: bool,
    /// Whether `/sys` calls it a radio; `None` where `/sys` does not show this interface.
    in_sys: Option<bool>,
    /// Whether it is listed in `/proc/net/wireless`.
    in_proc: bool,
    /// Whether this kernel knows radios at all.
    radios: bool,
}

/// What the interface is made of; see [`decide`].
pub(super) fn of(name: &str, index: u32, hardware: Option<Hardware>) -> Medium {
    let directory = Path::new("/sys/class/net").join(name);
    let same = hardware.is_some_and(|hardware| {
        let text = |file| fs::read_to_string(directory.join(file)).unwrap_or_default();
        text("ifindex").trim() == index.to_string()
            && hardware.address.map(written) == Some(text("address").trim().to_owned())
    });
    let radio = || directory.join("phy80211").exists() || directory.join("wireless").exists();
    decide(Facts {
        ethernet: hardware.is_some_and(|h| h.kind == libc::ARPHRD_ETHER),
        in_sys: same.then(radio),
        in_proc: proc_net::read("wireless").is_ok_and(|text| proc_net::lists(&text, name)),
        radios: Path::new("/sys/class/ieee80211").exists(),
    })
}

/// 1. A radio is what either place calls one.
/// 2. What is not Ethernet (loopback, tunnels) is neither.
/// 3. Ethernet is a wire where `/sys` shows it as no radio, or where there cannot be radios.
/// 4. Else it is not known.
fn decide(facts: Facts) -> Medium {
    if facts.in_sys == Some(true) || facts.in_proc {
        Medium::Wlan
    } else if facts.ethernet && (facts.in_sys == Some(false) || !facts.radios) {
        Medium::Wired
    } else {
        Medium::Unknown
    }
}

fn written(address: [u8; 6]) -> String {
    address.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Facts = Facts {
        ethernet: true,
        in_sys: Some(false),
        in_proc: false,
        radios: true,
    };

    fn check(facts: Facts, expected: Medium) {
        assert_eq!(decide(facts), expected, "{facts:?}");
    }

    #[test]
    fn a_port_is_a_wire_and_a_radio_is_none() {
        check(PORT, Medium::Wired);
        let in_sys = Some(true);
        check(Facts { in_sys, ..PORT }, Medium::Wlan);
        let in_proc = true;
        check(Facts { in_proc, ..PORT }, Medium::Wlan);
    }

    #[test]
    fn what_sys_does_not_show_is_a_wire_only_where_no_radios_can_be() {
        let hidden = Facts {
            in_sys: None,
            ..PORT
        };
        check(hidden, Medium::Unknown);
        let radios = false;
        check(Facts { radios, ..hidden }, Medium::Wired);
    }

    #[test]
    fn a_tunnel_is_neither() {
        let ethernet = false;
        check(Facts { ethernet, ..PORT }, Medium::Unknown);
    }

    #[test]
    fn an_address_is_written_as_sys_writes_it() {
        assert_eq!(written([2, 0xfc, 0, 0, 0, 1]), "02:fc:00:00:00:01");
    }
}
