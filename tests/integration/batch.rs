//! Batches on the command line: what is signed, what is told of it, and what of one that was changed.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::program::{run, stderr, stdout};

const COLLECTOR: &str = "fedcba98fedcba98fedcba98fedcba98";

/// Two series with three observations.
fn observations() -> Vec<Value> {
    let vantage = json!({"interface": "eth0", "medium": "wired"});
    vec![
        json!({"metric": "line.rtt", "at": 1_795_370_000_000_i64, "vantage": vantage, "peer": "collector", "unit": "us", "value": 12_345}),
        json!({"metric": "service.dns", "at": 1_795_370_001_000_i64, "vantage": vantage, "peer": "10.0.0.1:53", "failure": {"reason": "timeout", "detail": "no answer within 3000 ms"}}),
        json!({"metric": "line.rtt", "at": 1_795_370_060_000_i64, "vantage": vantage, "peer": "collector", "unit": "us", "value": 12_400}),
    ]
}

/// Makes a key in `key.pk8`, and gives the base64 of its public half.
fn make_key(folder: &Path) -> String {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    fs::write(folder.join("key.pk8"), &document).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    STANDARD.encode(key.public_key())
}

/// Observations as a file of JSON lines, `lines`.
fn write_lines(folder: &Path) {
    let lines: Vec<String> = observations().iter().map(Value::to_string).collect();
    fs::write(folder.join("lines"), lines.join("\n")).unwrap();
}

/// A signed batch of them, `batch.json`.
fn sign_lines(folder: &Path) {
    write_lines(folder);
    sign(folder, "lines");
}

/// Signs what is in `input` as `batch.json`, and says what was said of it.
fn sign(folder: &Path, input: &str) -> Value {
    let output = run(
        folder,
        &[
            "batch",
            "sign",
            input,
            "--key",
            "key.pk8",
            "--site",
            "XX-100001/main",
            "--collector",
            COLLECTOR,
            "--epoch",
            "1",
            "--out",
            "batch.json",
            "--json",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit code and findings.
fn verify(folder: &Path, file: &str, key: &str) -> (Option<i32>, Value) {
    let output = run(folder, &["batch", "verify", file, "--key", key, "--json"]);
    let findings =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code(), findings)
}

#[test]
fn observations_in_lines_and_in_an_audit_file_are_signed_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = make_key(folder);
    write_lines(folder);
    let audit = json!({"format": "messnetz-audit-1", "observations": observations()});
    fs::write(folder.join("audit"), audit.to_string()).unwrap();
    let mut hashes = Vec::new();
    for input in ["lines", "audit"] {
        let signed = sign(folder, input);
        assert_eq!(signed["observations"], 3);
        assert_eq!(signed["chunks"], 2);
        let (code, findings) = verify(folder, "batch.json", &key);
        assert_eq!(code, Some(0), "{findings}");
        assert_eq!(findings["hash"], signed["hash"]);
        assert_eq!(findings["signature"], "holds");
        assert_eq!(findings["chunks"][1]["metric"], "service.dns");
        hashes.push(signed["hash"].clone());
        fs::remove_file(folder.join("batch.json")).unwrap();
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn a_batch_without_signature_is_signed_as_it_stands_and_only_with_the_key_of_its_agent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_key(folder);
    sign_lines(folder);
    let signed = fs::read_to_string(folder.join("batch.json")).unwrap();
    let unsigned: Vec<&str> = signed
        .lines()
        .filter(|line| !line.starts_with("\"signature\""))
        .collect();
    fs::write(folder.join("unsigned"), unsigned.join("\n")).unwrap();
    let again = [
        "batch",
        "sign",
        "unsigned",
        "--key",
        "key.pk8",
        "--out",
        "again.json",
    ];
    let output = run(folder, &again);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        fs::read_to_string(folder.join("again.json")).unwrap(),
        signed
    );
    let output = run(folder, &again);
    assert_eq!(
        output.status.code(),
        Some(2),
        "a file that exists is left alone"
    );

    make_key(folder);
    let output = run(
        folder,
        &[
            "batch",
            "sign",
            "unsigned",
            "--key",
            "key.pk8",
            "--out",
            "other.json",
        ],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("with the agent's own key"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_was_changed_or_taken_out_is_told_from_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = make_key(folder);
    sign_lines(folder);
    let signed = fs::read_to_string(folder.join("batch.json")).unwrap();

    let pruned = run(
        folder,
        &[
            "batch",
            "prune",
            "batch.json",
            "--keep",
            "line.",
            "--out",
            "line.json",
        ],
    );
    assert!(
        stdout(&pruned).contains("1 of 2 series"),
        "{}",
        stderr(&pruned)
    );
    let (code, findings) = verify(folder, "line.json", &key);
    assert_eq!(code, Some(0), "{findings}");
    assert_eq!(findings["chunks"][0]["standing"], "holds");
    assert_eq!(findings["chunks"][1]["standing"], "pruned");
    assert_eq!(findings["holds"], true);

    let write = |from: &str, to: &str| {
        assert!(signed.contains(from), "{signed}");
        fs::write(folder.join("changed.json"), signed.replacen(from, to, 1)).unwrap();
        verify(folder, "changed.json", &key)
    };
    let (code, findings) = write("12345", "99999");
    assert_eq!(code, Some(1));
    assert_eq!(findings["chunks"][0]["standing"], "altered");
    assert_eq!(findings["chunks"][1]["standing"], "holds");
    assert_eq!(findings["signature"], "holds");
    let (code, findings) = write("XX-100001/main", "XX-100002/main");
    assert_eq!((code, &findings["signature"]), (Some(1), &json!("broken")));
    assert_eq!(findings["root"], "holds");
    let digest = findings["chunks"][0]["digest"].as_str().unwrap().to_owned();
    let other = if digest.starts_with('0') { "1" } else { "0" };
    let (code, findings) = write(&digest, &(other.to_owned() + &digest[1..]));
    assert_eq!((code, &findings["root"]), (Some(1), &json!("broken")));
}

#[test]
fn a_key_of_somebody_else_and_a_file_that_is_no_batch_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_key(folder);
    sign_lines(folder);
    let other = make_key(folder);
    let (code, findings) = verify(folder, "batch.json", &other);
    assert_eq!(code, Some(1));
    assert_eq!(findings["key_is_of_agent"], false);
    assert_eq!(findings["signature"], "broken");

    fs::write(
        folder.join("odd.json"),
        fs::read_to_string(folder.join("batch.json"))
            .unwrap()
            .replace("12345", "-1"),
    )
    .unwrap();
    for (file, key, said) in [
        ("odd.json", other.as_str(), "chunks[0].value[0]"),
        ("lines", other.as_str(), "no messnetz-batch-2"),
        ("batch.json", "AAAA", "reading the public key AAAA"),
        ("batch.json", "lines", "no public Ed25519 key"),
        ("missing", other.as_str(), "reading missing"),
    ] {
        let output = run(folder, &["batch", "verify", file, "--key", key]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}
