//! `messnetz agent doctor`: each finding provoked, on boxes that really are so.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::doors::free_port;
use crate::lab::enter;
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, tls_of, write_config};

const SITE: &str = "XX-100001/main";

const DOCTOR: [&str; 5] = ["agent", "doctor", "--state", "agent", "--json"];

/// A box that is enrolled at a collector.
struct Enrolled {
    folder: tempfile::TempDir,
    port: u16,
    collector: Option<RunningCollector>,
}

impl Enrolled {
    fn with(task: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        fs::create_dir(folder.path().join("school")).unwrap();
        let collector = Self::collector(&folder.path().join("town"), port, task);
        let ticket = collector.ticket(SITE).to_string();
        let school = folder.path().join("school");
        let output = run(&school, &["agent", "enrol", &ticket, "--state", "agent"]);
        assert!(output.status.success(), "{}", stderr(&output));
        Self {
            folder,
            port,
            collector: Some(collector),
        }
    }

    fn new() -> Self {
        Self::with("probe = \"http\"")
    }

    fn collector(town: &Path, port: u16, task: &str) -> RunningCollector {
        let lines = format!(
            "agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"\n[schedule]\nupload_every_ms = 100\n\
             [[schedule.task]]\n{task}\nevery_ms = 1000\n"
        );
        write_config(town, &lines);
        RunningCollector::start(town, None)
    }

    fn school(&self) -> PathBuf {
        self.folder.path().join("school")
    }

    fn state(&self, file: &str) -> PathBuf {
        self.school().join("agent").join(file)
    }

    fn examined(&self) -> Value {
        document(&run(&self.school(), &DOCTOR))
    }

    /// Lets the enrolment name another address for the collector.
    fn move_collector(&self, address: &str) {
        let file = self.state("enrolment.json");
        let text = fs::read_to_string(&file).unwrap();
        let moved = text.replace(&format!("127.0.0.1:{}", self.port), address);
        assert_ne!(moved, text);
        fs::write(file, moved).unwrap();
    }
}

fn document(output: &Output) -> Value {
    let said = stdout(output);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", stderr(output)))
}

/// How one thing stands, what was seen, and what is to be done.
fn about<'a>(document: &'a Value, what: &str) -> (&'a str, &'a str, &'a str) {
    let findings = document["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("nothing about {what}: {document:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    (text("standing"), text("saw"), text("remedy"))
}

#[test]
fn a_box_without_enrolment_is_told_how_to_enrol_in_words_and_not_in_colours() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["agent", "doctor", "--state", "agent"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(said.contains("WRONG  enrolment"), "{said}");
    assert!(
        said.contains("do: messnetz agent enrol TICKET --state agent"),
        "{said}"
    );
    assert!(said.lines().count() < 25, "one screen: {said}");
    assert!(!said.contains('\x1b'), "{said}");
    assert!(
        !folder.path().join("agent").exists(),
        "looking makes nothing"
    );
}

#[test]
fn a_box_that_works_is_found_in_order_but_for_what_this_machine_lacks() {
    let enrolled = Enrolled::new();
    let idle = enrolled.examined();
    assert_eq!(about(&idle, "at work").0, "warn");
    let mut agent = messnetz(&enrolled.school(), &["agent", "run", "--state", "agent"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let working = loop {
        let found = enrolled.examined();
        if about(&found, "at work").0 == "ok"
            && about(&found, "spool").1.contains("acknowledged last")
        {
            break found;
        }
        assert!(std::time::Instant::now() < end, "{found:#}");
    };
    agent.kill().unwrap();
    agent.wait().unwrap();
    for what in [
        "version",
        "enrolment",
        "key",
        "schedule",
        "spool",
        "names",
        "route",
        "reach",
        "self-test",
    ] {
        assert_eq!(about(&working, what).0, "ok", "{what}: {working:#}");
    }
}

#[test]
fn a_key_that_others_may_read_is_wrong() {
    let enrolled = Enrolled::new();
    let file = enrolled.state("agent-key.pk8");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let found = enrolled.examined();
    let (standing, saw, remedy) = about(&found, "key");
    assert_eq!(standing, "wrong");
    assert!(
        saw.contains("644") && remedy.starts_with("chmod 600 "),
        "{saw} {remedy}"
    );
    fs::remove_file(&file).unwrap();
    let found = enrolled.examined();
    assert_eq!(about(&found, "key").0, "wrong");
    assert!(!file.exists(), "looking makes no key");
    assert_eq!(found["standing"], "wrong");
}

#[test]
fn damaged_files_are_named() {
    let enrolled = Enrolled::new();
    fs::write(enrolled.state("limits.toml"), "tusks = 3\n").unwrap();
    let found = enrolled.examined();
    assert!(
        about(&found, "schedule").1.contains("limits.toml"),
        "{found:#}"
    );
    fs::write(enrolled.state("spool.db"), "no database".repeat(100)).unwrap();
    assert_eq!(about(&enrolled.examined(), "spool").0, "wrong");
    fs::write(enrolled.state("enrolment.json"), "{").unwrap();
    assert_eq!(about(&enrolled.examined(), "enrolment").0, "wrong");
}

#[test]
fn a_task_through_an_interface_that_is_not_there_is_named_with_those_that_are() {
    let enrolled = Enrolled::with("probe = \"link\"\ninterface = \"wwan9\"");
    let found = enrolled.examined();
    let (standing, saw, _) = about(&found, "schedule");
    assert_eq!(standing, "warn");
    assert!(saw.contains("wwan9") && saw.contains("lo"), "{saw}");
}

#[test]
fn a_collector_that_is_away_and_one_with_another_certificate_are_told_apart() {
    let mut enrolled = Enrolled::new();
    enrolled.collector = None;
    let found = enrolled.examined();
    let (standing, saw, _) = about(&found, "reach");
    assert!(standing == "wrong" && saw.starts_with("refused"), "{saw}");
    let elsewhere = enrolled.folder.path().join("elsewhere");
    let _other = Enrolled::collector(&elsewhere, enrolled.port, "probe = \"http\"");
    let found = enrolled.examined();
    let (standing, saw, _) = about(&found, "reach");
    assert_eq!(standing, "wrong");
    assert!(saw.starts_with("another collector answers"), "{saw}");
}

#[test]
fn an_intercepting_proxy_is_called_by_its_name() {
    let mut enrolled = Enrolled::new();
    enrolled.collector = None;
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "School Filter CA");
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let signing_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["messnetz-collector".to_owned()]).unwrap();
    let cert = leaf.signed_by(&signing_key, &issuer).unwrap();
    let tls = Arc::new(tls_of(&rcgen::CertifiedKey { cert, signing_key }));
    let listener = TcpListener::bind(("127.0.0.1", enrolled.port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            // Whoever does not believe the certificate hangs up.
            let _ = connection.complete_io(&mut stream);
        }
    });
    let found = enrolled.examined();
    let (standing, saw, remedy) = about(&found, "reach");
    assert_eq!(standing, "wrong");
    assert!(
        saw.contains("reads along") && saw.contains("School Filter CA"),
        "{saw}"
    );
    assert!(remedy.contains("TLS inspection"), "{remedy}");
}

#[test]
fn a_box_without_route_names_or_rights_is_told_so() {
    let enrolled = Enrolled::new();
    enrolled.move_collector("10.77.0.1:8443");
    let lab = enter();
    let alone = lab.namespace("alone").unwrap();
    // A new namespace allows nobody the sockets that need no rights.
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"])
        .arg(env!("CARGO_BIN_EXE_messnetz"))
        .args(DOCTOR)
        .current_dir(enrolled.school());
    let output = alone.command(unprivileged).output().unwrap();
    let found = document(&output);
    assert_eq!(about(&found, "route").0, "wrong");
    assert!(
        about(&found, "route").1.contains("no way to 10.77.0.1"),
        "{found:#}"
    );
    assert_eq!(about(&found, "rights").0, "warn");
    assert!(
        about(&found, "rights").1.contains("CAP_NET_RAW"),
        "{found:#}"
    );
    let text = fs::read_to_string(enrolled.state("enrolment.json")).unwrap();
    let named = text.replace("10.77.0.1:8443", "nobody.invalid:8443");
    fs::write(enrolled.state("enrolment.json"), named).unwrap();
    let output = alone
        .command(messnetz(&enrolled.school(), &DOCTOR))
        .output()
        .unwrap();
    let found = document(&output);
    assert_eq!(about(&found, "names").0, "wrong", "{found:#}");
    assert_ne!(about(&found, "rights").0, "wrong");
}

#[test]
fn a_full_disk_and_one_that_became_read_only_are_told() {
    let enrolled = Enrolled::new();
    let examined = |options: &str| {
        let script = format!(
            "mkdir small && mount -t tmpfs -o size=1m tmpfs small && cp -a agent small/agent && \
             {options} && exec \"$0\" agent doctor --json --state small/agent"
        );
        let output = Command::new("unshare")
            .args([
                "--mount",
                "sh",
                "-c",
                &script,
                env!("CARGO_BIN_EXE_messnetz"),
            ])
            .current_dir(enrolled.school())
            .output()
            .unwrap();
        fs::remove_dir(enrolled.school().join("small")).unwrap();
        document(&output)
    };
    let full = examined("head -c 2m /dev/zero > small/fill 2>/dev/null || true");
    assert_eq!(
        about(&full, "disk"),
        (
            "wrong",
            "0 MB free",
            "make room: measurements are given up where they cannot be kept"
        )
    );
    let worn = examined("mount -o remount,ro small");
    let (standing, saw, remedy) = about(&worn, "disk");
    assert_eq!(standing, "wrong");
    assert!(
        saw.contains("Read-only") && remedy.contains("replace it"),
        "{saw} {remedy}"
    );
}
