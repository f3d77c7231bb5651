//! Tables as text: fields between separators, quoted where they have to be (RFC 4180), with the place of
//! every field so that a refusal can name it.

use crate::toml_file::{Document, Problem};

/// More columns than any table that is read here.
const MAX_FIELDS: usize = 200;

/// A line of a table; a quoted field may stretch it over several lines of the text.
pub(crate) struct Record {
    pub(crate) fields: Vec<Field>,
}

/// A field, without its quotes.
pub(crate) struct Field {
    /// Where it begins in the text.
    pub(crate) offset: usize,
    pub(crate) text: String,
}

impl Record {
    /// The text of a field; `None` where the line is too short.
    pub(crate) fn text(&self, index: usize) -> Option<&str> {
        self.fields.get(index).map(|field| field.text.trim())
    }

    /// Where a field begins, or else the line.
    pub(crate) fn offset(&self, index: usize) -> usize {
        let field = self.fields.get(index).or(self.fields.first());
        field.map_or(0, |field| field.offset)
    }
}

/// Cuts a text into records; blank lines are none.
pub(crate) fn records(document: Document<'_>, separator: char) -> Result<Vec<Record>, Problem> {
    let text = document.sized_text()?;
    let mut records = Vec::new();
    let mut record = Record { fields: Vec::new() };
    let mut at = 0;
    while at < text.len() {
        let offset = at;
        let field = if text[at..].starts_with('"') {
            quoted(document, text, &mut at)?
        } else {
            let end = text[at..].find([separator, '\n']);
            let end = end.map_or(text.len(), |end| at + end);
            let field = text[at..end].trim_end_matches('\r').to_owned();
            at = end;
            field
        };
        if record.fields.len() == MAX_FIELDS {
            let message = format!("the line has more than {MAX_FIELDS} columns");
            return Err(document.problem(offset, None, message));
        }
        record.fields.push(Field {
            offset,
            text: field,
        });
        let rest = &text[at..];
        if let Some(after) = rest.strip_prefix(separator) {
            at = text.len() - after.len();
            if after.is_empty() {
                record.fields.push(Field {
                    offset: at,
                    text: String::new(),
                });
            }
            continue;
        }
        let rest = rest.strip_prefix('\r').unwrap_or(rest);
        if let Some(after) = rest.strip_prefix('\n') {
            at = text.len() - after.len();
        } else if !rest.is_empty() {
            let message = "after a closing quote comes a separator or the end of the line";
            return Err(document.problem(at, None, message));
        } else {
            at = text.len();
        }
        keep(&mut records, &mut record);
    }
    keep(&mut records, &mut record);
    Ok(records)
}

/// Moves a record over, unless its line was blank.
fn keep(records: &mut Vec<Record>, record: &mut Record) {
    let fields = std::mem::take(&mut record.fields);
    if fields.iter().any(|field| !field.text.trim().is_empty()) {
        records.push(Record { fields });
    }
}

/// The quoted field that begins at `at`, which is moved behind its closing quote.
fn quoted(document: Document<'_>, text: &str, at: &mut usize) -> Result<String, Problem> {
    let opening = *at;
    let mut field = String::new();
    *at += 1;
    loop {
        let Some(end) = text[*at..].find('"') else {
            let message = "the quote that opens here is never closed: is the file cut off?";
            return Err(document.problem(opening, None, message));
        };
        field.push_str(&text[*at..*at + end]);
        *at += end + 1;
        if !text[*at..].starts_with('"') {
            return Ok(field);
        }
        field.push('"');
        *at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Result<Vec<Vec<String>>, String> {
        let records = records(Document::new("f.csv", text), ';').map_err(|p| p.to_string())?;
        let fields = |record: Record| record.fields.into_iter().map(|field| field.text).collect();
        Ok(records.into_iter().map(fields).collect())
    }

    #[test]
    fn fields_are_what_stands_between_separators_and_quotes() {
        for (text, expected) in [
            ("", vec![]),
            (
                "\u{feff}a;b\r\n\r\n1;2",
                vec![vec!["a", "b"], vec!["1", "2"]],
            ),
            ("\"a;\"\"b\"\"\";\"c\nd\"\n", vec![vec!["a;\"b\"", "c\nd"]]),
            ("a;\n;b;", vec![vec!["a", ""], vec!["", "b", ""]]),
            ("a;\"\"", vec![vec!["a", ""]]),
        ] {
            assert_eq!(cut(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cut_off_quote_is_named_where_it_opens() {
        assert!(
            cut("a;b\n1;\"2")
                .unwrap_err()
                .starts_with("f.csv:2:3: the quote")
        );
        assert!(
            cut("\"a\"b;c")
                .unwrap_err()
                .starts_with("f.csv:1:4: after a closing")
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_cutting_panic(text in "[a\";\r\nä,]{0,40}") {
            let _ = cut(&text);
        }
    }
}
