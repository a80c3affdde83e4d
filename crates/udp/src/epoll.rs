//! Readiness of many sockets behind one descriptor, which another event loop can wait for (epoll(7), eventfd(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::interest::Interest;
use crate::wait::timespec;

/// One socket that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number that it was added with.
    pub key: u64,
    /// The next read will not block: data, an end, or an error.
    pub readable: bool,
    /// The next write will not block: room, or an error.
    pub writable: bool,
}

/// A level-triggered epoll instance.
pub struct Poller {
    epoll: OwnedFd,
    raw: Box<[epoll::Event]>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

impl Poller {
    /// A poller that tells at most `most` events at a time.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(most: usize) -> io::Result<Self> {
        let none = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            raw: vec![none; most.max(1)].into_boxed_slice(),
        })
    }

    /// Changes what a socket is watched for. From and to [`Interest::NONE`] it is added and taken off: a socket that is
    /// only looked away from would report its end again and again.
    ///
    /// # Errors
    /// What the system says, such as `ENOSPC` (`fs.epoll.max_user_watches`).
    pub fn change(&self, socket: impl AsFd, key: u64, from: Interest, to: Interest) -> io::Result<()> {
        let (data, flags) = (EventData::new_u64(key), flags(to));
        match (from == Interest::NONE, to == Interest::NONE) {
            _ if from == to => return Ok(()),
            (true, _) => epoll::add(&self.epoll, socket, data, flags)?,
            (_, true) => epoll::delete(&self.epoll, socket)?,
            _ => epoll::modify(&self.epoll, socket, data, flags)?,
        }
        Ok(())
    }

    /// What is ready; waits at most `timeout`. Gives how many events [`Poller::event`] has.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        match epoll::wait(&self.epoll, &mut self.raw[..], Some(&timespec(timeout))) {
            Err(Errno::INTR) => Ok(0),
            ready => Ok(ready?),
        }
    }

    /// One of the events of the last [`Poller::wait`].
    #[must_use]
    pub fn event(&self, at: usize) -> Event {
        let epoll::Event { flags, data } = self.raw[at];
        let failed = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        Event {
            key: data.u64(),
            readable: failed || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
            writable: failed || flags.intersects(EventFlags::OUT),
        }
    }
}

fn flags(interest: Interest) -> EventFlags {
    let read = if interest.read { EventFlags::IN | EventFlags::RDHUP } else { EventFlags::empty() };
    let write = if interest.write { EventFlags::OUT } else { EventFlags::empty() };
    read | write
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A descriptor that other threads make readable.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// A new one, not readable.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable.
    pub fn wake(&self) {
        // It fails only if 2^64 - 2 wakes are unread: then it is readable anyway.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        // It fails only if there is nothing to read.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_told_until_it_is_gone_and_nothing_after_looking_away() {
        let (mut poller, wake) = (Poller::new(4).expect("epoll"), Wake::new().expect("eventfd"));
        poller.change(&wake, 7, Interest::NONE, Interest::READ).expect("added");
        assert_eq!(poller.wait(Duration::ZERO).expect("waited"), 0);
        wake.wake();
        for _ in 0..2 {
            assert_eq!(poller.wait(Duration::ZERO).expect("waited"), 1);
            assert_eq!(poller.event(0), Event { key: 7, readable: true, writable: false });
        }
        poller.change(&wake, 7, Interest::READ, Interest::NONE).expect("taken off");
        assert_eq!(poller.wait(Duration::ZERO).expect("waited"), 0);
        poller.change(&wake, 7, Interest::NONE, Interest::READ).expect("added again");
        wake.clear();
        assert_eq!(poller.wait(Duration::ZERO).expect("waited"), 0);
    }
}
