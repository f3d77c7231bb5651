//! Whether every crate that is linked may be: its licence, its name and its source, by the rules in
//! `deny.toml`.
//!
//! `cargo deny` does this too, but takes minutes to install. The licences are part of what a school
//! authority gets from us, so they are checked on every machine.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cargo::{metadata, root};

/// The one registry that crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What we read of `deny.toml`; the rest is for `cargo deny`.
#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Checks every crate of the lockfile that is built for one of our platforms.
pub(crate) fn check() -> Result<()> {
    let path = root().join("deny.toml");
    let text = std::fs::read_to_string(&path).context("cannot read deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("cannot understand deny.toml")?;
    let mut filter = Vec::new();
    for target in &rules.graph.targets {
        filter.extend(["--filter-platform", target]);
    }
    let Metadata { packages } = metadata(&filter)?;
    let problems: Vec<String> = packages.iter().filter_map(|p| problem(p, &rules)).collect();
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!(
            "{} crates may not be linked (rules: deny.toml)",
            problems.len()
        );
    }
    println!("{} crates may be linked", packages.len());
    Ok(())
}

/// Why this package may not be linked.
fn problem(package: &Package, rules: &Rules) -> Option<String> {
    let Package { name, version, .. } = package;
    if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == *name) {
        return Some(format!("{name} {version} is banned: {}", ban.reason));
    }
    if let Some(source) = package.source.as_deref()
        && source != REGISTRY
    {
        return Some(format!("{name} {version} comes from {source}"));
    }
    let Some(licence) = &package.license else {
        return Some(format!("{name} {version} states no licence"));
    };
    match is_allowed(licence, &rules.licenses.allow) {
        Some(true) => None,
        Some(false) => Some(format!("{name} {version} is licensed as {licence}")),
        None => Some(format!(
            "{name} {version}: '{licence}' is no SPDX expression"
        )),
    }
}

/// Whether an SPDX expression (ISO/IEC 5962, annex D) can be satisfied with the allowed licences.
/// `None` where it is not one. Old manifests write `/` for `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let verdict = alternatives(&mut rest, allowed)?;
    rest.is_empty().then_some(verdict)
}

/// `a OR b`: OR binds weakest.
fn alternatives(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut verdict = conjunction(rest, allowed)?;
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        verdict |= conjunction(rest, allowed)?;
    }
    Some(verdict)
}

/// `a AND b`.
fn conjunction(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut verdict = licence(rest, allowed)?;
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        verdict &= licence(rest, allowed)?;
    }
    Some(verdict)
}

/// One licence, with its exception where it has one, or a group in parentheses.
fn licence(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let verdict = alternatives(rest, allowed)?;
            let [")", tail @ ..] = *rest else { return None };
            *rest = tail;
            Some(verdict)
        }
        [id, "WITH", exception, tail @ ..] => {
            *rest = tail;
            Some(allowed.contains(&format!("{id} WITH {exception}")))
        }
        [")" | "OR" | "AND" | "WITH", ..] | [] => None,
        [id, tail @ ..] => {
            *rest = tail;
            Some(allowed.contains(*id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_as_spdx_reads_them() {
        let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        let cases = [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-2.0-only", Some(true)),
            ("Apache-2.0/MIT", Some(true)),
            ("MIT AND GPL-2.0-only", Some(false)),
            ("(MIT OR Apache-2.0) AND ISC", Some(true)),
            ("GPL-2.0-only OR MIT AND ISC", Some(true)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT ISC", None),
            ("MIT)", None),
        ];
        for (expression, expected) in cases {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
