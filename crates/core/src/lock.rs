//! Locks of what threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also after a panic elsewhere: whatever is shared here is whole after each assignment, and a thread that panics is told
/// of as an error of its own.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
