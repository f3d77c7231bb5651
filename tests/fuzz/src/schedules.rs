//! What a collector, or whoever has captured one, tells an agent to measure.

use std::collections::BTreeSet;

use messnetz::agent::Limits;
use messnetz::wire::{MAX_TASKS, Schedule, SignedSchedule};

pub(crate) const WORDS: &[&str] = &[
    "\"assignment\":",
    "\"signature\":",
    "\"schedule\":",
    "\"task\":[",
    "\"probe\":\"icmp\",\"peer\":\"collector\",\"count\":65535,\"interval_ms\":0",
    "\"probe\":\"stamp\"",
    "\"probe\":\"ndt7\",\"direction\":\"up\",\"duration_ms\":",
    "\"probe\":\"iperf3\"",
    "\"probe\":\"responsiveness\"",
    "\"probe\":\"dns\",\"name\":\"a.b\"",
    "\"probe\":\"tcp\",\"target\":\"[::1]:0\"",
    "\"probe\":\"http\",\"url\":\"https://[::1\"",
    "\"probe\":\"link\"",
    "\"every_ms\":",
    "\"phase_ms\":",
    "\"hours\":\"23:59-00:00\"",
    "\"slots\":[",
    "\"interface\":\"",
    "\"budget\":[",
    "18446744073709551615",
    "-1",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
];

/// A schedule with a task of each kind, a budget, hours and slots, and an assignment that nobody signed.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let schedule = r#"{"upload_every_ms":30000,"budget":[{"interface":"wwan0","bytes_a_day":200000000,"hours":"20:00-06:00"}],"task":[{"probe":"ndt7","direction":"down","duration_ms":10000,"every_ms":21600000,"phase_ms":0,"hours":"20:00-06:00","slots":[{"at":1795370000000,"until":1795370060000,"token":"x"}]},{"probe":"responsiveness","direction":"up","every_ms":21600000},{"probe":"iperf3","interface":"wlan0","target":"192.0.2.1:5201","direction":"down","duration_ms":5000,"every_ms":21600000},{"probe":"icmp","peer":"gateway","count":20,"interval_ms":20,"every_ms":60000,"phase_ms":15000},{"probe":"stamp","count":100,"interval_ms":100,"every_ms":60000},{"probe":"dns","name":"www.example","every_ms":60000},{"probe":"tcp","target":"school.example:443","every_ms":60000},{"probe":"http","url":"https://school.example/","every_ms":300000},{"probe":"link","every_ms":300000}]}"#;
    let assignment = format!(
        r#"{{"assignment":{{"format":"messnetz-schedule-1","collector":"0123456789abcdef0123456789abcdef","agent":"0123456789abcdef0123456789abcdef","site":"XX-100001/main","serial":1795369000000,"issued_at":1795369000000,"schedule":{schedule}}},"signature":"AAAA"}}"#
    );
    [schedule, &assignment]
        .map(|text| text.as_bytes().to_vec())
        .into()
}

/// A schedule that is read is read again as it is written, whatever is admitted of it lies within the limits, and
/// what nobody signed is nobody's.
pub(crate) fn run(bytes: &[u8]) -> String {
    if let Ok(signed) = serde_json::from_slice::<SignedSchedule>(bytes)
        && let Ok(assignment) = signed.stated()
    {
        let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned();
        let key = key.try_into().expect("a public key of RFC 8032");
        let verified = signed.verified(&key, &assignment.agent, &assignment.site);
        assert!(verified.is_err(), "{assignment:?}");
        return format!("ok: assigned, {}", admitted(&assignment.schedule));
    }
    match serde_json::from_slice::<Schedule>(bytes) {
        Ok(schedule) => format!("ok: {}", admitted(&schedule)),
        Err(error) => format!("{:?}", error.classify()),
    }
}

/// The kinds of tasks that limits that nobody wrote let pass.
fn admitted(schedule: &Schedule) -> String {
    let written = serde_json::to_vec(schedule).expect("what was read can be written");
    let again: Schedule = serde_json::from_slice(&written).expect("what was written is read");
    assert_eq!(again, *schedule);
    let limits = Limits::default();
    let mut kinds = BTreeSet::new();
    let mut looked_at = 0;
    for (task, result) in limits.admit(schedule) {
        looked_at += 1;
        if result.is_ok() {
            let longest = task.probe.saturates_for().unwrap_or_default();
            assert!(longest.as_millis() <= limits.tests.longest_ms.into());
            kinds.insert(task.probe.name());
        }
    }
    assert!(looked_at <= MAX_TASKS);
    format!("{kinds:?} of {}", schedule.tasks.len().min(4))
}
