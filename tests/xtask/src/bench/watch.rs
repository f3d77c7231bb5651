//! What an agent takes that keeps watch every second over three networks: its share of a core and its memory.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Running;
use super::median;
use super::place::{Place, cpu_of};
use crate::cargo::{Call, target_dir};
use crate::memory::pss_of;

/// How long the watch is kept where nothing else is said: as many minutes as medians need.
pub(crate) const MINUTES: u32 = 5;

/// How long the agent is given to start before it counts.
const SETTLE: Duration = Duration::from_secs(5);

/// CPU time of the agent, in percent of a core, at most.
const MOST_CPU: f64 = 0.5;

/// Proportional set size of the agent in MB, at most (proc(5), smaps).
const MOST_PSS_MB: f64 = 15.0;

/// The agent's networks. All lead to the one address of the collector.
const NETWORKS: [&str; 3] = ["lan", "wlan", "guest"];

/// The collector, and the resolver beside it.
const COLLECTOR: &str = "10.77.9.1";
const PORT: u16 = 8443;

/// The site that the example of `messnetz collector init` has.
const SITE: &str = "NW-100001/main";

/// What each network is asked: loss and delay each second, services each minute.
const TASKS: [&str; 4] = [
    "probe = \"stamp\"\ncount = 59\ninterval_ms = 1000",
    "probe = \"icmp\"\npeer = \"collector\"\ncount = 59\ninterval_ms = 1000",
    "probe = \"dns\"\nname = \"school.example\"\nserver = \"10.77.9.1\"",
    "probe = \"http\"",
];

/// What must have come of the tasks, or nothing was watched: one metric of each.
const METRICS: [&str; 4] = ["line.loss.up", "line.rtt", "service.dns", "line.http"];

/// [`run`] for minutes as they are written.
pub(crate) fn run_for(minutes: &str) -> Result<()> {
    match minutes.parse() {
        Ok(minutes) if minutes > 0 => run(minutes),
        _ => bail!("`{minutes}` is no number of minutes, such as 30"),
    }
}

/// Lets an agent keep watch for so many minutes, prints what it took, and holds that against the limits.
pub(crate) fn run(minutes: u32) -> Result<()> {
    let program = target_dir()?.join("release/messnetz");
    let agent = program.with_file_name("messnetz-agent-alone");
    Call::new("cargo build --release --locked -p messnetz --no-default-features --features agent")
        .run()?;
    fs::copy(&program, &agent).context("keeping the agent alone")?;
    Call::new("cargo build --release --locked -p messnetz").run()?;
    let folder = std::env::temp_dir().join(format!("messnetz-watch-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = watch(&agent, &program, &folder, minutes);
    let removed = fs::remove_dir_all(&folder);
    result.and(removed.map_err(Into::into))
}

fn watch(agent: &Path, whole: &Path, folder: &Path, minutes: u32) -> Result<()> {
    let (school, town) = (Place::new()?, Place::new()?);
    build(&school, &town)?;
    let quiet = |mut command: Command| {
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let call = |place: &Place, program: &Path, arguments: &[&str]| {
        let mut command = place.command(program);
        command.args(arguments);
        quiet(command)
    };
    let succeed = |mut command: Command| -> Result<()> {
        let status = command.status()?;
        if !status.success() {
            bail!("{command:?} failed ({status})");
        }
        Ok(())
    };
    succeed(call(&town, whole, &["collector", "init"]))?;
    fs::write(folder.join("collector.toml"), configuration())?;
    let _collector = Running(call(&town, whole, &["collector", "run"]).spawn()?);
    town.wait_for("tcp", PORT)?;
    let myself = std::env::current_exe()?;
    let _resolver = Running(call(&town, &myself, &["bench", "resolver", COLLECTOR]).spawn()?);
    let ticket = call(
        &town,
        whole,
        &["collector", "ticket", SITE, "--no-approval"],
    )
    .stdout(Stdio::piped())
    .output()?;
    let ticket = String::from_utf8(ticket.stdout)?;
    let enrol = ["agent", "enrol", ticket.trim(), "--state", "agent"];
    succeed(call(&school, agent, &enrol))?;
    // Its resolver has a private address, which an agent speaks to only where its limits say so.
    let limits = format!("[targets]\nnetworks = [\"{COLLECTOR}/32\"]\n");
    fs::write(folder.join("agent/limits.toml"), limits)?;
    let running = Running(call(&school, agent, &["agent", "run", "--state", "agent"]).spawn()?);
    sleep(SETTLE);

    let began = now_ms()?;
    let seen = observe(&running.0, minutes)?;
    // What the last minute found is uploaded yet.
    sleep(Duration::from_secs(5));
    println!(
        "An agent on watch, {} networks, STAMP and ICMP each second, DNS and HTTP each minute; {minutes} min",
        NETWORKS.len()
    );
    let mut missed = Vec::new();
    for metric in METRICS {
        let (from, to) = (began.to_string(), now_ms()?.to_string());
        let samples = [
            "collector",
            "samples",
            SITE,
            metric,
            "--from",
            &from,
            "--to",
            &to,
            "--json",
        ];
        let output = call(&town, whole, &samples)
            .stdout(Stdio::piped())
            .output()?;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no samples of {metric}"))?;
        let count = said.as_array().map_or(0, Vec::len);
        println!("  {metric:<13} {count} samples");
        if count == 0 {
            missed.push(format!("nothing was measured of {metric}"));
        }
    }
    missed.extend(judge(seen, minutes));
    if !missed.is_empty() {
        bail!("limits missed: {}", missed.join("; "));
    }
    Ok(())
}

/// Prints what the agent took, and says which limits it missed.
fn judge(seen: Seen, minutes: u32) -> Vec<String> {
    let mut missed = Vec::new();
    let Seen {
        cpu,
        mut of_minutes,
        pss_mb,
        instructions,
    } = seen;
    println!(
        "  CPU {cpu:.3} % of a core; median of {minutes} minutes {:.3} % (from {:.3} to {:.3}); limit {MOST_CPU} %",
        median(&mut of_minutes),
        of_minutes[0],
        of_minutes[of_minutes.len() - 1],
    );
    println!("  {pss_mb:.2} MB Pss at most; limit {MOST_PSS_MB} MB");
    match instructions {
        Some(count) => println!(
            "  {:.2}e9 instructions an hour",
            count / 1e9 * 60.0 / f64::from(minutes)
        ),
        None => {
            println!("  instructions were not counted: this machine has no counters or no perf");
        }
    }
    if cpu > MOST_CPU {
        missed.push(format!(
            "the agent takes {cpu:.3} % of a core, and {MOST_CPU} % is allowed"
        ));
    }
    if pss_mb > MOST_PSS_MB {
        missed.push(format!(
            "the agent holds {pss_mb:.2} MB, and {MOST_PSS_MB} MB are allowed"
        ));
    }
    missed
}

/// Three cables, and a default route through each: who binds to an interface gets to the collector by it.
fn build(school: &Place, town: &Place) -> Result<()> {
    town.run(&format!("ip address add {COLLECTOR}/32 dev lo"))?;
    for (at, name) in NETWORKS.iter().enumerate() {
        let (near, far) = (format!("10.77.{at}.1/24"), format!("10.77.{at}.2/24"));
        school.join([name, &near], town, [name, &far])?;
        school.run(&format!(
            "ip route add default via 10.77.{at}.2 dev {name} metric {}",
            at + 1
        ))?;
    }
    Ok(())
}

/// The collector's configuration: each task on each network, the services a few seconds apart.
fn configuration() -> String {
    let mut text = format!(
        "sites = \"authority.toml\"\nagents = \"{COLLECTOR}:{PORT}\"\ndashboard = \"127.0.0.1:0\"\n[schedule]\n"
    );
    for network in NETWORKS {
        for task in TASKS {
            let _ = write!(
                text,
                "[[schedule.task]]\n{task}\ninterface = \"{network}\"\nevery_ms = 60000\n"
            );
        }
    }
    text
}

/// What an agent took.
struct Seen {
    cpu: f64,
    of_minutes: Vec<f64>,
    pss_mb: f64,
    instructions: Option<f64>,
}

/// Looks at a process for so many minutes.
fn observe(process: &Child, minutes: u32) -> Result<Seen> {
    let seconds = (minutes * 60).to_string();
    // Counts beside the process; what it writes down goes to its standard error.
    let counter = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "instructions", "-p"])
        .args([&process.id().to_string(), "--", "sleep", &seconds])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok();
    let share = |cpu: Duration, wall: Duration| cpu.as_secs_f64() / wall.as_secs_f64() * 100.0;
    let (began, first) = (Instant::now(), cpu_of(process)?);
    let (mut of_minutes, mut pss) = (Vec::new(), 0);
    for _ in 0..minutes {
        let (start, before) = (Instant::now(), cpu_of(process)?);
        sleep(Duration::from_mins(1));
        let cpu = cpu_of(process)?.saturating_sub(before);
        of_minutes.push(share(cpu, start.elapsed()));
        pss = pss.max(pss_of(process)?);
    }
    let cpu = share(cpu_of(process)?.saturating_sub(first), began.elapsed());
    let instructions = counter
        .and_then(|counter| counter.wait_with_output().ok())
        .and_then(|output| {
            // "<not supported>" where the machine has no such counter.
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .find_map(|line| line.split(',').next()?.parse().ok())
        });
    Ok(Seen {
        cpu,
        of_minutes,
        pss_mb: pss as f64 / 1e6,
        instructions,
    })
}

fn now_ms() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// Answers every question on port 53 of this address with the address itself (RFC 1035, section 4), until
/// it is killed.
pub(crate) fn resolver(address: &str) -> Result<()> {
    let address: Ipv4Addr = address.parse()?;
    let socket = UdpSocket::bind((address, 53))?;
    let mut packet = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut packet)?;
        let query = &packet[..length];
        // Header, and the one name up to its root.
        let Some(root) = query
            .get(12..)
            .and_then(|question| question.iter().position(|&byte| byte == 0))
        else {
            continue;
        };
        let (Some(id), Some(question)) = (query.get(..2), query.get(12..12 + root + 5)) else {
            continue;
        };
        // A response, recursion desired and available; one question, one answer.
        let head: &[u8] = &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        // The name of the question, type A, class IN, for a minute, four octets.
        let record: &[u8] = &[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
        let answer = [id, head, question, record, &address.octets()].concat();
        socket.send_to(&answer, from)?;
    }
}
