//! Batches that come twice, in another order, shortened, with flipped bits, under another name: by a client
//! that holds the key of an enrolled agent.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use messnetz::wire::batch::{Batch, Digest, Link};
use messnetz::wire::{AgentId, CollectorId, PublicKey};
use messnetz_probes::Binding;
use messnetz_probes::connection::{Dial, Tls};
use messnetz_probes::http::exchange;
use messnetz_probes::tls::Trust;
use ring::signature::Ed25519KeyPair;

use super::keeper::Journal;
use super::numbered::observation;
use super::proof::Evidence;
use super::scene::{SITE, Scene};
use crate::quiet::quiet;

/// Observations in a batch: more than one series, with a failure among them.
const BATCH: u64 = 8;

/// Whoever holds an agent's key.
struct Client {
    runtime: tokio::runtime::Runtime,
    key: Ed25519KeyPair,
    agent: AgentId,
    collector: CollectorId,
    dial: Dial,
}

impl Client {
    /// Enrols in a directory of the school's and takes the key.
    fn enrolled(scene: &Scene, state: &str, site: &str) -> Self {
        scene.enrol(state, site);
        let state = scene.school.join(state);
        let enrolment = std::fs::read(state.join("enrolment.json")).unwrap();
        let enrolment: serde_json::Value = serde_json::from_slice(&enrolment).unwrap();
        let text = |name: &str| enrolment[name].as_str().unwrap().to_owned();
        let receipts: PublicKey = serde_json::from_value(enrolment["receipt_key"].clone()).unwrap();
        let document = std::fs::read(state.join("agent-key.pk8")).unwrap();
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            key: Ed25519KeyPair::from_pkcs8(&document).unwrap(),
            agent: AgentId::try_from(text("agent")).unwrap(),
            collector: CollectorId::of_key(receipts.octets()),
            dial: Dial {
                address: SocketAddr::from(([127, 0, 0, 1], scene.port)),
                tunnel: None,
                tls: Some(Tls {
                    trust: Trust::Pinned(text("fingerprint").parse().unwrap()),
                    server_name: "messnetz-collector".to_owned(),
                }),
                binding: Binding::any(),
                congestion: None,
                deadline: Duration::from_secs(30),
            },
        }
    }

    fn link(&self, sequence: u64, previous: Option<Digest>) -> Link {
        Link {
            collector: self.collector.clone(),
            agent: self.agent.clone(),
            site: SITE.to_owned(),
            epoch: 1,
            sequence,
            previous,
        }
    }

    /// A chain of batches: the first has the numbers from 0, and so on.
    fn chain(&self, length: u64) -> Vec<Batch> {
        let mut chain: Vec<Batch> = Vec::new();
        for sequence in 1..=length {
            let link = self.link(sequence, chain.last().map(Batch::hash));
            let numbers = (sequence - 1) * BATCH..sequence * BATCH;
            let observations: Vec<_> = numbers.map(observation).collect();
            chain.push(self.signed(&link, &observations));
        }
        chain
    }

    fn signed(&self, link: &Link, observations: &[messnetz_metric::Observation]) -> Batch {
        let batch = Batch::new(link, observations).unwrap();
        batch.signed_with(&self.key)
    }

    /// Knocks with a body; gives the answer.
    fn send(&self, body: &[u8], packed: bool) -> (StatusCode, String) {
        let mut request = http::Request::post("/v1/batches").header("host", "collector");
        if packed {
            request = request.header("content-encoding", "zstd");
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let answer = self.runtime.block_on(async {
            let connection = self.dial.connect().await?;
            let request = request.body(body).unwrap();
            exchange(connection, request, Duration::from_secs(30), 1 << 20).await
        });
        let answer = answer.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        (answer.status(), text)
    }

    /// Sends what must be taken; whether it was there already.
    fn is_taken_again(&self, batch: &Batch) -> bool {
        let (status, answer) = self.send(&batch.document(), false);
        assert_eq!(status, StatusCode::OK, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["duplicate"].as_bool().unwrap()
    }

    /// Sends what must not be taken, for one of these reasons.
    fn is_refused(&self, body: &[u8], packed: bool, what: &str, reasons: &[StatusCode]) {
        let (status, answer) = self.send(body, packed);
        assert!(reasons.contains(&status), "{what}: {status}: {answer}");
    }
}

const FALSE: StatusCode = StatusCode::UNAUTHORIZED;
const BROKEN: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const FORKED: StatusCode = StatusCode::CONFLICT;
const KEPT_OUT: StatusCode = StatusCode::FORBIDDEN;

/// What the numbers of these batches would be in a journal.
fn journal_of(batches: u64) -> Journal {
    let numbers = || (0..batches * BATCH).collect();
    Journal {
        tried: numbers(),
        kept: numbers(),
        ..Journal::default()
    }
}

#[test]
fn batches_that_come_in_any_order_and_often_are_stored_once() {
    let _quiet = quiet();
    let mut scene = Scene::enrolled("twist");
    let client = Client::enrolled(&scene, "client", SITE);
    let batches = super::rounds(20);
    let mut order: Vec<Batch> = client.chain(batches);
    order.extend(order.clone());
    order.extend(order.clone());
    for last in (1..order.len()).rev() {
        let other = scene.below(last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap());
    }
    let new = order.iter().filter(|one| !client.is_taken_again(one));
    assert_eq!(new.count() as u64, batches);
    Evidence::of(&scene).is_what_was_kept_once(&journal_of(batches));
}

#[test]
fn a_batch_with_a_flipped_bit_or_without_its_end_is_refused_and_harms_nothing() {
    let _quiet = quiet();
    let scene = Scene::enrolled("twist");
    let client = Client::enrolled(&scene, "client", SITE);
    let chain = client.chain(3);
    assert!(!client.is_taken_again(&chain[0]));
    // Flipped under TLS: by who holds the batch and not the key. The batch is not known yet.
    let body = chain[1].document();
    let tries = super::rounds(150).max(1);
    let flip = |body: &[u8], bit: usize| {
        let mut body = body.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        body
    };
    let places = |all: usize| {
        let step = all.div_ceil(usize::try_from(tries).unwrap()).max(1);
        // A step that is no multiple of 8 meets every bit of a byte.
        let step = if step > 1 { step | 1 } else { step };
        (0..all).step_by(step)
    };
    for bit in places(body.len() * 8) {
        let what = format!("bit {bit}");
        client.is_refused(&flip(&body, bit), false, &what, &[FALSE, BROKEN]);
    }
    let end = body.iter().rposition(|byte| *byte == b'}').unwrap();
    for length in places(end + 1) {
        let what = format!("the first {length} bytes");
        client.is_refused(&body[..length], false, &what, &[BROKEN]);
    }
    let twice = [&body[..], &body].concat();
    client.is_refused(&twice, false, "a batch twice", &[BROKEN]);
    // Some bits of a packed body say nothing: with them it is what it was.
    let packed = zstd::encode_all(&chain[0].document()[..], 3).unwrap();
    for bit in places(packed.len() * 8) {
        let (status, answer) = client.send(&flip(&packed, bit), true);
        let again = status == StatusCode::OK && answer.contains("\"duplicate\":true");
        let fits = again || [FALSE, BROKEN, StatusCode::PAYLOAD_TOO_LARGE].contains(&status);
        assert!(fits, "bit {bit}, packed: {status}: {answer}");
    }
    for length in places(packed.len()) {
        let what = format!("the first {length} bytes, packed");
        client.is_refused(&packed[..length], true, &what, &[BROKEN]);
    }
    assert!(chain[1..].iter().all(|one| !client.is_taken_again(one)));
    Evidence::of(&scene).is_what_was_kept_once(&journal_of(3));
}

#[test]
fn other_bytes_under_a_number_are_an_alarm_and_other_names_are_refused() {
    let _quiet = quiet();
    let scene = Scene::enrolled("twist");
    let client = Client::enrolled(&scene, "client", SITE);
    let neighbour = Client::enrolled(&scene, "neighbour", "XX-100002/main");
    let chain = client.chain(3);
    assert!(chain[..2].iter().all(|one| !client.is_taken_again(one)));
    let other = [observation(1_000)];
    let replayed = |what: &str, from: &str, to: &str| {
        let document = String::from_utf8(chain[2].document()).unwrap();
        let changed = document.replacen(from, to, 1);
        assert_ne!(document, changed);
        client.is_refused(changed.as_bytes(), false, what, &[FALSE]);
    };
    replayed("another epoch", "\"epoch\":1", "\"epoch\":2");
    replayed("another number", "\"sequence\":3", "\"sequence\":4");
    replayed("another site", SITE, "XX-100002/main");
    let neighbours = neighbour.agent.as_str();
    replayed("another agent", client.agent.as_str(), neighbours);
    let elsewhere = "0".repeat(32);
    replayed("another collector", client.collector.as_str(), &elsewhere);
    // Signed with an enrolled key, for where or whom it is not enrolled.
    let own = client.link(1, None);
    let site = "XX-100002/main".to_owned();
    let at_another_site = client.signed(
        &Link {
            site,
            ..own.clone()
        },
        &other,
    );
    let agent = client.agent.clone();
    let as_another = neighbour.signed(&Link { agent, ..own }, &other);
    for batch in [at_another_site, as_another] {
        client.is_refused(&batch.document(), false, "not enrolled so", &[FALSE]);
    }
    // The same numbers with other bytes, and a number of another chain.
    let first = client.signed(&client.link(1, None), &other);
    let second = client.signed(&client.link(2, Some(chain[0].hash())), &other);
    let third = client.signed(&client.link(3, Some(second.hash())), &other);
    assert!(!client.is_taken_again(&chain[2]));
    for (forks, batch) in [first, second, third].iter().enumerate() {
        client.is_refused(&batch.document(), false, "a fork", &[FORKED]);
        client.is_refused(&batch.document(), false, "in quarantine", &[KEPT_OUT]);
        scene.release(client.agent.as_str());
        let alarms = Evidence::of(&scene).forks[client.agent.as_str()];
        assert_eq!(alarms, forks as u64 + 1);
    }
    // The right ones are known and taken as before.
    let again: Vec<_> = chain.iter().map(|one| client.is_taken_again(one)).collect();
    assert_eq!(again, [true, true, true]);
    Evidence::of(&scene).has_all_that_was_kept(&journal_of(3));
}
