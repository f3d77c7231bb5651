//! What a lab leaves behind: nothing, however it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use messnetz::demo::network::{Network, Town};
use messnetz::lab::{Link, Namespace};

use super::{enter, spec};
use crate::quiet::quiet;

/// Set in the copy of this program that is to be killed.
const HOLD: &str = "MESSNETZ_TEST_HOLD_LAB";

/// The kernel's name of a namespace, such as `net:[4026532008]`.
fn identity(namespace: &Namespace) -> String {
    let link = namespace
        .on(|| fs::read_link("/proc/thread-self/ns/net"))
        .unwrap();
    link.unwrap().to_string_lossy().into_owned()
}

fn identities(town: &Town) -> Vec<String> {
    let schools = town.schools.iter().flat_map(|school| {
        [&school.agent, &school.router]
            .into_iter()
            .chain(&school.hosts)
    });
    [&town.server.namespace, &town.hall]
        .into_iter()
        .chain(schools)
        .map(identity)
        .collect()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not so within 5 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether any process of the machine lives in one of `namespaces` or holds a descriptor of it.
fn in_use(namespaces: &[String]) -> bool {
    let points_into = |link: &Path| {
        fs::read_link(link).is_ok_and(|to| {
            namespaces
                .iter()
                .any(|name| to.as_os_str() == name.as_str())
        })
    };
    let list = |path: &Path| -> Vec<_> {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    };
    list(Path::new("/proc")).iter().any(|process| {
        list(&process.join("task"))
            .iter()
            .any(|task| points_into(&task.join("ns/net")))
            || list(&process.join("fd")).iter().any(|fd| points_into(fd))
            || fs::read_to_string(process.join("mountinfo"))
                .is_ok_and(|mounts| namespaces.iter().any(|name| mounts.contains(name)))
    })
}

fn line_threads() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.starts_with("line-"))
        .count()
}

fn host_interfaces() -> String {
    fs::read_to_string("/proc/net/dev")
        .unwrap()
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned() + " "))
        .collect()
}

#[test]
fn a_dropped_town_is_gone() {
    let _quiet = quiet();
    let (interfaces, lab) = (host_interfaces(), enter());
    let town = Town::build(&lab, &Network::built_in().unwrap()).unwrap();
    assert_eq!(line_threads(), 6);
    assert_eq!(host_interfaces(), interfaces);
    let namespaces = identities(&town);
    assert!(in_use(&namespaces));
    drop(town);
    assert_eq!(line_threads(), 0);
    assert!(!in_use(&namespaces));
    assert_eq!(host_interfaces(), interfaces);
}

#[test]
fn a_dropped_link_takes_its_interfaces_with_it() {
    let _quiet = quiet();
    let lab = enter();
    let (near, far) = (
        lab.namespace("near").unwrap(),
        lab.namespace("far").unwrap(),
    );
    let has_line = |namespace: &Namespace| {
        let devices = namespace
            .on(|| fs::read_to_string("/proc/thread-self/net/dev"))
            .unwrap();
        devices.unwrap().contains("line:")
    };
    let spec = spec(Duration::from_millis(1), 0, 0);
    let link = Link::join(&lab, (&near, "line"), (&far, "line"), &spec).unwrap();
    assert!(has_line(&near) && has_line(&far));
    drop(link);
    // The veth pairs can only go with the namespace between them: so that is gone too.
    eventually("no interface is left", || {
        !has_line(&near) && !has_line(&far)
    });
}

/// Runs in a copy of this program too, which then holds the town until it is killed.
#[test]
fn a_child_lives_as_long_as_it_is_let() {
    let _quiet = quiet();
    let town = Town::build(&enter(), &Network::built_in().unwrap()).unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let mut child = town.schools[0].agent.spawn(sleep).unwrap();
    let process = format!("/proc/{}/ns/net", child.id());
    let agent = identity(&town.schools[0].agent);
    assert_eq!(fs::read_link(process).unwrap().to_string_lossy(), agent);
    if std::env::var_os(HOLD).is_some() {
        println!("\nHOLDING {} {}", child.id(), identities(&town).join(" "));
        thread::sleep(Duration::from_mins(1));
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_process_leaves_no_namespace_and_no_child() {
    let _quiet = quiet();
    let interfaces = host_interfaces();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "lab::traces::a_child_lives_as_long_as_it_is_let",
        ])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("HOLDING "))
        .expect("the copy builds its town");
    let mut words = line.split(' ').skip(1).map(str::to_owned);
    let child = words.next().unwrap();
    let namespaces: Vec<String> = words.collect();
    assert!(namespaces.len() > 10 && in_use(&namespaces));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let runs = || {
        fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    eventually("the child is dead", || !runs());
    eventually("no namespace is in use", || !in_use(&namespaces));
    assert_eq!(host_interfaces(), interfaces);
}
