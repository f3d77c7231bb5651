//! Releases: offered by a collector, taken by a box that has the key, kept where they report and rolled back where
//! they do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use messnetz::wire::TARGET;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::doors::{SCHEDULE, SITE, free_port, status};
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, write_config};

/// Long enough for a release that reports, on a machine that is busy.
const LONG_TRIAL: u32 = 120;

/// Longer than one part of a program.
const LONG: usize = 400 * 1024;

/// A town with a collector, a school with a box that is enrolled there, and whoever signs releases.
struct Scene {
    folder: tempfile::TempDir,
    _collector: RunningCollector,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (town, school) = (folder.path().join("town"), folder.path().join("school"));
        fs::create_dir(&school).unwrap();
        let port = free_port();
        write_config(
            &town,
            &format!(
                "agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n[updates]\nask_every_s = 1\n{SCHEDULE}"
            ),
        );
        let collector = RunningCollector::start(&town, None);
        let ticket = collector.ticket(SITE).to_string();
        let output = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let scene = Self {
            folder,
            _collector: collector,
        };
        let made = scene.at(&["release", "keygen", "--out", "key.pem", "--json"]);
        let line = made["public_key"].as_str().unwrap();
        let keys = scene.path().join("release-keys");
        fs::write(&keys, format!("{line} of this test\n")).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
        scene.at(&["release", "keygen", "--out", "stranger.pem", "--json"]);
        scene
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn town(&self) -> PathBuf {
        self.path().join("town")
    }

    fn school(&self) -> PathBuf {
        self.path().join("school")
    }

    /// What a command prints as JSON, whatever its exit code.
    fn at(&self, arguments: &[&str]) -> Value {
        json(&self.path().join("."), arguments)
    }

    /// Signs a script as a release.
    fn release(&self, script: &str, serial: u64, key: &str, target: &str) -> PathBuf {
        let program = self.path().join(format!("program-{serial}"));
        fs::write(&program, script).unwrap();
        let file = self.path().join(format!("{serial}.release"));
        let serial = serial.to_string();
        let version = format!("0.{serial}.0");
        self.at(&[
            "release",
            "sign",
            program.to_str().unwrap(),
            "--key",
            key,
            "--version",
            &version,
            "--serial",
            &serial,
            "--target",
            target,
            "--out",
            file.to_str().unwrap(),
            "--json",
        ]);
        file
    }

    fn offer(&self, file: &Path) {
        let file = file.to_str().unwrap();
        let arguments = [
            "collector",
            "update",
            "offer",
            file,
            "--stage",
            "100",
            "--json",
        ];
        json(&self.town(), &arguments);
    }

    fn status(&self) -> Value {
        json(&self.town(), &["collector", "update", "status", "--json"])
    }

    /// What the box said last of its program.
    fn program(&self) -> Value {
        self.status()["agents"][0]["program"].clone()
    }

    /// Waits until the box says so of its program.
    fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_mins(3);
        loop {
            let program = self.program();
            if holds(&program) {
                return program;
            }
            assert!(
                Instant::now() < end,
                "{what} did not come about: {:#}\n{}",
                self.status(),
                fs::read_to_string(self.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn start(&self, trial: u32) -> Supervised {
        Supervised::start(self.path(), trial)
    }
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let output = run(directory, arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}{}", stdout(&output), stderr(&output)))
}

/// A program that is started again whenever it ends, as the service manager would.
struct Supervised {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Supervised {
    fn start(folder: &Path, trial: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (folder, asked) = (folder.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let mut child = launch(&folder, trial);
                while child.try_wait().unwrap().is_none() {
                    if asked.load(Ordering::Relaxed) {
                        let pid = i32::try_from(child.id()).unwrap();
                        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
                        child.wait().unwrap();
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

fn launch(folder: &Path, trial: u32) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let trial = trial.to_string();
    let keys = folder.join("release-keys");
    messnetz(
        &folder.join("school"),
        &[
            "agent",
            "start",
            "--state",
            "agent",
            "--release-keys",
            keys.to_str().unwrap(),
            "--trial-seconds",
            &trial,
        ],
    )
    .stdout(Stdio::null())
    .stderr(log)
    .spawn()
    .unwrap()
}

/// A version that does what this one does: this one, behind a script.
fn good() -> String {
    let program = env!("CARGO_BIN_EXE_messnetz");
    let padding = "# padding\n".repeat(LONG / 10);
    format!("#!/bin/sh\nexec {program} \"$@\"\n{padding}")
}

#[test]
fn a_release_that_reports_stays_and_one_that_falls_over_or_says_nothing_is_rolled_back_and_told() {
    let scene = Scene::new();
    let running = scene.start(LONG_TRIAL);
    let packaged = scene.wait_for("a report", |program| program["takes"] == true);
    assert_eq!(packaged["serial"], Value::Null);

    scene.offer(&scene.release(&good(), 2, "key.pem", TARGET));
    let confirmed = scene.wait_for("the good release", |program| {
        program["serial"] == 2 && program["on_trial"] == false
    });
    assert_eq!(confirmed["version"], "0.2.0");
    let offered = scene.status()["offers"][0].clone();
    assert_eq!(offered["tally"]["confirmed"], 1, "{offered:#}");
    let versions = status(&scene.school())["versions"].clone();
    assert_eq!(versions["confirmed"]["serial"], 2, "{versions:#}");

    scene.offer(&scene.release("#!/bin/sh\nexit 7\n", 3, "key.pem", TARGET));
    let told = scene.wait_for("the rollback of what falls over", |program| {
        program["rolled_back"]["serial"] == 3
    });
    assert_eq!(told["serial"], 2, "{told:#}");
    let why = told["rolled_back"]["why"].as_str().unwrap();
    assert!(
        why.contains("started 5 times") && why.contains('7'),
        "{why}"
    );
    // It asks again, and is given nothing any more.
    scene.wait_for("the halt", |_| {
        scene.status()["offers"][0]["halted"].is_string()
    });
    let halted = run(&scene.town(), &["collector", "update", "status"]);
    assert_eq!(halted.status.code(), Some(1));
    assert!(stdout(&halted).contains("HALTED"), "{}", stdout(&halted));

    drop(running);
    let _running = scene.start(2);
    scene.offer(&scene.release("#!/bin/sh\nexec sleep 1000\n", 4, "key.pem", TARGET));
    let told = scene.wait_for("the rollback of what says nothing", |program| {
        program["rolled_back"]["serial"] == 4
    });
    assert_eq!(told["serial"], 2, "{told:#}");
    assert_eq!(told["rolled_back"]["why"], "it got no receipt within 2 s");
    let doctor = json(
        &scene.school(),
        &["agent", "doctor", "--state", "agent", "--json"],
    );
    let version = &doctor["findings"][0];
    assert_eq!(version["what"], "version");
    assert_eq!(version["standing"], "warn");
    let saw = version["saw"].as_str().unwrap();
    assert!(
        saw.contains("release 0.2.0") && saw.contains("0.4.0 (serial 4) was rolled back"),
        "{saw}"
    );
    // Offered again, what was rolled back is not tried again.
    scene.offer(&scene.path().join("4.release"));
    let before = told["rolled_back"].clone();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.program()["rolled_back"], before);
    let status = status(&scene.school());
    assert_eq!(status["refused_batches"], 0, "{status:#}");
    assert_eq!(status["given_up_observations"], 0, "{status:#}");
    let left: Vec<_> = fs::read_dir(scene.school().join("agent/versions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left.contains(&"3".into()) && !left.contains(&"4".into()),
        "{left:?}"
    );
}

#[test]
fn what_no_key_of_the_box_signed_is_for_another_machine_older_or_cut_is_refused_and_told() {
    let scene = Scene::new();
    let refused = |serial: u64, because: &str| {
        let told = scene.wait_for(because, |program| program["refused"]["serial"] == serial);
        let why = told["refused"]["why"].as_str().unwrap();
        assert!(why.contains(because), "{why}");
    };
    let running = scene.start(LONG_TRIAL);
    scene.wait_for("a report", |program| program["takes"] == true);
    scene.offer(&scene.release(&good(), 7, "key.pem", TARGET));
    scene.wait_for("the good release", |program| {
        program["serial"] == 7 && program["on_trial"] == false
    });

    scene.offer(&scene.release(&good(), 8, "stranger.pem", TARGET));
    refused(8, "none of the release keys");

    scene.offer(&scene.release(&good(), 6, "key.pem", TARGET));
    refused(6, "not above 7");

    // A collector hands out what a box is for; a captured one need not.
    let other = "riscv64gc-unknown-linux-gnu";
    scene.offer(&scene.release(&good(), 9, "key.pem", other));
    let store = rusqlite::Connection::open(scene.town().join("data/store.db")).unwrap();
    store.busy_timeout(Duration::from_secs(10)).unwrap();
    store
        .execute("DELETE FROM offer WHERE target = ?1", [TARGET])
        .unwrap();
    store
        .execute("UPDATE offer SET target = ?1", [TARGET])
        .unwrap();
    refused(9, "this box is");

    drop(running);
    scene.offer(&scene.release(&good(), 10, "key.pem", TARGET));
    let kept = fs::read_dir(scene.town().join("data/releases")).unwrap();
    for file in kept {
        let file = file.unwrap().path();
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    }
    let _running = scene.start(LONG_TRIAL);
    refused(10, "is not the one that was signed");
    assert_eq!(scene.program()["serial"], 7);
}

#[test]
fn a_box_without_a_key_takes_nothing_and_says_so() {
    let scene = Scene::new();
    fs::remove_file(scene.path().join("release-keys")).unwrap();
    let _running = scene.start(LONG_TRIAL);
    let program = scene.wait_for("a report", Value::is_object);
    assert_eq!(program["takes"], false);
    scene.offer(&scene.release(&good(), 2, "key.pem", TARGET));
    let before = scene.status()["agents"][0]["reported_at_unix_ms"].as_i64();
    scene.wait_for("two more reports", |_| {
        let at = scene.status()["agents"][0]["reported_at_unix_ms"].as_i64();
        at > before.map(|at| at + 2_000)
    });
    assert_eq!(scene.status()["offers"][0]["tally"]["given"], 0);
    assert!(!scene.school().join("agent/versions").exists());
}

#[test]
fn strangers_and_agents_that_are_not_in_are_given_no_program() {
    let scene = Scene::new();
    let id = json(&scene.town(), &["collector", "agents", "--json"])[0]["agent"].clone();
    let id = id.as_str().unwrap();
    let running = scene.start(LONG_TRIAL);
    scene.wait_for("a report", Value::is_object);
    let revoked = run(&scene.town(), &["collector", "revoke", id]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    scene.offer(&scene.release(&good(), 2, "key.pem", TARGET));
    let log = || fs::read_to_string(scene.path().join("log")).unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    while !log().contains("the agent is revoked: it is given no release") {
        assert!(Instant::now() < end, "{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(running);
    assert_eq!(scene.status()["offers"][0]["tally"]["given"], 0);
}
