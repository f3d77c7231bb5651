//! From text to tree, by recursive descent.

use thiserror::Error;

use super::{Function, Node, Operator};
use crate::facts::Fact;
use crate::spelling;

/// Longest formula in bytes; every published rule is far shorter.
const LENGTH_LIMIT: usize = 500;

/// Deepest nesting of parentheses and calls, so that a hostile formula cannot exhaust the stack.
const DEPTH_LIMIT: usize = 32;

/// Why a text is no formula.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormulaError {
    /// Longer than any sensible formula.
    #[error("the formula is longer than {LENGTH_LIMIT} bytes")]
    TooLong,
    /// More nested than any sensible formula.
    #[error("the formula is nested more than {DEPTH_LIMIT} deep")]
    TooDeep,
    /// A name that is neither a fact nor a function.
    #[error("the formula names an unknown fact `{name}` (known: {known}, and the functions min(), max() and below()){}", did_you_mean(suggestion.as_deref()))]
    UnknownName {
        /// The name.
        name: String,
        /// The names of all facts.
        known: String,
        /// The one that was probably meant.
        suggestion: Option<String>,
    },
    /// Something stands where it cannot.
    #[error("the formula has {found} at character {position}, where {expected} should be")]
    Unexpected {
        /// Position in characters, from 1.
        position: usize,
        /// What stands there.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

pub(super) fn parse(text: &str) -> Result<Node, FormulaError> {
    if text.len() > LENGTH_LIMIT {
        return Err(FormulaError::TooLong);
    }
    let mut parser = Parser {
        text,
        offset: 0,
        depth: 0,
    };
    let root = parser.sum()?;
    match parser.peek() {
        None => Ok(root),
        Some(_) => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// `product (("+" | "-") product)*`
    fn sum(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(&[('+', Operator::Add), ('-', Operator::Subtract)])
        {
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    /// `operand (("*" | "/") operand)*`
    fn product(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.operand()?;
        while let Some(operator) =
            self.operator(&[('*', Operator::Multiply), ('/', Operator::Divide)])
        {
            left = Node::Binary(operator, Box::new(left), Box::new(self.operand()?));
        }
        Ok(left)
    }

    /// `["-"] number | fact | "(" sum ")" | function "(" sum ("," sum)* ")"`
    fn operand(&mut self) -> Result<Node, FormulaError> {
        match self.peek() {
            Some('(') => self.nested(|parser| {
                let inner = parser.sum()?;
                parser.expect(')', "`)` or an operator")?;
                Ok(inner)
            }),
            Some('-') => {
                self.offset += 1;
                match self.number()? {
                    Node::Number(number) => Ok(Node::Number(-number)),
                    other => Ok(other),
                }
            }
            Some(c) if c.is_ascii_digit() => self.number(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.named(),
            _ => Err(self.unexpected("a number, a fact, a function or `(`")),
        }
    }

    /// Consumes the opening parenthesis and parses what follows one level deeper.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, FormulaError>,
    ) -> Result<T, FormulaError> {
        if self.depth == DEPTH_LIMIT {
            return Err(FormulaError::TooDeep);
        }
        self.depth += 1;
        self.expect('(', "`(`")?;
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn number(&mut self) -> Result<Node, FormulaError> {
        let start = self.offset;
        let digits = self.word(|c| c.is_ascii_digit() || c == '.');
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() && !digits.ends_with('.') => Ok(Node::Number(number)),
            _ => {
                self.offset = start;
                Err(self.unexpected("a number such as 30 or 1.4"))
            }
        }
    }

    fn named(&mut self) -> Result<Node, FormulaError> {
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(function) = Function::ALL.into_iter().find(|f| f.name() == name) {
            let arguments = self.nested(|parser| {
                let mut arguments = vec![parser.sum()?];
                while parser.peek() == Some(',') {
                    parser.offset += 1;
                    arguments.push(parser.sum()?);
                }
                if let Some(arity) = function.arity()
                    && arguments.len() != arity
                {
                    return Err(parser.unexpected("the last of exactly four arguments"));
                }
                parser.expect(')', "`)`, `,` or an operator")?;
                Ok(arguments)
            })?;
            return Ok(Node::Call(function, arguments));
        }
        let names = Fact::ALL.map(Fact::name);
        match Fact::ALL.into_iter().find(|fact| fact.name() == name) {
            Some(fact) => Ok(Node::Fact(fact)),
            None => Err(FormulaError::UnknownName {
                name: name.to_owned(),
                known: names.join(", "),
                suggestion: spelling::nearest(name, names).map(str::to_owned),
            }),
        }
    }

    /// The longest run of characters that `belongs`, which is never empty where the caller has peeked.
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.offset..];
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.offset += end;
        &rest[..end]
    }

    fn operator(&mut self, known: &[(char, Operator)]) -> Option<Operator> {
        let next = self.peek()?;
        let (_, operator) = known.iter().find(|(sign, _)| *sign == next)?;
        self.offset += 1;
        Some(*operator)
    }

    fn expect(&mut self, sign: char, expected: &'static str) -> Result<(), FormulaError> {
        if self.peek() == Some(sign) {
            self.offset += sign.len_utf8();
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.offset..];
        self.offset += rest.len() - rest.trim_start().len();
        self.text[self.offset..].chars().next()
    }

    fn unexpected(&mut self, expected: &'static str) -> FormulaError {
        FormulaError::Unexpected {
            found: self
                .peek()
                .map_or_else(|| "its end".to_owned(), |c| format!("`{c}`")),
            position: self.text[..self.offset].chars().count() + 1,
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::Formula;

    #[test]
    fn a_wrong_formula_says_where_and_what_was_expected() {
        for (text, expected) in [
            (
                "30 * (clases + 1)",
                "the formula names an unknown fact `clases` (known: classes, pupils, teachers, staff, users, rooms_teaching, devices, authority_pupils, authority_staff, authority_users, and the functions min(), max() and below()); did you mean `classes`?",
            ),
            (
                "",
                "the formula has its end at character 1, where a number, a fact, a function or `(` should be",
            ),
            (
                "30 * (classes + 1",
                "the formula has its end at character 18, where `)` or an operator should be",
            ),
            (
                "30 classes",
                "the formula has `c` at character 4, where an operator or the end should be",
            ),
            (
                "30 × classes",
                "the formula has `×` at character 4, where an operator or the end should be",
            ),
            (
                "1.2.3",
                "the formula has `1` at character 1, where a number such as 30 or 1.4 should be",
            ),
            (
                "max 3",
                "the formula has `3` at character 5, where `(` should be",
            ),
            (
                "max(3; 4)",
                "the formula has `;` at character 6, where `)`, `,` or an operator should be",
            ),
            (
                "-classes",
                "the formula has `c` at character 2, where a number such as 30 or 1.4 should be",
            ),
            (
                "below(pupils, 400, 20)",
                "the formula has `)` at character 22, where the last of exactly four arguments should be",
            ),
        ] {
            assert_eq!(
                text.parse::<Formula>().unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_formula_is_bounded_in_length_and_depth() {
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEPTH_LIMIT)).is_ok());
        assert_eq!(parse(&nested(DEPTH_LIMIT + 1)), Err(FormulaError::TooDeep));
        assert_eq!(
            parse(&"1".repeat(LENGTH_LIMIT + 1)),
            Err(FormulaError::TooLong)
        );
    }
}
