//! Which schedule each agent was given last: signed anew only when there is something new to say, under a serial
//! that grows whatever becomes of the clock, the process or the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use messnetz_metric::UnixMillis;
use ring::digest;

use super::receipts::ReceiptKey;
use crate::store::{Store, StoreError};
use crate::wire::{AgentId, Assignment, SCHEDULE_FORMAT, Schedule, SignedSchedule};

/// What was signed last, by agent: most requests are answered without the store.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    last: Mutex<HashMap<AgentId, Issued>>,
}

/// An assignment that was signed.
#[derive(Clone, Debug)]
struct Issued {
    site: String,
    /// SHA-256 of the schedule as JSON.
    schedule: Vec<u8>,
    signed: SignedSchedule,
}

impl Assignments {
    /// The signed schedule for an agent at a site: the last one, where it says the same.
    ///
    /// # Errors
    /// Where the store fails, or holds what this program does not write.
    pub(super) fn signed(
        &self,
        store: &dyn Store,
        key: &ReceiptKey,
        (site, agent): (&str, &AgentId),
        schedule: Schedule,
        now: UnixMillis,
    ) -> Result<SignedSchedule, StoreError> {
        let hash = hash_of(&schedule)?;
        let says_so = |issued: &Issued| issued.site == site && issued.schedule == hash;
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issued) = last().get(agent).filter(|issued| says_so(issued)) {
            return Ok(issued.signed.clone());
        }
        let kept = store.schedule(site, agent)?;
        let kept = kept.as_deref().map(read).transpose()?;
        let signed = match kept {
            Some((signed, kept))
                if kept.collector == key.id() && kept.site == site && kept.schedule == schedule =>
            {
                signed
            }
            kept => {
                let before = kept.map_or(0, |(_, kept)| kept.serial);
                let assignment = Assignment {
                    format: SCHEDULE_FORMAT.to_owned(),
                    collector: key.id(),
                    agent: agent.clone(),
                    site: site.to_owned(),
                    // A restored store knows an earlier serial; the time has gone on.
                    serial: before.saturating_add(1).max(now.0.max(0).cast_unsigned()),
                    issued_at: now,
                    schedule,
                };
                let signed = key
                    .assign(&assignment)
                    .map_err(|error| unwritable(&error))?;
                let document =
                    serde_json::to_string(&signed).map_err(|error| unwritable(&error))?;
                store.keep_schedule(site, agent, &document)?;
                signed
            }
        };
        let issued = Issued {
            site: site.to_owned(),
            schedule: hash,
            signed: signed.clone(),
        };
        last().insert(agent.clone(), issued);
        Ok(signed)
    }
}

fn hash_of(schedule: &Schedule) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec(schedule).map_err(|error| unwritable(&error))?;
    Ok(digest::digest(&digest::SHA256, &text).as_ref().to_vec())
}

fn read(document: &str) -> Result<(SignedSchedule, Assignment), StoreError> {
    let read = || {
        let signed: SignedSchedule = serde_json::from_str(document)?;
        let stated = signed.stated()?;
        Ok::<_, serde_json::Error>((signed, stated))
    };
    read().map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        what: "a signed schedule",
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    const SITE: &str = "XX-100001/main";

    fn schedule(upload_every_ms: u64) -> Schedule {
        Schedule {
            upload_every_ms,
            ..Schedule::default()
        }
    }

    #[test]
    fn a_schedule_is_signed_anew_only_when_it_changes_and_its_serial_always_grows() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let key = ReceiptKey::read(&ReceiptKey::generate().unwrap()).unwrap();
        let agent = AgentId::of_key(&[1; 32]);
        let give = |assignments: &Assignments, site: &str, upload, now| {
            let signed = assignments
                .signed(
                    &store,
                    &key,
                    (site, &agent),
                    schedule(upload),
                    UnixMillis(now),
                )
                .unwrap();
            let verified = signed.verified(&key.public_half(), &agent, site).unwrap();
            (signed, verified.serial)
        };
        let running = Assignments::default();
        let first = give(&running, SITE, 1, 1_000);
        assert_eq!(first.1, 1_000);
        assert_eq!(give(&running, SITE, 1, 2_000), first);
        let restarted = Assignments::default();
        assert_eq!(give(&restarted, SITE, 1, 3_000), first, "after a restart");
        let set_back = give(&restarted, SITE, 2, 500);
        assert_eq!(set_back.1, 1_001, "the clock was set back");
        assert_eq!(give(&running, SITE, 2, 5_000).1, 1_001);
        let moved = give(&restarted, "XX-100002/main", 2, 9_000);
        assert_eq!(moved.1, 9_000);
    }
}
