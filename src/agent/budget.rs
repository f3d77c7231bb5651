//! What saturating tests have cost, and whether the next one may begin. Pure: time and costs are passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use messnetz_metric::{BitRate, Failure, FailureReason};
use serde::{Deserialize, Serialize};

use crate::wire::Budget;

/// Days that are kept: those of the longest month, whose bytes are summed up.
const DAYS: usize = 31;

/// What one test cost, or all tests of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cost {
    /// Bytes on the interface meanwhile, both directions: with headers, with what was sent again, and with
    /// whatever else went through it.
    pub(super) bytes: u64,
    /// Milliseconds.
    pub(super) millis: u64,
}

impl Cost {
    /// The cost of a test that took so long.
    pub(super) fn new(bytes: u64, during: Duration) -> Self {
        let millis = u64::try_from(during.as_millis()).unwrap_or(u64::MAX);
        Self { bytes, millis }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            millis: self.millis.saturating_add(other.millis),
        }
    }
}

/// What was spent, by interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger(BTreeMap<String, Account>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    /// The most that one test cost in the days below: the next may cost as much.
    dearest: Cost,
    /// The most bits a second that a test of the line moved, and one inside.
    #[serde(default)]
    best_of_line: u64,
    #[serde(default)]
    best_inside: u64,
    days: BTreeMap<Date, Cost>,
}

impl Account {
    fn on(&self, day: Date) -> Cost {
        self.days.get(&day).copied().unwrap_or_default()
    }

    fn in_month_of(&self, day: Date) -> Cost {
        let of_month = self.days.range(day.first_of_month()..=day.last_of_month());
        of_month.fold(Cost::default(), |sum, (_, cost)| sum.plus(*cost))
    }
}

impl Ledger {
    /// Notes what a test cost.
    pub(super) fn spend(&mut self, interface: &str, day: Date, cost: Cost) {
        let account = self.0.entry(interface.to_owned()).or_default();
        account.dearest = Cost {
            bytes: account.dearest.bytes.max(cost.bytes),
            millis: account.dearest.millis.max(cost.millis),
        };
        let spent = account.on(day).plus(cost);
        account.days.insert(day, spent);
        while account.days.len() > DAYS {
            account.days.pop_first();
        }
    }

    /// Notes how fast a test was, of the line or of what lies inside.
    pub(super) fn note_rate(&mut self, interface: &str, of_line: bool, cost: Cost) {
        let account = self.0.entry(interface.to_owned()).or_default();
        let rate = cost.bytes.saturating_mul(8_000) / cost.millis.max(1);
        let best = if of_line {
            &mut account.best_of_line
        } else {
            &mut account.best_inside
        };
        *best = rate.max(*best);
    }

    /// The most that a test moved through an interface; `None` where none was noted.
    pub(super) fn best(&self, interface: &str, of_line: bool) -> Option<BitRate> {
        let account = self.0.get(interface)?;
        let best = if of_line {
            account.best_of_line
        } else {
            account.best_inside
        };
        (best > 0).then(|| BitRate::from_bps(best))
    }

    /// Whether a test of this length may begin now, through this interface.
    ///
    /// What it will cost is not known before: it is taken to need as many bytes as the dearest test that this
    /// interface saw, so that only the very first test can exceed a budget.
    ///
    /// # Errors
    /// [`FailureReason::Budget`] with the limit that stands in the way.
    pub(super) fn allows(
        &self,
        budgets: &[Budget],
        interface: Option<&str>,
        now: DateTime,
        length: Duration,
    ) -> Result<(), Failure> {
        let applies = |budget: &&Budget| {
            budget.interface.is_none() || budget.interface.as_deref() == interface
        };
        let refused = |what: String| {
            let on = interface.unwrap_or("the line");
            let detail = format_args!("the capacity test through {on} was left out: {what}");
            Err(Failure::new(FailureReason::Budget, detail))
        };
        let unused = Account::default();
        let account = interface
            .and_then(|name| self.0.get(name))
            .unwrap_or(&unused);
        let today = account.on(now.date());
        let month = account.in_month_of(now.date());
        let next = account.dearest.bytes;
        for budget in budgets.iter().filter(applies) {
            let Budget {
                interface: _,
                bytes_a_day,
                bytes_a_month,
                seconds_a_day,
                hours,
            } = budget;
            let minute =
                u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
            if let Some(hours) = hours.filter(|hours| !hours.include(minute)) {
                return refused(format!("it is {}, tests may begin {hours}", now.time()));
            }
            for (limit, spent, of) in [(bytes_a_day, today, "day"), (bytes_a_month, month, "month")]
            {
                // A limit of nothing allows nothing, even before anything was spent.
                let Some(limit) = *limit else { continue };
                if spent.bytes >= limit || spent.bytes.saturating_add(next) > limit {
                    return refused(format!(
                        "{} of {limit} bytes of this {of} are spent, and a test took up to {next}",
                        spent.bytes
                    ));
                }
            }
            if let Some(limit) = seconds_a_day {
                let seconds = Duration::from_millis(today.millis).saturating_add(length);
                if seconds > Duration::from_secs((*limit).into()) {
                    return refused(format!(
                        "it takes {} s, and {} of {limit} s of this day are spent",
                        length.as_secs_f64(),
                        Duration::from_millis(today.millis).as_secs_f64()
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::wire::Hours;

    const TEN: Duration = Duration::from_secs(10);

    fn lte() -> Budget {
        Budget {
            interface: Some("wwan0".to_owned()),
            ..Budget::default()
        }
    }

    fn allows(ledger: &Ledger, budget: &Budget, now: DateTime) -> Result<(), String> {
        ledger
            .allows(std::slice::from_ref(budget), Some("wwan0"), now, TEN)
            .map_err(|failure| {
                assert_eq!(failure.reason, FailureReason::Budget);
                failure.detail
            })
    }

    #[test]
    fn a_day_ends_when_the_next_test_would_exceed_it_and_the_next_day_begins_anew() {
        let day = date(2026, 11, 23);
        let budget = Budget {
            bytes_a_day: Some(250),
            ..lte()
        };
        let mut ledger = Ledger::default();
        let now = day.at(9, 0, 0, 0);
        assert_eq!(allows(&ledger, &budget, now), Ok(()));
        ledger.spend("wwan0", day, Cost::new(100, TEN));
        assert_eq!(allows(&ledger, &budget, now), Ok(()));
        ledger.spend("wwan0", day, Cost::new(80, TEN));
        let why = allows(&ledger, &budget, now).unwrap_err();
        assert!(
            why.contains("180 of 250 bytes of this day are spent"),
            "{why}"
        );
        assert_eq!(
            allows(&ledger, &budget, day.tomorrow().unwrap().at(0, 0, 0, 0)),
            Ok(())
        );
    }

    #[test]
    fn a_month_sums_its_days() {
        let budget = Budget {
            bytes_a_month: Some(1_000),
            ..lte()
        };
        let mut ledger = Ledger::default();
        for day in 1..=10 {
            ledger.spend("wwan0", date(2026, 11, day), Cost::new(95, TEN));
        }
        assert!(allows(&ledger, &budget, date(2026, 11, 30).at(0, 0, 0, 0)).is_err());
        assert_eq!(
            allows(&ledger, &budget, date(2026, 12, 1).at(0, 0, 0, 0)),
            Ok(())
        );
    }

    #[test]
    fn seconds_and_hours_are_limits_of_their_own() {
        let day = date(2026, 11, 23);
        let mut ledger = Ledger::default();
        ledger.spend("wwan0", day, Cost::new(1, TEN));
        let seconds = |limit| Budget {
            seconds_a_day: Some(limit),
            ..lte()
        };
        assert_eq!(allows(&ledger, &seconds(20), day.at(9, 0, 0, 0)), Ok(()));
        assert!(allows(&ledger, &seconds(19), day.at(9, 0, 0, 0)).is_err());
        let hours = Hours::try_from("20:00-06:00".to_owned()).ok();
        let night = Budget { hours, ..lte() };
        assert_eq!(allows(&ledger, &night, day.at(5, 59, 0, 0)), Ok(()));
        let why = allows(&ledger, &night, day.at(6, 0, 0, 0)).unwrap_err();
        assert!(why.contains("tests may begin 20:00-06:00"), "{why}");
    }

    #[test]
    fn the_budget_of_one_interface_is_not_spent_by_another() {
        let day = date(2026, 11, 23);
        let mut ledger = Ledger::default();
        ledger.spend("wwan0", day, Cost::new(100, TEN));
        let limit = Budget {
            bytes_a_day: Some(100),
            ..lte()
        };
        let now = day.at(9, 0, 0, 0);
        assert!(allows(&ledger, &limit, now).is_err());
        assert!(ledger.allows(&[limit], Some("eth0"), now, TEN).is_ok());
        let nothing = Budget {
            bytes_a_day: Some(0),
            ..Budget::default()
        };
        assert!(ledger.allows(&[nothing], Some("eth0"), now, TEN).is_err());
    }

    #[test]
    fn the_best_of_the_line_is_not_that_of_what_lies_inside() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.best("eth0", true), None);
        ledger.note_rate("eth0", true, Cost::new(12_500_000, TEN));
        ledger.note_rate("eth0", true, Cost::new(11_000_000, TEN));
        ledger.note_rate("eth0", false, Cost::new(1_250_000_000, TEN));
        let mbps = |mbps| Some(BitRate::from_mbps(mbps));
        assert_eq!(ledger.best("eth0", true), mbps(10.0));
        assert_eq!(ledger.best("eth0", false), mbps(1_000.0));
    }

    #[test]
    fn the_ledger_keeps_a_month_and_survives_json() {
        let mut ledger = Ledger::default();
        let mut day = date(2026, 1, 1);
        for _ in 0..400 {
            ledger.spend("wwan0", day, Cost::new(1, TEN));
            day = day.tomorrow().unwrap();
        }
        assert_eq!(ledger.0["wwan0"].days.len(), DAYS);
        let json = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&json).unwrap(), ledger);
    }
}
