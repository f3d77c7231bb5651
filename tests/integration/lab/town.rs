//! The example town, and what a namespace promises.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use messnetz::demo::network::{Network, Town};
use messnetz::lab::{LabError, Namespace};

use super::enter;
use crate::quiet::quiet;

fn output(namespace: &Namespace, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args);
    let output = namespace.command(command).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_town_stands_within_three_seconds_and_every_school_reaches_the_server() {
    let _quiet = quiet();
    let network = Network::built_in().unwrap();
    let started = Instant::now();
    let town = Town::build(&enter(), &network).unwrap();
    let took = started.elapsed();
    eprintln!("built in {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let v4 = (town.server.address, 80).into();
    let v6 = town.server.address_v6.map(|address| (address, 80).into());
    for address in [Some(v4), v6].into_iter().flatten() {
        let listen = || std::net::TcpListener::bind::<std::net::SocketAddr>(address);
        let _listener = town.server.namespace.on(listen).unwrap().unwrap();
        for (school, plan) in town.schools.iter().zip(&network.schools) {
            let connect = || {
                let started = Instant::now();
                std::net::TcpStream::connect(address).map(|_| started.elapsed())
            };
            // The first waits for the neighbours' addresses; a lost SYN comes again after 1 s.
            let times: Vec<Duration> = (0..5)
                .map(|_| school.agent.on(connect).unwrap().unwrap())
                .collect();
            let shortest = times.iter().min().unwrap();
            assert!(*shortest >= plan.round_trip, "{}: {times:?}", school.site);
            assert!(
                *shortest < plan.round_trip * 2,
                "{}: {times:?}",
                school.site
            );
            for host in &school.hosts {
                host.on(connect).unwrap().unwrap();
            }
        }
    }
}

#[test]
fn a_child_sees_the_interfaces_of_its_namespace_and_no_others() {
    let namespace = enter().namespace("alone").unwrap();
    assert_eq!(output(&namespace, "ls", &["/sys/class/net"]).trim(), "lo");
    let inside = namespace
        .on(|| fs::read_to_string("/proc/thread-self/net/dev"))
        .unwrap();
    assert!(!inside.unwrap().contains("eth0"));
}

#[test]
fn settings_are_those_of_the_namespace() {
    let lab = enter();
    let (one, other) = (
        lab.namespace("one").unwrap(),
        lab.namespace("other").unwrap(),
    );
    one.sysctl("net/ipv4/ip_default_ttl", "77").unwrap();
    let read =
        |namespace: &Namespace| output(namespace, "cat", &["/proc/sys/net/ipv4/ip_default_ttl"]);
    assert_eq!(read(&one).trim(), "77");
    assert_eq!(read(&other).trim(), "64");
}

#[test]
fn errors_name_the_namespace_the_command_and_the_reason() {
    let namespace = enter().namespace("faulty").unwrap();
    let error = namespace
        .ip("link set lo up\nlink set nowhere up\n")
        .unwrap_err();
    assert!(matches!(error, LabError::Tool { .. }));
    let text = error.to_string();
    for part in ["`ip link set nowhere up`", "`faulty`", "Cannot find device"] {
        assert!(text.contains(part), "{text}");
    }
    let text = namespace
        .sysctl("net/ipv4/nothing", "1")
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("this kernel does not have the setting"),
        "{text}"
    );
    let text = namespace
        .spawn(Command::new("no-such-program"))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("`no-such-program`") && text.contains("`faulty`"),
        "{text}"
    );
}
