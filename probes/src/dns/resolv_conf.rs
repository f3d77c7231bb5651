//! Which resolvers this system asks: resolv.conf(5).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use messnetz_metric::{Failure, FailureReason};

use crate::failure::from_io;

const PATH: &str = "/etc/resolv.conf";

/// The port of DNS (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The system resolver asks no more than the first three (`MAXNS`, resolv.conf(5)).
const MOST_SERVERS: usize = 3;

/// The largest file that is read: a real one has some hundred bytes.
const LARGEST_FILE: u64 = 64 * 1024;

/// The resolvers in `/etc/resolv.conf`, in the order in which they are asked.
///
/// Where the file is missing or names none, that is the resolver on this host, as resolv.conf(5) has it.
///
/// # Errors
/// Where the file exists but cannot be read.
pub fn system_resolvers() -> Result<Vec<SocketAddr>, Failure> {
    use io::Read;
    let mut text = Vec::new();
    match std::fs::File::open(PATH) {
        Ok(file) => {
            file.take(LARGEST_FILE)
                .read_to_end(&mut text)
                .map_err(|e| from_io(format_args!("reading {PATH}"), &e))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let detail = format_args!("reading {PATH}: {error}");
            return Err(Failure::new(FailureReason::Permission, detail));
        }
        Err(error) => return Err(from_io(format_args!("reading {PATH}"), &error)),
    }
    let interface = |name: &str| nix::net::if_::if_nametoindex(name).ok();
    Ok(parse(&String::from_utf8_lossy(&text), interface))
}

/// The resolvers that the text of a resolv.conf names. Lines that are not understood are passed over, as
/// the system resolver does; `interface` gives the index of an interface's name in an IPv6 scope.
fn parse(text: &str, interface: impl Fn(&str) -> Option<u32>) -> Vec<SocketAddr> {
    let mut servers: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then_some(words.next()?)
        })
        .filter_map(|address| server(address, &interface))
        .take(MOST_SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
    }
    servers
}

/// An address, or an IPv6 address with its scope: `fe80::1%eth0` (RFC 4007, section 11).
fn server(address: &str, interface: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let Some((address, scope)) = address.split_once('%') else {
        return Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, PORT));
    };
    let scope = scope.parse().ok().or_else(|| interface(scope))?;
    let address = address.parse::<Ipv6Addr>().ok()?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eth0(name: &str) -> Option<u32> {
        (name == "eth0").then_some(2)
    }

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = parse(text, eth0).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn servers_are_found_in_their_order() {
        check(
            "# by hand\n; too\nsearch schule.example\nnameserver 10.0.0.1\n\
             nameserver\t2001:db8::53  # the second\noptions edns0\n",
            &["10.0.0.1:53", "[2001:db8::53]:53"],
        );
    }

    #[test]
    fn a_link_local_server_keeps_its_scope() {
        check(
            "nameserver fe80::1%eth0\nnameserver fe80::2%7\nnameserver fe80::3%gone0",
            &["[fe80::1%2]:53", "[fe80::2%7]:53"],
        );
    }

    #[test]
    fn the_fourth_server_is_never_asked() {
        check(
            "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
            &["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"],
        );
    }

    #[test]
    fn without_a_server_this_host_is_asked() {
        check("", &["127.0.0.1:53"]);
        check(
            "nameserver\nnameserver x\n#nameserver 10.0.0.1",
            &["127.0.0.1:53"],
        );
    }

    #[test]
    fn this_system_has_a_resolver() {
        assert!(!system_resolvers().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(nameserver [0-9a-f:.%]{0,20}|.{0,30}\n){0,5}") {
            prop_assert!((1..=3).contains(&parse(&text, eth0).len()));
        }
    }
}
