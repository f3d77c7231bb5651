//! From a scene to a file: one drawing function over the backends of plotters, and the two backends.

use std::fmt::Display;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::ChartError;
use super::font::{self, HEIGHT_PER_EM};
use super::scene::{Align, Area, Colour, Point, Scene, Shape, WHITE};

/// Device pixels per CSS pixel.
const SHARP: u32 = 2;

/// The rasteriser leaves steps on slanted edges, so the PNG is drawn this many times larger in both
/// directions and averaged.
const OVERSAMPLING: u32 = 2;

/// More pixels than this are not rasterised at double sharpness: 96 MB of picture are enough.
const PIXEL_LIMIT: u64 = 32_000_000;

/// Where the backends of plotters disagree about the same request.
struct Medium {
    /// Device pixels per CSS pixel. plotters takes whole device pixels only.
    scale: u32,
    /// plotters' size of a font whose em is 1.
    size_per_em: f64,
    /// How far the baseline lies below the point that plotters calls the top of a text, in em.
    baseline_per_em: f64,
    /// Whether a line through several points is one element; the rasteriser draws spikes where such
    /// a line turns sharply, as hatching does, so it gets the strokes one by one.
    joins_lines: bool,
}

impl Medium {
    /// The SVG backend divides the size by 1.24 and moves a text down by 0.76 em.
    const SVG: Self = Self {
        scale: SHARP,
        size_per_em: 1.24,
        baseline_per_em: 0.76,
        joins_lines: true,
    };

    /// With `ab_glyph`, the size is the height of a line, and the baseline is in its middle.
    const fn bitmap(scale: u32) -> Self {
        Self {
            scale,
            size_per_em: HEIGHT_PER_EM,
            baseline_per_em: HEIGHT_PER_EM / 2.0,
            joins_lines: false,
        }
    }

    fn length(&self, css: f64) -> i32 {
        (css * f64::from(self.scale)).round() as i32
    }

    fn place(&self, point: Point) -> (i32, i32) {
        (self.length(point.x), self.length(point.y))
    }

    fn stroke(&self, css: f64) -> u32 {
        self.length(css).max(1).unsigned_abs()
    }
}

fn rgb(Colour(red, green, blue): Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

/// What plotters reports, as ours.
fn failed(error: impl Display) -> ChartError {
    ChartError::Draw(error.to_string())
}

/// Draws the scene: the one place where shapes become strokes, for every kind of file.
fn paint<DB: DrawingBackend>(
    scene: &Scene,
    backend: &mut DB,
    medium: &Medium,
) -> Result<(), ChartError> {
    backend.ensure_prepared().map_err(failed)?;
    let background = Area::new(0.0, 0.0, scene.width, scene.height);
    fill(backend, medium, background, WHITE)?;
    for shape in &scene.shapes {
        match shape {
            Shape::Fill { area, colour } => fill(backend, medium, *area, *colour)?,
            Shape::Line {
                points,
                width,
                colour,
            } => {
                let style = rgb(*colour).stroke_width(medium.stroke(*width));
                let points: Vec<_> = points.iter().map(|&p| medium.place(p)).collect();
                if medium.joins_lines {
                    backend.draw_path(points, &style).map_err(failed)?;
                } else {
                    for pair in points.windows(2) {
                        if let [from, to] = pair {
                            backend.draw_line(*from, *to, &style).map_err(failed)?;
                        }
                    }
                }
            }
            Shape::Polygon { points, colour } => {
                let points: Vec<_> = points.iter().map(|&p| medium.place(p)).collect();
                backend
                    .fill_polygon(points, &rgb(*colour).filled())
                    .map_err(failed)?;
            }
            Shape::Dot {
                centre,
                radius,
                colour,
            } => {
                let radius = medium.stroke(*radius);
                backend
                    .draw_circle(medium.place(*centre), radius, &rgb(*colour).filled(), true)
                    .map_err(failed)?;
            }
            Shape::Text {
                text,
                place,
                align,
                face,
            } => {
                let em = face.em * f64::from(medium.scale);
                let anchor = match align {
                    Align::Left => HPos::Left,
                    Align::Centre => HPos::Center,
                    Align::Right => HPos::Right,
                };
                let style = font::desc(face.weight, em * medium.size_per_em)
                    .color(&rgb(face.colour))
                    .pos_at(anchor);
                let (x, baseline) = medium.place(*place);
                let top = f64::from(baseline) - em * medium.baseline_per_em;
                backend
                    .draw_text(text, &style, (x, top.round() as i32))
                    .map_err(failed)?;
            }
        }
    }
    backend.present().map_err(failed)
}

fn fill<DB: DrawingBackend>(
    backend: &mut DB,
    medium: &Medium,
    area: Area,
    colour: Colour,
) -> Result<(), ChartError> {
    let from = medium.place(Point {
        x: area.x,
        y: area.y,
    });
    let to = medium.place(Point {
        x: area.right(),
        y: area.bottom(),
    });
    // A thin line that falls between two device pixels is still a line.
    let to = (to.0.max(from.0 + 1), to.1.max(from.1 + 1));
    let style: ShapeStyle = rgb(colour).filled();
    backend.draw_rect(from, to, &style, true).map_err(failed)
}

/// Anchoring at the top is the one vertical anchor whose meaning does not depend on the browser.
trait Anchored {
    fn pos_at(self, horizontal: HPos) -> Self;
}

impl Anchored for plotters::style::TextStyle<'_> {
    fn pos_at(self, horizontal: HPos) -> Self {
        self.pos(Pos::new(horizontal, VPos::Top))
    }
}

/// Width and height in device pixels.
fn device_size(scene: &Scene, scale: u32) -> (u32, u32) {
    let length = |css: f64| (css * f64::from(scale)).ceil().max(1.0) as u32;
    (length(scene.width), length(scene.height))
}

/// The scene as SVG.
pub(super) fn svg(scene: &Scene) -> Result<String, ChartError> {
    font::register()?;
    let mut body = String::new();
    let size = device_size(scene, Medium::SVG.scale);
    {
        let mut backend = SVGBackend::with_string(&mut body, size);
        paint(scene, &mut backend, &Medium::SVG)?;
    }
    finished_svg(scene, &body, size)
}

/// Completes what plotters wrote: size in CSS pixels, role, title and description for those who do
/// not see the picture, and for every text the width that the layout measured, which a browser with
/// another font keeps to. Nothing that a caller passed in can look like a tag here, because plotters
/// has escaped it already.
fn finished_svg(scene: &Scene, body: &str, size: (u32, u32)) -> Result<String, ChartError> {
    let unexpected = || ChartError::Draw("the SVG of plotters has an unexpected form".to_owned());
    let (_, elements) = body.split_once('\n').ok_or_else(unexpected)?;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {} {}\">\n<title>{}</title>\n<desc>{}</desc>\n",
        scene.width.ceil(),
        scene.height.ceil(),
        size.0,
        size.1,
        escaped(&scene.title),
        escaped(&scene.description),
    );
    let mut texts = scene.shapes.iter().filter_map(|shape| match shape {
        Shape::Text { text, face, .. } => Some((text, face)),
        _ => None,
    });
    let scale = f64::from(Medium::SVG.scale);
    for line in elements.replace("\n</text>", "</text>").lines() {
        let line = line.replace(" opacity=\"1\"", "");
        if let Some(rest) = line.strip_prefix("<text ") {
            let (text, face) = texts.next().ok_or_else(unexpected)?;
            let width = font::width(text, face.em, face.weight) * scale;
            let fitted = format!("textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\"");
            svg.extend(["<text ", &fitted, " ", rest]);
        } else {
            svg.push_str(&line);
            svg.push('\n');
        }
    }
    Ok(svg)
}

/// `text` as XML character data.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The scene as PNG.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, ChartError> {
    font::register()?;
    let (width, height) = device_size(scene, SHARP * OVERSAMPLING);
    let scale = if u64::from(width) * u64::from(height) > PIXEL_LIMIT {
        1
    } else {
        SHARP
    };
    let (width, height) = device_size(scene, scale);
    let pixels = averaged(&rasterised(scene, scale * OVERSAMPLING)?, width as usize);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // 96 CSS pixels are an inch: a document that embeds the picture shows it in its intended size.
    let per_metre = (f64::from(96 * scale) / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    encoder.add_itxt_chunk("Title".to_owned(), scene.title.clone())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The scene as rows of red, green and blue bytes.
fn rasterised(scene: &Scene, scale: u32) -> Result<Vec<u8>, ChartError> {
    let (width, height) = device_size(scene, scale);
    let mut pixels = vec![255_u8; width as usize * height as usize * 3];
    let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
    paint(scene, &mut backend, &Medium::bitmap(scale))?;
    drop(backend);
    Ok(pixels)
}

/// The picture with every square of [`OVERSAMPLING`] pixels made one; `width` is that of the result.
fn averaged(pixels: &[u8], width: usize) -> Vec<u8> {
    let factor = OVERSAMPLING as usize;
    let row_bytes = width * factor * 3;
    let samples = OVERSAMPLING * OVERSAMPLING;
    let mut sums = vec![0_u32; width * 3];
    let mut result = Vec::with_capacity(pixels.len() / (factor * factor));
    for rows in pixels.chunks_exact(row_bytes * factor) {
        sums.fill(0);
        for row in rows.chunks_exact(row_bytes) {
            for (sum, square) in sums.chunks_exact_mut(3).zip(row.chunks_exact(3 * factor)) {
                for pixel in square.chunks_exact(3) {
                    for (sum, &channel) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(channel);
                    }
                }
            }
        }
        result.extend(
            sums.iter()
                .map(|&sum| ((sum + samples / 2) / samples) as u8),
        );
    }
    result
}
