//! How long the import of a list takes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cpu_of_children;
use crate::cargo::{Call, target_dir};

/// Schools of a list, and how long its import may take. North Rhine-Westphalia has 5,407 schools and
/// Germany about 33,000.
const LISTS: [(u32, Duration); 2] = [
    (5_407, Duration::from_secs(1)),
    (33_000, Duration::from_secs(5)),
];

/// Imports a list of North Rhine-Westphalia's form into an empty site file and once more into the full
/// one, by the program as its users have it; prints wall time and CPU time and holds the limits.
pub(crate) fn run() -> Result<()> {
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let program = target_dir()?.join("release/messnetz");
    let folder = target_dir()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut too_slow = Vec::new();
    for (schools, limit) in LISTS {
        let text = list(schools);
        let file = folder.join(format!("{schools}.csv"));
        fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        let into = folder.join(format!("{schools}.toml"));
        if into.exists() {
            fs::remove_file(&into).with_context(|| format!("cannot remove {}", into.display()))?;
        }
        for what in ["into an empty file", "once more"] {
            let (wall, cpu) = imported(&program, &file, &into)?;
            println!(
                "{schools:>6} schools ({:.1} MB) {what:<18} {:>5} ms wall time, {:>5} ms CPU time; limit {} ms",
                text.len() as f64 / 1e6,
                wall.as_millis(),
                cpu.as_millis(),
                limit.as_millis(),
            );
            if wall > limit {
                too_slow.push(format!("{schools} schools {what}"));
            }
        }
    }
    if !too_slow.is_empty() {
        bail!("too slow: {}", too_slow.join(", "));
    }
    Ok(())
}

/// Wall time and CPU time of one import that must succeed.
fn imported(program: &Path, list: &Path, into: &Path) -> Result<(Duration, Duration)> {
    let before = cpu_of_children()?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(["sites", "import"])
        .arg(list)
        .arg("--into")
        .arg(into)
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let wall = start.elapsed();
    if !status.success() {
        bail!("the import of {} failed ({status})", list.display());
    }
    Ok((wall, cpu_of_children()?.saturating_sub(before)))
}

/// A list of so many schools with all columns of the ministry's, spread over a grid of municipalities.
fn list(schools: u32) -> String {
    const FORMS: [&str; 7] = ["02", "02", "08", "10", "15", "20", "30"];
    let mut text = String::from(
        "sep=;\nSchulnummer;Schulform;Schulbezeichnung_1;Schulbezeichnung_2;Schulbezeichnung_3;Kurzbezeichnung;\
         Bezirksregierung;PLZ;Ort;Strasse;Telefonvorwahl;Telefon;Faxvorwahl;Fax;E-Mail;Homepage;Rechtsform;\
         Traegernummer;Gemeindeschluessel;Schulbetriebsschluessel;Schulbetriebsdatum;EPSG;UTMRechtswert;\
         UTMHochwert;\n",
    );
    for school in 0..schools {
        let town = school / 15;
        let form = FORMS[school as usize % FORMS.len()];
        let (east, north) = (
            300_000 + town % 40 * 5_000 + school % 15 * 100,
            5_600_000 + town / 40 * 4_000 + school % 7 * 100,
        );
        let _ = writeln!(
            text,
            "\"{number}\";\"{form}\";\"Städtische Schule {school}\";\"Gemeinschaftsschule der Stadt\";\"- Primarstufe -\";\
             \"Schule {school}\";\"9\";\"{postcode}\";\"Musterstadt {town}\";\"Müllerstraße {house}\";\"02999\";\"123\";\
             \"02999\";\"124\";\"{number}@schule.example\";\"null\";\"1\";\"{authority}\";\"05{town:06}\";\"1\";\
             \"01.08.1970\";\"25832\";\"{east}\";\"{north}\"",
            number = 100_000 + school,
            postcode = 40_000 + town,
            house = school % 90 + 1,
            authority = 20_000 + town,
        );
    }
    text
}
