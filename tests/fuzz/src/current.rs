//! The input at work, in a file, and a watch over how long it is at work.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// An input that takes longer is a defect; on a slow and busy machine none comes near.
const LONGEST: Duration = Duration::from_secs(20);

pub(crate) struct Current {
    file: File,
    path: PathBuf,
    /// How many inputs have been begun.
    begun: Arc<AtomicU64>,
}

impl Current {
    /// Begins the file and the watch.
    pub(crate) fn create(folder: &Path, target: &str) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(target);
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let begun = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&begun);
        thread::spawn(move || {
            loop {
                let before = watched.load(Ordering::Relaxed);
                thread::sleep(LONGEST);
                if before > 0 && watched.load(Ordering::Relaxed) == before {
                    eprintln!("an input takes longer than {} s", LONGEST.as_secs());
                    std::process::abort();
                }
            }
        });
        Ok(Self { file, path, begun })
    }

    /// `input` is what is at work now.
    pub(crate) fn set(&mut self, input: &[u8]) -> Result<()> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.file
            .rewind()
            .and_then(|()| self.file.write_all(input))
            .and_then(|()| self.file.set_len(input.len() as u64))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// All inputs were survived.
    pub(crate) fn done(self) -> Result<()> {
        fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }
}
