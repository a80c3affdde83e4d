//! Records on their way from other threads to the one that drains.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::record::Out;
use crate::lock::lock;
use crate::waker::Waker;

/// Records in order, and a waker that is called once until they are fetched.
pub(crate) struct Ring {
    held: Mutex<Held>,
    woken: AtomicBool,
    waker: Box<dyn Waker>,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// Bytes of the front that were fetched.
    taken: usize,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Ring {
    pub(crate) fn new(waker: Box<dyn Waker>) -> Self {
        Self { held: Mutex::default(), woken: AtomicBool::new(false), waker }
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        let held = self.lock();
        held.bytes.len() - held.taken
    }

    /// Adds whole records and wakes the receiver; gives the bytes that wait.
    pub(crate) fn push(&self, records: &[u8]) -> usize {
        let mut held = self.lock();
        if held.taken == held.bytes.len() {
            held.bytes.clear();
            held.taken = 0;
        } else if held.taken > held.bytes.len() / 2 {
            let taken = std::mem::take(&mut held.taken);
            held.bytes.drain(..taken);
        }
        held.bytes.extend_from_slice(records);
        let waiting = held.bytes.len() - held.taken;
        drop(held);
        self.wake();
        waiting
    }

    /// Wakes the receiver, whether or not something waits.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Moves whole records to `out`; `true` if some are left for which there was no room.
    pub(crate) fn drain(&self, out: &mut Out<'_>) -> bool {
        // First: what is added from here on wakes again. The other order loses a wake-up.
        self.woken.store(false, Ordering::Release);
        let mut held = self.lock();
        while held.taken < held.bytes.len() {
            let end = record_end(&held.bytes, held.taken);
            if !out.copy(&held.bytes[held.taken..end]) {
                return true;
            }
            held.taken = end;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

/// Where the record that begins at `at` ends.
fn record_end(bytes: &[u8], at: usize) -> usize {
    super::record::end(bytes, at).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::super::record::Event;
    use super::*;

    #[test]
    fn whole_records_in_order_and_one_ring_until_they_are_fetched() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let ring = Ring::new(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let mut bytes = [0; 256];
        let mut out = Out::new(&mut bytes, 0);
        for n in 0..3_u8 {
            assert!(out.push(7, Event::Data, 0, &[], &[&[n; 11]]));
        }
        let len = out.at();
        ring.push(&bytes[..len]);
        ring.push(&bytes[..len]);
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let mut small = [0; 80];
        let mut out = Out::new(&mut small, 0);
        assert!(ring.drain(&mut out), "two records fit");
        assert_eq!(out.at(), 64);
        assert_eq!(small[..64], bytes[..64]);
        ring.push(&bytes[..32]);
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
        let mut rest = [0; 512];
        let mut out = Out::new(&mut rest, 0);
        assert!(!ring.drain(&mut out));
        assert_eq!((out.at(), ring.len()), (160, 0));
        assert_eq!(rest[..32], bytes[64..96]);
        assert_eq!(rest[128..160], bytes[..32]);
    }
}
