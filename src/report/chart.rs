//! Charts as SVG and PNG, from one description and with an embedded font.
//!
//! A chart is made in two steps. [`coverage`] and [`throughput`] lay it out into a list of shapes
//! whose places are computed from measured text widths; painting then turns that list into SVG or
//! PNG through one function over the drawing backends of `plotters`. All decisions are in the first
//! step, which draws nothing and cannot fail.
//!
//! Status is never told by colour alone: every verdict has a colour, a pattern, a symbol and a word.

use thiserror::Error;

mod coverage;
mod font;
mod paint;
mod scale;
mod scene;
mod throughput;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

pub use coverage::{CoverageRow, coverage};
pub use throughput::{ThroughputRow, throughput};
pub use verdict::Mark;
pub use words::ChartWords;

use scene::Scene;

/// A finished chart, ready to be written as SVG or PNG.
#[derive(Clone, Debug)]
pub struct Chart {
    scene: Scene,
}

impl Chart {
    /// Width and height in CSS pixels, for the page or document that embeds the chart.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.scene.width as u32, self.scene.height as u32)
    }

    /// All that the chart shows, as text: for readers who hear a page instead of seeing it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.scene.description
    }

    /// The chart as a stand-alone SVG document.
    ///
    /// It names no external resource, carries title and description for screen readers, and scales by
    /// its `viewBox`. Every text is fitted to the width that the layout gave it, so that a browser
    /// without Roboto shows the same picture in its own sans-serif font.
    ///
    /// # Errors
    /// [`ChartError`] where the embedded font or the drawing backend fails: a defect of the build.
    pub fn svg(&self) -> Result<String, ChartError> {
        paint::svg(&self.scene)
    }

    /// The chart as PNG in two device pixels per CSS pixel; in one, where the chart is so tall that
    /// the picture would need more than 16 million pixels.
    ///
    /// # Errors
    /// [`ChartError`] where the embedded font, the drawing backend or the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, ChartError> {
        paint::png(&self.scene)
    }
}

/// A chart could not be drawn.
#[derive(Debug, Error)]
pub enum ChartError {
    /// The font that is compiled into the program was not accepted.
    #[error("the embedded font cannot be read")]
    Font,
    /// The drawing backend failed.
    #[error("the chart cannot be drawn: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("the chart cannot be encoded as PNG")]
    Png(#[from] png::EncodingError),
}
