//! How often the intervals hold, by simulation: days of correlated samples whose true quantile is known.

use super::random::SplitMix64;
use messnetz_sites::blocks::Blocks;
use messnetz_sites::quantile::Statistic;

/// One cell of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    /// Number of school days.
    pub(crate) days: usize,
    /// Samples a day.
    pub(crate) per_day: usize,
    /// Correlation of the samples of one day.
    pub(crate) correlation: f64,
    /// The percentile.
    pub(crate) percent: u8,
}

/// What came of a cell, in shares of the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Both bounds were given.
    pub(crate) both: f64,
    /// The true value was within the interval; a bound that is not given holds.
    pub(crate) covered: f64,
    /// The lower bound was above the true value.
    pub(crate) too_high: f64,
    /// The upper bound was below the true value.
    pub(crate) too_low: f64,
}

/// The grid, in the order of the published table.
pub(crate) fn grid() -> Vec<Cell> {
    let mut cells = Vec::new();
    for percent in [50, 5] {
        for days in [10, 20, 60] {
            for per_day in [1, 2, 12] {
                for correlation in [0.0, 0.3, 0.6] {
                    cells.push(Cell {
                        days,
                        per_day,
                        correlation,
                        percent,
                    });
                }
            }
        }
    }
    cells
}

/// Standard normal values, those of a day correlated by a part that they share, as whole numbers.
pub(crate) fn fill(
    blocks: &mut Blocks,
    cell: Cell,
    random: &mut SplitMix64,
    values: &mut Vec<(i32, i64)>,
) {
    values.clear();
    for (day, _) in (0i32..).zip(0..cell.days) {
        let shared = random.normal() * cell.correlation.sqrt();
        for _ in 0..cell.per_day {
            let own = random.normal() * (1.0 - cell.correlation).sqrt();
            values.push((day, number(shared + own)));
        }
    }
    blocks.fill(values.iter().copied());
}

/// A normal value as a whole number.
pub(crate) fn number(normal: f64) -> i64 {
    ((normal + 20.0) * 1e9) as i64
}

/// Runs one cell at 95 % for each bound: a nominal 90 % for the interval.
pub(crate) fn run(cell: Cell, runs: usize, seed: u64) -> Outcome {
    let statistic = Statistic::percentile(cell.percent).expect("a percentile of the grid");
    // Quantiles of the standard normal distribution.
    let truth = number(if cell.percent == 50 {
        0.0
    } else {
        -1.644_853_627
    });
    let mut random = SplitMix64::new(seed);
    let mut blocks = Blocks::default();
    let mut values = Vec::new();
    let (mut both, mut too_high, mut too_low) = (0, 0, 0);
    for _ in 0..runs {
        fill(&mut blocks, cell, &mut random, &mut values);
        let bounds = blocks.bounds(statistic, 0.95);
        both += usize::from(bounds.lower.is_some() && bounds.upper.is_some());
        too_high += usize::from(bounds.lower.is_some_and(|lower| lower > truth));
        too_low += usize::from(bounds.upper.is_some_and(|upper| upper < truth));
    }
    let share = |count: usize| count as f64 / runs as f64;
    Outcome {
        both: share(both),
        covered: share(runs - too_high - too_low),
        too_high: share(too_high),
        too_low: share(too_low),
    }
}

/// Within how many days a target is to be decided.
pub(crate) const POWER_DAYS: usize = 20;

/// Coefficient of variation of the samples: the largest that capacity tests of an idle line show.
pub(crate) const VARIATION: f64 = 0.10;

/// In which share of the runs the interval of a median does not hold a threshold that lies 10 % beside the
/// true median, below it or above it, after [`POWER_DAYS`] days. The worse of both sides.
pub(crate) fn power(per_day: usize, correlation: f64, runs: usize, seed: u64) -> f64 {
    let cell = Cell {
        days: POWER_DAYS,
        per_day,
        correlation,
        percent: 50,
    };
    let mut random = SplitMix64::new(seed);
    let mut blocks = Blocks::default();
    let mut values = Vec::new();
    let (mut met, mut missed) = (0, 0);
    // The true median is 1.1 or 0.9 times the threshold, in standard deviations of the samples away.
    let above = number(-(0.1 / 1.1) / VARIATION);
    let below = number((0.1 / 0.9) / VARIATION);
    for _ in 0..runs {
        fill(&mut blocks, cell, &mut random, &mut values);
        let bounds = blocks.bounds(Statistic::MEDIAN, 0.95);
        met += usize::from(bounds.lower.is_some_and(|lower| lower >= above));
        missed += usize::from(bounds.upper.is_some_and(|upper| upper < below));
    }
    met.min(missed) as f64 / runs as f64
}
