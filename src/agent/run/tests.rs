//! What an agent does in its turns, and what it lets go.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::wire::{Budget, Burst, Peer, Probe, PublicKey, Receipt};
use messnetz_metric::{Direction, Metric, Outcome, Quantity, Segment, UnixMillis, Vantage};
use ring::signature::Ed25519KeyPair;

fn agent() -> (tempfile::TempDir, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDirectory::new(folder.path());
    let spool = Spool::open(&state.spool_file(), UnixMillis(1)).unwrap();
    (folder, Agent::new(state, spool).unwrap())
}

fn nothing_to_do() -> Schedule {
    Schedule {
        upload_every_ms: 1,
        budgets: Vec::new(),
        tasks: Vec::new(),
    }
}

/// A schedule of one task that is due at once, and then not for an hour.
fn at_once(probe: Probe) -> Schedule {
    let every_ms = 3_600_000;
    Schedule {
        upload_every_ms: 1_000,
        budgets: Vec::new(),
        tasks: vec![Task {
            every_ms,
            phase_ms: (now_ms() + 200) % every_ms,
            interface: None,
            probe,
        }],
    }
}

/// Waits until something is in the spool, and gives it.
async fn kept(agent: &Agent) -> String {
    loop {
        let sealer = Sealer {
            key: &agent.key,
            collector: CollectorId::of_key(&[1; 32]),
            site: "XX-1/x",
        };
        let batch = agent.spool.lock().await.next_batch(&sealer).unwrap();
        if let Some(batch) = batch {
            return String::from_utf8(batch.body).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_batch_is_let_go_only_for_a_receipt_of_the_collector_and_for_this_batch() {
    let (_folder, agent) = agent();
    let key = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let (collector, stranger) = (key(1), key(2));
    let enrolment = Enrolment {
        collector: "10.0.0.2:8443".to_owned(),
        fingerprint: "0".repeat(64).parse().unwrap(),
        site: "XX-1/x".to_owned(),
        agent: agent.key.id(),
        receipt_key: PublicKey::from(&collector),
        schedule: nothing_to_do(),
    };
    let sealer = Sealer {
        key: &agent.key,
        collector: CollectorId::of_key(enrolment.receipt_key.octets()),
        site: &enrolment.site,
    };
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let failed = Outcome::Failed(Failure::new(FailureReason::Timeout, "no answer"));
    let observation = Observation::new(
        metric,
        UnixMillis(1),
        Vantage::default(),
        "collector",
        failed,
    );
    let mut spool = agent.spool.lock().await;
    spool.keep(&[observation]).unwrap();
    let batch = spool.next_batch(&sealer).unwrap().unwrap();
    // The same batch in the next epoch: another one.
    spool.renew_epoch(&sealer, UnixMillis(9)).unwrap();
    let other = spool.next_batch(&sealer).unwrap().unwrap();
    let acknowledged = |of: &SealedBatch, key: &Ed25519KeyPair| {
        let receipt = Receipt::of(&Batch::read(&of.body).unwrap(), UnixMillis(5));
        let acknowledgement = Acknowledgement {
            receipt: receipt.signed_with(key).unwrap(),
            duplicate: false,
            schedule: nothing_to_do(),
        };
        check(&acknowledgement, &batch, &enrolment)
    };
    acknowledged(&batch, &collector).unwrap();
    for error in [
        acknowledged(&batch, &stranger).unwrap_err(),
        acknowledged(&other, &collector).unwrap_err(),
    ] {
        assert!(matches!(error, UploadError::Receipt { .. }), "{error}");
    }
}

#[test]
fn only_what_can_never_be_taken_is_set_aside() {
    for (status, expected) in [
        (401, Remedy::TryAgain),
        (404, Remedy::TryAgain),
        (409, Remedy::RenewEpoch),
        (413, Remedy::SetAside),
        (422, Remedy::SetAside),
        (500, Remedy::TryAgain),
        (503, Remedy::TryAgain),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(remedy(status), expected, "{status}");
    }
}

#[tokio::test]
async fn a_new_schedule_does_not_cut_a_running_probe_short() {
    let (_folder, agent) = agent();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (new_schedule, schedule) = watch::channel(at_once(Probe::Http { url: Some(url) }));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        new_schedule.send_replace(nothing_to_do());
        std::thread::sleep(Duration::from_millis(200));
        let _ = stream.read(&mut [0; 4_096]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        new_schedule
    });
    let around = Surroundings::default();
    let body = tokio::select! {
        () = measure_for_ever(&agent, &around, schedule) => unreachable!("the sender lives on"),
        body = kept(&agent) => body,
    };
    assert!(body.contains("\"value\""), "{body}");
    server.join().unwrap();
}

#[tokio::test]
async fn a_capacity_test_that_comes_too_late_is_kept_as_a_failure() {
    let (_folder, agent) = agent();
    let (_new_schedule, schedule) = watch::channel(at_once(Probe::Ndt7 {
        direction: Direction::Up,
        duration_ms: 1_000,
        congestion: None,
    }));
    let around = Surroundings::default();
    let upload = async {
        let line = agent.line.lock().await;
        tokio::time::sleep(LATEST_START + Duration::from_millis(500)).await;
        drop(line);
        kept(&agent).await
    };
    let body = tokio::select! {
        body = upload => body,
        () = measure_for_ever(&agent, &around, schedule) => unreachable!("the sender lives on"),
    };
    assert!(body.contains("\"line.up\""), "{body}");
    assert!(body.contains("\"failure\":[\"busy\""), "{body}");
}

#[tokio::test]
async fn a_capacity_test_beyond_the_budget_is_kept_as_a_failure() {
    let (_folder, agent) = agent();
    let none = Budget {
        bytes_a_month: Some(0),
        ..Budget::default()
    };
    let (_new_schedule, schedule) = watch::channel(Schedule {
        budgets: vec![none],
        ..at_once(Probe::Ndt7 {
            direction: Direction::Down,
            duration_ms: 1_000,
            congestion: None,
        })
    });
    let around = Surroundings::default();
    let body = tokio::select! {
        () = measure_for_ever(&agent, &around, schedule) => unreachable!("the sender lives on"),
        body = kept(&agent) => body,
    };
    assert!(body.contains("\"failure\":[\"budget\""), "{body}");
}

#[tokio::test]
async fn a_watch_gives_way_to_a_test_that_fills_the_line_and_comes_back() {
    let (_folder, agent) = agent();
    let watch = Task {
        every_ms: 60_000,
        phase_ms: 0,
        interface: None,
        probe: Probe::Icmp {
            peer: Peer::Collector,
            burst: Burst {
                count: 59,
                interval_ms: 1_000,
                timeout_ms: 1_500,
            },
        },
    };
    // Without a server it fails at once: a watch that was not let go would yield that.
    let around = Surroundings::default();
    agent.filled.send_replace(true);
    let waiting = agent.watch(&watch, &around);
    let before = tokio::time::timeout(Duration::from_millis(100), waiting).await;
    assert!(before.is_err());
    agent.filled.send_replace(false);
    assert!(!agent.watch(&watch, &around).await.is_empty());

    let silent = TestServer {
        address: "192.0.2.1:9".to_owned(),
        trust: Trust::Web,
    };
    let around = Surroundings {
        server: Some(silent),
        ..Surroundings::default()
    };
    let (observations, ()) = tokio::join!(agent.watch(&watch, &around), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        agent.filled.send_replace(true);
    });
    assert!(observations.is_empty(), "{observations:?}");
}
