//! A column of whole numbers in few bits: what is left of each after a guess, in a Rice code.
//!
//! Four ways to guess are tried, and the one that leaves least is taken: the median (values that scatter),
//! the number before (values that drift), the step before (times without jitter), a straight line (times
//! with jitter). A Rice code with parameter k writes the quotient by 2^k in ones and the rest in k bits
//! (Rice and Plaunt, *Adaptive Variable-Length Coding*, 1971); what would be too many ones is written as it
//! is. Any numbers come back as they were: all arithmetic wraps.

/// So many ones announce a number that is written whole.
const ESCAPE: u32 = 20;

/// Stands for k where nothing is left of any number.
const NOTHING_LEFT: u8 = 63;

/// How numbers are guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    /// All the same: `base`.
    Base,
    /// The one before and `step`.
    Step,
    /// As far from the one before as that from the one before it; at first `step`.
    Drift,
    /// On a line from `base`, `step` apart.
    Line,
}

const GUESSES: [Guess; 4] = [Guess::Base, Guess::Step, Guess::Drift, Guess::Line];

/// A way to guess with its numbers, which takes the column one by one.
#[derive(Clone, Copy, Debug)]
struct Guessing {
    guess: Guess,
    next: i64,
    step: i64,
}

impl Guessing {
    const fn new(guess: Guess, base: i64, step: i64) -> Self {
        let next = base;
        Self { guess, next, step }
    }

    /// What to expect after this number.
    const fn after(&mut self, number: i64) {
        match self.guess {
            Guess::Base => {}
            Guess::Step => self.next = number.wrapping_add(self.step),
            Guess::Line => self.next = self.next.wrapping_add(self.step),
            Guess::Drift => {
                // The first number was expected as it is, so that `step` stays for the second.
                self.step = self.step.wrapping_add(number.wrapping_sub(self.next));
                self.next = number.wrapping_add(self.step);
            }
        }
    }

    fn left(mut self, numbers: &[i64]) -> Vec<u64> {
        let left = |number: &i64| {
            let left = zigzag(number.wrapping_sub(self.next));
            self.after(*number);
            left
        };
        numbers.iter().map(left).collect()
    }
}

/// Appends a column.
pub(super) fn write(numbers: &[i64], out: &mut Vec<u8>) {
    let steps: Vec<i64> = numbers
        .windows(2)
        .filter_map(|pair| Some(pair.last()?.wrapping_sub(*pair.first()?)))
        .collect();
    let (first, middle) = (numbers.first().copied().unwrap_or(0), median(numbers));
    let usual = median(&steps);
    let written = GUESSES.into_iter().map(|guess| {
        let (base, step) = match guess {
            Guess::Base => (middle, 0),
            Guess::Drift => (first, steps.first().copied().unwrap_or(0)),
            Guess::Step | Guess::Line => (first, usual),
        };
        write_guessed(numbers, Guessing::new(guess, base, step))
    });
    if let Some(shortest) = written.min_by_key(Vec::len) {
        out.extend(shortest);
    }
}

/// Takes a column of so many numbers off the front; `None` where it is none.
pub(super) fn read(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    let head = take(bytes, 1)?.first().copied()?;
    let (guess, k) = (GUESSES.get(usize::from(head & 3))?, head >> 2);
    let base = unzigzag(read_number(bytes)?);
    let step = match guess {
        Guess::Base => 0,
        _ => unzigzag(read_number(bytes)?),
    };
    let mut guessing = Guessing::new(*guess, base, step);
    let mut number = |left: u64| {
        let number = guessing.next.wrapping_add(unzigzag(left));
        guessing.after(number);
        number
    };
    if k == NOTHING_LEFT {
        return Some((0..count).map(|_| number(0)).collect());
    }
    let length = usize::try_from(read_number(bytes)?).ok()?;
    let mut bits = BitsIn::of(take(bytes, length)?);
    // Each number takes a bit at least.
    if count > length.checked_mul(8)? {
        return None;
    }
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        numbers.push(number(bits.rice(u32::from(k))?));
    }
    Some(numbers)
}

fn write_guessed(numbers: &[i64], guessing: Guessing) -> Vec<u8> {
    let left = guessing.left(numbers);
    let k = if left.iter().all(|left| *left == 0) {
        NOTHING_LEFT
    } else {
        best_parameter(&left)
    };
    let mut out = vec![guessing.guess as u8 | k << 2];
    write_number(zigzag(guessing.next), &mut out);
    if guessing.guess != Guess::Base {
        write_number(zigzag(guessing.step), &mut out);
    }
    if k != NOTHING_LEFT {
        let mut bits = BitsOut::default();
        for left in left {
            bits.rice(left, u32::from(k));
        }
        let bytes = bits.finish();
        write_number(bytes.len() as u64, &mut out);
        out.extend(bytes);
    }
    out
}

/// The parameter with the fewest bits, of those about the size of the median.
fn best_parameter(left: &[u64]) -> u8 {
    let mut sorted = left.to_vec();
    let middle = sorted.len() / 2;
    let median = *sorted.select_nth_unstable(middle).1;
    let size = u64::BITS - median.leading_zeros();
    let bits = |k: &u32| -> u64 {
        let of_one = |left: &u64| match left >> k {
            quotient if quotient < u64::from(ESCAPE) => quotient + 1 + u64::from(*k),
            _ => u64::from(ESCAPE) + 64,
        };
        left.iter().map(of_one).sum()
    };
    let most = u32::from(NOTHING_LEFT) - 1;
    let around = size.saturating_sub(3)..=size + 1;
    let k = around.map(|k| k.min(most)).min_by_key(bits);
    k.unwrap_or_default() as u8
}

fn median(numbers: &[i64]) -> i64 {
    let mut sorted = numbers.to_vec();
    if sorted.is_empty() {
        return 0;
    }
    let middle = sorted.len() / 2;
    *sorted.select_nth_unstable(middle).1
}

/// Small numbers of either sign as small numbers.
const fn zigzag(number: i64) -> u64 {
    (number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes so many bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Bits, the lowest of a byte first.
#[derive(Default)]
struct BitsOut {
    bytes: Vec<u8>,
    held: u128,
    n_held: u32,
}

impl BitsOut {
    /// Appends the lowest `n` bits, 64 at most.
    fn put(&mut self, bits: u64, n: u32) {
        let mask = (1_u128 << n) - 1;
        self.held |= (u128::from(bits) & mask) << self.n_held;
        self.n_held += n;
        while self.n_held >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.n_held -= 8;
        }
    }

    fn rice(&mut self, number: u64, k: u32) {
        let quotient = number >> k;
        if quotient < u64::from(ESCAPE) {
            self.put((1 << quotient) - 1, quotient as u32 + 1);
            self.put(number, k);
        } else {
            self.put(u64::MAX, ESCAPE);
            self.put(number, 64);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.n_held > 0 {
            self.bytes.push(self.held as u8);
        }
        self.bytes
    }
}

struct BitsIn<'a> {
    bytes: &'a [u8],
    held: u128,
    n_held: u32,
}

impl<'a> BitsIn<'a> {
    const fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            held: 0,
            n_held: 0,
        }
    }

    /// Holds 64 bits at least, as far as there are any.
    fn fill(&mut self) {
        if self.n_held >= 64 {
            return;
        }
        if let Some((eight, rest)) = self.bytes.split_first_chunk::<8>() {
            self.held |= u128::from(u64::from_le_bytes(*eight)) << self.n_held;
            self.n_held += 64;
            self.bytes = rest;
            return;
        }
        while let Some((byte, rest)) = self.bytes.split_first()
            && self.n_held < 64
        {
            self.held |= u128::from(*byte) << self.n_held;
            self.n_held += 8;
            self.bytes = rest;
        }
    }

    /// Takes `n` bits, 64 at most.
    fn get(&mut self, n: u32) -> Option<u64> {
        self.fill();
        if n > self.n_held {
            return None;
        }
        let bits = self.held & ((1_u128 << n) - 1);
        self.held >>= n;
        self.n_held -= n;
        Some(bits as u64)
    }

    fn rice(&mut self, k: u32) -> Option<u64> {
        self.fill();
        let ones = (!(self.held as u64)).trailing_zeros().min(ESCAPE);
        if ones == ESCAPE {
            self.get(ESCAPE)?;
            return self.get(64);
        }
        self.get(ones + 1)?;
        Some(u64::from(ones) << k | self.get(k)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        write(numbers, &mut bytes);
        let mut left = &bytes[..];
        assert_eq!(read(&mut left, numbers.len()).unwrap(), numbers);
        assert!(left.is_empty());
        bytes.len()
    }

    #[test]
    fn a_column_takes_what_its_surprises_take() {
        let n = 1_000_i64;
        let every_minute: Vec<i64> = (0..n).map(|i| 1_795_370_000_000 + i * 60_000).collect();
        assert!(there_and_back(&every_minute) < 20);
        let jitter = |i: i64| i * 7_919 % 16;
        let jittered: Vec<i64> = every_minute
            .iter()
            .zip(0..)
            .map(|(at, i)| at + jitter(i))
            .collect();
        assert!(there_and_back(&jittered) < 750, "six bits each at most");
        let noise: Vec<i64> = (0..n).map(|i| 9_000 + i * 7_919 % 1_024).collect();
        assert!(there_and_back(&noise) < 1_450, "1,250 bytes are in it");
        let mut spikes = noise;
        spikes
            .iter_mut()
            .step_by(100)
            .for_each(|spike| *spike = 5_000_000);
        assert!(there_and_back(&spikes) < 1_600);
        assert!(there_and_back(&[0; 1_000]) < 5);
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(numbers: Vec<i64>) {
            there_and_back(&numbers);
        }

        #[test]
        fn small_numbers_come_back(numbers in prop::collection::vec(-300..300_i64, 0..300)) {
            there_and_back(&numbers);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, count in 0..5_000_usize) {
            let _ = read(&mut &bytes[..], count);
        }
    }
}
