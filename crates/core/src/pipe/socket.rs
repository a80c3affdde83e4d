//! One socket of a table, of any kind and on any system.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::sync::Arc;
use std::time::Duration;

/// Reads before a close, of 16 KiB each: a window that was filled.
const DISCARDS: usize = 256;

/// A non-blocking socket. All calls take `&self`: one thread may read while another one writes.
#[derive(Debug)]
pub(crate) enum Socket {
    Stream(TcpStream),
    Datagram(UdpSocket),
    Listener(TcpListener),
}

/// What a socket waits for in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Open,
    Listening,
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
    #[cfg(target_os = "linux")]
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

    pub(crate) fn set_no_delay(&self, on: bool) -> io::Result<()> {
        let Self::Stream(stream) = self else { return Ok(()) };
        stream.set_nodelay(on)
    }

    pub(crate) fn set_keep_alive(&self, on: bool, after: Option<Duration>) -> io::Result<()> {
        if let Self::Stream(stream) = self {
            let socket = socket2::SockRef::from(stream);
            socket.set_keepalive(on)?;
            if let (true, Some(after)) = (on, after) {
                socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(after))?;
            }
        }
        Ok(())
    }

    /// Takes away what has arrived at a stream and was not read: a close with unread data resets the connection, and the reset
    /// may overtake what was sent before (RFC 2525, section 2.17).
    pub(crate) fn discard(&self) {
        let Self::Stream(stream) = self else { return };
        let mut buffer = [0; 16_384];
        // Bounded: a peer that sends faster than this is read gets its reset.
        for _ in 0..DISCARDS {
            match (&*stream).read(&mut buffer) {
                Ok(len) if len > 0 => {}
                _ => return,
            }
        }
    }

    /// Lets a close of the stream reset the connection at once.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Stream(stream) = self {
            // If it is refused the connection is closed in order instead.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Closes it before this returns, so that its port can be bound again at once.
    pub(crate) fn close(shared: Arc<Self>) {
        drop(unshare(shared));
    }

    /// Datagrams that the kernel dropped because nobody read them in time.
    pub(crate) fn drops(&self) -> u32 {
        match self {
            Self::Datagram(socket) => routepool_udp::option::drops(socket).unwrap_or(0),
            _ => 0,
        }
    }
}

/// What only its owner keeps. Another thread may have it in hand, but only for the length of a call that does not wait.
pub(crate) fn unshare<T>(mut shared: Arc<T>) -> T {
    loop {
        match Arc::try_unwrap(shared) {
            Ok(own) => return own,
            Err(held) => shared = held,
        }
        std::thread::yield_now();
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, socket => socket.as_fd())
    }
}

#[cfg(unix)]
impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        each!(self, socket => socket.as_raw_fd())
    }
}

#[cfg(windows)]
impl AsSocket for Socket {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        each!(self, socket => socket.as_socket())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_port_is_free_when_close_returns_though_another_thread_had_the_socket() {
        let first = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let at = first.local_addr().expect("its address");
        let shared = Arc::new(Socket::Datagram(first));
        let held = Arc::clone(&shared);
        let (begin, begun) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            begun.recv().expect("the close begins");
            // As long as several calls take; a close that does not wait is long over by then.
            for _ in 0..1_000 {
                std::thread::yield_now();
            }
            drop(held);
        });
        begin.send(()).expect("the reader waits");
        Socket::close(shared);
        UdpSocket::bind(at).expect("the port is free");
        reader.join().expect("the reader ends");
    }
}
