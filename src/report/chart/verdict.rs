//! How a verdict looks: colour, pattern and symbol.
//!
//! The colours are those of Okabe and Ito (2008), which people with the common colour-vision
//! deficiencies tell apart, with darker line colours so that every border and every pattern has at
//! least 3:1 against what it lies on (WCAG 2.2, success criterion 1.4.11). Printed in grey, the
//! patterns remain.

use super::font::Weight;
use super::scene::{Align, Area, Colour, Face, INK, Point, Scene, WHITE, at};
use super::words::ChartWords;

/// Width of a border, and the widest stroke of a pattern.
const BORDER: f64 = 1.5;

/// The four verdicts as a chart knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The target is reached.
    Met,
    /// The target is not reached.
    Missed,
    /// The measurements do not decide.
    Undecided,
    /// There are no measurements.
    NoData,
}

impl Mark {
    /// All four, in the order in which bars and legends show them.
    pub const ALL: [Self; 4] = [Self::Met, Self::Missed, Self::Undecided, Self::NoData];

    /// The word for it.
    #[must_use]
    pub fn word(self, words: &ChartWords) -> &str {
        match self {
            Self::Met => &words.met,
            Self::Missed => &words.missed,
            Self::Undecided => &words.undecided,
            Self::NoData => &words.no_data,
        }
    }

    /// The colour of the surface.
    fn surface(self) -> Colour {
        match self {
            Self::Met => Colour(0x00, 0x72, 0xb2),
            Self::Missed => Colour(0xf6, 0xb4, 0x8a),
            Self::Undecided => Colour(0xf7, 0xe9, 0xa0),
            Self::NoData => WHITE,
        }
    }

    /// The colour of border and pattern.
    fn line(self) -> Colour {
        match self {
            Self::Met => Colour(0x00, 0x4c, 0x78),
            Self::Missed => Colour(0xa8, 0x3c, 0x00),
            Self::Undecided => Colour(0x7a, 0x5c, 0x00),
            Self::NoData => Colour(0x70, 0x70, 0x70),
        }
    }

    /// Fills `area` in this verdict's way: plain, hatched, dotted or crossed.
    pub(super) fn fill(self, scene: &mut Scene, area: Area) {
        let line = self.line();
        scene.fill(area, self.surface());
        // The path of a pattern turns along the middle of the border, which then covers the turns.
        let inner = area.inset(BORDER / 2.0);
        match self {
            Self::Met => {}
            Self::Missed => scene.line(hatching(inner, 7.0, Slope::Rising), BORDER, line),
            Self::Undecided => dots(scene, area, line),
            Self::NoData => {
                scene.line(hatching(inner, 12.0, Slope::Rising), 0.5, line);
                scene.line(hatching(inner, 12.0, Slope::Falling), 0.5, line);
            }
        }
        scene.frame(area, BORDER, line);
    }

    /// Draws the symbol in a box of `size` around `centre`.
    pub(super) fn symbol(self, scene: &mut Scene, centre: Point, size: f64, colour: Colour) {
        let Point { x, y } = centre;
        let half = size / 2.0;
        let stroke = size / 5.0;
        match self {
            Self::Met => scene.line(
                vec![
                    at(x - half, y + half * 0.1),
                    at(x - half * 0.3, y + half * 0.8),
                    at(x + half, y - half * 0.8),
                ],
                stroke,
                colour,
            ),
            Self::Missed => {
                let d = half * 0.8;
                scene.line(vec![at(x - d, y - d), at(x + d, y + d)], stroke, colour);
                scene.line(vec![at(x - d, y + d), at(x + d, y - d)], stroke, colour);
            }
            Self::Undecided => {
                let face = Face::new(size * 1.4, Weight::Bold, colour);
                scene.text("?", at(x, y + face.drop()), Align::Centre, face);
            }
            Self::NoData => {
                let dash = Area::new(x - half * 0.8, y - stroke / 2.0, half * 1.6, stroke);
                scene.fill(dash, colour);
            }
        }
    }

    /// Colour of the symbol beside a word, on white.
    pub(super) fn symbol_colour(self) -> Colour {
        match self {
            Self::NoData => INK,
            _ => self.line(),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Slope {
    Rising,
    Falling,
}

/// Lines of 45 degrees that fill `area`, `pitch` apart, as one path: from line to line it runs along
/// the border, where the frame hides it. One path instead of a hundred keeps the SVG small.
fn hatching(area: Area, pitch: f64, slope: Slope) -> Vec<Point> {
    let (left, right) = (area.x, area.right());
    let mut path: Vec<Point> = Vec::new();
    let n_lines = ((area.w + area.h) / pitch).floor() as usize;
    for idx in 1..=n_lines {
        // The line leaves the lower border at `foot` and would reach the upper one at `foot + h`.
        let foot = left - area.h + idx as f64 * pitch;
        let low = if foot < left {
            at(left, area.bottom() - (left - foot))
        } else {
            at(foot, area.bottom())
        };
        let head = foot + area.h;
        let high = if head > right {
            at(right, area.y + (head - right))
        } else {
            at(head, area.y)
        };
        let (from, to, corner) = if idx % 2 == 1 {
            (low, high, at(left, area.bottom()))
        } else {
            (high, low, at(right, area.y))
        };
        // Where two lines end on different sides of a corner, the path goes round it.
        if let Some(&last) = path.last()
            && differs(last.x, from.x)
            && differs(last.y, from.y)
        {
            path.push(corner);
        }
        path.push(from);
        path.push(to);
    }
    if slope == Slope::Falling {
        for point in &mut path {
            point.x = left + right - point.x;
        }
    }
    path
}

fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > 1e-9
}

/// Dots in staggered rows.
fn dots(scene: &mut Scene, area: Area, colour: Colour) {
    const PITCH: f64 = 10.0;
    const ROW: f64 = 6.0;
    const RADIUS: f64 = 1.5;
    let inset = RADIUS + 2.0;
    let n_rows = ((area.h - 2.0 * inset) / ROW).floor().max(0.0) as usize + 1;
    let top = area.middle().y - ROW * (n_rows as f64 - 1.0) / 2.0;
    for row in 0..n_rows {
        let y = top + ROW * row as f64;
        let mut x = area.x + inset + if row % 2 == 1 { PITCH / 2.0 } else { 0.0 };
        while x <= area.right() - inset {
            scene.dot(at(x, y), RADIUS, colour);
            x += PITCH;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio of two colours as WCAG 2.2 defines it.
    fn contrast(a: Colour, b: Colour) -> f64 {
        let luminance = |Colour(red, green, blue): Colour| {
            let linear = |channel: u8| {
                let c = f64::from(channel) / 255.0;
                if c <= 0.04045 {
                    c / 12.92
                } else {
                    ((c + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_border_and_pattern_stands_out_from_what_it_lies_on() {
        for mark in Mark::ALL {
            assert!(contrast(mark.line(), WHITE) >= 4.5, "{mark:?} on white");
            if mark != Mark::Met {
                let ratio = contrast(mark.line(), mark.surface());
                assert!(ratio >= 3.0, "pattern of {mark:?}: {ratio:.2}");
            }
        }
        assert!(contrast(Mark::Met.surface(), WHITE) >= 3.0);
    }

    #[test]
    fn hatching_stays_inside_its_area() {
        let area = Area::new(10.0, 20.0, 33.0, 24.0);
        for slope in [Slope::Rising, Slope::Falling] {
            for point in hatching(area, 7.0, slope) {
                assert!(
                    point.x >= area.x - 1e-9 && point.x <= area.right() + 1e-9,
                    "{point:?}"
                );
                assert!(
                    point.y >= area.y - 1e-9 && point.y <= area.bottom() + 1e-9,
                    "{point:?}"
                );
            }
        }
    }
}
