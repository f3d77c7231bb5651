//! `messnetz agent status`: who this agent is, how it stands, what waits, which version runs.

use std::path::Path;

use messnetz_metric::UnixMillis;

use super::super::{Ending, print, print_json};
use crate::agent::{self, Contents, Spool, StateDirectory, StateError};
use crate::clock;
use crate::wire::{Standing, Ticket};

pub(super) fn run(state: &Path, json: bool) -> anyhow::Result<Ending> {
    let state = StateDirectory::new(state);
    let enrolment = match (state.enrolment(), state.waiting_ticket()) {
        (Err(StateError::NotEnrolled { .. }), Ok(Some(ticket))) => {
            return waits(&state, &ticket, json);
        }
        (enrolment, _) => enrolment?,
    };
    let heard = state.heard();
    let standing = heard.map_or(Standing::Approved, |heard| heard.standing);
    let assignment = enrolment.assignment().ok();
    let tasks = assignment.as_ref().map_or(0, |it| it.schedule.tasks.len());
    let (spool, receipt) = Spool::look_into(&state.spool_file())?;
    let versions = agent::versions(state.path());
    if json {
        print_json(&serde_json::json!({
            "agent": enrolment.agent,
            "site": enrolment.site,
            "collector": enrolment.collector,
            "tasks": tasks,
            "schedule_serial": assignment.as_ref().map(|it| it.serial),
            "waiting_observations": spool.observations,
            "waiting_batches": spool.batches,
            "refused_batches": spool.refused,
            "refused_batches_kept": spool.refused_kept,
            "given_up_observations": spool.given_up,
            "unreadable_observations": spool.unreadable,
            "spool_bytes": spool.bytes,
            "unflushed_observations": spool.unflushed,
            "flushed_until_unix_ms": spool.flushed_until,
            "written_bytes_a_day": spool.bytes_a_day,
            "gaps_to_tell": spool.gaps,
            "cut_frames": spool.cut,
            "files_set_aside": spool.set_aside,
            "disk_full": spool.disk_full,
            "last_receipt": receipt,
            "versions": versions,
            "standing": standing,
            "standing_since_unix_ms": heard.map(|heard| heard.since),
        }))?;
    } else {
        let receipt = match receipt.map(|signed| signed.stated()).transpose()? {
            Some(last) => format!("number {} of epoch {}", last.sequence, last.epoch),
            None => "none yet".to_owned(),
        };
        let serial = match &assignment {
            Some(assignment) => format!("number {}", assignment.serial),
            None => "without a signature that holds: nothing is measured".to_owned(),
        };
        print(&format!(
            "agent      {}\nstanding   {}\nsite       {}\ncollector  {}\ntasks      {tasks}, schedule {serial}\n{}\nreceipt    {receipt}\nversion    {versions}",
            enrolment.agent,
            standing.as_str(),
            enrolment.site,
            enrolment.collector,
            of_spool(&spool),
        ))?;
    }
    Ok(if standing == Standing::Approved {
        Ending::Well
    } else {
        Ending::Findings
    })
}

/// A ticket was redeemed, and nobody has let this agent in yet.
fn waits(state: &StateDirectory, ticket: &Ticket, json: bool) -> anyhow::Result<Ending> {
    let own = state.own_id();
    let standing = Standing::Pending;
    if json {
        print_json(&serde_json::json!({
            "agent": own,
            "standing": standing,
            "site": ticket.site,
            "collector": ticket.collector,
        }))?;
    } else {
        let own = own.map_or_else(|| "no key yet".to_owned(), |own| own.in_groups());
        print(&format!(
            "agent      {own}\nstanding   {}: the operator compares this fingerprint and lets it in\nsite       {}\ncollector  {}",
            standing.as_str(),
            ticket.site,
            ticket.collector
        ))?;
    }
    Ok(Ending::Findings)
}

/// What a reader has to know of a spool, in lines.
fn of_spool(spool: &Contents) -> String {
    let Contents {
        observations,
        batches,
        refused,
        refused_kept,
        given_up,
        unreadable,
        bytes,
        unflushed,
        flushed_until,
        bytes_a_day,
        gaps,
        cut,
        set_aside,
        disk_full,
    } = spool;
    let seconds_ago = |at: UnixMillis| (clock::now().0.saturating_sub(at.0) / 1_000).max(0);
    let flushed = flushed_until.map_or_else(
        || "nothing yet".to_owned(),
        |at| format!("all until {} s ago", seconds_ago(at)),
    );
    let wear = bytes_a_day.map_or_else(
        || "not known yet".to_owned(),
        |bytes| format!("{:.1} MB a day", bytes as f64 / 1e6),
    );
    let full = if *disk_full {
        "\nDISK FULL  what is measured is not kept: make room on the disk of the spool"
    } else {
        ""
    };
    [
        format!(
            "waiting    {observations} observations, {batches} sealed batches, in {bytes} bytes"
        ),
        format!("flushed    {flushed}; {unflushed} observations would be lost with the power"),
        format!("written    {wear}"),
        format!("refused    {refused} batches, {refused_kept} of them kept"),
        format!(
            "lost       {given_up} observations given up for room or age, {unreadable} unreadable"
        ),
        format!("damage     {cut} frames cut off the journal, {set_aside} files set aside"),
        format!("gaps       {gaps} to be told with the next batches{full}"),
    ]
    .join("\n")
}
