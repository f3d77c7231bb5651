//! The axis of data rates: linear or logarithmic, and where its ticks stand.

/// Up to this ratio of the largest to the smallest rate, the axis is linear: the smallest bar is then
/// still a twentieth of the plot. Beyond it, schools with slow lines would all look like nothing.
const LINEAR_UP_TO: f64 = 20.0;

/// A logarithmic axis reaches down this many decades at most.
const MAX_DECADES: i32 = 8;

/// An axis from its low to its high end, in Mbit/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    steps: Steps,
}

/// How the axis is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Steps {
    /// From zero, a tick after every so many Mbit/s.
    Linear(f64),
    /// By powers of ten.
    Logarithmic,
}

/// A line of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tick {
    /// Where, in Mbit/s.
    pub(super) mbps: f64,
    /// Whether its number is written.
    pub(super) labelled: bool,
}

impl Scale {
    /// The axis on which all of `rates` (in Mbit/s) can be read.
    pub(super) fn for_rates(rates: impl Iterator<Item = f64>) -> Self {
        let (smallest, largest) = rates
            .filter(|&rate| rate > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), rate| {
                (low.min(rate), high.max(rate))
            });
        if largest <= 0.0 {
            return Self {
                low: 0.0,
                high: 1.0,
                steps: Steps::Linear(1.0),
            };
        }
        if largest / smallest <= LINEAR_UP_TO {
            let step = nice_ceiling(largest / 5.0);
            return Self {
                low: 0.0,
                high: (largest * 1.001 / step).ceil() * step,
                steps: Steps::Linear(step),
            };
        }
        // The smallest rate gets a visible bar, so the axis begins clearly below it.
        let top = decade(nice_ceiling(largest * 1.001)).max(0);
        let bottom = decade(smallest * 0.7).max(top - MAX_DECADES);
        Self {
            low: 10_f64.powi(bottom),
            high: nice_ceiling(largest * 1.001),
            steps: Steps::Logarithmic,
        }
    }

    pub(super) fn is_logarithmic(self) -> bool {
        self.steps == Steps::Logarithmic
    }

    /// Where `mbps` stands between the low end (0) and the high end (1).
    pub(super) fn position(self, mbps: f64) -> f64 {
        let share = if self.is_logarithmic() {
            (mbps.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            mbps / self.high
        };
        share.clamp(0.0, 1.0)
    }

    /// The lines of the grid, from low to high.
    pub(super) fn ticks(self) -> Vec<Tick> {
        if let Steps::Linear(step) = self.steps {
            let n_steps = (self.high / step).round() as usize;
            return (0..=n_steps)
                .map(|idx| Tick {
                    mbps: idx as f64 * step,
                    labelled: true,
                })
                .collect();
        }
        let n_decades = decade(self.high) - decade(self.low);
        let mut ticks = Vec::new();
        for exponent in decade(self.low)..=decade(self.high) {
            for factor in [1.0, 2.0, 5.0] {
                let mbps = factor * 10_f64.powi(exponent);
                let whole = factor < 1.5;
                if mbps <= self.high * 1.000_001 && (whole || n_decades <= 4) {
                    ticks.push(Tick {
                        mbps,
                        labelled: whole || n_decades <= 2,
                    });
                }
            }
        }
        ticks
    }
}

/// The exponent of the power of ten at or below `value`.
fn decade(value: f64) -> i32 {
    (value.log10() + 1e-9).floor() as i32
}

/// The nearest of 1, 2 or 5 times a power of ten at or above `raw`.
fn nice_ceiling(raw: f64) -> f64 {
    let base = 10_f64.powi(decade(raw));
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * base >= raw * 0.999_999)
        .unwrap_or(10.0);
    factor * base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_one_size_share_a_linear_axis_from_zero() {
        let scale = Scale::for_rates([382.0, 390.0, 400.0, 120.0].into_iter());
        assert!(!scale.is_logarithmic());
        assert!(scale.position(0.0).abs() < 1e-9);
        assert!((scale.position(200.0) * 2.0 - scale.position(400.0)).abs() < 1e-9);
    }

    #[test]
    fn one_to_ten_thousand_is_logarithmic_and_all_of_it_can_be_seen() {
        let scale = Scale::for_rates([1.0, 10_000.0].into_iter());
        assert!(scale.is_logarithmic());
        assert!(scale.position(1.0) > 0.05);
        assert!(scale.position(10_000.0) <= 1.0);
        assert!(scale.position(0.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_rise_and_are_not_too_many() {
        let cases: [&[f64]; 7] = [
            &[],
            &[0.0],
            &[5.0],
            &[1.0, 10_000.0],
            &[1e-6, 1.8e13],
            &[30.0, 1000.0],
            &[941.0, 1000.0, 50.0],
        ];
        for rates in cases {
            let scale = Scale::for_rates(rates.iter().copied());
            let ticks = scale.ticks();
            assert!((2..=20).contains(&ticks.len()), "{rates:?}: {ticks:?}");
            for pair in ticks.windows(2) {
                assert!(pair[0].mbps < pair[1].mbps, "{rates:?}: {ticks:?}");
            }
            for tick in &ticks {
                assert!(scale.position(tick.mbps).is_finite(), "{rates:?}");
            }
            let n_labels = ticks.iter().filter(|tick| tick.labelled).count();
            assert!((2..=10).contains(&n_labels), "{rates:?}: {ticks:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_rate_has_a_place(rates in proptest::collection::vec(proptest::num::u64::ANY, 0..9)) {
            let mbps: Vec<f64> = rates.iter().map(|&bps| bps as f64 / 1e6).collect();
            let scale = Scale::for_rates(mbps.iter().copied());
            for rate in mbps {
                let place = scale.position(rate);
                proptest::prop_assert!((0.0..=1.0).contains(&place), "{}", place);
            }
        }
    }
}
