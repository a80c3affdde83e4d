//! Waiting for sockets, one or many: poll(2), and `WSAPoll` on Windows.
//!
//! It tells of a socket as long as there is something (level-triggered), so nobody has to remember what was not read to its
//! end. The sockets are named in each call: to write down five hundred costs a hundredth of what the system needs to look at
//! them, and no list has to follow those that are opened and closed.

use std::io;
use std::time::Duration;

use crate::transmit::Ready;

#[cfg(unix)]
#[path = "wait/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "wait/windows.rs"]
mod platform;

#[cfg(target_os = "linux")]
pub(crate) use platform::timespec;
use platform::{Entry, emptied, entry, poll, ready};
pub(crate) use platform::{Handle, handle};

/// Waits until the socket is readable, or writable if `for_writing`, or the time is over; when interrupted it is neither.
pub(crate) fn wait(socket: Handle<'_>, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
    let mut only = [entry(socket, for_writing)];
    poll(&mut only, timeout)?;
    Ok(ready(&only[0]))
}

/// Waits for any number of sockets.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    /// Empty between two calls: only its memory is kept.
    room: Vec<Entry<'static>>,
}

impl Waiter {
    /// Waits until one of the sockets is readable or the time is over, and gives the numbers of those that are to `found`, in
    /// order; when interrupted there are none.
    pub(crate) fn wait<'a, T>(
        &mut self,
        sockets: impl Iterator<Item = (T, Handle<'a>)> + Clone,
        timeout: Duration,
        mut found: impl FnMut(T),
    ) -> io::Result<()> {
        let mut entries: Vec<Entry<'a>> = std::mem::take(&mut self.room);
        entries.extend(sockets.clone().map(|(_, socket)| entry(socket, false)));
        let result = poll(&mut entries, timeout);
        if result.is_ok() {
            for (entry, (number, _)) in entries.iter().zip(sockets) {
                if ready(entry).readable {
                    found(number);
                }
            }
        }
        self.room = emptied(entries);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn those_that_are_readable_are_told_until_they_are_read() {
        let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback"));
        let to = |at: usize| sockets[at].local_addr().expect("bound");
        let mut waiter = Waiter::default();
        let mut found = |timeout| {
            let mut found = Vec::new();
            let named = sockets.iter().enumerate().map(|(at, socket)| (at, handle(socket)));
            waiter.wait(named, timeout, |at| found.push(at)).expect("poll");
            found
        };
        assert_eq!(found(Duration::from_millis(1)), []);
        sockets[0].send_to(b"a", to(2)).expect("loopback");
        assert_eq!(found(Duration::from_secs(5)), [2]);
        sockets[0].send_to(b"b", to(0)).expect("loopback");
        assert_eq!((found(Duration::ZERO), found(Duration::ZERO)), (vec![0, 2], vec![0, 2]));
        sockets[2].recv(&mut [0; 8]).expect("a datagram");
        assert_eq!(found(Duration::ZERO), [0]);
        let ready = |at: usize, write| wait(handle(&sockets[at]), write, Duration::ZERO).expect("poll");
        assert_eq!(ready(0, false), Ready { readable: true, writable: false });
        assert_eq!(ready(1, true), Ready { readable: false, writable: true });
    }

    #[test]
    fn a_wait_takes_no_memory_but_the_first() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let mut waiter = Waiter::default();
        let mut room = |count| {
            let named = (0..count).map(|at| (at, handle(&socket)));
            waiter.wait(named, Duration::ZERO, |_| ()).expect("poll");
            (waiter.room.as_ptr(), waiter.room.capacity(), waiter.room.len())
        };
        let first = room(100);
        assert!(first.1 >= 100 && first.2 == 0);
        assert_eq!([room(100), room(1), room(0)], [first; 3]);
    }

    #[test]
    fn without_a_socket_it_is_a_pause() {
        let start = std::time::Instant::now();
        let none = std::iter::empty::<((), Handle<'_>)>();
        Waiter::default().wait(none, Duration::from_millis(5), |()| ()).expect("poll");
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
