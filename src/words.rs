//! Wording what was judged: values, verdicts, causes and prices as people read them.
//!
//! The rules give data; this module is the only place that turns it into sentences, whichever way they
//! are shown.

#[cfg(feature = "collector")]
mod agents;
mod cause;
mod contract;
#[cfg(feature = "collector")]
mod explain;
#[cfg(feature = "collector")]
mod inventory;
#[cfg(feature = "collector")]
mod roster;
mod snapshot;
#[cfg(feature = "collector")]
mod visit;

use fluent_bundle::FluentValue;
use messnetz_metric::{BitRate, Failure, FailureReason, Layer, Metric, Unit, Value};
use messnetz_sites::formula::NotAssessable;
use messnetz_sites::period::Standing;
use messnetz_sites::quantile::Statistic;
use messnetz_sites::target::{Operator, Status, Target};
use messnetz_sites::trend::{Outlook, Trend};
use messnetz_sites::upgrade::Price;
use messnetz_sites::verdict::{
    Excepted, FullPort, Judgement, NoData, SlowBox, Undecided, Verdict, VerdictKind,
};
use messnetz_sites::{Bilingual, Mark, Source};

use crate::text::{Language, Text};

#[cfg(feature = "collector")]
pub use agents::shown;
#[cfg(feature = "collector")]
pub use explain::Step;

/// The symbol of a verdict: a second sign beside the word, for those who do not see the colour.
#[must_use]
pub const fn symbol(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Met => "\u{2714}",
        VerdictKind::Missed => "\u{2718}",
        VerdictKind::Undecided => "?",
        VerdictKind::NoData => "\u{2013}",
    }
}

impl Text {
    /// The text in this language.
    #[must_use]
    pub fn pick<'a>(&self, text: &'a Bilingual) -> &'a str {
        match self.language {
            Language::De => &text.de,
            Language::En => &text.en,
        }
    }

    /// The word of a verdict.
    #[must_use]
    pub fn verdict(&self, kind: VerdictKind) -> String {
        match kind {
            VerdictKind::Met => self.say("verdict-met"),
            VerdictKind::Missed => self.say("verdict-missed"),
            VerdictKind::Undecided => self.say("verdict-undecided"),
            VerdictKind::NoData => self.say("verdict-no-data"),
        }
    }

    /// A rate in Mbit/s.
    #[must_use]
    pub fn rate(&self, rate: impl Into<BitRate>) -> String {
        self.value(Value::Rate(rate.into()))
    }

    /// A value with its unit, Mbit/s, ms, %, dBm, dB or /min, with three digits that count.
    #[must_use]
    pub fn value(&self, value: Value) -> String {
        self.value_to(value, 3)
    }

    /// A value with so many digits that count; whole numbers stay whole.
    fn value_to(&self, value: Value, digits: i32) -> String {
        let (number, unit) = match value {
            Value::Rate(rate) => (rate.as_mbps(), "Mbit/s"),
            Value::Time(time) => (time.as_millis_f64(), "ms"),
            Value::Share(share) => (share.as_percent(), "%"),
            Value::Level(level) => (level.as_dbm(), "dBm"),
            Value::Ratio(ratio) => (ratio.as_db(), "dB"),
            Value::Frequency(frequency) => (frequency.times() as f64, "/min"),
        };
        let before_the_point = if number.abs() < 1.0 {
            0
        } else {
            number.abs().log10().floor() as i32 + 1
        };
        let decimals = (digits - before_the_point).clamp(0, 4) as usize;
        let decimals = if number.fract() == 0.0 { 0 } else { decimals };
        format!("{}\u{a0}{unit}", self.language.number(number, decimals))
    }

    /// What was observed: the statistic and its value, with as many digits as it takes to tell it from
    /// the threshold.
    #[must_use]
    pub fn observed(&self, judgement: &Judgement) -> String {
        let Some(observed) = judgement.observed else {
            return "\u{2013}".to_owned();
        };
        let threshold = judgement.threshold.as_ref();
        self.value_beside(observed, threshold.map(|threshold| threshold.tolerated))
    }

    /// A value with as many digits as it takes to tell it from another one beside it.
    fn value_beside(&self, value: Value, other: Option<Value>) -> String {
        let Some(other) = other.filter(|other| *other != value) else {
            return self.value(value);
        };
        let beside = self.value(other);
        (3..8)
            .map(|digits| self.value_to(value, digits))
            .find(|shown| *shown != beside)
            .unwrap_or_else(|| self.value(value))
    }

    /// The statistic that is compared, as planners call it.
    #[must_use]
    pub fn statistic(&self, judgement: &Judgement) -> String {
        if judgement.statistic == Statistic::MEDIAN {
            return self.say("statistic-median");
        }
        let percent = (judgement.statistic.share() * 100.0).round();
        let gaps = [("percent", FluentValue::from(percent))];
        if judgement.statistic.is_of_days() {
            self.say_with("statistic-share-of-days", &gaps)
        } else {
            self.say_with("statistic-percentile", &gaps)
        }
    }

    /// The period that was judged, whether it is over, and what the running one says so far.
    #[must_use]
    pub fn periods(&self, judgement: &Judgement, running: Option<&Judgement>) -> String {
        let period = |judgement: &Judgement| {
            let gaps = [("period", text(judgement.period?.to_string()))];
            Some(match judgement.standing? {
                Standing::Closed => self.say_with("period-closed", &gaps),
                Standing::Provisional => self.say_with("period-provisional", &gaps),
            })
        };
        let mut shown = period(judgement).unwrap_or_default();
        if let Some((running, name)) = running.and_then(|r| Some((r, period(r)?))) {
            let kind = running.verdict.kind();
            let said = format!("; {name}: {} {}", symbol(kind), self.verdict(kind));
            shown.push_str(&said);
        }
        shown
    }

    /// The layers that are compared, where they are not one.
    #[must_use]
    pub fn layers(&self, judgement: &Judgement) -> Option<String> {
        let layers = judgement.layers?;
        Some(self.say_with(
            "layers",
            &[
                ("measured", text(self.layer(layers.measured))),
                ("threshold", text(self.layer(layers.threshold))),
            ],
        ))
    }

    /// Why a measurement has no value.
    #[must_use]
    pub fn failure(&self, failure: &Failure) -> String {
        let reason = match failure.reason {
            FailureReason::Timeout => self.say("failure-timeout"),
            FailureReason::Refused => self.say("failure-refused"),
            FailureReason::Unreachable => self.say("failure-unreachable"),
            FailureReason::NameResolution => self.say("failure-name-resolution"),
            FailureReason::Tls => self.say("failure-tls"),
            FailureReason::Protocol => self.say("failure-protocol"),
            FailureReason::Permission => self.say("failure-permission"),
            FailureReason::Interface => self.say("failure-interface"),
            FailureReason::Busy => self.say("failure-busy"),
            FailureReason::Budget => self.say("failure-budget"),
        };
        format!("{reason} ({})", failure.detail)
    }

    /// The unit that a target's formula is written in, with the space before it.
    #[must_use]
    pub fn written_unit(&self, target: &Target) -> String {
        let unit = match target.metric.quantity.unit() {
            Unit::BitPerSecond => "Mbit/s",
            Unit::Microsecond => "ms",
            Unit::PartPerMillion => "%",
            Unit::MillibelMilliwatt => "dBm",
            Unit::Millibel => "dB",
            Unit::PerMinute => "/min",
        };
        format!("\u{a0}{unit}")
    }

    /// A window, as planners call it.
    #[must_use]
    pub fn window(&self, name: &str) -> String {
        match name {
            "lesson-hours" => self.say("window-lesson-hours"),
            "off-lesson" => self.say("window-off-lesson"),
            own => self.say_with("window-own", &[("name", text(own.to_owned()))]),
        }
    }

    /// Why a formula gave no threshold.
    #[must_use]
    pub fn not_assessable(&self, because: &NotAssessable) -> String {
        match because {
            NotAssessable::MissingFact { fact } => self.say_with(
                "not-assessable-missing-fact",
                &[("fact", text(fact.name().to_owned()))],
            ),
            NotAssessable::DivisionByZero => self.say("not-assessable-division"),
            NotAssessable::OutOfRange => self.say("not-assessable-range"),
        }
    }

    /// The threshold, and the tolerated one where they differ.
    #[must_use]
    pub fn threshold(&self, judgement: &Judgement) -> String {
        let strict = self.strict_threshold(judgement);
        let Some(threshold) = &judgement.threshold else {
            return strict;
        };
        if threshold.strict == threshold.tolerated {
            strict
        } else {
            let gaps = [
                ("strict", text(strict)),
                (
                    "tolerated",
                    text(self.bound(judgement.op, threshold.tolerated)),
                ),
            ];
            self.say_with("threshold-tolerated", &gaps)
        }
    }

    /// The threshold as the source states it.
    #[must_use]
    pub fn strict_threshold(&self, judgement: &Judgement) -> String {
        let strict = judgement
            .threshold
            .as_ref()
            .map(|threshold| threshold.strict);
        strict.map_or_else(
            || "\u{2013}".to_owned(),
            |strict| self.bound(judgement.op, strict),
        )
    }

    /// How a threshold came about; `None` where the target states it outright.
    #[must_use]
    pub fn workings(&self, judgement: &Judgement) -> Option<String> {
        let threshold = judgement.threshold.as_ref()?;
        let workings = || text(threshold.workings.clone());
        match threshold.capped_at {
            Some(cap) => Some(self.say_with(
                "threshold-capped",
                &[("workings", workings()), ("cap", text(self.value(cap)))],
            )),
            None => threshold
                .workings
                .contains('=')
                .then(|| threshold.workings.clone()),
        }
    }

    fn bound(&self, op: Operator, value: Value) -> String {
        format!("{}\u{a0}{}", operator(op), self.value(value))
    }

    /// The contract against the same threshold.
    #[must_use]
    pub fn contract(&self, judgement: &Judgement) -> Option<String> {
        let check = judgement.contract?;
        let gaps = [("contract", text(self.rate(check.contract)))];
        Some(if check.satisfied {
            self.say_with("contract-satisfies", &gaps)
        } else {
            self.say_with("contract-too-small", &gaps)
        })
    }

    /// Why a judgement is neither met nor missed, with the window in which nothing was measured.
    #[must_use]
    pub fn why_no_verdict(&self, judgement: &Judgement) -> Option<String> {
        match (&judgement.verdict, &judgement.window) {
            (
                Verdict::NoData {
                    why: NoData::NoSamples,
                },
                Some(window),
            ) => Some(self.say_with(
                "no-data-no-samples-in-window",
                &[("window", text(self.window(window)))],
            )),
            (verdict, _) => self.why_open(verdict),
        }
    }

    /// Why a verdict is no more than it is; `None` for what is met or missed.
    #[must_use]
    pub fn why_open(&self, verdict: &Verdict) -> Option<String> {
        match verdict {
            Verdict::Met | Verdict::Missed => None,
            Verdict::Undecided { why } => Some(self.why_undecided(why)),
            Verdict::NoData { why } => Some(self.why_no_data(why)),
        }
    }

    fn why_undecided(&self, why: &Undecided) -> String {
        let (reason, more) = match why {
            Undecided::TooFew { have, need, more } => (
                self.say_with(
                    "undecided-too-few",
                    &[("have", count(*have)), ("need", count(*need))],
                ),
                more,
            ),
            Undecided::TooFewDays { have, need, more } => (
                self.say_with(
                    "undecided-too-few-days",
                    &[("have", count(*have)), ("need", count(*need))],
                ),
                more,
            ),
            Undecided::Straddles { more } => (self.say("undecided-straddles"), more),
            Undecided::PortTooSmall(full) => return self.why_port_too_small(full),
            Undecided::BoxTooSlow(slow) => return self.why_box_too_slow(slow),
        };
        let more = match (more.days, more.samples) {
            (Some(days), _) => self.say_with("undecided-more-days", &[("days", count(days))]),
            (None, Some(more)) => self.say_with("undecided-more", &[("more", count(more))]),
            (None, None) => self.say("undecided-for-long"),
        };
        format!("{reason}; {more}")
    }

    /// Why a full port does not tell what the line could do.
    #[must_use]
    pub fn why_port_too_small(&self, full: &FullPort) -> String {
        self.say_with(
            "undecided-port",
            &[
                ("port", text(self.rate(full.port))),
                ("ceiling", text(self.rate(full.ceiling))),
                ("needed", text(self.rate(full.needed))),
            ],
        )
    }

    /// Why a box that gave all it had does not tell what the network could do.
    #[must_use]
    pub fn why_box_too_slow(&self, slow: &SlowBox) -> String {
        self.say_with(
            "undecided-box",
            &[
                ("ceiling", text(self.rate(slow.ceiling))),
                ("needed", text(self.rate(slow.needed))),
            ],
        )
    }

    /// How a value changes from month to month, with the interval where there is one.
    #[must_use]
    pub fn slope(&self, last: Option<&Judgement>, trend: &Trend) -> String {
        let (Some(observed), Some(slope)) = (last.and_then(|last| last.observed), trend.slope)
        else {
            return "\u{2013}".to_owned();
        };
        let change = |change: f64| {
            let sign = if change < 0.0 { '\u{2212}' } else { '+' };
            let size = Value::new(observed.unit(), change.abs().round() as i64);
            text(format!("{sign}{}", self.value(size)))
        };
        match (slope.lower, slope.upper) {
            (Some(lower), Some(upper)) => self.say_with(
                "trend-slope",
                &[
                    ("median", change(slope.median)),
                    ("lower", change(lower)),
                    ("upper", change(upper)),
                ],
            ),
            _ => self.say_with("trend-slope-open", &[("median", change(slope.median))]),
        }
    }

    /// Where a trend leads.
    #[must_use]
    pub fn outlook(&self, outlook: &Outlook) -> String {
        match outlook {
            Outlook::NoTrend => self.say("trend-none"),
            Outlook::Stays => self.say("trend-stays"),
            Outlook::MissedFrom { month } => {
                self.say_with("trend-missed-from", &[("month", text(month.to_string()))])
            }
            Outlook::MetFrom { month } => {
                self.say_with("trend-met-from", &[("month", text(month.to_string()))])
            }
        }
    }

    /// Why there is nothing to judge.
    #[must_use]
    pub fn why_no_data(&self, why: &NoData) -> String {
        match why {
            NoData::NoSamples => self.say("no-data-no-samples"),
            NoData::OnlyFailures { failures } => {
                self.say_with("no-data-only-failures", &[("failures", count(*failures))])
            }
            NoData::NotAssessable { because } => self.say_with(
                "no-data-not-assessable",
                &[("because", text(self.not_assessable(because)))],
            ),
            NoData::ServiceNotStated { service } => self.say_with(
                "no-data-service-not-stated",
                &[("service", text(service.to_string()))],
            ),
            NoData::WrongUnit { expected, found } => self.say_with(
                "no-data-wrong-unit",
                &[
                    ("expected", text(expected.to_string())),
                    ("found", text(found.to_string())),
                ],
            ),
        }
    }

    /// Who has excepted the school from the target, why and until when.
    #[must_use]
    pub fn exception(&self, excepted: &Excepted) -> String {
        let Excepted { exception, expired } = excepted;
        let gaps = [
            ("by", text(exception.by.clone())),
            ("reason", text(exception.reason.clone())),
            ("until", text(exception.until.to_string())),
        ];
        if *expired {
            self.say_with("exception-expired", &gaps)
        } else {
            self.say_with("exception-holds", &gaps)
        }
    }

    /// How a profile stands today.
    #[must_use]
    pub fn status(&self, status: Status) -> String {
        match status {
            Status::Current => self.say("status-current"),
            Status::Historic => self.say("status-historic"),
            Status::Vendor => self.say("status-vendor"),
            Status::Project => self.say("status-project"),
        }
    }

    /// Where a number comes from, and how it was come by.
    #[must_use]
    pub fn source(&self, source: &Source) -> String {
        let mark = match source.mark {
            Mark::Seen => self.say("mark-seen"),
            Mark::Reported => self.say_with(
                "mark-reported",
                &[("by", text(source.reported_by.clone().unwrap_or_default()))],
            ),
            Mark::Calculated => self.say("mark-calculated"),
            Mark::ProjectDefault => self.say("mark-project"),
        };
        let year = source.year.map(|year| format!(" {year}"));
        format!(
            "{}: {}, {}{} [{}: {mark}]",
            self.say("table-source"),
            source.document,
            source.publisher,
            year.unwrap_or_default(),
            source.mark
        )
    }

    /// What a metric measures, as planners call it.
    #[must_use]
    pub fn quantity(&self, metric: Metric) -> String {
        use messnetz_metric::{Direction, Quantity};
        match metric.quantity {
            Quantity::Goodput(Direction::Down) => self.say("quantity-down"),
            Quantity::Goodput(Direction::Up) => self.say("quantity-up"),
            Quantity::LinkSpeed => self.say("quantity-link-speed"),
            Quantity::OwnSpeed => self.say("quantity-own-speed"),
            Quantity::PeerSpeed => self.say("quantity-peer-speed"),
            Quantity::HalfDuplex => self.say("quantity-half-duplex"),
            Quantity::FrameErrors => self.say("quantity-frame-errors"),
            Quantity::OtherTraffic => self.say("quantity-other-traffic"),
            Quantity::Cpu => self.say("quantity-cpu"),
            Quantity::BusiestCore => self.say("quantity-busiest-core"),
            Quantity::Ceiling(_) => self.say("quantity-ceiling"),
            Quantity::Rtt | Quantity::RttMin | Quantity::RttP95 => self.say("quantity-rtt"),
            Quantity::RttIdle => self.say("quantity-rtt-idle"),
            Quantity::RttLoaded(Direction::Down) => self.say("quantity-rtt-loaded-down"),
            Quantity::RttLoaded(Direction::Up) => self.say("quantity-rtt-loaded-up"),
            Quantity::AddedDelay(Direction::Down) => self.say("quantity-added-delay-down"),
            Quantity::AddedDelay(Direction::Up) => self.say("quantity-added-delay-up"),
            Quantity::Responsiveness(Direction::Down) => self.say("quantity-responsiveness-down"),
            Quantity::Responsiveness(Direction::Up) => self.say("quantity-responsiveness-up"),
            Quantity::Jitter => self.say("quantity-jitter"),
            Quantity::Loss => self.say("quantity-loss"),
            Quantity::LossOneWay(Direction::Down) => self.say("quantity-loss-down"),
            Quantity::LossOneWay(Direction::Up) => self.say("quantity-loss-up"),
            Quantity::DnsTime => self.say("quantity-dns"),
            Quantity::ConnectTime => self.say("quantity-connect"),
            Quantity::TlsTime => self.say("quantity-tls"),
            Quantity::FirstByteTime => self.say("quantity-first-byte"),
            Quantity::HttpTime => self.say("quantity-http"),
            Quantity::Reachable => self.say("quantity-reachable"),
            Quantity::Rssi => self.say("quantity-rssi"),
            Quantity::Snr => self.say("quantity-snr"),
            Quantity::Utilisation => self.say("quantity-utilisation"),
        }
    }

    /// The layer a rate is stated on.
    #[must_use]
    pub fn layer(&self, layer: Layer) -> String {
        match layer {
            Layer::Contract => self.say("layer-contract"),
            Layer::Ip => self.say("layer-ip"),
            Layer::TcpPayload => self.say("layer-tcp-payload"),
        }
    }

    /// A price range in whole euros, "your price", or a dash for no cost.
    #[must_use]
    pub fn price(&self, price: &Price) -> String {
        let euros = |cents: u64| self.language.number(cents as f64 / 100.0, 0);
        match price {
            Price::None => "\u{2013}".to_owned(),
            Price::YourPrice => self.say("price-yours"),
            Price::Range {
                from_cents,
                to_cents,
                ..
            } if from_cents == to_cents => {
                format!("{}\u{a0}€", euros(*from_cents))
            }
            Price::Range {
                from_cents,
                to_cents,
                ..
            } => {
                format!("{}\u{2013}{}\u{a0}€", euros(*from_cents), euros(*to_cents))
            }
        }
    }
}

/// The sign of an operator.
#[must_use]
pub const fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::AtLeast => "\u{2265}",
        Operator::Below => "<",
        Operator::AtMost => "\u{2264}",
    }
}

fn text(text: String) -> FluentValue<'static> {
    FluentValue::from(text)
}

fn count(count: usize) -> FluentValue<'static> {
    FluentValue::from(count)
}

#[cfg(test)]
mod tests {
    use messnetz_metric::{Micros, Ppm};

    use super::*;

    #[test]
    fn values_are_written_as_the_language_does() {
        let (de, en) = (Text::new(Language::De), Text::new(Language::En));
        let rate = |mbps| Value::Rate(BitRate::from_mbps(mbps));
        for (value, german, english) in [
            (rate(1_234.6), "1.235 Mbit/s", "1,235 Mbit/s"),
            (rate(38.26), "38,3 Mbit/s", "38.3 Mbit/s"),
            (rate(390.0), "390 Mbit/s", "390 Mbit/s"),
            (
                Value::Time(Micros::from_micros(250)),
                "0,250 ms",
                "0.250 ms",
            ),
            (
                Value::Time(Micros::from_micros(4_321)),
                "4,32 ms",
                "4.32 ms",
            ),
            (Value::Share(Ppm::from_ppm(400)), "0,040 %", "0.040 %"),
            (Value::Share(Ppm::from_ppm(0)), "0 %", "0 %"),
        ] {
            assert_eq!(de.value(value), german.replace(' ', "\u{a0}"));
            assert_eq!(en.value(value), english.replace(' ', "\u{a0}"));
        }
    }
}
