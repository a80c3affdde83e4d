//! The socket: types above the seam, one backend per way of doing it below.

use std::io;
use std::time::Duration;

use crate::fallback::PerSource;
use crate::options::Options;
use crate::transmit::{Ready, Received, SendError, Transmit};
use crate::wait::{Handle, Waiter};

/// The way datagrams are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One socket, many sources, many datagrams in a system call: Linux.
    Batched,
    /// One socket, many sources, a system call for each datagram: Linux, macOS, FreeBSD, Windows.
    PerDatagram,
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
        if cfg!(target_os = "linux") { Self::Batched } else { Self::PerDatagram }
    }
}

/// A non-blocking UDP socket with a source per datagram.
#[derive(Debug)]
pub struct Socket(Inner);

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Batched(crate::linux::Batched),
    #[cfg(per_datagram)]
    PerDatagram(crate::per_datagram::PerDatagram),
    PerSource(PerSource),
}

macro_rules! each {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Inner::Batched($socket) => $call,
            #[cfg(per_datagram)]
            Inner::PerDatagram($socket) => $call,
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
            #[cfg(per_datagram)]
            Backend::PerDatagram => {
                Ok(Self(Inner::PerDatagram(crate::per_datagram::PerDatagram::open(options)?)))
            }
            #[cfg(not(per_datagram))]
            Backend::PerDatagram => Err(io::ErrorKind::Unsupported.into()),
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
            #[cfg(per_datagram)]
            Inner::PerDatagram(_) => None,
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

    /// All that has to be waited for.
    fn handles(&self) -> impl Iterator<Item = Handle<'_>> + Clone {
        let (one, many) = match &self.0 {
            #[cfg(target_os = "linux")]
            Inner::Batched(socket) => (Some(socket.handle()), None),
            #[cfg(per_datagram)]
            Inner::PerDatagram(socket) => (Some(socket.handle()), None),
            Inner::PerSource(sockets) => (None, Some(sockets.handles())),
        };
        one.into_iter().chain(many.into_iter().flatten())
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
        readable.resize(sockets.len(), false);
        let named =
            sockets.iter().enumerate().flat_map(|(at, socket)| socket.handles().map(move |h| (at, h)));
        Waiter::default().wait(named, timeout, |at| readable[at] = true)
    }

    /// Waits until the socket is readable, or writable if `for_writing`, or the time is over.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        each!(&mut self.0, s => s.wait(for_writing, timeout))
    }

    /// Another handle of a socket for all sources, for another event loop to wait for; `None` with a socket for each source.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Option<std::net::UdpSocket>> {
        let socket = match &self.0 {
            #[cfg(target_os = "linux")]
            Inner::Batched(socket) => socket.socket(),
            #[cfg(per_datagram)]
            Inner::PerDatagram(socket) => socket.socket(),
            Inner::PerSource(_) => return Ok(None),
        };
        Ok(Some(socket.try_clone()?.into()))
    }
}
