//! Damage: an input changed in a few places, by numbers that a seed determines.

/// Larger inputs are cut: what breaks on a megabyte breaks on less, and earlier.
const LARGEST: usize = 64 * 1024;

/// `xorshift64*` (Vigna, *An experimental exploration of Marsaglia's xorshift generators*, 2016): small,
/// and the same on every machine. Nothing here needs more of chance.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }
}

/// One of `pool`, damaged in one to six places; `words` are what the format knows.
pub(crate) fn mutated(pool: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut input = pool[random.below(pool.len())].clone();
    for _ in 0..=random.below(6) {
        damage(&mut input, pool, words, random);
    }
    input.truncate(LARGEST);
    input
}

fn damage(input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let length = input.len();
    let at = random.below(length + 1);
    let end = (at + 1 + random.below(24)).min(length);
    match random.below(9) {
        0 if at < length => input[at] ^= 1 << random.below(8),
        1 if at < length => input[at] = random.next() as u8,
        2 => input.insert(at, random.next() as u8),
        3 if at < end => drop(input.drain(at..end)),
        4 if at < end => {
            let copy = input[at..end].to_vec();
            for _ in 0..=random.below(40) {
                input.splice(at..at, copy.iter().copied());
            }
        }
        5 => input.truncate(at),
        6 => {
            let other = &pool[random.below(pool.len())];
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ if !words.is_empty() => {
            let word = words[random.below(words.len())].bytes();
            // In place of something, or between.
            let end = if random.below(2) == 0 {
                at
            } else {
                end.max(at)
            };
            input.splice(at..end, word);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same_damage_and_another_does_not() {
        let pool = [b"Schulnummer;Name\n1;A\n".to_vec(), b"[1, 2]".to_vec()];
        let some = |seed| -> Vec<Vec<u8>> {
            let mut random = Random::new(seed);
            let words = ["null"];
            (0..50)
                .map(|_| mutated(&pool, &words, &mut random))
                .collect()
        };
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
        assert!(some(1).iter().any(|input| !pool.contains(input)));
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut pool = vec![vec![b'a'; LARGEST]];
        let mut random = Random::new(7);
        for _ in 0..200 {
            pool[0] = mutated(&pool, &["word"], &mut random);
            assert!(pool[0].len() <= LARGEST);
        }
    }
}
