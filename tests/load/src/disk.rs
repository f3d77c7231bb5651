//! How many bytes of the file a sample takes in the end, with all that proves it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use messnetz::clock;
use messnetz::store::{Arrival, Extent};
use messnetz_metric::UnixMillis;

use crate::chance::Chance;
use crate::figures::Missed;
use crate::measured::{Shape, batch, observations};
use crate::town::{Plan, Town};

/// Bytes of the whole file for each sample, at most.
const MOST_BYTES: f64 = 4.0;

const AGENTS: u32 = 1;

const MINUTE_MS: i64 = 60_000;

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A batch as soon as there is a sample of each series, and for how many days.
const SHAPES: [(Shape, i64); 2] = [
    (
        Shape {
            name: "1 min",
            series: 40,
            samples: 1,
            every_ms: MINUTE_MS,
        },
        120,
    ),
    (
        Shape {
            name: "5 min",
            series: 40,
            samples: 1,
            every_ms: 5 * MINUTE_MS,
        },
        400,
    ),
];

/// Fills a store as agents do, seals it as the collector does, and prints what a sample takes.
pub(crate) fn run(program: &Path) -> Result<()> {
    println!(
        "one agent, 40 round trips in whole microseconds a batch, sealed as they become due; with headers, signatures and times of arrival. The file as it lies, with what is unsealed and with free pages; and a copy by `store backup`, which has none"
    );
    println!(
        "{:<6} {:>5} {:>10} {:>14} {:>14} {:>15}",
        "every", "days", "samples", "bytes of file", "bytes/sample", "of the copy"
    );
    let mut missed = Missed::default();
    for (shape, days) in SHAPES {
        let mut town = Town::new(program, &Plan::of(AGENTS))?;
        let samples = fill(&mut town, &shape, days)?;
        let copy = town.backup()?;
        let bytes = [town.store(), copy].map(|file| fs::metadata(file).map(|file| file.len()));
        let [file, copy] = bytes;
        let (file, copy) = (file? as f64, copy? as f64);
        let each = file / samples;
        println!(
            "{:<6} {days:>5} {samples:>10} {file:>14} {each:>14.2} {:>15.2}",
            shape.name,
            copy / samples
        );
        missed.at_most(
            &format!("bytes a sample, every {}", shape.name),
            each,
            MOST_BYTES,
        );
    }
    missed.end()
}

/// Stores what agents would have sent in so many days, and seals what is due once an hour; gives the number of
/// samples.
fn fill(town: &mut Town, shape: &Shape, days: i64) -> Result<f64> {
    let collector = town.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut chance = Chance::new(1);
    let begin = clock::now().0 - days * DAY_MS;
    let hour = 60 * MINUTE_MS / shape.every_ms;
    let mut samples = 0;
    for first in (0..days * DAY_MS / shape.every_ms).step_by(usize::try_from(hour)?) {
        let mut pending = Vec::new();
        for number in first..first + hour {
            let from = begin + number * shape.every_ms;
            for agent in &mut town.agents {
                let late = 700 + chance.below(100).cast_signed();
                let measured = batch(shape, from, &mut chance);
                let batch = agent.batch(&observations(&measured))?;
                let arrival = Arrival::of(&batch, UnixMillis(from + shape.span_ms() + late))?;
                pending.push(collector.with_store_now(|store| store.submit(arrival))?);
                samples += shape.observations();
            }
        }
        for pending in pending {
            runtime.block_on(pending.stored())?;
        }
        let now = UnixMillis(begin + (first + hour) * shape.every_ms);
        collector.with_store_now(|store| store.compact(now, Extent::Due))?;
    }
    Ok(samples as f64)
}
