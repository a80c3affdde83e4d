//! One socket of a table, of any kind and on any system.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

use mio::net::{TcpListener, TcpStream, UdpSocket};

/// A non-blocking socket. All calls take `&self`: one thread may read while another one writes.
#[derive(Debug)]
pub(crate) enum Socket {
    Stream(TcpStream),
    Datagram(UdpSocket),
    Listener(TcpListener),
}

macro_rules! each {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self {
            Self::Stream($socket) => $call,
            Self::Datagram($socket) => $call,
            Self::Listener($socket) => $call,
        }
    };
}

impl Socket {
    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        each!(self, socket => socket.local_addr())
    }

    /// The error that waits, such as that of a connection which could not be made.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        each!(self, socket => socket.take_error())
    }

    /// Writes to the connected peer, without waiting.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => (&*stream).write(bytes),
            Self::Datagram(socket) => socket.send(bytes),
            Self::Listener(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends a datagram, without waiting; from a given address of this machine where that is asked for.
    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr, source: Option<IpAddr>) -> io::Result<usize> {
        let Self::Datagram(socket) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        match source {
            None => socket.send_to(bytes, to),
            #[cfg(target_os = "linux")]
            Some(source) => routepool_udp::send_from(socket, bytes, to, source),
            #[cfg(not(target_os = "linux"))]
            Some(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Reads from a stream, without waiting.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self::Stream(stream) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        (&*stream).read(bytes)
    }

    /// Ends the sending side of a stream.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        let Self::Stream(stream) = self else { return Ok(()) };
        stream.shutdown(Shutdown::Write)
    }

    /// Lets a close of the stream reset the connection at once.
    pub(crate) fn reset_on_close(&self) {
        #[cfg(unix)]
        if let Self::Stream(stream) = self {
            // If it is refused the connection is closed in order instead.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Datagrams that the kernel dropped because nobody read them in time.
    pub(crate) fn drops(&self) -> u32 {
        match self {
            Self::Datagram(socket) => routepool_udp::option::drops(socket).unwrap_or(0),
            _ => 0,
        }
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, socket => socket.as_fd())
    }
}
