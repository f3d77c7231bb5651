//! The units: without mistakes, hardened, and enough for the program to work within.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::doors::free_port;
use crate::program::{RunningCollector, not_checked, run, stderr, write_config};

const UNITS: [&str; 2] = [
    "src/agent/messnetz-agent.service",
    "src/collector/messnetz-collector.service",
];

/// Most that systemd-analyze may find exposed, in tenths, of 100.
const EXPOSED: &str = "20";

fn unit(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn has_systemd_analyze() -> bool {
    let asked = Command::new("systemd-analyze").arg("--version").output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        not_checked("the units: there is no systemd-analyze (Debian's package systemd)");
    }
    there
}

#[test]
fn systemd_finds_no_mistake_in_the_units_and_little_exposed() {
    if !has_systemd_analyze() {
        return;
    }
    for path in UNITS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(Path::new(path).file_name().unwrap());
        // Where the package would put it there need be no program here.
        let text = unit(path).replace("/usr/bin/messnetz", env!("CARGO_BIN_EXE_messnetz"));
        fs::write(&file, text).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(verified.status.success(), "{path}: {}", stderr(&verified));
        assert_eq!(stderr(&verified), "", "{path}");
        let exposed = Command::new("systemd-analyze")
            .args([
                "security",
                "--offline=yes",
                "--no-pager",
                "--threshold",
                EXPOSED,
            ])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&exposed.stdout).into_owned();
        assert!(
            said.contains("Overall exposure level"),
            "{said}{}",
            stderr(&exposed)
        );
        assert!(exposed.status.success(), "{path}: {said}");
    }
}

#[test]
fn the_agents_unit_gives_one_right_and_lets_the_clock_be_read() {
    let text = unit(UNITS[0]);
    let rights: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("CAP_NET_RAW"))
        .collect();
    assert_eq!(
        rights,
        [
            "AmbientCapabilities=CAP_NET_RAW",
            "CapabilityBoundingSet=CAP_NET_RAW"
        ]
    );
    // It would forbid adjtimex(2), by which the agent sees whether its clock is kept.
    assert!(!text.contains("\nProtectClock="), "{text}");
    assert!(
        text.contains("@system-service adjtimex clock_adjtime"),
        "{text}"
    );
}

/// What a process may do, as the kernel says it.
fn of_process(pid: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

#[test]
fn an_agent_without_root_with_one_right_on_a_read_only_system_measures_uploads_and_tells_that_it_turns()
 {
    let folder = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), open).unwrap();
    let (town, school) = (folder.path().join("town"), folder.path().join("school"));
    fs::create_dir(&school).unwrap();
    let port = free_port();
    write_config(
        &town,
        &format!(
            "agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n[schedule]\nupload_every_ms = 100\n\
             [[schedule.task]]\nprobe = \"icmp\"\npeer = \"collector\"\ncount = 2\ninterval_ms = 10\nevery_ms = 1000\n"
        ),
    );
    let collector = RunningCollector::start(&town, None);
    let ticket = collector.ticket("XX-100001/main").to_string();
    let enrolled = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
    assert!(enrolled.status.success(), "{}", stderr(&enrolled));
    let program = school.join("messnetz");
    fs::copy(env!("CARGO_BIN_EXE_messnetz"), &program).unwrap();
    let manager = UnixDatagram::bind(school.join("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let own = Command::new("chown")
        .args(["-R", "65534:65534", "."])
        .current_dir(&school)
        .status();
    if !own.unwrap().success() {
        return not_checked(
            "the agent without root: this is no root of the machine, so that there is no other user",
        );
    }
    // As the unit has it: everything read-only but the agent's directory, one capability, no way to another.
    let script = "mount --bind agent agent && mount -o remount,bind,ro / && \
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all,+net_raw \
        --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw ./messnetz agent start --state agent";
    let mut agent = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .env("NOTIFY_SOCKET", school.join("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir(&school)
        .spawn()
        .unwrap();
    let mut buffer = [0; 64];
    let mut heard = || {
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(heard(), "READY=1");
    assert_eq!(heard(), "WATCHDOG=1");
    assert_eq!(heard(), "WATCHDOG=1");
    let pid = agent.id();
    assert_eq!(
        of_process(pid, "Uid").split_whitespace().next(),
        Some("65534")
    );
    assert_eq!(of_process(pid, "CapEff"), format!("{:016x}", 1_u64 << 13));
    assert_eq!(of_process(pid, "CapBnd"), of_process(pid, "CapEff"));
    assert_eq!(of_process(pid, "NoNewPrivs"), "1");
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let output = run(&school, &["agent", "status", "--state", "agent", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        if !status["last_receipt"].is_null() {
            break;
        }
        assert!(Instant::now() < end, "{status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
    drop(collector);
}
