//! When those who are sent away shall come again: each at a time of its own, or all of them would come at
//! once again.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Shortest and longest time over which they are spread, in seconds. At 10,000 agents the shortest is some
/// 170 a second.
const SPREAD: (u64, u64) = (60, 300);

/// Seconds until somebody shall come again who need not come before `least`.
pub(super) fn come_again(least: u64) -> u64 {
    let mut chance = [0; 2];
    // Without random numbers they come together, which is no reason to answer nobody.
    let _ = SystemRandom::new().fill(&mut chance);
    spread(least, u16::from_be_bytes(chance))
}

/// Between `least` and half as much more, by `chance`, of which every value is as likely.
fn spread(least: u64, chance: u16) -> u64 {
    let over = (least / 2).clamp(SPREAD.0, SPREAD.1);
    least + over * u64::from(chance) / u64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_too_early_and_ten_thousand_come_evenly() {
        assert_eq!((spread(5, 0), spread(5, u16::MAX)), (5, 65));
        assert_eq!(spread(80_000, u16::MAX), 80_300);
        let mut of_second = [0; 61];
        for index in 0..10_000_u32 {
            let second = spread(5, (index * 65_536 / 10_000) as u16) - 5;
            of_second[usize::try_from(second).unwrap()] += 1;
        }
        assert!(of_second.iter().all(|count| *count <= 200), "{of_second:?}");
    }

    #[test]
    fn two_who_ask_at_once_are_told_different_times() {
        let told: std::collections::BTreeSet<u64> = (0..40).map(|_| come_again(600)).collect();
        assert!(told.len() > 10, "{told:?}");
    }
}
