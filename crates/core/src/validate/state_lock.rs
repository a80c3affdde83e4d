//! One run at a time on one state file.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// An exclusive lock on a file of its own beside what it guards. The kernel gives it up with the process, however that ends;
/// it holds against runs of the same process too (flock(2): locks belong to the open file).
#[derive(Debug)]
pub(super) struct StateLock {
    path: PathBuf,
    _file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another run has it; its process, if that can be read.
    Held(Option<u32>),
    /// The file could not be made.
    Io(io::Error),
}

impl StateLock {
    /// Takes the lock whose file is `path`, without waiting.
    pub(super) fn take(path: PathBuf) -> Result<Self, LockError> {
        loop {
            let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = open.map_err(LockError::Io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
                // A file system without locks: better a run without one than none.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
            // Its holder may have removed it between our two calls: then this is a lock on nothing.
            if is_at(&file, &path) {
                let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                return written.map(|()| Self { path, _file: file }).map_err(LockError::Io);
            }
        }
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody can have taken it before. One that stays does no harm.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    text.parse().ok()
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Elsewhere the file is never removed.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.lock");
        let first = StateLock::take(path.clone()).expect("free");
        match StateLock::take(path.clone()) {
            Err(LockError::Held(holder)) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(!path.exists());
        // As a killed process leaves it: the file is there, the lock is not.
        fs::write(&path, b"12345").expect("a file");
        drop(StateLock::take(path.clone()).expect("free"));
        assert!(matches!(StateLock::take(folder.path().join("no/x.lock")), Err(LockError::Io(_))));
    }

    #[test]
    fn a_lock_that_many_want_is_had_by_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.lock");
        let take = || match StateLock::take(path.clone()) {
            Ok(lock) => Some(lock),
            Err(LockError::Held(_)) => None,
            Err(LockError::Io(error)) => panic!("neither had nor held: {error}"),
        };
        let (inside, had) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let Some(lock) = take() else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert!(take().is_none(), "nobody has it besides, not even who has it");
                        inside.fetch_sub(1, Ordering::SeqCst);
                        had.fetch_add(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        // Whoever comes first finds it free; how many come after that is a matter of luck.
        assert!(had.into_inner() > 0, "somebody had it");
        assert!(take().is_some(), "it is free again");
        assert!(!path.exists());
    }
}
