//! Real packets on loopback.

use std::net::SocketAddr;

use super::super::codec::{Reflected, TWAMP_LENGTH, Test};
use super::*;
use crate::Binding;
use messnetz_metric::{Direction, FailureReason};

fn session(reflector: SocketAddr) -> Session {
    Session {
        reflector,
        binding: Binding::any(),
        count: 50,
        interval: Duration::from_millis(2),
        timeout: Duration::from_secs(5),
        key: None,
    }
}

/// A reflector on a port of its own, at work until the test ends.
async fn reflector(address: &str) -> SocketAddr {
    reflector_with(address, None).await
}

async fn reflector_with(address: &str, key: Option<Key>) -> SocketAddr {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(reflect(socket, Limits::default(), key, |_| true));
    address
}

#[tokio::test]
async fn a_session_with_a_key_loses_nothing_and_one_with_another_key_is_not_answered() {
    let key = Key::new(b"the schools' key").unwrap();
    let reflector = reflector_with("127.0.0.1", Some(key.clone())).await;
    let session = Session {
        key: Some(key),
        ..session(reflector)
    };
    let report = measure(&session).await.unwrap();
    assert_eq!((report.lost_up, report.lost_down), (0, 0), "{report:?}");
    for other in [None, Key::new(b"somebody's, else").ok()] {
        let failure = measure(&Session {
            key: other,
            count: 3,
            timeout: Duration::from_millis(100),
            ..session.clone()
        })
        .await
        .unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout, "{failure}");
    }
}

#[tokio::test]
async fn loopback_loses_nothing_either_way() {
    for address in ["127.0.0.1", "::1"] {
        let session = session(reflector(address).await);
        let report = measure(&session).await.unwrap();
        assert_eq!((report.lost_up, report.lost_down), (0, 0), "{report:?}");
        assert!(report.sent > 50 && report.duplicates == 0, "{report:?}");
        assert!(
            report.rtt.is_some() && report.jitter.is_some(),
            "{report:?}"
        );
        assert_eq!(report.loss(Direction::Down).unwrap().as_ppm(), 0);
        assert_eq!(report.readings().len(), super::super::QUANTITIES.len());
    }
}

/// A host with several addresses must answer from the one it was asked at: on loopback, whose preferred
/// address is 127.0.0.1, 127.0.0.2 stands for another one.
#[tokio::test]
async fn a_reflector_on_all_addresses_answers_from_the_one_that_was_asked() {
    for (wildcard, asked) in [
        ("0.0.0.0", "127.0.0.2"),
        ("::", "::1"),
        // An IPv4 sender at a dual-stack socket.
        ("::", "127.0.0.2"),
    ] {
        let port = reflector(wildcard).await.port();
        let asked = SocketAddr::new(asked.parse().unwrap(), port);
        let report = measure(&session(asked)).await.unwrap();
        assert_eq!((report.lost_up, report.lost_down), (0, 0), "{report:?}");
    }
}

#[tokio::test]
async fn sessions_at_the_same_time_are_counted_apart() {
    let session = session(reflector("127.0.0.1").await);
    let (one, two, three) = tokio::join!(measure(&session), measure(&session), measure(&session));
    for report in [one, two, three] {
        let report = report.unwrap();
        assert_eq!((report.lost_up, report.lost_down), (0, 0), "{report:?}");
    }
}

/// A real reflector behind a relay that swallows every fourth packet up and every sixth down.
#[tokio::test]
async fn losses_on_real_sockets_are_split_exactly() {
    let behind = reflector("127.0.0.1").await;
    let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = front.local_addr().unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    back.connect(behind).await.unwrap();
    tokio::spawn(async move {
        let (mut up, mut down, mut client) = (0_u32, 0_u32, None);
        let (mut from_front, mut from_back) = ([0; 2048], [0; 2048]);
        loop {
            tokio::select! {
                Ok((n, peer)) = front.recv_from(&mut from_front) => {
                    client = Some(peer);
                    up += 1;
                    if up % 4 != 2 {
                        back.send(&from_front[..n]).await.unwrap();
                    }
                }
                Ok(n) = back.recv(&mut from_back) => {
                    down += 1;
                    if let Some(peer) = client && down % 6 != 3 {
                        front.send_to(&from_back[..n], peer).await.unwrap();
                    }
                }
            }
        }
    });
    let report = measure(&session(address)).await.unwrap();
    // Numbers from 1: packets 2, 6, 10 ... of `sent` are swallowed, replies 3, 9, 15 ... of `reflected`.
    assert_eq!(report.lost_up, (report.sent + 2) / 4, "{report:?}");
    assert_eq!(report.lost_down, (report.reflected + 3) / 6, "{report:?}");
    assert_eq!(
        report.received + report.lost_down,
        report.reflected,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_refused() {
    // It holds the port, and hears one other port only: what anybody else sends there is refused.
    let held = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    held.connect("127.0.0.1:9").await.unwrap();
    let address = held.local_addr().unwrap();
    let failure = measure(&Session {
        count: 3,
        timeout: Duration::from_millis(100),
        ..session(address)
    })
    .await
    .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused, "{failure}");
}

#[tokio::test]
async fn a_silent_peer_is_a_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let failure = measure(&Session {
        count: 3,
        timeout: Duration::from_millis(100),
        ..session(silent.local_addr().unwrap())
    })
    .await
    .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Timeout, "{failure}");
}

#[tokio::test]
async fn the_reflector_tells_the_ttl_and_ignores_short_packets() {
    for address in ["127.0.0.1", "::1"] {
        let reflector = reflector(address).await;
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        socket.connect(reflector).await.unwrap();
        let socket2 = SockRef::from(&socket);
        if reflector.is_ipv4() {
            socket2.set_ttl_v4(42).unwrap();
        } else {
            socket2.set_unicast_hops_v6(42).unwrap();
        }
        let test = Test {
            sequence: 9,
            sent: Timestamp(1),
            error: super::super::codec::ErrorEstimate::OURS,
            ssid: Ssid(3),
        };
        let packet = test.encode(None);
        let packet = packet.octets();
        socket.send(&packet[..TWAMP_LENGTH - 1]).await.unwrap();
        socket.send(packet).await.unwrap();
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).await.unwrap();
        let reply = Reflected::decode(&buffer[..length], None).unwrap();
        // The first reply is the first of the session: the short packet was not counted either.
        assert_eq!((reply.sequence, reply.ttl), (0, 42));
        assert_eq!(reply.test, test);
        assert!(
            reply
                .sent
                .since(reply.received, reply.error.format())
                .is_some()
        );
    }
}
