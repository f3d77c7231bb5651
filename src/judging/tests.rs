//! Claims about what is judged out of a store.

use std::ops::RangeInclusive;
use std::time::Duration;

use messnetz_metric::{
    Direction, Metric, Observation, Outcome, Quantity, Segment, Tester, Value, Vantage,
};
use messnetz_sites::period::Period;
use messnetz_sites::trend::Outlook;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::store::{Admission, Extent, Signer, SqliteStore, TombstoneSigner as _};
use crate::wire::batch::{Batch, Link};
use crate::wire::{AgentId, CollectorId, TicketSecret};

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const IN_2099: UnixMillis = UnixMillis(4_080_000_000_000);

fn store_with(
    site: &SiteId,
    observations: Vec<(Metric, UnixMillis, u64)>,
) -> (tempfile::TempDir, SqliteStore) {
    let observation = |(metric, at, number): (Metric, UnixMillis, u64)| Observation {
        metric,
        at,
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::new(metric.quantity.unit(), number.cast_signed())),
    };
    let observations: Vec<_> = observations.into_iter().map(observation).collect();
    stored(site, &observations)
}

fn stored(site: &SiteId, observations: &[Observation]) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    store.store_batch(&batch(site, observations), NOW).unwrap();
    (folder, store)
}

fn batch(site: &SiteId, observations: &[Observation]) -> Batch {
    let link = Link {
        collector: CollectorId::of_key(&[9; 32]),
        agent: AgentId::of_key(&[1; 32]),
        site: site.to_string(),
        epoch: 1,
        sequence: 1,
        previous: None,
    };
    Batch::new(&link, observations).unwrap()
}

#[test]
fn a_sample_dated_2099_neither_counts_nor_is_the_last_port_speed() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = authority.sites().next().unwrap();
    let down = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
    let speed = Metric::new(Segment::Lan, Quantity::LinkSpeed);
    let soon = UnixMillis(NOW.0 + CLOCK_AHEAD_MS);
    let honest = vec![(down, NOW, 1), (down, soon, 1), (speed, NOW, 1_000_000_000)];
    let wrong = vec![(down, IN_2099, 9_000_000_000), (speed, IN_2099, 10_000_000)];
    let (_folder, without) = store_with(&site.id, honest.clone());
    let (_folder_2, with) = store_with(&site.id, [honest, wrong].concat());
    let judged = |store: &SqliteStore| {
        let report = judge(&authority, Catalogue::built_in(), store, NOW, Cycle::Month).unwrap();
        serde_json::to_value(&report).unwrap()
    };
    assert_eq!(judged(&with), judged(&without));
    let report = judge(&authority, Catalogue::built_in(), &with, NOW, Cycle::Month).unwrap();
    let counted = report
        .rows
        .iter()
        .filter(|row| row.judgement.site == site.id)
        .map(|row| row.judgement.samples)
        .max();
    assert_eq!(
        counted,
        Some(2),
        "a clock that is minutes ahead still counts"
    );
}

/// One test in the evening of each of these days, counted from 1970-01-01.
fn daily(days: RangeInclusive<i32>, mbps: u64) -> Vec<(Metric, UnixMillis, u64)> {
    let down = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
    let zone = messnetz_sites::calendar::Zone::default();
    let evening = |day| UnixMillis(zone.numbered_day_begins(day).0 + 20 * 3_600_000);
    days.map(|day| (down, evening(day), mbps * 1_000_000))
        .collect()
}

fn month(month: u8) -> RangeInclusive<i32> {
    Period::Month { year: 2026, month }.days()
}

/// The row of 30 Mbit/s for each of 12 classes: 390, tolerated 351.
fn row_of_the_classes(store: &dyn Store, cycle: Cycle) -> Row {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let report = judge(&authority, Catalogue::built_in(), store, NOW, cycle).unwrap();
    let is_it = |row: &Row| row.judgement.target.as_str() == "de-aufgreifschwelle-30/down";
    report.rows.into_iter().find(is_it).unwrap()
}

#[test]
fn the_month_that_is_over_speaks_and_the_running_one_stands_beside_it() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    // It is 28 May. March is too long ago.
    let may = *month(5).start()..=*month(5).start() + 21;
    let (_folder, both) = store_with(
        site,
        [
            daily(month(3), 10),
            daily(month(4), 382),
            daily(may.clone(), 100),
        ]
        .concat(),
    );
    let row = row_of_the_classes(&both, Cycle::Month);
    let told = |judgement: &Judgement| {
        let period = judgement.period.unwrap().to_string();
        (
            period,
            judgement.verdict.kind(),
            judgement.samples,
            judgement.days,
        )
    };
    let april = ("2026-04".to_owned(), VerdictKind::Met, 30, 30);
    assert_eq!(told(&row.judgement), april);
    assert_eq!(row.cause, None);
    let running = row.running.as_ref().unwrap();
    let expected = ("2026-05".to_owned(), VerdictKind::Missed, 22, 22);
    assert_eq!(told(running), expected);
    let text = Text::new(crate::text::Language::En);
    assert_eq!(
        text.periods(&row.judgement, row.running.as_ref()),
        "2026-04 (closed); 2026-05 (provisional): \u{2718} missed"
    );
    // What the verdict names finds its samples, and no others.
    let query = row.judgement.query.unwrap();
    let times = query.from..=query.to;
    let window = authority.calendar.window(&query.window.unwrap()).unwrap();
    let wanted = Wanted {
        site: &query.site,
        metric: query.metric,
        times,
        window: Some(&window),
        peer: query.peer.as_deref(),
    };
    let found = samples(&authority, &both, &wanted).unwrap().samples;
    assert_eq!(found.len(), 30);
    assert!(found.iter().all(|sample| month(4).contains(&sample.day)));

    let (_folder, running_only) = store_with(site, daily(may, 100));
    let row = row_of_the_classes(&running_only, Cycle::Month);
    assert_eq!(told(&row.judgement), expected);
    assert_eq!(row.running, None);
    assert!(row.cause.is_some());

    let row = row_of_the_classes(&both, Cycle::SchoolYear);
    let expected = ("2025/26".to_owned(), VerdictKind::Missed, 83, 83);
    assert_eq!(told(&row.judgement), expected);
}

#[test]
fn a_port_that_was_replaced_in_may_changes_nothing_about_april() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let speed = Metric::new(Segment::Lan, Quantity::LinkSpeed);
    let zone = &authority.calendar.zone;
    let port = |day: i32, mbps: u64| (speed, zone.numbered_day_begins(day), mbps * 1_000_000);
    let april = [daily(month(4), 94), vec![port(*month(4).end(), 100)]].concat();
    let replaced = vec![port(*month(5).start(), 1_000)];
    let (_folder, before) = store_with(site, april.clone());
    let (_folder_2, after) = store_with(site, [april, replaced].concat());
    let told = |store: &SqliteStore| row_of_the_classes(store, Cycle::Month).judgement.verdict;
    assert_eq!(told(&before), told(&after));
    assert_eq!(told(&after).kind(), VerdictKind::Undecided);
}

#[test]
fn a_self_test_of_the_month_bounds_what_its_tests_could_show() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let ceiling = |tester| Metric::new(Segment::Agent, Quantity::Ceiling(tester));
    let at = authority.calendar.zone.numbered_day_begins(*month(4).end());
    let told = |tester, mbps: u64| {
        let own = vec![(ceiling(tester), at, mbps * 1_000_000)];
        let (_folder, store) = store_with(site, [daily(month(4), 94), own].concat());
        row_of_the_classes(&store, Cycle::Month)
    };
    let slow = told(Tester::Ndt7, 100);
    assert_eq!(slow.judgement.verdict.kind(), VerdictKind::Undecided);
    let ceiling = slow.judgement.ceiling.unwrap();
    assert_eq!((ceiling.port, ceiling.ceiling.as_mbps()), (None, 100.0));
    for (tester, mbps) in [(Tester::Ndt7, 900), (Tester::Iperf3, 100)] {
        let kind = told(tester, mbps).judgement.verdict.kind();
        assert_eq!(kind, VerdictKind::Missed, "{tester:?}");
    }
}

#[test]
fn a_month_in_which_everything_failed_is_not_forgotten_on_the_first() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let failed = |(metric, at, _): (Metric, UnixMillis, u64)| Observation {
        metric,
        at,
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Failed(messnetz_metric::Failure::new(
            messnetz_metric::FailureReason::Unreachable,
            "no route",
        )),
    };
    let observations: Vec<_> = daily(month(4), 0).into_iter().map(failed).collect();
    store.store_batch(&batch(site, &observations), NOW).unwrap();
    let row = row_of_the_classes(&store, Cycle::Month);
    assert_eq!(row.judgement.period.unwrap().to_string(), "2026-04");
    assert_eq!(row.judgement.failures, 30);
    assert!(row.running.is_some());
}

#[test]
fn months_that_fall_lead_to_the_month_in_which_the_target_is_missed() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let falling = [(1, 420), (2, 405), (3, 390), (4, 375)];
    let measured = falling
        .map(|(number, mbps)| daily(month(number), mbps))
        .concat();
    let (_folder, store) = store_with(site, measured);
    let trends = trends::trends(&authority, &store, NOW, 5).unwrap();
    let is_it =
        |id: &messnetz_sites::target::TargetId| id.as_str() == "de-aufgreifschwelle-30/down";
    let found = trends
        .sites
        .iter()
        .find(|trend| is_it(&trend.target))
        .unwrap();
    // 15 less every month: 360 in May, 345 < 351 in June.
    let june = Period::Month {
        year: 2026,
        month: 6,
    };
    assert_eq!(found.trend.outlook, Outlook::MissedFrom { month: june });
    let text = Text::new(crate::text::Language::En);
    assert_eq!(
        text.slope(found.last.as_ref(), &found.trend),
        "\u{2212}15\u{a0}Mbit/s (\u{2212}15\u{a0}Mbit/s to \u{2212}15\u{a0}Mbit/s)"
    );
    // The third school has profiles of its own.
    let schools = 2;
    let of_classes: Vec<_> = trends
        .months
        .iter()
        .filter(|month| is_it(&month.counts.target))
        .map(|month| {
            (
                month.period.to_string(),
                month.counts.met,
                month.counts.schools(),
            )
        })
        .collect();
    assert_eq!(of_classes.len(), 5, "the running month has its line too");
    assert_eq!(of_classes[0], ("2026-01".to_owned(), 1, schools));
    assert_eq!(of_classes[4], ("2026-05".to_owned(), 0, schools));
}

#[test]
fn a_test_during_lessons_does_not_count_for_a_target_of_the_hours_without() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let down = Metric::new(Segment::Line, Quantity::Goodput(Direction::Down));
    // Tuesday, 14 April 2026, 10:00 in Germany.
    let lesson = UnixMillis(1_776_153_600_000);
    let slow = vec![(down, lesson, 1_000_000)];
    let (_folder, store) = store_with(site, [daily(month(4), 382), slow].concat());
    let row = row_of_the_classes(&store, Cycle::Month);
    assert_eq!(row.judgement.samples, 30);
    assert_eq!(row.judgement.window.as_deref(), Some("off-lesson"));
    let mut wanted = Wanted {
        site,
        metric: down,
        times: UnixMillis(0)..=NOW,
        window: None,
        peer: None,
    };
    let all = samples(&authority, &store, &wanted).unwrap().samples;
    assert_eq!(all.len(), 31);
    let lessons = authority.calendar.window("lesson-hours").unwrap();
    wanted.window = Some(&lessons);
    let in_lessons = samples(&authority, &store, &wanted).unwrap().samples;
    assert_eq!(in_lessons.len(), 1);
    assert_eq!(in_lessons[0].at, lesson);
}

#[test]
fn a_test_whose_port_others_used_is_counted_as_disturbed() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let other = Metric::new(Segment::Lan, Quantity::OtherTraffic);
    let tests = daily(month(4), 382);
    // A tenth of the bytes were others' during the first test, less during the second.
    let beside = vec![(other, tests[0].1, 100_000), (other, tests[1].1, 99_999)];
    let (_folder, store) = store_with(site, [tests, beside].concat());
    let disturbed = row_of_the_classes(&store, Cycle::Month).judgement.disturbed;
    let disturbed = disturbed.unwrap();
    assert_eq!((disturbed.disturbed, disturbed.of), (1, 2));
}

#[test]
fn a_target_of_one_service_counts_what_was_measured_against_its_peer_alone() {
    let text = messnetz_sites::site::EXAMPLE
        .replacen("profiles = [", "profiles = [\"mep-ziel\", ", 1)
        .replacen("# [services]\n# ", "[services]\n", 1)
        .replacen(
            "profiles = [\"mep-ziel\", \"de-aufgreifschwelle-30\", ",
            "profiles = [\"mep-ziel\", ",
            1,
        );
    let authority = Authority::parse("authority.toml", &text).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let reachable = Metric::new(Segment::Service, Quantity::Reachable);
    let observation = |peer: &str, at| Observation {
        metric: reachable,
        at,
        vantage: Vantage::default(),
        peer: peer.to_owned(),
        outcome: Outcome::Value(Value::new(reachable.quantity.unit(), 1_000_000)),
    };
    let days = daily(month(4), 0);
    let observations = days.iter().flat_map(|(_, at, _)| {
        let elsewhere = UnixMillis(at.0 + 1);
        [
            observation("lernplattform.example", *at),
            observation("elsewhere.example", elsewhere),
        ]
    });
    let observations: Vec<_> = observations.collect();
    let (_folder, store) = stored(site, &observations);
    let report = judge(&authority, Catalogue::built_in(), &store, NOW, Cycle::Month).unwrap();
    let of = |target: &str| {
        let is_it =
            |row: &&Row| row.judgement.target.as_str() == target && row.judgement.site == *site;
        report.rows.iter().find(is_it).unwrap().judgement.clone()
    };
    let platform = of("mep-ziel/learning-platform");
    assert_eq!(platform.samples, 30);
    let peer = platform.query.unwrap().peer;
    assert_eq!(peer.as_deref(), Some("lernplattform.example"));
    let unnamed = of("mep-ziel/identity-service");
    assert_eq!(unnamed.verdict.kind(), VerdictKind::NoData);
}

/// The example with further profiles for its first two schools, and further lines in the first school's
/// inventory.
fn stating(profiles: &str, items: &str) -> Authority {
    let text = messnetz_sites::site::EXAMPLE
        .replacen("profiles = [", &format!("profiles = [{profiles}, "), 1)
        .replacen(
            "[school.inventory.items]\n",
            &format!("[school.inventory.items]\n{items}\n"),
            1,
        );
    Authority::parse("authority.toml", &text).unwrap()
}

fn without_measurements(authority: &Authority) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    judge(authority, Catalogue::built_in(), &store, NOW, Cycle::Month).unwrap()
}

#[test]
fn what_is_stated_is_judged_beside_what_is_measured_and_counted_with_it() {
    let mut authority = stating(
        "\"lan-mbk\"",
        "\"lan.poe\" = { value = false, on = \"2026-01-15\", from = \"Begehung\" }",
    );
    let missed: TargetId = "de-gigabit/full-fibre".parse().unwrap();
    authority.schools[1]
        .exceptions
        .push(messnetz_sites::site::Exception {
            target: missed.clone(),
            by: "Schulausschuss".to_owned(),
            reason: "Umbau".to_owned(),
            until: Day::new(2026, 12, 31).unwrap(),
        });
    let report = without_measurements(&authority);
    let rows: Vec<_> = report
        .stated
        .iter()
        .filter(|row| row.judgement.target == missed)
        .map(|row| {
            (
                row.id().unwrap(),
                row.judgement.verdict.kind(),
                row.judgement.whose.exceptions().count(),
                row.says_something(),
            )
        })
        .collect();
    let expected = [
        ("NW-100001", VerdictKind::Met, 0, true),
        ("NW-100002", VerdictKind::NoData, 1, true),
        ("NW-100003", VerdictKind::NoData, 0, false),
    ]
    .map(|(id, kind, exceptions, says)| (id.to_owned(), kind, exceptions, says));
    assert_eq!(rows, expected);
    let counted = report
        .coverage
        .iter()
        .find(|one| one.counts.target == missed)
        .unwrap();
    assert_eq!(counted.basis, Basis::Stated);
    assert_eq!((counted.counts.met, counted.counts.no_data), (1, 2));
    let bases: Vec<Basis> = report.coverage.iter().map(|one| one.basis).collect();
    let first_stated = bases.iter().position(|one| *one == Basis::Stated).unwrap();
    assert!(
        bases[..first_stated]
            .iter()
            .all(|one| *one == Basis::Measured)
    );
    assert!(
        bases[first_stated..]
            .iter()
            .all(|one| *one == Basis::Stated)
    );
    assert_eq!(
        report.not_stated(),
        report.stated.len()
            - report
                .stated
                .iter()
                .filter(|row| row.judgement.stated.is_some())
                .count()
    );
    assert!(!report.has_missed(), "what nobody has stated is not missed");
}

#[test]
fn what_is_stated_to_be_missing_is_a_missed_target() {
    let text = messnetz_sites::site::EXAMPLE.replacen(
        "\"line.full-fibre\" = { value = true",
        "\"line.full-fibre\" = { value = false",
        1,
    );
    let authority = Authority::parse("authority.toml", &text).unwrap();
    assert!(without_measurements(&authority).has_missed());
}

#[test]
fn a_target_of_sites_has_a_row_for_each_and_one_of_the_authority_a_single_one() {
    let overlap =
        "\"wlan.cell-overlap\" = { value = 25, on = \"2026-01-15\", from = \"Begehung\" }";
    let authority = stating("\"wlan-voice-grade\", \"support-gew\"", overlap);
    let report = without_measurements(&authority);
    let rows = |target: &str| -> Vec<(Option<String>, usize, VerdictKind)> {
        let rows = report.stated.iter();
        rows.filter(|row| row.judgement.target.as_str() == target)
            .map(|row| {
                let judgement = &row.judgement;
                (
                    row.id(),
                    judgement.whose.schools().len(),
                    judgement.verdict.kind(),
                )
            })
            .collect()
    };
    let site = |id: &str, kind| (Some(id.to_owned()), 1, kind);
    assert_eq!(
        rows("wlan-voice-grade/cell-overlap"),
        [
            site("NW-100001/main", VerdictKind::Met),
            site("NW-100002/main", VerdictKind::NoData),
            site("NW-100002/annex", VerdictKind::NoData),
        ]
    );
    let of_all = authority
        .known
        .iter()
        .find(|one| one.id.as_str() == "support-gew")
        .unwrap();
    let target = of_all.inventory[0].id.as_str();
    assert_eq!(rows(target), [(None, 2, VerdictKind::NoData)]);
    assert_eq!(
        report.stated[0].judgement.target.as_str(),
        target,
        "the whole comes first"
    );
}

#[test]
fn what_is_stated_of_a_school_says_nothing_of_one_of_its_sites() {
    let overlap =
        "\"wlan.cell-overlap\" = { value = 25, on = \"2026-01-15\", from = \"Begehung\" }";
    let mut authority = stating("\"wlan-voice-grade\"", overlap);
    let stated = authority.schools[0].inventory.clone();
    authority.schools[1].inventory = stated.clone();
    let kinds = |authority: &Authority| -> Vec<VerdictKind> {
        let rows = super::stated(authority, Day::new(2026, 5, 28));
        rows.iter()
            .filter(|row| row.judgement.target.as_str() == "wlan-voice-grade/cell-overlap")
            .map(|row| row.judgement.verdict.kind())
            .collect()
    };
    let (met, open) = (VerdictKind::Met, VerdictKind::NoData);
    assert_eq!(kinds(&authority), [met, open, open]);
    authority.schools[1].sites[1].inventory = stated;
    assert_eq!(kinds(&authority), [met, open, met]);
}

#[test]
fn data_that_comes_after_a_month_was_closed_reopens_its_verdict_and_says_so() {
    let authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    let site = &authority.sites().next().unwrap().id;
    let april = daily(month(4), 382);
    let observation = |(metric, at, number): &(Metric, UnixMillis, u64)| Observation {
        metric: *metric,
        at: *at,
        vantage: Vantage::default(),
        peer: "collector".to_owned(),
        outcome: Outcome::Value(Value::new(metric.quantity.unit(), number.cast_signed())),
    };
    let of = |days: RangeInclusive<usize>| -> Vec<Observation> {
        april[days].iter().map(observation).collect()
    };
    let numbered = |before: Option<&Batch>, observations: &[Observation]| {
        let link = Link {
            collector: CollectorId::of_key(&[9; 32]),
            agent: AgentId::of_key(&[1; 32]),
            site: site.to_string(),
            epoch: 1,
            sequence: before.map_or(0, |batch| batch.header().sequence) + 1,
            previous: before.map(Batch::hash),
        };
        Batch::new(&link, observations).unwrap()
    };
    let closed_at = authority
        .calendar
        .zone
        .numbered_day_begins(*month(5).start());
    let hours = |hours: i64| UnixMillis(closed_at.0 + hours * 3_600_000);
    let first = numbered(None, &of(10..=19));
    let second = numbered(Some(&first), &of(20..=29));
    let third = numbered(Some(&second), &of(0..=9));
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let judged = |batch: &Batch, at| {
        store.store_batch(batch, at).unwrap();
        let row = row_of_the_classes(&store, Cycle::Month);
        assert_eq!(row.judgement.period.unwrap().to_string(), "2026-04");
        (row.judgement.samples, row.reopened)
    };
    // What comes within a day after the end is in time: batches are on their way.
    assert_eq!(judged(&first, hours(24)), (10, None));
    let reopened = |samples, behind, received_at| Reopened {
        samples,
        behind,
        received_at,
    };
    let once = reopened(10, 0, hours(25));
    assert_eq!(judged(&second, hours(25)), (20, Some(once)));
    let twice = reopened(20, 10, hours(30));
    assert_eq!(judged(&third, hours(30)), (30, Some(twice)));
    let text = Text::new(crate::text::Language::En);
    assert_eq!(
        text.reopened(&twice),
        "re-opened: 20 samples came after it was closed, the last on 2026-05-02 04:00 UTC; \
         10 of them older than what the agent had sent before"
    );
    assert_eq!(store.forks().unwrap(), []);
}

/// A round trip every ten minutes of a month, in a batch a day, sealed by a collector that has this key.
fn month_of_round_trips(site: &SiteId) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let public = key.public_key().as_ref();
    let secret = TicketSecret::random().unwrap();
    let day = Duration::from_hours(24);
    let begin = UnixMillis(0);
    let site = site.to_string();
    store
        .add_ticket(&secret, &site, Admission::AtOnce, begin, day)
        .unwrap();
    let agent = store.redeem_ticket(&secret, &site, public, begin).unwrap();
    let agent = agent.unwrap().id;
    let metric = Metric::new(Segment::Line, Quantity::Rtt);
    let zone = messnetz_sites::calendar::Zone::default();
    let mut last: Option<Batch> = None;
    for day in month(3) {
        let begin = zone.numbered_day_begins(day).0;
        let observation = |number: i64| {
            let at = UnixMillis(begin + number * 600_000);
            let number = 9_000 + (i64::from(day) * 144 + number) * 7_919 % 1_024;
            let outcome = Outcome::Value(Value::new(metric.quantity.unit(), number));
            Observation::new(metric, at, Vantage::default(), "collector", outcome)
        };
        let link = Link {
            collector: Signer::numbered(9).id(),
            agent: agent.clone(),
            site: site.clone(),
            epoch: 1,
            sequence: last.as_ref().map_or(0, |last| last.header().sequence) + 1,
            previous: last.as_ref().map(Batch::hash),
        };
        let observations: Vec<Observation> = (0..144).map(observation).collect();
        let batch = Batch::new(&link, &observations).unwrap().signed_with(&key);
        let received_at = UnixMillis(begin + 86_400_000);
        store.store_batch(&batch, received_at).unwrap();
        last = Some(batch);
    }
    store.compact(NOW, Extent::All).unwrap();
    (folder, store)
}

#[test]
fn a_month_whose_samples_were_pruned_is_judged_by_its_roll_ups_which_is_said() {
    let mut authority = Authority::parse("authority.toml", messnetz_sites::site::EXAMPLE).unwrap();
    authority.profiles = authority.known.iter().map(|p| p.id.clone()).collect();
    authority.judging.independent = true;
    for school in &mut authority.schools {
        school.profiles = None;
    }
    let site = &authority.sites().next().unwrap().id;
    let (_folder, store) = month_of_round_trips(site);
    let zone = messnetz_sites::calendar::Zone::default();
    let in_april = zone.numbered_day_begins(*month(4).end());
    let judged = || {
        let report = judge(
            &authority,
            Catalogue::built_in(),
            &store,
            in_april,
            Cycle::Month,
        )
        .unwrap();
        let is_it = |row: &Row| row.judgement.target.as_str() == "voice-video/rtt";
        report.rows.into_iter().find(is_it).unwrap().judgement
    };
    let before = judged();
    assert_eq!(
        (before.verdict.kind(), before.rolled_up),
        (VerdictKind::Met, 0)
    );
    let pruned = store.prune(NOW, NOW, &Signer::numbered(9)).unwrap();
    assert_eq!(pruned.samples, 31 * 144);
    let after = judged();
    assert_eq!(after.verdict, before.verdict);
    assert_eq!(
        (after.days, after.window.clone()),
        (before.days, before.window.clone())
    );
    // Hours that a lesson begins or ends in are of both: they count no more.
    assert_eq!(after.rolled_up, after.samples);
    let share = after.samples as f64 / before.samples as f64;
    assert!((0.6..1.0).contains(&share), "{share}");
    let number = |judgement: &Judgement| judgement.observed.unwrap().number();
    assert!((number(&after) - number(&before)).abs() * 64 < number(&before));

    let trends = trends::trends(&authority, &store, in_april, 3).unwrap();
    let march = trends.rolled_up_until.map(|month| month.to_string());
    assert_eq!(march.as_deref(), Some("2026-03"));

    // What the judgement names finds the roll-ups that it rests on, and no others.
    let query = after.query.unwrap();
    let window = authority.calendar.window(&query.window.unwrap()).unwrap();
    let wanted = Wanted {
        site: &query.site,
        metric: query.metric,
        times: query.from..=query.to,
        window: Some(&window),
        peer: query.peer.as_deref(),
    };
    let found = samples(&authority, &store, &wanted).unwrap();
    assert!(found.samples.is_empty());
    let values = found.rolled.iter().flat_map(|hour| &hour.values);
    let count: u32 = values.map(|(_, count)| count).sum();
    assert_eq!(count as usize, after.samples);
}
