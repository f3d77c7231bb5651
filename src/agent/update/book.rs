//! Which version of the program runs on this box, and which one is tried. Pure: what happened is passed in, and what
//! runs next is the answer.
//!
//! ```text
//! offered ─ admits ─▶ staged ─ started ─▶ on trial ─ receipt ─▶ confirmed
//!                                            └─ no receipt in its time, too many starts ─▶ rolled back, for good
//! ```
//! The packaged program is always there: it runs where nothing is confirmed, and it decides what else runs.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire::batch::Digest;
use crate::wire::{Failed, Release};

/// How often a release may be started before it has shown that it reports: a box may be switched off meanwhile.
pub(super) const MAX_STARTS: u32 = 5;

/// How many releases that failed are remembered.
const MAX_FAILED: usize = 32;

/// A release that lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its number.
    pub serial: u64,
    /// Its name for people.
    pub version: String,
}

/// A release that has still to show that it reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Which.
    pub release: Placed,
    /// How often it was started.
    pub starts: u32,
}

/// What is known of the versions on this box. It is one file, replaced as a whole: whatever a power cut leaves is
/// this or the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// SHA-256 of the packaged program beside which the rest was decided.
    #[serde(default)]
    pub package: Option<Digest>,
    /// What runs where nothing is tried; the packaged program where there is none.
    #[serde(default)]
    pub confirmed: Option<Placed>,
    /// What is tried.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// Serial above which a release is taken. It only grows.
    #[serde(default)]
    pub floor: u64,
    /// Serial of what the card has lost: this one may be fetched again.
    #[serde(default)]
    pub lost: Option<u64>,
    /// What was rolled back, the last one last: none of it is tried again.
    #[serde(default)]
    pub failed: Vec<Failed>,
}

/// What runs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    /// What root installed.
    Package,
    /// A release that has shown that it reports.
    Confirmed(&'a Placed),
    /// A release that has still to.
    Trial(&'a Placed),
}

/// Why an offer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error("it is for {offered}, and this box is {own}")]
    Target { offered: String, own: String },
    #[error("its serial {serial} is not above {floor}, which this box had: none is taken back")]
    Older { serial: u64, floor: u64 },
    #[error("it was rolled back here before: {0}")]
    Failed(String),
}

impl Book {
    /// Whether an offer may be fetched and tried.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admits(&self, release: &Release, own: &str) -> Result<(), Refused> {
        let serial = release.serial;
        if release.target != own {
            return Err(Refused::Target {
                offered: release.target.clone(),
                own: own.to_owned(),
            });
        }
        if let Some(failed) = self.failed.iter().find(|failed| failed.serial == serial) {
            return Err(Refused::Failed(failed.why.clone()));
        }
        if serial <= self.floor && self.lost != Some(serial) {
            let floor = self.floor;
            return Err(Refused::Older { serial, floor });
        }
        Ok(())
    }

    /// A release lies on the disk, whole, and is the next one to be tried.
    pub(super) fn stage(&mut self, release: Placed) {
        self.trial = Some(Trial { release, starts: 0 });
    }

    /// What runs next.
    pub(super) fn choose(&self) -> Choice<'_> {
        match (&self.trial, &self.confirmed) {
            (Some(trial), _) if trial.starts < MAX_STARTS => Choice::Trial(&trial.release),
            (_, Some(confirmed)) => Choice::Confirmed(confirmed),
            (_, None) => Choice::Package,
        }
    }

    /// The release on trial is about to be started.
    pub(super) fn start(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.starts = trial.starts.saturating_add(1);
        }
    }

    /// The release on trial has reported: it runs from now on.
    pub(super) fn confirm(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.floor = self.floor.max(trial.release.serial);
            self.lost = None;
            self.confirmed = Some(trial.release);
        }
    }

    /// The release on trial ended by itself. It may be started again, unless it was started often enough.
    pub(super) fn ended(&mut self, how: impl std::fmt::Display) {
        if let Some(trial) = &self.trial
            && trial.starts >= MAX_STARTS
        {
            let starts = trial.starts;
            self.roll_back(format_args!(
                "started {starts} times, it never got a receipt; at last it ended with {how}"
            ));
        }
    }

    /// The release on trial is not tried any more.
    pub(super) fn roll_back(&mut self, why: impl std::fmt::Display) {
        if let Some(Trial { release, .. }) = self.trial.take() {
            self.failed
                .push(Failed::of(release.serial, &release.version, why));
            let surplus = self.failed.len().saturating_sub(MAX_FAILED);
            // What is forgotten must not come again for that.
            let forgotten = self.failed.drain(..surplus).map(|failed| failed.serial);
            self.floor = forgotten.fold(self.floor, u64::max);
        }
    }

    /// What was confirmed cannot be run any more: the card has lost it, or its key is trusted no longer. The same
    /// may be fetched again, and none before it.
    pub(super) fn lose(&mut self) {
        self.lost = self.confirmed.take().map(|lost| lost.serial).or(self.lost);
    }

    /// This is the packaged program. Where it is another one than before, root has installed it: it runs, and what a
    /// collector brought beside the one before is given up.
    pub(super) fn beside(&mut self, package: Digest) {
        if self.package.replace(package) != Some(package) {
            self.confirmed = None;
            self.trial = None;
            self.lost = None;
        }
    }

    /// The release on trial was started often enough, and nobody was there to roll it back: the power went.
    pub(super) fn settle(&mut self) {
        self.ended("the power of the box");
    }

    /// Whether a release is still needed on the disk.
    pub(super) fn keeps(&self, serial: u64) -> bool {
        let is = |placed: &Placed| placed.serial == serial;
        self.confirmed.as_ref().is_some_and(is)
            || self.trial.as_ref().is_some_and(|trial| is(&trial.release))
    }
}

impl fmt::Display for Book {
    /// What runs, what is tried, and what was rolled back last, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.confirmed {
            Some(Placed { serial, version }) => write!(f, "release {version} (serial {serial})")?,
            None => write!(f, "the packaged program, {}", env!("CARGO_PKG_VERSION"))?,
        }
        if let Some(Trial { release, starts }) = &self.trial {
            let Placed { serial, version } = release;
            write!(
                f,
                "; {version} (serial {serial}) is on trial, started {starts} of {MAX_STARTS} times"
            )?;
        }
        if let Some(Failed {
            serial,
            version,
            why,
        }) = self.failed.last()
        {
            write!(f, "; {version} (serial {serial}) was rolled back: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "x86_64-unknown-linux-gnu";

    fn release(serial: u64) -> Release {
        Release {
            version: format!("0.{serial}.0"),
            serial,
            target: OWN.to_owned(),
            size: 1,
            sha256: Digest::of(b""),
        }
    }

    fn placed(serial: u64) -> Placed {
        Placed {
            serial,
            version: format!("0.{serial}.0"),
        }
    }

    fn package(which: u8) -> Digest {
        Digest::of(&[which])
    }

    #[test]
    fn a_release_that_reports_is_confirmed_and_one_that_does_not_leaves_the_one_before() {
        let mut book = Book::default();
        book.beside(package(0));
        assert_eq!(book.choose(), Choice::Package);
        book.admits(&release(7), OWN).unwrap();
        book.stage(placed(7));
        assert_eq!(book.choose(), Choice::Trial(&placed(7)));
        book.start();
        book.confirm();
        assert_eq!(book.choose(), Choice::Confirmed(&placed(7)));
        book.stage(placed(8));
        book.start();
        book.roll_back("no receipt within 900 s");
        assert_eq!(book.choose(), Choice::Confirmed(&placed(7)));
        let refused = book.admits(&release(8), OWN).unwrap_err();
        assert!(matches!(refused, Refused::Failed(_)), "{refused}");
        book.admits(&release(9), OWN).unwrap();
    }

    #[test]
    fn a_release_for_another_machine_and_one_before_that_which_ran_are_refused() {
        let book = Book {
            floor: 7,
            ..Book::default()
        };
        let other = book.admits(&release(9), "armv7-unknown-linux-gnueabihf");
        assert!(matches!(other, Err(Refused::Target { .. })));
        for serial in [1, 6, 7] {
            let refused = book.admits(&release(serial), OWN);
            assert!(matches!(refused, Err(Refused::Older { .. })), "{serial}");
        }
        book.admits(&release(8), OWN).unwrap();
    }

    #[test]
    fn a_release_that_ends_by_itself_is_started_a_few_times_and_then_no_more() {
        let mut book = Book::default();
        book.stage(placed(7));
        for _ in 0..MAX_STARTS {
            assert_eq!(book.choose(), Choice::Trial(&placed(7)));
            book.start();
            book.ended("exit status: 1");
        }
        assert_eq!(book.choose(), Choice::Package);
        assert!(book.failed[0].why.contains("exit status: 1"), "{book:?}");
    }

    #[test]
    fn what_root_installs_runs_and_nothing_before_it_comes_back() {
        let mut book = Book::default();
        book.beside(package(0));
        book.stage(placed(7));
        book.start();
        book.confirm();
        book.beside(package(0));
        assert_eq!(book.choose(), Choice::Confirmed(&placed(7)));
        book.beside(package(1));
        assert_eq!(book.choose(), Choice::Package);
        assert!(book.admits(&release(7), OWN).is_err());
        book.admits(&release(8), OWN).unwrap();
    }

    #[test]
    fn what_the_card_lost_may_be_fetched_again_and_nothing_before_it() {
        let mut book = Book::default();
        book.stage(placed(7));
        book.start();
        book.confirm();
        book.lose();
        assert_eq!(book.choose(), Choice::Package);
        book.admits(&release(7), OWN).unwrap();
        assert!(book.admits(&release(6), OWN).is_err());
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Offer(u64),
        Start,
        Receipt,
        TimeOver,
        Ended,
        Restart,
        Lost,
        Package(u8),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            4 => (0..12_u64).prop_map(Event::Offer),
            6 => Just(Event::Start),
            2 => Just(Event::Receipt),
            1 => Just(Event::TimeOver),
            3 => Just(Event::Ended),
            1 => Just(Event::Restart),
            1 => Just(Event::Lost),
            1 => (0..2_u8).prop_map(Event::Package),
        ];
        proptest::collection::vec(event, 0..60)
    }

    proptest! {
        #[test]
        fn whatever_happens_something_runs_no_failed_release_comes_back_and_none_before_a_confirmed_one(
            events in events()
        ) {
            let mut book = Book::default();
            let (mut highest, mut starts) = (0, std::collections::BTreeMap::new());
            let mut ever_failed = std::collections::BTreeSet::new();
            for event in events {
                match event {
                    Event::Offer(serial) => {
                        if book.admits(&release(serial), OWN).is_ok() {
                            prop_assert!(!ever_failed.contains(&serial), "{book:?}");
                            prop_assert!(serial >= highest, "{book:?}");
                            book.stage(placed(serial));
                            // Staged anew, it begins anew: somebody has fetched it again.
                            starts.insert(serial, 0);
                        }
                    }
                    Event::Start => {
                        if let Choice::Trial(&Placed { serial, .. }) = book.choose() {
                            book.start();
                            *starts.entry(serial).or_insert(0) += 1;
                            prop_assert!(starts[&serial] <= MAX_STARTS);
                        }
                    }
                    Event::Receipt => {
                        book.confirm();
                        highest = book.confirmed.as_ref().map_or(highest, |it| it.serial.max(highest));
                    }
                    Event::TimeOver => book.roll_back("time"),
                    Event::Ended => book.ended("1"),
                    Event::Restart => book.settle(),
                    Event::Lost => book.lose(),
                    Event::Package(which) => book.beside(package(which)),
                }
                ever_failed.extend(book.failed.iter().map(|failed| failed.serial));
                match book.choose() {
                    Choice::Package => {}
                    Choice::Confirmed(placed) | Choice::Trial(placed) => {
                        prop_assert!(book.keeps(placed.serial));
                        prop_assert!(!ever_failed.contains(&placed.serial));
                        prop_assert!(placed.serial >= highest);
                    }
                }
                let text = serde_json::to_string(&book).unwrap();
                prop_assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book.clone());
            }
        }
    }
}
