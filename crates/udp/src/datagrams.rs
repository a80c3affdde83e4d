//! Linux: many datagrams of any one socket with each system call, and what single sockets need that `socket2` does not have.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;

use crate::linux::{CONTROL, Control, Headers, put_name, put_packet_info, read_name, read_packet_info};

/// Bytes of a datagram that are received into a small buffer, all of which stay in the processor's cache. Above the usual
/// MTU; what is larger goes on in a buffer of its own, whose memory is not touched before.
const SMALL: usize = 2_048;

/// Largest UDP payload, rounded up; 64 more keep the buffers of a batch from falling on the same cache lines.
const LARGE: usize = 65_536 - SMALL + 64;

/// Headers and memory to receive datagrams in batches; for any number of sockets, one after the other.
pub struct DatagramBatch {
    headers: Headers,
    vectors: Box<[[libc::iovec; 2]]>,
    small: Box<[u8]>,
    large: Box<[u8]>,
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
        let mut batch = Self {
            headers: Headers::new(len),
            vectors: vec![[libc::iovec { iov_base: null_mut(), iov_len: 0 }; 2]; len].into_boxed_slice(),
            small: vec![0; len * SMALL].into_boxed_slice(),
            // Zeroed memory of this size comes from the kernel untouched: it costs nothing until a datagram reaches it.
            large: vec![0; len * LARGE].into_boxed_slice(),
            received: 0,
        };
        for at in 0..len {
            batch.vectors[at] = [
                libc::iovec { iov_base: batch.small[at * SMALL..].as_mut_ptr().cast(), iov_len: SMALL },
                libc::iovec {
                    iov_base: batch.large[at * LARGE..].as_mut_ptr().cast(),
                    iov_len: 65_536 - SMALL,
                },
            ];
            let header = &mut batch.headers.messages[at].msg_hdr;
            header.msg_iov = batch.vectors[at].as_mut_ptr();
            header.msg_iovlen = 2;
        }
        batch
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
            header.msg_namelen = if names { size_of::<libc::sockaddr_in6>() as libc::socklen_t } else { 0 };
            header.msg_controllen = if packet_info { CONTROL as _ } else { 0 };
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
        let len = message.msg_len as usize;
        let head = len.min(SMALL);
        let asked = message.msg_hdr.msg_namelen > 0;
        Datagram {
            from: if asked { read_name(&self.headers.names[at]) } else { None },
            to: read_packet_info(&self.headers.controls[at], message.msg_hdr.msg_controllen as _),
            head: &self.small[at * SMALL..][..head],
            tail: &self.large[at * LARGE..][..len - head],
        }
    }
}

/// Sends one datagram from a given address of this machine, without waiting; gives the number of bytes.
///
/// # Errors
/// What the system says of `sendmsg`, "would block" included.
pub fn send_from(socket: impl AsFd, bytes: &[u8], to: SocketAddr, source: IpAddr) -> io::Result<usize> {
    // SAFETY: both are plain C structures of integers and pointers, for which zero is a valid value.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut control = Control([0; CONTROL]);
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    header.msg_namelen = put_name(&mut name, to);
    header.msg_name = (&raw mut name).cast();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_controllen = put_packet_info(&mut control, source) as _;
    header.msg_control = (&raw mut control).cast();
    // SAFETY: the header points to locals and to `bytes`, which all live through the call; the kernel only reads them.
    let sent = unsafe {
        libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
