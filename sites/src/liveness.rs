//! Whether an agent still speaks. That nothing comes is a state of the agent, and never one of the line: what
//! nobody measured is no outage.

use messnetz_metric::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::text::Bilingual;

const HOUR_MS: i64 = 3_600_000;

/// Until when an agent counts as live where no profile says so, in hours: this project's default.
const AT_RISK_AFTER: u32 = 24;

/// From when it counts as lost likewise: a week, so that holidays of a caretaker are no loss.
const LOST_AFTER: u32 = 7 * 24;

/// How an agent stands, by when its last batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// A batch came lately.
    Live,
    /// None came for longer than that; somebody should look.
    AtRisk,
    /// None came for so long that somebody has to go there.
    Lost,
    /// It is enrolled, and nothing ever came.
    Never,
}

impl Liveness {
    /// The state of an agent whose last batch came then. A clock that was set back makes nobody lost.
    #[must_use]
    pub fn of(last: Option<UnixMillis>, now: UnixMillis, silence: &Silence) -> Self {
        let Some(last) = last else {
            return Self::Never;
        };
        let silent = now.0.saturating_sub(last.0);
        let beyond = |hours: u32| silent > i64::from(hours) * HOUR_MS;
        if beyond(silence.lost_after_hours) {
            Self::Lost
        } else if beyond(silence.at_risk_after_hours) {
            Self::AtRisk
        } else {
            Self::Live
        }
    }
}

/// How long an agent may be silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Up to so many hours it is live.
    pub at_risk_after_hours: u32,
    /// Beyond so many hours it is lost.
    pub lost_after_hours: u32,
    /// Who says so.
    pub origin: Bilingual,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            at_risk_after_hours: AT_RISK_AFTER,
            lost_after_hours: LOST_AFTER,
            origin: Bilingual {
                de: "Vorgabe dieses Projekts".to_owned(),
                en: "this project's default".to_owned(),
            },
        }
    }
}

impl Silence {
    /// What is wrong with it, if anything.
    #[must_use]
    pub const fn flaw(&self) -> Option<&'static str> {
        if self.at_risk_after_hours == 0 || self.at_risk_after_hours > self.lost_after_hours {
            Some("`at_risk_after_hours` must be at least 1 and at most `lost_after_hours`")
        } else {
            None
        }
    }

    /// The one of several profiles that asks for an answer soonest; the default where none says anything.
    #[must_use]
    pub fn soonest(stated: impl IntoIterator<Item = Self>) -> Self {
        stated
            .into_iter()
            .min_by_key(|silence| (silence.at_risk_after_hours, silence.lost_after_hours))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_live_for_a_day_at_risk_for_a_week_and_then_lost() {
        let silence = Silence::default();
        let now = UnixMillis(1_780_000_000_000);
        let state = |hours: i64, ms: i64| {
            let last = UnixMillis(now.0 - hours * HOUR_MS - ms);
            Liveness::of(Some(last), now, &silence)
        };
        assert_eq!(state(0, 0), Liveness::Live);
        assert_eq!(state(24, 0), Liveness::Live);
        assert_eq!(state(24, 1), Liveness::AtRisk);
        assert_eq!(state(168, 0), Liveness::AtRisk);
        assert_eq!(state(168, 1), Liveness::Lost);
        assert_eq!(state(-5, 0), Liveness::Live, "a clock that was set back");
        assert_eq!(Liveness::of(None, now, &silence), Liveness::Never);
    }

    #[test]
    fn of_several_profiles_the_one_holds_that_asks_soonest() {
        let stated = |at_risk_after_hours, lost_after_hours| Silence {
            at_risk_after_hours,
            lost_after_hours,
            ..Silence::default()
        };
        let (slow, soon) = (stated(48, 96), stated(2, 200));
        assert_eq!(Silence::soonest([slow, soon.clone()]), soon);
        assert_eq!(Silence::soonest([]), Silence::default());
        assert!(stated(0, 1).flaw().is_some() && stated(3, 2).flaw().is_some());
        assert_eq!(Silence::default().flaw(), None);
    }
}
