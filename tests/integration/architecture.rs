//! The rules of the house, held by tests: who may depend on whom, and how a module introduces itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the repository has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of them may name. Nothing else points from one room to another.
const MAY_DEPEND_ON: [(&str, &[&str]); 7] = [
    ("messnetz-metric", &[]),
    ("messnetz-sites", &["messnetz-metric"]),
    ("messnetz-probes", &["messnetz-metric"]),
    (
        "messnetz",
        &["messnetz-metric", "messnetz-probes", "messnetz-sites"],
    ),
    (
        "fuzz",
        &[
            "messnetz",
            "messnetz-metric",
            "messnetz-probes",
            "messnetz-sites",
        ],
    ),
    (
        "load",
        &[
            "messnetz",
            "messnetz-metric",
            "messnetz-probes",
            "messnetz-sites",
        ],
    ),
    ("xtask", &[]),
];

/// Judging is pure: none of these may be reachable from sites or metric, however far away.
const IMPURE: [&str; 14] = [
    "async-io",
    "hyper",
    "libsqlite3-sys",
    "mio",
    "nix",
    "pnet",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "socket2",
    "surge-ping",
    "tokio",
    "tracing",
];

/// What a school box does not carry.
const COLLECTOR_ONLY: [&str; 9] = [
    "axum",
    "calamine",
    "csv",
    "encoding_rs",
    "maud",
    "plotters",
    "png",
    "rust_xlsxwriter",
    "zstd-sys",
];

/// Rooms of `src/` and those that they must not reach into.
const MUST_NOT_NAME: [(&str, &[&str]); 7] = [
    (
        "judging",
        &["agent", "cli", "collector", "demo", "lab", "report", "web"],
    ),
    (
        "agent",
        &["collector", "demo", "lab", "report", "store", "web"],
    ),
    ("collector", &["agent", "cli", "demo", "lab"]),
    (
        "store",
        &["agent", "cli", "collector", "demo", "lab", "report", "web"],
    ),
    (
        "report",
        &["agent", "cli", "collector", "demo", "lab", "store", "web"],
    ),
    ("web", &["agent", "cli", "demo", "lab"]),
    (
        "lab",
        &[
            "agent",
            "cli",
            "collector",
            "demo",
            "report",
            "store",
            "web",
        ],
    ),
];

/// Longest file without its tests. Above it, a file holds more than one thing.
const MAX_LINES: usize = 700;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `cargo metadata` says with these arguments, for the machine that runs the test.
fn metadata(arguments: &[&str]) -> Value {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let about = Command::new(rustc).arg("-vV").output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--filter-platform", host])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// Names of all crates that are linked into the workspace's crate `name`.
fn linked_into(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let links: BTreeMap<&str, Vec<&str>> = nodes
        .iter()
        .map(|node| {
            let linked = node["deps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dep| {
                    let kinds = dep["dep_kinds"].as_array().unwrap();
                    kinds.iter().any(|kind| kind["kind"].is_null())
                })
                .map(|dep| text(dep, "pkg"));
            (text(node, "id"), linked.collect())
        })
        .collect();
    let mut reached = BTreeSet::new();
    let start = names.iter().find(|&(_, n)| *n == name).unwrap();
    let mut open = vec![*start.0];
    while let Some(id) = open.pop() {
        for dep in &links[id] {
            if reached.insert(names[dep].to_owned()) {
                open.push(dep);
            }
        }
    }
    reached
}

#[test]
fn our_crates_depend_on_each_other_one_way() {
    let metadata = metadata(&["--no-deps"]);
    let rules = BTreeMap::from(MAY_DEPEND_ON);
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(
        packages.len(),
        rules.len(),
        "a crate without a rule: add it to MAY_DEPEND_ON and to the design"
    );
    for package in packages {
        let name = text(package, "name");
        let allowed = rules
            .get(name)
            .unwrap_or_else(|| panic!("no rule for {name}"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = text(dependency, "name");
            assert!(
                !rules.contains_key(on) || allowed.contains(&on),
                "{name} must not depend on {on}"
            );
        }
    }
}

#[test]
fn judging_links_no_clock_socket_or_database() {
    let metadata = metadata(&[]);
    for name in ["messnetz-metric", "messnetz-sites"] {
        let linked = linked_into(&metadata, name);
        for impure in IMPURE {
            assert!(!linked.contains(impure), "{name} links {impure}");
        }
    }
}

#[test]
fn measuring_knows_no_school_and_no_database() {
    let linked = linked_into(&metadata(&[]), "messnetz-probes");
    for foreign in ["messnetz-sites", "rusqlite", "axum", "plotters"] {
        assert!(!linked.contains(foreign), "messnetz-probes links {foreign}");
    }
}

#[test]
fn a_school_box_carries_nothing_of_the_collector() {
    let metadata = metadata(&["--no-default-features", "--features", "agent"]);
    let linked = linked_into(&metadata, "messnetz");
    assert!(
        linked.contains("tokio"),
        "the graph was not read: {linked:?}"
    );
    for name in COLLECTOR_ONLY {
        assert!(
            !linked.contains(name),
            "the agent alone links {name}: make it optional, for the feature collector"
        );
    }
}

/// All Rust files of the workspace, as paths from the root.
fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = ["src", "sites", "probes", "tests"]
        .map(PathBuf::from)
        .into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 10, "too few files found: {files:?}");
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The part of a file that is not its tests: a test module is the last item of its file.
fn without_tests(source: &str) -> &str {
    source
        .split_once("#[cfg(test)]\nmod tests {")
        .map_or(source, |(code, _)| code)
}

fn is_test_file(file: &Path) -> bool {
    file.starts_with("tests/integration")
        || file.components().any(|part| part.as_os_str() == "tests.rs")
        || file
            .parent()
            .is_some_and(|folder| folder.ends_with("tests"))
}

/// The rooms that code names as `crate::room` or in `crate::{room, …}`, comments aside.
fn rooms_named(source: &str) -> BTreeSet<String> {
    let code: String = source
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let mut depth = 0_i32;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.extend(first_name(&std::mem::take(&mut item))),
                    _ => {}
                }
                if c != ',' || depth > 0 {
                    item.push(c);
                }
            }
            rooms.extend(first_name(&item));
        } else {
            rooms.extend(first_name(after));
        }
    }
    rooms
}

/// The name with which `path` begins.
fn first_name(path: &str) -> Option<String> {
    let name: String = path
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn rooms_are_found_in_every_form_of_path() {
    let source = "use crate::agent::Spool;\n\
                  // crate::comment\n\
                  use crate::{\n    cli::{self, Command},\n    store,\n};\n\
                  pub(crate) fn f() -> crate::web::Page {}\n";
    let expected = ["agent", "cli", "store", "web"].map(str::to_owned);
    assert_eq!(rooms_named(source), BTreeSet::from(expected));
}

#[test]
fn no_room_of_the_program_reaches_past_its_neighbour() {
    for (room, forbidden) in MUST_NOT_NAME {
        let files = rust_files().into_iter().filter(|file| {
            file.starts_with(Path::new("src").join(room))
                || *file == Path::new("src").join(room).with_extension("rs")
        });
        for file in files {
            let named = rooms_named(&read(&file));
            for other in forbidden {
                let shown = file.display();
                assert!(!named.contains(*other), "{shown} names crate::{other}");
            }
        }
    }
}

#[test]
fn every_module_says_what_lives_there() {
    for file in rust_files() {
        let source = read(&file);
        let first = source.lines().next().unwrap_or_default();
        assert!(
            first.strip_prefix("//! ").is_some_and(|t| t.len() > 10),
            "{} must open with a paragraph that says what lives there (//!)",
            file.display()
        );
    }
}

#[test]
fn no_file_is_named_after_nothing() {
    for file in rust_files() {
        for part in &file {
            let name = Path::new(part).file_stem().unwrap().to_string_lossy();
            assert!(
                !EMPTY_NAMES.contains(&name.as_ref()),
                "{}: name it after what it holds",
                file.display()
            );
        }
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    for file in rust_files() {
        if !is_test_file(&file) {
            let n_lines = without_tests(&read(&file)).lines().count();
            assert!(
                n_lines <= MAX_LINES,
                "{} has {n_lines} lines without its tests: split it",
                file.display()
            );
        }
    }
}

/// What is between backticks in a document, without what is in fenced blocks.
fn quoted_in(document: &str) -> impl Iterator<Item = &str> {
    let lines = document.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_test_and_file_that_a_document_names_is_there() {
    let sources: Vec<String> = rust_files().iter().map(|file| read(file)).collect();
    let is_there = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|source| source.contains(&function))
    };
    // A sentence; what has fewer words is a field or a function's argument.
    let is_sentence = |name: &str| {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.chars().all(is_word) && name.matches('_').count() >= 4
    };
    let folders = [root().to_owned(), root().join("docs")];
    let documents = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut named = 0;
    for document in documents.map(|entry| entry.unwrap().path()) {
        if document
            .extension()
            .is_none_or(|extension| extension != "md")
        {
            continue;
        }
        let shown = document.display();
        for quoted in quoted_in(&read(&document)) {
            if is_sentence(quoted) {
                named += 1;
                assert!(
                    is_there(quoted),
                    "{shown} names {quoted}: there is no such test"
                );
            }
            let is_file = Path::new(quoted).extension().is_some_and(|it| it == "rs");
            if is_file
                && ["src/", "probes/", "sites/", "tests/"]
                    .iter()
                    .any(|room| quoted.starts_with(room))
            {
                assert!(
                    root().join(quoted).exists(),
                    "{shown} names {quoted}: there is no such file"
                );
            }
        }
    }
    assert!(
        named > 50,
        "only {named} names were found: they are looked for in the wrong place"
    );
}
