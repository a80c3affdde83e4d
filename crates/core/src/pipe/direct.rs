//! Linux: reads in the thread that drains. Its own event loop waits for one descriptor, behind which all sockets are.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use routepool_udp::{Interest, Poller, Wake};

use super::open::Settings;
use super::reader::{Reader, Totals, full, retry_later};
use super::receive::{Outcome, Receiver};
use super::record::{Call, ENDPOINT, Event, Out, head};
use super::ring::Ring;
use super::socket::{Socket, State};
use super::table::{Slot, Table};
use crate::defaults::{ACCEPTS, PIPE_EVENTS};
use crate::errno;
use crate::waker::Waker;

/// The key of the descriptor that other threads wake this one with. No socket has it: ages have 12 bits.
const WAKE: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Direct {
    poller: Poller,
    wake: Arc<Wake>,
    receiver: Receiver,
    /// How many sockets are watched, and which was the last that came: where there is one alone nobody has to be asked which it is.
    watched: Cell<usize>,
    last: Cell<u32>,
}

impl Direct {
    /// A reader, and the waker with which other threads wake it.
    pub(crate) fn new() -> io::Result<(Self, Box<dyn Waker>)> {
        let (poller, wake) = (Poller::new(PIPE_EVENTS)?, Arc::new(Wake::new()?));
        poller.change(&*wake, WAKE, Interest::NONE, Interest::READ)?;
        let waker = Arc::clone(&wake);
        let (watched, last) = (Cell::new(0), Cell::new(0));
        Ok((Self { poller, wake, receiver: Receiver::new(), watched, last }, Box::new(move || waker.wake())))
    }

    /// Watches a socket for what its owner wants, or for its connection to be made.
    fn look(&self, slot: &mut Slot) -> io::Result<()> {
        let to = match slot.watched.state {
            State::Connecting => Interest::WRITE,
            State::Listening if slot.parked => Interest::NONE,
            _ => slot.interest,
        };
        self.poller.change(&*slot.socket, u64::from(slot.watched.id), slot.watching, to)?;
        match (slot.watching == Interest::NONE, to == Interest::NONE) {
            (true, false) => {
                self.watched.update(|n| n + 1);
                self.last.set(slot.watched.id);
            }
            (false, true) => self.watched.update(|n| n - 1),
            _ => {}
        }
        slot.watching = to;
        Ok(())
    }

    /// Reads the only socket without asking first; `false` if that does not tell all.
    fn read_alone(&mut self, table: &Table, out: &mut Out<'_>) -> bool {
        let Some(slot) = table.get(self.last.get()).filter(|_| self.watched.get() == 1) else { return false };
        slot.watched.state == State::Open
            && slot.watching == Interest::READ
            && matches!(self.receiver.read(&slot.watched, &slot.socket, out), Outcome::More | Outcome::Short)
    }

    /// Looks away from a socket for good.
    fn leave(&self, slot: &mut Slot) {
        slot.interest = Interest::NONE;
        slot.watched.state = State::Open;
        // Closing takes it off as well; a failure here changes nothing.
        let _ = self.look(slot);
    }

    /// Reads, and tells of room to write; `true` if the records are full.
    fn open(&mut self, slot: &mut Slot, readable: bool, writable: bool, out: &mut Out<'_>) -> bool {
        if readable && slot.watching.read {
            match self.receiver.read(&slot.watched, &slot.socket, out) {
                Outcome::Full => return true,
                Outcome::Over => {
                    slot.interest.read = false;
                    let _ = self.look(slot);
                }
                Outcome::More | Outcome::Short | Outcome::Empty => {}
            }
        }
        if writable && slot.watching.write {
            if !out.push(slot.watched.id, Event::Writable, 0, &[], &[]) {
                return true;
            }
            slot.interest.write = false;
            let _ = self.look(slot);
        }
        false
    }

    /// A connection is made, or failed; `false` if there was no room to say so.
    fn connected(&mut self, slot: &mut Slot, out: &mut Out<'_>) -> bool {
        if out.room() < ENDPOINT {
            return false;
        }
        let error = slot.socket.take_error().unwrap_or_else(Some);
        match (error, slot.socket.local()) {
            (None, Ok(local)) => {
                slot.watched.state = State::Open;
                out.push(slot.watched.id, Event::Connected, 0, &[local], &[]);
                let _ = self.look(slot);
            }
            (Some(error), _) | (None, Err(error)) => {
                out.error(slot.watched.id, Call::Connect, errno::number(&error));
                self.leave(slot);
            }
        }
        true
    }

    fn accept(&mut self, id: u32, table: &mut Table, totals: &mut Totals, out: &mut Out<'_>) -> bool {
        let Some(slot) = table.get(id) else { return false };
        let (socket, settings) = (Arc::clone(&slot.socket), slot.accept.clone());
        let (Socket::Listener(listener), Some(settings)) = (&*socket, settings) else { return false };
        for _ in 0..ACCEPTS {
            if out.room() < 2 * ENDPOINT {
                return true;
            }
            if settings.limit.as_ref().is_some_and(|limit| !limit.acquire_for(id)) {
                if let Some(slot) = table.get_mut(id) {
                    slot.parked = true;
                    let _ = self.look(slot);
                }
                break;
            }
            let accepted = routepool_udp::accept(listener);
            // The place that it does not need.
            if accepted.is_err()
                && let Some(limit) = &settings.limit
            {
                self.left(table, limit);
            }
            match accepted {
                Ok((stream, peer)) => self.accepted(table, totals, (id, &settings), stream, peer, out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if retry_later(&error) => {
                    out.error(id, Call::Accept, errno::number(&error));
                    if let Some(slot) = table.get_mut(id) {
                        slot.interest.read = false;
                        let _ = self.look(slot);
                    }
                    break;
                }
                // The connection that waited is gone again (accept(2)).
                Err(_) => {}
            }
        }
        false
    }
}

impl Reader for Direct {
    fn adopt(
        &mut self,
        table: &mut Table,
        socket: Socket,
        state: State,
        settings: &Arc<Settings>,
    ) -> io::Result<u32> {
        let id = table.insert(|id| Slot::new(id, socket, state, settings)).ok_or_else(full)?;
        if let Some(slot) = table.get_mut(id)
            && let Err(error) = self.look(slot)
        {
            table.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    fn watch(&self, slot: &mut Slot) {
        slot.parked = false;
        // Refused only if the socket is gone or memory is: the next call of its owner then tells.
        let _ = self.look(slot);
    }

    fn remove(&mut self, slot: Slot) {
        // Closing takes it off (epoll(7), Q6): its descriptor is this table's alone, and is not inherited.
        if slot.watching != Interest::NONE {
            self.watched.update(|n| n - 1);
        }
        self.receiver.forget(slot.watched.id);
    }

    fn detach(&self, slot: &mut Slot, ring: &Ring) {
        self.leave(slot);
        // What was read and not yet drained goes before what is in the ring.
        ring.push(&head(slot.watched.id, Event::Detached, 0, 0, 0));
    }

    fn take(&self, slot: Slot) -> Option<Socket> {
        Arc::try_unwrap(slot.socket).ok()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.poller.as_fd())
    }

    fn drain(&mut self, table: &mut Table, ring: &Ring, totals: &mut Totals, out: &mut Out<'_>) -> bool {
        if !self.receiver.flush(out) {
            return true;
        }
        // What else has happened is told at the next turn: the kernel keeps telling.
        if self.read_alone(table, out) {
            return false;
        }
        // Without an event the sockets are asked again at the next turn: the kernel keeps telling.
        let ready = self.poller.wait(Duration::ZERO).unwrap_or(0);
        for at in 0..ready {
            let event = self.poller.event(at);
            if event.key == WAKE {
                self.wake.clear();
                continue;
            }
            let Some(slot) = table.get_mut(event.key as u32) else { continue };
            let full = match slot.watched.state {
                State::Connecting => !self.connected(slot, out),
                State::Open => self.open(slot, event.readable, event.writable, out),
                State::Listening => self.accept(event.key as u32, table, totals, out),
            };
            if full {
                return true;
            }
        }
        ring.drain(out)
    }
}
