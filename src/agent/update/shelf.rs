//! The versions of the program on the disk: a folder for each, and the book that says which one runs. Each change is
//! a row of steps in an order that leaves a version that runs wherever the power goes.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use thiserror::Error;

use super::book::{Book, Placed};
use crate::release::{self, ReleaseError, ReleaseKeys};
use crate::wire::{Release, SignedRelease, TARGET};

const FOLDER: &str = "versions";
const BOOK: &str = "book.json";
const INCOMING: &str = "incoming-";
const PROGRAM: &str = "messnetz";
const HEAD: &str = "release.json";
const RECEIPT: &str = "confirmed";

/// Largest book, in bytes; it has some kilobytes at most.
const MAX_BOOK: u64 = 64 * 1024;

/// Where versions lie.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
}

/// What was to be read or written there, and why it was not.
#[derive(Debug, Error)]
#[error("{doing} {path}")]
pub(in crate::agent) struct ShelfError {
    doing: &'static str,
    path: String,
    #[source]
    source: io::Error,
}

/// Why a release that lies on the disk is not run.
#[derive(Debug, Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("what lies there is release {found} for {target}")]
    Other { found: u64, target: String },
}

/// One change of the disk. After a power cut those before the last sync of a folder have happened, and of the others
/// any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes a folder where there is none.
    Folder(PathBuf),
    /// Writes a file that only its owner may read, and flushes its content.
    Write(PathBuf, Vec<u8>),
    /// Gives a flushed file another name.
    Rename(PathBuf, PathBuf),
    /// Flushes the names in a folder.
    Sync(PathBuf),
    /// Removes a folder with all that is in it.
    Remove(PathBuf),
}

impl Step {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(path)
            | Self::Write(path, _)
            | Self::Rename(_, path)
            | Self::Sync(path)
            | Self::Remove(path) => path,
        }
    }

    fn take(&self) -> io::Result<()> {
        match self {
            Self::Folder(path) => fs::create_dir_all(path),
            Self::Write(path, content) => {
                let mut options = fs::OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(0o600);
                let mut file = options.open(path)?;
                file.write_all(content)?;
                file.sync_all()
            }
            Self::Rename(from, to) => fs::rename(from, to),
            Self::Sync(folder) => File::open(folder)?.sync_all(),
            Self::Remove(folder) => fs::remove_dir_all(folder),
        }
    }
}

impl Shelf {
    /// The versions in an agent's directory.
    pub(super) fn of(state: &Path) -> Self {
        Self {
            folder: state.join(FOLDER),
        }
    }

    fn of_release(&self, serial: u64) -> PathBuf {
        self.folder.join(serial.to_string())
    }

    /// The file that a release on trial makes when it has a receipt.
    pub(super) fn receipt_file(&self, serial: u64) -> PathBuf {
        self.of_release(serial).join(RECEIPT)
    }

    /// The file that a release's program is fetched into: what is there of it was fetched before.
    pub(super) fn incoming(&self, release: &Release) -> PathBuf {
        self.folder.join(format!("{INCOMING}{}", release.sha256))
    }

    /// Makes the folder, and removes what was fetched of other releases than this.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(super) fn make_room(&self, release: &Release) -> Result<(), ShelfError> {
        take(&[Step::Folder(self.folder.clone())])?;
        let wanted = self.incoming(release);
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let is_part = entry.file_name().to_string_lossy().starts_with(INCOMING);
            if is_part && entry.path() != wanted {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Bytes that are free where the versions lie.
    ///
    /// # Errors
    /// Where the disk does not tell.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let about = statvfs(&self.folder)?;
        Ok(about.blocks_available() * about.fragment_size())
    }

    /// The book. Where there is none, or none that can be read, nothing is known: the packaged program runs.
    pub(super) fn book(&self) -> Book {
        let path = self.folder.join(BOOK);
        let read = File::open(&path).and_then(|file| {
            let mut text = Vec::new();
            file.take(MAX_BOOK).read_to_end(&mut text)?;
            Ok(serde_json::from_slice(&text)?)
        });
        read.unwrap_or_else(|error: io::Error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::error!(%path, %error, "the book of versions cannot be read: the packaged program runs");
            }
            Book::default()
        })
    }

    /// Keeps the book, and removes the releases that it does not need any more.
    ///
    /// # Errors
    /// Where it cannot be written. What is left over is no error.
    pub(super) fn keep(&self, book: &Book) -> Result<(), ShelfError> {
        take(&self.keeping(book)?)?;
        for serial in self.serials() {
            if !book.keeps(serial) {
                let left = take(&[Step::Remove(self.of_release(serial))]);
                if let Err(error) = left {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a version that is not needed stays"
                    );
                }
            }
        }
        Ok(())
    }

    /// The numbers of the releases that lie here.
    fn serials(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.collect()
    }

    fn keeping(&self, book: &Book) -> Result<Vec<Step>, ShelfError> {
        let path = self.folder.join(BOOK);
        let text = serde_json::to_vec_pretty(book).map_err(|error| ShelfError {
            doing: "writing",
            path: path.display().to_string(),
            source: error.into(),
        })?;
        let new = path.with_extension("new");
        Ok(vec![
            Step::Folder(self.folder.clone()),
            Step::Write(new.clone(), text),
            Step::Rename(new, path),
            Step::Sync(self.folder.clone()),
        ])
    }

    /// The steps that put what was fetched into its place and let it be tried: the book names it only when all of it
    /// is on the disk.
    fn staging(
        &self,
        (signed, release): (&SignedRelease, &Release),
        book: &Book,
    ) -> Result<Vec<Step>, ShelfError> {
        let place = self.of_release(release.serial);
        let head = serde_json::to_vec(signed).map_err(|error| ShelfError {
            doing: "writing",
            path: place.display().to_string(),
            source: error.into(),
        })?;
        let mut steps = vec![
            Step::Folder(place.clone()),
            Step::Rename(self.incoming(release), place.join(PROGRAM)),
            Step::Write(place.join(HEAD), head),
            Step::Sync(place),
            Step::Sync(self.folder.clone()),
        ];
        steps.extend(self.keeping(book)?);
        Ok(steps)
    }

    /// Puts what was fetched and verified into its place, to be tried at the next start.
    ///
    /// # Errors
    /// Where the disk refuses; then what was before stays.
    pub(super) fn stage(
        &self,
        signed: &SignedRelease,
        release: &Release,
    ) -> Result<(), ShelfError> {
        let place = self.of_release(release.serial);
        if place.exists() {
            // Of an earlier try that did not come to its end.
            take(&[Step::Remove(place), Step::Sync(self.folder.clone())])?;
        }
        let incoming = self.incoming(release);
        let failed = |source| ShelfError {
            doing: "making executable",
            path: incoming.display().to_string(),
            source,
        };
        fs::set_permissions(&incoming, Permissions::from_mode(0o700)).map_err(failed)?;
        File::open(&incoming)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        let mut book = self.book();
        book.stage(Placed {
            serial: release.serial,
            version: release.version.clone(),
        });
        take(&self.staging((signed, release), &book)?)
    }

    /// The program of a release, once it is known that a trusted key signed these very bytes for this machine.
    ///
    /// # Errors
    /// Why it is not to be run.
    pub(super) fn verified(&self, serial: u64, keys: &ReleaseKeys) -> Result<PathBuf, Unusable> {
        let place = self.of_release(serial);
        let opened = |path: &Path| {
            File::open(path).map_err(|source| ShelfError {
                doing: "opening",
                path: path.display().to_string(),
                source,
            })
        };
        let release::Head {
            signed, release, ..
        } = {
            let path = place.join(HEAD);
            let mut text = Vec::new();
            opened(&path)?
                .take(MAX_BOOK)
                .read_to_end(&mut text)
                .map_err(ReleaseError::Io)?;
            text.push(b'\n');
            release::head(&mut text.as_slice())?
        };
        keys.verified(&signed)?;
        if release.serial != serial || release.target != TARGET {
            return Err(Unusable::Other {
                found: release.serial,
                target: release.target,
            });
        }
        let program = place.join(PROGRAM);
        release::check_program(&release, &mut BufReader::new(opened(&program)?))?;
        Ok(program)
    }
}

/// Takes steps one after another.
fn take(steps: &[Step]) -> Result<(), ShelfError> {
    for step in steps {
        step.take().map_err(|source| ShelfError {
            doing: match step {
                Step::Folder(_) => "making the folder",
                Step::Write(..) => "writing",
                Step::Rename(..) => "putting into its place",
                Step::Sync(_) => "flushing",
                Step::Remove(_) => "removing",
            },
            path: step.path().display().to_string(),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ring::signature::Ed25519KeyPair;

    use super::super::book::Choice;
    use super::*;
    use crate::wire::PublicKey;

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
    }

    fn keys() -> ReleaseKeys {
        ReleaseKeys::of(vec![PublicKey::from(&key())])
    }

    /// A shelf onto which a release's program was fetched.
    fn fetched(folder: &Path, serial: u64) -> (Shelf, SignedRelease, Release) {
        let shelf = Shelf::of(folder);
        let program = folder.join("program");
        fs::create_dir_all(folder).unwrap();
        fs::write(&program, format!("#!/bin/sh\nexit {serial}\n")).unwrap();
        let version = format!("0.{serial}.0");
        let (release, signed) =
            release::sign(&program, &key(), (&version, serial, TARGET)).unwrap();
        shelf.make_room(&release).unwrap();
        fs::rename(program, shelf.incoming(&release)).unwrap();
        (shelf, signed, release)
    }

    fn staged(folder: &Path, serial: u64) -> Shelf {
        let (shelf, signed, release) = fetched(folder, serial);
        shelf.stage(&signed, &release).unwrap();
        shelf
    }

    #[test]
    fn what_is_staged_is_run_and_what_is_not_needed_goes() {
        let folder = tempfile::tempdir().unwrap();
        for serial in [7, 8, 9] {
            let shelf = staged(folder.path(), serial);
            let mut book = shelf.book();
            assert!(matches!(book.choose(), Choice::Trial(placed) if placed.serial == serial));
            let program = shelf.verified(serial, &keys()).unwrap();
            let mode = fs::metadata(&program).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            book.start();
            if serial == 8 {
                book.roll_back("it fell over");
            } else {
                book.confirm();
            }
            shelf.keep(&book).unwrap();
        }
        let shelf = Shelf::of(folder.path());
        assert_eq!(shelf.serials(), [9]);
        assert_eq!(shelf.book().failed.len(), 1);
    }

    #[test]
    fn a_program_that_was_changed_on_the_disk_or_whose_key_is_gone_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = staged(folder.path(), 7);
        assert!(matches!(
            shelf.verified(7, &ReleaseKeys::default()),
            Err(Unusable::Release(ReleaseError::Untrusted))
        ));
        let program = shelf.of_release(7).join(PROGRAM);
        fs::write(&program, "#!/bin/sh\nexit 8\n").unwrap();
        assert!(matches!(
            shelf.verified(7, &keys()),
            Err(Unusable::Release(ReleaseError::Program(_)))
        ));
        fs::remove_file(&program).unwrap();
        assert!(matches!(
            shelf.verified(7, &keys()),
            Err(Unusable::Shelf(_))
        ));
        // A release under another number, so that one that failed would come back.
        let other = staged(folder.path(), 8);
        fs::rename(other.of_release(8), other.of_release(9)).unwrap();
        assert!(matches!(
            other.verified(9, &keys()),
            Err(Unusable::Other { found: 8, .. })
        ));
    }

    #[test]
    fn a_damaged_book_lets_the_packaged_program_run() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = staged(folder.path(), 7);
        for damage in ["", "{", "[]", "{\"trial\":7}"] {
            fs::write(shelf.folder.join(BOOK), damage).unwrap();
            assert_eq!(shelf.book().choose(), Choice::Package);
        }
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    /// What a power cut may leave of these steps: all until a sync of a folder, and any of those after it; what was
    /// being written is torn. A step whose folder is not there has not happened.
    fn cuts(steps: &[Step]) -> Vec<Vec<Step>> {
        let mut all = Vec::new();
        for end in 0..=steps.len() {
            let (begun, next) = (&steps[..end], steps.get(end));
            let is_sync = |step: &Step| matches!(step, Step::Sync(_));
            let durable = begun.iter().rposition(is_sync).map_or(0, |last| last + 1);
            let (kept, open) = begun.split_at(durable);
            for mask in 0..1_u32 << open.len() {
                let of_open = (0..open.len()).filter(|bit| mask >> bit & 1 == 1);
                let mut left: Vec<Step> = kept.to_vec();
                left.extend(of_open.map(|bit| open[bit].clone()));
                all.push(left.clone());
                if let Some(Step::Write(path, content)) = next {
                    let torn = content[..content.len() / 2].to_vec();
                    left.push(Step::Write(path.clone(), torn));
                    all.push(left);
                }
            }
        }
        all
    }

    #[test]
    fn wherever_the_power_goes_there_is_a_version_that_runs_and_it_is_the_old_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let before = folder.path().join("before");
        let shelf = staged(&before, 7);
        let mut book = shelf.book();
        book.start();
        book.confirm();
        shelf.keep(&book).unwrap();
        let _ = fetched(&before, 8);
        let (mut n_old, mut n_new) = (0, 0);
        // The steps name their files: they are made for the place where they are taken.
        let steps_in = |place: &Path| {
            let (shelf, signed, release) = fetched(place, 8);
            let mut book = shelf.book();
            book.stage(Placed {
                serial: 8,
                version: "0.8.0".to_owned(),
            });
            shelf.staging((&signed, &release), &book).unwrap()
        };
        let n_cuts = cuts(&steps_in(&before)).len();
        for cut in 0..n_cuts {
            let place = folder.path().join(cut.to_string());
            copy(&before, &place);
            for step in &cuts(&steps_in(&place))[cut] {
                let _ = step.take();
            }
            let shelf = Shelf::of(&place);
            match shelf.book().choose() {
                Choice::Confirmed(placed) => {
                    assert_eq!(placed.serial, 7);
                    n_old += 1;
                }
                Choice::Trial(placed) => {
                    assert_eq!(placed.serial, 8);
                    shelf.verified(8, &keys()).unwrap();
                    n_new += 1;
                }
                Choice::Package => panic!("what ran is forgotten after cut {cut}"),
            }
            shelf.verified(7, &keys()).unwrap();
        }
        assert!(n_old > 10 && n_new > 2, "{n_old} {n_new}");
    }
}
