//! Linux: one socket, `sendmmsg(2)`, `recvmmsg(2)`, and the source of each datagram in a control message (ip(7), ipv6(7)).

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::control::receive_option;
use crate::datagrams::{Datagram, DatagramBatch};
use crate::headers::Headers;
use crate::options::{Options, unbound};
use crate::set_int::set_int;
use crate::transmit::{Ready, Received, Refused, SendError, Transmit};
use crate::wait::{Handle, handle, wait};

/// One socket with its message headers, made once: per datagram only addresses and pointers change.
pub(crate) struct Batched {
    socket: socket2::Socket,
    local: SocketAddr,
    receive_buffer: usize,
    /// Whether the source of a datagram is chosen, and the destination of a received one told, by control messages.
    packet_info: bool,
    send: Headers,
    receive: DatagramBatch,
}

impl std::fmt::Debug for Batched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batched")
            .field("socket", &self.socket)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Batched {
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        let ipv6 = options.local.is_ipv6();
        let socket = unbound(options)?;
        if !ipv6 {
            // Datagrams this small are never fragmented. With DF they need no identification (RFC 6864), and the kernel
            // saves the work of making one: 4 % of a sweep's time, measured on Linux 6.18.
            set_int(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        }
        if options.share_port {
            socket.set_reuse_port(true)?;
        }
        let receive_buffer = grow_buffers(&socket, options)?;
        let packet_info = options.local.ip().is_unspecified();
        if packet_info {
            let (level, name) = receive_option(ipv6);
            set_int(&socket, level, name, 1)?;
        }
        socket.bind(&options.local.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        let batch = options.batch.max(1);
        Ok(Self {
            socket,
            local,
            receive_buffer,
            packet_info,
            send: Headers::new(batch, 1),
            receive: DatagramBatch::of(batch, options.datagram, 0),
        })
    }

    pub(crate) fn socket(&self) -> &socket2::Socket {
        &self.socket
    }

    pub(crate) fn handle(&self) -> Handle<'_> {
        handle(&self.socket)
    }

    pub(crate) fn let_fragment(&self, fragment: bool) -> io::Result<()> {
        if self.local.is_ipv6() {
            // The kernel fragments what is too long, unless told otherwise (ipv6(7), IPV6_MTU_DISCOVER).
            return Ok(());
        }
        let how = if fragment { libc::IP_PMTUDISC_DONT } else { libc::IP_PMTUDISC_DO };
        set_int(&self.socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.local.port()
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    pub(crate) fn drops(&self) -> u32 {
        drops(&self.socket)
    }

    pub(crate) fn send(&mut self, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        let mut done = 0;
        for chunk in transmits.chunks(self.send.messages.len()) {
            for (at, transmit) in chunk.iter().enumerate() {
                self.prepare(at, transmit);
            }
            let mut from = 0;
            while from < chunk.len() {
                // SAFETY: the headers in `from..chunk.len()` were filled in above and point to memory that lives through
                // the call: the boxes of `self.send` and the borrowed bytes of `chunk`. The kernel only reads payloads.
                let sent = unsafe {
                    libc::sendmmsg(
                        self.socket.as_raw_fd(),
                        self.send.messages[from..].as_mut_ptr(),
                        (chunk.len() - from) as libc::c_uint,
                        0,
                    )
                };
                // A short count means that the next one was refused: asking again brings its error.
                if let Ok(sent) = usize::try_from(sent) {
                    from += sent;
                    continue;
                }
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return (done + from, Some(SendError { refused: Refused::Send, error }));
                }
            }
            done += chunk.len();
        }
        (done, None)
    }

    fn prepare(&mut self, at: usize, transmit: &Transmit<'_>) {
        self.send.vectors[at] = libc::iovec {
            iov_base: transmit.bytes.as_ptr().cast_mut().cast(),
            iov_len: transmit.bytes.len(),
        };
        // The lengths and flags of messages have other types in musl than in glibc: `as _` takes the one there is.
        let header = &mut self.send.messages[at].msg_hdr;
        header.msg_namelen = self.send.names[at].put(transmit.destination);
        let source = transmit.source.filter(|_| self.packet_info);
        header.msg_controllen = source.map_or(0, |source| self.send.controls[at].put_source(source) as _);
    }

    pub(crate) fn receive(&mut self, mut take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let received = self.receive.receive(&self.socket, true, self.packet_info)?;
        for at in 0..received {
            let Datagram { from: Some(from), to, head, .. } = self.receive.datagram(at) else { continue };
            let to = if self.packet_info { to } else { Some(self.local.ip()) };
            let Some(to) = to else { continue };
            take(Received { from, to, port: self.local.port(), bytes: head });
        }
        Ok(received)
    }

    pub(crate) fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        wait(handle(&self.socket), for_writing, timeout)
    }
}

/// Received datagrams that the kernel has dropped because the buffer was full (`SO_MEMINFO`); 0 if it does not tell.
pub(crate) fn drops(socket: &impl AsRawFd) -> u32 {
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut values = [0_u32; 16];
    let mut len = size_of::<[u32; 16]>() as libc::socklen_t;
    // SAFETY: `values` is writable for `len` bytes, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 && len as usize >= (DROPS + 1) * 4 { values[DROPS] } else { 0 }
}

/// Asks for larger buffers; gives the receive buffer that was granted.
fn grow_buffers(socket: &socket2::Socket, options: &Options) -> io::Result<usize> {
    for (name, forced, wanted) in [
        (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, options.receive_buffer),
        (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, options.send_buffer),
    ] {
        let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
        // Forcing needs CAP_NET_ADMIN in the initial user namespace; without it net.core.rmem_max is the limit, and a
        // smaller buffer is no failure: the caller reads back what there is.
        if set_int(socket, libc::SOL_SOCKET, forced, wanted).is_err() {
            let _ = set_int(socket, libc::SOL_SOCKET, name, wanted);
        }
    }
    socket.recv_buffer_size()
}
