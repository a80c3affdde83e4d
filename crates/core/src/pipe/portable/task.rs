//! The task that reads all sockets of a table.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::super::reader::retry_later;
use super::super::receive::Receiver;
use super::super::record::{Call, Event, HEAD, Out};
use super::super::socket::{Socket, State};
use super::entry::{Entry, Look};
use super::shared::{Accepted, Command, Shared};
use crate::defaults::{ACCEPTS, PIPE_READ, PIPE_RING, UDP_RETRY};
use crate::errno;
use crate::lock::lock;

/// Bytes of records that the task makes before it hands them over.
const BATCH_BYTES: usize = 4 * PIPE_READ;

/// Turns that the task takes before it gives way to others: to give way wakes another thread of the runtime.
const TURNS: usize = 16;

pub(super) struct Task {
    shared: Arc<Shared>,
    entries: HashMap<u32, Entry>,
    /// Sockets to look at, in turn.
    ready: VecDeque<u32>,
    /// Sockets to look at after a while, since nobody tells of them.
    later: Vec<u32>,
    told: Vec<u32>,
    receiver: Receiver,
    batch: Box<[u8]>,
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            entries: HashMap::new(),
            ready: VecDeque::new(),
            later: Vec::new(),
            told: Vec::new(),
            receiver: Receiver::new(),
            batch: vec![0; BATCH_BYTES].into_boxed_slice(),
        }
    }

    /// Goes on until it is told to stop.
    pub(super) async fn run(mut self) {
        loop {
            self.pause().await;
            for _ in 0..TURNS {
                match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(_) => return self.give_up(),
                }
                if !self.can_go_on() {
                    break;
                }
            }
        }
    }

    fn can_go_on(&self) -> bool {
        !self.ready.is_empty() && !self.shared.stalled.load(Ordering::Acquire)
    }

    async fn pause(&mut self) {
        let woken = self.shared.wake.notified();
        if self.can_go_on() {
            yield_now().await;
        } else if self.later.is_empty() {
            woken.await;
        } else {
            let _ = timeout(UDP_RETRY, woken).await;
        }
    }

    /// One turn of everything; `false` if it was told to stop.
    fn turn(&mut self) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        let mut out = Out::new(&mut batch, 0);
        let on = self.turn_into(&mut out);
        self.batch = batch;
        on
    }

    fn turn_into(&mut self, out: &mut Out<'_>) -> bool {
        // Before the commands: what is told of a socket comes after the command that adds it.
        let mut told = std::mem::take(&mut self.told);
        self.shared.take_told(&mut told);
        for id in std::mem::take(&mut self.later) {
            let Some(entry) = self.entries.get(&id) else { continue };
            if entry.watched.state == State::Connecting {
                self.queue(id);
            } else {
                self.make_room(out);
                out.push(id, Event::Writable, 0, &[], &[]);
            }
        }
        for command in self.shared.take_commands() {
            if matches!(command, Command::Stop) {
                return false;
            }
            // Many commands at once: their answers are handed over in between.
            self.make_room(out);
            self.obey(command, out);
        }
        for id in told.drain(..) {
            self.queue(id);
        }
        self.told = told;
        self.work(out);
        self.hand_over(out);
        true
    }

    fn make_room(&mut self, out: &mut Out<'_>) {
        if out.room() < PIPE_READ {
            self.hand_over(out);
        }
    }

    /// Gives the records to the ring, and whatever the receiver still holds.
    fn hand_over(&mut self, out: &mut Out<'_>) {
        loop {
            let whole = self.receiver.flush(out);
            let records = out.written();
            if !records.is_empty() && self.shared.ring.push(records) >= PIPE_RING {
                self.shared.stalled.store(true, Ordering::Release);
                // Drained in between: then nobody would wake this task.
                if self.shared.ring.len() < PIPE_RING {
                    self.shared.stalled.store(false, Ordering::Release);
                }
            }
            out.clear();
            if whole {
                return;
            }
        }
    }

    fn queue(&mut self, id: u32) {
        if let Some(entry) = self.entries.get_mut(&id)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    fn obey(&mut self, command: Command, out: &mut Out<'_>) {
        match command {
            Command::Add(entry) => {
                self.entries.insert(entry.watched.id, entry);
            }
            Command::Watch(id, interest) => {
                let Some(entry) = self.entries.get_mut(&id) else { return };
                entry.interest = interest;
                entry.parked = false;
                if interest.write && entry.is_datagram() {
                    entry.interest.write = false;
                    self.later.push(id);
                }
                self.queue(id);
            }
            Command::Remove(id) => {
                self.entries.remove(&id);
                self.receiver.forget(id);
            }
            Command::Detach(id) => {
                self.entries.remove(&id);
                // What was read goes first.
                while !self.receiver.flush(out) {
                    self.hand_over(out);
                }
                if !out.push(id, Event::Detached, 0, &[], &[]) {
                    self.hand_over(out);
                    out.push(id, Event::Detached, 0, &[], &[]);
                }
            }
            Command::Stop => {}
        }
    }

    /// Looks at sockets in turn, until the batch is full or none can go on.
    fn work(&mut self, out: &mut Out<'_>) {
        if self.shared.stalled.load(Ordering::Acquire) {
            return;
        }
        for _ in 0..self.ready.len() {
            if out.room() < PIPE_READ {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.queued = false;
            let look = match entry.watched.state {
                State::Connecting => entry.connected(out),
                State::Open => entry.open(&mut self.receiver, out),
                State::Listening => self.accept(id, out),
            };
            match look {
                Look::Again => self.queue(id),
                Look::Later => self.later.push(id),
                Look::Wait => {}
            }
        }
    }

    fn accept(&mut self, id: u32, out: &mut Out<'_>) -> Look {
        let Some(entry) = self.entries.get_mut(&id) else { return Look::Wait };
        let Some(own) = entry.registration() else { return Look::Wait };
        let Socket::Listener(listener) = own.socket() else { return Look::Wait };
        let (mut waiting, mut look) = (Vec::new(), Look::Wait);
        while entry.interest.read && !entry.parked && own.poll_read() {
            let mut accepted = lock(&self.shared.accepted);
            if accepted.len() >= ACCEPTS {
                self.shared.stalled.store(true, Ordering::Release);
                look = Look::Again;
                break;
            }
            if entry.limit.as_ref().is_some_and(|limit| !limit.acquire_for(id)) {
                entry.parked = true;
                break;
            }
            let result = own.read(|| routepool_udp::accept(listener));
            // The place that it does not need.
            if result.is_err()
                && let Some(limit) = &entry.limit
            {
                waiting.append(&mut limit.release());
            }
            match result {
                Ok((stream, peer)) => {
                    accepted.push_back(Accepted { listener: id, stream, peer, limit: entry.limit.clone() });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if retry_later(&error) => {
                    entry.interest.read = false;
                    out.error(id, Call::Accept, errno::number(&error));
                }
                // The connection that waited is gone again (accept(2)).
                Err(_) => {}
            }
        }
        for id in waiting {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.parked = false;
                self.queue(id);
            }
        }
        self.shared.ring.wake();
        look
    }

    /// The task ends by a defect: its sockets are told dead instead of being silent for ever.
    fn give_up(&self) {
        let mut bytes = vec![0; 2 * HEAD * (self.entries.len() + 1)];
        let mut out = Out::new(&mut bytes, 0);
        for id in self.entries.keys() {
            out.error(*id, Call::Receive, errno::EIO);
        }
        self.shared.ring.push(out.written());
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.shared.end();
    }
}
