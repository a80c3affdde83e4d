//! One socket, as the task of the portable reader knows it.

use std::io;
use std::sync::{Arc, Weak};

use routepool_udp::Interest;

use super::super::connection_limit::ConnectionLimit;
use super::super::receive::{Outcome, Receiver};
use super::super::record::{Call, Event, Out};
use super::super::registration::Registration;
use super::super::socket::{Socket, State};
use super::super::table::{Slot, Watched};
use crate::errno;

#[derive(Debug)]
pub(super) struct Entry {
    /// It is its table's alone, as is the socket, so that this is closed at once when it is closed there.
    registration: Weak<Registration>,
    pub(super) watched: Watched,
    pub(super) interest: Interest,
    /// Whether it is in the queue of those that are looked at.
    pub(super) queued: bool,
    /// What a listener takes a place of before it accepts, and whether it waits for one.
    pub(super) limit: Option<Arc<ConnectionLimit>>,
    pub(super) parked: bool,
}

/// How a look at a socket went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There may be more.
    Again,
    /// The task is woken when there is more, or told by a command.
    Wait,
    /// There will be more soon, and nobody says when.
    Later,
}

impl Entry {
    pub(super) fn new(slot: &Slot, registration: &Arc<Registration>) -> Self {
        Self {
            registration: Arc::downgrade(registration),
            watched: slot.watched,
            interest: slot.interest,
            queued: false,
            limit: slot.accept.as_ref().and_then(|settings| settings.limit.clone()),
            parked: false,
        }
    }

    /// The registration, for the length of a look; `None` if the socket is closed.
    pub(super) fn registration(&self) -> Option<Arc<Registration>> {
        self.registration.upgrade()
    }

    pub(super) fn is_datagram(&self) -> bool {
        self.registration().is_some_and(|own| matches!(own.socket(), Socket::Datagram(_)))
    }

    /// Reads once, and tells of room to write.
    pub(super) fn open(&mut self, receiver: &mut Receiver, out: &mut Out<'_>) -> Look {
        let Some(own) = self.registration() else { return Look::Wait };
        let mut look = Look::Wait;
        if self.interest.read && own.poll_read() {
            let read = own.read(|| match receiver.read(&self.watched, own.socket(), out) {
                Outcome::Empty => Err(io::ErrorKind::WouldBlock.into()),
                // As good as having asked once more.
                Outcome::Short if own.short_is_all() => Err(io::ErrorKind::WouldBlock.into()),
                outcome => Ok(outcome),
            });
            if let Ok(Outcome::Over) = read {
                self.interest.read = false;
            } else if read.is_ok() || own.poll_read() {
                look = Look::Again;
            }
        }
        if self.interest.write && own.poll_write() {
            own.forget_room();
            self.interest.write = false;
            out.push(self.watched.id, Event::Writable, 0, &[], &[]);
        }
        look
    }

    /// A connection is made, or failed, or neither.
    pub(super) fn connected(&mut self, out: &mut Out<'_>) -> Look {
        let Some(own) = self.registration() else { return Look::Wait };
        let Socket::Stream(stream) = own.socket() else { return Look::Wait };
        if !own.poll_write() {
            return Look::Wait;
        }
        let id = self.watched.id;
        let failed = match stream.take_error().unwrap_or_else(Some) {
            Some(error) => error,
            None => match (stream.peer_addr(), stream.local_addr()) {
                (Ok(_), Ok(local)) => {
                    out.push(id, Event::Connected, 0, &[local], &[]);
                    self.watched.state = State::Open;
                    return Look::Again;
                }
                // Not yet. A system that says so of an end that it has told would be asked without a pause.
                (Err(error), _) if error.kind() == io::ErrorKind::NotConnected => {
                    own.forget_room();
                    return if own.poll_write() { Look::Later } else { Look::Wait };
                }
                (Err(error), _) | (_, Err(error)) => error,
            },
        };
        out.error(id, Call::Connect, errno::number(&failed));
        self.watched.state = State::Open;
        self.interest = Interest::NONE;
        Look::Wait
    }
}
