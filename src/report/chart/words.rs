//! The texts of the charts, in German and English.

/// From 1 Tbit/s on, a rate is a slip of somebody's pen: written as a power, it stays in its column,
/// where a number cut to the width would read as another number.
const UNLIKELY: u64 = 1_000_000_000_000;

/// Every text that a chart shows apart from the labels of its rows.
///
/// The caller may replace single texts: `ChartWords { coverage_title: "…".into(), ..ChartWords::german() }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartWords {
    /// Title of the coverage chart.
    pub coverage_title: String,
    /// Title of the throughput chart.
    pub throughput_title: String,
    /// The verdict: the target is reached.
    pub met: String,
    /// The verdict: the target is not reached.
    pub missed: String,
    /// The verdict: the measurements do not decide.
    pub undecided: String,
    /// The verdict: there are no measurements.
    pub no_data: String,
    /// Head of the column of targets.
    pub target: String,
    /// Head of the column of schools.
    pub school: String,
    /// Head of the column of measured rates.
    pub measured: String,
    /// Head of the column of required rates, and name of their marker.
    pub required: String,
    /// Name of the marker that shows how far below the requirement is tolerated.
    pub tolerated: String,
    /// Head of the column of contract rates, and name of their marker.
    pub contract: String,
    /// Head of the column of verdicts.
    pub verdict: String,
    /// Between a part and its whole: 7 *of* 12.
    pub of: String,
    /// In place of a bar where a target applies to no school.
    pub no_schools: String,
    /// In place of the coverage chart where there is no target.
    pub no_targets: String,
    /// In place of a bar where a school has no measurement.
    pub no_measurement: String,
    /// In place of a rate that nobody asks for.
    pub no_requirement: String,
    /// In place of a contract rate that is not known.
    pub no_contract: String,
    /// Title of the axis of shares.
    pub share_axis: String,
    /// Title of a linear axis of rates; names the unit.
    pub rate_axis: String,
    /// Title of a logarithmic axis of rates; names the unit and says that it is logarithmic.
    pub rate_axis_log: String,
    /// Between groups of three digits.
    pub thousands: char,
    /// Before the decimals.
    pub decimal: char,
}

impl ChartWords {
    /// German texts and numbers.
    #[must_use]
    pub fn german() -> Self {
        Self {
            coverage_title: "Zielerreichung: Anteil der Schulen je Ziel".into(),
            throughput_title: "Gemessene und geforderte Datenrate je Schule".into(),
            met: "erfüllt".into(),
            missed: "verfehlt".into(),
            undecided: "unentschieden".into(),
            no_data: "keine Daten".into(),
            target: "Ziel".into(),
            school: "Schule".into(),
            measured: "gemessen".into(),
            required: "Soll".into(),
            tolerated: "Toleranz unter dem Soll".into(),
            contract: "Vertrag".into(),
            verdict: "Urteil".into(),
            of: "von".into(),
            no_schools: "keine Schulen".into(),
            no_targets: "keine Ziele".into(),
            no_measurement: "keine Messung".into(),
            no_requirement: "kein Soll".into(),
            no_contract: "unbekannt".into(),
            share_axis: "Anteil der Schulen".into(),
            rate_axis: "Datenrate in Mbit/s".into(),
            rate_axis_log: "Datenrate in Mbit/s, logarithmische Skala".into(),
            thousands: '.',
            decimal: ',',
        }
    }

    /// English texts and numbers.
    #[must_use]
    pub fn english() -> Self {
        Self {
            coverage_title: "Target coverage: share of schools per target".into(),
            throughput_title: "Measured and required data rate per school".into(),
            met: "met".into(),
            missed: "missed".into(),
            undecided: "undecided".into(),
            no_data: "no data".into(),
            target: "Target".into(),
            school: "School".into(),
            measured: "measured".into(),
            required: "required".into(),
            tolerated: "tolerated below required".into(),
            contract: "contract".into(),
            verdict: "Verdict".into(),
            of: "of".into(),
            no_schools: "no schools".into(),
            no_targets: "no targets".into(),
            no_measurement: "no measurement".into(),
            no_requirement: "none".into(),
            no_contract: "unknown".into(),
            share_axis: "Share of schools".into(),
            rate_axis: "Data rate in Mbit/s".into(),
            rate_axis_log: "Data rate in Mbit/s, logarithmic scale".into(),
            thousands: ',',
            decimal: '.',
        }
    }

    /// The rate in Mbit/s, exact enough that two rates which decide a verdict never look the same
    /// unless they differ by less than 0.05 Mbit/s (0.5 Mbit/s from 10 Gbit/s on).
    pub(super) fn mbps(&self, bps: u64) -> String {
        if bps >= UNLIKELY {
            let mbps = bps as f64 / 1e6;
            return format!("{mbps:.1e}").replace('.', &self.decimal.to_string());
        }
        let (unit, decimals) = match bps {
            0..1_000_000 => (1_000, 3),
            1_000_000..10_000_000_000 => (100_000, 1),
            _ => (1_000_000, 0),
        };
        let scaled = (bps + unit / 2) / unit;
        if scaled == 0 && bps > 0 {
            return format!("< 0{}001", self.decimal);
        }
        let scale = 10_u64.pow(decimals);
        let mut text = self.grouped(scaled / scale);
        let fraction = scaled % scale;
        if fraction > 0 {
            let digits = format!("{fraction:0width$}", width = decimals as usize);
            text.push(self.decimal);
            text.push_str(digits.trim_end_matches('0'));
        }
        text
    }

    /// A whole number in groups of three digits.
    pub(super) fn grouped(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
        for (idx, digit) in digits.chars().enumerate() {
            if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
                text.push(self.thousands);
            }
            text.push(digit);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_in_the_readers_way() {
        let cases = [
            (0, "0"),
            (1, "< 0,001"),
            (64_000, "0,064"),
            (1_000_000, "1"),
            (4_520_000, "4,5"),
            (389_600_000, "389,6"),
            (390_000_000, "390"),
            (9_412_000_000, "9.412"),
            (10_000_000_000, "10.000"),
            (999_999_400_000, "999.999"),
            (u64::MAX, "1,8e13"),
        ];
        for (bps, expected) in cases {
            assert_eq!(ChartWords::german().mbps(bps), expected, "{bps}");
        }
        assert_eq!(ChartWords::english().mbps(1_234_500_000), "1,234.5");
    }
}
