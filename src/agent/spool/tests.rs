//! What the spool keeps, whatever happens.

use messnetz_metric::{
    Failure, FailureReason, Metric, Micros, Outcome, Quantity, Segment, Value, Vantage,
};

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::super::key::AgentKey;
use super::sealing::MAX_REFUSED;
use super::*;
use crate::wire::{CollectorId, MAX_BATCH_BYTES, MAX_OBSERVATIONS, PublicKey, Receipt};

const SITE: &str = "XX-100001/main";

fn observation(at: i64) -> Observation {
    Observation {
        metric: Metric::new(Segment::Line, Quantity::Rtt),
        at: UnixMillis(at),
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::Time(Micros::from_micros(12_000))),
    }
}

fn open(folder: &tempfile::TempDir, now: i64) -> Spool {
    Spool::open(&folder.path().join("spool.db"), UnixMillis(now)).unwrap()
}

fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, 1_000);
    (folder, spool)
}

/// Seals for one collector, each time with another agent's key.
fn with_sealer<T>(work: impl FnOnce(&Sealer<'_>) -> T) -> T {
    let key = AgentKey::from_pkcs8(&AgentKey::generate().unwrap()).unwrap();
    work(&Sealer {
        key: &key,
        collector: CollectorId::of_key(collector_key().public_key().as_ref()),
        site: SITE,
    })
}

fn collector_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap()
}

fn next_of(spool: &mut Spool) -> Option<SealedBatch> {
    with_sealer(|sealer| spool.next_batch(sealer)).unwrap()
}

fn next(spool: &mut Spool) -> SealedBatch {
    next_of(spool).unwrap()
}

fn renew(spool: &mut Spool, now: i64) -> u64 {
    with_sealer(|sealer| spool.renew_epoch(sealer, UnixMillis(now))).unwrap()
}

fn acknowledge(spool: &mut Spool, batch: &SealedBatch) {
    let receipt = Receipt::of(&read(batch), UnixMillis(1));
    let receipt = receipt.signed_with(&collector_key()).unwrap();
    spool.acknowledged(batch, &receipt).unwrap();
}

fn read(batch: &SealedBatch) -> Batch {
    Batch::read(&batch.body).unwrap()
}

fn observations(batch: &SealedBatch) -> Vec<Observation> {
    read(batch).observations().collect()
}

#[test]
fn every_attempt_sends_the_same_bytes_under_the_same_number() {
    let (_folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let first = next(&mut spool);
    spool.keep(&[observation(2)]).unwrap();
    assert_eq!(next(&mut spool), first);
}

#[test]
fn a_batch_leaves_only_when_it_is_acknowledged() {
    let (folder, mut spool) = spool();
    spool.keep(&[observation(1), observation(2)]).unwrap();
    let batch = next(&mut spool);
    drop(spool);
    let mut spool = open(&folder, 2_000);
    let contents = spool.contents().unwrap();
    assert_eq!((contents.observations, contents.batches), (0, 1));
    acknowledge(&mut spool, &batch);
    assert_eq!(next_of(&mut spool), None);
}

#[test]
fn epoch_and_numbers_go_on_without_gaps_after_a_restart() {
    let (folder, mut spool) = spool();
    for expected in 1..=3 {
        spool.keep(&[observation(expected)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!((batch.epoch, batch.sequence), (1_000, expected as u64));
        acknowledge(&mut spool, &batch);
        drop(spool);
        spool = open(&folder, 5_000);
    }
}

#[test]
fn each_batch_names_the_one_before() {
    let (folder, mut spool) = spool();
    let mut before = None;
    for at in 1..=3 {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!(read(&batch).header().previous, before);
        before = Some(read(&batch).hash());
        acknowledge(&mut spool, &batch);
        drop(spool);
        spool = open(&folder, 5_000);
    }
}

#[test]
fn a_receipt_is_kept_in_the_place_of_its_batch() {
    let (_folder, mut spool) = spool();
    assert!(spool.last_receipt().unwrap().is_none());
    for at in 1..=2 {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        acknowledge(&mut spool, &batch);
        let kept = spool.last_receipt().unwrap().unwrap();
        let key = PublicKey::from(&collector_key());
        kept.verified(&read(&batch), &key).unwrap();
    }
}

#[test]
fn a_spool_of_an_older_program_starts_a_chain() {
    let (folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let old = next(&mut spool);
    acknowledge(&mut spool, &old);
    spool
        .connection
        .execute("DELETE FROM chain_head", [])
        .unwrap();
    drop(spool);
    let mut spool = open(&folder, 9_000);
    spool.keep(&[observation(2)]).unwrap();
    let new = next(&mut spool);
    assert_eq!((new.epoch, new.sequence), (9_000, 1));
}

#[test]
fn a_batch_is_synced_when_it_is_sealed_and_an_observation_is_not() {
    let (_folder, mut spool) = spool();
    spool
        .connection
        .execute_batch(
            "CREATE TEMP TABLE seen (what TEXT, level INTEGER);
             CREATE TEMP TRIGGER sealing AFTER INSERT ON main.sealed BEGIN
                 INSERT INTO seen SELECT 'sealed', synchronous FROM pragma_synchronous; END;
             CREATE TEMP TRIGGER keeping AFTER INSERT ON main.observation BEGIN
                 INSERT INTO seen SELECT 'kept', synchronous FROM pragma_synchronous; END;",
        )
        .unwrap();
    spool.keep(&[observation(1)]).unwrap();
    next(&mut spool);
    renew(&mut spool, 0);
    spool.keep(&[observation(2)]).unwrap();
    let seen: Vec<(String, i64)> = spool
        .connection
        .prepare("SELECT what, level FROM seen")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let (full, normal) = (2, 1);
    let expected = [
        ("kept", normal),
        ("sealed", full),
        ("sealed", full),
        ("kept", normal),
    ];
    assert_eq!(seen, expected.map(|(what, level)| (what.to_owned(), level)));
}

#[test]
fn a_refused_batch_is_kept_aside_and_the_next_one_gets_its_turn() {
    let (_folder, mut spool) = spool();
    for at in 1..=i64::from(u8::MAX) {
        spool.keep(&[observation(at)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!(batch.sequence, at as u64);
        spool.refused(&batch, "no batch").unwrap();
    }
    let contents = spool.contents().unwrap();
    assert_eq!((contents.batches, contents.refused), (0, 255));
    assert_eq!(contents.refused_kept, MAX_REFUSED as u64);
    let (sequence, error): (i64, String) = spool
        .connection
        .query_row(
            "SELECT sequence, error FROM refused ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((sequence, error.as_str()), (255, "no batch"));
}

#[test]
fn after_a_fork_the_same_observations_go_out_under_a_later_epoch_and_count_from_one() {
    let (_folder, mut spool) = spool();
    spool.keep(&[observation(1)]).unwrap();
    let first = next(&mut spool);
    acknowledge(&mut spool, &first);
    spool.keep(&[observation(2), observation(3)]).unwrap();
    let forked = next(&mut spool);
    assert_eq!((forked.epoch, forked.sequence), (1_000, 2));
    assert_eq!(renew(&mut spool, 9_000), 9_000);
    let renewed = next(&mut spool);
    assert_eq!((renewed.epoch, renewed.sequence), (9_000, 1));
    let header = read(&renewed).header().clone();
    assert_eq!(
        (header.epoch, header.sequence, header.previous),
        (9_000, 1, None)
    );
    assert_eq!(observations(&renewed), observations(&forked));
    assert_eq!(spool.contents().unwrap().batches, 1);
}

#[test]
fn epochs_grow_even_where_the_clock_was_set_back() {
    let (_folder, mut spool) = spool();
    assert_eq!(renew(&mut spool, 5), 1_001);
    assert_eq!(renew(&mut spool, 5), 1_002);
    assert_eq!(renew(&mut spool, 2_000), 2_000);
}

#[test]
fn observations_that_cannot_be_read_are_left_out_and_counted_and_keep_nothing_back() {
    let (_folder, mut spool) = spool();
    let poison = |spool: &Spool, rows: u32| {
        for _ in 0..rows {
            spool
                .connection
                .execute(
                    "INSERT INTO observation (json) VALUES ('{\"metric\":1}')",
                    [],
                )
                .unwrap();
        }
    };
    poison(&spool, u32::from(MAX_OBSERVATIONS) + 1);
    spool.keep(&[observation(7)]).unwrap();
    poison(&spool, 1);
    spool.keep(&[observation(-7)]).unwrap();
    assert_eq!(observations(&next(&mut spool)), [observation(7)]);
    let contents = spool.contents().unwrap();
    assert_eq!(contents.unreadable, u64::from(MAX_OBSERVATIONS) + 3);
    assert_eq!(contents.observations, 0);
}

#[test]
fn a_batch_is_never_larger_than_the_collector_takes() {
    let (_folder, mut spool) = spool();
    let long = "\u{1}".repeat(200);
    let vantage = Vantage {
        interface: Some(long.clone()),
        ..Vantage::default()
    };
    // Each is a series of its own: a batch has most beside its observations then.
    let large = |number: u16| {
        Observation::new(
            Metric::new(Segment::Line, Quantity::Rtt),
            UnixMillis(i64::MAX),
            vantage.clone(),
            format!("{number}{long}"),
            Outcome::Failed(Failure::new(FailureReason::NameResolution, &long)),
        )
    };
    let all: Vec<_> = (0..MAX_OBSERVATIONS).map(large).collect();
    spool.keep(&all).unwrap();
    let mut n_observations = 0;
    while let Some(sealed) = next_of(&mut spool) {
        assert!(sealed.body.len() <= MAX_BATCH_BYTES);
        n_observations += observations(&sealed).len();
        acknowledge(&mut spool, &sealed);
    }
    assert_eq!(n_observations, usize::from(MAX_OBSERVATIONS));
}

fn look(up_ms: i64, wall_ms: i64, synchronised: bool) -> Look {
    Look {
        up_ms,
        wall_ms,
        synchronised,
        since_sync_s: synchronised.then_some(7),
    }
}

const TODAY: i64 = 1_795_370_000_000;

fn header(batch: &SealedBatch) -> crate::wire::batch::Header {
    read(batch).header().clone()
}

#[test]
fn only_the_owner_may_read_a_spool_and_its_journals_also_one_of_an_older_program() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, mut spool) = spool();
    let check = |spool: &mut Spool| {
        spool.keep(&[observation(1)]).unwrap();
        for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
            let of = std::fs::metadata(folder.path().join(name)).unwrap();
            assert_eq!(of.permissions().mode() & 0o777, 0o600, "{name}");
        }
    };
    check(&mut spool);
    drop(spool);
    let all = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("spool.db"), all).unwrap();
    check(&mut open(&folder, 1));
}

#[test]
fn a_spool_of_an_older_program_is_read_and_sent_as_it_was_stamped() {
    let folder = tempfile::tempdir().unwrap();
    let old = open_shared(&folder.path().join("spool.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE observation (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;",
    )
    .unwrap();
    let json = serde_json::to_string(&observation(7)).unwrap();
    old.execute("INSERT INTO observation (json) VALUES (?1)", [json])
        .unwrap();
    drop(old);
    let mut spool = open(&folder, 1);
    let batch = next(&mut spool);
    assert_eq!(observations(&batch), [observation(7)]);
    assert_eq!(header(&batch).clock, None);
}

#[test]
fn a_look_makes_nothing_and_sees_nothing_in_a_file_that_is_only_just_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let looked = || {
        let (contents, receipt) = Spool::look_into(&path).unwrap();
        (contents, receipt.is_some())
    };
    let nothing = (Contents::default(), false);
    assert_eq!(looked(), nothing);
    assert!(!path.exists());
    drop(open_shared(&path).unwrap());
    assert_eq!(looked(), nothing);
    let mut spool = open(&folder, 5);
    spool.keep(&[observation(1)]).unwrap();
    assert_eq!(looked().0.observations, 1);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_next_one_has_a_later_epoch_and_tells_of_it() {
    for (at, octets) in [(0, &b"no database"[..]), (4_096, &[0xff; 8_192][..])] {
        let (folder, mut spool) = spool();
        let many: Vec<_> = (1..200).map(observation).collect();
        spool.keep(&many).unwrap();
        drop(spool);
        let path = folder.path().join("spool.db");
        let mut file = std::fs::read(&path).unwrap();
        file[at..at + octets.len()].copy_from_slice(octets);
        std::fs::write(&path, file).unwrap();
        let mut spool = open(&folder, 5_000);
        assert!(folder.path().join("spool.db.damaged").exists());
        assert_eq!(spool.contents().unwrap().set_aside, 1);
        spool.keep(&[observation(9_000)]).unwrap();
        let batch = next(&mut spool);
        assert_eq!((batch.epoch, batch.sequence), (5_000, 1));
        let [omitted] = header(&batch).omitted.try_into().unwrap();
        assert_eq!(
            (omitted.why, omitted.to, omitted.count),
            (Why::Damaged, 5_000, None)
        );
    }
}

#[test]
fn a_torn_end_is_cut_and_counted_and_the_numbers_begin_anew() {
    let (folder, mut spool) = spool();
    spool.begin("boot", look(0, 1_000, true), 1_000).unwrap();
    for at in 1_001..1_004 {
        spool.keep(&[observation(at)]).unwrap();
    }
    let other = tempfile::tempdir().unwrap();
    let copied = |name: &str| {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        (other.path().join(name), bytes)
    };
    let (path, bytes) = copied("spool.db");
    std::fs::write(path, bytes).unwrap();
    let (path, mut bytes) = copied("spool.db-wal");
    // The last frame of this journal; what comes after it is left over from an earlier one.
    let frames = bytes[32..].chunks_exact(24 + 4_096);
    let of_this = frames
        .take_while(|frame| frame[8..16] == bytes[16..24])
        .count();
    bytes[32 + of_this * (24 + 4_096) - 2_000] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let mut spool = open(&other, 5_000);
    spool
        .begin("other boot", look(9_000, 10_000, true), 1_000)
        .unwrap();
    let contents = spool.contents().unwrap();
    assert_eq!(
        (contents.observations, contents.cut, contents.gaps),
        (2, 1, 1)
    );
    let batch = next(&mut spool);
    assert_eq!((batch.epoch, batch.sequence), (10_000, 1));
    let [omitted] = header(&batch).omitted.try_into().unwrap();
    let gap = (omitted.why, omitted.from, omitted.to);
    assert_eq!(gap, (Why::PowerLoss, 1_000, 10_000));
}

#[test]
fn the_bulk_of_light_probes_is_thinned_first_and_each_that_goes_is_told_once() {
    let (_folder, mut spool) = spool();
    spool.bounds = Bounds {
        bytes: 300_000,
        at_once: 500,
        ..spool.bounds
    };
    let capacity = Metric::new(
        Segment::Line,
        Quantity::Goodput(messnetz_metric::Direction::Down),
    );
    let rate = Outcome::Value(Value::new(capacity.quantity.unit(), 94_000_000));
    let mut kept = 0;
    for at in 1..=3_000 {
        spool.keep(&[observation(at)]).unwrap();
        kept += 1;
        if at % 100 == 0 {
            let test = Observation::new(
                capacity,
                UnixMillis(at),
                Vantage::default(),
                "c",
                rate.clone(),
            );
            spool.keep(&[test]).unwrap();
            kept += 1;
        }
        assert!(thinning::used_bytes(&spool.connection).unwrap() <= 300_000);
    }
    let given_up = spool.contents().unwrap().given_up;
    assert!(given_up > 1_000, "{given_up}");
    let (mut left, mut told, mut tests) = (0, 0, 0);
    let mut recent = 0;
    while let Some(batch) = next_of(&mut spool) {
        for one in observations(&batch) {
            left += 1;
            tests += u64::from(one.metric == capacity);
            recent += u64::from(one.at.0 > 2_900 && one.metric != capacity);
        }
        for omitted in header(&batch).omitted {
            assert_eq!(
                (omitted.why, omitted.metric),
                (Why::Full, Some(observation(1).metric))
            );
            assert!(omitted.from >= 1 && omitted.to <= 3_000);
            told += omitted.count.unwrap();
        }
        acknowledge(&mut spool, &batch);
    }
    assert_eq!((left + told, told, tests), (kept, given_up, 30));
    assert_eq!(recent, 100, "the newest are whole");
}

#[test]
fn where_only_what_is_precious_is_left_the_oldest_goes() {
    let (_folder, mut spool) = spool();
    spool.bounds = Bounds {
        bytes: 150_000,
        at_once: 50,
        ..spool.bounds
    };
    for at in 1..=2_000 {
        let failed = Outcome::Failed(Failure::new(FailureReason::Timeout, "no answer"));
        let failed = Observation {
            outcome: failed,
            ..observation(at)
        };
        spool.keep(&[failed]).unwrap();
    }
    let batch = next(&mut spool);
    let first = observations(&batch)[0].at.0;
    assert!(first > 500, "{first}");
    let [omitted] = header(&batch).omitted.try_into().unwrap();
    assert_eq!((omitted.from, omitted.to), (1, first.unsigned_abs() - 1));
    assert_eq!(omitted.count, Some(first.unsigned_abs() - 1));
}

#[test]
fn what_waits_for_a_quarter_of_a_year_is_given_up_and_told() {
    let (_folder, mut spool) = spool();
    let day = 24 * 60 * 60 * 1_000;
    for at in [day, 2 * day, 92 * day] {
        spool.keep(&[observation(at)]).unwrap();
    }
    let batch = next(&mut spool);
    assert_eq!(
        observations(&batch),
        [observation(2 * day), observation(92 * day)]
    );
    let [omitted] = header(&batch).omitted.try_into().unwrap();
    assert_eq!((omitted.why, omitted.count), (Why::Age, Some(1)));
}

#[test]
fn a_full_disk_costs_what_does_not_fit_and_is_told_when_there_is_room_again() {
    let (_folder, mut spool) = spool();
    let many: Vec<_> = (1..=1_000).map(observation).collect();
    spool.keep(&many).unwrap();
    let pages = |spool: &Spool, most: i64| {
        let set = format!("PRAGMA max_page_count = {most}");
        let _: i64 = spool
            .connection
            .query_row(&set, [], |row| row.get(0))
            .unwrap();
    };
    let failed = Outcome::Failed(Failure::new(FailureReason::Timeout, "no answer"));
    let precious = |at| Observation {
        outcome: failed.clone(),
        ..observation(at)
    };
    // Nothing that could be thinned, and no page more.
    spool
        .connection
        .execute("UPDATE observation SET level = 0", [])
        .unwrap();
    spool.bounds.at_once = 0;
    pages(&spool, 1);
    let more: Vec<_> = (2_000..3_000).map(precious).collect();
    for one in more.chunks(100) {
        spool.keep(one).unwrap();
    }
    assert!(spool.disk_full);
    let kept_meanwhile = spool.contents().unwrap().observations;
    assert!((1_000..2_000).contains(&kept_meanwhile));
    pages(&spool, 1_000_000);
    spool.keep(&[precious(4_000)]).unwrap();
    assert!(!spool.disk_full);
    let batch = next(&mut spool);
    let omitted = header(&batch).omitted;
    assert!(omitted.iter().all(|one| one.why == Why::DiskFull));
    let told: u64 = omitted.iter().filter_map(|one| one.count).sum();
    assert_eq!(told + kept_meanwhile, 2_000);
    assert_eq!(observations(&batch).len() as u64, kept_meanwhile + 1);
}

#[test]
fn on_a_full_disk_light_probes_make_room_for_what_is_measured_now() {
    let (_folder, mut spool) = spool();
    let many: Vec<_> = (1..=4_000).map(observation).collect();
    spool.keep(&many).unwrap();
    let set = "PRAGMA max_page_count = 1";
    let _: i64 = spool
        .connection
        .query_row(set, [], |row| row.get(0))
        .unwrap();
    for at in 5_000..6_000 {
        spool.keep(&[observation(at)]).unwrap();
    }
    assert!(!spool.disk_full);
    let newest = spool.contents().unwrap();
    assert_eq!(newest.given_up + newest.observations, 5_000);
}

#[test]
fn what_waits_to_be_flushed_is_flushed_within_half_a_minute_and_not_before() {
    let (_folder, mut spool) = spool();
    spool.begin("boot", look(0, TODAY, true), TODAY).unwrap();
    spool.tend(look(1_000, TODAY + 1_000, true), None).unwrap();
    assert_eq!(
        spool.contents().unwrap().flushed_until,
        Some(UnixMillis(1_000))
    );
    spool.keep(&[observation(TODAY + 2_000)]).unwrap();
    let mut flushed_at = None;
    for up_ms in (5_000..60_000).step_by(5_000) {
        spool
            .tend(look(up_ms, TODAY + up_ms, true), Some(5_000_000))
            .unwrap();
        if flushed_at.is_none() && spool.contents().unwrap().unflushed == 0 {
            flushed_at = Some(up_ms);
        }
    }
    assert_eq!(flushed_at, Some(20_000), "18 s after it was kept");
    let contents = spool.contents().unwrap();
    assert_eq!(contents.flushed_until, Some(UnixMillis(TODAY + 2_000)));
    assert_eq!(contents.bytes_a_day, Some(5_000_000));
}

#[test]
fn a_boot_after_an_agent_that_did_not_stop_is_a_gap_and_any_other_start_is_none() {
    let (folder, mut spool) = spool();
    let at = |up_ms: i64| look(up_ms, TODAY + up_ms, true);
    spool.begin("first", at(0), TODAY).unwrap();
    spool.keep(&[observation(TODAY + 10)]).unwrap();
    drop(spool);
    // Killed, and started again.
    let mut spool = open(&folder, TODAY);
    spool.begin("first", at(1_000), TODAY).unwrap();
    spool.stop().unwrap();
    drop(spool);
    // Stopped, and booted.
    let mut spool = open(&folder, TODAY);
    spool.begin("second", at(9_000), TODAY).unwrap();
    assert_eq!(spool.contents().unwrap().gaps, 0);
    spool.keep(&[observation(TODAY + 9_010)]).unwrap();
    spool.tend(at(9_100), None).unwrap();
    spool.tend(at(30_000), None).unwrap();
    drop(spool);
    // The power was cut; after it the clock stands in 1970 at first.
    let mut spool = open(&folder, 0);
    spool.begin("third", look(500, 700, false), 200).unwrap();
    spool.keep(&[observation(200 + 600)]).unwrap();
    spool
        .tend(look(1_000, TODAY + 1_000_000, true), None)
        .unwrap();
    let mut gaps = Vec::new();
    let mut times = Vec::new();
    while let Some(batch) = next_of(&mut spool) {
        gaps.extend(header(&batch).omitted);
        times.extend(observations(&batch).iter().map(|one| one.at.0 - TODAY));
        acknowledge(&mut spool, &batch);
    }
    let [gap] = gaps.try_into().unwrap();
    assert_eq!((gap.why, gap.count), (Why::PowerLoss, None));
    let (from, to) = (gap.from.cast_signed() - TODAY, gap.to.cast_signed() - TODAY);
    assert_eq!((from, to), (9_010, 999_500));
    assert_eq!(times, [10, 9_010, 999_600]);
}

#[test]
fn what_was_measured_in_1970_is_sent_once_the_clock_is_right_and_then_with_the_right_time() {
    let (_folder, mut spool) = spool();
    spool
        .begin("boot", look(5_000, 6_000, false), 1_000)
        .unwrap();
    for up_ms in [6_000, 66_000] {
        spool.keep(&[observation(1_000 + up_ms)]).unwrap();
    }
    assert_eq!(next_of(&mut spool), None, "nobody knows yet when that was");
    spool.tend(look(200_000, TODAY, true), None).unwrap();
    assert_eq!(spool.offset_ms(), Some(TODAY - 200_000));
    let batch = next(&mut spool);
    let times: Vec<i64> = observations(&batch)
        .iter()
        .map(|one| one.at.0 - TODAY)
        .collect();
    assert_eq!(times, [-194_000, -134_000]);
    let clock = header(&batch).clock.unwrap();
    assert!(clock.synchronised && clock.dated);
    assert_eq!(
        (clock.offset, clock.since_sync, clock.stepped),
        (TODAY - 200_000, Some(7), 0)
    );
}

#[test]
fn what_never_gets_a_time_is_sent_in_its_order_and_said_to_have_none() {
    let (folder, mut spool) = spool();
    spool
        .begin("boot", look(5_000, 6_000, false), 1_000)
        .unwrap();
    spool.keep(&[observation(7_000)]).unwrap();
    drop(spool);
    let mut spool = open(&folder, 1);
    spool
        .begin("later boot", look(0, TODAY, true), TODAY)
        .unwrap();
    spool.keep(&[observation(TODAY + 1)]).unwrap();
    let first = next(&mut spool);
    acknowledge(&mut spool, &first);
    let second = next(&mut spool);
    assert!(!header(&first).clock.unwrap().dated && !read(&first).header().is_dated());
    assert!(header(&second).clock.unwrap().dated);
    assert_eq!(observations(&first)[0].at, UnixMillis(7_000));
}

#[test]
fn a_clock_that_is_set_while_measuring_moves_no_time_and_is_told() {
    let (_folder, mut spool) = spool();
    spool.begin("boot", look(0, TODAY, true), TODAY).unwrap();
    spool.keep(&[observation(TODAY + 1_000)]).unwrap();
    let month = 30 * 24 * 3_600_000;
    spool
        .tend(look(2_000, TODAY + 2_000 + month, true), None)
        .unwrap();
    spool.keep(&[observation(TODAY + 3_000)]).unwrap();
    let batch = next(&mut spool);
    let times: Vec<i64> = observations(&batch)
        .iter()
        .map(|one| one.at.0 - TODAY)
        .collect();
    assert_eq!(times, [1_000, 3_000]);
    assert_eq!(header(&batch).clock.unwrap().stepped, month);
}

#[test]
fn a_clock_that_becomes_right_late_names_another_stretch_for_all_that_is_not_sent() {
    let (_folder, mut spool) = spool();
    let old = TODAY - 86_400_000;
    spool
        .begin("boot", look(200_000, old, false), old - 200_000)
        .unwrap();
    spool.keep(&[observation(old + 1_000)]).unwrap();
    let first = next(&mut spool);
    acknowledge(&mut spool, &first);
    spool.keep(&[observation(old + 2_000)]).unwrap();
    spool.tend(look(203_000, TODAY, true), None).unwrap();
    let second = next(&mut spool);
    let (first, second) = (
        header(&first).clock.unwrap(),
        observations_and_clock(&second),
    );
    assert!(!first.synchronised && second.1.synchronised);
    assert_ne!(first.boot, second.1.boot);
    assert_eq!(second.0, [TODAY - 1_000]);
}

fn observations_and_clock(batch: &SealedBatch) -> (Vec<i64>, crate::wire::batch::Clock) {
    let times = observations(batch).iter().map(|one| one.at.0).collect();
    (times, header(batch).clock.unwrap())
}

#[test]
#[ignore = "it counts what this process writes, so that nothing else may run beside it: cargo xtask faults wear"]
fn a_day_of_watching_writes_no_more_than_a_flash_card_bears() {
    const MOST_BYTES: u64 = 200_000_000;
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder, TODAY);
    spool.begin("boot", look(0, TODAY, true), TODAY).unwrap();
    let written = || super::super::wear::written().expect("the kernel counts what is written");
    let before = written();
    let (mut kept, mut batches) = (0, 0);
    let probes = |at: i64, each: usize| {
        let of = |metric: Metric| {
            let outcome = Outcome::Value(Value::new(metric.quantity.unit(), 9_000 + at % 4_001));
            Observation {
                metric,
                outcome,
                ..observation(TODAY + at)
            }
        };
        Metric::all()
            .step_by(5)
            .take(each)
            .map(of)
            .collect::<Vec<_>>()
    };
    for up_ms in (0..24 * 3_600_000).step_by(5_000) {
        // A watch tells seven quantities each minute, and services are asked every five; both are in time with the
        // upload, which comes every half minute, so that there are as many batches as there can be.
        let mut observations = Vec::new();
        if up_ms % 60_000 == 0 {
            observations.extend(probes(up_ms, 7));
        }
        if up_ms % 300_000 == 30_000 {
            observations.extend(probes(up_ms, 5));
        }
        if !observations.is_empty() {
            kept += observations.len();
            spool.keep(&observations).unwrap();
        }
        spool.tend(look(up_ms, TODAY + up_ms, true), None).unwrap();
        if up_ms % 30_000 == 25_000
            && let Some(batch) = next_of(&mut spool)
        {
            acknowledge(&mut spool, &batch);
            batches += 1;
        }
    }
    drop(spool);
    let bytes = written() - before;
    println!(
        "{kept} observations in {batches} batches: {:.1} MB a day",
        bytes as f64 / 1e6
    );
    assert!(
        bytes > 0,
        "the temporary folder is in memory: set TMPDIR to one on a disk"
    );
    assert!(bytes < MOST_BYTES, "{bytes}");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    /// Whatever somebody wrote into the file: it is read to its end.
    #[test]
    fn whatever_stands_in_its_rows_is_sealed_or_left_out_and_comes_to_an_end(
        rows in proptest::collection::vec(
            ("[ -~]{0,40}|\\{\"metric\":\"line.rtt\",\"at\":-?[0-9]{1,19},\"vantage\":\\{\"medium\":\"wired\"\\},\"peer\":\"c\",\"unit\":\"us\",\"value\":-?[0-9]{1,18}\\}",
             proptest::option::of(-2..4_i64), -2..6_i64),
            0..30,
        ),
        omitted in proptest::collection::vec(("[ -~]{0,30}", "\"full\"|[ -~]{0,9}", proptest::num::i64::ANY, proptest::option::of(proptest::num::i64::ANY)), 0..5),
        offset in proptest::num::i64::ANY,
        counters in proptest::collection::vec(
            (proptest::sample::select(vec![EPOCH, SEQUENCE, FLUSHED, FLUSHED_ID, RUNNING, PAST, CUT]), 0..i64::MAX / 2),
            0..4,
        ),
    ) {
        let (folder, mut spool) = spool();
        spool.begin("boot", look(5, TODAY, true), 0).unwrap();
        for (json, boot, level) in rows {
            let insert = "INSERT INTO observation (json, boot, level) VALUES (?1, ?2, ?3)";
            spool.connection.execute(insert, params![json, boot, level]).unwrap();
        }
        for (series, why, at, number) in omitted {
            let insert = "INSERT INTO omitted (series, why, since, until, until_boot, number) VALUES (?1, ?2, ?3, ?3, 1, ?4)";
            spool.connection.execute(insert, params![series, why, at / 2, number]).unwrap();
        }
        let update = "UPDATE boot SET clock_offset = ?1, name = 'no name' WHERE ?1 % 2 = 0";
        spool.connection.execute(update, params![offset / 2]).unwrap();
        for (name, value) in counters {
            set(&spool.connection, name, value).unwrap();
        }
        drop(spool);
        let mut spool = open(&folder, 7);
        let _ = spool.begin("other", look(9, 9, false), 0);
        let _ = spool.keep(&[observation(1)]);
        let _ = spool.tend(look(TODAY, TODAY, true), None);
        let _ = spool.contents().unwrap();
        for _ in 0..40 {
            match with_sealer(|sealer| spool.next_batch(sealer)) {
                Ok(Some(batch)) => spool.refused(&batch, "no").unwrap(),
                Ok(None) | Err(_) => break,
            }
        }
        proptest::prop_assert_eq!(spool.contents().unwrap().observations, 0);
    }
}
