//! Which worker sent what: a driver may send the first pass from several sockets at once.

/// The workers of the first pass, and the one that probed each position last. Memory: 8 bytes a batch.
#[derive(Debug)]
pub(super) struct Workers {
    count: u16,
    /// From this position on, up to the next one, it was this worker.
    runs: Vec<(u32, u16)>,
}

impl Workers {
    pub(super) fn new(count: u16) -> Self {
        Self { count: count.max(1), runs: Vec::new() }
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// A worker probes the positions from `first` on; what was known of these is of an earlier probe.
    pub(super) fn on_sent(&mut self, first: u32, worker: u16) {
        while self.runs.last().is_some_and(|(from, _)| *from >= first) {
            self.runs.pop();
        }
        if self.runs.last().is_none_or(|(_, last)| *last != worker) {
            self.runs.push((first, worker));
        }
    }

    /// The worker that probed a position last; the first one for a position that none has probed.
    pub(super) fn of(&self, position: u32) -> u16 {
        let after = self.runs.partition_point(|(from, _)| *from <= position);
        after.checked_sub(1).map_or(0, |at| self.runs[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_probe_of_a_position_says_whose_it_is() {
        let mut workers = Workers::new(3);
        assert_eq!(workers.of(7), 0, "none has probed it");
        for (first, worker) in [(10, 1), (74, 0), (138, 0), (202, 2)] {
            workers.on_sent(first, worker);
        }
        assert_eq!(workers.runs.len(), 3, "what one worker probes without a break is one entry");
        for (position, worker) in [(0, 0), (10, 1), (73, 1), (74, 0), (201, 0), (202, 2), (u32::MAX, 2)] {
            assert_eq!(workers.of(position), worker, "{position}");
        }
        // The pass went back.
        workers.on_sent(74, 1);
        assert_eq!((workers.of(73), workers.of(80), workers.of(300)), (1, 1, 1));
        assert_eq!(workers.runs.len(), 1);
        assert_eq!(Workers::new(0).count(), 1);
    }
}
