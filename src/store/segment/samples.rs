//! The blocks of a segment, behind a table that says of each what it holds, so that it need not be opened for what it
//! has not.

use std::ops::RangeInclusive;

use messnetz_metric::UnixMillis;

use super::super::block::{Block, Extent};
use super::super::column::{self, read_number, write_number};
use super::MAX_BATCHES;

/// Announces the table: no segment has so many blocks, and those of older programs begin with their number.
const WITH_TABLE: u64 = 1 << 32;

/// The blocks of a segment, each with the number of its series.
#[derive(Debug, Default)]
pub(in crate::store) struct Samples {
    pub(in crate::store) blocks: Vec<(i64, Block)>,
}

/// What stands before the blocks: of each the number of its series and, unless an older program wrote it, what it
/// holds.
struct Table {
    numbers: Vec<i64>,
    extents: Option<Vec<Extent>>,
}

impl Samples {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_number(WITH_TABLE, &mut out);
        write_number(self.blocks.len() as u64, &mut out);
        let mut column = |of: &dyn Fn(&(i64, Block), Extent) -> i64| {
            let numbers = self.blocks.iter().map(|block| of(block, block.1.extent()));
            column::write(&numbers.collect::<Vec<_>>(), &mut out);
        };
        column(&|(number, _), _| *number);
        column(&|_, extent| extent.values);
        column(&|_, extent| extent.failures);
        column(&|_, extent| extent.first_at);
        column(&|_, extent| extent.last_at.wrapping_sub(extent.first_at));
        column(&|_, extent| extent.lowest);
        column(&|_, extent| extent.highest);
        for (_, block) in &self.blocks {
            block.write(&mut out);
        }
        out
    }

    /// What was written; `None` where this is none, or a block holds something else than the table says.
    pub(in crate::store) fn read(mut bytes: &[u8]) -> Option<Self> {
        let Table { numbers, extents } = Table::read(&mut bytes)?;
        let blocks: Vec<(i64, Block)> = numbers
            .into_iter()
            .map(|number| Some((number, Block::read(&mut bytes)?)))
            .collect::<Option<_>>()?;
        let own = blocks.iter().map(|(_, block)| block.extent());
        let fits = extents.is_none_or(|extents| own.eq(extents));
        fits.then_some(Self { blocks })
    }

    /// The blocks that have anything of these times, as far as the table tells.
    pub(in crate::store) fn within(
        mut bytes: &[u8],
        window: &RangeInclusive<UnixMillis>,
    ) -> Option<Self> {
        let Table { numbers, extents } = Table::read(&mut bytes)?;
        let Some(extents) = extents else {
            let blocks = numbers
                .into_iter()
                .map(|number| Some((number, Block::read(&mut bytes)?)))
                .collect::<Option<_>>()?;
            return Some(Self { blocks });
        };
        let mut blocks = Vec::with_capacity(numbers.len());
        for (number, extent) in numbers.into_iter().zip(extents) {
            if extent.last_at < window.start().0 || extent.first_at > window.end().0 {
                Block::skip(&mut bytes)?;
            } else {
                blocks.push((number, Block::read(&mut bytes)?));
            }
        }
        Some(Self { blocks })
    }

    /// What each block holds; only what an older program wrote is opened for it.
    pub(in crate::store) fn extents(bytes: &[u8]) -> Option<Vec<(i64, Extent)>> {
        let table = Table::read(&mut &*bytes)?;
        let Some(extents) = table.extents else {
            let blocks = Self::read(bytes)?.blocks;
            let extents = blocks
                .iter()
                .map(|(number, block)| (*number, block.extent()));
            return Some(extents.collect());
        };
        Some(table.numbers.into_iter().zip(extents).collect())
    }
}

impl Table {
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let head = read_number(bytes)?;
        let has_extents = head == WITH_TABLE;
        let count = if has_extents {
            read_number(bytes)?
        } else {
            head
        };
        let count = usize::try_from(count.min(MAX_BATCHES)).ok()?;
        let numbers = column::read(bytes, count)?;
        if !has_extents {
            let extents = None;
            return Some(Self { numbers, extents });
        }
        let mut column = || column::read(bytes, count).map(Vec::into_iter);
        let (mut values, mut failures) = (column()?, column()?);
        let (mut firsts, mut spans) = (column()?, column()?);
        let (mut lowest, mut highest) = (column()?, column()?);
        let mut extents = Vec::with_capacity(count);
        for _ in 0..count {
            let first_at = firsts.next()?;
            extents.push(Extent {
                values: values.next()?,
                failures: failures.next()?,
                first_at,
                last_at: first_at.wrapping_add(spans.next()?),
                lowest: lowest.next()?,
                highest: highest.next()?,
            });
        }
        let extents = Some(extents);
        Some(Self { numbers, extents })
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Outcome, Unit, Value};
    use proptest::prelude::*;

    use super::*;

    fn block(samples: &[(i64, i64)]) -> Block {
        let mut block = Block::default();
        for (at, value) in samples {
            let value = Value::new(Unit::Microsecond, *value);
            block.push(UnixMillis(*at), Outcome::Value(value));
        }
        block
    }

    fn old_form(samples: &Samples) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers: Vec<i64> = samples.blocks.iter().map(|(number, _)| *number).collect();
        write_number(numbers.len() as u64, &mut out);
        column::write(&numbers, &mut out);
        for (_, block) in &samples.blocks {
            block.write(&mut out);
        }
        out
    }

    #[test]
    fn a_block_is_opened_only_for_a_window_that_it_has_something_of() {
        let early = block(&[(10, 5), (19, 3)]);
        let late = block(&[(30, 9), (20, 7)]);
        let samples = Samples {
            blocks: vec![(1, early), (2, late)],
        };
        let bytes = samples.write();
        let opened = |from, to| {
            let window = UnixMillis(from)..=UnixMillis(to);
            let within = Samples::within(&bytes, &window).unwrap().blocks;
            within
                .into_iter()
                .map(|(number, _)| number)
                .collect::<Vec<_>>()
        };
        assert_eq!(opened(0, 9), [0; 0]);
        assert_eq!(opened(0, 10), [1]);
        assert_eq!(opened(19, 20), [1, 2]);
        assert_eq!(opened(20, 99), [2]);
        assert_eq!(opened(31, 99), [0; 0]);
        let extents = Samples::extents(&bytes).unwrap();
        let (number, late) = extents[1];
        assert_eq!((number, late.values, late.failures), (2, 2, 0));
        assert_eq!((late.first_at, late.last_at), (20, 30));
        assert_eq!((late.lowest, late.highest), (7, 9));
    }

    #[test]
    fn what_an_older_program_wrote_without_a_table_is_read_as_well() {
        let samples = Samples {
            blocks: vec![(1, block(&[(10, 5), (19, 3)])), (2, block(&[(30, 9)]))],
        };
        let (old, new) = (old_form(&samples), samples.write());
        let window = UnixMillis(0)..=UnixMillis(15);
        assert_eq!(Samples::read(&old).unwrap().blocks, samples.blocks);
        assert_eq!(
            Samples::within(&old, &window).unwrap().blocks,
            samples.blocks
        );
        assert_eq!(Samples::extents(&old), Samples::extents(&new));
    }

    #[test]
    fn a_table_that_says_something_else_than_its_blocks_is_none() {
        let samples = Samples {
            blocks: vec![(1, block(&[(10, 5), (19, 3)]))],
        };
        let honest = samples.write();
        let other = Samples {
            blocks: vec![(1, block(&[(10, 5), (18, 3)]))],
        };
        // The table of one before the block of the other: both are as long.
        let body = {
            let mut out = Vec::new();
            samples.blocks[0].1.write(&mut out);
            out.len()
        };
        let mut forged = other.write();
        let end = forged.len() - body;
        forged.truncate(end);
        forged.extend(&honest[honest.len() - body..]);
        assert!(Samples::read(&honest).is_some());
        assert!(Samples::read(&forged).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, has_table: bool) {
            let mut all = Vec::new();
            if has_table {
                write_number(WITH_TABLE, &mut all);
            }
            all.extend(bytes);
            let ever = UnixMillis(i64::MIN)..=UnixMillis(i64::MAX);
            let _ = (Samples::read(&all), Samples::within(&all, &ever), Samples::extents(&all));
        }
    }
}
