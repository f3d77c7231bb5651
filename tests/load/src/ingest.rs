//! What taking batches in costs, beside Debian's victoria-metrics in the same run.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use messnetz::clock;

use crate::chance::Chance;
use crate::conversation::{Answer, FarEnd, Request, send_all};
use crate::figures::{Missed, load_of_machine, median};
use crate::measured::{Shape, batch, observations};
use crate::process::Server;
use crate::town::{Plan, Town};
use crate::victoria::{self, Victoria};

/// A school for each, with an agent and a connection: so many batches a second come of many agents, each of which
/// waits for its answer.
const SCHOOLS: u32 = 620;

/// How often each of the two is loaded with a shape, turn by turn.
const ROUNDS: u32 = 3;

/// The peer has written to its disk what it took, when so much time has passed after the last answer.
const SETTLED: Duration = Duration::from_secs(6);

const MINUTE_MS: i64 = 60_000;

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A shape, how many batches of it an agent sends in a round, and how long ago the first was measured.
const SHAPES: [(Shape, u32, i64); 3] = [
    (
        Shape {
            name: "backlog",
            series: 10,
            samples: 300,
            every_ms: MINUTE_MS,
        },
        2,
        30 * 24 * HOUR_MS,
    ),
    (
        Shape {
            name: "live",
            series: 40,
            samples: 5,
            every_ms: 12_000,
        },
        15,
        12 * HOUR_MS,
    ),
    (
        Shape {
            name: "minute",
            series: 40,
            samples: 1,
            every_ms: MINUTE_MS,
        },
        15,
        6 * HOUR_MS,
    ),
];

/// Server CPU of a sample in that of the peer, for a backlog, at most.
const MOST_CPU: f64 = 1.0;

/// Samples a second of a backlog, at least.
const LEAST_SAMPLES: f64 = 1e6;

/// Live batches a second, at least.
const LEAST_BATCHES: f64 = 3_000.0;

/// What one turn took.
#[derive(Clone, Copy, Debug)]
struct Turn {
    wall: Duration,
    /// Of the server, until some time after the last answer.
    cpu: Duration,
}

/// Loads both with all shapes or one and prints what that took.
pub(crate) fn run(program: &Path, only: Option<&str>) -> Result<()> {
    let mut town = Town::new(program, &Plan::of(SCHOOLS))?;
    let peer = Victoria::start()?;
    println!(
        "{SCHOOLS} agents with a connection each, median of {ROUNDS} rounds in turn with victoria-metrics; load of the machine {}",
        load_of_machine()
    );
    println!(
        "ours: TLS, signatures verified, on the disk before each answer (group commit), signed receipts and schedules, sealed by a command of its own afterwards; the peer: plain HTTP, no sender known, not synced for a batch. CPU of the servers alone"
    );
    println!(
        "{:<8} {:>8} {:<6} {:>14} {:>8} {:>12} {:>11} {:>22}",
        "shape",
        "batch",
        "",
        "CPU us/sample",
        "x peer",
        "samples/s",
        "batches/s",
        "+ sealing us/sample"
    );
    let mut missed = Missed::default();
    let (mut acknowledged, mut chance) = (0, Chance::new(1));
    let wanted = |shape: &Shape| only.is_none_or(|only| only == shape.name);
    for (shape, count, ago) in SHAPES.into_iter().filter(|(shape, ..)| wanted(shape)) {
        let turns = turns(&mut town, &peer, (&shape, count, ago), &mut chance)?;
        let batches = f64::from(SCHOOLS * count);
        let samples = batches * shape.observations() as f64;
        let sealing = town.seal()?.as_secs_f64() * 1e6 / (samples * f64::from(ROUNDS));
        acknowledged += u64::from(SCHOOLS * count * ROUNDS);
        let of = |value: &dyn Fn(&[Turn; 2]) -> f64| median(turns.iter().map(value));
        let cpu = |turn: &Turn| turn.cpu.as_secs_f64() * 1e6 / samples;
        let rate = |turn: &Turn| 1.0 / turn.wall.as_secs_f64();
        let ratio = of(&|[ours, peer]| cpu(ours) / cpu(peer));
        let a_second = of(&|[ours, _]| rate(ours));
        for (name, side) in [("ours", 0), ("peer", 1)] {
            let (n_series, n_samples) = (shape.series, shape.samples);
            let own = |text: String| if side == 0 { text } else { String::new() };
            let each = of(&|turn| rate(&turn[side]));
            println!(
                "{:<8} {:>8} {name:<6} {:>14.3} {:>8} {:>12.0} {:>11.0} {:>22}",
                shape.name,
                format!("{n_series} x {n_samples}"),
                of(&|turn| cpu(&turn[side])),
                own(format!("{ratio:.2}")),
                each * samples,
                each * batches,
                own(format!("{sealing:.3}")),
            );
        }
        match shape.name {
            "backlog" => {
                missed.at_most(
                    "server CPU of a backlog, x that of the peer",
                    ratio,
                    MOST_CPU,
                );
                missed.at_least(
                    "samples a second of a backlog",
                    a_second * samples,
                    LEAST_SAMPLES,
                );
            }
            "live" => missed.at_least("live batches a second", a_second * batches, LEAST_BATCHES),
            _ => {}
        }
    }
    peer.server.stop()?;
    town.check(acknowledged)?;
    println!("all {acknowledged} batches are in the store once, and the chains verify");
    println!("load of the machine at the end {}", load_of_machine());
    missed.end()
}

/// All rounds of a shape: ours and the peer's turn of each.
fn turns(
    town: &mut Town,
    peer: &Victoria,
    (shape, count, ago): (&Shape, u32, i64),
    chance: &mut Chance,
) -> Result<Vec<[Turn; 2]>> {
    let begin = clock::now().0 - ago;
    let mut turns = Vec::new();
    for round in 0..ROUNDS {
        let from = begin + i64::from(round * count) * shape.span_ms();
        let [for_us, for_peer] = requests(town, (shape, count, from), chance)?;
        // Every other round the peer is first.
        let (ours, peers);
        if round.is_multiple_of(2) {
            ours = our_turn(town, for_us)?;
            peers = turn(&peer.server, &peer.far_end(), for_peer, was_imported)?;
        } else {
            peers = turn(&peer.server, &peer.far_end(), for_peer, was_imported)?;
            ours = our_turn(town, for_us)?;
        }
        turns.push([ours, peers]);
    }
    Ok(turns)
}

/// Of a collector that has just begun: it seals nothing in its first half minute, which is measured apart.
fn our_turn(town: &Town, requests: Vec<Vec<Request>>) -> Result<Turn> {
    let server = town.serve()?;
    let turn = turn(&server, &town.far_end(), requests, was_stored)?;
    server.stop()?;
    Ok(turn)
}

fn turn(
    server: &Server,
    to: &FarEnd,
    requests: Vec<Vec<Request>>,
    passes: fn(&Answer) -> bool,
) -> Result<Turn> {
    let before = server.cpu()?;
    let wall = send_all(to, requests, passes)?;
    sleep(SETTLED);
    Ok(Turn {
        wall,
        cpu: server.cpu()?.saturating_sub(before),
    })
}

/// What each connection sends in a round, to us and to the peer.
fn requests(
    town: &mut Town,
    (shape, count, from): (&Shape, u32, i64),
    chance: &mut Chance,
) -> Result<[Vec<Vec<Request>>; 2]> {
    let mut both = [Vec::new(), Vec::new()];
    for agent in &mut town.agents {
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for number in 0..count {
            let at = from + i64::from(number) * shape.span_ms();
            let measured = batch(shape, at, chance);
            peers.push(victoria::request(
                &agent.site,
                agent.id().as_str(),
                &measured,
            )?);
            ours.push(agent.request(&observations(&measured))?);
        }
        both[0].push(ours);
        both[1].push(peers);
    }
    Ok(both)
}

pub(crate) fn was_stored(answer: &Answer) -> bool {
    let is_new = b"\"duplicate\":false";
    let mut parts = answer.body.windows(is_new.len());
    answer.status == 200 && parts.any(|part| part == is_new)
}

const fn was_imported(answer: &Answer) -> bool {
    answer.status == 204
}
