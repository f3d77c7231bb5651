//! What a batch tells beside its observations: by which clock they were stamped, and what was left out.

use messnetz_metric::{Medium, Metric, TEXT_LIMIT};
use serde::{Deserialize, Serialize};

use super::Malformed;

/// Most entries of [`Beside::omitted`] in one batch; what is more waits for the next.
pub const MAX_OMITTED: usize = 100;

/// Hexadecimal digits that name a stretch of time.
const NAME_DIGITS: usize = 16;

/// What is told beside the observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The clock of all observations of the batch; `None` where the agent's program was too old to tell, or no
    /// agent made it.
    pub clock: Option<Clock>,
    /// What was measured, or should have been, and is in no batch.
    pub omitted: Vec<Omitted>,
}

/// By which clock the observations of a batch were stamped: the time since a boot, to which an offset is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Names the boot, or the part of it in which `offset` was the same: 16 random hexadecimal digits. Times of
    /// one name differ by what passed between them.
    pub boot: String,
    /// What was added to the time since the boot, in milliseconds.
    pub offset: i64,
    /// Whether a time service had confirmed that.
    pub synchronised: bool,
    /// Seconds since the time service last did; `None` where that is not known.
    pub since_sync: Option<u32>,
    /// How far the wall clock was set away since, in milliseconds; the times here do not follow it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stepped: i64,
    /// False where the times are certainly wrong, because the clock stood before a time that has passed: then
    /// only their differences mean something.
    pub dated: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The box lost its power before it was on the disk, and measured nothing until it was back.
    PowerLoss,
    /// What the disk held of it could not be read any more.
    Damaged,
    /// The spool was full, and thinned out what it held.
    Full,
    /// The disk was full, and nothing could be written.
    DiskFull,
    /// It waited longer than a spool keeps anything.
    Age,
}

impl Why {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::PowerLoss,
        Self::Damaged,
        Self::Full,
        Self::DiskFull,
        Self::Age,
    ];
}

/// What was left out: of one series, or of all where none is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Omitted {
    /// The series' metric; `None` where it is about all series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// The series' interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The series' medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// The series' peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Nothing before this was left out, in milliseconds since 1970; 0 where that is not known.
    pub from: u64,
    /// Nothing after this was.
    pub to: u64,
    /// How many observations between the two were left out; `None` where that is not known.
    pub count: Option<u64>,
    /// Why.
    pub why: Why,
}

impl Clock {
    /// Whether it can be told.
    ///
    /// # Errors
    /// What of it cannot.
    pub fn check(&self) -> Result<(), Malformed> {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if self.boot.len() != NAME_DIGITS || !self.boot.chars().all(is_hex) {
            let why = format_args!("it has {NAME_DIGITS} hexadecimal digits");
            return Err(Malformed::at("boot", why));
        }
        Ok(())
    }
}

impl Omitted {
    /// Whether it can be told.
    ///
    /// # Errors
    /// What of it cannot.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |why: &str| Err(Malformed::at(".", why));
        let too_long = |text: &Option<String>| {
            text.as_ref()
                .is_some_and(|text| text.chars().nth(TEXT_LIMIT).is_some())
        };
        if too_long(&self.interface) || too_long(&self.peer) {
            return wrong("a name in it is too long");
        }
        let is_series = self.metric.is_some();
        if self.medium.is_some() != is_series
            || self.peer.is_some() != is_series
            || (self.interface.is_some() && !is_series)
        {
            return wrong("it names a series with metric, medium and peer, or none");
        }
        // Stores and other languages have signed integers.
        let numbers = [self.to, self.count.unwrap_or_default()];
        if numbers.iter().any(|number| i64::try_from(*number).is_err()) {
            return wrong("a number in it is too large");
        }
        if self.from > self.to {
            return wrong("it ends before it begins");
        }
        Ok(())
    }
}

impl Beside {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if let Some(clock) = &self.clock {
            clock.check().map_err(|wrong| wrong.within("clock"))?;
        }
        if self.omitted.len() > MAX_OMITTED {
            let why = format_args!("it has {MAX_OMITTED} entries at most");
            return Err(Malformed::at("omitted", why));
        }
        for (index, omitted) in self.omitted.iter().enumerate() {
            let here = |wrong: Malformed| wrong.within(format_args!("omitted[{index}]"));
            omitted.check().map_err(here)?;
        }
        Ok(())
    }
}
