//! The machine: its clock, what this program may do on it, and the service manager's word on the agent.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use messnetz_metric::FailureReason;
use messnetz_probes::Binding;
use messnetz_probes::icmp::{self, Echo};
use tokio::process::Command;
use tokio::time::timeout;

use super::Finding;
use crate::clock::Look;

/// Years that a clock may show: before the first this program did not exist.
const YEARS: std::ops::Range<i16> = 2026..2100;

/// A clock that was set longer ago than this, in seconds, is not kept any more.
const LONG_AGO: u32 = 24 * 60 * 60;

/// The unit of the agent.
const UNIT: &str = "messnetz-agent.service";

/// How long the service manager is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the clock's state means.
pub(super) fn clock(look: Look) -> Finding {
    const WHAT: &str = "clock";
    const REMEDY: &str =
        "let a time service run (systemctl status systemd-timesyncd), and NTP out (UDP 123)";
    let at = Timestamp::from_millisecond(look.wall_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(TimeZone::UTC);
    let shown = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    if !YEARS.contains(&at.year()) {
        return Finding::wrong(WHAT, format_args!("it shows {shown}"), REMEDY);
    }
    if !look.synchronised {
        let saw = format_args!("{shown}, and no time service keeps it");
        return Finding::warn(WHAT, saw, REMEDY);
    }
    match look.since_sync_s {
        Some(since) if since > LONG_AGO => {
            let saw = format_args!("{shown}, last set {} h ago", since / 3600);
            Finding::warn(WHAT, saw, REMEDY)
        }
        Some(since) => {
            let saw = format_args!("{shown}, synchronised {since} s ago");
            Finding::ok(WHAT, saw)
        }
        None => Finding::ok(WHAT, format_args!("{shown}, synchronised")),
    }
}

/// Whether echo requests can be sent, tried over the loopback.
pub(super) async fn rights() -> Finding {
    const WHAT: &str = "rights";
    let echo = Echo {
        target: IpAddr::V4(Ipv4Addr::LOCALHOST),
        binding: Binding::any(),
        count: 1,
        interval: Duration::from_millis(1),
        timeout: Duration::from_millis(500),
        payload: 8,
    };
    match icmp::measure(&echo).await {
        Err(failure) if failure.reason == FailureReason::Permission => Finding::warn(
            WHAT,
            format_args!("no round trips and no loss can be measured: {failure}"),
            "run the agent as its unit, setcap cap_net_raw+ep messnetz, or set net.ipv4.ping_group_range",
        ),
        Err(failure) => Finding::warn(
            WHAT,
            format_args!("ICMP over the loopback failed: {failure}"),
            "ip link set lo up",
        ),
        Ok(_) => Finding::ok(
            WHAT,
            "ICMP may be sent; nothing else needs rights (Wi-Fi is not read by this version)",
        ),
    }
}

/// What systemd says of the agent's unit; nothing where there is no systemd or no such unit.
pub(super) async fn unit() -> Option<Finding> {
    const WHAT: &str = "unit";
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let mut command = Command::new("systemctl");
    command
        .args([
            "show",
            "--property=LoadState,ActiveState,SubState,NRestarts,Result",
            UNIT,
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => shown(&String::from_utf8_lossy(&output.stdout)),
        Ok(Err(error)) => Some(Finding::warn(
            WHAT,
            format_args!("asking systemctl: {error}"),
            "systemctl status messnetz-agent",
        )),
        Err(_) => Some(Finding::warn(
            WHAT,
            "systemd does not answer",
            "systemctl status messnetz-agent",
        )),
    }
}

/// What properties of the unit mean, as `systemctl show` prints them.
fn shown(properties: &str) -> Option<Finding> {
    const WHAT: &str = "unit";
    let of = |name: &str| {
        let mut lines = properties.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    };
    if of("LoadState") != "loaded" {
        return None;
    }
    let (active, sub, result) = (of("ActiveState"), of("SubState"), of("Result"));
    let restarts: u32 = of("NRestarts").parse().unwrap_or_default();
    let saw = format!("{UNIT} is {active} ({sub}), result {result}, {restarts} restarts");
    let remedy = "journalctl -u messnetz-agent -n 50";
    Some(match (active, restarts) {
        ("active", 0) => Finding::ok(WHAT, saw),
        ("active", _) => Finding::warn(WHAT, saw, remedy),
        _ => Finding::wrong(
            WHAT,
            saw,
            format_args!("systemctl enable --now messnetz-agent; {remedy}"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;

    fn look(wall_ms: i64, synchronised: bool, since_sync_s: Option<u32>) -> Look {
        Look {
            up_ms: 0,
            wall_ms,
            synchronised,
            since_sync_s,
        }
    }

    const NOW: i64 = 1_795_000_000_000;

    #[test]
    fn a_clock_of_1970_is_wrong_and_one_that_nobody_keeps_is_a_warning() {
        let wrong = clock(look(12_000, true, Some(1)));
        assert_eq!(wrong.standing, Standing::Wrong);
        assert!(wrong.saw.contains("1970-01-01 00:00:12"), "{}", wrong.saw);
        assert_eq!(clock(look(NOW, false, None)).standing, Standing::Warn);
        assert_eq!(clock(look(NOW, true, None)).standing, Standing::Ok);
        assert_eq!(clock(look(NOW, true, Some(64))).standing, Standing::Ok);
        assert_eq!(
            clock(look(NOW, true, Some(90_000))).standing,
            Standing::Warn
        );
        assert_eq!(clock(look(i64::MAX, true, None)).standing, Standing::Wrong);
    }

    #[test]
    fn a_unit_that_does_not_run_is_wrong_and_one_that_was_restarted_a_warning() {
        let unit = |active: &str, restarts: u32| {
            shown(&format!(
                "LoadState=loaded\nActiveState={active}\nSubState=x\nNRestarts={restarts}\nResult=success\n"
            ))
            .map(|finding| finding.standing)
        };
        assert_eq!(unit("active", 0), Some(Standing::Ok));
        assert_eq!(unit("active", 3), Some(Standing::Warn));
        assert_eq!(unit("failed", 0), Some(Standing::Wrong));
        assert_eq!(shown("LoadState=not-found\n"), None);
        assert_eq!(shown(""), None);
    }
}
