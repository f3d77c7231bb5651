//! The coverage chart: for each target, how many schools meet it, miss it, or cannot be judged.

use super::Chart;
use super::font::{self, Weight};
use super::scene::{Align, Area, Face, GUIDE, INK, LINE_PITCH, SOFT_INK, Scene, WHITE, at};
use super::verdict::Mark;
use super::words::ChartWords;

/// One target and the verdicts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverageRow {
    /// Name of the target.
    pub label: String,
    /// What stands above it, where it is the first of a group.
    pub heading: Option<String>,
    /// Schools that meet it.
    pub met: u32,
    /// Schools that miss it.
    pub missed: u32,
    /// Schools whose measurements do not decide.
    pub undecided: u32,
    /// Schools of which nothing was measured or stated.
    pub no_data: u32,
}

impl CoverageRow {
    fn count(&self, mark: Mark) -> u32 {
        match mark {
            Mark::Met => self.met,
            Mark::Missed => self.missed,
            Mark::Undecided => self.undecided,
            Mark::NoData => self.no_data,
        }
    }

    fn total(&self) -> u64 {
        Mark::ALL.iter().map(|&m| u64::from(self.count(m))).sum()
    }
}

pub(super) const WIDTH: f64 = 960.0;
pub(super) const MARGIN: f64 = 24.0;
pub(super) const GUTTER: f64 = 16.0;
const LABEL_WIDTH: f64 = 250.0;
const SUM_WIDTH: f64 = 96.0;
const BAR_HEIGHT: f64 = 26.0;
const ROW_GAP: f64 = 12.0;
const HEADING_HEIGHT: f64 = 36.0;
const HEADING_DROP: f64 = 8.0;
/// Two lines of a label; a third would part a label from its bar.
pub(super) const LABEL_LINES: usize = 2;
/// A plot higher than this has the numbers of its axis above it as well: the end is off the screen.
pub(super) const TALL: f64 = 600.0;
/// A segment that stands for at least one school is never thinner than this.
const MIN_SEGMENT: f64 = 4.0;

/// Shares of schools per target as stacked bars, one row per target in the order given.
#[must_use]
pub fn coverage(rows: &[CoverageRow], words: &ChartWords) -> Chart {
    let mut scene = Scene::new(WIDTH, &words.coverage_title);
    scene.description = describe(rows, words);
    let mut y = title(&mut scene, &words.coverage_title);
    y = legend(&mut scene, y, words, &[]);
    let plot = Area::new(
        MARGIN + LABEL_WIDTH + GUTTER,
        y,
        WIDTH - 2.0 * MARGIN - LABEL_WIDTH - SUM_WIDTH - 2.0 * GUTTER,
        0.0,
    );
    if rows.is_empty() {
        y += 28.0;
        scene.text(
            &words.no_targets,
            at(WIDTH / 2.0, y),
            Align::Centre,
            Face::LABEL,
        );
        scene.height = (y + MARGIN + 8.0).ceil();
        return Chart { scene };
    }
    let head = y + 12.0;
    scene.text(&words.target, at(MARGIN, head), Align::Left, Face::NOTE);
    let right = at(WIDTH - MARGIN, head);
    scene.text(&words.met, right, Align::Right, Face::NOTE);
    let first = head + 10.0;
    let labels: Vec<_> = rows.iter().map(|row| label_lines(&row.label)).collect();
    let headings = rows.iter().map(heading_height);
    let height: f64 = labels
        .iter()
        .map(|lines| row_height(lines))
        .chain(headings)
        .sum();
    grid(
        &mut scene,
        Area::new(plot.x, first, plot.w, height),
        &words.share_axis,
    );
    y = first;
    for (row, lines) in rows.iter().zip(&labels) {
        if let Some(heading) = &row.heading {
            let face = Face::STRONG;
            let heading = font::shortened(heading, WIDTH - 2.0 * MARGIN, face.em, face.weight);
            let baseline = y + HEADING_HEIGHT - HEADING_DROP;
            // The lines of the grid do not run through it.
            let plate = Area::new(
                MARGIN,
                y + HEADING_DROP,
                face.width(&heading) + GUTTER / 2.0,
                HEADING_HEIGHT - HEADING_DROP,
            );
            scene.fill(plate, WHITE);
            scene.text(&heading, at(MARGIN, baseline), Align::Left, face);
        }
        y += heading_height(row);
        let h = row_height(lines);
        let middle = y + h / 2.0;
        scene.lines(lines, MARGIN, middle, Face::LABEL);
        let bar = Area::new(plot.x, middle - BAR_HEIGHT / 2.0, plot.w, BAR_HEIGHT);
        bar_of(&mut scene, row, bar, words);
        y += h;
    }
    scene.height = (y + 52.0 + MARGIN / 2.0).ceil();
    Chart { scene }
}

fn label_lines(label: &str) -> Vec<String> {
    font::wrapped(
        label,
        LABEL_WIDTH,
        Face::LABEL.em,
        Face::LABEL.weight,
        LABEL_LINES,
    )
}

fn heading_height(row: &CoverageRow) -> f64 {
    if row.heading.is_some() {
        HEADING_HEIGHT
    } else {
        0.0
    }
}

fn row_height(lines: &[String]) -> f64 {
    BAR_HEIGHT.max(lines.len() as f64 * Face::LABEL.em * LINE_PITCH) + ROW_GAP
}

/// Draws the title and returns the height below it.
pub(super) fn title(scene: &mut Scene, text: &str) -> f64 {
    let face = Face::TITLE;
    let text = font::shortened(text, WIDTH - 2.0 * MARGIN, face.em, face.weight);
    let baseline = MARGIN + 18.0;
    scene.text(&text, at(MARGIN, baseline), Align::Left, face);
    baseline + 16.0
}

/// Something in the legend beside the verdicts: its word and how it is drawn into a swatch.
pub(super) struct Entry<'a> {
    pub(super) word: &'a str,
    pub(super) draw: fn(&mut Scene, Area),
}

/// Draws the four verdicts and the further entries, in as many lines as they need, and returns the
/// height below them.
pub(super) fn legend(
    scene: &mut Scene,
    top: f64,
    words: &ChartWords,
    further: &[Entry<'_>],
) -> f64 {
    const SWATCH: (f64, f64) = (30.0, 16.0);
    const MARKER_WIDTH: f64 = 22.0;
    const SYMBOL: f64 = 10.0;
    const PITCH: f64 = 26.0;
    let face = Face::LABEL;
    let mut x = MARGIN;
    let mut middle = top + 12.0;
    let swatch = |x: &mut f64, middle: &mut f64, word: &str, room: (f64, f64)| {
        let word = font::shortened(word, 240.0, face.em, face.weight);
        let width = room.0 + 8.0 + room.1 + face.width(&word);
        if *x > MARGIN && *x + width > WIDTH - MARGIN {
            *x = MARGIN;
            *middle += PITCH;
        }
        let area = Area::new(*x, *middle - SWATCH.1 / 2.0, room.0, SWATCH.1);
        let text_at = at(*x + width - face.width(&word), *middle + face.drop());
        *x += width + 24.0;
        (area, word, text_at)
    };
    for mark in Mark::ALL {
        let (area, word, text_at) = swatch(
            &mut x,
            &mut middle,
            mark.word(words),
            (SWATCH.0, SYMBOL + 6.0),
        );
        mark.fill(scene, area);
        let symbol_at = at(area.right() + 8.0 + SYMBOL / 2.0, area.middle().y);
        mark.symbol(scene, symbol_at, SYMBOL, mark.symbol_colour());
        scene.text(&word, text_at, Align::Left, face);
    }
    for entry in further {
        let (area, word, text_at) = swatch(&mut x, &mut middle, entry.word, (MARKER_WIDTH, 0.0));
        (entry.draw)(scene, area);
        scene.text(&word, text_at, Align::Left, face);
    }
    middle + SWATCH.1 / 2.0 + 16.0
}

/// Lines at every quarter, with their percentages below.
fn grid(scene: &mut Scene, area: Area, axis: &str) {
    for (idx, text) in ["0 %", "25 %", "50 %", "75 %", "100 %"].iter().enumerate() {
        let x = area.x + area.w * idx as f64 / 4.0;
        scene.fill(
            Area::new(x - 0.5, area.y, 1.0, area.h + 6.0),
            if idx == 0 { SOFT_INK } else { GUIDE },
        );
        scene.text(text, at(x, area.bottom() + 20.0), Align::Centre, Face::NOTE);
        if area.h > TALL {
            scene.text(text, at(x, area.y - 10.0), Align::Centre, Face::NOTE);
        }
    }
    let below = at(area.middle().x, area.bottom() + 40.0);
    scene.text(axis, below, Align::Centre, Face::NOTE);
}

/// Draws one bar with its counts, and the sum to its right.
fn bar_of(scene: &mut Scene, row: &CoverageRow, bar: Area, words: &ChartWords) {
    let baseline = bar.middle().y + Face::LABEL.drop();
    let total = row.total();
    if total == 0 {
        let place = at(bar.x + 8.0, baseline);
        let room = Area::new(
            bar.x + 2.0,
            bar.y,
            Face::NOTE.width(&words.no_schools) + 12.0,
            bar.h,
        );
        scene.fill(room, WHITE);
        scene.text(&words.no_schools, place, Align::Left, Face::NOTE);
        return;
    }
    let sum = format!(
        "{} {} {}",
        words.grouped(u64::from(row.met)),
        words.of,
        words.grouped(total)
    );
    let face = Face::STRONG;
    let sum = font::shortened(&sum, SUM_WIDTH, face.em, face.weight);
    scene.text(&sum, at(WIDTH - MARGIN, baseline), Align::Right, face);

    let mut x = bar.x;
    for (mark, width) in Mark::ALL.into_iter().zip(segment_widths(row, bar.w)) {
        if width > 0.0 {
            // A gap keeps the borders of two neighbours apart.
            let gap = if x + width < bar.right() - 1.0 {
                2.0
            } else {
                0.0
            };
            let segment = Area::new(x, bar.y, width - gap, bar.h);
            mark.fill(scene, segment);
            count(
                scene,
                mark,
                &words.grouped(u64::from(row.count(mark))),
                segment,
            );
            x += width;
        }
    }
}

/// How wide each segment is: its share, but never too thin to be seen.
fn segment_widths(row: &CoverageRow, width: f64) -> [f64; 4] {
    let counts = Mark::ALL.map(|mark| f64::from(row.count(mark)));
    let total: f64 = counts.iter().sum();
    let wanted = counts.map(|n| {
        if n > 0.0 {
            (n / total * width).max(MIN_SEGMENT)
        } else {
            0.0
        }
    });
    // What the thin ones got too much is taken from the thick ones in proportion.
    let excess = wanted.iter().sum::<f64>() - width;
    let thick: f64 = wanted.iter().filter(|&&w| w > MIN_SEGMENT).sum();
    wanted.map(|w| {
        if w > MIN_SEGMENT && excess > 0.0 {
            w - excess * w / thick
        } else {
            w
        }
    })
}

/// Writes symbol and count into a segment, the count alone where both do not fit, or nothing: the
/// numbers are in the description too.
fn count(scene: &mut Scene, mark: Mark, number: &str, segment: Area) {
    const SYMBOL: f64 = 9.0;
    const PAD: f64 = 5.0;
    const PLATE: f64 = 18.0;
    let face = Face::new(13.0, Weight::Bold, INK);
    let number_width = face.width(number);
    let with_symbol = SYMBOL + 4.0 + number_width;
    let room = segment.w - 2.0 * PAD - 4.0;
    let width = if with_symbol <= room {
        with_symbol
    } else if number_width <= room {
        number_width
    } else {
        return;
    };
    let middle = segment.middle();
    // A plain plate under the number: on a pattern it could not be read.
    let plate = Area::new(
        middle.x - width / 2.0 - PAD,
        middle.y - PLATE / 2.0,
        width + 2.0 * PAD,
        PLATE,
    );
    scene.fill(plate, WHITE);
    if width > number_width {
        let symbol_at = at(plate.x + PAD + SYMBOL / 2.0, middle.y);
        mark.symbol(scene, symbol_at, SYMBOL, mark.symbol_colour());
    }
    let end = at(plate.right() - PAD, middle.y + face.drop());
    scene.text(number, end, Align::Right, face);
}

/// The chart in words.
fn describe(rows: &[CoverageRow], words: &ChartWords) -> String {
    if rows.is_empty() {
        return words.no_targets.clone();
    }
    let sentences = rows.iter().map(|row| {
        let label = font::one_line(&row.label);
        if row.total() == 0 {
            return format!("{label}: {}.", words.no_schools);
        }
        let counts = Mark::ALL.map(|mark| {
            let number = words.grouped(u64::from(row.count(mark)));
            format!("{} {number}", mark.word(words))
        });
        let counts = format!("{label}: {}.", counts.join(", "));
        match &row.heading {
            Some(heading) => format!("{}. {counts}", font::one_line(heading)),
            None => counts,
        }
    });
    sentences.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fill_the_bar_and_none_disappears() {
        let rows = [
            (1, 0, 0, 999),
            (1, 1, 1, 1),
            (0, 0, 0, 3),
            (u32::MAX, 1, 1, 1),
        ];
        for (met, missed, undecided, no_data) in rows {
            let row = CoverageRow {
                label: String::new(),
                heading: None,
                met,
                missed,
                undecided,
                no_data,
            };
            let widths = segment_widths(&row, 500.0);
            assert!((widths.iter().sum::<f64>() - 500.0).abs() < 1e-6);
            for (mark, width) in Mark::ALL.into_iter().zip(widths) {
                assert_eq!(row.count(mark) > 0, width >= MIN_SEGMENT - 1e-9, "{mark:?}");
            }
        }
    }
}
