//! Socket options that `socket2` does not have, as questions with an answer on every system.

use std::io;

use socket2::Socket;

/// Leaves the local port open until the socket is connected (`IP_BIND_ADDRESS_NO_PORT`, ip(7)). Without it a bound source
/// uses up one of some 28,000 ports for itself alone; with it a port serves once for each destination. Does nothing where
/// the system does not have it.
///
/// # Errors
/// What the system says.
#[cfg(target_os = "linux")]
pub fn bind_address_no_port(socket: &Socket) -> io::Result<()> {
    crate::set_int::set_int(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

#[cfg(not(target_os = "linux"))]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "the same call as on Linux, described there")]
pub fn bind_address_no_port(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Tells for each received datagram which address it was delivered to (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
///
/// # Errors
/// What the system says; [`io::ErrorKind::Unsupported`] where it is not available.
#[cfg(target_os = "linux")]
pub fn packet_info(socket: &Socket, ipv6: bool) -> io::Result<()> {
    let (level, name) = crate::control::receive_option(ipv6);
    crate::set_int::set_int(socket, level, name, 1)
}

#[cfg(not(target_os = "linux"))]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "the same call as on Linux, described there")]
pub fn packet_info(_: &Socket, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets an error that waits at the socket, such as the ICMP answer to a datagram, wake who waits for `EPOLLIN | EPOLLPRI`
/// (`SO_SELECT_ERR_QUEUE`, socket(7)). Without it such an error comes as `EPOLLERR` alone, which is not taken for something to
/// read. Does nothing where the system does not have it: other systems tell of it as of something to read.
///
/// # Errors
/// What the system says.
#[cfg(target_os = "linux")]
pub fn errors_wake(socket: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    crate::set_int::set_int(socket, libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE, 1)
}

#[cfg(not(target_os = "linux"))]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "the same call as on Linux, described there")]
pub fn errors_wake<T>(_: &T) -> io::Result<()> {
    Ok(())
}

/// Received datagrams that the kernel has dropped because the buffer was full (`SO_MEMINFO`); `None` where it does not tell.
#[cfg(target_os = "linux")]
pub fn drops(socket: &impl std::os::fd::AsRawFd) -> Option<u32> {
    Some(crate::linux::drops(socket))
}

#[cfg(not(target_os = "linux"))]
#[allow(missing_docs, reason = "the same call as on Linux, described there")]
#[must_use]
pub fn drops<T>(_: &T) -> Option<u32> {
    None
}
