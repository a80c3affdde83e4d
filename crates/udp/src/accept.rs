//! Connections of a listener that never waits.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Accepts a connection, which never waits either: with one call where the system has that.
///
/// # Errors
/// What the system says, "would block" included.
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    #[cfg(target_os = "linux")]
    {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let (stream, peer) = socket2::SockRef::from(listener).accept4(flags)?;
        let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        Ok((stream.into(), peer))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok((stream, peer))
    }
}
