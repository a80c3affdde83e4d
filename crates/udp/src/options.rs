//! How a socket is opened, whatever its backend.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Type};

/// Bytes received of one datagram unless asked otherwise: no probe and no answer to one is longer.
pub const DATAGRAM: usize = 1_500;

/// How a socket is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The local address. A wildcard address (see [`Options::wildcard`]) allows a source per datagram.
    pub local: SocketAddr,
    /// The receive buffer wanted, in bytes. What was granted: [`Socket::receive_buffer`](crate::Socket::receive_buffer).
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
        crate::bind_device(&socket, ipv6, interface)?;
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
