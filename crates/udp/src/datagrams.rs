//! Linux: many datagrams of any one socket with each system call, and what single sockets need that `socket2` does not have.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

use socket2::{MsgHdr, SockAddr, SockRef};

use crate::control::Control;
use crate::headers::{Headers, Name};

/// Bytes of a datagram that are received into a small buffer, all of which stay in the processor's cache. Above the usual
/// MTU; what is larger goes on in a buffer of its own, whose memory is not touched before.
const SMALL: usize = 2_048;

/// The rest of the largest UDP payload, rounded up.
const LARGE: usize = 65_536 - SMALL;

/// What lies between the large buffers, so that those of a batch do not fall on the same cache lines.
const GAP: usize = 64;

/// Headers and memory to receive datagrams in batches; for any number of sockets, one after the other.
pub struct DatagramBatch {
    headers: Headers,
    small: Box<[u8]>,
    large: Box<[u8]>,
    /// Bytes of a small and of a large buffer.
    len: (usize, usize),
    received: usize,
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it came from; `None` if the socket did not ask (see [`DatagramBatch::receive`]).
    pub from: Option<SocketAddr>,
    /// The address it was delivered to, if the socket asks for it (`IP_PKTINFO`).
    pub to: Option<IpAddr>,
    /// The first part of its bytes.
    pub head: &'a [u8],
    /// The rest.
    pub tail: &'a [u8],
}

// SAFETY: all pointers inside point to the boxes of the same value, whose memory does not move when the value does, and whatever
// uses them takes `&mut self`.
unsafe impl Send for DatagramBatch {}

impl std::fmt::Debug for DatagramBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatagramBatch").field("received", &self.received).finish_non_exhaustive()
    }
}

impl DatagramBatch {
    /// A batch of at most `len` datagrams.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self::of(len, SMALL, LARGE)
    }

    /// A batch whose datagrams have so many bytes in a small buffer, and so many more in a large one.
    pub(crate) fn of(len: usize, small_len: usize, large_len: usize) -> Self {
        let parts: u8 = if large_len == 0 { 1 } else { 2 };
        let mut headers = Headers::new(len, parts);
        let parts = usize::from(parts);
        let mut small = vec![0; len * small_len].into_boxed_slice();
        // Zeroed memory of this size comes from the kernel untouched: it costs nothing until a datagram reaches it.
        let mut large = vec![0; if large_len == 0 { 0 } else { len * (large_len + GAP) }].into_boxed_slice();
        for at in 0..len {
            headers.vectors[at * parts] =
                libc::iovec { iov_base: small[at * small_len..].as_mut_ptr().cast(), iov_len: small_len };
            if large_len > 0 {
                let rest = &mut large[at * (large_len + GAP)..];
                headers.vectors[at * parts + 1] =
                    libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: large_len };
            }
        }
        Self { headers, small, large, len: (small_len, large_len), received: 0 }
    }

    /// Receives what is there without waiting, at most a batch, and gives the number. `names`: tell where each came from (a
    /// connected socket need not). `packet_info`: tell what it was delivered to; the socket must ask for it.
    ///
    /// # Errors
    /// What the system says, also about earlier datagrams ([`crate::errno::is_icmp`]); never "would block", which is 0.
    pub fn receive(&mut self, socket: impl AsFd, names: bool, packet_info: bool) -> io::Result<usize> {
        self.received = 0;
        let len = self.headers.messages.len();
        for (at, message) in self.headers.messages.iter_mut().enumerate() {
            let header = &mut message.msg_hdr;
            header.msg_name = if names { (&raw mut self.headers.names[at]).cast() } else { null_mut() };
            header.msg_namelen = if names { Name::ROOM } else { 0 };
            header.msg_controllen = if packet_info { Control::ROOM as _ } else { 0 };
            header.msg_flags = 0;
        }
        loop {
            // SAFETY: every header points to boxes of `self` of the lengths given, which nothing else borrows meanwhile.
            // The time-out is null: with MSG_DONTWAIT it is not used, and recvmmsg(2) lists it under BUGS.
            let received = unsafe {
                libc::recvmmsg(
                    socket.as_fd().as_raw_fd(),
                    self.headers.messages.as_mut_ptr(),
                    len as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    null_mut(),
                )
            };
            if let Ok(received) = usize::try_from(received) {
                self.received = received;
                return Ok(received);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(0),
                _ => return Err(error),
            }
        }
    }

    /// One of the datagrams that were received last.
    ///
    /// # Panics
    /// When there were not that many.
    #[must_use]
    pub fn datagram(&self, at: usize) -> Datagram<'_> {
        assert!(at < self.received, "datagram {at} of {}", self.received);
        let message = &self.headers.messages[at];
        let (small, large) = self.len;
        let len = (message.msg_len as usize).min(small + large);
        let head = len.min(small);
        let asked = message.msg_hdr.msg_namelen > 0;
        Datagram {
            from: if asked { self.headers.names[at].read() } else { None },
            to: self.headers.controls[at].destination(message.msg_hdr.msg_controllen as _),
            head: &self.small[at * small..][..head],
            tail: if large == 0 { &[] } else { &self.large[at * (large + GAP)..][..len - head] },
        }
    }
}

/// Sends one datagram from a given address of this machine, without waiting; gives the number of bytes.
///
/// # Errors
/// What the system says of `sendmsg`, "would block" included.
pub fn send_from(socket: impl AsFd, bytes: &[u8], to: SocketAddr, source: IpAddr) -> io::Result<usize> {
    let (to, bytes, mut control) = (SockAddr::from(to), [IoSlice::new(bytes)], Control::default());
    let len = control.put_source(source);
    let message = MsgHdr::new().with_addr(&to).with_buffers(&bytes).with_control(&control.0[..len]);
    SockRef::from(&socket).sendmsg(&message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}
