//! Tables on the way that remember flows: of a stateful firewall, and of a NAT.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::part::{Micros, Seen, mix};

type Flow = (u32, u32, u8);

/// The flows that a firewall remembers.
#[derive(Default)]
pub(super) struct Flows {
    /// When each is forgotten, and whether it was replied to.
    known: HashMap<Flow, (Micros, bool)>,
    /// At the earliest then; a flow that was refreshed is put back.
    forget: BinaryHeap<Reverse<(Micros, Flow)>>,
}

impl Flows {
    pub(super) fn pass(
        &mut self,
        now: Micros,
        seen: &Seen,
        size: usize,
        (unreplied, replied): (Micros, Micros),
    ) -> bool {
        while let Some(Reverse((_, flow))) = self.forget.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.forget.pop();
            match self.known.get(&flow) {
                Some((at, _)) if *at > now => self.forget.push(Reverse((*at, flow))),
                _ => drop(self.known.remove(&flow)),
            }
        }
        let flow = (seen.source, seen.flow, seen.server);
        let is_full = self.known.len() >= size;
        match self.known.get_mut(&flow) {
            Some(entry) => {
                entry.1 |= seen.is_reply;
                entry.0 = now + if entry.1 { replied } else { unreplied };
                true
            }
            // A reply that belongs to no flow, or a new flow and no room.
            None if seen.is_reply || is_full => false,
            None => {
                self.known.insert(flow, (now + unreplied, false));
                self.forget.push(Reverse((now + unreplied, flow)));
                true
            }
        }
    }
}

/// The mappings of a NAT: one for each source and local port, whatever the server.
#[derive(Default)]
pub(super) struct Nat {
    /// Which external address and port each has, and until when.
    known: HashMap<(u32, u32), (u32, u16, Micros)>,
    forget: BinaryHeap<Reverse<(Micros, (u32, u32))>>,
    /// Mappings of each external address.
    used: HashMap<u32, usize>,
    serial: u32,
}

impl Nat {
    pub(super) fn pass(
        &mut self,
        now: Micros,
        seen: &Seen,
        externals: u32,
        ports: usize,
        lives: Micros,
    ) -> bool {
        while let Some(Reverse((_, key))) = self.forget.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.forget.pop();
            match self.known.get(&key).copied() {
                Some((.., at)) if at > now => self.forget.push(Reverse((at, key))),
                Some((external, ..)) => {
                    self.known.remove(&key);
                    *self.used.entry(external).or_default() -= 1;
                }
                None => {}
            }
        }
        let key = (seen.source, seen.flow);
        if let Some(entry) = self.known.get_mut(&key) {
            entry.2 = now + lives;
            return true;
        }
        let external = external_of(seen.source, externals);
        let used = self.used.entry(external).or_default();
        if seen.is_reply || *used >= ports {
            return false;
        }
        *used += 1;
        self.serial += 1;
        self.known.insert(key, (external, 1_024 + (self.serial % 60_000) as u16, now + lives));
        self.forget.push(Reverse((now + lives, key)));
        true
    }

    /// How the source is seen from outside: number of the external address, and port.
    pub(super) fn outside(&self, source: u32, flow: u32) -> Option<(u32, u16)> {
        self.known.get(&(source, flow)).map(|(external, port, _)| (*external, *port))
    }
}

/// Each source keeps to one of the external addresses.
pub(super) fn external_of(source: u32, externals: u32) -> u32 {
    (mix(u64::from(source) ^ 0x6e61_7400) % u64::from(externals.max(1))) as u32
}
