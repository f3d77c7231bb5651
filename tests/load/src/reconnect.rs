//! All agents at once: each with its own key and a TLS handshake for each request, as after a power cut of the town
//! hall.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use messnetz::clock;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::conversation::{FarEnd, Request};
use crate::figures::{Missed, load_of_machine};
use crate::measured::{Shape, batch, observations};
use crate::town::{Plan, Town};

const AGENTS: u32 = 10_000;

/// How often they all come back, each with so many batches.
const WAVES: u32 = 3;
const BATCHES: u32 = 2;

/// What an agent measures in five minutes.
const SHAPE: Shape = Shape {
    name: "reconnect",
    series: 40,
    samples: 5,
    every_ms: 60_000,
};

/// As the shipped one, without capacity tests: so many schools are no authority of one test server.
const SCHEDULE: &str = "[schedule]\nupload_every_ms = 30_000\n\
    [[schedule.task]]\nprobe = \"icmp\"\npeer = \"collector\"\ncount = 150\ninterval_ms = 100\nevery_ms = 60_000\n\
    [[schedule.task]]\nprobe = \"http\"\nevery_ms = 300_000\n";

/// Addresses on loopback that agents come from.
const SOURCES: u32 = 200;

/// As long as an agent waits for an answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// All batches of a wave are in, at most.
const MOST_TIME: Duration = Duration::from_mins(5);

/// Memory of the collector at its highest, in bytes.
const MOST_MEMORY: f64 = 500e6;

/// Memory after the last wave in that after the first.
const MOST_GROWTH: f64 = 1.1;

/// How it went for one agent.
#[derive(Clone, Copy, Debug, Default)]
struct Experience {
    longest: Duration,
    /// Requests that were sent away, or came to no answer.
    again: u32,
}

/// Lets all come back, several times, and prints what that took.
pub(crate) fn run(program: &Path) -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    if hard < u64::from(AGENTS) + 1_000 {
        bail!("{AGENTS} connections need more open files than {hard}: ulimit -Hn");
    }
    let plan = Plan {
        schedule: SCHEDULE,
        ..Plan::of(AGENTS)
    };
    let mut town = Town::new(program, &plan)?;
    let server = town.serve()?;
    println!(
        "{AGENTS} agents that all begin at once, {BATCHES} batches of {} x {} each, a handshake for each; load of the machine {}",
        SHAPE.series,
        SHAPE.samples,
        load_of_machine()
    );
    println!(
        "{:<5} {:>8} {:>12} {:>18} {:>12} {:>16} {:>14}",
        "wave",
        "all in s",
        "batches/s",
        "longest request s",
        "tried again",
        "memory after MB",
        "highest MB"
    );
    let mut missed = Missed::default();
    let mut chance = Chance::new(1);
    let begin = clock::now().0 - 12 * 3_600_000;
    let mut memory = Vec::new();
    for wave in 0..WAVES {
        let mut requests = Vec::new();
        for agent in &mut town.agents {
            let mut own = Vec::new();
            for number in 0..BATCHES {
                let from = begin + i64::from(wave * BATCHES + number) * SHAPE.span_ms();
                own.push(agent.request(&observations(&batch(&SHAPE, from, &mut chance)))?);
            }
            requests.push(own);
        }
        let (took, experience) = all_at_once(&town.far_end(), requests)?;
        let (after, highest) = (server.memory()?, server.highest_memory()?);
        memory.push(after);
        let seconds = took.as_secs_f64();
        let longest = experience.longest.as_secs_f64();
        println!(
            "{:<5} {seconds:>8.1} {:>12.0} {longest:>18.1} {:>12} {:>16.0} {:>14.0}",
            wave + 1,
            f64::from(AGENTS * BATCHES) / seconds,
            experience.again,
            after / 1e6,
            highest / 1e6,
        );
        missed.at_most("seconds until all are in", seconds, MOST_TIME.as_secs_f64());
        missed.at_most(
            "seconds of the longest request",
            longest,
            DEADLINE.as_secs_f64(),
        );
        missed.at_most("bytes of memory at the highest", highest, MOST_MEMORY);
    }
    if let (Some(first), Some(last)) = (memory.first(), memory.last()) {
        missed.at_most(
            "memory after the last wave, x that after the first",
            last / first,
            MOST_GROWTH,
        );
    }
    server.stop()?;
    let sent = u64::from(AGENTS * BATCHES * WAVES);
    town.check(sent)?;
    println!("all {sent} batches are in the store once, none is missing, and the chains verify");
    missed.end()
}

fn all_at_once(to: &FarEnd, of_agents: Vec<Vec<Request>>) -> Result<(Duration, Experience)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let to = Arc::new(to.clone());
        let mut sending = JoinSet::new();
        let begun = Instant::now();
        for (number, requests) in (0..).zip(of_agents) {
            let to = Arc::clone(&to);
            sending.spawn(async move {
                let [.., third, last] = (number % SOURCES + 1).to_be_bytes();
                let from = IpAddr::from([127, 0, third, last]);
                let mut chance = Chance::new(u64::from(number));
                let mut experience = Experience::default();
                for request in &requests {
                    send(&to, from, request, &mut experience, &mut chance).await?;
                }
                Ok::<_, anyhow::Error>(experience)
            });
        }
        let mut all = Experience::default();
        while let Some(one) = sending.join_next().await {
            let one = one??;
            all.longest = all.longest.max(one.longest);
            all.again += one.again;
        }
        Ok((begun.elapsed(), all))
    })
}

/// Sends a request over a connection of its own until it is answered well, as an agent does.
async fn send(
    to: &FarEnd,
    from: IpAddr,
    request: &Request,
    experience: &mut Experience,
    chance: &mut Chance,
) -> Result<()> {
    loop {
        let begun = Instant::now();
        let asked = timeout(DEADLINE, async {
            to.connect(from).await?.ask(request).await
        })
        .await;
        experience.longest = experience.longest.max(begun.elapsed());
        match asked {
            // Whether it was there before, where the answer had been lost, the store is asked in the end.
            Ok(Ok(answer)) if answer.status == 200 => return Ok(()),
            Ok(Ok(answer)) if ![429, 503].contains(&answer.status) => {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                bail!("refused with {}: {said}", answer.status);
            }
            // Sent away, broken off or not answered.
            _ => {
                experience.again += 1;
                sleep(Duration::from_millis(5_000 + chance.below(5_000))).await;
            }
        }
    }
}
