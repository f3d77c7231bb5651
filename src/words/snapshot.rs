//! How what one visit saw of a target is worded: above or below today, and nothing about any other day.

use messnetz_metric::Value;
use messnetz_sites::Bilingual;
use messnetz_sites::verdict::{NotMeasured, Snapshot, Standing};

use super::operator;
use crate::text::Text;

impl Text {
    /// A target as one visit saw it, in a line.
    #[must_use]
    pub fn snapshot(&self, title: &Bilingual, snapshot: &Snapshot) -> String {
        let title = self.pick(title);
        let word = match &snapshot.standing {
            Standing::Above => self.say("audit-above"),
            Standing::Below => self.say("audit-below"),
            Standing::NotMeasured { why } => {
                let why = match why {
                    NotMeasured::NoData { why } => self.why_no_data(why),
                    NotMeasured::PortTooSmall(full) => self.why_port_too_small(full),
                    NotMeasured::BoxTooSlow(slow) => self.why_box_too_slow(slow),
                };
                return format!("– {title}: {}, {why}", self.say("audit-not-measured"));
            }
        };
        let (sign, good) = match snapshot.favourable {
            Some(true) => ("✔", self.say("audit-favourable")),
            Some(false) => ("✘", self.say("audit-unfavourable")),
            None => ("–", String::new()),
        };
        let value = |value: Option<Value>| value.map(|value| self.value(value)).unwrap_or_default();
        let threshold = snapshot.threshold.as_ref();
        format!(
            "{sign} {title}: {word} ({good}), {} {} {}, n = {}",
            value(snapshot.observed),
            operator(snapshot.op),
            value(threshold.map(|threshold| threshold.tolerated)),
            snapshot.samples
        )
    }
}
