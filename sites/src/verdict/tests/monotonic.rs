//! No verdict gets better because something got worse.

use proptest::prelude::*;

use super::*;

fn goodness(judgement: &Judgement) -> u8 {
    match judgement.verdict.kind() {
        VerdictKind::Met => 2,
        VerdictKind::Undecided => 1,
        VerdictKind::Missed | VerdictKind::NoData => 0,
    }
}

proptest! {
    #[test]
    fn no_verdict_improves_when_a_sample_of_a_day_gets_worse(
        rates in prop::collection::vec((0i32..12, 300u64..400), 1..150),
        at in prop::collection::vec((any::<prop::sample::Index>(), 0u64..100), 1..8),
        statistic in prop::sample::select(vec!["median", "p5", "p20", "p80", "share-of-days-60"]),
        confidence in prop::sample::select(vec![0.7, 0.8, 0.95]),
    ) {
        let school = school(Some(12), None);
        let mut target = target(CLASSES).clone();
        target.statistic = statistic.parse().unwrap();
        target.confidence = confidence;
        target.min_samples = 1;
        target.min_days = 1;
        let judged = |rates: &[(i32, u64)]| {
            let samples = rates.iter().map(|(day, mbps)| Sample {
                at: UnixMillis(0),
                day: *day,
                value: rate(*mbps as f64),
                disturbed: None,
            });
            let series = Series { samples: samples.collect(), ..Series::default() };
            judge(&target, &school, &school.sites[0], &series, Bounds::default(), &Judging::default())
        };
        let before = judged(&rates);
        let mut worse = rates;
        for (index, less) in at {
            let index = index.index(worse.len());
            worse[index].1 = worse[index].1.saturating_sub(less);
        }
        let after = judged(&worse);
        prop_assert!(goodness(&after) <= goodness(&before));
        // Not only the verdict: no bound rises.
        for (before, after) in [
            (before.interval.lower, after.interval.lower),
            (before.interval.upper, after.interval.upper),
        ] {
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!(after.number() <= before.number());
            }
        }
    }

    #[test]
    fn no_verdict_improves_when_a_rate_gets_worse(
        rates in prop::collection::vec(0u64..500, 1..80),
        at: prop::sample::Index,
        less in 0u64..500,
        port in prop::sample::select(vec![None, Some(100.0), Some(250.0), Some(1000.0)]),
        min_samples in 1u32..30,
    ) {
        let school = school(Some(12), None);
        let judging = Judging { min_samples: Some(min_samples), ..Judging::default() };
        let judged = |rates: &[u64]| {
            let series = mbps(rates.iter().map(|rate| *rate as f64));
            let port = Bounds::of_port(port.map(Rate::from_mbps));
            judge(target(CLASSES), &school, &school.sites[0], &series, port, &judging)
        };
        let before = judged(&rates);
        let mut worse = rates;
        let index = at.index(worse.len());
        worse[index] = worse[index].saturating_sub(less);
        prop_assert!(goodness(&judged(&worse)) <= goodness(&before));
    }

    #[test]
    fn no_verdict_improves_when_a_delay_gets_worse(
        delays in prop::collection::vec(0u64..200_000, 1..120),
        at: prop::sample::Index,
        more in 0u64..200_000,
    ) {
        let school = school(None, None);
        let judging = Judging { min_samples: Some(1), ..Judging::default() };
        let judged = |delays: &[u64]| {
            let series = series(delays.iter().map(|us| Value::Time(Micros::from_micros(*us))));
            judge(target("voice-video/rtt"), &school, &school.sites[0], &series, Bounds::default(), &judging)
        };
        let before = judged(&delays);
        let mut worse = delays;
        let index = at.index(worse.len());
        worse[index] += more;
        prop_assert!(goodness(&judged(&worse)) <= goodness(&before));
    }

    /// A met target holds by its observed value too, and a missed one does not.
    #[test]
    fn a_verdict_agrees_with_its_observed_value(rates in prop::collection::vec(300u64..400, 1..80)) {
        let school = school(Some(12), None);
        let series = mbps(rates.into_iter().map(|rate| rate as f64));
        let judgement = judged(CLASSES, &school, &series, None);
        let above = judgement.observed.unwrap().number() >= 351_000_000;
        match judgement.verdict {
            Verdict::Met => prop_assert!(above),
            Verdict::Missed => prop_assert!(!above),
            _ => {}
        }
    }
}
