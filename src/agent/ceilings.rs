//! When the agent tries again what it carries itself. Pure: time, program and boot are passed in.

use messnetz_metric::{Tester, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::self_test::Ceilings;

/// A self-test holds for so long.
const HOLDS_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A self-test that failed is tried again after so long.
const AGAIN_MS: i64 = 60 * 60 * 1000;

/// The program and the boot that a self-test speaks about: another version may be faster, and a machine that is
/// given another processor boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    version: String,
    pub(super) boot: String,
}

impl Machine {
    /// This one (random(4), `boot_id`).
    pub(super) fn this() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: boot.unwrap_or_default().trim().to_owned(),
        }
    }
}

/// What self-tests came to, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SelfTest {
    /// When it was last tried; `None` where it never was.
    #[serde(rename = "at_unix_ms")]
    pub(super) at: Option<UnixMillis>,
    #[serde(flatten)]
    pub(super) machine: Machine,
    #[serde(flatten)]
    pub(super) ceilings: Ceilings,
}

impl SelfTest {
    /// What is known of this machine; nothing where another one was tested.
    pub(super) fn of(&self, machine: &Machine) -> Ceilings {
        if self.machine == *machine {
            self.ceilings
        } else {
            Ceilings::default()
        }
    }

    /// Whether it has to be tried again for what is measured with.
    pub(super) fn is_due(&self, machine: &Machine, needed: &[Tester], now: UnixMillis) -> bool {
        if needed.is_empty() {
            return false;
        }
        let Some(UnixMillis(at)) = self.at.filter(|_| self.machine == *machine) else {
            return true;
        };
        let is_whole = needed.iter().all(|&one| self.ceilings.by(one).is_some());
        let holds = if is_whole { HOLDS_MS } else { AGAIN_MS };
        // A clock that was set back makes it due as well.
        !(at..at.saturating_add(holds)).contains(&now.0)
    }
}

#[cfg(test)]
mod tests {
    use messnetz_metric::BitRate;

    use super::*;

    fn machine(version: &str, boot: &str) -> Machine {
        Machine {
            version: version.to_owned(),
            boot: boot.to_owned(),
        }
    }

    fn tested(at: i64) -> SelfTest {
        SelfTest {
            at: Some(UnixMillis(at)),
            machine: machine("1", "a"),
            ceilings: Ceilings {
                ndt7: Some(BitRate::from_mbps(90.0)),
                iperf3: None,
            },
        }
    }

    #[test]
    fn it_is_due_anew_for_another_program_another_boot_and_after_a_month() {
        let (same, ndt7) = (machine("1", "a"), [Tester::Ndt7]);
        let day = 24 * 60 * 60 * 1000;
        let due = |machine: &Machine, day_number: i64| {
            tested(10 * day).is_due(machine, &ndt7, UnixMillis(day_number * day))
        };
        assert!(!due(&same, 10) && !due(&same, 39));
        assert!(due(&same, 40) && due(&same, 9));
        assert!(due(&machine("2", "a"), 10) && due(&machine("1", "b"), 10));
        assert_eq!(tested(0).of(&machine("1", "b")), Ceilings::default());
        assert!(SelfTest::default().is_due(&same, &ndt7, UnixMillis(0)));
    }

    #[test]
    fn what_failed_is_tried_again_within_the_hour_and_what_is_not_needed_never() {
        let (same, hour) = (machine("1", "a"), UnixMillis(60 * 60 * 1000));
        let due = |needed: &[Tester], now| tested(0).is_due(&same, needed, now);
        assert!(!due(&Tester::ALL, UnixMillis(hour.0 - 1)));
        assert!(due(&Tester::ALL, hour));
        assert!(!due(&[Tester::Ndt7], hour));
        assert!(!SelfTest::default().is_due(&same, &[], hour));
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let text = serde_json::to_string(&tested(7)).unwrap();
        assert_eq!(serde_json::from_str::<SelfTest>(&text).unwrap(), tested(7));
    }
}
