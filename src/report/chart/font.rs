//! The embedded font: how wide a text is, how it is wrapped and where it is cut.
//!
//! All widths are those of the font that is drawn in the PNG, so a layout that fits here fits there;
//! the SVG states the width beside every text and so holds a browser's own font to it.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::ChartError;

/// The name under which the font is registered. It is the CSS list of the SVG as well, because
/// plotters writes the name of the font there.
const FAMILY: &str = "Roboto, Helvetica, Arial, sans-serif";

/// Height of a line from ascender to descender in em (`hhea` and `head` tables of both files). The
/// bitmap backend takes this height, not the em, as the size of a font.
pub(super) const HEIGHT_PER_EM: f64 = (1900.0 + 500.0) / 2048.0;

/// Longest label that is looked at, in characters: nothing longer fits into two lines, and nobody
/// shall keep the collector busy with measuring a megabyte.
const LABEL_LIMIT: usize = 400;

/// Ends a text that was cut.
const ELLIPSIS: char = '…';

/// Regular or bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    fn style(self) -> FontStyle {
        match self {
            Self::Regular => FontStyle::Normal,
            Self::Bold => FontStyle::Bold,
        }
    }
}

/// Registers the font with plotters, once for the process.
pub(super) fn register() -> Result<(), ChartError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        let regular = include_bytes!("../font/Roboto-Regular.ttf");
        let bold = include_bytes!("../font/Roboto-Bold.ttf");
        register_font(FAMILY, FontStyle::Normal, regular).is_ok()
            && register_font(FAMILY, FontStyle::Bold, bold).is_ok()
    });
    registered.then_some(()).ok_or(ChartError::Font)
}

/// The font in a size of plotters, whose meaning differs from backend to backend.
pub(super) fn desc(weight: Weight, size: f64) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name(FAMILY), size, weight.style())
}

/// Width of `text` at `em` pixels.
pub(super) fn width(text: &str, em: f64, weight: Weight) -> f64 {
    // plotters truncates widths to whole pixels: measured at 1000 pixels, the loss is a thousandth.
    const MEASURE: f64 = 1000.0;
    // A font that was refused is reported when the chart is painted; until then an estimate will do.
    let units = register()
        .ok()
        .and_then(|()| {
            desc(weight, MEASURE * HEIGHT_PER_EM)
                .layout_box(text)
                .ok()
                .map(|(_, (right, _))| f64::from(right))
        })
        .unwrap_or(text.chars().count() as f64 * MEASURE * 0.6);
    units * em / MEASURE
}

/// `text` on one line without control characters, which XML forbids and no font can show.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let shown = text.chars().filter_map(|c| match c {
        // Soft hyphens, marks without width and changes of direction: a label cannot reorder a row.
        '\u{ad}'
        | '\u{feff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => None,
        '\u{fffe}' | '\u{ffff}' => Some(char::REPLACEMENT_CHARACTER),
        c if c.is_control() || c.is_whitespace() => Some(' '),
        c => Some(c),
    });
    for c in shown.take(LABEL_LIMIT) {
        if c != ' ' || !(line.is_empty() || line.ends_with(' ')) {
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Where a mark stays with the letter before it, a text may not be broken.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200d}')
}

/// Longest beginning of `text`, in bytes, that fits with `tail` into `max`; at least one character.
fn fitting(text: &str, tail: &str, max: f64, em: f64, weight: Weight) -> usize {
    let ends: Vec<usize> = text
        .char_indices()
        .skip(1)
        .filter(|&(_, c)| !is_combining(c))
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let fits = ends.partition_point(|&end| {
        let candidate = format!("{}{tail}", text.get(..end).unwrap_or(text));
        width(&candidate, em, weight) <= max
    });
    ends.get(fits.saturating_sub(1))
        .copied()
        .unwrap_or(text.len())
}

/// `text` cut to `max` pixels, with an ellipsis where something is missing.
pub(super) fn shortened(text: &str, max: f64, em: f64, weight: Weight) -> String {
    let text = one_line(text);
    if width(&text, em, weight) <= max {
        return text;
    }
    let tail = ELLIPSIS.to_string();
    let end = fitting(&text, &tail, max, em, weight);
    format!("{}{ELLIPSIS}", text[..end].trim_end())
}

/// `text` in at most `max_lines` lines of `max` pixels: broken between words, after hyphens and
/// slashes, and inside a word only where it is longer than a line; the last line is cut.
pub(super) fn wrapped(
    text: &str,
    max: f64,
    em: f64,
    weight: Weight,
    max_lines: usize,
) -> Vec<String> {
    let text = one_line(text);
    let mut rest = text.as_str();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        if lines.len() + 1 >= max_lines {
            lines.push(shortened(rest, max, em, weight));
            break;
        }
        let (line, after) = first_line(rest, max, em, weight);
        lines.push(line);
        rest = after.trim_start();
    }
    lines
}

/// The longest beginning of `text` that makes a line, and what remains.
fn first_line(text: &str, max: f64, em: f64, weight: Weight) -> (String, &str) {
    if width(text, em, weight) <= max {
        return (text.to_owned(), "");
    }
    let breaks = text.char_indices().filter_map(|(at, c)| match c {
        ' ' => Some(at),
        '-' | '/' | '–' => Some(at + c.len_utf8()),
        _ => None,
    });
    let last = breaks
        .take_while(|&at| width(&text[..at], em, weight) <= max)
        .filter(|&at| at > 0)
        .last();
    if let Some(at) = last {
        return (text[..at].trim_end().to_owned(), &text[at..]);
    }
    let at = fitting(text, "-", max, em, weight);
    (format!("{}-", &text[..at]), &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EM: f64 = 13.0;

    #[test]
    fn widths_are_those_of_the_font_file() {
        // Advance width of 'H' in the hmtx table of Roboto-Regular: 1460 of 2048 units per em.
        let width = width("H", 2048.0, Weight::Regular);
        assert!((width - 1460.0).abs() < 3.0, "{width}");
    }

    #[test]
    fn umlauts_count_as_one_letter_and_not_as_two_bytes() {
        let (a, b) = ("uuuu", "üüüü");
        let difference = width(a, EM, Weight::Regular) - width(b, EM, Weight::Regular);
        assert!(difference.abs() < 0.1, "{difference}");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let label = "Städtisches Gemeinschaftsgrundschulverbundsystemzentrum an der Straße \
                     des 17. Juni / Nebenstelle Süd-Südost";
        for max in [40.0, 90.0, 200.0] {
            for text in [label, &"x".repeat(300), "Ü", ""] {
                for line in wrapped(text, max, EM, Weight::Regular, 3) {
                    assert!(width(&line, EM, Weight::Regular) <= max, "{line:?}");
                }
            }
        }
    }

    #[test]
    fn words_are_kept_whole_where_they_fit() {
        let lines = wrapped(
            "Gesamtschule am Rosensteinweg",
            120.0,
            EM,
            Weight::Regular,
            2,
        );
        assert_eq!(lines, ["Gesamtschule am", "Rosensteinweg"]);
    }

    #[test]
    fn what_was_cut_ends_with_an_ellipsis() {
        let text = shortened("Gesamtschule am Rosensteinweg", 120.0, EM, Weight::Regular);
        assert!(text.ends_with('…') && text.starts_with("Gesamt"), "{text}");
    }

    #[test]
    fn control_characters_do_not_reach_the_picture() {
        assert_eq!(
            one_line(" a\u{0}b\r\n\tc \u{202e}d\u{ffff} "),
            "a b c d\u{fffd}"
        );
    }
}
