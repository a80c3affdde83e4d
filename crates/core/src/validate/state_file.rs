//! The state file: written whole, swapped in atomically.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use routepool_proto::sweep::Saved;

use super::state_lock::{LockError, StateLock};
use super::sweep_identity::SweepIdentity;
use crate::Error;
use crate::defaults::{MAX_LINKS, STATE_EVERY, STATE_SHARE};

/// Where the state of a sweep is kept.
///
/// Each write goes to a file beside it that then takes its name: a process killed at any moment leaves the previous state
/// or the new one, never half of one. Only the last write waits for the disk (`fsync`); after a power cut a sweep may go
/// on from an older state, which costs time and no truth.
#[derive(Debug)]
pub(super) struct StateFile {
    /// As it was named.
    path: PathBuf,
    /// Where that leads to, if it is a symbolic link.
    target: PathBuf,
    next: Option<Instant>,
    _lock: StateLock,
}

impl StateFile {
    /// Makes sure that the file can be used, before hours of work depend on it, and keeps other runs from it.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let target = follow(&path).map_err(|error| failed(&path, "used", &error))?;
        let shown = path.display();
        // Reading a pipe or a device would wait or go on without end.
        if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
            return Err(Error::State(format!("The state file {shown} is not a regular file: name another")));
        }
        // Made in the same folder as the writes to come, so it shows as well whether these are possible.
        let lock = StateLock::take(beside(&target, ".lock")).map_err(|error| match error {
            LockError::Io(error) => failed(&path, "written", &error),
            LockError::Held(holder) => {
                let process = holder.map_or(String::new(), |id| format!(" (process {id})"));
                Error::State(format!(
                    "The state file {shown} is in use by another run{process}: wait for its end, or name another file"
                ))
            }
        })?;
        Ok(Self { path, target, next: None, _lock: lock })
    }

    /// The saved state, if there is one; it must be of the same sweep.
    pub(super) fn load(&self, identity: &SweepIdentity) -> Result<Option<Saved>, Error> {
        let bytes = match fs::read(&self.target) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&self.path, "read", &error)),
        };
        let path = self.path.display();
        let saved = Saved::from_bytes(&bytes).map_err(|error| {
            Error::State(format!(
                "The state file {path} cannot be used: {error}. Name another file, or delete it to begin anew"
            ))
        })?;
        if let Some(difference) = identity.difference(&SweepIdentity::parse(&saved.identity)) {
            return Err(Error::State(format!(
                "The state file {path} is of another sweep: {difference}. Name another file, or delete it to begin anew"
            )));
        }
        Ok(Some(saved))
    }

    /// Whether it is time to write again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// Writes the state.
    pub(super) fn write(&mut self, saved: &Saved, last: bool) -> Result<(), Error> {
        let start = Instant::now();
        // The lock makes the name ours: what a killed run left there is written over.
        let temporary = beside(&self.target, ".tmp");
        let result = (|| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&saved.to_bytes())?;
            if last {
                file.sync_all()?;
            }
            fs::rename(&temporary, &self.target)
        })();
        let took = start.elapsed();
        self.next = Some(Instant::now() + STATE_EVERY.max(took * STATE_SHARE).min(Duration::from_secs(60)));
        result.map_err(|error| failed(&self.path, "written", &error))
    }
}

fn failed(path: &Path, what: &str, error: &io::Error) -> Error {
    Error::State(format!("The state file {} could not be {what}: {error}", path.display()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where a path leads to, also if nothing is there yet: replacing a symbolic link would not write what it points to.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // It is no link, or there is nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refused(path: &Path) -> String {
        StateFile::open(path.to_owned()).expect_err("must be refused").to_string()
    }

    #[test]
    fn only_a_regular_file_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        symlink("/dev/full", at("to a device")).expect("a link");
        symlink("loop", at("loop")).expect("a link");
        for path in [folder.path().to_owned(), at("socket"), at("to a device"), "/dev/full".into()] {
            assert!(refused(&path).contains("is not a regular file"), "{}", path.display());
        }
        assert!(refused(&at("loop")).contains("symbolic links"));
        assert!(refused(&at("none/x")).contains("could not be written"));
    }

    #[test]
    fn a_link_is_followed_and_its_target_locked() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).expect("a folder");
        symlink("sub/state", at("link")).expect("a link");
        for target_is_there in [false, true] {
            if target_is_there {
                fs::write(at("sub/state"), b"").expect("a file");
            }
            let file = StateFile::open(at("link")).expect("a state file");
            assert_eq!(file.target, at("sub/state"));
            assert!(refused(&at("sub/state")).contains("in use by another run (process "));
        }
        StateFile::open(at("sub/state")).expect("free again");
    }
}
