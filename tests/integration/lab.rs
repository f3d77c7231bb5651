//! The laboratory itself: what it says about its lines must be true of them.

use std::process::Command;
use std::time::Instant;

use messnetz::demo::network::{Network, Town};
use messnetz::lab::{Direction, Lab};

use crate::quiet::quiet;

fn lab() -> Lab {
    Lab::enter().unwrap_or_else(|error| {
        panic!(
            "{error}\nput `unshare --user --map-root-user` before the command that runs the tests"
        )
    })
}

#[test]
fn a_town_is_built_in_under_three_seconds() {
    let _quiet = quiet();
    let lab = lab();
    let started = Instant::now();
    let town = Town::build(&lab, &Network::built_in().unwrap()).unwrap();
    let took = started.elapsed();
    eprintln!("built in {took:?}");
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    for school in &town.schools {
        for address in [
            town.server.address.to_string(),
            town.server.address_v6.unwrap().to_string(),
        ] {
            let mut ping = Command::new("ping");
            ping.args(["-c", "10", "-i", "0.1", &address]);
            let output = school.agent.command(ping).output().unwrap();
            eprintln!("{} {}", school.id, String::from_utf8_lossy(&output.stdout));
        }
        eprintln!("{:?}", school.link.counters(Direction::Down));
        eprintln!("{:?}", school.link.counters(Direction::Up));
    }
}

#[test]
fn iperf() {
    let _quiet = quiet();
    let lab = lab();
    let town = Town::build(&lab, &Network::built_in().unwrap()).unwrap();
    let mut server = Command::new("iperf3");
    server.args(["-s"]).stdout(std::process::Stdio::null());
    let mut server = town.server.namespace.spawn(server).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    for school in &town.schools {
        for cc in ["cubic", "bbr"] {
            for args in [&["-R"][..], &[], &["--bidir"]] {
                let mut client = Command::new("iperf3");
                client
                    .args(["-c", "10.0.0.2", "-t", "5", "-O", "1", "-C", cc])
                    .args(args);
                let cpu = cpu();
                let output = school.agent.command(client).output().unwrap();
                let text = String::from_utf8_lossy(&output.stdout);
                for line in text.lines().filter(|l| l.contains("receiver")) {
                    eprintln!("{} {cc} {args:?} {line}", school.id);
                }
                eprintln!(
                    "cpu {:?}",
                    cpu.iter()
                        .zip(self::cpu())
                        .map(|(a, b)| (b.0.clone(), b.1 - a.1))
                        .filter(|x| x.1 > 5)
                        .collect::<Vec<_>>()
                );
            }
        }
        eprintln!("{:?}", school.link.counters(Direction::Down));
        eprintln!("{:?}", school.link.counters(Direction::Up));
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

fn cpu() -> Vec<(String, u64)> {
    let mut all: Vec<_> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|e| {
            let stat = std::fs::read_to_string(e.unwrap().path().join("stat")).unwrap();
            let (head, tail) = stat.rsplit_once(')').unwrap();
            let f: Vec<&str> = tail.split_whitespace().collect();
            (
                head.to_string(),
                f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}
