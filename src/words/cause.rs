//! How causes are worded.

use fluent_bundle::FluentValue;
use messnetz_metric::{Metric, Nominal, OneWay, Rate, Value};
use messnetz_sites::cause::{Cause, PortFault, UnderDelivered, Unknown};

use super::text;
use crate::text::Text;

impl Text {
    /// The cause with its evidence.
    #[must_use]
    pub fn cause(&self, cause: &Cause) -> String {
        let rate = |rate: Rate<Nominal, OneWay>| text(self.rate(rate));
        let value = |value: Value| text(self.value(value));
        match cause {
            Cause::ContractTooSmall {
                contract, needed, ..
            } => self.say_with(
                "cause-contract-too-small",
                &[("contract", rate(*contract)), ("needed", rate(*needed))],
            ),
            Cause::ContractExhausted {
                contract,
                measured,
                needed,
                ..
            } => self.say_with(
                "cause-contract-exhausted",
                &[
                    ("contract", rate(*contract)),
                    ("measured", value(*measured)),
                    ("needed", rate(*needed)),
                ],
            ),
            Cause::LineUnderDelivers(under) => {
                self.say_with("cause-line-under-delivers", &self.under_delivered(under))
            }
            Cause::ProviderUnderDelivers(under) => self.say_with(
                "cause-provider-under-delivers",
                &self.under_delivered(under),
            ),
            Cause::SwitchPort(fault) => self.port_fault(*fault),
            Cause::LineQuality {
                metric,
                measured,
                limit,
                ..
            } => self.say_with(
                "cause-line-quality",
                &[
                    ("quantity", text(self.quantity(*metric))),
                    ("measured", value(*measured)),
                    ("limit", value(*limit)),
                ],
            ),
            Cause::Lan {
                metric,
                measured,
                limit,
            } => self.say_with(
                "cause-lan",
                &[
                    ("quantity", text(self.quantity(*metric))),
                    ("measured", value(*measured)),
                    ("limit", value(*limit)),
                ],
            ),
            Cause::AccessPoint {
                metric,
                measured,
                lan,
                radio,
            } => self.say_with(
                "cause-access-point",
                &[
                    ("quantity", text(self.quantity(*metric))),
                    ("measured", value(*measured)),
                    ("evidence", text(self.beside_the_radio(*lan, radio))),
                ],
            ),
            Cause::Agent { metric, measured } => {
                self.say_with("cause-agent", &self.shown(*metric, *measured))
            }
            Cause::FarEnd {
                metric,
                measured,
                other,
                against_other,
            } => self.say_with(
                "cause-far-end",
                &[
                    ("quantity", text(self.quantity(*metric))),
                    ("measured", value(*measured)),
                    ("other", text(other.clone())),
                    ("against_other", value(*against_other)),
                ],
            ),
            Cause::AgentPort(full) => {
                self.say_with("cause-agent-port", &[("port", text(self.rate(full.port)))])
            }
            Cause::Service { metric, measured } => {
                self.say_with("cause-service", &self.shown(*metric, *measured))
            }
            Cause::Undecidable { measure_next } => {
                let next: Vec<String> = measure_next
                    .iter()
                    .map(|next| self.unknown(*next))
                    .collect();
                self.say_with("cause-undecidable", &[("next", text(next.join(", ")))])
            }
        }
    }

    /// What shows a cause.
    fn shown(&self, metric: Metric, measured: Value) -> [(&'static str, FluentValue<'static>); 2] {
        [
            ("quantity", text(self.quantity(metric))),
            ("measured", text(self.value(measured))),
        ]
    }

    fn under_delivered(&self, under: &UnderDelivered) -> [(&'static str, FluentValue<'static>); 3] {
        [
            ("contract", text(self.rate(under.contract))),
            ("measured", text(self.value(under.measured))),
            ("loss", text(self.value(under.loss))),
        ]
    }

    fn port_fault(&self, fault: PortFault) -> String {
        match fault {
            PortFault::Slow { port, own, peer } => {
                let gaps = [
                    ("port", text(self.rate(port))),
                    ("own", text(self.rate(own))),
                ];
                if peer.is_some_and(|peer| peer >= own) {
                    self.say_with("cause-switch-port-cable", &gaps)
                } else {
                    self.say_with("cause-switch-port-slow", &gaps)
                }
            }
            PortFault::HalfDuplex => self.say("cause-switch-port-half-duplex"),
            PortFault::BrokenFrames { share } => self.say_with(
                "cause-switch-port-broken-frames",
                &[("share", text(self.value(share)))],
            ),
        }
    }

    /// What was seen beside a quantity of the radio, as the end of a sentence.
    fn beside_the_radio(&self, lan: Option<Value>, radio: &[(Metric, Value)]) -> String {
        let lan = lan
            .map(|lan| self.say_with("cause-access-point-lan", &[("lan", text(self.value(lan)))]));
        let radio = radio
            .iter()
            .map(|(metric, value)| format!(", {} {}", self.quantity(*metric), self.value(*value)));
        lan.into_iter().chain(radio).collect()
    }

    pub(super) fn unknown(&self, unknown: Unknown) -> String {
        match unknown {
            Unknown::Contract => self.say("unknown-contract"),
            Unknown::Metric(metric) => format!("{} ({metric})", self.quantity(metric)),
            Unknown::QuietPort(metric) => self.say_with(
                "unknown-quiet-port",
                &[
                    ("quantity", text(self.quantity(metric))),
                    ("metric", text(metric.to_string())),
                ],
            ),
        }
    }
}
