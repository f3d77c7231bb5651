//! Real packets on loopback; both kinds of socket.

use super::*;
use crate::Binding;
use crate::netns::in_own_namespace;
use crate::stamps::Stamps;

fn burst(target: &str) -> Echo {
    Echo {
        target: target.parse().unwrap(),
        binding: Binding::any(),
        count: 20,
        interval: Duration::from_millis(2),
        timeout: Duration::from_secs(5),
        payload: 56,
    }
}

/// Has the kernel stamp arrivals for as long as the socket lives, and waits until it does: how soon
/// after the first request it begins is left to a work queue, and the machine may be busy.
async fn stamps_are_on() -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    socket::stamp_arrival(&socket).unwrap();
    loop {
        socket.send(b"?").unwrap();
        let arrival = socket::receive(socket.as_raw_fd(), &mut [0]).unwrap();
        if arrival.stamp.is_some() {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn all_answered(echo: &Echo) {
    let _stamping = stamps_are_on().await;
    let report = measure(echo).await.unwrap();
    assert_eq!(
        (report.sent, report.received, report.unreachable),
        (20, 20, 0),
        "{report:?}"
    );
    assert_eq!((report.duplicates, report.own_drops), (0, 0), "{report:?}");
    assert_eq!(report.stamps, Stamps::Kernel, "{report:?}");
    assert_eq!(report.loss().unwrap().as_ppm(), 0);
    let rtt = report.rtt.unwrap();
    assert!(
        rtt.min.as_micros() > 0,
        "kernel stamps have nanoseconds: {rtt:?}"
    );
    assert_eq!(report.readings().len(), super::super::QUANTITIES.len());
}

fn with_ping_groups(range: &'static str, test: impl AsyncFnOnce() + Send + 'static) {
    in_own_namespace(async move || {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).unwrap();
        test().await;
    });
}

#[test]
fn a_datagram_socket_measures_both_versions() {
    with_ping_groups("0 2147483647", async || {
        let (_, form) = Form::open(Version::V4, "test").unwrap();
        assert!(!form.raw);
        all_answered(&burst("127.0.0.1")).await;
        all_answered(&burst("::1")).await;
    });
}

#[test]
fn a_raw_socket_measures_both_versions() {
    with_ping_groups("1 0", async || {
        let (_, form) = Form::open(Version::V4, "test").unwrap();
        assert!(form.raw);
        all_answered(&burst("127.0.0.1")).await;
        all_answered(&burst("::1")).await;
    });
}

#[test]
fn bursts_at_the_same_time_do_not_take_each_others_replies() {
    with_ping_groups("1 0", async || {
        let echo = burst("127.0.0.1");
        tokio::join!(
            all_answered(&echo),
            all_answered(&echo),
            all_answered(&echo)
        );
    });
}

#[test]
fn a_burst_without_payload_and_one_with_a_large_one_are_answered() {
    with_ping_groups("1 0", async || {
        for payload in [0, 3, 8000] {
            all_answered(&Echo {
                payload,
                ..burst("127.0.0.1")
            })
            .await;
        }
    });
}

#[test]
fn the_interface_is_looked_out_from() {
    with_ping_groups("1 0", async || {
        let mut echo = burst("127.0.0.1");
        echo.binding = Binding::interface("lo");
        all_answered(&echo).await;
        echo.binding = Binding::interface("nosuch0");
        let failure = measure(&echo).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Interface);
    });
}

#[test]
fn no_route_is_a_failure_and_not_a_loss() {
    with_ping_groups("1 0", async || {
        let failure = measure(&burst("192.0.2.1")).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Unreachable);
    });
}

/// Gives this namespace an Ethernet where nobody answers address resolution.
fn silent_ethernet() {
    for line in [
        "link add v0 type veth peer name v1",
        "link set v1 up",
        "link set v0 up",
        "addr add 10.99.0.1/24 dev v0",
    ] {
        crate::netns::ip(line);
    }
    std::fs::write("/proc/sys/net/ipv4/neigh/v0/retrans_time_ms", "50").unwrap();
}

#[test]
fn an_icmp_error_makes_it_unreachable_instead_of_lost() {
    for groups in ["1 0", "0 2147483647"] {
        with_ping_groups(groups, async || {
            silent_ethernet();
            let report = measure(&burst("10.99.0.2")).await.unwrap();
            assert_eq!(report.received, 0);
            assert!(report.unreachable > 0, "{report:?}");
            let readings = report.readings();
            let messnetz_metric::Outcome::Failed(failure) = &readings[0].outcome else {
                panic!("nobody answered, yet there is a round trip: {readings:?}");
            };
            assert_eq!(failure.reason, FailureReason::Unreachable);
            assert_eq!(report.loss().unwrap().as_ppm(), 1_000_000);
        });
    }
}

#[test]
fn silence_is_a_loss_of_100_percent_within_the_deadline() {
    with_ping_groups("1 0", async || {
        std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
        let report = measure(&Echo {
            timeout: Duration::from_millis(100),
            ..burst("127.0.0.1")
        })
        .await
        .unwrap();
        assert_eq!((report.sent, report.received), (20, 0));
        assert_eq!(report.loss().unwrap().as_ppm(), 1_000_000);
    });
}

#[test]
fn without_rights_the_failure_names_what_is_missing() {
    with_ping_groups("1 0", async || {
        // Only this thread gives up its rights; it ends with the test.
        drop_capabilities();
        let failure = measure(&burst("127.0.0.1")).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Permission);
        assert!(failure.detail.contains("CAP_NET_RAW"), "{failure}");
        assert!(failure.detail.contains("ping_group_range"), "{failure}");
    });
}

/// A change of the user id from root clears the effective capabilities (capabilities(7)). The system
/// call, unlike the function of the C library, changes the calling thread only.
#[allow(unsafe_code)]
fn drop_capabilities() {
    // SAFETY: setresuid takes three numbers and touches no memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
    assert_eq!(result, 0);
}

#[test]
fn up_is_told_from_down() {
    with_ping_groups("1 0", async || {
        let (any, second) = (Binding::any(), Duration::from_secs(5));
        for target in ["127.0.0.1", "::1"] {
            let up = super::super::is_up(target.parse().unwrap(), &any, second);
            assert!(up.await.unwrap(), "{target}");
        }
        let unroutable = super::super::is_up("192.0.2.1".parse().unwrap(), &any, second);
        assert!(!unroutable.await.unwrap());
        std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
        let short = Duration::from_millis(100);
        let silent = super::super::is_up("127.0.0.1".parse().unwrap(), &any, short);
        assert!(!silent.await.unwrap());
    });
}
