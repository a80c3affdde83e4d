//! Verdicts on their way to a receiver that may be slow.

use std::sync::{Mutex, MutexGuard};

use routepool_proto::sweep::RECORD_LEN;

use crate::defaults::RING_RECORDS;
use crate::lock::lock;

/// Packed verdicts in order. The writer looks at [`Ring::room`] before it makes new ones, so memory stays bounded; it is a
/// soft bound: late replies may exceed it by what is in flight.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
    taken: usize,
    discard: bool,
}

impl Ring {
    /// How many more records may be made.
    pub(super) fn room(&self) -> usize {
        let records = self.lock();
        if records.discard {
            return RING_RECORDS;
        }
        RING_RECORDS.saturating_sub((records.bytes.len() - records.taken) / RECORD_LEN)
    }

    /// Adds whole records; gives the room that is left.
    pub(super) fn push(&self, bytes: &[u8]) -> usize {
        let mut records = self.lock();
        if records.discard {
            return RING_RECORDS;
        }
        if records.taken > 0 && records.bytes.len() + bytes.len() > records.bytes.capacity() {
            let taken = records.taken;
            records.bytes.drain(..taken);
            records.taken = 0;
        }
        records.bytes.extend_from_slice(bytes);
        RING_RECORDS.saturating_sub((records.bytes.len() - records.taken) / RECORD_LEN)
    }

    /// Moves whole records to `out`; gives the number of bytes, and whether nothing is left.
    pub(super) fn drain(&self, out: &mut [u8]) -> (usize, bool) {
        let mut records = self.lock();
        let len = (records.bytes.len() - records.taken).min(out.len() / RECORD_LEN * RECORD_LEN);
        let from = records.taken;
        out[..len].copy_from_slice(&records.bytes[from..from + len]);
        records.taken += len;
        let empty = records.taken == records.bytes.len();
        if empty {
            records.bytes.clear();
            records.taken = 0;
        }
        (len, empty)
    }

    /// From now on all records are thrown away.
    pub(super) fn discard(&self) {
        let mut records = self.lock();
        *records = Records { discard: true, ..Records::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // The data is whole after any panic: each change is one call.
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_across_partial_reads_and_never_splits_a_record() {
        let ring = Ring::default();
        let record = |n: u8| [n; RECORD_LEN];
        let (mut written, mut read) = (0_u8, 0_u8);
        let mut out = [0; RECORD_LEN * 3 + 7];
        for round in 0..60 {
            for _ in 0..round % 5 {
                ring.push(&record(written));
                written = written.wrapping_add(1);
            }
            let (len, _) = ring.drain(&mut out);
            assert_eq!(len % RECORD_LEN, 0);
            for chunk in out[..len].chunks(RECORD_LEN) {
                assert_eq!(chunk, record(read));
                read = read.wrapping_add(1);
            }
        }
        assert_eq!(ring.room(), RING_RECORDS - usize::from(written - read));
    }

    #[test]
    fn a_discarding_ring_takes_everything_and_keeps_nothing() {
        let ring = Ring::default();
        ring.push(&[1; RECORD_LEN]);
        ring.discard();
        ring.push(&[1; RECORD_LEN]);
        assert_eq!(ring.room(), RING_RECORDS);
        assert_eq!(ring.drain(&mut [0; RECORD_LEN]), (0, true));
    }
}
