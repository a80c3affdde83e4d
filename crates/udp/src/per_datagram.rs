//! One socket, many sources, a system call for each datagram: what macOS, FreeBSD and Windows can do. Linux has it too, so that
//! it is tested there.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{MsgHdr, SockAddr};

use crate::control::{Control, receive_option};
use crate::options::{Options, unbound};
use crate::set_int::set_int;
use crate::transmit::{Ready, Received, Refused, SendError, Transmit};
use crate::wait::{Handle, handle, wait};

#[cfg(unix)]
#[path = "per_datagram/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "per_datagram/windows.rs"]
mod platform;

/// Buffers smaller than this are not worth asking for again.
const LEAST_BUFFER: usize = 64 << 10;

/// One socket with room for one message.
#[derive(Debug)]
pub(crate) struct PerDatagram {
    socket: socket2::Socket,
    calls: platform::Calls,
    local: SocketAddr,
    batch: usize,
    receive_buffer: usize,
    /// Whether the source of a datagram is chosen, and the destination of a received one told, by control messages.
    packet_info: bool,
    control: Control,
    payload: Box<[u8]>,
}

/// What a system call received.
struct Message {
    from: SockAddr,
    len: usize,
    control_len: usize,
}

impl PerDatagram {
    pub(crate) fn socket(&self) -> &socket2::Socket {
        &self.socket
    }

    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        if options.share_port {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let ipv6 = options.local.is_ipv6();
        let socket = unbound(options)?;
        grow(options.receive_buffer, |bytes| socket.set_recv_buffer_size(bytes));
        grow(options.send_buffer, |bytes| socket.set_send_buffer_size(bytes));
        let calls = platform::Calls::of(&socket)?;
        let packet_info = options.local.ip().is_unspecified();
        if packet_info {
            let (level, name) = receive_option(ipv6);
            set_int(&socket, level, name, 1)?;
        }
        socket.bind(&options.local.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            calls,
            local,
            batch: options.batch.max(1),
            receive_buffer: socket.recv_buffer_size()?,
            socket,
            packet_info,
            control: Control::default(),
            payload: vec![0; options.datagram].into_boxed_slice(),
        })
    }

    pub(crate) fn handle(&self) -> Handle<'_> {
        handle(&self.socket)
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.local.port()
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    #[allow(clippy::unused_self, reason = "the same call as with batches; these systems do not count")]
    pub(crate) fn drops(&self) -> u32 {
        0
    }

    pub(crate) fn send(&mut self, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        for (done, transmit) in transmits.iter().enumerate() {
            loop {
                match self.send_one(transmit) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return (done, Some(SendError { refused: Refused::Send, error })),
                }
            }
        }
        (transmits.len(), None)
    }

    fn send_one(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (to, bytes) = (SockAddr::from(transmit.destination), [IoSlice::new(transmit.bytes)]);
        let message = MsgHdr::new().with_addr(&to).with_buffers(&bytes);
        match transmit.source.filter(|_| self.packet_info) {
            Some(source) if source.is_ipv6() == self.local.is_ipv6() => {
                let len = self.control.put_source(source);
                self.socket.sendmsg(&message.with_control(&self.control.0[..len]), 0)?;
            }
            Some(_) => return Err(io::ErrorKind::InvalidInput.into()),
            None => {
                self.socket.sendmsg(&message, 0)?;
            }
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self, mut take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let any: IpAddr =
            if self.local.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        // It says how much room an address takes.
        let any = SockAddr::from(SocketAddr::new(any, 0));
        let mut received = 0;
        while received < self.batch {
            let control = self.packet_info.then_some(&mut self.control);
            let message = match self.calls.receive(&self.socket, &any, &mut self.payload[..], control) {
                Ok(message) => message,
                Err(error)
                    if error.kind() == io::ErrorKind::Interrupted || crate::errno::is_too_long(&error) =>
                {
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It speaks of an earlier datagram; what was received before it is not lost.
                Err(error) if crate::errno::is_icmp(&error) && received > 0 => break,
                Err(error) => return Err(error),
            };
            let Some(from) = message.from.as_socket() else { continue };
            let to = if self.packet_info {
                self.control.destination(message.control_len)
            } else {
                Some(self.local.ip())
            };
            let Some(to) = to else { continue };
            take(Received {
                from,
                to,
                port: self.local.port(),
                bytes: &self.payload[..message.len.min(self.payload.len())],
            });
            received += 1;
        }
        Ok(received)
    }

    pub(crate) fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        wait(handle(&self.socket), for_writing, timeout)
    }
}

/// Asks for a buffer, and for a smaller one where the system refuses instead of giving less (macOS: `ENOBUFS` above
/// `kern.ipc.maxsockbuf`). None at all is no failure: what there is is read back.
fn grow(wanted: usize, set: impl Fn(usize) -> io::Result<()>) {
    let mut bytes = wanted;
    while set(bytes).is_err() && bytes / 2 >= LEAST_BUFFER {
        bytes /= 2;
    }
}
