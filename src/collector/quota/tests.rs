//! Claims about what passes and what has to wait.

use super::*;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

fn agent(number: u8) -> AgentId {
    AgentId::of_key(&[number; 32])
}

fn load(observations: u64, bytes: u64, series: std::ops::Range<u64>) -> Load {
    Load {
        amounts: [1, observations, bytes],
        series: series.collect(),
    }
}

fn after(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

/// What the shipped schedule makes in thirty days, and what a box keeps at most: 600,000 observations.
/// A batch holds 4,000, and an observation takes far less than 100 bytes as it comes.
#[test]
fn a_backlog_of_thirty_days_passes_at_once_and_the_day_after_too() {
    let mut quotas = Quotas::new(Quota::default());
    // Both tasks of ICMP, STAMP and DNS every minute, HTTP and the port every five, capacity four times a day.
    let a_day = 1_440 * (5 + 5 + 12 + 1) + 288 * (2 + 8) + 8 * 25;
    let backlog: u64 = 30 * a_day;
    assert!(backlog > 600_000);
    let batches = backlog.div_ceil(u64::from(MAX_OBSERVATIONS));
    for index in 0..batches {
        let load = load(u64::from(MAX_OBSERVATIONS), 4_000 * 100, 0..60);
        let now = after(i64::try_from(index).unwrap());
        assert_eq!(quotas.take(&agent(1), &load, now), Ok(()), "{index}");
    }
    // And then day after day a batch every 30 seconds.
    for index in 0..2 * 2_880 {
        let load = load(a_day / 2_880 + 1, 5_000, 0..60);
        let now = after(1_000 + index * 30_000);
        assert_eq!(quotas.take(&agent(1), &load, now), Ok(()), "{index}");
    }
}

#[test]
fn a_backlog_of_small_batches_passes_too() {
    // A box that sealed a batch every 30 s all the time and reached nobody for thirty days.
    let mut quotas = Quotas::new(Quota::default());
    for index in 0..30 * 2_880 {
        let now = after(index);
        assert_eq!(quotas.take(&agent(1), &load(13, 2_000, 0..60), now), Ok(()));
    }
}

#[test]
fn what_is_too_much_passes_when_it_was_told_to_come_again_and_not_before() {
    let quota = Quota {
        observations_a_day: 4_000,
        ..Quota::default()
    };
    let mut quotas = Quotas::new(quota);
    for _ in 0..30 {
        assert_eq!(quotas.take(&agent(1), &load(4_000, 1, 0..1), NOW), Ok(()));
    }
    let beyond = load(1_000, 1, 0..1);
    let exceeded = quotas.take(&agent(1), &beyond, NOW).unwrap_err();
    assert_eq!(exceeded.kind, Kind::Observations);
    assert_eq!(exceeded.wait, Duration::from_hours(6));
    assert!(exceeded.first_today);
    let early = quotas.take(&agent(1), &beyond, after(6 * 3_600_000 - 1));
    assert_eq!(early.unwrap_err().wait, Duration::from_millis(1));
    let told = |quotas: &mut Quotas, at| quotas.take(&agent(1), &beyond, at);
    assert_eq!(told(&mut quotas, after(6 * 3_600_000)), Ok(()));
    assert!(
        !told(&mut quotas, after(6 * 3_600_000))
            .unwrap_err()
            .first_today
    );
    // Another agent has an allowance of its own.
    assert_eq!(quotas.take(&agent(2), &beyond, NOW), Ok(()));
}

#[test]
fn a_box_that_invents_peers_is_stopped_for_the_day_and_its_known_series_are_not() {
    let mut quotas = Quotas::new(Quota::default());
    let midnight = UnixMillis(NOW.0.div_euclid(86_400_000) * 86_400_000);
    let at = |hours: i64| UnixMillis(midnight.0 + hours * 3_600_000);
    assert_eq!(quotas.take(&agent(1), &load(9, 9, 0..1_000), at(1)), Ok(()));
    let exceeded = quotas.take(&agent(1), &load(9, 9, 999..1_001), at(2));
    let exceeded = exceeded.unwrap_err();
    assert_eq!(
        (exceeded.kind, exceeded.wait),
        (Kind::Series, Duration::from_hours(22))
    );
    assert_eq!(quotas.take(&agent(1), &load(9, 9, 0..60), at(3)), Ok(()));
    assert_eq!(
        quotas.take(&agent(1), &load(9, 9, 1_000..1_060), at(24)),
        Ok(())
    );
}

#[test]
fn what_was_not_stored_is_given_back_and_never_more() {
    let quota = Quota {
        batches_a_day: 1,
        ..Quota::default()
    };
    let mut quotas = Quotas::new(quota);
    let one = load(1, 1, 0..1);
    for _ in 0..29 {
        assert_eq!(quotas.take(&agent(1), &one, NOW), Ok(()));
    }
    for _ in 0..5 {
        assert_eq!(quotas.take(&agent(1), &one, NOW), Ok(()));
        quotas.give_back(&agent(1), &one);
    }
    assert_eq!(quotas.take(&agent(1), &one, NOW), Ok(()));
    assert_eq!(
        quotas.take(&agent(1), &one, NOW).unwrap_err().kind,
        Kind::Batches
    );
    for _ in 0..99 {
        quotas.give_back(&agent(1), &one);
    }
    for _ in 0..30 {
        assert_eq!(quotas.take(&agent(1), &one, NOW), Ok(()));
    }
    assert!(quotas.take(&agent(1), &one, NOW).is_err());
}

#[test]
fn a_clock_that_is_set_back_and_forth_makes_no_allowance() {
    let quota = Quota {
        batches_a_day: 1,
        ..Quota::default()
    };
    let mut quotas = Quotas::new(quota);
    let one = load(1, 1, 0..1);
    for _ in 0..30 {
        assert_eq!(quotas.take(&agent(1), &one, NOW), Ok(()));
    }
    assert!(quotas.take(&agent(1), &one, after(-1_000)).is_err());
    assert!(quotas.take(&agent(1), &one, after(0)).is_err());
}

#[test]
fn a_quota_below_one_batch_is_refused() {
    assert_eq!(Quota::default().flaw(), None);
    let small = Quota {
        bytes_a_day: 1_000,
        ..Quota::default()
    };
    assert_eq!(
        small.flaw().unwrap(),
        "bytes_a_day must be at least 4194304"
    );
}
