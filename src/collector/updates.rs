//! Handing releases out: which agent may have one now, and when none may any more.
//!
//! A release reaches few boxes first: no more have it on trial than have shown before that they report with it. It
//! halts by itself where too many do not. The collector vouches for none: boxes verify what they run.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use messnetz_metric::UnixMillis;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::opened::Collector;
use crate::release::{self, Head, ReleaseError};
use crate::store::{Offer, ProgramSeen, StoreError};
use crate::wire::batch::Digest;
use crate::wire::{AgentId, ProgramReport, UpdateAnswer};

const FOLDER: &str = "releases";

/// An agent that was given a release and has told nothing of it for so long does not report: five trials of a quarter
/// of an hour, and a slow line.
const SILENT_AFTER_MS: i64 = 3 * 3_600_000;

/// Most agents that try a release at one time.
const MOST_ON_TRIAL: usize = 100;

/// Of those that were given a release, one in so many may fail; any in fewer.
const ONE_MAY_FAIL_IN: usize = 20;

/// How often agents ask, as `collector.toml` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Updates {
    /// After so many seconds.
    pub ask_every_s: u32,
}

impl Default for Updates {
    fn default() -> Self {
        Self { ask_every_s: 900 }
    }
}

/// Why a release is not offered.
#[derive(Debug, Error)]
pub enum OfferError {
    /// It is none.
    #[error("reading the release {path}")]
    Release {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: ReleaseError,
    },
    /// It cannot be kept.
    #[error("keeping the release in {path}")]
    Keep {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a release that was given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Agents that it was given to.
    pub given: usize,
    /// Of these, those that run it and have shown that they report.
    pub confirmed: usize,
    /// Those that rolled it back or refused it.
    pub failed: usize,
    /// Those that have told nothing of it for hours.
    pub silent: usize,
}

impl Tally {
    /// What became of this release at this time.
    #[must_use]
    pub fn of(serial: u64, seen: &[ProgramSeen], now: UnixMillis) -> Self {
        let mut tally = Self::default();
        let is_this = |failed: &Option<crate::wire::Failed>| {
            failed.as_ref().is_some_and(|it| it.serial == serial)
        };
        for one in seen.iter().filter(|one| one.given == Some(serial)) {
            let report = &one.report;
            tally.given += 1;
            if is_this(&report.rolled_back) || is_this(&report.refused) {
                tally.failed += 1;
            } else if report.serial >= Some(serial) && !report.on_trial {
                tally.confirmed += 1;
            } else if one
                .given_at
                .is_some_and(|at| now.0.saturating_sub(at.0) > SILENT_AFTER_MS)
            {
                tally.silent += 1;
            }
        }
        tally
    }

    /// Whether one more agent may try it.
    fn has_room(self) -> bool {
        let done = self.confirmed + self.failed + self.silent;
        let on_trial = self.given.saturating_sub(done);
        on_trial < self.confirmed.clamp(1, MOST_ON_TRIAL)
    }

    /// Why it is to be given to nobody any more.
    fn flaw(self) -> Option<String> {
        let lost = self.failed + self.silent;
        (lost > self.given / ONE_MAY_FAIL_IN).then(|| {
            format!(
                "of {} agents that were given it, {} went back and {} have not reported since",
                self.given, self.failed, self.silent
            )
        })
    }
}

/// Whether an agent is among the first so many percent. It stays so when the percentage grows, and with another
/// release others are first.
fn is_in_stage(release: &Digest, agent: &AgentId, percent: u8) -> bool {
    let both = [release.as_bytes().as_slice(), agent.as_str().as_bytes()].concat();
    let drawn = digest(&SHA256, &both);
    let drawn = drawn.as_ref().iter().take(4);
    let drawn = drawn.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    drawn * 100 < u64::from(percent) << 32
}

impl Collector {
    fn release_file(&self, sha256: &Digest) -> PathBuf {
        self.data.join(FOLDER).join(format!("{sha256}.release"))
    }

    /// Offers a release to the agents of these sites, so many percent of them. Offered again it goes on, also where it
    /// was halted.
    ///
    /// # Errors
    /// Where the file is no release or cannot be kept.
    pub fn offer(
        &self,
        file: &Path,
        (stage, sites): (u8, Option<Vec<String>>),
        now: UnixMillis,
    ) -> Result<Head, OfferError> {
        let unreadable = |path: &Path| {
            let path = path.display().to_string();
            move |source| OfferError::Release { path, source }
        };
        let head = release::open(file).map_err(unreadable(file))?;
        let kept = self.release_file(&head.release.sha256);
        let keep = || {
            if let Some(folder) = kept.parent() {
                fs::create_dir_all(folder)?;
                // Also for a collector that runs as another user: what is in it is no secret.
                fs::set_permissions(folder, Permissions::from_mode(0o755))?;
            }
            let new = kept.with_extension("new");
            fs::copy(file, &new)?;
            fs::set_permissions(&new, Permissions::from_mode(0o644))?;
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, &kept)
        };
        keep().map_err(|source| OfferError::Keep {
            path: kept.display().to_string(),
            source,
        })?;
        // What was copied is what was looked at.
        let head = release::open(&kept).map_err(unreadable(&kept))?;
        self.store().keep_offer(&Offer {
            target: head.release.target.clone(),
            release: head.signed.clone(),
            stage,
            sites,
            offered_at: now,
            halted: None,
        })?;
        Ok(head)
    }

    /// What an agent that reports what it runs may fetch.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) fn update_for(
        &self,
        site: &str,
        report: ProgramReport,
        now: UnixMillis,
    ) -> Result<UpdateAnswer, StoreError> {
        // One after another: otherwise all who ask at once would be the first.
        let _turn = self.updating();
        let store = self.store();
        let before = store.program(&report.agent)?;
        let mut seen = ProgramSeen {
            reported_at: now,
            given: before.as_ref().and_then(|seen| seen.given),
            given_at: before.and_then(|seen| seen.given_at),
            report,
        };
        store.keep_program(&seen)?;
        let mut answer = UpdateAnswer {
            release: None,
            again_in_s: self.updates.ask_every_s.into(),
        };
        let offers = store.offers()?;
        let for_it = |offer: &&Offer| offer.target == seen.report.target;
        let Some(offer) = offers.iter().find(for_it) else {
            return Ok(answer);
        };
        if self.may_have(offer, site, &mut seen, now)? {
            store.keep_program(&seen)?;
            answer.release = Some(offer.release.clone());
        }
        Ok(answer)
    }

    /// Whether an agent may have an offer now; notes that it was given.
    fn may_have(
        &self,
        offer: &Offer,
        site: &str,
        seen: &mut ProgramSeen,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let Ok(release) = release::stated(&offer.release) else {
            return Ok(false);
        };
        let serial = release.serial;
        let store = self.store();
        if offer.halted.is_some() {
            return Ok(false);
        }
        let tally = Tally::of(serial, &store.programs(Some(serial))?, now);
        if let Some(why) = tally.flaw() {
            tracing::error!(
                version = release.version,
                serial,
                target = offer.target,
                why,
                "a release is halted: no agent is given it any more, until it is offered again"
            );
            store.keep_offer(&Offer {
                halted: Some(why),
                ..offer.clone()
            })?;
            return Ok(false);
        }
        let report = &seen.report;
        let of_these = [&report.rolled_back, &report.refused];
        let has_failed = of_these
            .iter()
            .any(|it| it.as_ref().is_some_and(|it| it.serial == serial));
        let is_of_site = offer
            .sites
            .as_ref()
            .is_none_or(|sites| sites.iter().any(|one| one == site));
        let wants =
            report.takes && !report.on_trial && report.serial != Some(serial) && !has_failed;
        if !wants || !is_of_site || !is_in_stage(&release.sha256, &report.agent, offer.stage) {
            return Ok(false);
        }
        if seen.given == Some(serial) {
            return Ok(true);
        }
        if !tally.has_room() {
            return Ok(false);
        }
        seen.given = Some(serial);
        seen.given_at = Some(now);
        Ok(true)
    }

    /// A part of the program of an offer; `None` where no offer has this program.
    ///
    /// # Errors
    /// Where the store fails or the file cannot be read.
    pub(super) fn part_of_program(
        &self,
        sha256: &Digest,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<u8>>, OfferError> {
        let offers = self.store().offers()?;
        let is_offered = offers.iter().any(|offer| {
            let stated = offer.release.stated();
            stated.is_ok_and(|release| release.sha256 == *sha256)
        });
        if !is_offered {
            return Ok(None);
        }
        let path = self.release_file(sha256);
        match release::part(&path, from, most) {
            Ok(part) => Ok(Some(part)),
            Err(source) => Err(OfferError::Release {
                path: path.display().to_string(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CollectorId, Failed};

    const SERIAL: u64 = 7;

    fn agent(which: u8) -> AgentId {
        AgentId::of_key(&[which; 32])
    }

    fn seen(which: u8) -> ProgramSeen {
        ProgramSeen {
            reported_at: UnixMillis(0),
            report: ProgramReport {
                collector: CollectorId::of_key(&[0; 32]),
                agent: agent(which),
                target: crate::wire::TARGET.to_owned(),
                version: "0.1.0".to_owned(),
                serial: None,
                on_trial: false,
                takes: true,
                rolled_back: None,
                refused: None,
            },
            given: Some(SERIAL),
            given_at: Some(UnixMillis(0)),
        }
    }

    fn confirmed(which: u8) -> ProgramSeen {
        let mut one = seen(which);
        one.report.serial = Some(SERIAL);
        one
    }

    fn failed(which: u8) -> ProgramSeen {
        let mut one = seen(which);
        one.report.rolled_back = Some(Failed::of(SERIAL, "0.7.0", "it ended"));
        one
    }

    fn tally(all: &[ProgramSeen], now: i64) -> Tally {
        Tally::of(SERIAL, all, UnixMillis(now))
    }

    #[test]
    fn no_more_try_a_release_than_have_shown_that_they_report_with_it() {
        assert!(tally(&[], 0).has_room());
        assert!(!tally(&[seen(1)], 0).has_room());
        let two = [confirmed(1), confirmed(2)];
        assert!(tally(&[&two[..], &[seen(3)]].concat(), 0).has_room());
        assert!(!tally(&[&two[..], &[seen(3), seen(4)]].concat(), 0).has_room());
        let mut on_trial = confirmed(1);
        on_trial.report.on_trial = true;
        assert!(!tally(&[on_trial], 0).has_room());
    }

    #[test]
    fn of_few_none_may_fail_and_of_many_one_in_twenty() {
        assert_eq!(tally(&[confirmed(1)], 0).flaw(), None);
        assert!(tally(&[failed(1)], 0).flaw().is_some());
        let many: Vec<ProgramSeen> = (0..39).map(confirmed).collect();
        let with = |n: u8| {
            tally(
                &[many.clone(), (50..50 + n).map(failed).collect()].concat(),
                0,
            )
        };
        assert_eq!(with(2).flaw(), None);
        assert!(with(3).flaw().is_some());
    }

    #[test]
    fn who_tells_nothing_for_hours_has_not_reported() {
        assert_eq!(tally(&[seen(1)], SILENT_AFTER_MS).flaw(), None);
        let late = tally(&[seen(1)], SILENT_AFTER_MS + 1);
        assert_eq!((late.silent, late.flaw().is_some()), (1, true));
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says_and_only_grows() {
        let release = Digest::of(b"program");
        let agents: Vec<AgentId> = (0..200_u8).map(agent).collect();
        let of = |percent| -> Vec<&AgentId> {
            let agents = agents.iter();
            agents
                .filter(|agent| is_in_stage(&release, agent, percent))
                .collect()
        };
        assert!(of(0).is_empty());
        assert_eq!(of(100).len(), 200);
        assert!((20..60).contains(&of(20).len()), "{}", of(20).len());
        assert!(of(20).iter().all(|agent| of(40).contains(agent)));
        let other = Digest::of(b"another program");
        assert_ne!(
            of(20),
            agents
                .iter()
                .filter(|agent| is_in_stage(&other, agent, 20))
                .collect::<Vec<_>>()
        );
    }
}
