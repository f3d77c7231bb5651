//! What a stock iperf3 gets out of the clean lines of the demo.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use messnetz::demo::network::{Network, Town, TownSchool};
use messnetz::lab::Direction;

use super::enter;
use crate::quiet::quiet;

fn iperf3(args: &[&str]) -> Command {
    let mut command = Command::new("iperf3");
    command.args(args).stdout(Stdio::piped());
    command
}

fn serve(town: &Town) -> Child {
    let mut command = iperf3(&["-s"]);
    command.stdout(Stdio::null());
    town.server
        .namespace
        .spawn(command)
        .unwrap_or_else(|error| panic!("{error}; install it with `apt-get install -y iperf3`"))
}

/// What was received, in Mbit/s, one number per direction that was measured.
fn received(town: &Town, school: &TownSchool, args: &[&str]) -> Vec<f64> {
    let address = town.server.address.to_string();
    let fixed = [
        "-c", &address, "-t", "4", "-O", "1", "-C", "cubic", "--json",
    ];
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let command = iperf3(&[&fixed, args].concat());
        let output = school.agent.command(command).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rates: Vec<f64> = ["sum_received", "sum_received_bidir_reverse"]
            .iter()
            .filter_map(|sum| report["end"][sum]["bits_per_second"].as_f64())
            .map(|bps| bps / 1e6)
            .collect();
        if !rates.is_empty() {
            return rates;
        }
        // The server is not there yet, or has not let go of its last client.
        assert!(Instant::now() < deadline, "iperf3: {}", report["error"]);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Processor seconds of the threads of all lines of this process.
fn line_seconds() -> f64 {
    let ticks: u64 = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok())
        .filter(|stat| stat.contains("(line-"))
        .map(|stat| {
            let fields: Vec<&str> = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum();
    ticks as f64 / 100.0
}

#[test]
fn tcp_fills_the_clean_lines_of_the_demo_both_ways() {
    let _quiet = quiet();
    let town = Town::build(&enter(), &Network::built_in().unwrap()).unwrap();
    let mut server = serve(&town);
    for (school, down, up) in [
        (&town.schools[0], 100.0, 40.0),
        (&town.schools[1], 1000.0, 1000.0),
    ] {
        for (args, rate) in [(&["-R"][..], down), (&[], up)] {
            let measured = received(&town, school, args)[0];
            eprintln!("{}: {measured:.1} of {rate} Mbit/s", school.site);
            let share = measured / rate;
            assert!(
                (0.93..=0.96).contains(&share),
                "{}: {measured} of {rate}",
                school.site
            );
        }
        for direction in [Direction::Down, Direction::Up] {
            let counters = school.link.counters(direction);
            assert_eq!((counters.lost, counters.overflowed), (0, 0), "{counters:?}");
            assert_eq!(
                (counters.undelivered, counters.kernel_drops),
                (0, 0),
                "{counters:?}"
            );
        }
    }
    let (cpu, started) = (line_seconds(), Instant::now());
    let both = received(&town, &town.schools[1], &["--bidir"]);
    let share = (line_seconds() - cpu) / started.elapsed().as_secs_f64();
    eprintln!("both ways at once: {both:.1?} Mbit/s, lines used {share:.2} cores");
    assert!(
        both.len() == 2 && both.iter().all(|&rate| rate > 850.0),
        "{both:?}"
    );
    assert!(share < 1.0, "the lines used {share:.2} cores");
    server.kill().unwrap();
    server.wait().unwrap();
}
