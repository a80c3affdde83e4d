//! Unix: poll(2), on Linux as ppoll(2) with its finer time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::transmit::Ready;

/// A socket as a wait names it.
pub(crate) type Handle<'a> = BorrowedFd<'a>;

pub(crate) fn handle(socket: &impl AsFd) -> Handle<'_> {
    socket.as_fd()
}

/// What a call is told of a socket, and tells of it.
pub(super) type Entry<'a> = PollFd<'a>;

pub(super) fn entry(socket: Handle<'_>, for_writing: bool) -> Entry<'_> {
    let write = if for_writing { PollFlags::OUT } else { PollFlags::empty() };
    PollFd::from_borrowed_fd(socket, PollFlags::IN | write)
}

pub(super) fn ready(entry: &Entry<'_>) -> Ready {
    let events = entry.revents();
    // An error condition is reported by the next call, so it counts as ready.
    let failed = events.intersects(PollFlags::ERR | PollFlags::HUP);
    Ready {
        readable: failed || events.intersects(PollFlags::IN),
        writable: failed || events.intersects(PollFlags::OUT),
    }
}

pub(super) fn poll(entries: &mut [Entry<'_>], timeout: Duration) -> io::Result<()> {
    match rustix::event::poll(entries, Some(&timespec(timeout))) {
        Err(Errno::INTR) => Ok(()),
        result => Ok(result.map(|_| ())?),
    }
}

/// A time that every system can wait for; an hour at most.
pub(crate) fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(Duration::from_secs(3_600));
    Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: timeout.subsec_nanos().into() }
}

/// The memory of the entries, for sockets that live elsewhere: they are collected where they were.
pub(super) fn emptied(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'static>> {
    entries.clear();
    entries.into_iter().map(|_| unreachable!("it is empty")).collect()
}
