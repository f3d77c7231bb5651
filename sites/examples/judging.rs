//! Judges schools for a year and prints how long that took: as many schools as the argument says, 20
//! targets each, 14,400 samples each (5-minute means in 1,200 lesson hours). Called by
//! `cargo xtask bench judging`.
//!
//! Prints wall time and CPU time in nanoseconds, of judging alone: the samples are made before the clock
//! starts, for one school after the other, since those of all schools together are more than a gigabyte.

#![expect(
    clippy::disallowed_methods,
    reason = "an example that measures needs a clock; the crate does not"
)]

#[path = "interval_grid/random.rs"]
mod random;

use random::SplitMix64;
use std::hint::black_box;
use std::time::{Duration, Instant};

use messnetz_metric::{Micros, UnixMillis, Value};
use messnetz_sites::site::Authority;
use messnetz_sites::target::{Profile, Target};
use messnetz_sites::verdict::{Bounds, Judge, Sample, Series};

const DAYS: i32 = 200;
const SAMPLES_A_DAY: i64 = 72;
/// Five of each: a median, the percentiles of the watch probes, and a share of days.
const STATISTICS: [&str; 4] = ["median", "p95", "p90", "share-of-days-90"];

const SITE: &str = r#"
[authority]
name = "Bench"
profiles = ["voice-video"]

[[school]]
id = "NW-100001"
name = "Bench"
form = "primary"
[[school.site]]
id = "main"
name = "Bench"
"#;

fn main() -> Result<(), String> {
    let schools: usize = std::env::args()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .ok_or("the argument must be the number of schools")?;
    let authority =
        Authority::parse("bench.toml", SITE).map_err(|problems| format!("{problems:?}"))?;
    let school = &authority.schools[0];
    let targets = targets()?;
    let mut random = SplitMix64::new(1);
    let mut judge = Judge::default();
    let (mut wall, mut cpu) = (Duration::ZERO, 0);
    let mut words = [0; 4];
    for _ in 0..schools {
        let measured: Vec<Series> = targets.iter().map(|_| series(&mut random)).collect();
        let (began, cpu_before) = (Instant::now(), cpu_nanoseconds()?);
        for (target, series) in targets.iter().zip(&measured) {
            let judging = &authority.judging;
            let judgement = judge.judge(
                target,
                school,
                &school.sites[0],
                series,
                Bounds::default(),
                judging,
            );
            words[black_box(&judgement).verdict.kind() as usize] += 1;
        }
        wall += began.elapsed();
        cpu += cpu_nanoseconds()? - cpu_before;
    }
    println!("{} {cpu}", wall.as_nanos());
    eprintln!("met, missed, undecided, no data: {words:?}");
    Ok(())
}

/// Round-trip times in microseconds around 20 ms, those of one day around a level of its own.
fn series(random: &mut SplitMix64) -> Series {
    let mut samples = Vec::new();
    for day in 0..DAYS {
        let level = 20_000.0 * (0.1 * random.normal()).exp();
        for at in 0..SAMPLES_A_DAY {
            let at = UnixMillis(i64::from(day) * 86_400_000 + at * 300_000);
            let value = Value::Time(Micros::from_micros((level * (1.0 + random.unit())) as u64));
            samples.push(Sample {
                at,
                day,
                value,
                disturbed: None,
            });
        }
    }
    Series {
        samples,
        ..Series::default()
    }
}

/// Twenty targets, most of them near what is measured, so that they are neither quickly met nor missed.
fn targets() -> Result<Vec<Target>, String> {
    let mut text = r#"
[profile]
id = "bench"
title = { de = "Bench", en = "Bench" }
country = "DE"
status = "project"
source = { document = "Bench", publisher = "Bench", mark = "P" }
"#
    .to_owned();
    for number in 0..20 {
        let statistic = STATISTICS[number % STATISTICS.len()];
        let threshold = 29 + number;
        let target = format!(
            "[[target]]\nid = \"t{number}\"\ntitle = {{ de = \"\", en = \"\" }}\nmetric = \"line.rtt\"\n\
             formula = \"{threshold}\"\nunit = \"ms\"\nstatistic = \"{statistic}\"\n\
             statistic_origin = \"project\"\nmin_samples = 59\nscope = \"school\"\n"
        );
        text.push_str(&target);
    }
    let profile =
        Profile::parse("bench.toml", &text).map_err(|problems| format!("{problems:?}"))?;
    Ok(profile.targets)
}

/// CPU time of this thread, from the kernel's scheduler.
fn cpu_nanoseconds() -> Result<u64, String> {
    let path = "/proc/thread-self/schedstat";
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let first = text.split_whitespace().next().and_then(|n| n.parse().ok());
    first.ok_or_else(|| format!("{path} holds no time: {text}"))
}
