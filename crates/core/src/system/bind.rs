//! Binds a local address and makes sure of it: interface, then source address, then a look at what the system made of it.

use std::io;
use std::net::SocketAddr;

use routepool_proto::ip_block::IpBlock;
use routepool_udp::bind_device;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;
use crate::system::local_table::LocalTable;

/// A local address that a socket can be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As the system tells it, with the port it chose if none was asked for.
    pub local: SocketAddr,
    /// How the socket was bound to the interface.
    pub interface: InterfaceBinding,
}

/// How the socket was bound to the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceBinding {
    /// Nobody asked for it.
    NotAsked,
    /// Packets leave and arrive only by the interface.
    Bound,
    /// The system refused, for this reason; the routing table chose the interface.
    Refused(String),
}

impl InterfaceBinding {
    /// Why the system refused; `None` if it did not.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(reason) => Some(reason),
            Self::Bound | Self::NotAsked => None,
        }
    }
}

/// What to bind.
#[derive(Clone, Copy, Debug)]
pub struct BindRequest<'a> {
    /// Address and port; port 0 leaves the choice to the system.
    pub local: SocketAddr,
    /// The interface that packets must leave by.
    pub interface: Option<&'a str>,
    /// Go on without the interface where the system refuses it, and say so.
    pub best_effort: bool,
}

/// Binds a UDP socket, looks at it and closes it again: whether the address can be used now.
///
/// # Errors
/// [`Error::System`] with the call that failed: `bind` (`EADDRNOTAVAIL` for an address that is gone, `EADDRINUSE`), or
/// `setsockopt` for a refused interface unless `best_effort`.
pub fn check(request: &BindRequest<'_>) -> Result<Bound, Error> {
    let socket = Socket::new(Domain::for_address(request.local), Type::DGRAM, Some(Protocol::UDP))
        .map_err(|source| Error::System { syscall: "socket", address: Some(request.local), source })?;
    bind(&socket, request)
}

/// Binds a socket to the interface, then to the source address, and looks at what the system made of it.
///
/// # Errors
/// As for [`check`].
pub fn bind(socket: &Socket, request: &BindRequest<'_>) -> Result<Bound, Error> {
    let failed = |syscall| move |source| Error::System { syscall, address: Some(request.local), source };
    let interface = bind_to_interface(socket, request).map_err(failed("setsockopt"))?;
    match socket.bind(&request.local.into()) {
        // Only now the routing table is read: it takes longer than all the rest.
        Err(error)
            if error.kind() == io::ErrorKind::AddrNotAvailable
                && held_by_a_route(request.local).map_err(failed("netlink"))? =>
        {
            freebind(socket).map_err(failed("setsockopt"))?;
            socket.bind(&request.local.into())
        }
        result => result,
    }
    .map_err(failed("bind"))?;
    let local = socket.local_addr().map_err(failed("getsockname"))?.as_socket();
    let local = local.filter(|local| local.ip() == request.local.ip());
    let local = local.ok_or_else(|| failed("bind")(io::ErrorKind::AddrNotAvailable.into()))?;
    Ok(Bound { local, interface })
}

/// Prepares a socket to be bound as [`check`] does: binds it to the interface, and allows an address that is held by a route.
pub(crate) fn prepare(socket: &Socket, request: &BindRequest<'_>) -> io::Result<InterfaceBinding> {
    let interface = bind_to_interface(socket, request)?;
    if held_by_a_route(request.local)? {
        freebind(socket)?;
    }
    Ok(interface)
}

fn bind_to_interface(socket: &Socket, request: &BindRequest<'_>) -> io::Result<InterfaceBinding> {
    let Some(name) = request.interface else { return Ok(InterfaceBinding::NotAsked) };
    match bind_device(socket, request.local.is_ipv6(), name) {
        Ok(()) => Ok(InterfaceBinding::Bound),
        // Where the system knows no such thing there is nothing that strictness could ask for.
        Err(error) if request.best_effort || error.kind() == io::ErrorKind::Unsupported => {
            Ok(InterfaceBinding::Refused(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Whether the address is local without being an address of an interface: then IPv6 can be bound only with
/// `IPV6_FREEBIND`, which must never be set for an address that is not local.
fn held_by_a_route(local: SocketAddr) -> io::Result<bool> {
    if !cfg!(target_os = "linux")
        || !local.is_ipv6()
        || local.ip().is_unspecified()
        || local.ip().is_loopback()
    {
        return Ok(false);
    }
    let block = IpBlock::from_range(local.ip(), local.ip()).map_err(io::Error::other)?;
    Ok(LocalTable::read(true)?.holds_as_block(&block))
}

#[cfg(target_os = "linux")]
pub(crate) fn freebind(socket: &Socket) -> io::Result<()> {
    socket.set_freebind_v6(true)
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "the same call as on Linux")]
pub(crate) fn freebind(_: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(local: &str) -> BindRequest<'_> {
        BindRequest { local: local.parse().expect("an address"), interface: None, best_effort: false }
    }

    #[test]
    fn a_port_is_chosen_and_a_busy_one_and_a_foreign_address_are_refused() {
        let bound = check(&request("127.0.0.1:0")).expect("loopback");
        assert!(bound.local.port() > 0 && bound.interface == InterfaceBinding::NotAsked);
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let busy = taken.local_addr().expect("bound").to_string();
        for (local, errno) in
            [(busy.as_str(), io::ErrorKind::AddrInUse), ("203.0.113.7:0", io::ErrorKind::AddrNotAvailable)]
        {
            let error = check(&request(local)).expect_err("refused");
            let Error::System { syscall, source, address } = &error else { unreachable!("{error}") };
            assert_eq!((*syscall, source.kind(), *address), ("bind", errno, local.parse().ok()), "{local}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_interface_that_is_not_there_is_an_error_unless_best_effort() {
        let none = BindRequest { interface: Some("no-such0"), ..request("127.0.0.1:0") };
        assert!(matches!(check(&none), Err(Error::System { syscall: "setsockopt", .. })));
        let bound = check(&BindRequest { best_effort: true, ..none }).expect("best effort");
        assert!(matches!(bound.interface, InterfaceBinding::Refused(_)));
    }
}
