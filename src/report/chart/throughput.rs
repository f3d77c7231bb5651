//! The throughput chart: what was measured at each school, against what is required and contracted.

use messnetz_metric::BitRate;

use super::Chart;
use super::coverage::{Entry, GUTTER, LABEL_LINES, MARGIN, TALL, WIDTH, legend, title};
use super::font;
use super::scale::Scale;
use super::scene::{Align, Area, Face, GUIDE, INK, LINE_PITCH, SOFT_INK, Scene, WHITE, at};
use super::verdict::Mark;
use super::words::ChartWords;

/// One school and its rates, all of one direction and layer but the contract's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThroughputRow {
    /// Name of the school.
    pub school: String,
    /// What the target asks for; `None` where no target applies.
    pub required: Option<BitRate>,
    /// The smallest rate that still counts as the required one.
    pub tolerated: Option<BitRate>,
    /// The statistic of the measurements; `None` where there are none.
    pub measured: Option<BitRate>,
    /// What the contract of the line promises; `None` where it is not known.
    pub contract: Option<BitRate>,
    /// What was decided; `None` where no target applies, so that there is nothing to decide.
    pub verdict: Option<Mark>,
}

const LABEL_WIDTH: f64 = 200.0;
const NUMBER_WIDTH: f64 = 76.0;
const VERDICT_WIDTH: f64 = 116.0;
const SYMBOL: f64 = 10.0;
const BAR_HEIGHT: f64 = 16.0;
const ROW_HEIGHT: f64 = 34.0;
/// How far the marker of the requirement stands out above and below the bar.
const OVERHANG: f64 = 6.0;

/// Measured against required rates, one row per school in the order given.
#[must_use]
pub fn throughput(rows: &[ThroughputRow], words: &ChartWords) -> Chart {
    let mut scene = Scene::new(WIDTH, &words.throughput_title);
    scene.description = describe(rows, words);
    let y = title(&mut scene, &words.throughput_title);
    let y = legend(&mut scene, y, words, &marker_entries(rows, words));
    if rows.is_empty() {
        let place = at(WIDTH / 2.0, y + 28.0);
        scene.text(&words.no_schools, place, Align::Centre, Face::LABEL);
        scene.height = (y + 36.0 + MARGIN).ceil();
        return Chart { scene };
    }
    let columns = Columns::new();
    let head = y + 12.0;
    columns.heads(&mut scene, head, words);
    let labels: Vec<_> = rows
        .iter()
        .map(|row| {
            let face = Face::LABEL;
            font::wrapped(&row.school, LABEL_WIDTH, face.em, face.weight, LABEL_LINES)
        })
        .collect();
    let heights: Vec<f64> = labels
        .iter()
        .map(|lines| ROW_HEIGHT.max(lines.len() as f64 * Face::LABEL.em * LINE_PITCH + 8.0))
        .collect();
    let plot = Area::new(
        columns.plot_x,
        head + 8.0,
        columns.plot_w,
        heights.iter().sum(),
    );
    let scale = Scale::for_rates(rows.iter().flat_map(rates_of).map(BitRate::as_mbps));
    axis(&mut scene, plot, scale, words);
    let mut top = plot.y;
    for ((row, lines), height) in rows.iter().zip(&labels).zip(&heights) {
        let middle = top + height / 2.0;
        scene.lines(lines, MARGIN, middle, Face::LABEL);
        let bar = Area::new(plot.x, middle - BAR_HEIGHT / 2.0, plot.w, BAR_HEIGHT);
        bar_of(&mut scene, row, bar, scale, words);
        columns.numbers(&mut scene, row, middle, words);
        top += height;
        let rule = Area::new(MARGIN, top - 0.5, WIDTH - 2.0 * MARGIN, 0.5);
        scene.fill(rule, GUIDE);
    }
    scene.height = (plot.bottom() + 52.0 + MARGIN / 2.0).ceil();
    Chart { scene }
}

fn rates_of(row: &ThroughputRow) -> impl Iterator<Item = BitRate> + use<> {
    [row.measured, row.required, row.tolerated, row.contract]
        .into_iter()
        .flatten()
}

/// Where the columns stand, from left to right: school, plot, three numbers, verdict.
struct Columns {
    plot_x: f64,
    plot_w: f64,
    /// Right ends of measured, required and contract.
    numbers: [f64; 3],
    verdict_x: f64,
}

impl Columns {
    fn new() -> Self {
        let verdict_x = WIDTH - MARGIN - VERDICT_WIDTH;
        let contract = verdict_x - 1.5 * GUTTER;
        let required = contract - NUMBER_WIDTH;
        let measured = required - NUMBER_WIDTH;
        let plot_x = MARGIN + LABEL_WIDTH + GUTTER;
        Self {
            plot_x,
            plot_w: measured - NUMBER_WIDTH - GUTTER / 2.0 - plot_x,
            numbers: [measured, required, contract],
            verdict_x,
        }
    }

    fn heads(&self, scene: &mut Scene, baseline: f64, words: &ChartWords) {
        let face = Face::NOTE;
        scene.text(&words.school, at(MARGIN, baseline), Align::Left, face);
        let heads = [&words.measured, &words.required, &words.contract];
        for (&x, head) in self.numbers.iter().zip(heads) {
            let head = font::shortened(head, NUMBER_WIDTH - 6.0, face.em, face.weight);
            scene.text(&head, at(x, baseline), Align::Right, face);
        }
        let place = at(self.verdict_x, baseline);
        scene.text(&words.verdict, place, Align::Left, face);
    }

    fn numbers(&self, scene: &mut Scene, row: &ThroughputRow, middle: f64, words: &ChartWords) {
        let cells = [
            (row.measured, words.no_data.as_str(), Face::STRONG),
            (row.required, &words.no_requirement, Face::LABEL),
            (row.contract, &words.no_contract, Face::LABEL),
        ];
        for (&x, (rate, absent, face)) in self.numbers.iter().zip(cells) {
            let (text, face) = match rate {
                Some(rate) => (words.mbps(rate.as_bps()), face),
                None => (absent.to_owned(), Face::NOTE),
            };
            let text = font::shortened(&text, NUMBER_WIDTH - 6.0, face.em, face.weight);
            scene.text(&text, at(x, middle + face.drop()), Align::Right, face);
        }
        let Some(mark) = row.verdict else { return };
        let symbol_at = at(self.verdict_x + SYMBOL / 2.0, middle);
        mark.symbol(scene, symbol_at, SYMBOL, mark.symbol_colour());
        let face = Face::LABEL;
        let room = VERDICT_WIDTH - SYMBOL - 6.0;
        let word = font::shortened(mark.word(words), room, face.em, face.weight);
        let word_at = at(self.verdict_x + SYMBOL + 6.0, middle + face.drop());
        scene.text(&word, word_at, Align::Left, face);
    }
}

/// The grid of rates, its numbers and its title, which says whether it is logarithmic.
fn axis(scene: &mut Scene, plot: Area, scale: Scale, words: &ChartWords) {
    let mut free_from = f64::NEG_INFINITY;
    for tick in scale.ticks() {
        let x = plot.x + plot.w * scale.position(tick.mbps);
        scene.fill(Area::new(x - 0.5, plot.y, 1.0, plot.h + 6.0), GUIDE);
        let text = words.mbps((tick.mbps * 1e6).round() as u64);
        let half = Face::NOTE.width(&text) / 2.0;
        if tick.labelled && x - half > free_from {
            let place = at(x, plot.bottom() + 20.0);
            scene.text(&text, place, Align::Centre, Face::NOTE);
            if plot.h > TALL {
                scene.text(&text, at(x, plot.y - 8.0), Align::Centre, Face::NOTE);
            }
            free_from = x + half + 6.0;
        }
    }
    scene.fill(Area::new(plot.x - 0.5, plot.y, 1.0, plot.h), SOFT_INK);
    let title = if scale.is_logarithmic() {
        &words.rate_axis_log
    } else {
        &words.rate_axis
    };
    let place = at(plot.middle().x, plot.bottom() + 40.0);
    scene.text(title, place, Align::Centre, Face::NOTE);
}

/// Draws the bar of the measured rate and the markers of the others.
fn bar_of(scene: &mut Scene, row: &ThroughputRow, bar: Area, scale: Scale, words: &ChartWords) {
    let x_of = |rate: BitRate| bar.x + bar.w * scale.position(rate.as_mbps());
    if let Some(measured) = row.measured {
        // A measured zero is a sliver: it is not the same as no measurement.
        let width = (x_of(measured) - bar.x).max(2.0);
        let area = Area::new(bar.x, bar.y, width, bar.h);
        if let Some(mark) = row.verdict {
            mark.fill(scene, area);
        } else {
            scene.fill(area, GUIDE);
            scene.frame(area, 1.0, SOFT_INK);
        }
    }
    if let Some(required) = row.required {
        let tolerated = row.tolerated.map(&x_of);
        requirement(scene, bar, x_of(required), tolerated);
    }
    if let Some(contract) = row.contract {
        diamond(scene, at(x_of(contract), bar.middle().y));
    }
    if row.measured.is_none() {
        missing(scene, row, bar, scale, words);
    }
}

/// Says that there is no measurement, where the markers leave room for it.
fn missing(scene: &mut Scene, row: &ThroughputRow, bar: Area, scale: Scale, words: &ChartWords) {
    let face = Face::NOTE;
    let width = face.width(&words.no_measurement);
    let mut marks: Vec<f64> = [row.required, row.tolerated, row.contract]
        .into_iter()
        .flatten()
        .map(|rate| bar.w * scale.position(rate.as_mbps()))
        .collect();
    marks.sort_by(f64::total_cmp);
    marks.push(bar.w);
    let mut from = 0.0;
    let free = marks.into_iter().find_map(|mark| {
        let start = from + 10.0;
        from = mark;
        (start + width + 10.0 <= mark).then_some(start)
    });
    // Where no gap is wide enough, the column of measured rates says it all the same.
    if let Some(start) = free {
        let ground = Area::new(bar.x + start - 2.0, bar.y, width + 4.0, bar.h);
        scene.fill(ground, WHITE);
        let place = at(bar.x + start, bar.middle().y + face.drop());
        scene.text(&words.no_measurement, place, Align::Left, face);
    }
}

/// A strong line at the requirement; below the bar, a bracket back to what is tolerated.
fn requirement(scene: &mut Scene, bar: Area, x: f64, tolerated: Option<f64>) {
    const STROKE: f64 = 3.0;
    let line = Area::new(
        x - STROKE / 2.0,
        bar.y - OVERHANG,
        STROKE,
        bar.h + 2.0 * OVERHANG,
    );
    // The light edge parts the line from a dark bar.
    let halo = Area::new(line.x - 1.0, line.y, STROKE + 2.0, line.h);
    scene.fill(halo, WHITE);
    scene.fill(line, INK);
    if let Some(tolerated) = tolerated {
        let (left, right) = (tolerated.min(x), tolerated.max(x));
        let y = line.bottom() - 1.5;
        scene.fill(Area::new(left, y, right - left, 1.5), INK);
        scene.fill(Area::new(left, y - 5.0, 1.5, 5.0), INK);
    }
}

/// A hollow diamond at the contract's rate.
fn diamond(scene: &mut Scene, centre: super::scene::Point) {
    let corners = |r: f64| {
        vec![
            at(centre.x, centre.y - r),
            at(centre.x + r, centre.y),
            at(centre.x, centre.y + r),
            at(centre.x - r, centre.y),
        ]
    };
    scene.polygon(corners(8.5), WHITE);
    scene.polygon(corners(7.0), INK);
    scene.polygon(corners(4.0), WHITE);
}

/// The markers that this chart needs in its legend.
fn marker_entries<'a>(rows: &[ThroughputRow], words: &'a ChartWords) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    if rows.iter().any(|row| row.required.is_some()) {
        entries.push(Entry {
            word: &words.required,
            draw: |scene, area| requirement(scene, inner(area), area.middle().x, None),
        });
        if rows.iter().any(|row| row.tolerated.is_some()) {
            entries.push(Entry {
                word: &words.tolerated,
                draw: |scene, area| {
                    let x = area.middle().x + 8.0;
                    requirement(scene, inner(area), x, Some(x - 16.0));
                },
            });
        }
    }
    if rows.iter().any(|row| row.contract.is_some()) {
        entries.push(Entry {
            word: &words.contract,
            draw: |scene, area| diamond(scene, area.middle()),
        });
    }
    entries
}

/// The bar to which a marker in a swatch would belong.
fn inner(area: Area) -> Area {
    let (y, h) = (area.y + OVERHANG / 2.0, area.h - OVERHANG);
    Area::new(area.x, y, area.w, h)
}

/// The chart in words.
fn describe(rows: &[ThroughputRow], words: &ChartWords) -> String {
    if rows.is_empty() {
        return words.no_schools.clone();
    }
    let sentences = rows.iter().map(|row| {
        let rate = |name: &str, rate: Option<BitRate>, absent: &str| match rate {
            Some(rate) => format!("{name} {} Mbit/s", words.mbps(rate.as_bps())),
            None => format!("{name} {absent}"),
        };
        let verdict = row
            .verdict
            .map_or(String::new(), |mark| format!(" {};", mark.word(words)));
        format!(
            "{}:{verdict} {}, {}, {}.",
            font::one_line(&row.school),
            rate(&words.measured, row.measured, &words.no_data),
            rate(&words.required, row.required, &words.no_requirement),
            rate(&words.contract, row.contract, &words.no_contract),
        )
    });
    sentences.collect::<Vec<_>>().join(" ")
}
