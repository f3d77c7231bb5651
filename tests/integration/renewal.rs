//! The collector's certificate is exchanged while agents run, and nobody goes to a box.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use messnetz_probes::Binding;
use messnetz_probes::certificate::{Inspection, Shown};
use messnetz_probes::connection::Dial;
use messnetz_probes::tls::{Trust, client_config};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::doors::{SITE, collector_in, end, free_port, start_agent, wait_until};
use crate::program::{RunningCollector, messnetz, run, stderr, stdout, tls_of, write_config};

fn certificate(town: &Path, arguments: &[&str], code: i32) -> Json {
    let all = [&["collector", "certificate"], arguments, &["--json"]].concat();
    let output = run(town, &all);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An agent that is enrolled in a directory of its own.
fn enrolled(folder: &Path, ticket: &str, name: &str) -> std::path::PathBuf {
    let school = folder.join(name);
    fs::create_dir(&school).unwrap();
    let output = run(&school, &["agent", "enrol", ticket, "--state", "agent"]);
    assert!(output.status.success(), "{}", stderr(&output));
    school
}

fn batches_of(town: &Path, school: &Path) -> i64 {
    let enrolment = fs::read(school.join("agent/enrolment.json")).unwrap();
    let enrolment: Json = serde_json::from_slice(&enrolment).unwrap();
    rusqlite::Connection::open(town.join("data/store.db"))
        .unwrap()
        .query_row(
            "SELECT count(*) FROM tail WHERE agent = ?1",
            [enrolment["agent"].as_str().unwrap()],
            |row| row.get(0),
        )
        .unwrap()
}

/// Waits until batches of this agent come that were not there.
fn wait_for_more(town: &Path, school: &Path) {
    let before = batches_of(town, school);
    wait_until("more batches", || batches_of(town, school) > before + 1);
}

/// What the door shows to everybody.
fn shown(port: u16) -> Shown {
    let dial = Dial {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        tunnel: None,
        tls: None,
        binding: Binding::any(),
        congestion: None,
        deadline: Duration::from_secs(10),
    };
    let inspection = Inspection {
        dial,
        server_name: "messnetz-collector".to_owned(),
        expected: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(inspection.run()).unwrap()
}

fn wait_until_shown(port: u16, fingerprint: &Json) {
    wait_until("the next certificate", || {
        *fingerprint == shown(port).fingerprint.to_string()
    });
}

#[test]
fn the_certificate_is_exchanged_twice_while_agents_run_and_one_that_was_away_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let town = folder.path().join("town");
    let port = free_port();
    let collector = collector_in(&town, port);
    let ticket = || collector.ticket(SITE).to_string();
    let here = enrolled(folder.path(), &ticket(), "here");
    let away = enrolled(folder.path(), &ticket(), "away");
    let old_ticket = ticket();
    let (running, other) = (start_agent(&here), start_agent(&away));
    wait_for_more(&town, &here);

    let first = certificate(&town, &["renew"], 0);
    assert_ne!(first["in_use"], first["next"]);
    let switched = certificate(&town, &["switch", "--wait", "30"], 0);
    assert_eq!(switched["in_use"], first["next"]);
    wait_until_shown(port, &first["next"]);
    wait_for_more(&town, &here);
    wait_for_more(&town, &away);
    wait_until("all agents with the new list", || {
        certificate(&town, &["status"], 0)["heard"] == 2
    });

    end(other);
    let second = certificate(&town, &["renew"], 0);
    wait_until("the one that is here", || {
        certificate(&town, &["status"], 0)["heard"] == 1
    });
    let refused = certificate(&town, &["switch"], 1);
    let missing = &refused["not_heard"][0]["agent"];
    let enrolment = fs::read_to_string(away.join("agent/enrolment.json")).unwrap();
    assert!(enrolment.contains(missing.as_str().unwrap()), "{refused}");
    assert_eq!(shown(port).fingerprint.to_string(), second["in_use"]);
    certificate(&town, &["switch", "--force"], 0);
    wait_until_shown(port, &second["next"]);
    wait_for_more(&town, &here);

    let other = start_agent(&away);
    wait_for_more(&town, &away);
    wait_until("all agents with the new list", || {
        certificate(&town, &["status"], 0)["heard"] == 2
    });
    // A ticket that names the certificate before the one before opens the door as well.
    enrolled(folder.path(), &old_ticket, "late");
    end(running);
    end(other);
    let again = run(&town, &["collector", "certificate", "switch"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("certificate renew"));
}

/// An agent whose log is kept.
fn logged(school: &Path) -> Child {
    let log = fs::File::create(school.join("log")).unwrap();
    messnetz(school, &["agent", "run", "--state", "agent"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[test]
fn whoever_has_a_certificate_and_not_the_collectors_key_is_told_nothing_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (town, thief) = (folder.path().join("town"), folder.path().join("thief"));
    let port = free_port();
    let collector = collector_in(&town, port);
    let school = enrolled(folder.path(), &collector.ticket(SITE).to_string(), "school");
    let ticket = collector.ticket(SITE).to_string();
    let before = fs::read(school.join("agent/enrolment.json")).unwrap();
    drop(collector);

    // Another collector gives a list that it has signed itself.
    let config = fs::read_to_string(town.join("collector.toml")).unwrap();
    write_config(&thief, "");
    fs::write(thief.join("collector.toml"), config).unwrap();
    let impostor = RunningCollector::start(&thief, None);
    let running = logged(&school);
    let log = || fs::read_to_string(school.join("log")).unwrap();
    let fingerprint = shown(port).fingerprint.to_string();
    wait_until("the impostor's name", || {
        log().contains("somebody else answers in the place of the collector")
            && log().contains(&fingerprint)
    });
    end(running);
    let enrolment = fs::read(school.join("agent/enrolment.json")).unwrap();
    assert_eq!(enrolment, before);
    let agents = run(&thief, &["collector", "agents"]);
    assert_eq!(stdout(&agents), "");
    let refused = run(&thief, &["agent", "enrol", &ticket, "--state", "other"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("another collector answers"), "{said}");
    assert!(said.contains("enrol anew"), "{said}");
    drop(impostor);
}

/// A filter at this port that reads along: it shows a certificate of its own authority, and passes on what it reads to
/// the collector at the other. Gives what it has read.
fn filter(port: u16, collector: u16) -> Arc<Mutex<Vec<u8>>> {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    let named = rcgen::DnType::CommonName;
    authority.distinguished_name.push(named, "School Filter CA");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["messnetz-collector".to_owned()]).unwrap();
    let cert = own.signed_by(&signing_key, &issuer).unwrap();
    let server = tls_of(&rcgen::CertifiedKey { cert, signing_key });
    let beyond = client_config(&Trust::Pinned(shown(collector).fingerprint));
    let read = Arc::new(Mutex::new(Vec::new()));
    let reads = Arc::clone(&read);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    // Lives as long as the test's process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, beyond, reads) =
                    (acceptor.clone(), Arc::clone(&beyond), Arc::clone(&reads));
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut question = vec![0; 4096];
                    let Ok(length) = near.read(&mut question).await else {
                        return;
                    };
                    reads.lock().unwrap().extend(&question[..length]);
                    let far = tokio::net::TcpStream::connect(("127.0.0.1", collector)).await;
                    let name = "messnetz-collector".try_into().unwrap();
                    let connector = tokio_rustls::TlsConnector::from(beyond);
                    let mut far = connector.connect(name, far.unwrap()).await.unwrap();
                    far.write_all(&question[..length]).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    });
    read
}

#[test]
fn a_filter_that_reads_along_is_named_when_an_agent_enrols_and_when_it_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let town = folder.path().join("town");
    let (port, moved) = (free_port(), free_port());
    let collector = collector_in(&town, port);
    let school = enrolled(folder.path(), &collector.ticket(SITE).to_string(), "school");
    let ticket = collector.ticket(SITE).to_string();
    drop(collector);
    let collector = collector_in(&town, moved);
    let read = filter(port, moved);

    let refused = run(&school, &["agent", "enrol", &ticket, "--state", "other"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("somebody reads along"), "{said}");
    assert!(said.contains("CN=School Filter CA"), "{said}");
    assert!(said.contains("exempted from TLS inspection"), "{said}");
    let running = logged(&school);
    wait_until("the filter's name", || {
        let log = fs::read_to_string(school.join("log")).unwrap();
        log.contains("CN=School Filter CA") && log.contains("nothing was lost")
    });
    let doctor = run(&school, &["agent", "doctor", "--state", "agent"]);
    assert!(
        stdout(&doctor).contains("CN=School Filter CA"),
        "{}",
        stdout(&doctor)
    );
    end(running);
    let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
    let asked: Vec<&str> = read.lines().filter(|it| it.contains("HTTP/1.1")).collect();
    assert!(!asked.is_empty());
    assert!(
        asked.iter().all(|it| *it == "GET /v1/pins HTTP/1.1"),
        "{read}"
    );
    drop(collector);
}
