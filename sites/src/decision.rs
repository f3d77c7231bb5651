//! How soon a target can be decided, from how often it is measured.
//!
//! A target that nobody lives to see decided is no target. What is asked here is the least: all samples
//! alike, and all on one side. Near its threshold a target takes longer, and exactly at it for ever.

use serde::Serialize;

use crate::blocks::days_if_all_alike;
use crate::target::Target;

/// Most school days that a decision may take where everything speaks for it: about a school term.
pub const LONGEST_DAYS: usize = 60;

/// The fewest school days after which a target can be decided; `None` where no foreseeable number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeToDecision {
    /// That it is met.
    #[serde(rename = "days_to_met")]
    pub met: Option<usize>,
    /// That it is missed.
    #[serde(rename = "days_to_missed")]
    pub missed: Option<usize>,
}

impl TimeToDecision {
    /// Whether either word can fall within [`LONGEST_DAYS`].
    #[must_use]
    pub fn is_short(self) -> bool {
        let is_short = |days: Option<usize>| days.is_some_and(|days| days <= LONGEST_DAYS);
        is_short(self.met) && is_short(self.missed)
    }
}

/// How soon a target can be decided by so many samples a school day; fewer than one is one in several days.
#[must_use]
pub fn time_to_decision(target: &Target, samples_a_day: f64) -> TimeToDecision {
    if !(samples_a_day > 0.0 && samples_a_day.is_finite()) {
        return TimeToDecision {
            met: None,
            missed: None,
        };
    }
    // On a day that is measured at all. A target of days has one value a day, however many samples.
    let on_a_measured_day = samples_a_day.max(1.0);
    let per_day = if target.statistic.is_of_days() {
        1
    } else {
        on_a_measured_day as usize
    };
    let days_for_a_measured_one = (1.0 / samples_a_day).max(1.0);
    let asked = (target.min_samples as f64 / on_a_measured_day).ceil() as usize;
    let asked = asked.max(target.min_days);
    let days = |share: f64| {
        let measured = days_if_all_alike(share, target.confidence, per_day)?.max(asked);
        Some((measured as f64 * days_for_a_measured_one).ceil() as usize)
    };
    TimeToDecision {
        met: days(target.bad_share()),
        missed: days(1.0 - target.bad_share()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::Judging;
    use crate::sample_school::{rate, school, several_a_day, target};
    use crate::verdict::{Bounds, VerdictKind, judge};

    fn with(statistic: &str) -> Target {
        let mut target = target("de-aufgreifschwelle-30/down").clone();
        target.statistic = statistic.parse().unwrap();
        target.min_samples = 1;
        target.min_days = 1;
        target
    }

    #[test]
    fn the_time_to_a_decision_is_the_published_one() {
        for (statistic, samples_a_day, met, missed) in [
            // 0.5^5 = 0.031; 0.95^59 = 0.0485.
            ("median", 1.0, 5, 5),
            ("p5", 1.0, 59, 1),
            ("median", 0.2, 25, 25),
            // Samples of one day hang together: a day counts little more than one sample.
            ("p5", 2.0, 33, 5),
            ("p5", 12.0, 29, 5),
            ("p5", 1440.0, 28, 5),
            ("median", 12.0, 5, 5),
            ("share-of-days-90", 12.0, 29, 2),
            ("share-of-days-90", 1.0, 29, 2),
        ] {
            let time = time_to_decision(&with(statistic), samples_a_day);
            let expected = TimeToDecision {
                met: Some(met),
                missed: Some(missed),
            };
            assert_eq!(time, expected, "{statistic}, {samples_a_day} a day");
        }
    }

    #[test]
    fn what_the_target_asks_for_is_part_of_the_time() {
        let mut target = with("median");
        target.min_samples = 20;
        assert_eq!(time_to_decision(&target, 1.0).met, Some(20));
        assert_eq!(time_to_decision(&target, 4.0).met, Some(5));
        target.min_days = 15;
        assert_eq!(time_to_decision(&target, 4.0).met, Some(15));
        assert_eq!(time_to_decision(&target, 0.5).met, Some(40));
    }

    #[test]
    fn a_target_that_nobody_will_see_decided_is_not_short() {
        assert!(!time_to_decision(&with("p1"), 100.0).is_short());
        assert!(time_to_decision(&with("p5"), 1.0).is_short());
        let never = TimeToDecision {
            met: None,
            missed: None,
        };
        for samples_a_day in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(time_to_decision(&with("median"), samples_a_day), never);
        }
        assert!(!never.is_short());
    }

    /// The judge itself needs exactly as many days as is said beforehand.
    #[test]
    fn the_judge_decides_on_the_day_that_was_named() {
        let school = school(Some(12), None);
        for statistic in ["median", "p5", "p20", "share-of-days-90"] {
            let target = with(statistic);
            for per_day in [1u16, 2, 12] {
                let time = time_to_decision(&target, f64::from(per_day));
                for (mbps, days, word) in [
                    (400.0, time.met, VerdictKind::Met),
                    (300.0, time.missed, VerdictKind::Missed),
                ] {
                    let days = days.unwrap();
                    let word_after = |days: usize| {
                        let values = vec![rate(mbps); days * usize::from(per_day)];
                        let series = several_a_day(per_day.into(), values);
                        let (site, judging) = (&school.sites[0], Judging::default());
                        judge(&target, &school, site, &series, Bounds::default(), &judging)
                            .verdict
                            .kind()
                    };
                    assert_eq!(word_after(days), word, "{statistic} {per_day} {mbps}");
                    if days > 1 {
                        let day_before = word_after(days - 1);
                        assert_eq!(day_before, VerdictKind::Undecided, "{statistic} {per_day}");
                    }
                }
            }
        }
    }
}
