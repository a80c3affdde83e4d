//! A limit to the connections of several listeners together: each takes a place before it accepts, so the system's own queue holds
//! the others.

use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Places for connections.
#[derive(Debug)]
pub struct ConnectionLimit {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Listeners that found no place.
    waiting: Vec<u32>,
}

impl ConnectionLimit {
    /// A limit with so many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { state: Mutex::new(State { free: places, waiting: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes a place; `false` if there is none.
    pub(crate) fn acquire(&self) -> bool {
        let mut state = self.state();
        let has = state.free > 0;
        state.free -= usize::from(has);
        has
    }

    /// Takes a place for a connection of a listener, or remembers that the listener waits for one. Both under one lock, so that a
    /// place that is given back in between is not overlooked.
    pub(crate) fn acquire_for(&self, listener: u32) -> bool {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return true;
        }
        if !state.waiting.contains(&listener) {
            state.waiting.push(listener);
        }
        false
    }

    /// Gives a place back; the listeners that wait for one have to look again.
    #[must_use]
    pub(crate) fn release(&self) -> Vec<u32> {
        let mut state = self.state();
        state.free += 1;
        std::mem::take(&mut state.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_many_as_there_are_and_who_waits_is_told_once() {
        let limit = ConnectionLimit::new(2);
        assert!(limit.acquire() && limit.acquire_for(7), "two places");
        assert!(
            !limit.acquire() && !limit.acquire_for(7) && !limit.acquire_for(8) && !limit.acquire_for(7),
            "and no third"
        );
        assert_eq!(limit.release(), [7, 8]);
        assert!(limit.acquire_for(8), "the one that was given back");
        assert_eq!(limit.release(), [0; 0], "nobody waits any more");
    }
}
