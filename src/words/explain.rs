//! Wording the chain from a document to the single samples, for those who decide about schools and do not
//! measure themselves.

mod formula;
mod stated;

use fluent_bundle::FluentValue;
use messnetz_metric::{Better, Direction, Layer, Quantity, Segment, Value};
use messnetz_sites::calendar::Zone;
use messnetz_sites::cause::{Cause, Unknown};
use messnetz_sites::facts::Fact;
use messnetz_sites::formula::{Formula, NotAssessable};
use messnetz_sites::period::{Period, Standing};
use messnetz_sites::quantile::Statistic;
use messnetz_sites::target::{Operator, Origin, Status};
use messnetz_sites::upgrade::{Price, Recommendation};
use messnetz_sites::verdict::{Excepted, Judgement, More, NoData, Undecided, Verdict, VerdictKind};
use messnetz_sites::{Bilingual, Day, Mark, Source};

use super::symbol;
use crate::judging::chain::{Chain, Single};
use crate::text::Text;

/// One step of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub heading: String,
    /// What there is to say: paragraphs of sentences.
    pub paragraphs: Vec<Vec<String>>,
    /// What is shown line by line as it is.
    pub lines: Vec<String>,
}

impl Text {
    /// The steps of a chain, in their order. `command` prints all samples of the verdict.
    #[must_use]
    pub fn explain(&self, chain: &Chain<'_>, zone: &Zone, command: Option<&str>) -> Vec<Step> {
        let step = |heading: String, sentences: Vec<String>| Step {
            heading,
            paragraphs: vec![sentences],
            lines: Vec::new(),
        };
        let mut steps = vec![
            step(
                self.say("explain-origin"),
                self.origin(&chain.target.source, chain.profile_title, chain.status),
            ),
            step(self.say("explain-demand"), self.demand(chain)),
            step(self.say("explain-measured"), self.measured(chain)),
            step(self.say("explain-certain"), self.certain(chain)),
        ];
        if let Some(cause) = &chain.row.cause {
            steps.push(step(self.say("explain-why"), vec![self.blame(cause)]));
            steps.push(Step {
                heading: self.say("explain-mend"),
                paragraphs: self.mend(cause, &chain.recommendations),
                lines: Vec::new(),
            });
        }
        if let Some(command) = command {
            steps.push(self.singles(chain, zone, command));
        }
        steps
    }

    /// The target, its verdict in one line.
    #[must_use]
    pub fn explain_verdict(&self, kind: VerdictKind) -> String {
        let verdict = format!("{} {}", symbol(kind), self.verdict(kind));
        self.say_with("explain-verdict", &[("verdict", verdict.into())])
    }

    fn origin(&self, source: &Source, profile: &Bilingual, status: Status) -> Vec<String> {
        let profile = [("profile", self.pick(profile).into())];
        let status = match status {
            Status::Current => self.say_with("explain-status-current", &profile),
            Status::Historic => self.say_with("explain-status-historic", &profile),
            Status::Vendor => self.say_with("explain-status-vendor", &profile),
            Status::Project => self.say_with("explain-status-project", &profile),
        };
        let document = [("document", self.document(source).into())];
        let document = self.say_with("explain-document", &document);
        let mut sentences = match source.mark {
            Mark::Seen => vec![document, self.say("explain-mark-seen"), status],
            Mark::Reported => {
                let by = source.reported_by.as_deref().unwrap_or_default();
                let mark = self.say_with("explain-mark-reported", &[("by", by.into())]);
                vec![document, mark, status]
            }
            Mark::Calculated => vec![document, self.say("explain-mark-calculated"), status],
            // There is no document but this program.
            Mark::ProjectDefault => vec![self.say("explain-mark-project"), status],
        };
        let address = source.url.as_ref().map(|url| {
            let gaps = [("address", url.as_str().into())];
            self.say_with("explain-address", &gaps)
        });
        sentences.extend(address);
        sentences
    }

    /// A document with its publisher and year.
    fn document(&self, source: &Source) -> String {
        let mut gaps = vec![
            ("document", FluentValue::from(source.document.as_str())),
            ("publisher", source.publisher.as_str().into()),
        ];
        match source.year {
            // As text: a year has no thousands.
            Some(year) => {
                gaps.push(("year", year.to_string().into()));
                self.say_with("explain-source-of-year", &gaps)
            }
            None => self.say_with("explain-source", &gaps),
        }
    }

    fn demand(&self, chain: &Chain<'_>) -> Vec<String> {
        let (target, judgement) = (chain.target, &chain.row.judgement);
        let what = self.part(target.metric.segment, &self.quantity(target.metric));
        let mut sentences = vec![if let Some(threshold) = &judgement.threshold {
            let bound = self.bound_in_words(target.op, threshold.strict);
            let gaps = [("what", what.into()), ("bound", bound.into())];
            self.say_with("explain-demanded", &gaps)
        } else {
            self.say_with("explain-demanded-open", &[("what", what.into())])
        }];
        sentences.extend(self.meaning(target.metric.quantity));
        sentences.push(self.compared(judgement));
        let is_ours = target.source.mark == Mark::ProjectDefault;
        if target.statistic_origin == Origin::Project && !is_ours {
            sentences.push(self.say("explain-statistic-project"));
        }
        if let Some(formula) = chain.rule() {
            let is_assessable = chain.not_assessable.is_none();
            sentences.extend(self.calculation(formula, &chain.workings, is_assessable));
        }
        if let Some(threshold) = &judgement.threshold {
            let cap = threshold.capped_at.zip(target.cap.as_ref());
            sentences.extend(cap.map(|(value, cap)| {
                let gaps = [
                    ("cap", self.value(value).into()),
                    ("origin", cap.origin.as_str().into()),
                ];
                self.say_with("explain-cap", &gaps)
            }));
            let layers = judgement.layers.filter(|l| l.threshold != l.measured);
            sentences.extend(layers.map(|layers| {
                let gaps = [
                    ("demanded", self.plain_layer(layers.threshold).into()),
                    ("measured", self.plain_layer(layers.measured).into()),
                ];
                self.say_with("explain-layers", &gaps)
            }));
            sentences.extend(target.tolerance.as_ref().map(|tolerance| {
                let share = self.language.number(100.0 * tolerance.share, 0);
                let bound = self.bound_in_words(target.op, threshold.tolerated);
                let gaps = [
                    ("bound", bound.into()),
                    ("share", share.into()),
                    ("school", judgement.school.as_str().into()),
                ];
                self.say_with("explain-tolerance", &gaps)
            }));
        }
        sentences.extend(judgement.contract.map(|check| {
            let gaps = [("contract", self.rate(check.contract).into())];
            if check.satisfied {
                self.say_with("explain-contract-enough", &gaps)
            } else {
                self.say_with("explain-contract-small", &gaps)
            }
        }));
        sentences.extend(judgement.exception.as_ref().map(|e| self.excepted(e)));
        sentences
    }

    /// A formula with the numbers of a school, in words.
    fn calculation(&self, formula: &Formula, workings: &str, is_assessable: bool) -> Vec<String> {
        let rule = self.formula(&formula.to_string());
        let explains_below = rule.contains(&self.say("formula-below"));
        let workings = self.formula(workings);
        let gaps = [("rule", rule.into()), ("workings", workings.into())];
        let mut sentences = vec![if is_assessable {
            self.say_with("explain-rule", &gaps)
        } else {
            self.say_with("explain-rule-open", &gaps)
        }];
        sentences.extend(explains_below.then(|| self.say("explain-rule-below")));
        sentences
    }

    /// What a quantity is, where its name does not tell everybody.
    fn meaning(&self, quantity: Quantity) -> Option<String> {
        Some(match quantity {
            Quantity::Goodput(Direction::Down) => self.say("meaning-down"),
            Quantity::Goodput(Direction::Up) => self.say("meaning-up"),
            Quantity::Rtt
            | Quantity::RttMin
            | Quantity::RttP95
            | Quantity::RttIdle
            | Quantity::RttLoaded(_) => self.say("meaning-rtt"),
            Quantity::AddedDelay(_) => self.say("meaning-added-delay"),
            Quantity::Responsiveness(_) => self.say("meaning-responsiveness"),
            Quantity::Jitter => self.say("meaning-jitter"),
            Quantity::Loss | Quantity::LossOneWay(_) => self.say("meaning-loss"),
            Quantity::DnsTime => self.say("meaning-dns"),
            Quantity::TlsTime => self.say("meaning-tls"),
            Quantity::Snr => self.say("meaning-snr"),
            Quantity::Utilisation => self.say("meaning-utilisation"),
            _ => return None,
        })
    }

    fn excepted(&self, excepted: &Excepted) -> String {
        let exception = &excepted.exception;
        let gaps = [
            ("by", exception.by.as_str().into()),
            ("reason", exception.reason.as_str().into()),
            ("until", self.day(exception.until).into()),
        ];
        if excepted.expired {
            self.say_with("explain-exception-expired", &gaps)
        } else {
            self.say_with("explain-exception", &gaps)
        }
    }

    fn measured(&self, chain: &Chain<'_>) -> Vec<String> {
        let judgement = &chain.row.judgement;
        let mut sentences = Vec::new();
        sentences.extend(
            judgement
                .period
                .zip(judgement.standing)
                .map(|(period, standing)| {
                    let gaps = [("period", self.period_in_words(period).into())];
                    match standing {
                        Standing::Closed => self.say_with("explain-closed", &gaps),
                        Standing::Provisional => self.say_with("explain-provisional", &gaps),
                    }
                }),
        );
        sentences.push(match judgement.window.as_deref() {
            None => self.say("explain-window-any"),
            Some("lesson-hours") => self.say("explain-window-lessons"),
            Some("off-lesson") => self.say("explain-window-off"),
            Some(own) => self.say_with("explain-window-own", &[("window", own.into())]),
        });
        if judgement.samples == 0 {
            sentences.push(self.say("explain-no-samples"));
        } else {
            let gaps = [("count", self.how_many(judgement).into())];
            sentences.push(self.say_with("explain-count", &gaps));
        }
        if judgement.failures > 0 && judgement.samples > 0 {
            let gaps = [("failures", judgement.failures.into())];
            sentences.push(self.say_with("explain-failures", &gaps));
        }
        if judgement.rolled_up > 0 {
            let gaps = [("rolled", judgement.rolled_up.into())];
            sentences.push(self.say_with("explain-rolled-up", &gaps));
        }
        if judgement.observed.is_some() {
            let gaps = [("observed", self.observed(judgement).into())];
            sentences.push(self.say_with("explain-observed", &gaps));
        }
        sentences.extend(judgement.days_reached.map(|days| {
            let gaps = [("reached", days.reached.into()), ("of", days.of.into())];
            self.say_with("explain-days-reached", &gaps)
        }));
        sentences.extend(judgement.ceiling.map(|ceiling| {
            let most = ("ceiling", self.rate(ceiling.ceiling).into());
            match ceiling.port {
                Some(port) => {
                    let gaps = [("port", self.rate(port).into()), most];
                    self.say_with("explain-ceiling", &gaps)
                }
                None => self.say_with("explain-ceiling-of-box", &[most]),
            }
        }));
        sentences.extend(judgement.disturbed.map(|disturbed| {
            let share = self.language.number(100.0 * disturbed.share, 0);
            let gaps = [
                ("disturbed", disturbed.disturbed.into()),
                ("of", disturbed.of.into()),
                ("share", share.into()),
            ];
            if disturbed.disturbed == 0 {
                self.say("explain-undisturbed")
            } else {
                self.say_with("explain-disturbed", &gaps)
            }
        }));
        sentences.extend(chain.row.running.as_ref().and_then(|running| {
            let kind = running.verdict.kind();
            let gaps = [
                ("period", self.period_in_words(running.period?).into()),
                ("verdict", self.verdict(kind).into()),
                ("count", self.how_many(running).into()),
            ];
            Some(self.say_with("explain-running", &gaps))
        }));
        sentences
    }

    /// How many measurements there are, on how many days.
    fn how_many(&self, judgement: &Judgement) -> String {
        let samples = self.say_with("explain-samples", &[("count", judgement.samples.into())]);
        let days = self.say_with("explain-on-days", &[("count", judgement.days.into())]);
        format!("{samples} {days}")
    }

    /// The statistic, in words.
    fn compared(&self, judgement: &Judgement) -> String {
        let statistic = judgement.statistic;
        if statistic == Statistic::MEDIAN {
            return self.say("explain-median");
        }
        let better = judgement.op.better();
        let share = match (statistic.is_of_days(), better) {
            (false, Better::Higher) => 1.0 - statistic.share(),
            (true, _) | (false, Better::Lower) => statistic.share(),
        };
        let gaps = [("percent", FluentValue::from((100.0 * share).round()))];
        match (statistic.is_of_days(), better) {
            (false, Better::Higher) => self.say_with("explain-reached", &gaps),
            (false, Better::Lower) => self.say_with("explain-not-exceeded", &gaps),
            (true, Better::Higher) => self.say_with("explain-reached-on-days", &gaps),
            (true, Better::Lower) => self.say_with("explain-not-exceeded-on-days", &gaps),
        }
    }

    fn certain(&self, chain: &Chain<'_>) -> Vec<String> {
        let judgement = &chain.row.judgement;
        let mut sentences = Vec::new();
        if judgement.observed.is_some() && judgement.threshold.is_some() {
            sentences.push(self.interval(judgement));
        }
        sentences.extend(self.why(chain));
        if judgement.strict != judgement.verdict.kind() {
            let gaps = [("verdict", self.verdict(judgement.strict).into())];
            sentences.push(self.say_with("explain-strict", &gaps));
        }
        sentences.extend(
            chain
                .shortened
                .map(|why| self.say_with("shortened", &[("why", why.into())])),
        );
        sentences
    }

    /// Where the true value lies. Each bound holds by itself with the confidence.
    fn interval(&self, judgement: &Judgement) -> String {
        let interval = &judgement.interval;
        let percent = self.language.number(100.0 * interval.confidence, 0);
        let percent = ("percent", FluentValue::from(percent));
        let threshold = judgement.threshold.as_ref().map(|t| t.tolerated);
        let value = |value: Value| FluentValue::from(self.value_beside(value, threshold));
        match (interval.lower, interval.upper) {
            (Some(lower), Some(upper)) => {
                let gaps = [percent, ("lower", value(lower)), ("upper", value(upper))];
                self.say_with("explain-between", &gaps)
            }
            (Some(lower), None) => {
                self.say_with("explain-not-below", &[percent, ("lower", value(lower))])
            }
            (None, Some(upper)) => {
                self.say_with("explain-not-above", &[percent, ("upper", value(upper))])
            }
            (None, None) => self.say_with("explain-anywhere", &[percent]),
        }
    }

    /// Why the verdict is what it is, and what would decide.
    fn why(&self, chain: &Chain<'_>) -> Vec<String> {
        let judgement = &chain.row.judgement;
        let bound = judgement.threshold.as_ref().map(|threshold| {
            let bound = self.bound_in_words(judgement.op, threshold.tolerated);
            FluentValue::from(bound)
        });
        let bound = [("bound", bound.unwrap_or_else(|| "\u{2013}".into()))];
        match &judgement.verdict {
            Verdict::Met => vec![self.say_with("explain-met", &bound)],
            Verdict::Missed => vec![self.say_with("explain-missed", &bound)],
            Verdict::NoData { why } => vec![self.no_verdict(chain, why)],
            Verdict::Undecided { why } => match why {
                Undecided::TooFew { have, need, more } => {
                    let gaps = [("have", (*have).into()), ("need", (*need).into())];
                    vec![self.say_with("explain-too-few", &gaps), self.more(*more)]
                }
                Undecided::TooFewDays { have, need, more } => {
                    let gaps = [("have", (*have).into()), ("need", (*need).into())];
                    vec![
                        self.say_with("explain-too-few-days", &gaps),
                        self.more(*more),
                    ]
                }
                Undecided::Straddles { more } => {
                    vec![self.say_with("explain-straddles", &bound), self.more(*more)]
                }
                Undecided::PortTooSmall(full) => {
                    let why = self.why_port_too_small(full);
                    vec![self.say_with("explain-no-verdict", &[("why", why.into())])]
                }
                Undecided::BoxTooSlow(slow) => {
                    let why = self.why_box_too_slow(slow);
                    vec![self.say_with("explain-no-verdict", &[("why", why.into())])]
                }
            },
        }
    }

    fn more(&self, more: More) -> String {
        match (more.days, more.samples) {
            (Some(days), _) => self.say_with("explain-more-days", &[("days", days.into())]),
            (None, Some(samples)) => {
                self.say_with("explain-more-samples", &[("samples", samples.into())])
            }
            (None, None) => self.say("explain-never"),
        }
    }

    fn no_verdict(&self, chain: &Chain<'_>, why: &NoData) -> String {
        match (why, &chain.not_assessable) {
            (NoData::NoSamples, _) => self.say("explain-nothing"),
            (_, Some(NotAssessable::MissingFact { fact })) => self.missing(*fact),
            (why, _) => {
                let gaps = [("why", self.why_no_data(why).into())];
                self.say_with("explain-no-verdict", &gaps)
            }
        }
    }

    /// That a fact that the calculation needs is not stated.
    fn missing(&self, fact: Fact) -> String {
        let gaps = [
            ("fact", self.fact(fact).into()),
            ("key", fact.name().into()),
        ];
        self.say_with("explain-missing-fact", &gaps)
    }

    /// The cause with its evidence, or what has to be found out before it can be named.
    fn blame(&self, cause: &Cause) -> String {
        let Cause::Undecidable { measure_next } = cause else {
            return format!("{}.", capital(&self.cause(cause)));
        };
        let next = measure_next.iter().map(|next| match next {
            Unknown::Metric(metric) => self.part(metric.segment, &self.quantity(*metric)),
            Unknown::Contract | Unknown::QuietPort(_) => self.unknown(*next),
        });
        let next = next.collect::<Vec<_>>().join("; ");
        self.say_with("explain-why-unknown", &[("next", next.into())])
    }

    /// What would help, a paragraph each.
    fn mend(&self, cause: &Cause, recommendations: &[&Recommendation]) -> Vec<Vec<String>> {
        if recommendations.is_empty() {
            return vec![vec![match cause {
                Cause::Undecidable { .. } => self.say("explain-mend-unknown"),
                _ => self.say("explain-mend-nothing"),
            }]];
        }
        let mend = |recommendation: &&Recommendation| {
            let prices = [&recommendation.once, &recommendation.monthly];
            let gaps = [
                ("title", self.pick(&recommendation.title).into()),
                ("once", self.plain_price(&recommendation.once).into()),
                ("monthly", self.plain_price(&recommendation.monthly).into()),
                ("day", self.day(recommendation.prices_as_of).into()),
            ];
            let mut sentences = vec![self.say_with("explain-upgrade", &gaps)];
            let mut sources: Vec<String> = prices
                .into_iter()
                .filter_map(|price| match price {
                    Price::Range { source, .. } => Some(self.document(source)),
                    Price::None | Price::YourPrice => None,
                })
                .collect();
            sources.dedup();
            let source = |source: String| {
                self.say_with("explain-price-source", &[("source", source.into())])
            };
            sentences.extend(sources.into_iter().map(source));
            sentences
        };
        recommendations.iter().map(mend).collect()
    }

    fn plain_price(&self, price: &Price) -> String {
        match price {
            Price::None => self.say("explain-price-none"),
            Price::YourPrice => self.say("explain-price-yours"),
            Price::Range { .. } => self.price(price),
        }
    }

    fn singles(&self, chain: &Chain<'_>, zone: &Zone, command: &str) -> Step {
        let mut sentences = Vec::new();
        if !chain.worst.is_empty() {
            let gaps = [
                ("shown", chain.worst.len().into()),
                ("of", chain.row.judgement.samples.into()),
                ("zone", zone.name().into()),
            ];
            sentences.push(self.say_with("explain-worst", &gaps));
        }
        let mut lines: Vec<String> = chain
            .worst
            .iter()
            .map(|single| self.single(single, zone))
            .collect();
        lines.push(self.say("explain-all"));
        lines.push(command.to_owned());
        Step {
            heading: self.say("explain-singles"),
            paragraphs: vec![sentences],
            lines,
        }
    }

    fn single(&self, single: &Single, zone: &Zone) -> String {
        let at = zone.clock(single.at).map_or_else(
            || single.local_time.clone(),
            |at| format!("{} {}", self.weekday(at.date()), self.clock(at)),
        );
        let value = self.value(single.value);
        if single.disturbed == Some(true) {
            let disturbed = self.say("explain-single-disturbed");
            format!("{at}  {value}  ({disturbed})")
        } else {
            format!("{at}  {value}")
        }
    }

    /// A quantity and where on the way it is measured.
    fn part(&self, segment: Segment, quantity: &str) -> String {
        let gaps = [("quantity", quantity.into())];
        match segment {
            Segment::Wlan => self.say_with("explain-part-wlan", &gaps),
            Segment::Lan => self.say_with("explain-part-lan", &gaps),
            Segment::Line => self.say_with("explain-part-line", &gaps),
            Segment::Service => self.say_with("explain-part-service", &gaps),
            Segment::Agent => self.say_with("explain-part-agent", &gaps),
        }
    }

    fn plain_layer(&self, layer: Layer) -> String {
        match layer {
            Layer::Contract => self.say("explain-layer-contract"),
            Layer::Ip => self.say("explain-layer-ip"),
            Layer::TcpPayload => self.say("explain-layer-payload"),
        }
    }

    fn bound_in_words(&self, op: Operator, value: Value) -> String {
        let gaps = [("value", self.value(value).into())];
        match op {
            Operator::AtLeast => self.say_with("explain-at-least", &gaps),
            Operator::Below => self.say_with("explain-below", &gaps),
            Operator::AtMost => self.say_with("explain-at-most", &gaps),
        }
    }

    fn period_in_words(&self, period: Period) -> String {
        match period {
            Period::Month { year, month } => {
                let months = self.say("explain-months");
                let nth = usize::from(month).saturating_sub(1);
                let name = months.split(' ').nth(nth).unwrap_or_default();
                format!("{name} {year}")
            }
            Period::SchoolYear { .. } => {
                let gaps = [("years", period.to_string().into())];
                self.say_with("explain-school-year", &gaps)
            }
        }
    }

    fn day(&self, day: Day) -> String {
        let written = day.to_string();
        written
            .parse()
            .map_or(written, |date: jiff::civil::Date| self.date(date))
    }
}

/// With a capital letter at its beginning.
fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

#[cfg(test)]
mod tests;
