//! The state file: written whole, swapped in atomically.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use routepool_proto::sweep::Saved;

use super::subject::Subject;
use crate::Error;
use crate::defaults::{STATE_EVERY, STATE_SHARE};

/// Where the state of a sweep is kept.
///
/// Each write goes to a file beside it that then takes its name: a process killed at any moment leaves the previous state
/// or the new one, never half of one. Only the last write waits for the disk (`fsync`); after a power cut a sweep may go
/// on from an older state, which costs time and no truth.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    next: Option<Instant>,
}

impl StateFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, next: None }
    }

    /// The saved state, if there is one; it must be of the same subject.
    pub(super) fn load(&self, subject: &Subject) -> Result<Option<Saved>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error("read", &error)),
        };
        let path = self.path.display();
        let saved = Saved::from_bytes(&bytes).map_err(|error| {
            Error::State(format!(
                "The state file {path} cannot be used: {error}. Name another file, or delete it to begin anew"
            ))
        })?;
        if let Some(difference) = subject.difference(&Subject::parse(&saved.subject)) {
            return Err(Error::State(format!(
                "The state file {path} is of another sweep: {difference}. Name another file, or delete it to begin anew"
            )));
        }
        Ok(Some(saved))
    }

    /// Makes sure that the file can be written, before hours of work depend on it.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        if self.path.is_dir() {
            return Err(Error::State(format!(
                "The state file {} is a directory: name a file",
                self.path.display()
            )));
        }
        let temporary = self.temporary();
        fs::write(&temporary, b"").map_err(|error| self.error("written", &error))?;
        fs::remove_file(&temporary).map_err(|error| self.error("written", &error))
    }

    /// Whether it is time to write again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// Writes the state.
    pub(super) fn write(&mut self, saved: &Saved, last: bool) -> Result<(), Error> {
        let start = Instant::now();
        let temporary = self.temporary();
        let result = (|| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&saved.to_bytes())?;
            if last {
                file.sync_all()?;
            }
            fs::rename(&temporary, &self.path)
        })();
        let took = start.elapsed();
        self.next = Some(Instant::now() + STATE_EVERY.max(took * STATE_SHARE).min(Duration::from_secs(60)));
        result.map_err(|error| self.error("written", &error))
    }

    fn temporary(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        name.into()
    }

    fn error(&self, what: &str, error: &io::Error) -> Error {
        Error::State(format!("The state file {} could not be {what}: {error}", self.path.display()))
    }
}
