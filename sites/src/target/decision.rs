//! How long a target takes to be decided: a target that no school year decides is no target.

use super::Target;
use crate::quantile::samples_to_decide;

/// Fewest samples with which the target can be decided: those that it asks for, or those that order
/// statistics need where all of them stand on one side. `None` where no number of samples would do.
#[must_use]
pub fn samples_needed(target: &Target) -> Option<usize> {
    let to_meet_or_miss = samples_to_decide(0, 0, target.bad_share(), target.confidence)?;
    Some(to_meet_or_miss.max(target.min_samples))
}

/// School days until the target can be decided at the earliest, with so many samples a school day.
#[must_use]
pub fn school_days_needed(target: &Target, samples_a_day: u32) -> Option<usize> {
    let samples_a_day = usize::try_from(samples_a_day).ok().filter(|n| *n > 0)?;
    Some(samples_needed(target)?.div_ceil(samples_a_day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_school::target;
    use crate::target::Profiles;
    use messnetz_metric::Quantity;

    /// A default that takes longer is a defect: a school year has about 190 school days, and a verdict
    /// that comes after a third of it comes too late.
    const MOST_SCHOOL_DAYS: usize = 60;

    #[test]
    fn a_median_needs_five_samples_and_a_p95_needs_59() {
        let capacity = target("de-gigabit/down");
        assert_eq!(samples_needed(capacity), Some(20));
        assert_eq!(school_days_needed(capacity, 4), Some(5));
        assert_eq!(school_days_needed(capacity, 0), None);
        let mut bare = capacity.clone();
        bare.min_samples = 1;
        assert_eq!(samples_needed(&bare), Some(5));
        bare.statistic = "p5".parse().unwrap();
        assert_eq!(
            samples_needed(&bare),
            Some(1),
            "one bad test tells against a p5"
        );
        assert_eq!(samples_needed(target("voice-video/rtt")), Some(59));
    }

    #[test]
    fn every_shipped_target_is_decidable_by_design() {
        for target in Profiles::built_in().iter().flat_map(|p| &p.targets) {
            // The default schedule of a collector: a capacity test in each direction every six hours, a
            // burst every minute of five and a half hours of lessons, one share of reached attempts a day.
            let samples_a_day = match target.metric.quantity {
                Quantity::Goodput(_) => 4,
                Quantity::Reachable => 1,
                _ => 330,
            };
            let days = school_days_needed(target, samples_a_day).unwrap();
            assert!(
                days <= MOST_SCHOOL_DAYS,
                "{}: {days} school days",
                target.id
            );
            // Samples of one day resemble each other. Even where a whole day is worth one sample:
            let days = school_days_needed(target, 1).unwrap();
            assert!(days <= MOST_SCHOOL_DAYS, "{}: {days} days apart", target.id);
        }
    }
}
