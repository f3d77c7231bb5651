//! What docs/wire.md says can be done with curl, done as it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::doors::free_port;
use crate::program::{RunningCollector, not_checked, run, stderr, write_config};

const SITE: &str = "XX-100001/main";

/// The shell examples of the document that are marked to be run.
fn examples() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wire.md");
    fs::read_to_string(path)
        .unwrap()
        .split("<!-- a test runs this")
        .skip(1)
        .map(|after| {
            let (_, code) = after.split_once("```sh\n").unwrap();
            code.split_once("```").unwrap().0.to_owned()
        })
        .collect()
}

#[test]
fn the_examples_with_curl_enrol_and_are_acknowledged() {
    for tool in ["curl", "jq", "openssl", "sha256sum"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return not_checked(&format!("sending a batch with curl: there is no {tool}"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let lines = format!("agents = \"127.0.0.1:{port}\"\ndashboard = \"127.0.0.1:0\"");
    write_config(folder.path(), &lines);
    let collector = RunningCollector::start(folder.path(), None);
    let school = tempfile::tempdir().unwrap();
    let school = school.path();
    fs::write(school.join("ticket"), collector.ticket(SITE).to_string()).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_messnetz"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let examples = examples();
    assert_eq!(examples.len(), 2);
    // The second goes on where the first ended.
    let script = examples.join("\n") + "\n";
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(school)
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = said
        .match_indices("{\"receipt\":")
        .map(|(at, _)| {
            let mut values = serde_json::Deserializer::from_str(&said[at..]).into_iter();
            values.next().unwrap().unwrap()
        })
        .filter(|answer: &Value| answer.get("schedule").is_some())
        .collect();
    assert_eq!(answers.len(), 2, "{said}");
    for answer in &answers {
        assert_eq!(answer["duplicate"], false);
        assert_eq!(answer["receipt"]["receipt"]["site"], SITE);
    }

    let receipt = &answers[1]["receipt"]["receipt"];
    let agent = receipt["agent"].as_str().unwrap();
    let arguments = [
        "collector",
        "batch",
        SITE,
        agent,
        "1",
        "1",
        "--out",
        "1.json",
    ];
    let output = run(folder.path(), &[&arguments[..], &["--json"]].concat());
    let written: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(written["hash"], receipt["batch"]);
    let agents = run(folder.path(), &["collector", "agents", "--json"]);
    let agents: Value = serde_json::from_slice(&agents.stdout).unwrap();
    let key = agents[0]["public_key"].as_str().unwrap();
    let verified = run(folder.path(), &["batch", "verify", "1.json", "--key", key]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    drop(collector);
}
