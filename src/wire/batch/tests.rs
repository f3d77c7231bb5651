//! What a batch keeps, what it refuses, and what can be told of one from which something was taken.

use messnetz_metric::{
    Direction, Failure, FailureReason, Medium, Outcome, Quantity, Segment, UnixMillis, Value,
    Vantage,
};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::KeyPair as _;

use super::*;

fn key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
}

fn link() -> Link {
    Link {
        collector: CollectorId::of_key(&[9; 32]),
        agent: AgentId::of_key(&[7; 32]),
        site: "XX-100001/main".to_owned(),
        epoch: 1_795_369_000_000,
        sequence: 1,
        previous: None,
    }
}

fn observation(metric: Metric, at: i64, outcome: Outcome) -> Observation {
    let vantage = Vantage {
        interface: Some("eth0".to_owned()),
        medium: Medium::Wired,
    };
    Observation::new(metric, UnixMillis(at), vantage, "collector", outcome)
}

fn goodput(at: i64, bps: i64) -> Observation {
    let metric = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
    let value = Value::new(metric.quantity.unit(), bps);
    observation(metric, at, Outcome::Value(value))
}

fn rtt(at: i64, micros: i64) -> Observation {
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let value = Value::new(metric.quantity.unit(), micros);
    observation(metric, at, Outcome::Value(value))
}

fn lost(at: i64) -> Observation {
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let failure = Failure::new(FailureReason::Timeout, "no answer within 1500 ms");
    observation(metric, at, Outcome::Failed(failure))
}

fn batch() -> Batch {
    let observations = [
        rtt(1_795_370_000_000, 12_345),
        goodput(1_795_370_000_500, 94_600_000),
        lost(1_795_370_060_000),
        rtt(1_795_370_120_000, 12_400),
    ];
    Batch::new(&link(), &observations).unwrap()
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.document()).unwrap()
}

/// What is said of the document in which `from` stands as `to`.
fn refusal(from: &str, to: &str) -> String {
    let document = text(&batch());
    assert!(document.contains(from), "{document}");
    let changed = document.replacen(from, to, 1);
    Batch::read(changed.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_series_is_written_in_columns_of_whole_numbers() {
    let batch = batch();
    let chunks: Vec<&str> = batch.chunks().iter().filter_map(Chunk::text).collect();
    assert_eq!(
        chunks,
        [
            r#"{"metric":"line.rtt","interface":"eth0","medium":"wired","peer":"collector","unit":"us","exponent":0,"at":[1795370000000,60000,60000],"value":[12345,null,12400],"failure":["timeout"],"detail":["no answer within 1500 ms"]}"#,
            r#"{"metric":"line.down","interface":"eth0","medium":"wired","peer":"collector","unit":"bit/s","exponent":5,"at":[1795370000500],"value":[946]}"#,
        ]
    );
}

#[test]
fn what_is_read_is_what_was_signed_byte_for_byte() {
    let key = key();
    let batch = batch().signed_with(&key);
    let read = Batch::read(&batch.document()).unwrap();
    assert_eq!(read, batch);
    assert!(read.is_whole() && read.is_signed_by(key.public_key().as_ref()));
}

#[test]
fn a_signature_is_of_the_header_with_its_domain_and_of_one_key() {
    let (key, other) = (key(), key());
    let signed = batch().signed_with(&key);
    assert!(!signed.is_signed_by(other.public_key().as_ref()));
    assert!(
        !batch().is_signed_by(key.public_key().as_ref()),
        "no signature"
    );
    let bare = Batch {
        signature: Some(key.sign(signed.header_text.as_bytes()).as_ref().to_vec()),
        ..signed
    };
    assert!(!bare.is_signed_by(key.public_key().as_ref()));
}

#[test]
fn every_change_of_the_header_breaks_the_signature() {
    let key = key();
    let document = text(&batch().signed_with(&key));
    for (from, to) in [
        (
            "\"sequence\":1,\"previous\":null",
            "\"sequence\":2,\"previous\":\"0000000000000000000000000000000000000000000000000000000000000000\"",
        ),
        ("XX-100001/main", "XX-100002/main"),
        ("\"epoch\":1795369000000", "\"epoch\":1795369000001"),
        ("\"header\":{", "\"header\":{ "),
    ] {
        let changed = document.replacen(from, to, 1);
        assert_ne!(changed, document);
        let read = Batch::read(changed.as_bytes()).unwrap();
        assert!(!read.is_signed_by(key.public_key().as_ref()), "{from}");
    }
}

#[test]
fn a_changed_value_is_told_from_the_chunks_that_hold() {
    let key = key();
    let changed = text(&batch().signed_with(&key)).replace("12345", "12344");
    let read = Batch::read(changed.as_bytes()).unwrap();
    let standings: Vec<Standing> = read.chunks().iter().map(Chunk::standing).collect();
    assert_eq!(standings, [Standing::Altered, Standing::Holds]);
    assert!(read.root_holds() && read.is_signed_by(key.public_key().as_ref()));
    assert!(!read.is_whole());
}

#[test]
fn a_chunk_with_a_digest_of_its_own_does_not_pass_the_root() {
    let key = key();
    let honest = batch().signed_with(&key);
    let other = Batch::new(&link(), &[rtt(1, 2), goodput(3, 4), lost(5), rtt(6, 7)]).unwrap();
    let forged = Batch {
        chunks: other.chunks,
        ..honest
    };
    let read = Batch::read(&forged.document()).unwrap();
    assert!(read.is_signed_by(key.public_key().as_ref()));
    assert!(!read.root_holds() && !read.is_whole());
}

#[test]
fn what_is_left_of_a_pruned_batch_still_verifies() {
    let key = key();
    let hash = batch().hash();
    let pruned = batch()
        .signed_with(&key)
        .pruned(|chunk| chunk.observations().count() == 1);
    let read = Batch::read(&pruned.document()).unwrap();
    let standings: Vec<Standing> = read.chunks().iter().map(Chunk::standing).collect();
    assert_eq!(standings, [Standing::Pruned, Standing::Holds]);
    assert!(read.root_holds() && read.is_signed_by(key.public_key().as_ref()));
    assert_eq!(read.hash(), hash);
    assert_eq!(read.observations().count(), 1);
}

#[test]
fn a_refusal_names_the_place() {
    for (from, to, said) in [
        ("messnetz-batch-2", "messnetz-batch-1", "header.format: "),
        (
            "\"epoch\":1795369000000",
            "\"epoch\":9223372036854775808",
            "header.epoch: ",
        ),
        ("\"sequence\":1,", "\"sequence\":0,", "header.sequence: "),
        ("\"sequence\":1,", "\"sequence\":2,", "header.previous: "),
        ("XX-100001/main", "", "header.site: "),
        (
            "\"observations\":4",
            "\"observations\":5",
            "header.observations: ",
        ),
        (
            "\"observations\":4",
            "\"observations\":3",
            "header.observations: ",
        ),
        ("\"digests\":[", "\"digests\":[\"x\",", "the document: "),
        ("[12345,null,12400]", "[12345,null]", "chunks[0].value: "),
        (
            "[12345,null,12400]",
            "[12345,0,12400]",
            "chunks[0].failure: ",
        ),
        (
            "[12345,null,12400]",
            "[12345,null,-1]",
            "chunks[0].value[2]: ",
        ),
        (
            "[12345,null,12400]",
            "[12345,null,1.5]",
            "chunks[0].value[2]: ",
        ),
        (
            "[12345,null,12400]",
            "[12345,null,9223372036854775808]",
            "chunks[0].value[2]: ",
        ),
        ("\"exponent\":5", "\"exponent\":18", "chunks[1].value[0]: "),
        ("\"exponent\":5", "\"exponent\":19", "chunks[1].exponent: "),
        ("\"exponent\":5", "\"exponent\":-1", "chunks[1].exponent: "),
        ("\"unit\":\"us\"", "\"unit\":\"ppm\"", "chunks[0].unit: "),
        (
            "[1795370000000,60000",
            "[1795370000000,9223372036854775807",
            "chunks[0].at[1]: ",
        ),
        ("[1795370000500]", "[-1]", "chunks[1].at[0]: "),
        ("[\"timeout\"]", "[\"tired\"]", "chunks[0].failure[0]: "),
        ("\"line.down\"", "\"line.across\"", "chunks[1].metric: "),
        (
            "\"line.down\",",
            "\"line.down\",\"why\":1,",
            "chunks[1].why: ",
        ),
        ("\"chunks\":", "\"more\":", "the document: "),
    ] {
        let refusal = refusal(from, to);
        assert!(refusal.contains(&format!(": {said}")), "{refusal}");
    }
}

#[test]
fn names_longer_than_an_observation_carries_are_refused() {
    let long = "ü".repeat(TEXT_LIMIT + 1);
    for (from, place) in [
        ("\"collector\",\"unit\"", "peer"),
        ("\"eth0\"", "interface"),
        ("\"no answer within 1500 ms\"", "detail[0]"),
    ] {
        let to = from.replace(['"', ','], "\u{0}");
        let first = to.split('\u{0}').find(|word| !word.is_empty()).unwrap();
        let refusal = refusal(from, &from.replacen(first, &long, 1));
        assert!(
            refusal.contains(&format!("chunks[0].{place}: ")),
            "{refusal}"
        );
    }
}

#[test]
fn a_series_is_in_a_batch_once() {
    let batch = batch();
    let twice = Batch {
        chunks: vec![batch.chunks[0].clone(), batch.chunks[0].clone()],
        ..batch
    };
    let refused = Batch::read(&twice.document()).unwrap_err().to_string();
    assert!(refused.contains("chunks[1]: an earlier chunk"), "{refused}");
}

#[test]
fn a_batch_has_no_more_observations_than_it_may() {
    let many: Vec<Observation> = (0..i64::from(MAX_OBSERVATIONS))
        .map(|at| rtt(at, 1))
        .collect();
    let full = Batch::new(&link(), &many).unwrap();
    assert_eq!(Batch::read(&full.document()).unwrap(), full);
    let more: Vec<Observation> = many.into_iter().chain([rtt(0, 1)]).collect();
    assert!(matches!(
        Batch::new(&link(), &more),
        Err(NotWritable::TooMany(_))
    ));
    let one_more = text(&full).replacen("\"at\":[0,", "\"at\":[0,0,", 1);
    let refused = Batch::read(one_more.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("chunks[0].at: "), "{refused}");
    let chunks = format!(
        "{{\"header\":{{}},\"digests\":[],\"chunks\":[{}null]}}",
        "null,".repeat(800_000)
    );
    let refused = Batch::read(chunks.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("at most"), "{refused}");
}

#[test]
fn a_large_or_deep_document_is_refused() {
    let large = vec![b' '; MAX_BATCH_BYTES + 1];
    assert_eq!(Batch::read(&large), Err(BatchError::TooLarge));
    let deep = format!("{{\"header\":{}", "[".repeat(1_000_000));
    assert!(Batch::read(deep.as_bytes()).is_err());
}

#[test]
fn a_refusal_repeats_only_the_beginning_of_a_document() {
    let long = "x".repeat(100_000);
    for (from, to) in [
        ("messnetz-batch-2", long.as_str()),
        ("\"format\"", &format!("\"{long}\"")),
        ("\"metric\"", &format!("\"{long}\"")),
        ("\"digests\"", &format!("\"{long}\"")),
    ] {
        assert!(refusal(from, to).chars().count() < 450);
    }
}

#[test]
fn what_no_batch_can_hold_is_not_written() {
    let early = Batch::new(&link(), &[rtt(-1, 1)]);
    assert!(matches!(early, Err(NotWritable::Before1970(-1))));
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let odd = observation(metric, 1, Outcome::Value(Value::new(Unit::BitPerSecond, 1)));
    let odd = Batch::new(&link(), &[odd]);
    assert!(matches!(odd, Err(NotWritable::Unit { .. })));
    let unlinked = Link {
        sequence: 2,
        ..link()
    };
    assert!(matches!(
        Batch::new(&unlinked, &[]),
        Err(NotWritable::Malformed(_))
    ));
}

#[test]
fn a_shell_can_compute_the_root() {
    // for chunk in a b; do printf %s $chunk | sha256sum | cut -c1-64; done | sha256sum
    let root = "bf75fafab8e46555836b92f1b04106b795a9ed36bd39b351f103b28819895f33";
    let digests = [Digest::of(b"a"), Digest::of(b"b")];
    assert_eq!(Digest::root(digests.into_iter()).to_string(), root);
    // sha256sum of nothing.
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::root([].into_iter()).to_string(), nothing);
    assert_eq!(nothing.parse(), Ok(Digest::of(b"")));
    assert!(nothing.to_uppercase().parse::<Digest>().is_err());
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let metric = prop::sample::select(Metric::all().take(40).collect::<Vec<_>>());
    let medium = prop::sample::select(vec![Medium::Wired, Medium::Wlan, Medium::Unknown]);
    let reason = prop::sample::select(FailureReason::ALL.to_vec());
    let at = prop_oneof![
        Just(0),
        Just(i64::MAX),
        0..i64::MAX,
        1_795_370_000_000..1_795_371_000_000_i64
    ];
    let number = prop_oneof![
        any::<i64>(),
        (0..20_i64).prop_map(|n| n * 1_000_000),
        Just(i64::MAX)
    ];
    (
        (metric, medium, reason),
        at,
        prop::option::of(number),
        (
            prop::option::of("[a-z]{0,2}"),
            "[a-zß\"\\\\\u{0}]{0,3}",
            ".{0,250}",
        ),
    )
        .prop_map(
            |((metric, medium, reason), at, number, (interface, peer, detail))| {
                let outcome = match number {
                    Some(number) => Outcome::Value(Value::new(metric.quantity.unit(), number)),
                    None => Outcome::Failed(Failure::new(reason, detail)),
                };
                let vantage = Vantage { interface, medium };
                Observation::new(metric, UnixMillis(at), vantage, peer, outcome)
            },
        )
}

/// By series, in the order in which the series first occur.
fn by_series(observations: &[Observation]) -> Vec<Observation> {
    let key = |one: &Observation| (one.metric, one.vantage.clone(), one.peer.clone());
    let mut sorted = observations.to_vec();
    sorted.sort_by_key(|one| observations.iter().position(|first| key(first) == key(one)));
    sorted
}

proptest! {
    #[test]
    fn observations_survive_the_way_through_a_batch(
        observations in prop::collection::vec(any_observation(), 0..60)
    ) {
        let batch = Batch::new(&link(), &observations).unwrap();
        let read = Batch::read(&batch.document()).unwrap();
        let back: Vec<Observation> = read.observations().collect();
        prop_assert_eq!(back, by_series(&observations));
        prop_assert!(read.is_whole());
        prop_assert_eq!(read, batch);
    }

    #[test]
    fn no_damage_to_a_document_passes_for_the_whole(place in 0..900_usize, octet: u8) {
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let honest = batch().signed_with(&key);
        let mut document = honest.document();
        let place = place % document.len();
        document[place] = octet;
        if let Ok(read) = Batch::read(&document) {
            let passes = read.is_whole() && read.is_signed_by(key.public_key().as_ref());
            prop_assert!(!passes || read == honest);
        }
    }

    #[test]
    fn no_document_makes_the_reader_panic(document: Vec<u8>) {
        let _ = Batch::read(&document);
    }
}

fn beside() -> Beside {
    let all = Omitted {
        metric: None,
        interface: None,
        medium: None,
        peer: None,
        from: 5,
        to: 9,
        count: None,
        why: Why::PowerLoss,
    };
    let series = Omitted {
        metric: Some(Metric::new(Segment::Line, Quantity::Rtt)),
        interface: Some("eth0".to_owned()),
        medium: Some(Medium::Wired),
        peer: Some("collector".to_owned()),
        count: Some(3),
        why: Why::Full,
        ..all.clone()
    };
    let clock = Clock {
        boot: "0123456789abcdef".to_owned(),
        offset: -7,
        synchronised: true,
        since_sync: Some(34),
        stepped: -3_600_000,
        dated: true,
    };
    Beside {
        clock: Some(clock),
        omitted: vec![all, series],
    }
}

#[test]
fn what_is_told_beside_the_observations_is_signed_with_them_and_comes_back() {
    let key = key();
    let batch = Batch::with(&link(), &[rtt(1, 2)], beside())
        .unwrap()
        .signed_with(&key);
    let read = Batch::read(&batch.pruned(|_| false).document()).unwrap();
    assert_eq!(read.header().beside(), beside());
    assert!(read.is_signed_by(key.public_key().as_ref()));
    let without = Batch::new(&link(), &[]).unwrap();
    assert!(!without.header_text().contains("clock") && without.header().is_dated());
}

#[test]
fn what_is_told_beside_the_observations_has_its_bounds() {
    let refused = |change: &dyn Fn(&mut Beside)| {
        let mut changed = beside();
        change(&mut changed);
        Batch::with(&link(), &[], changed).unwrap_err().to_string()
    };
    for (change, place) in [
        (
            (&|beside: &mut Beside| beside.clock.as_mut().unwrap().boot.push('0'))
                as &dyn Fn(&mut Beside),
            "clock.boot: ",
        ),
        (&|beside| beside.omitted[0].to = 4, "omitted[0]: it ends"),
        (
            &|beside| beside.omitted[1].peer = None,
            "omitted[1]: it names",
        ),
        (
            &|beside| beside.omitted[1].count = Some(u64::MAX),
            "omitted[1]: a number",
        ),
        (
            &|beside| beside.omitted[1].peer = Some("x".repeat(201)),
            "omitted[1]: a name",
        ),
        (
            &|beside| beside.omitted = vec![beside.omitted[0].clone(); MAX_OMITTED + 1],
            "omitted: it has 100 entries",
        ),
    ] {
        let why = refused(change);
        assert!(why.contains(place), "{why}");
    }
}
