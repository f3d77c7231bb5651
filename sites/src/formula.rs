//! A small language for thresholds over school facts: `min(1000, 30 * (classes + 1))`.
//!
//! Numbers, the names of [`Fact`]s, `+ - * /`, parentheses, `min(…)`, `max(…)` and
//! `below(value, limit, then, otherwise)` for rules that differ by size. No variables, no recursion, bounded in length and depth, so that every formula ends and can be explained with its
//! numbers filled in.

mod parse;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::facts::{Fact, Facts};

pub use parse::FormulaError;

/// A parsed formula.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Formula {
    text: String,
    root: Node,
}

/// Why a threshold has no value for a school: the target is then not assessable, and no number is
/// guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NotAssessable {
    /// The school does not state a fact that the formula needs.
    #[error("the fact `{}` is missing", fact.name())]
    MissingFact {
        /// The fact.
        fact: Fact,
    },
    /// The formula divides by a fact or term that is 0 here.
    #[error("the formula divides by zero")]
    DivisionByZero,
    /// The result cannot be a threshold: no number, too large, or negative where its unit has no such values.
    #[error("the formula gives no usable threshold")]
    OutOfRange,
}

impl Formula {
    /// The value for a school.
    ///
    /// # Errors
    /// [`NotAssessable`] where a fact is missing or the arithmetic has no finite result.
    pub fn evaluate(&self, facts: &Facts) -> Result<f64, NotAssessable> {
        let value = self.root.evaluate(facts)?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(NotAssessable::OutOfRange)
        }
    }

    /// The formula with the school's numbers filled in: `30 × (12 + 1) = 390`. A missing fact keeps its
    /// name, and there is no result without it.
    #[must_use]
    pub fn explain(&self, facts: &Facts) -> String {
        let mut text = String::new();
        self.root.write(facts, &mut text);
        match (self.evaluate(facts), &self.root) {
            (Ok(_), Node::Number(_) | Node::Fact(_)) | (Err(_), _) => text,
            (Ok(value), _) => format!("{text} = {}", plain(value)),
        }
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Formula {
    type Err = FormulaError;

    fn from_str(text: &str) -> Result<Self, FormulaError> {
        Ok(Self {
            root: parse::parse(text)?,
            text: text.trim().to_owned(),
        })
    }
}

impl TryFrom<String> for Formula {
    type Error = FormulaError;

    fn try_from(text: String) -> Result<Self, FormulaError> {
        text.parse()
    }
}

impl From<Formula> for String {
    fn from(formula: Formula) -> Self {
        formula.text
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Fact(Fact),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    const fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '×',
            Self::Divide => '/',
        }
    }

    const fn binds_tightly(self) -> bool {
        matches!(self, Self::Multiply | Self::Divide)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    /// The third argument where the first is below the second, otherwise the fourth.
    Below,
}

impl Function {
    const ALL: [Self; 3] = [Self::Min, Self::Max, Self::Below];

    const fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Below => "below",
        }
    }

    /// How many arguments it takes; any number from 1 where it is not said.
    const fn arity(self) -> Option<usize> {
        match self {
            Self::Min | Self::Max => None,
            Self::Below => Some(4),
        }
    }

    fn apply(self, arguments: &[Node], facts: &Facts) -> Result<f64, NotAssessable> {
        let fold = |start: f64, join: fn(f64, f64) -> f64| {
            arguments.iter().try_fold(start, |folded, argument| {
                Ok(join(folded, argument.evaluate(facts)?))
            })
        };
        match (self, arguments) {
            (Self::Min, _) => fold(f64::INFINITY, f64::min),
            (Self::Max, _) => fold(f64::NEG_INFINITY, f64::max),
            (Self::Below, [value, limit, then, otherwise]) => {
                // Only the branch that counts is computed: the other may need facts that do not matter.
                let is_below = value.evaluate(facts)? < limit.evaluate(facts)?;
                if is_below { then } else { otherwise }.evaluate(facts)
            }
            // The parser counts the arguments.
            (Self::Below, _) => Err(NotAssessable::OutOfRange),
        }
    }
}

impl Node {
    fn evaluate(&self, facts: &Facts) -> Result<f64, NotAssessable> {
        Ok(match self {
            Self::Number(number) => *number,
            Self::Fact(fact) => facts
                .get(*fact)
                .map(f64::from)
                .map_err(|fact| NotAssessable::MissingFact { fact })?,
            Self::Binary(operator, left, right) => {
                let (left, right) = (left.evaluate(facts)?, right.evaluate(facts)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide if right == 0.0 => return Err(NotAssessable::DivisionByZero),
                    Operator::Divide => left / right,
                }
            }
            Self::Call(function, arguments) => function.apply(arguments, facts)?,
        })
    }

    fn write(&self, facts: &Facts, text: &mut String) {
        match self {
            // Shortest decimals that read back as the same number: a literal is never rounded away.
            Self::Number(number) => text.push_str(&number.to_string()),
            Self::Fact(fact) => match facts.get(*fact) {
                Ok(count) => text.push_str(&count.to_string()),
                Err(_) => text.push_str(fact.name()),
            },
            Self::Binary(operator, left, right) => {
                left.write_operand(*operator, false, facts, text);
                text.push(' ');
                text.push(operator.sign());
                text.push(' ');
                right.write_operand(*operator, true, facts, text);
            }
            Self::Call(function, arguments) => {
                text.push_str(function.name());
                text.push('(');
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        text.push_str(", ");
                    }
                    argument.write(facts, text);
                }
                text.push(')');
            }
        }
    }

    /// Writes an operand, in parentheses where its own operator binds less tightly than the outer one,
    /// or as tightly on the right of it, where `a - (b - c)` and `a - b - c` differ.
    fn write_operand(&self, outer: Operator, is_right: bool, facts: &Facts, text: &mut String) {
        let bare = match self {
            Self::Binary(own, ..) => match (own.binds_tightly(), outer.binds_tightly()) {
                (true, false) => true,
                (false, true) => false,
                _ => !is_right,
            },
            _ => true,
        };
        if bare {
            self.write(facts, text);
        } else {
            text.push('(');
            self.write(facts, text);
            text.push(')');
        }
    }
}

/// A result without needless decimals, with at most three.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::AuthorityFacts;
    use proptest::prelude::*;

    const SCHOOL: Facts = Facts {
        classes: Some(12),
        pupils: Some(300),
        teachers: Some(22),
        staff: Some(30),
        rooms_teaching: Some(0),
        devices: None,
        authority: AuthorityFacts {
            pupils: None,
            staff: None,
        },
    };

    #[test]
    fn a_formula_is_computed_and_explained_with_its_numbers() {
        for (formula, value, explained) in [
            ("30 * (classes + 1)", 390.0, "30 × (12 + 1) = 390"),
            ("1000", 1000.0, "1000"),
            (
                "max(100, 30*(classes+1))",
                390.0,
                "max(100, 30 × (12 + 1)) = 390",
            ),
            (
                "min(1000, pupils * 2, users)",
                330.0,
                "min(1000, 300 × 2, 330) = 330",
            ),
            ("pupils - (staff - 5)", 275.0, "300 - (30 - 5) = 275"),
            ("pupils - staff - 5", 265.0, "300 - 30 - 5 = 265"),
            ("pupils / (staff / 2) / 4", 5.0, "300 / (30 / 2) / 4 = 5"),
            ("users * 1.4 + 0.0004", 462.0, "330 × 1.4 + 0.0004 = 462"),
            ("((teachers))", 22.0, "22"),
            ("-65", -65.0, "-65"),
            ("pupils - -5", 305.0, "300 - -5 = 305"),
            (
                "users * below(pupils, 300, devices, 1.4)",
                462.0,
                "330 × below(300, 300, devices, 1.4) = 462",
            ),
        ] {
            let formula: Formula = formula.parse().unwrap();
            assert!(
                (formula.evaluate(&SCHOOL).unwrap() - value).abs() < 0.01,
                "{formula}"
            );
            assert_eq!(formula.explain(&SCHOOL), explained);
        }
    }

    #[test]
    fn what_cannot_be_computed_says_why_and_is_never_guessed() {
        for (formula, reason, explained) in [
            (
                "2 * devices",
                NotAssessable::MissingFact {
                    fact: Fact::Devices,
                },
                "2 × devices",
            ),
            (
                "pupils / rooms_teaching",
                NotAssessable::DivisionByZero,
                "300 / 0",
            ),
            (
                "below(devices, 1, 2, 3)",
                NotAssessable::MissingFact {
                    fact: Fact::Devices,
                },
                "below(devices, 1, 2, 3)",
            ),
        ] {
            let formula: Formula = formula.parse().unwrap();
            assert_eq!(formula.evaluate(&SCHOOL), Err(reason), "{formula}");
            assert_eq!(formula.explain(&SCHOOL), explained);
        }
    }

    fn any_formula() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            (0u32..2000).prop_map(|n| n.to_string()),
            prop::sample::select(Fact::ALL.map(|f| f.name().to_owned()).to_vec()),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                (
                    inner.clone(),
                    prop::sample::select(vec!['+', '-', '*', '/']),
                    inner.clone()
                )
                    .prop_map(|(l, o, r)| format!("({l} {o} {r})")),
                (
                    prop::sample::select(vec!["min", "max"]),
                    prop::collection::vec(inner, 1..4)
                )
                    .prop_map(|(f, a)| format!("{f}({})", a.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,600}") {
            let _ = text.parse::<Formula>();
        }

        #[test]
        fn nearly_a_formula_makes_nothing_panic(text in "[0-9a-z+*/(), ._-]{0,80}") {
            if let Ok(formula) = text.parse::<Formula>() {
                let _ = formula.explain(&SCHOOL);
            }
        }

        /// The explanation has the same value as the formula: no parenthesis is lost.
        #[test]
        fn the_explanation_computes_to_the_same_value(text in any_formula()) {
            let authority = AuthorityFacts { pupils: Some(9_000), staff: Some(800) };
            let facts = Facts { devices: Some(77), rooms_teaching: Some(20), authority, ..SCHOOL };
            let formula: Formula = text.parse().unwrap();
            if let Ok(value) = formula.evaluate(&facts) {
                let explained = formula.explain(&facts).replace('×', "*");
                let filled = explained.split(" = ").next().unwrap();
                let again: Formula = filled.parse().unwrap();
                let same = again.evaluate(&facts).unwrap();
                prop_assert!((same - value).abs() <= 1e-9 * value.abs().max(1.0));
            }
        }
    }
}
