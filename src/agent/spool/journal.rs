//! What SQLite's write-ahead log ends with. Pure: bytes in, numbers out.
//!
//! SQLite cuts a log at the first frame that is not as it was written, and says nothing about it. Here the same
//! frames are looked at before (SQLite file format, section 4), so that what is cut can be counted.

use std::io::{self, Read};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The magic numbers, without their last bit, which tells the order of octets in check sums.
const MAGIC: u32 = 0x377f_0682;

/// Page sizes that SQLite has.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// How many frames of a log SQLite will cut off that had been committed: those from the first one with a wrong
/// check sum on to the last commit, as far as they are of this log and not left over from before it began anew.
///
/// What follows the last commit is none of it: a transaction that did not come to its end, because the program was
/// killed, and of which a later one has overwritten the beginning.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn cut_frames(mut log: impl Read) -> io::Result<u64> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(0);
    }
    let words: Vec<u32> = header.chunks_exact(4).map(big_endian).collect();
    let &[magic, _, page_size, _, salt_1, salt_2, sum_1, sum_2] = words.as_slice() else {
        return Ok(0);
    };
    if magic & !1 != MAGIC || !PAGE_SIZES.contains(&page_size) || !page_size.is_power_of_two() {
        return Ok(0);
    }
    let order = if magic & 1 == 1 {
        big_endian
    } else {
        little_endian
    };
    let summed = header.get(..24).unwrap_or_default();
    let mut sum = check_sum((0, 0), summed, order);
    let mut holds = sum == (sum_1, sum_2);
    let mut frame = vec![0; FRAME_HEADER + page_size as usize];
    let (mut wrong, mut cut) = (0, 0);
    while fill(&mut log, &mut frame)? {
        let (head, page) = frame.split_at(FRAME_HEADER);
        let words: Vec<u32> = head.chunks_exact(4).map(big_endian).collect();
        let &[_, committed_pages, of_1, of_2, stated_1, stated_2] = words.as_slice() else {
            break;
        };
        if (of_1, of_2) != (salt_1, salt_2) {
            break;
        }
        if holds {
            let summed = head.get(..8).unwrap_or_default();
            sum = check_sum(check_sum(sum, summed, order), page, order);
            holds = sum == (stated_1, stated_2);
        }
        wrong += u64::from(!holds);
        if committed_pages != 0 {
            cut = wrong;
        }
    }
    Ok(cut)
}

fn big_endian(octets: &[u8]) -> u32 {
    octets
        .iter()
        .fold(0, |word, octet| word << 8 | u32::from(*octet))
}

fn little_endian(octets: &[u8]) -> u32 {
    let octets = octets.iter().rev();
    octets.fold(0, |word, octet| word << 8 | u32::from(*octet))
}

fn check_sum(
    (mut first, mut second): (u32, u32),
    octets: &[u8],
    order: fn(&[u8]) -> u32,
) -> (u32, u32) {
    for pair in octets.chunks_exact(8) {
        let (one, other) = pair.split_at(4);
        first = first.wrapping_add(order(one)).wrapping_add(second);
        second = second.wrapping_add(order(other)).wrapping_add(first);
    }
    (first, second)
}

/// Fills the buffer; false where the input ends before.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sqlite::open_shared;

    /// The log of a file into which something was written.
    fn log() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = open_shared(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (randomblob(9000));")
            .unwrap();
        fs::read(folder.path().join("a.db-wal")).unwrap()
    }

    #[test]
    fn a_whole_log_loses_nothing_and_neither_does_none() {
        let log = log();
        assert!(log.len() > 4 * 4_120);
        assert_eq!(cut_frames(&log[..]).unwrap(), 0);
        assert_eq!(cut_frames(&log[..log.len() - 1]).unwrap(), 0);
        assert_eq!(cut_frames(&[][..]).unwrap(), 0);
    }

    #[test]
    fn a_torn_frame_takes_with_it_what_comes_after() {
        let log = log();
        let frames = (log.len() - HEADER) / (FRAME_HEADER + 4_096);
        for torn in 0..frames {
            let mut log = log.clone();
            log[HEADER + torn * (FRAME_HEADER + 4_096) + 1_000] ^= 1;
            assert_eq!(cut_frames(&log[..]).unwrap(), (frames - torn) as u64);
        }
    }

    #[test]
    fn what_is_left_of_a_transaction_that_was_killed_is_none_that_was_cut() {
        let log = log();
        let size = FRAME_HEADER + 4_096;
        let mut killed = log.clone();
        // The same frames once more, without a commit: the check sums do not go on there.
        let last = log.len() - size;
        killed.extend(&log[HEADER..last]);
        for frame in killed[log.len()..].chunks_mut(size) {
            frame[4..8].fill(0);
        }
        assert!(killed.len() > log.len());
        assert_eq!(cut_frames(&killed[..]).unwrap(), 0);
        // A commit behind it was one.
        killed.extend(&log[last..]);
        let frames = (killed.len() - log.len()) / size;
        assert_eq!(cut_frames(&killed[..]).unwrap(), frames as u64);
    }

    #[test]
    fn frames_of_an_earlier_log_are_not_counted() {
        let mut log = log();
        // Salts of the header, so that all frames are of another log.
        log[17] ^= 1;
        assert_eq!(cut_frames(&log[..]).unwrap(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_log_is_too_strange(log: Vec<u8>) {
            let mut strange = MAGIC.to_be_bytes().to_vec();
            strange.extend([0; 6]);
            strange.extend([2, 0]);
            strange.extend(&log);
            cut_frames(&log[..]).unwrap();
            cut_frames(&strange[..]).unwrap();
        }
    }
}
