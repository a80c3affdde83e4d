//! Windows: `WSAPoll`.

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket};
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::{
    POLLERR, POLLHUP, POLLRDNORM, POLLWRNORM, SOCKET, WSAPOLLFD, WSAPoll,
};

use crate::transmit::Ready;

/// A socket as a wait names it.
pub(crate) type Handle<'a> = BorrowedSocket<'a>;

pub(crate) fn handle(socket: &impl AsSocket) -> Handle<'_> {
    socket.as_socket()
}

/// What a call is told of a socket, and tells of it.
#[repr(transparent)]
pub(super) struct Entry<'a>(WSAPOLLFD, PhantomData<Handle<'a>>);

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.0.fd).finish()
    }
}

pub(super) fn entry(socket: Handle<'_>, for_writing: bool) -> Entry<'_> {
    let events = POLLRDNORM | if for_writing { POLLWRNORM } else { 0 };
    Entry(WSAPOLLFD { fd: socket.as_raw_socket() as SOCKET, events, revents: 0 }, PhantomData)
}

pub(super) fn ready(entry: &Entry<'_>) -> Ready {
    let events = entry.0.revents;
    // An error condition is reported by the next call, so it counts as ready.
    let failed = events & (POLLERR | POLLHUP) != 0;
    Ready { readable: failed || events & POLLRDNORM != 0, writable: failed || events & POLLWRNORM != 0 }
}

pub(super) fn poll(entries: &mut [Entry<'_>], timeout: Duration) -> io::Result<()> {
    if entries.is_empty() {
        // Refused with WSAEINVAL.
        std::thread::sleep(timeout);
        return Ok(());
    }
    // Rounded up: a time of less than a millisecond must not become a busy loop.
    let time = i32::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
    // SAFETY: an entry is nothing but its structure; they live through the call, and their number is given.
    if unsafe { WSAPoll(entries.as_mut_ptr().cast(), entries.len() as u32, time) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The memory of the entries, for sockets that live elsewhere: they are collected where they were.
pub(super) fn emptied(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'static>> {
    entries.clear();
    entries.into_iter().map(|_| unreachable!("it is empty")).collect()
}
