//! A window of a school worked out for a period, so that a year of samples costs next to nothing.
//!
//! [`Calendar::locate`](super::Calendar::locate) looks at zone, holidays and hours for one instant. Who
//! has a year of them works the window out once and cuts all series of the school with it: schools have
//! a few hundred stretches a year, so a series costs a few thousand comparisons, however many samples it
//! holds.

use jiff::civil::Date;
use messnetz_metric::UnixMillis;
use serde::Serialize;

use super::Interval;

/// A day by the clock on the wall of a school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LocalDay {
    /// Which.
    pub date: Date,
    /// Whether lessons are held on it at all: always in `lesson-hours`, now and then in other windows.
    pub school_day: bool,
}

/// A part of a window that lies within one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// From when to when.
    #[serde(flatten)]
    pub interval: Interval,
    /// The day that it belongs to.
    #[serde(flatten)]
    pub day: LocalDay,
}

/// The slots of a window at a school within a period, in their order and apart from each other. A slot
/// ends at midnight at the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timetable {
    slots: Vec<Slot>,
}

impl Timetable {
    /// Of slots in their order.
    pub(super) const fn new(slots: Vec<Slot>) -> Self {
        Self { slots }
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The day of an instant, where it lies in the window and in the period. A binary search.
    #[must_use]
    pub fn locate(&self, at: UnixMillis) -> Option<LocalDay> {
        let next = self.slots.partition_point(|slot| slot.interval.from <= at);
        let slot = self.slots.get(next.checked_sub(1)?)?;
        slot.interval.contains(at).then_some(slot.day)
    }

    /// The day of a stretch that lies in one slot as a whole.
    #[must_use]
    pub fn enclose(&self, stretch: Interval) -> Option<LocalDay> {
        let next = (self.slots).partition_point(|slot| slot.interval.from <= stretch.from);
        let slot = self.slots.get(next.checked_sub(1)?)?;
        (stretch.to <= slot.interval.to).then_some(slot.day)
    }

    /// Cuts samples into those of each slot, in their order; slots without any are left out, and the
    /// slots of one day follow each other.
    ///
    /// `samples` have to be in the order of `at`; of others, some may be missing.
    pub fn cut<'a, T>(
        &'a self,
        samples: &'a [T],
        at: impl Fn(&T) -> UnixMillis + 'a,
    ) -> impl Iterator<Item = (LocalDay, &'a [T])> {
        let mut rest = samples;
        self.slots.iter().filter_map(move |slot| {
            let (_, later) = rest.split_at(leading(rest, |one| at(one) < slot.interval.from));
            let (within, later) = later.split_at(leading(later, |one| at(one) < slot.interval.to));
            rest = later;
            (!within.is_empty()).then_some((slot.day, within))
        })
    }
}

/// How many items at the front are `such`, where none is behind one that is not. Looks in steps that
/// double, because the next slot is near.
fn leading<T>(items: &[T], such: impl Fn(&T) -> bool) -> usize {
    let mut looked = 1;
    while items.get(looked - 1).is_some_and(&such) {
        looked *= 2;
    }
    let known = looked / 2;
    known + items[known..looked.min(items.len())].partition_point(such)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_leading_items_are_counted(such in 0usize..70, others in 0usize..70) {
            let items: Vec<bool> = (0..such + others).map(|index| index < such).collect();
            prop_assert_eq!(leading(&items, |item| *item), such);
        }
    }
}
