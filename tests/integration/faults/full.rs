//! Disks that are full: small file systems in a mount namespace of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::statvfs;

use super::proof::Evidence;
use super::scene::{Part, SITE, Scene, wait_until};
use crate::doors::free_port;
use crate::quiet::quiet;

/// Size of such a file system: room for what many rounds leave.
const SIZE: u64 = 256 << 20;

/// A small file system under this path until it is dropped.
struct Small(PathBuf);

impl Small {
    fn under(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={SIZE}");
        mount(&["-t", "tmpfs", "-o", &size, "none", path.to_str().unwrap()]);
        Self(path.to_owned())
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves so many more bytes for others than they have taken.
    fn leave(&self, bytes: u64) {
        let disk = statvfs(&self.0).unwrap();
        let free = disk.blocks_available() * disk.fragment_size();
        let ballast = usize::try_from(free.saturating_sub(bytes)).unwrap();
        fs::write(self.ballast(), vec![0; ballast]).unwrap();
    }

    /// Leaves all of it.
    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It is gone with the namespace; what is in it is wanted.
            let _ = fs::remove_file(self.ballast());
            let left = self.0.with_extension("left");
            let _ = Command::new("cp").arg("-a").args([&self.0, &left]).status();
        }
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) {
    let mounted = Command::new("mount").args(arguments).status().unwrap();
    assert!(mounted.success(), "mount {arguments:?}");
}

/// Does the test on a thread with mounts of its own.
fn with_own_mounts(test: impl FnOnce() + Send) {
    let _quiet = quiet();
    let test = || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(&["--make-rprivate", "/"]);
        test();
    };
    let ended = std::thread::scope(|scope| scope.spawn(test).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn an_agent_whose_disk_is_full_says_so_and_loses_nothing_that_it_took() {
    with_own_mounts(|| {
        let mut scene = Scene::new("full", free_port(), None);
        let disk = Small::under(&scene.school.join("agent"));
        scene.start(Part::Collector);
        scene.wait_for_door();
        scene.enrol("agent", SITE);
        for _ in 0..super::rounds(2) {
            // It fills while the collector is away, and is still full when that is back.
            scene.kill(Part::Collector);
            let room = 1 << 20;
            disk.leave(room + scene.below(room));
            scene.start(Part::Keeper);
            scene.start(Part::Agent);
            let said = |scene: &Scene| scene.log(Part::Agent).matches("disk is full").count();
            let before = said(&scene);
            wait_until("a word about a full disk", || said(&scene) > before);
            scene.start(Part::Collector);
            scene.wait_for_door();
            std::thread::sleep(Duration::from_millis(500));
            assert!(!scene.has_given_up("disk is full"), "one at work stays so");
            // One that starts meanwhile says so too, and waits for room.
            scene.kill(Part::Agent);
            let before = said(&scene);
            scene.start(Part::Agent);
            wait_until("a word about a full disk", || said(&scene) > before);
            assert!(!scene.has_given_up("disk is full"), "it waits");
            disk.make_room();
            let kept = scene.kept().kept.len();
            wait_until("more that is kept", || scene.kept().kept.len() > kept + 100);
            scene.kill(Part::Agent);
            scene.kill(Part::Keeper);
        }
        scene.drain();
        let (journal, given_up) = (scene.kept(), scene.given_up());
        let lost = Evidence::of(&scene).is_what_was_kept_but(&journal, given_up);
        println!(
            "{} kept, {} times refused, {lost} of {given_up} given up",
            journal.kept.len(),
            journal.refused.len()
        );
    });
}

#[test]
fn a_collector_whose_disk_is_full_acknowledges_nothing_that_it_does_not_have() {
    with_own_mounts(|| {
        // A store that has sealed much has room in itself for what comes next: each pair of rounds has a new one.
        for _ in 0..super::rounds(2).div_ceil(2) {
            a_collector_on_a_full_disk();
        }
    });
}

fn a_collector_on_a_full_disk() {
    let mut scene = Scene::new("full", free_port(), None);
    let disk = Small::under(&scene.town.join("data"));
    scene.start(Part::Collector);
    scene.wait_for_door();
    scene.enrol("agent", SITE);
    for round in 1..=2 {
        let room = 2 << 20;
        disk.leave(room + scene.below(room));
        scene.start(Part::Keeper);
        scene.start(Part::Agent);
        let refusals = |scene: &Scene| scene.log(Part::Agent).matches("503").count();
        wait_until("a collector that takes nothing", || {
            refusals(&scene) >= round
        });
        disk.make_room();
        scene.kill(Part::Agent);
        scene.kill(Part::Keeper);
    }
    scene.drain();
    let journal = scene.kept();
    assert_eq!(journal.refused, [""; 0], "the spool took none of these");
    Evidence::of(&scene).is_what_was_kept_once(&journal);
    println!("{} kept", journal.kept.len());
}
