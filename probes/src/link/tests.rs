//! Real interfaces: loopback, and a pair of virtual ones in a namespace of its own.

use super::*;
use crate::netns::{in_own_namespace, ip};

#[test]
fn loopback_is_up_and_states_no_speed() {
    let state = read("lo").unwrap();
    assert_eq!(state.operation, Operation::Up);
    assert_eq!((state.speed, state.duplex), (None, None));
    assert_eq!(state.medium, Medium::Unknown);
    assert!(state.addresses.contains(&IpAddr::from([127, 0, 0, 1])));
    assert!(state.mtu > 1280 && state.index > 0);
    assert_ne!(
        state.readings(),
        [Reading::value(
            Quantity::LinkSpeed,
            Value::Rate(BitRate::from_bps(0))
        )]
    );
    assert!(interfaces().unwrap().contains(&"lo".to_owned()));
}

#[test]
fn an_interface_that_does_not_exist_is_a_failure() {
    for name in ["nosuch0", "an-interface-of-a-long-name", ""] {
        let failure = read(name).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Interface, "{failure}");
    }
}

#[test]
fn a_wire_is_followed_from_switched_off_to_up() {
    in_own_namespace(async || {
        ip("link add v0 mtu 1400 type veth peer name v1");
        assert_eq!(read("v0").unwrap().operation, Operation::Disabled);
        ip("link set v0 up");
        let without_peer = read("v0").unwrap();
        assert_eq!(without_peer.operation, Operation::Down);
        let failed = Reading::failed(
            QUANTITIES,
            &Failure::new(FailureReason::Interface, "interface v0: it has no carrier"),
        );
        assert_eq!(without_peer.readings(), failed);
        ip("link set v1 up");
        ip("addr add 10.99.0.1/24 dev v0");
        let up = read("v0").unwrap();
        assert_eq!(up.operation, Operation::Up);
        // What the veth driver of Linux states, whatever it carries.
        assert_eq!(up.speed, Some(BitRate::from_mbps(10_000.0)));
        assert_eq!(up.duplex, Some(Duplex::Full));
        assert_eq!(up.mtu, 1400);
        assert!(up.addresses.contains(&IpAddr::from([10, 99, 0, 1])));
        assert_eq!(interfaces().unwrap().len(), 3);
        assert_eq!(networks().unwrap(), ["10.99.0.1/24".parse().unwrap()]);
    });
}

#[test]
fn counters_are_those_of_this_namespace() {
    in_own_namespace(async || {
        assert_eq!(read("lo").unwrap().counters, Counters::default());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.send_to(&[0; 100], address).unwrap();
        let counters = read("lo").unwrap().counters;
        assert_eq!((counters.tx_packets, counters.tx_bytes), (1, 128));
    });
}

#[test]
fn the_default_routes_are_those_of_this_namespace() {
    in_own_namespace(async || {
        assert_eq!(default_route().unwrap(), DefaultRoute::default());
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        ip("link set v1 up");
        ip("addr add 10.99.0.1/24 dev v0");
        ip("addr add 2001:db8::1/64 dev v0 nodad");
        ip("route add default via 10.99.0.254 dev v0 metric 50");
        ip("route add default via 2001:db8::fe dev v0 metric 60");
        let found = default_route().unwrap();
        let route = |gateway: &str, metric| Route {
            interface: "v0".into(),
            gateway: Some(gateway.parse().unwrap()),
            metric,
        };
        assert_eq!(found.v4, Some(route("10.99.0.254", 50)));
        assert_eq!(found.v6, Some(route("2001:db8::fe", 60)));
    });
}

#[tokio::test]
async fn the_way_to_this_machine_is_its_loopback() {
    let interface = towards("127.0.0.1:9".parse().unwrap());
    assert_eq!(interface.as_deref(), Some("lo"));
}
