//! What an agent does in its turns, and what it lets go.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use http::StatusCode;

use super::refusal::{Remedy, remedy};
use super::uploading::{check, take_schedule};
use super::*;
use crate::agent::spool::{SealedBatch, Sealer};
use crate::agent::state::Enrolment;
use crate::agent::upload::UploadError;
use crate::wire::batch::Batch;
use crate::wire::{
    Acknowledgement, Assignment, Budget, Burst, CollectorId, Peer, Probe, PublicKey, Receipt,
    SCHEDULE_FORMAT, SignedSchedule,
};
use messnetz_metric::{
    Direction, FailureReason, Metric, Outcome, Quantity, Segment, UnixMillis, Vantage,
};
use ring::signature::Ed25519KeyPair;

fn agent() -> (tempfile::TempDir, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDirectory::new(folder.path());
    let spool = Spool::open(&state.spool_file(), UnixMillis(1)).unwrap();
    let mut limits = Limits::default();
    limits.targets.networks = vec!["127.0.0.0/8".parse().unwrap()];
    (
        folder,
        Agent::new(state, limits, ReleaseKeys::default(), spool).unwrap(),
    )
}

fn nothing_to_do() -> Schedule {
    Schedule {
        upload_every_ms: 1,
        budgets: Vec::new(),
        tasks: Vec::new(),
    }
}

/// A schedule that a collector has signed for an agent.
fn assigned(agent: &Agent, collector: &Ed25519KeyPair, serial: u64) -> SignedSchedule {
    let public = PublicKey::from(collector);
    let assignment = Assignment {
        format: SCHEDULE_FORMAT.to_owned(),
        collector: CollectorId::of_key(public.octets()),
        agent: agent.key.id(),
        site: "XX-1/x".to_owned(),
        serial,
        issued_at: UnixMillis(1),
        schedule: Schedule {
            upload_every_ms: serial,
            ..Schedule::default()
        },
    };
    assignment.signed_with(collector).unwrap()
}

/// A schedule of one task that is due at once, and then not for an hour.
fn at_once(probe: Probe) -> Schedule {
    let every_ms = 3_600_000;
    Schedule {
        upload_every_ms: 1_000,
        budgets: Vec::new(),
        tasks: vec![Task {
            every_ms,
            phase_ms: (clock::steady().0.cast_unsigned() + 200) % every_ms,
            interface: None,
            hours: None,
            slots: None,
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
        schedule: assigned(&agent, &collector, 1),
        pins: None,
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
            schedule: None,
            pins: None,
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

#[tokio::test]
async fn only_a_later_schedule_of_the_collector_is_followed_and_kept_for_the_next_start() {
    let (folder, agent) = agent();
    let key = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let (collector, stranger) = (key(1), key(2));
    let mut enrolment = Enrolment {
        collector: "10.0.0.2:8443".to_owned(),
        fingerprint: "0".repeat(64).parse().unwrap(),
        site: "XX-1/x".to_owned(),
        agent: agent.key.id(),
        receipt_key: PublicKey::from(&collector),
        schedule: assigned(&agent, &collector, 5),
        pins: None,
    };
    let (new_schedule, schedule) = watch::channel(nothing_to_do());
    let unsigned = serde_json::from_str("{\"upload_every_ms\":9,\"task\":[]}").unwrap();
    let another = StateDirectory::new(&folder.path().join("another"));
    let spool = Spool::open(&folder.path().join("another.db"), UnixMillis(1)).unwrap();
    let another = Agent::new(another, Limits::default(), ReleaseKeys::default(), spool).unwrap();
    for offered in [
        None,
        Some(unsigned),
        Some(assigned(&agent, &collector, 5)),
        Some(assigned(&agent, &collector, 4)),
        Some(assigned(&agent, &stranger, 6)),
        Some(assigned(&another, &collector, 6)),
    ] {
        take_schedule(&agent, &mut enrolment, offered, &new_schedule)
            .await
            .unwrap();
        assert!(!schedule.has_changed().unwrap());
        assert_eq!(enrolment.assignment().unwrap().serial, 5);
    }
    let later = Some(assigned(&agent, &collector, 6));
    take_schedule(&agent, &mut enrolment, later, &new_schedule)
        .await
        .unwrap();
    assert_eq!(schedule.borrow().upload_every_ms, 6);
    assert_eq!(
        agent
            .state
            .enrolment()
            .unwrap()
            .assignment()
            .unwrap()
            .serial,
        6
    );
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
        tokio::time::sleep(Duration::from_millis(2_500)).await;
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
async fn what_the_limits_leave_out_is_kept_as_a_failure_and_never_done() {
    let (_folder, agent) = agent();
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let agent = Agent {
        limits: Limits::default(),
        ..agent
    };
    let tcp = at_once(Probe::Tcp { target });
    let often = at_once(Probe::Http {
        url: Some("http://127.0.0.2/".to_owned()),
    });
    let mut often = often.tasks[0].clone();
    often.every_ms = 2_000;
    for tasks in [tcp.tasks.clone(), vec![often]] {
        let (_new_schedule, schedule) = watch::channel(Schedule {
            tasks,
            ..nothing_to_do()
        });
        let around = Surroundings::default();
        let body = tokio::select! {
            body = kept(&agent) => body,
            () = measure_for_ever(&agent, &around, schedule) => unreachable!("the sender lives on"),
        };
        assert!(body.contains("\"failure\":[\"permission\""), "{body}");
        agent
            .spool
            .lock()
            .await
            .renew_epoch(
                &Sealer {
                    key: &agent.key,
                    collector: CollectorId::of_key(&[1; 32]),
                    site: "XX-1/x",
                },
                UnixMillis(clock::now().0),
            )
            .unwrap();
    }
    assert!(listener.accept().is_err(), "nobody knocked");
}

#[tokio::test]
async fn a_watch_gives_way_to_a_test_that_fills_the_line_and_comes_back() {
    let (_folder, agent) = agent();
    let watch = Task {
        every_ms: 60_000,
        phase_ms: 0,
        interface: None,
        hours: None,
        slots: None,
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

#[tokio::test]
async fn a_clock_that_is_set_by_a_month_neither_stalls_a_task_nor_makes_a_herd_of_it() {
    let (_folder, agent) = agent();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut later = at_once(Probe::Http { url: Some(url) });
    let task = &mut later.tasks[0];
    task.phase_ms = (task.phase_ms + task.every_ms / 2) % task.every_ms;
    let (every_ms, phase_ms) = (task.every_ms, task.phase_ms);
    let (_new_schedule, schedule) = watch::channel(later);
    let around = Surroundings::default();
    let knocks = || std::iter::from_fn(|| listener.accept().ok()).count();
    let month = 30 * 24 * 3_600_000;
    let steps = async {
        for step in [month, -2 * month] {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(knocks(), 0, "it is not due");
            // The task is due half a second after the step.
            let stepped = agent.now_ms().saturating_add_signed(step);
            let until_due = (phase_ms + every_ms - stepped % every_ms) % every_ms;
            let step = step + until_due.cast_signed() - 500;
            agent.set_offset(agent.offset_ms() + step);
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(knocks(), 1, "once, after a step of {step} ms");
        }
    };
    tokio::select! {
        () = steps => {}
        () = measure_for_ever(&agent, &around, schedule) => unreachable!("the sender lives on"),
    }
}
