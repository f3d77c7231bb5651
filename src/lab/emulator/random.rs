//! The emulator's own chance: `SplitMix64`, written out so that a seed means the same packets for ever.
//!
//! Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014), with the
//! constants of Vigna's public-domain reference.

use messnetz_metric::Ppm;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers that its seed and name determine.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of `seed` called `stream`: other names give other numbers, so that throws of one
    /// kind do not shift those of another.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed.wrapping_add(GAMMA)) ^ mix(stream.wrapping_mul(GAMMA)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// True in `share` of the cases.
    pub(super) fn happens(&mut self, share: Ppm) -> bool {
        self.below(1_000_000) < u64::from(share.as_ppm())
    }

    /// A number in `0..bound`; 0 where the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        let mut random = Random(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| random.next()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn never_and_always_are_exact() {
        let mut random = Random::new(7, 0);
        for _ in 0..100_000 {
            assert!(!random.happens(Ppm::from_ppm(0)));
            assert!(random.happens(Ppm::from_ppm(1_000_000)));
            assert_eq!(random.below(0), 0);
        }
    }

    #[test]
    fn streams_of_one_seed_differ() {
        let of = |stream| {
            let mut random = Random::new(42, stream);
            [random.next(), random.next()]
        };
        assert_ne!(of(0), of(1));
        assert_eq!(of(0), of(0));
    }
}
