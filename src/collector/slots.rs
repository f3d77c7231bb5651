//! Finding a time for one test: within its window, in its hours, where every lane that it goes through has room;
//! spread by chance, so that no two sites meet again and again and no hour is everybody's. Pure.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use messnetz_probes::ndt7::pacing::SplitMix64;

use super::lanes::Share;
use crate::wire::Schedule;

/// A slot is longer than its test by this at most, in milliseconds: time to wait for a line that is busy.
const MOST_SLACK_MS: u64 = 60_000;

/// A slot that is not longer than its test by this is begun late, and reaches into the next.
const LATE_MS: u64 = 2_000;

/// How many times are drawn before all are looked through.
const DRAWS: usize = 16;

/// Most slots that are looked through for one test.
const MOST_LOOKED_AT: u64 = 20_000;

/// The division of time into slots: the shortest period of any test, cut into equal parts that are long enough for
/// the longest. Slots that begin together cannot leave gaps that nobody fits into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    period_ms: u64,
    cells: u64,
}

impl Grid {
    /// For a schedule of which so many sites' tests come one after another; `None` where no test fills the line.
    pub(super) fn of(schedule: &Schedule, in_a_row: usize) -> Option<Self> {
        let leased = || schedule.tasks.iter().filter(|task| task.probe.is_leased());
        let period_ms = leased().map(|task| task.every_ms.max(1)).min()?;
        let lengths = leased().filter_map(|task| task.probe.saturates_for());
        let longest = lengths.max()?.as_millis() as u64;
        let longest = longest.max(1);
        let demand = (in_a_row.max(1) as u64).saturating_mul(leased().count() as u64);
        let cells = (period_ms / (longest + MOST_SLACK_MS)).max(demand);
        let roomy = cells.saturating_mul(5) / 4;
        let is_roomy = period_ms / roomy.max(1) >= longest + LATE_MS;
        let cells = if is_roomy { roomy } else { cells };
        Some(Self {
            period_ms,
            cells: cells.min(period_ms / longest).max(1),
        })
    }

    fn cell(self, index: u64) -> Range<u64> {
        let length = self.period_ms / self.cells;
        let (period, within) = (index / self.cells, index % self.cells);
        let begins = period * self.period_ms + within * length;
        begins..begins + length
    }

    /// The cells that lie wholly within.
    fn within(self, window: &Range<u64>) -> Range<u64> {
        let length = (self.period_ms / self.cells).max(1);
        let at = |instant: u64| {
            let within = instant % self.period_ms / length;
            instant / self.period_ms * self.cells + within.min(self.cells)
        };
        let mut first = at(window.start);
        while self.cell(first).start < window.start {
            first += 1;
        }
        let mut end = at(window.end);
        while end > first && self.cell(end - 1).end > window.end {
            end -= 1;
        }
        first..end.max(first)
    }
}

/// What is leased, by lane.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    lanes: HashMap<String, BTreeMap<(u64, u64), Taken>>,
    longest: u64,
    counted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    until: u64,
    takes: u64,
}

impl Occupancy {
    /// Notes a slot.
    pub(super) fn add(&mut self, shares: &[Share], slot: &Range<u64>) {
        self.longest = self.longest.max(slot.end.saturating_sub(slot.start));
        for share in shares {
            self.counted += 1;
            let lane = self.lanes.entry(share.lane.clone()).or_default();
            let taken = Taken {
                until: slot.end,
                takes: share.takes,
            };
            lane.insert((slot.start, self.counted), taken);
        }
    }

    /// Lets go of what began so long ago that it is over.
    pub(super) fn forget_before(&mut self, now_ms: u64) {
        let begun = now_ms.saturating_sub(self.longest);
        for lane in self.lanes.values_mut() {
            *lane = lane.split_off(&(begun, 0));
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
    }

    /// Whether every lane has room for these shares all the while. What meets any part of the slot is taken to
    /// last all of it.
    fn has_room(&self, shares: &[Share], slot: &Range<u64>) -> bool {
        shares.iter().all(|share| {
            let earliest = slot.start.saturating_sub(self.longest);
            let around = self.lanes.get(&share.lane);
            let around = around.map(|lane| lane.range((earliest, 0)..(slot.end, 0)));
            let meeting = around.into_iter().flatten();
            let taken: u64 = meeting
                .filter(|(_, taken)| taken.until > slot.start)
                .map(|(_, taken)| taken.takes)
                .sum();
            taken + share.takes <= share.of
        })
    }

    /// A slot for a test that takes these shares, within a window and where `is_open` says so of it; `None` where
    /// there is no room. The same seed finds the same slot in the same occupancy.
    pub(super) fn find(
        &self,
        grid: Grid,
        shares: &[Share],
        window: &Range<u64>,
        is_open: impl Fn(&Range<u64>) -> bool,
        seed: u64,
    ) -> Option<Range<u64>> {
        let cells = grid.within(window);
        let many = cells.end - cells.start;
        if many == 0 {
            return None;
        }
        let mut random = SplitMix64::new(seed);
        let first = random.next_u64() % many;
        let drawn: Vec<u64> = std::iter::once(first)
            .chain(std::iter::repeat_with(|| random.next_u64() % many).take(DRAWS))
            .collect();
        let all = (0..many.min(MOST_LOOKED_AT)).map(|step| (first + step) % many);
        let mut slots = drawn.into_iter().chain(all);
        let fits = |slot: &Range<u64>| is_open(slot) && self.has_room(shares, slot);
        slots.find_map(|index| Some(grid.cell(cells.start + index)).filter(&fits))
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::Direction;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Probe, Task};

    fn schedule(tests: &[(u64, u32)]) -> Schedule {
        let tasks = tests.iter().map(|(every_ms, duration_ms)| Task {
            every_ms: *every_ms,
            phase_ms: 0,
            interface: None,
            hours: None,
            slots: None,
            probe: Probe::Ndt7 {
                direction: Direction::Down,
                duration_ms: *duration_ms,
                congestion: None,
            },
        });
        Schedule {
            tasks: tasks.collect(),
            ..Schedule::default()
        }
    }

    fn shares(site: usize, capacity: u64) -> Vec<Share> {
        let line = Share {
            lane: format!("line {site}"),
            takes: 1,
            of: 1,
        };
        let server = Share {
            lane: "server".to_owned(),
            takes: 1,
            of: capacity,
        };
        vec![line, server]
    }

    /// All tests of one window, in any order.
    fn plan(
        grid: Grid,
        window: &Range<u64>,
        tests: &[usize],
        capacity: u64,
        seed: u64,
    ) -> Vec<(usize, Option<Range<u64>>)> {
        let mut occupancy = Occupancy::default();
        let mut random = SplitMix64::new(seed);
        let place = |site: &usize| {
            let shares = shares(*site, capacity);
            let seed = random.next_u64();
            let slot = occupancy.find(grid, &shares, window, |_| true, seed);
            if let Some(slot) = &slot {
                occupancy.add(&shares, slot);
            }
            (*site, slot)
        };
        tests.iter().map(place).collect()
    }

    #[test]
    fn a_town_of_155_schools_has_half_a_minute_to_wait_for_each_test() {
        let quarter = 21_600_000;
        let grid = Grid::of(&schedule(&[(quarter, 10_000), (quarter, 10_000)]), 155).unwrap();
        let cell = grid.cell(0);
        assert!(cell.end - cell.start > 40_000, "{cell:?}");
        assert!(grid.cells >= 310);
        assert_eq!(Grid::of(&schedule(&[]), 155), None);
    }

    #[test]
    fn a_demo_of_three_schools_fits_to_the_last_slot() {
        let grid = Grid::of(&schedule(&[(18_000, 2_400), (18_000, 2_400)]), 3).unwrap();
        let sites = [0, 0, 1, 1, 2, 2];
        for period in 1_000..1_020 {
            let window = period * 18_000..(period + 1) * 18_000;
            let plan = plan(grid, &window, &sites, 1, period);
            assert!(plan.iter().all(|(_, slot)| slot.is_some()), "{plan:?}");
        }
    }

    #[test]
    fn closed_hours_are_avoided_and_where_all_are_closed_nothing_is_leased() {
        let grid = Grid::of(&schedule(&[(3_600_000, 10_000)]), 1).unwrap();
        let window = 0..3_600_000;
        let open = |slot: &Range<u64>| slot.start >= 3_000_000;
        let none = Occupancy::default();
        for seed in 0..50 {
            let slot = none.find(grid, &shares(0, 1), &window, open, seed).unwrap();
            assert!(slot.start >= 3_000_000);
        }
        assert_eq!(none.find(grid, &shares(0, 1), &window, |_| false, 1), None);
    }

    #[test]
    fn the_slots_of_a_site_are_spread_over_its_window() {
        let grid = Grid::of(&schedule(&[(21_600_000, 10_000)]), 10).unwrap();
        let none = Occupancy::default();
        let starts = (0..400).map(|seed| {
            let slot = none.find(grid, &shares(0, 1), &(0..21_600_000), |_| true, seed);
            slot.unwrap().start
        });
        let mut hours = [0; 6];
        starts.for_each(|start| hours[(start / 3_600_000) as usize] += 1);
        assert!(
            hours.iter().all(|tests| (30..110).contains(tests)),
            "{hours:?}"
        );
    }

    proptest! {
        #[test]
        fn no_lane_is_filled_beyond_its_capacity_and_all_fit_where_there_is_room(
            sites in 1..40_usize,
            capacity in 1..4_u64,
            duration_ms in 1_000..20_000_u32,
            every_ms in 600_000..7_200_000_u64,
            from in 0..10_000_000_u64,
            seed: u64,
        ) {
            let schedule = schedule(&[(every_ms, duration_ms), (every_ms, duration_ms)]);
            let in_a_row = sites.div_ceil(capacity as usize);
            let needed = 2 * in_a_row as u64 * u64::from(duration_ms);
            let grid = Grid::of(&schedule, in_a_row).unwrap();
            let period = from / every_ms;
            let window = period * every_ms..(period + 1) * every_ms;
            let tests: Vec<usize> = (0..sites).flat_map(|site| [site, site]).collect();
            let plan = plan(grid, &window, &tests, capacity, seed);
            let placed: Vec<(usize, Range<u64>)> =
                plan.into_iter().filter_map(|(site, slot)| Some((site, slot?))).collect();
            for (index, (site, slot)) in placed.iter().enumerate() {
                prop_assert!(window.start <= slot.start && slot.end <= window.end);
                prop_assert!(slot.end - slot.start >= u64::from(duration_ms));
                let meets = |other: &&(usize, Range<u64>)| {
                    other.1.start < slot.end && slot.start < other.1.end
                };
                prop_assert!(placed.iter().filter(meets).count() as u64 <= capacity);
                let own = placed.iter().skip(index + 1).filter(|other| other.0 == *site);
                prop_assert!(own.filter(meets).count() == 0);
            }
            // One lane of several places may end with two tests of one site and one cell: not with a lane of one.
            if capacity == 1 && needed <= every_ms {
                prop_assert_eq!(placed.len(), tests.len());
            }
        }
    }
}
