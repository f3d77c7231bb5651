//! How long all verdicts take on a year of samples, out of a file that nobody has read before.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use messnetz::clock;
use messnetz::collector::Collector;
use messnetz::store::{Arrival, Extent};
use messnetz_metric::{Metric, Quantity, Segment, UnixMillis};
use messnetz_sites::calendar::{Interval, Window};
use messnetz_sites::period::Cycle;
use messnetz_sites::site::SiteId;
use messnetz_sites::verdict::VerdictKind;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::chance::Chance;
use crate::figures::{Missed, load_of_machine, median};
use crate::measured::{Measured, observations_of, round_trip};
use crate::town::{Plan, Town};

const SCHOOLS: u32 = 155;

const TARGETS: u32 = 20;

/// Means of five minutes.
const EVERY_MS: i64 = 5 * 60_000;

const DAY_MS: i64 = 24 * 3_600_000;

/// All verdicts, at most.
const MOST_COLD: Duration = Duration::from_secs(2);

/// Those of one school after a new batch, at most.
const MOST_NEW: Duration = Duration::from_millis(5);

/// How often the file is read cold, and a batch is added.
const ROUNDS: usize = 3;
const NEW: usize = 9;

/// What a school measures: so long it takes to connect to each of its services.
const METRIC: Metric = Metric::new(Segment::Service, Quantity::ConnectTime);

/// Five of each, most of them near what is measured, so that they are neither quickly met nor missed.
const STATISTICS: [&str; 4] = ["median", "p95", "p90", "share-of-days-90"];

fn plan() -> Result<Plan> {
    let mut head = "[profiles]\nfiles = [\"bench.toml\"]\n\n[services]\n".to_owned();
    let mut profile = r#"
[profile]
id = "bench"
title = { de = "Bench", en = "Bench" }
country = "XX"
status = "project"
source = { document = "Bench", publisher = "Bench", mark = "P" }
"#
    .to_owned();
    for (number, statistic) in (0..TARGETS).zip(STATISTICS.into_iter().cycle()) {
        writeln!(head, "s{number} = \"{}\"", peer(number))?;
        writeln!(
            profile,
            "[[target]]\nid = \"t{number}\"\ntitle = {{ de = \"{number}\", en = \"{number}\" }}\n\
             metric = \"{METRIC}\"\nservice = \"s{number}\"\nformula = \"10\"\nunit = \"ms\"\n\
             window = \"lesson-hours\"\nstatistic = \"{statistic}\"\nstatistic_origin = \"project\"\n\
             min_samples = 59\nscope = \"site\""
        )?;
    }
    Ok(Plan {
        profile: "bench",
        head,
        files: vec![("bench.toml", profile)],
        ..Plan::of(SCHOOLS)
    })
}

fn peer(number: u32) -> String {
    format!("10.1.0.{number}:443")
}

/// Fills a store with a year, judges it cold, and judges it after each new batch.
pub(crate) fn run(program: &Path) -> Result<()> {
    let mut town = Town::new(program, &plan()?)?;
    let days = lesson_times(&town.open()?)?;
    let samples = fill(&mut town, &days)?;
    println!(
        "{SCHOOLS} schools x {TARGETS} targets, {samples} samples of the lesson hours of a year; load of the machine {}",
        load_of_machine()
    );
    let bytes = File::open(town.store())?.metadata()?.len();
    println!(
        "the file has {:.0} MB; before each cold run its pages are dropped (posix_fadvise)",
        bytes as f64 / 1e6
    );
    let mut missed = Missed::default();
    for (name, cycle) in [("school year", Cycle::SchoolYear), ("month", Cycle::Month)] {
        let mut took = Vec::new();
        let mut said = String::new();
        for _ in 0..ROUNDS {
            forget(&town.store())?;
            let collector = town.open()?;
            let begun = Instant::now();
            let report = collector.report_by(cycle)?;
            took.push(begun.elapsed().as_secs_f64());
            if report.rows.len() != (SCHOOLS * TARGETS) as usize {
                bail!("{} verdicts", report.rows.len());
            }
            let judged = report
                .rows
                .iter()
                .filter(|row| row.judgement.verdict.kind() != VerdictKind::NoData);
            said = format!("{} of {} with data", judged.count(), report.rows.len());
        }
        let middle = median(took.iter().copied());
        println!("all verdicts by {name}, cold: {middle:.2} s (median of {took:.2?}), {said}");
        missed.at_most(
            &format!("seconds for all verdicts by {name}"),
            middle,
            MOST_COLD.as_secs_f64(),
        );
    }
    let collector = town.open()?;
    collector.report_by(Cycle::Month)?;
    let mut took = Vec::new();
    let mut chance = Chance::new(2);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for number in 0..NEW {
        let agent = &mut town.agents[number];
        let now = clock::now();
        let measured = measured(&[now.0 - EVERY_MS], &mut chance);
        let batch = agent.batch(&observations_of(METRIC, &measured))?;
        let arrival = Arrival::of(&batch, now)?;
        let pending = collector.with_store_now(|store| store.submit(arrival))?;
        runtime.block_on(pending.stored())?;
        let site = SiteId::try_from(agent.site.clone())?;
        let begun = Instant::now();
        let rows = collector.rows_of(&site, Cycle::Month)?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        if rows.len() != TARGETS as usize {
            bail!("{} verdicts of a school", rows.len());
        }
    }
    let middle = median(took.iter().copied());
    println!(
        "the verdicts of a school after a new batch of it: {middle:.2} ms (median of {took:.2?})"
    );
    missed.at_most(
        "milliseconds for the verdicts after a new batch",
        middle,
        MOST_NEW.as_secs_f64() * 1e3,
    );
    println!("load of the machine at the end {}", load_of_machine());
    missed.end()
}

/// When there are means in the lesson hours of the last year, day by day.
fn lesson_times(collector: &Collector) -> Result<Vec<Vec<i64>>> {
    let calendar = &collector.authority.calendar;
    let school = collector.authority.schools.first();
    let school = school.context("a town without schools")?;
    let now = clock::now();
    let year = Interval {
        from: UnixMillis(now.0 - 365 * DAY_MS),
        to: UnixMillis(now.0 - DAY_MS),
    };
    let mut days: Vec<Vec<i64>> = Vec::new();
    let mut last = None;
    for slot in calendar
        .timetable(&Window::LessonHours, year, school)
        .slots()
    {
        if last != Some(slot.day) {
            days.push(Vec::new());
            last = Some(slot.day);
        }
        let Interval { from, to } = slot.interval;
        let times = (from.0..to.0).step_by(usize::try_from(EVERY_MS)?);
        if let Some(day) = days.last_mut() {
            day.extend(times);
        }
    }
    Ok(days)
}

/// What one agent sees of all services at these times.
fn measured(times: &[i64], chance: &mut Chance) -> Vec<Measured> {
    let series = |number| Measured {
        peer: peer(number),
        samples: times.iter().map(|at| (*at, round_trip(chance))).collect(),
    };
    (0..TARGETS).map(series).collect()
}

/// Stores what all agents measured, a batch a day, and seals what is due each week; gives the number of samples.
fn fill(town: &mut Town, days: &[Vec<i64>]) -> Result<usize> {
    let collector = town.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut chance = Chance::new(1);
    let mut samples = 0;
    for week in days.chunks(5) {
        for day in week {
            let mut pending = Vec::new();
            let evening = UnixMillis(day.last().copied().unwrap_or_default() + EVERY_MS);
            for agent in &mut town.agents {
                let measured = measured(day, &mut chance);
                let batch = agent.batch(&observations_of(METRIC, &measured))?;
                let arrival = Arrival::of(&batch, evening)?;
                pending.push(collector.with_store_now(|store| store.submit(arrival))?);
                samples += day.len() * TARGETS as usize;
            }
            for pending in pending {
                runtime.block_on(pending.stored())?;
            }
        }
        let now = UnixMillis(week.iter().flatten().copied().max().unwrap_or_default() + DAY_MS);
        collector.with_store_now(|store| store.compact(now, Extent::Due))?;
    }
    Ok(samples)
}

/// Lets the kernel forget what it read of a file.
fn forget(file: &Path) -> Result<()> {
    let file = File::open(file)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}
