//! Readiness of many sockets behind one descriptor, which another event loop can wait for (epoll(7), eventfd(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::interest::Interest;

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
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    raw: Box<[libc::epoll_event]>,
}

impl Poller {
    /// A poller that tells at most `most` events at a time.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(most: usize) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else holds.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        Ok(Self { epoll, raw: vec![libc::epoll_event { events: 0, u64: 0 }; most.max(1)].into_boxed_slice() })
    }

    /// Changes what a socket is watched for. From and to [`Interest::NONE`] it is added and taken off: a socket that is
    /// only looked away from would report its end again and again.
    ///
    /// # Errors
    /// What the system says, such as `ENOSPC` (`fs.epoll.max_user_watches`).
    pub fn change(&self, socket: impl AsFd, key: u64, from: Interest, to: Interest) -> io::Result<()> {
        let operation = match (from == Interest::NONE, to == Interest::NONE) {
            _ if from == to => return Ok(()),
            (true, _) => libc::EPOLL_CTL_ADD,
            (_, true) => libc::EPOLL_CTL_DEL,
            _ => libc::EPOLL_CTL_MOD,
        };
        let mut event = libc::epoll_event { events: bits(to), u64: key };
        // SAFETY: both descriptors are open (one owned, one borrowed), and `event` lives through the call.
        let result = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), operation, socket.as_fd().as_raw_fd(), &raw mut event)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// What is ready; waits at most `timeout`. Gives how many events [`Poller::event`] has.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let most = i32::try_from(self.raw.len()).unwrap_or(i32::MAX);
        // SAFETY: `raw` is writable for its whole length and lives through the call.
        let ready = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.raw.as_mut_ptr(), most, timeout) };
        usize::try_from(ready).or_else(|_| {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
        })
    }

    /// One of the events of the last [`Poller::wait`].
    #[must_use]
    pub fn event(&self, at: usize) -> Event {
        let libc::epoll_event { events, u64: key } = self.raw[at];
        let has = |bits: i32| events & bits.cast_unsigned() != 0;
        let failed = has(libc::EPOLLERR | libc::EPOLLHUP);
        Event {
            key,
            readable: failed || has(libc::EPOLLIN | libc::EPOLLRDHUP),
            writable: failed || has(libc::EPOLLOUT),
        }
    }
}

fn bits(interest: Interest) -> u32 {
    let read = if interest.read { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
    let write = if interest.write { libc::EPOLLOUT } else { 0 };
    (read | write).cast_unsigned()
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
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else holds.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable.
    pub fn wake(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes are read from `one`. It fails only if 2^64 - 2 wakes are unread: then it is readable anyway.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes are written to `count`. It fails only if there is nothing to read.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
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
