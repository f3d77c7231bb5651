//! What is drawn, before it is drawn: a list of shapes in CSS pixels.

use super::font::{self, Weight};

/// A colour of the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

/// The background.
pub(super) const WHITE: Colour = Colour(255, 255, 255);
/// Titles, labels and numbers.
pub(super) const INK: Colour = Colour(0x1a, 0x1a, 0x1a);
/// Column heads and axes: still 7:1 on white.
pub(super) const SOFT_INK: Colour = Colour(0x55, 0x55, 0x55);
/// Lines that guide the eye and carry no meaning.
pub(super) const GUIDE: Colour = Colour(0xdc, 0xdc, 0xdc);

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The point at `x`, `y`.
pub(super) const fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Area {
    pub(super) const fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    pub(super) fn right(self) -> f64 {
        self.x + self.w
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.h
    }

    /// The area without a border of this width.
    pub(super) fn inset(self, by: f64) -> Self {
        let (w, h) = (self.w - 2.0 * by, self.h - 2.0 * by);
        Self::new(self.x + by, self.y + by, w.max(0.0), h.max(0.0))
    }

    pub(super) fn middle(self) -> Point {
        at(self.x + self.w / 2.0, self.y + self.h / 2.0)
    }
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    pub(super) em: f64,
    pub(super) weight: Weight,
    pub(super) colour: Colour,
}

impl Face {
    pub(super) const TITLE: Self = Self::new(20.0, Weight::Bold, INK);
    pub(super) const LABEL: Self = Self::new(13.0, Weight::Regular, INK);
    pub(super) const STRONG: Self = Self::new(13.0, Weight::Bold, INK);
    pub(super) const NOTE: Self = Self::new(12.0, Weight::Regular, SOFT_INK);

    pub(super) const fn new(em: f64, weight: Weight, colour: Colour) -> Self {
        Self { em, weight, colour }
    }

    /// Width of `text` in this face.
    pub(super) fn width(self, text: &str) -> f64 {
        font::width(text, self.em, self.weight)
    }

    /// How far below a middle line the baseline lies, so that capitals stand centred on that line:
    /// half the height of Roboto's capitals, 1456 of 2048 units.
    pub(super) fn drop(self) -> f64 {
        self.em * 1456.0 / 2048.0 / 2.0
    }
}

/// One thing to draw.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A filled rectangle.
    Fill { area: Area, colour: Colour },
    /// A line through points.
    Line {
        points: Vec<Point>,
        width: f64,
        colour: Colour,
    },
    /// A filled polygon.
    Polygon { points: Vec<Point>, colour: Colour },
    /// A filled circle.
    Dot {
        centre: Point,
        radius: f64,
        colour: Colour,
    },
    /// A text on its baseline.
    Text {
        text: String,
        place: Point,
        align: Align,
        face: Face,
    },
}

/// All of a chart; width and height are whole CSS pixels.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    /// An empty scene of this width; the layout sets the height when it knows it.
    pub(super) fn new(width: f64, title: &str) -> Self {
        Self {
            width,
            height: 0.0,
            title: font::one_line(title),
            description: String::new(),
            shapes: Vec::new(),
        }
    }

    pub(super) fn fill(&mut self, area: Area, colour: Colour) {
        self.shapes.push(Shape::Fill { area, colour });
    }

    /// The border of `area`, drawn inside it. Four fills instead of an outline: outlines are placed
    /// differently by the two backends.
    pub(super) fn frame(&mut self, area: Area, width: f64, colour: Colour) {
        let Area { x, y, w, h } = area;
        self.fill(Area::new(x, y, w, width), colour);
        self.fill(Area::new(x, y + h - width, w, width), colour);
        self.fill(Area::new(x, y, width, h), colour);
        self.fill(Area::new(x + w - width, y, width, h), colour);
    }

    pub(super) fn line(&mut self, points: Vec<Point>, width: f64, colour: Colour) {
        self.shapes.push(Shape::Line {
            points,
            width,
            colour,
        });
    }

    pub(super) fn polygon(&mut self, points: Vec<Point>, colour: Colour) {
        self.shapes.push(Shape::Polygon { points, colour });
    }

    pub(super) fn dot(&mut self, centre: Point, radius: f64, colour: Colour) {
        self.shapes.push(Shape::Dot {
            centre,
            radius,
            colour,
        });
    }

    pub(super) fn text(&mut self, text: &str, place: Point, align: Align, face: Face) {
        let text = font::one_line(text);
        if !text.is_empty() {
            self.shapes.push(Shape::Text {
                text,
                place,
                align,
                face,
            });
        }
    }

    /// Lines of text, centred as a block on the height `middle`.
    pub(super) fn lines(&mut self, lines: &[String], x: f64, middle: f64, face: Face) {
        let pitch = face.em * LINE_PITCH;
        let first = middle - pitch * (lines.len() as f64 - 1.0) / 2.0 + face.drop();
        for (idx, line) in lines.iter().enumerate() {
            self.text(line, at(x, first + pitch * idx as f64), Align::Left, face);
        }
    }
}

/// Distance between two baselines in em.
pub(super) const LINE_PITCH: f64 = 1.25;
