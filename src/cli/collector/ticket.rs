//! `messnetz collector ticket`: a one-time ticket, as text and as a QR code.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use qrcode::render::{svg, unicode::Dense1x2};
use qrcode::{Color, EcLevel, QrCode};

use super::super::{Ending, print, print_json};
use super::known_site;
use crate::clock;
use crate::collector::{Collector, Config};
use crate::store::Admission;
use crate::wire::{Ticket, TicketSecret};

/// What stands for a file where the code is to be shown on the terminal.
const HERE: &str = "-";

/// Modules of light around a code (ISO/IEC 18004, section 9.1).
const QUIET: usize = 4;

/// Pixels of a module, each way.
const SCALE: usize = 8;

pub(super) fn make(
    config: Config,
    site: &str,
    hours: u64,
    admission: Admission,
    (qr, json): (Option<&Path>, bool),
) -> anyhow::Result<Ending> {
    let collector = Collector::open(config)?;
    known_site(&collector, site)?;
    let picture = qr.filter(|file| *file != Path::new(HERE));
    let form = picture.map(Form::of).transpose()?;
    let secret = TicketSecret::random()
        .map_err(|_| anyhow::anyhow!("the operating system gave no random numbers"))?;
    let valid_for = Duration::from_secs(hours.saturating_mul(3600));
    let now = clock::now();
    let ticket = Ticket {
        collector: collector.public.clone(),
        fingerprint: collector.keys()?.certificate.fingerprint,
        id: collector.id()?,
        site: site.to_owned(),
        secret,
    };
    let text = ticket.to_string();
    let code = qr.map(|_| QrCode::with_error_correction_level(&text, EcLevel::M));
    let code = code.transpose().context("making a QR code of the ticket")?;
    if let (Some(code), Some(file), Some(form)) = (&code, picture, form) {
        write(code, file, form).with_context(|| format!("writing {}", file.display()))?;
    }
    let secret = &ticket.secret;
    collector.with_store_now(|store| store.add_ticket(secret, site, admission, now, valid_for))?;
    if json {
        print_json(&serde_json::json!({ "ticket": text, "site": site, "hours": hours }))?;
        return Ok(Ending::Well);
    }
    print(&text)?;
    if let (Some(code), None) = (&code, picture) {
        print(&on_terminal(code))?;
    }
    Ok(Ending::Well)
}

/// How a picture is written.
#[derive(Clone, Copy)]
enum Form {
    Svg,
    Png,
}

impl Form {
    fn of(file: &Path) -> anyhow::Result<Self> {
        let ending = file.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => bail!(
                "{} is to end in .svg or .png, after the form of the picture",
                file.display()
            ),
        }
    }
}

/// For a terminal that writes light on dark: what is light in the code is drawn.
fn on_terminal(code: &QrCode) -> String {
    code.render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build()
}

fn write(code: &QrCode, file: &Path, form: Form) -> anyhow::Result<()> {
    let picture = match form {
        Form::Svg => code.render::<svg::Color<'_>>().build().into_bytes(),
        Form::Png => png(code)?,
    };
    // Whoever reads the picture has the ticket.
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    Ok(options.open(file)?.write_all(&picture)?)
}

fn png(code: &QrCode) -> anyhow::Result<Vec<u8>> {
    let (modules, colors) = (code.width(), code.to_colors());
    let side = (modules + 2 * QUIET) * SCALE;
    let light = |x: usize, y: usize| {
        let module = |at: usize| (at / SCALE).checked_sub(QUIET).filter(|at| *at < modules);
        match (module(x), module(y)) {
            (Some(x), Some(y)) => colors[y * modules + x] == Color::Light,
            _ => true,
        }
    };
    let pixels = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    let pixels: Vec<u8> = pixels.map(|(x, y)| u8::from(light(x, y)) * 255).collect();
    let mut picture = Vec::new();
    let side = u32::try_from(side)?;
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of QR codes finds in a picture of this size, whose pixels are light or not.
    fn read(side: (usize, usize), light: impl Fn(usize, usize) -> bool) -> String {
        let grey = |x, y| if light(x, y) { 255 } else { 0 };
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side.0, side.1, grey);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_reader_finds_the_ticket_on_the_terminal_and_in_the_picture() {
        let text = format!(
            "messnetz2.{}",
            "eyJjb2xsZWN0b3IiOiIxMC4wLjAuMjo4NDQz".repeat(10)
        );
        let code = QrCode::with_error_correction_level(&text, EcLevel::M).unwrap();
        let shown = on_terminal(&code);
        let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        let scale = 4;
        let side = (lines[0].len() * scale, lines.len() * 2 * scale);
        let on_terminal = read(side, |x, y| {
            let (x, y) = (x / scale, y / scale);
            match lines[y / 2][x] {
                '\u{2588}' => true,
                '\u{2580}' => y % 2 == 0,
                '\u{2584}' => y % 2 == 1,
                _ => false,
            }
        });
        assert_eq!(on_terminal, text);

        let picture = png(&code).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = info.width as usize;
        let in_picture = read((side, side), |x, y| pixels[y * side + x] > 127);
        assert_eq!(in_picture, text);
    }

    #[test]
    fn the_ending_names_the_form_of_the_picture() {
        for (file, is_known) in [
            ("t.svg", true),
            ("t.PNG", true),
            ("t.gif", false),
            ("t", false),
        ] {
            assert_eq!(Form::of(Path::new(file)).is_ok(), is_known, "{file}");
        }
    }
}
