//! The sockets of a server: each bound to one address and port, read and waited for together.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::options::{Options, unbound};
use crate::socket::Backend;
use crate::transmit::{Received, Refused, SendError, Transmit};
use crate::wait::{Waiter, handle};

/// Bound sockets with a number each, in the order in which they were named.
#[derive(Debug)]
pub struct Endpoints(Inner);

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Batched(batched::Endpoints),
    Plain(Plain),
}

macro_rules! each {
    ($self:expr, $inner:ident => $call:expr) => {
        match $self {
            #[cfg(target_os = "linux")]
            Inner::Batched($inner) => $call,
            Inner::Plain($inner) => $call,
        }
    };
}

impl Endpoints {
    /// Opens a socket for each of these options; [`Options::local`] must be an address, not a wildcard, since answers leave
    /// from where the socket is bound. There must be at least one.
    ///
    /// # Errors
    /// What the system says, with the number of the socket; [`io::ErrorKind::Unsupported`] for a backend, or a shared port,
    /// that this platform does not have.
    pub fn open(backend: Backend, options: &[Options]) -> Result<Self, (usize, io::Error)> {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Batched => Ok(Self(Inner::Batched(batched::Endpoints::open(options)?))),
            #[cfg(not(target_os = "linux"))]
            Backend::Batched => Err((0, io::ErrorKind::Unsupported.into())),
            // A bound socket needs no source for its datagrams: there is one plain way.
            Backend::PerDatagram | Backend::PerSource => Ok(Self(Inner::Plain(Plain::open(options)?))),
        }
    }

    /// Where an endpoint is bound.
    #[must_use]
    pub fn local(&self, number: usize) -> SocketAddr {
        each!(&self.0, s => s.local(number))
    }

    /// The smallest receive buffer that the kernel granted, in bytes as it counts them.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        each!(&self.0, s => s.receive_buffer())
    }

    /// How many received datagrams the kernel has dropped because a buffer was full; 0 where it does not tell.
    #[must_use]
    pub fn drops(&self) -> u32 {
        each!(&self.0, s => s.drops())
    }

    /// Receives what is there at an endpoint, at most one batch, without waiting. Gives the number of datagrams.
    ///
    /// # Errors
    /// What the system says; never "would block", which is 0 datagrams.
    pub fn receive(&mut self, number: usize, take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        each!(&mut self.0, s => s.receive(number, take))
    }

    /// Sends from an endpoint, as [`crate::Socket::send`] does; the sources of the datagrams are not looked at.
    pub fn send(&mut self, number: usize, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        each!(&mut self.0, s => s.send(number, transmits))
    }

    /// Lets what an endpoint sends from now on be cut into fragments where it is longer than the network takes, or forbids
    /// it again. IPv4 datagrams are not cut from the start; IPv6 ones always may be.
    ///
    /// # Errors
    /// What the system says.
    pub fn let_fragment(&mut self, number: usize, fragment: bool) -> io::Result<()> {
        each!(&mut self.0, s => s.let_fragment(number, fragment))
    }

    /// Waits until an endpoint can be read or the time is over; `readable` gets the numbers of those that can.
    ///
    /// # Errors
    /// What the system says; an interrupted wait is no error.
    pub fn wait(&mut self, timeout: Duration, readable: &mut Vec<usize>) -> io::Result<()> {
        readable.clear();
        each!(&mut self.0, s => s.wait(timeout, readable))
    }

    /// Waits until an endpoint can send again, or the time is over.
    ///
    /// # Errors
    /// As [`Endpoints::wait`].
    pub fn wait_writable(&mut self, number: usize, timeout: Duration) -> io::Result<()> {
        each!(&mut self.0, s => s.wait_writable(number, timeout))
    }
}

#[cfg(target_os = "linux")]
mod batched {
    use super::{Duration, Options, Received, SendError, SocketAddr, Transmit, Waiter, io};
    use crate::linux::Batched;

    #[derive(Debug)]
    pub(super) struct Endpoints {
        sockets: Vec<Batched>,
        waiter: Waiter,
    }

    impl Endpoints {
        pub(super) fn open(options: &[Options]) -> Result<Self, (usize, io::Error)> {
            let open = |(number, options): (usize, &Options)| Batched::open(options).map_err(|e| (number, e));
            let sockets = options.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
            Ok(Self { sockets, waiter: Waiter::default() })
        }

        pub(super) fn local(&self, number: usize) -> SocketAddr {
            self.sockets[number].local()
        }

        pub(super) fn receive_buffer(&self) -> usize {
            self.sockets.iter().map(Batched::receive_buffer).min().unwrap_or(0)
        }

        pub(super) fn drops(&self) -> u32 {
            self.sockets.iter().map(Batched::drops).fold(0, u32::wrapping_add)
        }

        pub(super) fn receive(&mut self, number: usize, take: impl FnMut(Received<'_>)) -> io::Result<usize> {
            self.sockets[number].receive(take)
        }

        pub(super) fn send(
            &mut self,
            number: usize,
            transmits: &[Transmit<'_>],
        ) -> (usize, Option<SendError>) {
            self.sockets[number].send(transmits)
        }

        pub(super) fn let_fragment(&mut self, number: usize, fragment: bool) -> io::Result<()> {
            self.sockets[number].let_fragment(fragment)
        }

        pub(super) fn wait(&mut self, timeout: Duration, readable: &mut Vec<usize>) -> io::Result<()> {
            let sockets = self.sockets.iter().map(Batched::handle).enumerate();
            self.waiter.wait(sockets, timeout, |number| readable.push(number))
        }

        pub(super) fn wait_writable(&mut self, number: usize, timeout: Duration) -> io::Result<()> {
            self.sockets[number].wait(true, timeout).map(|_| ())
        }
    }
}

/// Everywhere: a datagram a call.
#[derive(Debug)]
struct Plain {
    sockets: Vec<(UdpSocket, SocketAddr)>,
    waiter: Waiter,
    buffer: Box<[u8]>,
    batch: usize,
}

/// What systems give a socket at least.
const LEAST_BUFFER: usize = 212_992;

impl Plain {
    fn open(options: &[Options]) -> Result<Self, (usize, io::Error)> {
        let open = |(number, options): (usize, &Options)| open_plain(options).map_err(|e| (number, e));
        let sockets = options.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
        let largest = options.iter().map(|o| o.datagram).max().unwrap_or(0);
        let batch = options.iter().map(|o| o.batch).max().unwrap_or(1);
        Ok(Self { sockets, waiter: Waiter::default(), buffer: vec![0; largest].into_boxed_slice(), batch })
    }

    fn local(&self, number: usize) -> SocketAddr {
        self.sockets[number].1
    }

    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    fn receive_buffer(&self) -> usize {
        LEAST_BUFFER
    }

    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    fn drops(&self) -> u32 {
        0
    }

    fn receive(&mut self, number: usize, mut take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let Self { sockets, buffer, .. } = self;
        let (socket, local) = &sockets[number];
        for received in 0..self.batch {
            match socket.recv_from(buffer) {
                Ok((len, from)) => {
                    take(Received { from, to: local.ip(), port: local.port(), bytes: &buffer[..len] });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(received),
                // Windows reports the ICMP error of an earlier datagram here (WSAECONNRESET); others may do so too.
                Err(error) if crate::errno::is_icmp(&error) || error.kind() == io::ErrorKind::Interrupted => {
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.batch)
    }

    fn send(&mut self, number: usize, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        let (socket, _) = &self.sockets[number];
        for (done, transmit) in transmits.iter().enumerate() {
            if let Err(error) = socket.send_to(transmit.bytes, transmit.destination) {
                return (done, Some(SendError { refused: Refused::Send, error }));
            }
        }
        (transmits.len(), None)
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same call as on Linux")]
    fn let_fragment(&mut self, _: usize, _: bool) -> io::Result<()> {
        // It always may.
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, readable: &mut Vec<usize>) -> io::Result<()> {
        let sockets = self.sockets.iter().map(|(socket, _)| handle(socket)).enumerate();
        self.waiter.wait(sockets, timeout, |number| readable.push(number))
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same call as on Linux")]
    fn wait_writable(&mut self, _: usize, timeout: Duration) -> io::Result<()> {
        // Sending on a UDP socket hardly ever blocks.
        std::thread::sleep(timeout.min(Duration::from_millis(1)));
        Ok(())
    }
}

fn open_plain(options: &Options) -> io::Result<(UdpSocket, SocketAddr)> {
    if options.share_port {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let socket = unbound(options)?;
    // A smaller buffer is no failure.
    let _ = socket.set_recv_buffer_size(options.receive_buffer);
    socket.bind(&options.local.into())?;
    let socket = UdpSocket::from(socket);
    let local = socket.local_addr()?;
    Ok((socket, local))
}
