//! `messnetz release`: make the key that signs releases, sign a program with it, and look at what was signed. For the
//! machine that builds releases; neither collector nor box needs it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

use super::batch::key;
use super::{Ending, print, print_json};
use crate::release::{self, ReleaseKeys};
use crate::wire::{PublicKey, Release, TARGET};

/// Length of a line of base64 in PEM (RFC 7468, section 3).
const PEM_LINE: usize = 64;

/// Sign versions of this program for boxes to take (for whoever builds them).
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key that signs releases
    #[command(
        after_help = "Example:\n  messnetz release keygen --out release-key.pem\n\nThe private key belongs on no collector and on no box: whoever has it decides what all boxes run.\nWhat is printed is a line for /etc/messnetz/release-keys on each box that is to take releases."
    )]
    Keygen {
        /// The file to write the private key to, which must not exist
        #[arg(long)]
        out: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign a program as a release
    #[command(
        after_help = "Example:\n  messnetz release sign target/release/messnetz --key release-key.pem --version 0.2.0 --serial 7 \\\n      --target aarch64-unknown-linux-gnu --out messnetz-0.2.0-arm64.release\n\nThe serial grows with every release: no box takes one that is not above all that it has run.\nA release that a box has rolled back is signed again, under a new serial, if it is to be tried again."
    )]
    Sign(Sign),
    /// Say what of a release holds
    #[command(
        after_help = "Example:\n  messnetz release verify messnetz-0.2.0-arm64.release --key MCowBQYDK2VwAyEA…\n\nExit codes: 0 it is whole and signed with this key, 1 it is whole and signed with another, 2 it is not whole or no release."
    )]
    Verify {
        /// The release
        file: PathBuf,
        /// Public Ed25519 key: a PEM file, or the base64 of the key
        #[arg(long)]
        key: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Sign {
    /// The program
    program: PathBuf,
    /// Private Ed25519 key, PEM or DER (PKCS #8)
    #[arg(long)]
    key: PathBuf,
    /// Name of the release for people, such as 0.2.0
    #[arg(long)]
    version: String,
    /// Number of the release, above those of all before it
    #[arg(long)]
    serial: u64,
    /// What the program was built for
    #[arg(long, default_value = TARGET)]
    target: String,
    /// The file to write, which must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print what was signed as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    match arguments.command {
        Command::Keygen { out, json } => keygen(&out, json),
        Command::Sign(arguments) => sign(&arguments),
        Command::Verify { file, key, json } => verify(&file, &key, json),
    }
}

fn keygen(out: &std::path::Path, json: bool) -> anyhow::Result<Ending> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("the operating system gave no random numbers"))?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref())
        .map_err(|error| anyhow::anyhow!("the key that was made cannot be used: {error}"))?;
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .and_then(|mut file| {
            file.write_all(pem(document.as_ref()).as_bytes())?;
            file.sync_all()
        })
        .with_context(|| format!("writing {}", out.display()))?;
    let public = String::from(PublicKey::from(&pair));
    if json {
        print_json(
            &serde_json::json!({ "file": out.display().to_string(), "public_key": public }),
        )?;
    } else {
        print(&public)?;
    }
    Ok(Ending::Well)
}

fn pem(document: &[u8]) -> String {
    let text: Vec<char> = STANDARD.encode(document).chars().collect();
    let lines: Vec<String> = text
        .chunks(PEM_LINE)
        .map(|line| line.iter().collect())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

fn sign(arguments: &Sign) -> anyhow::Result<Ending> {
    let key = key::private(&arguments.key)?;
    let shown = arguments.program.display();
    let what = (
        arguments.version.as_str(),
        arguments.serial,
        arguments.target.as_str(),
    );
    let (release, signed) = release::sign(&arguments.program, &key, what)
        .with_context(|| format!("signing {shown}"))?;
    let out = arguments.out.display();
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&arguments.out)?;
        release::write(&mut file, &signed, &mut File::open(&arguments.program)?)?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {out}"))?;
    // What a program wrote to meanwhile would be refused everywhere.
    release::open(&arguments.out).with_context(|| format!("reading {out} back"))?;
    if arguments.json {
        print_json(&release)?;
    } else {
        print(&format!("wrote {out}: {}", said(&release)))?;
    }
    Ok(Ending::Well)
}

/// What a release is, in a line.
pub(super) fn said(release: &Release) -> String {
    let Release {
        version,
        serial,
        target,
        size,
        sha256,
    } = release;
    format!("version {version}, serial {serial}, for {target}, {size} bytes, SHA-256 {sha256}")
}

fn verify(file: &std::path::Path, key: &str, json: bool) -> anyhow::Result<Ending> {
    let octets = key::public(key)?;
    let Some(public) = PublicKey::of(&octets) else {
        bail!("{key} is no public Ed25519 key");
    };
    let head = release::open(file).with_context(|| format!("reading {}", file.display()))?;
    let holds = ReleaseKeys::of(vec![public]).verified(&head.signed).is_ok();
    if json {
        let mut found = serde_json::to_value(&head.release)?;
        found["holds"] = holds.into();
        print_json(&found)?;
    } else {
        let word = if holds {
            "signed with this key"
        } else {
            "NOT signed with this key"
        };
        print(&format!("{word}: {}", said(&head.release)))?;
    }
    Ok(if holds {
        Ending::Well
    } else {
        Ending::Findings
    })
}
