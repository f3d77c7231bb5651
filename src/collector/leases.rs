//! Which slots each agent has leased: those of the next day and a half, each for one test, kept in the store before
//! anybody is told of them. The seed of the draws is kept as well, so that a plan can be defended.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use messnetz_metric::UnixMillis;
use messnetz_sites::calendar::Zone;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

use super::lanes::Share;
use super::slots::{Grid, Occupancy};
use crate::store::{Lease, Store, StoreError};
use crate::wire::{AgentId, Schedule, Slot, Task, hex};

const SEED: &str = "slot-seed";

/// How far ahead slots are leased, in milliseconds. They are leased anew when a third of it is over, so that an
/// agent has those of a day at least.
const AHEAD_MS: u64 = 36 * 60 * 60 * 1_000;

/// Most slots of one agent at a time: where tests come so often, they reach less far.
const MOST_SLOTS: u64 = 128;

/// A slot begins no sooner than this after it is leased, in milliseconds: its agent has to hear of it.
const NOTICE_MS: u64 = 500;

/// Slots are kept in the store for so long after they are over, in milliseconds.
const KEPT_MS: i64 = 400 * 24 * 60 * 60 * 1_000;

/// Slots cannot be leased.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// Keeping them.
    #[error("keeping the leased slots in the store")]
    Store(#[from] StoreError),
    /// The seed.
    #[error("drawing the seed of the slots: the operating system gave no random numbers")]
    NoRandom,
}

/// All leases of a collector.
#[derive(Debug)]
pub(super) struct Leases {
    seed: Vec<u8>,
    grid: Option<Grid>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    occupancy: Occupancy,
    of_agents: HashMap<(String, AgentId), Held>,
}

/// What one agent has leased.
#[derive(Debug, Default)]
struct Held {
    leases: Vec<Lease>,
    /// When it is looked at again; between, it is told the same.
    again_at_ms: u64,
}

/// Whom slots are leased for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenant<'a> {
    pub(super) site: &'a str,
    pub(super) agent: &'a AgentId,
    /// What its tests go through.
    pub(super) shares: &'a [Share],
    /// Whose hours its day has.
    pub(super) zone: &'a Zone,
}

impl Leases {
    /// What the store holds.
    ///
    /// # Errors
    /// Where the store fails or there is no seed to be had.
    pub(super) fn open(
        store: &dyn Store,
        grid: Option<Grid>,
        now: UnixMillis,
    ) -> Result<Self, LeaseError> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| LeaseError::NoRandom)?;
        let seed = store.setting_or_insert(SEED, &seed)?;
        store.forget_leases(UnixMillis(now.0.saturating_sub(KEPT_MS)))?;
        let mut state = State::default();
        for lease in store.leases(now)? {
            let shares: Vec<Share> =
                serde_json::from_str(&lease.lanes).map_err(|error| damaged(&error))?;
            state.occupancy.add(&shares, &span(&lease));
            let whose = (lease.site.clone(), lease.agent.clone());
            let held = state.of_agents.entry(whose).or_default();
            held.leases.push(lease);
        }
        Ok(Self {
            seed,
            grid,
            state: Mutex::new(state),
        })
    }

    /// The schedule with the slots of its tests. A test that finds no room in a period has none in it.
    ///
    /// # Errors
    /// Where the store fails; then nothing is leased.
    pub(super) fn fill(
        &self,
        store: &dyn Store,
        tenant: Tenant<'_>,
        mut schedule: Schedule,
        now: UnixMillis,
    ) -> Result<Schedule, StoreError> {
        let now_ms = now.0.max(0).cast_unsigned();
        let Some(grid) = self.grid else {
            return Ok(schedule);
        };
        let is_leased = |task: &&mut Task| task.probe.is_leased();
        let mut tests: Vec<&mut Task> = schedule.tasks.iter_mut().filter(is_leased).collect();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            occupancy,
            of_agents,
        } = &mut *state;
        let whose = (tenant.site.to_owned(), tenant.agent.clone());
        let held = of_agents.entry(whose).or_default();
        if now_ms >= held.again_at_ms {
            occupancy.forget_before(now_ms);
            held.leases.retain(|lease| lease.until.0 > now.0);
            let most = MOST_SLOTS / (tests.len().max(1) as u64);
            let mut reach = AHEAD_MS;
            let mut new = Vec::new();
            for task in &tests {
                let every = task.every_ms.max(1);
                reach = reach.min(every.saturating_mul(most));
                let until = now_ms.saturating_add(AHEAD_MS);
                let periods = (now_ms / every..).take(most as usize);
                for period in periods.take_while(|period| period.saturating_mul(every) < until) {
                    new.extend(self.lease(
                        grid,
                        occupancy,
                        held,
                        (tenant, task),
                        period,
                        now_ms,
                    )?);
                }
            }
            store.keep_leases(&new)?;
            held.leases.extend(new);
            held.leases.sort_by_key(|lease| lease.at.0);
            held.again_at_ms = now_ms.saturating_add(reach / 3).max(now_ms + 1);
        }
        for task in &mut tests {
            let key = key_of(task)?;
            let slots = held.leases.iter().filter(|lease| lease.task == key);
            let slot = |lease: &Lease| Slot {
                at_ms: span(lease).start,
                until_ms: span(lease).end,
                token: lease.token.clone(),
            };
            task.slots = Some(slots.map(slot).collect());
        }
        Ok(schedule)
    }

    /// The slot of one test in one of its periods; `None` where it has one, or there is no room.
    fn lease(
        &self,
        grid: Grid,
        occupancy: &mut Occupancy,
        held: &Held,
        (tenant, task): (Tenant<'_>, &Task),
        period: u64,
        now_ms: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let key = key_of(task)?;
        let every = task.every_ms.max(1);
        let begins = period.saturating_mul(every);
        let window = begins..begins.saturating_add(every);
        let is_here = |lease: &&Lease| lease.task == key && window.contains(&span(lease).start);
        if held.leases.iter().find(is_here).is_some() {
            return Ok(None);
        }
        let window = window.start.max(now_ms + NOTICE_MS)..window.end;
        let drawn = self.draw(tenant, &key, period);
        let (first, token) = drawn.split_at(8);
        let seed = first
            .iter()
            .fold(0, |seed, octet| seed << 8 | u64::from(*octet));
        let is_open = |slot: &Range<u64>| {
            let minute = |at: u64| {
                let clock = tenant.zone.clock(UnixMillis(at.cast_signed()))?;
                let minutes = i32::from(clock.hour()) * 60 + i32::from(clock.minute());
                u16::try_from(minutes).ok()
            };
            task.hours.is_none_or(|hours| {
                let within = |at| minute(at).is_some_and(|minute| hours.include(minute));
                within(slot.start) && within(slot.end - 1)
            })
        };
        let Some(slot) = occupancy.find(grid, tenant.shares, &window, is_open, seed) else {
            // What is left of the running period may be too short; nobody promised it.
            if window.start == begins {
                let (site, agent) = (tenant.site, tenant.agent);
                tracing::warn!(site, %agent, task = key, at_ms = begins, "there is no room for this test in its period: it is left out");
            }
            return Ok(None);
        };
        occupancy.add(tenant.shares, &slot);
        Ok(Some(Lease {
            site: tenant.site.to_owned(),
            agent: tenant.agent.clone(),
            task: key,
            at: UnixMillis(slot.start.cast_signed()),
            until: UnixMillis(slot.end.cast_signed()),
            lanes: serde_json::to_string(tenant.shares).map_err(|error| damaged(&error))?,
            token: hex(&token[..16]),
        }))
    }

    /// What chance says of one test in one period: the same whenever it is asked.
    fn draw(&self, tenant: Tenant<'_>, key: &str, period: u64) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.seed);
        for part in [tenant.site, tenant.agent.as_str(), key, &period.to_string()] {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        context.finish().as_ref().to_vec()
    }
}

/// What a task is known by, whatever its phase and its slots are.
fn key_of(task: &Task) -> Result<String, StoreError> {
    let task = Task {
        phase_ms: 0,
        slots: None,
        ..task.clone()
    };
    serde_json::to_string(&task).map_err(|error| damaged(&error))
}

fn span(lease: &Lease) -> Range<u64> {
    lease.at.0.max(0).cast_unsigned()..lease.until.0.max(0).cast_unsigned()
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        what: "a leased slot",
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use messnetz_metric::Direction;

    use super::*;
    use crate::store::SqliteStore;
    use crate::wire::Probe;

    const HOUR: i64 = 3_600_000;

    fn share(lane: &str) -> Share {
        Share {
            lane: lane.to_owned(),
            takes: 1,
            of: 1,
        }
    }

    fn schedule(hours: Option<&str>) -> Schedule {
        let test = |direction| Task {
            every_ms: 21_600_000,
            phase_ms: 7,
            interface: None,
            hours: hours.map(|hours| hours.to_owned().try_into().unwrap()),
            slots: None,
            probe: Probe::Ndt7 {
                direction,
                duration_ms: 10_000,
                congestion: None,
            },
        };
        let link = Task {
            probe: Probe::Link,
            hours: None,
            ..test(Direction::Up)
        };
        Schedule {
            tasks: vec![test(Direction::Down), link, test(Direction::Up)],
            ..Schedule::default()
        }
    }

    struct Town {
        _folder: tempfile::TempDir,
        store: SqliteStore,
        zone: Zone,
        template: Schedule,
    }

    impl Town {
        fn new(hours: Option<&str>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
            Self {
                _folder: folder,
                store,
                zone: Zone::named("Europe/Berlin").unwrap(),
                template: schedule(hours),
            }
        }

        fn open(&self, now: i64) -> Leases {
            let grid = Grid::of(&self.template, 20);
            Leases::open(&self.store, grid, UnixMillis(now)).unwrap()
        }

        fn slots(&self, leases: &Leases, number: u8, now: i64) -> Vec<Slot> {
            let (site, agent) = (format!("XX-{number}/main"), AgentId::of_key(&[number; 32]));
            let shares = [share(&site), share("collector")];
            let tenant = Tenant {
                site: &site,
                agent: &agent,
                shares: &shares,
                zone: &self.zone,
            };
            let template = self.template.clone();
            let filled = leases.fill(&self.store, tenant, template, UnixMillis(now));
            let tasks = filled.unwrap().tasks;
            assert_eq!(tasks[1].slots, None, "only tests are leased");
            [&tasks[0], &tasks[2]]
                .into_iter()
                .flat_map(|task| task.slots.clone().unwrap())
                .collect()
        }
    }

    fn meet(slots: &[Slot]) -> bool {
        let mut slots: Vec<&Slot> = slots.iter().collect();
        slots.sort_by_key(|slot| slot.at_ms);
        slots
            .windows(2)
            .any(|pair| pair[1].at_ms < pair[0].until_ms)
    }

    #[test]
    fn twenty_schools_have_the_slots_of_a_day_and_a_half_and_no_two_meet() {
        let town = Town::new(None);
        let leases = town.open(10 * HOUR);
        let of_each: Vec<Vec<Slot>> = (0..20)
            .map(|school| town.slots(&leases, school, 10 * HOUR))
            .collect();
        for slots in &of_each {
            // Six whole periods of two tests, and what is left of the first.
            assert!((12..=14).contains(&slots.len()), "{}", slots.len());
            let last = slots.iter().map(|slot| slot.until_ms).max().unwrap();
            assert!(last > (40 * HOUR).cast_unsigned());
        }
        let all = of_each.concat();
        assert!(!meet(&all));
        let tokens: BTreeSet<&str> = all.iter().map(|slot| slot.token.as_str()).collect();
        assert_eq!(tokens.len(), all.len());
    }

    #[test]
    fn slots_are_leased_once_told_the_same_until_a_third_is_over_and_survive_a_restart() {
        let town = Town::new(None);
        let leases = town.open(0);
        let first = town.slots(&leases, 1, 0);
        assert_eq!(town.slots(&leases, 1, 11 * HOUR), first);
        let restarted = town.open(HOUR);
        let again = town.slots(&restarted, 1, HOUR);
        let still = |slot: &&Slot| slot.until_ms > HOUR.cast_unsigned();
        assert!(first.iter().filter(still).all(|slot| again.contains(slot)));
        let other = town.slots(&restarted, 2, HOUR);
        assert!(!meet(&[again.clone(), other].concat()));
        let later = town.slots(&restarted, 1, 14 * HOUR);
        let kept = again
            .iter()
            .filter(|slot| slot.until_ms > (14 * HOUR).cast_unsigned());
        assert!(kept.into_iter().all(|slot| later.contains(slot)));
        let last = later.iter().map(|slot| slot.until_ms).max().unwrap();
        assert!(last > (44 * HOUR).cast_unsigned());
    }

    #[test]
    fn tests_of_the_night_are_leased_in_the_night_of_the_school() {
        let town = Town::new(Some("20:00-06:00"));
        // 2026-11-23, 00:00 UTC, is 01:00 in Berlin.
        let now = 1_795_392_000_000;
        let leases = town.open(now);
        let slots = town.slots(&leases, 1, now);
        assert!(slots.len() >= 6, "{slots:?}");
        for slot in slots {
            let clock = town
                .zone
                .clock(UnixMillis(slot.at_ms.cast_signed()))
                .unwrap();
            assert!(clock.hour() >= 20 || clock.hour() < 6, "{clock}");
        }
    }
}
