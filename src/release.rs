//! A release as a file: its signed head in one line of JSON, and the program behind it. Making one, taking one
//! apart, and the keys that may sign one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ring::digest::{Context, SHA256};
use ring::signature::Ed25519KeyPair;
use thiserror::Error;

use crate::wire::batch::Digest;
use crate::wire::{MAX_PROGRAM_BYTES, PublicKey, Release, SignedError, SignedRelease};

/// Longest head of a release, in bytes.
const MAX_HEAD: u64 = 4 * 1024;

/// Largest file of release keys, in bytes.
const MAX_KEYS: u64 = 64 * 1024;

/// Why a file is no release that can be used.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// It cannot be read.
    #[error("reading it")]
    Io(#[from] io::Error),
    /// Its first line is something else.
    #[error("its first line is no messnetz-release-1: {0}")]
    Form(String),
    /// The program is not the one that was signed.
    #[error("its program is not the one that was signed: {0}")]
    Program(String),
    /// Nobody signed it who may.
    #[error("it is signed with none of the release keys that are trusted here")]
    Untrusted,
}

/// Signs a program.
///
/// # Errors
/// Where it cannot be read, or no release may say this.
pub fn sign(
    program: &Path,
    key: &Ed25519KeyPair,
    (version, serial, target): (&str, u64, &str),
) -> Result<(Release, SignedRelease), ReleaseError> {
    let (size, sha256) = digest_of(&mut File::open(program)?.take(MAX_PROGRAM_BYTES + 1))?;
    let release = Release {
        version: version.to_owned(),
        serial,
        target: target.to_owned(),
        size,
        sha256,
    };
    release.check().map_err(ReleaseError::Form)?;
    let signed = SignedRelease::by(key, &release);
    let signed = signed.map_err(|error| ReleaseError::Form(error.to_string()))?;
    Ok((release, signed))
}

/// Writes a release: its head, and the program behind it.
///
/// # Errors
/// Where that cannot be written, or the program read.
pub fn write(
    out: &mut impl Write,
    signed: &SignedRelease,
    program: &mut impl Read,
) -> io::Result<()> {
    let mut head = serde_json::to_vec(signed)?;
    head.push(b'\n');
    out.write_all(&head)?;
    io::copy(program, out)?;
    Ok(())
}

/// A release's head, and where its program begins.
#[derive(Debug)]
pub struct Head {
    /// What was signed.
    pub signed: SignedRelease,
    /// What that says, whoever signed it.
    pub release: Release,
    /// Bytes before the program.
    pub length: u64,
}

/// Reads the head of a release, and nothing of its program.
///
/// # Errors
/// Where it is none.
pub fn head(from: &mut impl BufRead) -> Result<Head, ReleaseError> {
    let mut line = Vec::new();
    from.take(MAX_HEAD).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        let why = format!("no line ends within {MAX_HEAD} bytes");
        return Err(ReleaseError::Form(why));
    }
    let signed: SignedRelease =
        serde_json::from_slice(&line).map_err(|error| ReleaseError::Form(error.to_string()))?;
    let release = stated(&signed)?;
    Ok(Head {
        signed,
        release,
        length: line.len() as u64,
    })
}

/// What a release says, whoever signed it, as far as it can be used.
///
/// # Errors
/// Where it cannot.
pub fn stated(signed: &SignedRelease) -> Result<Release, ReleaseError> {
    let release = signed.stated();
    let release = release.map_err(|error| ReleaseError::Form(error.to_string()))?;
    release.check().map_err(ReleaseError::Form)?;
    Ok(release)
}

/// Opens a release, whose program is as its head says, whoever signed that.
///
/// # Errors
/// Where it is none, or its program another one.
pub fn open(path: &Path) -> Result<Head, ReleaseError> {
    let mut file = BufReader::new(File::open(path)?);
    let head = head(&mut file)?;
    check_program(&head.release, &mut file)?;
    Ok(head)
}

/// Whether these are the bytes that a release is about, and no more.
///
/// # Errors
/// Where they are not.
pub fn check_program(release: &Release, program: &mut impl Read) -> Result<(), ReleaseError> {
    let (size, sha256) = digest_of(&mut program.take(release.size.saturating_add(1)))?;
    let why = match size.cmp(&release.size) {
        std::cmp::Ordering::Less => format!("{size} bytes of {} are there", release.size),
        std::cmp::Ordering::Greater => format!("more than {} bytes are there", release.size),
        std::cmp::Ordering::Equal if sha256 != release.sha256 => {
            format!("its SHA-256 is {sha256} and not {}", release.sha256)
        }
        std::cmp::Ordering::Equal => return Ok(()),
    };
    Err(ReleaseError::Program(why))
}

/// Length and SHA-256 of what is read to its end.
///
/// # Errors
/// Where it cannot be read.
pub fn digest_of(from: &mut impl Read) -> io::Result<(u64, Digest)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            let mut digest = [0; 32];
            digest.copy_from_slice(context.finish().as_ref());
            return Ok((size, Digest::from_bytes(digest)));
        }
        context.update(&buffer[..length]);
        size += length as u64;
    }
}

/// The keys that may sign what this box runs. Without one it takes no release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseKeys(Vec<PublicKey>);

/// A file of release keys cannot be used. Then none is trusted.
#[derive(Debug, Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("reading the release keys in {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Whoever may write it decides what runs here.
    #[error("others than its owner may write {path} (mode {mode:03o}): chmod 644 {path}")]
    Open {
        /// Which.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A line of it is no key.
    #[error(
        "{path}:{line}: this is no base64 of an Ed25519 public key, as `messnetz release keygen` prints it"
    )]
    Line {
        /// Which file.
        path: String,
        /// Which line.
        line: usize,
    },
}

impl ReleaseKeys {
    /// The keys of a file: one in a line, whatever follows it, and lines that begin with `#`. None where there is no
    /// such file.
    ///
    /// # Errors
    /// Where it cannot be read, is open to others, or says something else.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let shown = path.display().to_string();
        let failed = |source| KeysError::File {
            path: shown.clone(),
            source,
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.map_err(failed)?,
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(KeysError::Open { path: shown, mode });
        }
        let mut text = String::new();
        file.take(MAX_KEYS)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Self::parse(&text).map_err(|line| KeysError::Line { path: shown, line })
    }

    /// The keys of a text; otherwise the line that is none.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut keys = Vec::new();
        for (line, said) in (1_usize..).zip(text.lines()) {
            let Some(word) = said.split_whitespace().next() else {
                continue;
            };
            if !word.starts_with('#') {
                keys.push(PublicKey::try_from(word.to_owned()).map_err(|_| line)?);
            }
        }
        Ok(Self(keys))
    }

    /// These keys.
    #[must_use]
    pub const fn of(keys: Vec<PublicKey>) -> Self {
        Self(keys)
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// What a release says, once it is known that one of these keys signed it.
    ///
    /// # Errors
    /// Where none did, or it cannot be used.
    pub fn verified(&self, signed: &SignedRelease) -> Result<Release, ReleaseError> {
        for key in &self.0 {
            match signed.verified(key) {
                Ok(release) => {
                    release.check().map_err(ReleaseError::Form)?;
                    return Ok(release);
                }
                Err(SignedError::Signature) => {}
                Err(error) => return Err(ReleaseError::Form(error.to_string())),
            }
        }
        Err(ReleaseError::Untrusted)
    }
}

/// Reads the program of a release, from so many bytes on and so many at most; nothing beyond its end.
///
/// # Errors
/// Where the file cannot be read or is no release.
pub fn part(path: &Path, from: u64, most: usize) -> Result<Vec<u8>, ReleaseError> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = BufReader::new(File::open(path)?);
    let head = head(&mut file)?;
    let left = head.release.size.saturating_sub(from).min(most as u64);
    if left == 0 {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(head.length + from))?;
    let mut bytes = Vec::new();
    file.take(left).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::wire::TARGET;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn keys(seed: u8) -> ReleaseKeys {
        ReleaseKeys::of(vec![PublicKey::from(&key(seed))])
    }

    fn release(folder: &Path) -> std::path::PathBuf {
        let program = folder.join("program");
        fs::write(&program, b"#!/bin/sh\nexit 0\n").unwrap();
        let (_, signed) = sign(&program, &key(1), ("0.2.0", 7, TARGET)).unwrap();
        let path = folder.join("0.2.0.release");
        let mut out = File::create(&path).unwrap();
        write(&mut out, &signed, &mut File::open(&program).unwrap()).unwrap();
        path
    }

    #[test]
    fn what_is_signed_comes_back_and_only_with_a_key_that_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let head = open(&release(folder.path())).unwrap();
        assert_eq!((head.release.serial, head.release.size), (7, 17));
        assert_eq!(keys(1).verified(&head.signed).unwrap(), head.release);
        for stranger in [keys(2), ReleaseKeys::default()] {
            let refused = stranger.verified(&head.signed).unwrap_err();
            assert!(matches!(refused, ReleaseError::Untrusted), "{refused}");
        }
    }

    #[test]
    fn a_release_that_is_cut_longer_or_changed_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = release(folder.path());
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            open(&path).unwrap_err().to_string()
        };
        let cut = refused(&whole[..whole.len() - 3]);
        assert!(cut.contains("14 bytes of 17"), "{cut}");
        let longer = refused(&[&whole[..], b"x"].concat());
        assert!(longer.contains("more than 17"), "{longer}");
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let flipped = refused(&flipped);
        assert!(flipped.contains("SHA-256"), "{flipped}");
        for other in [&b""[..], b"{}\n", b"\x7fELF\n", &[b'x'; 9_000]] {
            assert!(refused(other).contains("first line"));
        }
    }

    #[test]
    fn every_change_of_the_head_breaks_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        let head = open(&release(folder.path())).unwrap();
        let text = serde_json::to_string(&head.signed).unwrap();
        for (from, to) in [
            ("\"serial\":7", "\"serial\":8"),
            ("0.2.0", "0.3.0"),
            (TARGET, "armv7"),
            ("\"size\":17", "\"size\":16"),
        ] {
            let changed: SignedRelease = serde_json::from_str(&text.replace(from, to)).unwrap();
            let refused = keys(1).verified(&changed).unwrap_err();
            assert!(matches!(refused, ReleaseError::Untrusted), "{to}");
        }
    }

    #[test]
    fn the_parts_of_a_program_make_the_whole_and_end_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = release(folder.path());
        let mut program = Vec::new();
        loop {
            let next = part(&path, program.len() as u64, 5).unwrap();
            if next.is_empty() {
                break;
            }
            program.extend(next);
        }
        assert_eq!(program, b"#!/bin/sh\nexit 0\n");
        assert_eq!(part(&path, u64::MAX, 5).unwrap(), b"");
    }

    #[test]
    fn keys_are_read_line_by_line_and_a_file_that_others_may_write_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release-keys");
        assert!(ReleaseKeys::load(&path).unwrap().is_empty());
        let line = String::from(PublicKey::from(&key(1)));
        fs::write(
            &path,
            format!("# of the town\n\n{line} laid down in 2026\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(ReleaseKeys::load(&path).unwrap(), keys(1));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        let open = ReleaseKeys::load(&path).unwrap_err();
        assert!(matches!(open, KeysError::Open { .. }), "{open}");
        fs::write(&path, "no key\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = ReleaseKeys::load(&path).unwrap_err();
        assert!(matches!(error, KeysError::Line { line: 1, .. }), "{error}");
    }
}
