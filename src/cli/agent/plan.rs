//! `messnetz agent plan`: what an agent does within a day, and why.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::agent::{Plan, Planned, StateDirectory};
use crate::cli::{Ending, print, print_json};

/// Most slots that stand in a line of the table.
const SLOTS_SHOWN: usize = 8;

/// Whose plan, and how it is printed.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Directory for key, enrolment and spool
    #[arg(long, default_value = "messnetz-agent")]
    state: PathBuf,
    /// The limits; limits.toml in the directory where not given
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(wanted: &Wanted) -> anyhow::Result<Ending> {
    let state = StateDirectory::new(&wanted.state);
    let limits = state.limits(wanted.limits.as_deref())?;
    let plan = Plan::of(&state, &limits)?;
    if wanted.json {
        print_json(&plan)?;
    } else {
        print(table(&plan, &TimeZone::system()).trim_end())?;
    }
    Ok(if plan.leaves_out() {
        Ending::Findings
    } else {
        Ending::Well
    })
}

fn table(plan: &Plan, zone: &TimeZone) -> String {
    let clock = |millis: u64, form: &str| {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(millis).unwrap_or_default();
        at.to_zoned(zone.clone()).strftime(form).to_string()
    };
    let issued = u64::try_from(plan.issued_at.0).unwrap_or_default();
    let mut text = format!(
        "schedule {}, signed {}; 24 hours from {}\n",
        plan.serial,
        clock(issued, "%Y-%m-%d %H:%M"),
        clock(plan.from_unix_ms, "%Y-%m-%d %H:%M %Z"),
    );
    for Planned {
        probe,
        to,
        interface,
        next_unix_ms,
        times,
        slots,
        why,
        left_out,
    } in &plan.tasks
    {
        let next = next_unix_ms.map(|next| clock(next, "%a %H:%M:%S"));
        let next = next.unwrap_or_else(|| "never".to_owned());
        let through = interface.as_ref().map(|name| format!(" through {name}"));
        let _ = writeln!(
            text,
            "\n{next:<13} {times:>6} times  {:<14} {to}{}\n    {why}",
            probe.name(),
            through.unwrap_or_default()
        );
        if !slots.is_empty() {
            let shown = slots.iter().take(SLOTS_SHOWN).map(|slot| {
                format!(
                    "{}–{}",
                    clock(slot.at_ms, "%a %H:%M:%S"),
                    clock(slot.until_ms, "%H:%M:%S")
                )
            });
            let shown: Vec<String> = shown.collect();
            let more = slots.len().saturating_sub(SLOTS_SHOWN);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let _ = writeln!(text, "    slots: {}{more}", shown.join(", "));
        }
        if let Some(left_out) = left_out {
            let _ = writeln!(text, "    LEFT OUT {left_out}");
        }
    }
    if plan.tasks.is_empty() {
        text.push_str("\nnothing: the schedule has no tasks\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use messnetz_metric::UnixMillis;

    use super::*;
    use crate::wire::{Kind, Slot};

    #[test]
    fn a_test_stands_with_its_slots_and_what_is_left_out_with_its_reason() {
        let planned = |slots, left_out: Option<&str>| Planned {
            probe: Kind::Ndt7,
            to: "collector, down".to_owned(),
            interface: Some("eth0".to_owned()),
            next_unix_ms: Some(1_795_392_060_000),
            times: 1,
            slots,
            why: "in slots".to_owned(),
            left_out: left_out.map(str::to_owned),
        };
        let slot = Slot {
            at_ms: 1_795_392_060_000,
            until_ms: 1_795_392_120_000,
            token: "t".to_owned(),
        };
        let plan = Plan {
            from_unix_ms: 1_795_392_000_000,
            until_unix_ms: 1_795_478_400_000,
            serial: 7,
            issued_at: UnixMillis(1_795_392_000_000),
            tasks: vec![
                planned(vec![slot], None),
                planned(Vec::new(), Some("for a reason")),
            ],
        };
        let text = table(&plan, &TimeZone::UTC);
        for expected in [
            "schedule 7, signed 2026-11-23 00:00",
            "Mon 00:01:00       1 times  ndt7           collector, down through eth0",
            "slots: Mon 00:01:00–00:02:00",
            "LEFT OUT for a reason",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
