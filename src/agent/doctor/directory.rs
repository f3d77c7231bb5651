//! The agent's directory: enrolment, key, limits, schedule, spool, disk.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use messnetz_probes::link;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::Finding;
use crate::agent::causes::with_causes;
use crate::agent::spool::Spool;
use crate::agent::state::{Enrolment, Heard, StateDirectory, StateError};
use crate::wire::{AgentId, Standing, Ticket};

/// With less room than this, in bytes, nothing can be kept soon: a batch alone takes up to a few megabytes.
const NO_ROOM: u64 = 4 << 20;

/// With less room than this, in bytes, a week without the collector does not fit.
const LITTLE_ROOM: u64 = 256 << 20;

/// Observations that wait beyond this tell that uploads do not get through: some hours of the usual schedule.
const MANY_WAITING: u64 = 5_000;

pub(super) fn examine(state: &StateDirectory, limits: Option<&Path>) -> Vec<Finding> {
    let enrolled = state.enrolment();
    let mut findings = vec![enrolment(state, enrolled.as_ref())];
    let Ok(enrolment) = enrolled else {
        return findings;
    };
    findings.push(standing(state.heard(), &enrolment.agent));
    findings.push(key(state, &enrolment));
    findings.push(at_work(state));
    findings.push(schedule(state, &enrolment, limits));
    findings.push(spool(state));
    findings.push(disk(state));
    findings.push(self_test(state));
    findings
}

fn enrolment(state: &StateDirectory, enrolled: Result<&Enrolment, &StateError>) -> Finding {
    const WHAT: &str = "enrolment";
    let path = state.path().display();
    match enrolled {
        Ok(Enrolment {
            agent,
            site,
            collector,
            ..
        }) => Finding::ok(WHAT, format_args!("{agent} for {site} at {collector}")),
        Err(StateError::NotEnrolled { .. })
            if let (Ok(Some(ticket)), Some(own)) = (state.waiting_ticket(), state.own_id()) =>
        {
            waiting(&ticket, &own)
        }
        Err(StateError::NotEnrolled { .. }) => Finding::wrong(
            WHAT,
            format_args!("{path} holds none"),
            format_args!("messnetz agent enrol TICKET --state {path}"),
        ),
        Err(error @ StateError::File { .. }) => Finding::wrong(
            WHAT,
            with_causes(error),
            "run this as root, or as the user that the agent runs as",
        ),
        Err(error) => Finding::wrong(
            WHAT,
            with_causes(error),
            format_args!(
                "enrol anew with a new ticket: move {path} away, then messnetz agent enrol"
            ),
        ),
    }
}

/// A ticket was redeemed, and nobody has let this box in yet.
fn waiting(ticket: &Ticket, own: &AgentId) -> Finding {
    let Ticket {
        collector, site, ..
    } = ticket;
    let own = own.in_groups();
    Finding::wrong(
        "enrolment",
        format_args!("{own} waits until the operator of {collector} has let it in for {site}"),
        format_args!(
            "tell him this fingerprint; on the collector: messnetz collector approve {own}"
        ),
    )
}

/// What the collector said last of this agent. Without a word of it, it was let in when it enrolled.
fn standing(heard: Option<Heard>, own: &AgentId) -> Finding {
    const WHAT: &str = "standing";
    let Some(Heard { standing, since }) = heard else {
        return Finding::ok(WHAT, "it was let in; nothing was heard since");
    };
    let since = Timestamp::from_millisecond(since.0).unwrap_or_default();
    let said = format!(
        "{} since {}",
        standing.as_str(),
        since.strftime("%Y-%m-%d %H:%M UTC")
    );
    match standing {
        Standing::Approved => Finding::ok(WHAT, said),
        Standing::Pending => Finding::wrong(
            WHAT,
            said,
            format_args!(
                "on the collector: messnetz collector approve {}",
                own.in_groups()
            ),
        ),
        Standing::Quarantined => Finding::wrong(
            WHAT,
            format_args!("{said}: its numbers came twice with different content"),
            format_args!(
                "find and switch off the second box, then on the collector: messnetz collector release {own}"
            ),
        ),
        Standing::Revoked => Finding::wrong(
            WHAT,
            format_args!("{said}, for good"),
            "enrol with another directory and a new ticket, if this box is to measure again",
        ),
    }
}

fn key(state: &StateDirectory, enrolment: &Enrolment) -> Finding {
    const WHAT: &str = "key";
    let file = state.key_file();
    let path = file.display();
    let mode = match fs::metadata(&file) {
        Ok(about) => about.permissions().mode() & 0o777,
        Err(error) => {
            return Finding::wrong(
                WHAT,
                format_args!("{path}: {error}"),
                "without its key this box is nobody: enrol anew with a new ticket",
            );
        }
    };
    let key = match state.key() {
        Ok(key) => key,
        Err(error) => {
            return Finding::wrong(
                WHAT,
                with_causes(&error),
                "run this as the agent's user; a damaged key cannot be mended: enrol anew",
            );
        }
    };
    if key.id() != enrolment.agent {
        return Finding::wrong(
            WHAT,
            format_args!("{path} is the key of {}, not of the enrolment", key.id()),
            "the directory was mixed up from two boxes: enrol anew with a new ticket",
        );
    }
    if mode & 0o077 != 0 {
        return Finding::wrong(
            WHAT,
            format_args!("others may read or change {path} (mode {mode:03o})"),
            format_args!("chmod 600 {path}; who has read it can measure as this box: enrol anew"),
        );
    }
    Finding::ok(WHAT, format_args!("for its owner only (mode {mode:03o})"))
}

fn at_work(state: &StateDirectory) -> Finding {
    const WHAT: &str = "at work";
    match state.lock() {
        Err(StateError::InUse { .. }) => Finding::ok(WHAT, "an agent works in this directory"),
        Ok(_) => Finding::warn(
            WHAT,
            "no agent works in this directory",
            "systemctl start messnetz-agent, or messnetz agent run",
        ),
        Err(error) => Finding::wrong(WHAT, with_causes(&error), "run this as the agent's user"),
    }
}

fn schedule(state: &StateDirectory, enrolment: &Enrolment, limits: Option<&Path>) -> Finding {
    const WHAT: &str = "schedule";
    let limits = match state.limits(limits) {
        Ok(limits) => limits,
        Err(error) => {
            return Finding::wrong(
                WHAT,
                with_causes(&error),
                "repair the limits: the agent does not start without them",
            );
        }
    };
    let schedule = match enrolment.assignment() {
        Ok(assignment) => assignment.schedule,
        Err(error) => {
            return Finding::wrong(
                WHAT,
                with_causes(&error),
                "nothing is measured until the collector sends one; if that does not come, enrol anew",
            );
        }
    };
    if schedule.tasks.is_empty() {
        return Finding::warn(
            WHAT,
            "it has no task",
            "on the collector: is the site in the site file, and does collector.toml have tasks?",
        );
    }
    let refused = limits
        .admit(&schedule)
        .find_map(|(_, admitted)| admitted.err());
    if let Some(failure) = refused {
        return Finding::warn(
            WHAT,
            format_args!("a task is beyond the limits of this box: {failure}"),
            "change collector.toml, or this box's limits.toml (messnetz agent limits)",
        );
    }
    let there: BTreeSet<String> = link::interfaces().unwrap_or_default().into_iter().collect();
    let named = schedule
        .tasks
        .iter()
        .filter_map(|task| task.interface.as_ref());
    let missing: BTreeSet<&str> = named
        .filter(|name| !there.contains(*name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let missing = Vec::from_iter(missing).join(", ");
        let there = Vec::from_iter(there).join(", ");
        return Finding::warn(
            WHAT,
            format_args!("tasks want the interface {missing}; this box has {there}"),
            "plug it in, or name another interface in collector.toml",
        );
    }
    Finding::ok(WHAT, format_args!("{} tasks", schedule.tasks.len()))
}

fn spool(state: &StateDirectory) -> Finding {
    const WHAT: &str = "spool";
    let path = state.spool_file();
    if !path.exists() {
        return Finding::ok(WHAT, "there is none yet: the agent makes it");
    }
    let (contents, receipt) = match Spool::look_into(&path) {
        Ok(read) => read,
        Err(error) => {
            return Finding::wrong(
                WHAT,
                with_causes(&error),
                format_args!(
                    "run this as the agent's user; where {} is damaged, restart the agent: it sets it aside and begins another",
                    path.display()
                ),
            );
        }
    };
    let receipt = receipt.and_then(|signed| signed.stated().ok());
    let receipt = receipt.map_or_else(
        || "nothing was acknowledged yet".to_owned(),
        |last| {
            format!(
                "batch {} of epoch {} was acknowledged last",
                last.sequence, last.epoch
            )
        },
    );
    let saw = format!(
        "{} observations and {} batches wait; {receipt}; {} batches refused, {} observations given up, {} unreadable",
        contents.observations,
        contents.batches,
        contents.refused,
        contents.given_up,
        contents.unreadable
    );
    if contents.observations > MANY_WAITING {
        let remedy = "uploads do not get through: see `reach`; nothing is lost while there is room";
        return Finding::warn(WHAT, saw, remedy);
    }
    if contents.refused + contents.given_up + contents.unreadable > 0 {
        let remedy = "these are lost to the collector; the agent's log says why (journalctl -u messnetz-agent)";
        return Finding::warn(WHAT, saw, remedy);
    }
    Finding::ok(WHAT, saw)
}

fn disk(state: &StateDirectory) -> Finding {
    const WHAT: &str = "disk";
    let path = state.path().display();
    if let Err(error) = access(state.path(), AccessFlags::W_OK) {
        return Finding::wrong(
            WHAT,
            format_args!("{path} cannot be written: {error}"),
            "run this as the agent's user; a card that has become read-only is worn out: replace it",
        );
    }
    match statvfs(state.path()) {
        Ok(about) => room(about.blocks_available() * about.fragment_size()),
        Err(error) => Finding::warn(
            WHAT,
            format_args!("{path} does not tell how much room it has: {error}"),
            "look with df",
        ),
    }
}

/// What so many free bytes mean.
fn room(free: u64) -> Finding {
    const WHAT: &str = "disk";
    const REMEDY: &str = "make room: measurements are given up where they cannot be kept";
    let saw = format!("{} MB free", free / 1_000_000);
    match free {
        0..NO_ROOM => Finding::wrong(WHAT, saw, REMEDY),
        NO_ROOM..LITTLE_ROOM => Finding::warn(WHAT, saw, REMEDY),
        _ => Finding::ok(WHAT, saw),
    }
}

fn self_test(state: &StateDirectory) -> Finding {
    let told = state.self_test();
    let ceilings = [
        ("ndt7", told.ceilings.ndt7),
        ("iperf3", told.ceilings.iperf3),
    ];
    let known = ceilings
        .into_iter()
        .filter_map(|(name, rate)| Some(format!("{:.0} Mbit/s by {name}", rate?.as_mbps())));
    let known: Vec<String> = known.collect();
    Finding::ok(
        "self-test",
        match (told.at, known.as_slice()) {
            (None, _) => {
                "not done yet: the agent does it before the first capacity test".to_owned()
            }
            (Some(_), []) => {
                "done, without a result: the agent tries again within the hour".to_owned()
            }
            (Some(_), known) => format!("this box itself carries {}", known.join(", ")),
        },
    )
}

#[cfg(test)]
mod tests {
    use messnetz_metric::UnixMillis;

    use super::super::Standing as Finds;
    use super::*;

    #[test]
    fn only_an_agent_that_is_in_stands_well_and_the_others_are_told_what_helps() {
        let own = AgentId::of_key(&[1; 32]);
        let found = |standing| {
            let since = UnixMillis(1_795_000_000_000);
            super::standing(Some(Heard { standing, since }), &own)
        };
        assert_eq!(super::standing(None, &own).standing, Finds::Ok);
        assert_eq!(found(Standing::Approved).standing, Finds::Ok);
        for (standing, helps) in [
            (Standing::Pending, "collector approve"),
            (Standing::Quarantined, "collector release"),
            (Standing::Revoked, "new ticket"),
        ] {
            let found = found(standing);
            assert_eq!(found.standing, Finds::Wrong);
            assert!(found.saw.starts_with(standing.as_str()), "{}", found.saw);
            assert!(found.remedy.unwrap().contains(helps));
        }
    }

    #[test]
    fn room_for_no_batch_is_wrong_and_room_for_no_week_is_a_warning() {
        assert_eq!(room(0).standing, Finds::Wrong);
        assert_eq!(room(NO_ROOM - 1).standing, Finds::Wrong);
        assert_eq!(room(NO_ROOM).standing, Finds::Warn);
        assert_eq!(room(LITTLE_ROOM).standing, Finds::Ok);
    }
}
