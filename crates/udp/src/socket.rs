//! The socket: types above the seam, one backend per way of doing it below.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use crate::fallback::PerSource;

/// Bytes received of one datagram unless asked otherwise: no probe and no answer to one is longer.
pub const DATAGRAM: usize = 1_500;

/// How long one of several sockets is waited for where there is no call that waits for all.
const SHORT_WAIT: Duration = Duration::from_millis(1);

/// How a socket is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The local address. A wildcard address (see [`Options::wildcard`]) allows a source per datagram.
    pub local: SocketAddr,
    /// The receive buffer wanted, in bytes. What was granted: [`Socket::receive_buffer`].
    pub receive_buffer: usize,
    /// The send buffer wanted, in bytes.
    pub send_buffer: usize,
    /// Only send and receive through this interface (`SO_BINDTODEVICE` and its like).
    pub interface: Option<String>,
    /// Allow IPv6 sources that are held only by a local route (`IPV6_FREEBIND`). The kernel then sends from any
    /// address at all, so the caller must have made sure that the sources are local.
    pub freebind: bool,
    /// Datagrams per system call.
    pub batch: usize,
    /// Bytes received of one datagram at most; the rest is cut off.
    pub datagram: usize,
    /// Other sockets of this process may be bound to the same address and port; the kernel then gives each flow to one of
    /// them (Linux: `SO_REUSEPORT`).
    pub share_port: bool,
}

impl Options {
    /// A socket that may send from any local address of a family, with buffers of 4 MiB and batches of 64.
    #[must_use]
    pub fn wildcard(ipv6: bool) -> Self {
        let ip: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Self::bound(SocketAddr::new(ip, 0))
    }

    /// A socket bound to `local`, with buffers of 4 MiB and batches of 64.
    #[must_use]
    pub fn bound(local: SocketAddr) -> Self {
        Self {
            local,
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            interface: None,
            freebind: false,
            batch: 64,
            datagram: DATAGRAM,
            share_port: false,
        }
    }
}

/// A socket of which all is set that every backend sets, not bound yet.
pub(crate) fn unbound(options: &Options) -> io::Result<socket2::Socket> {
    let ipv6 = options.local.is_ipv6();
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = &options.interface {
        crate::tie_to_interface(&socket, ipv6, interface)?;
    }
    if ipv6 {
        socket.set_only_v6(true)?;
        #[cfg(target_os = "linux")]
        if options.freebind {
            socket.set_freebind_v6(true)?;
        }
    }
    Ok(socket)
}

/// The way datagrams are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One socket, many sources, many datagrams in a system call: Linux.
    Batched,
    /// One socket, many sources, a system call for each datagram: Linux, macOS, FreeBSD, Windows.
    OneByOne,
    /// One socket for each source: everywhere, at a tenth of the speed.
    PerSource,
}

impl Backend {
    /// The best that has been proven to work on this platform.
    #[must_use]
    pub fn best() -> Self {
        if cfg!(target_os = "linux") { Self::Batched } else { Self::PerSource }
    }

    /// The best of those that need one socket for all sources.
    #[must_use]
    pub fn one_socket() -> Self {
        if cfg!(target_os = "linux") { Self::Batched } else { Self::OneByOne }
    }
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// The address to send from; `None` leaves it to the system or to the bound address.
    pub source: Option<IpAddr>,
    /// Where to.
    pub destination: SocketAddr,
    /// What.
    pub bytes: &'a [u8],
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// The address it was delivered to.
    pub to: IpAddr,
    /// The port it was delivered to.
    pub port: u16,
    /// Its bytes; at most [`Options::datagram`], the rest is cut off.
    pub bytes: &'a [u8],
}

/// Which step was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Binding the source.
    Bind,
    /// Sending.
    Send,
}

/// Why a datagram was not sent.
#[derive(Debug)]
pub struct SendError {
    /// The step that failed.
    pub refused: Refused,
    /// What the system said.
    pub error: io::Error,
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Datagrams can be received.
    pub readable: bool,
    /// Datagrams can be sent.
    pub writable: bool,
}

/// A non-blocking UDP socket with a source per datagram.
#[derive(Debug)]
pub struct Socket(Inner);

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Batched(crate::linux::Batched),
    #[cfg(one_by_one)]
    OneByOne(crate::one_by_one::OneByOne),
    PerSource(PerSource),
}

macro_rules! each {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Inner::Batched($socket) => $call,
            #[cfg(one_by_one)]
            Inner::OneByOne($socket) => $call,
            Inner::PerSource($socket) => $call,
        }
    };
}

impl Socket {
    /// Opens a socket.
    ///
    /// # Errors
    /// What the system says of `socket`, `bind` or one of the options; [`io::ErrorKind::Unsupported`] for a backend that
    /// this platform does not have.
    pub fn open(backend: Backend, options: &Options) -> io::Result<Self> {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Batched => Ok(Self(Inner::Batched(crate::linux::Batched::open(options)?))),
            #[cfg(not(target_os = "linux"))]
            Backend::Batched => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(one_by_one)]
            Backend::OneByOne => Ok(Self(Inner::OneByOne(crate::one_by_one::OneByOne::open(options)?))),
            #[cfg(not(one_by_one))]
            Backend::OneByOne => Err(io::ErrorKind::Unsupported.into()),
            Backend::PerSource => Ok(Self(Inner::PerSource(PerSource::open(options)?))),
        }
    }

    /// The local port; 0 with a socket per source, where each has its own (see [`Received::port`]).
    #[must_use]
    pub fn local_port(&self) -> u16 {
        each!(&self.0, s => s.local_port())
    }

    /// The receive buffer that the kernel granted, in bytes as it counts them.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        each!(&self.0, s => s.receive_buffer())
    }

    /// How many probes this socket can keep in flight whatever its buffer; `None`: as many as one likes.
    #[must_use]
    pub fn most_sources(&self) -> Option<u32> {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Inner::Batched(_) => None,
            #[cfg(one_by_one)]
            Inner::OneByOne(_) => None,
            Inner::PerSource(_) => Some(crate::fallback::MOST_IN_FLIGHT),
        }
    }

    /// How many received datagrams the kernel has dropped because the buffer was full (`SO_MEMINFO`); 0 where it does not
    /// tell.
    #[must_use]
    pub fn drops(&self) -> u32 {
        each!(&self.0, s => s.drops())
    }

    /// Sends datagrams in order and gives how many were handed over. It stops early at the first that is refused and says
    /// why; the caller decides about that one and calls again for the rest. [`crate::errno::is_transient`] errors mean
    /// that it may be tried again once [`Socket::wait`] says so.
    pub fn send(&mut self, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        each!(&mut self.0, s => s.send(transmits))
    }

    /// Receives what is there, at most one batch, without waiting. Gives the number of datagrams.
    ///
    /// # Errors
    /// What the system says; never "would block", which is 0 datagrams.
    pub fn receive(&mut self, take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        each!(&mut self.0, s => s.receive(take))
    }

    #[cfg(target_os = "linux")]
    fn poll_entry(&self) -> Option<libc::pollfd> {
        match &self.0 {
            Inner::Batched(socket) => {
                Some(libc::pollfd { fd: socket.descriptor(), events: libc::POLLIN, revents: 0 })
            }
            _ => None,
        }
    }

    /// Waits until one of the sockets is readable or the time is over; gives for each whether it may be. With no time it only looks.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait_any<'a>(
        sockets: impl IntoIterator<Item = &'a mut Self>,
        timeout: Duration,
        readable: &mut Vec<bool>,
    ) -> io::Result<()> {
        readable.clear();
        let mut sockets: Vec<_> = sockets.into_iter().collect();
        if let [only] = sockets.as_mut_slice() {
            readable.push(only.wait(false, timeout)?.readable);
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        if let Some(mut entries) =
            sockets.iter().map(|socket| socket.poll_entry()).collect::<Option<Vec<_>>>()
        {
            crate::linux::poll(&mut entries, timeout)?;
            readable.extend(entries.iter().map(|entry| entry.revents != 0));
            return Ok(());
        }
        // No one call waits for all of them: the newest, which answers are most likely for, gets a short wait.
        for socket in &mut sockets {
            readable.push(socket.wait(false, Duration::ZERO)?.readable);
        }
        if let (Some(newest), false) = (sockets.last_mut(), readable.contains(&true)) {
            let ready = newest.wait(false, timeout.min(SHORT_WAIT))?.readable;
            readable.pop();
            readable.push(ready);
        }
        Ok(())
    }

    /// Waits until the socket is readable, or writable if `for_writing`, or the time is over.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        each!(&mut self.0, s => s.wait(for_writing, timeout))
    }
}
