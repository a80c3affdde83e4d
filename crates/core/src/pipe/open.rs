//! Opens sockets: options, the binding ladder, then connect or listen.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use routepool_udp::{errno, option};
use socket2::{Domain, Protocol, SockRef, Socket as Raw, TcpKeepalive, Type};

use super::connection_limit::ConnectionLimit;
use super::socket::{Socket, State};
use crate::Error;
use crate::system::bind::{self, BindRequest, InterfaceBinding};

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP connection.
    Tcp,
    /// A UDP socket.
    Udp,
    /// A TCP listener.
    Listener,
}

/// How a socket is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kind.
    pub kind: Kind,
    /// The local address; `None` leaves it to the system.
    pub local: Option<SocketAddr>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// Go on without the interface where the system refuses it.
    pub best_effort: bool,
    /// The peer. TCP connections need one; a UDP socket without one talks to anybody.
    pub remote: Option<SocketAddr>,
    /// Whether an IPv6 socket also takes IPv4 (mapped addresses), where `local` is the IPv6 wildcard.
    pub dual_stack: bool,
    /// `TCP_NODELAY`.
    pub no_delay: bool,
    /// `SO_KEEPALIVE` after this time without traffic.
    pub keep_alive: Option<Duration>,
    /// `SO_LINGER`.
    pub linger: Option<Duration>,
    /// `SO_SNDBUF`, in bytes.
    pub send_buffer: Option<usize>,
    /// `SO_RCVBUF`, in bytes.
    pub receive_buffer: Option<usize>,
    /// `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// `SO_BROADCAST`.
    pub broadcast: bool,
    /// Tell where datagrams were delivered to (`IP_PKTINFO`).
    pub packet_info: bool,
    /// Connections that wait to be accepted.
    pub backlog: i32,
    /// Bytes of a stream that are read at a time, at most.
    pub largest: usize,
    /// What a listener takes a place of before it accepts.
    pub(crate) limit: Option<Arc<ConnectionLimit>>,
}

impl Settings {
    /// A socket of a kind with the system's defaults.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            local: None,
            interface: None,
            best_effort: false,
            remote: None,
            dual_stack: false,
            no_delay: false,
            keep_alive: None,
            linger: None,
            send_buffer: None,
            receive_buffer: None,
            reuse_address: false,
            broadcast: false,
            packet_info: false,
            backlog: crate::defaults::BACKLOG,
            largest: crate::defaults::PIPE_READ,
            limit: None,
        }
    }
}

/// A socket that was just opened.
#[derive(Debug)]
pub(crate) struct NewSocket {
    pub(crate) socket: Socket,
    pub(crate) state: State,
    pub(crate) local: SocketAddr,
    pub(crate) interface: InterfaceBinding,
}

/// Opens a socket. A TCP connection is under way then.
pub(crate) fn open(settings: &Settings) -> Result<NewSocket, Error> {
    let family = settings.local.or(settings.remote);
    let family = family.ok_or_else(|| Error::option_error("dest", "neither a local nor a remote address"))?;
    let (kind, protocol) = match settings.kind {
        Kind::Udp => (Type::DGRAM, Protocol::UDP),
        Kind::Tcp | Kind::Listener => (Type::STREAM, Protocol::TCP),
    };
    let at = |syscall, address| move |source| Error::System { syscall, address, source };
    let raw =
        nonblocking(Domain::for_address(family), kind, protocol).map_err(at("socket", settings.local))?;
    apply(&raw, settings, family.is_ipv6()).map_err(at("setsockopt", settings.local))?;
    let interface = bind_to(&raw, settings)?;
    let state = match settings.kind {
        Kind::Tcp => {
            let remote = settings.remote.ok_or_else(|| Error::option_error("dest", "a peer is missing"))?;
            match raw.connect(&remote.into()) {
                Err(error) if !errno::is_under_way(&error) => return Err(at("connect", Some(remote))(error)),
                _ => State::Connecting,
            }
        }
        Kind::Udp => {
            if let Some(remote) = settings.remote {
                raw.connect(&remote.into()).map_err(at("connect", Some(remote)))?;
            }
            State::Open
        }
        Kind::Listener => {
            raw.listen(settings.backlog).map_err(at("listen", settings.local))?;
            State::Listening
        }
    };
    let local = match settings.kind {
        // It is told once the connection is made; until then the system may still choose.
        Kind::Tcp => settings.local,
        Kind::Udp | Kind::Listener => raw.local_addr().ok().and_then(|address| address.as_socket()),
    };
    let local = local.unwrap_or(unspecified(family));
    let socket = match settings.kind {
        Kind::Tcp => Socket::Stream(TcpStream::from(raw)),
        Kind::Udp => Socket::Datagram(UdpSocket::from(raw)),
        Kind::Listener => Socket::Listener(TcpListener::from(raw)),
    };
    Ok(NewSocket { socket, state, local, interface })
}

/// A socket that never waits, with one call where the system has that.
fn nonblocking(domain: Domain, kind: Type, protocol: Protocol) -> io::Result<Raw> {
    #[cfg(target_os = "linux")]
    return Raw::new(domain, kind.nonblocking(), Some(protocol));
    #[cfg(not(target_os = "linux"))]
    {
        let raw = Raw::new(domain, kind, Some(protocol))?;
        raw.set_nonblocking(true)?;
        Ok(raw)
    }
}

/// Options of a connection that was accepted.
pub(crate) fn apply_accepted(stream: &TcpStream, settings: &Settings) {
    // A connection that is over already refuses options; the first read tells of that.
    #[cfg(unix)]
    let _ = apply_stream(&SockRef::from(stream), settings);
    #[cfg(not(unix))]
    let _ = stream.set_nodelay(settings.no_delay);
}

fn apply(raw: &Raw, settings: &Settings, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        raw.set_only_v6(!settings.dual_stack)?;
    }
    // A listener is always given the option, as by Node: else its port is blocked for a minute after it has closed. On Windows
    // the option means something else (a port may be taken away), so only the user's word counts there.
    if settings.reuse_address || (settings.kind == Kind::Listener && cfg!(unix)) {
        raw.set_reuse_address(true)?;
    }
    if let Some(bytes) = settings.send_buffer {
        raw.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = settings.receive_buffer {
        raw.set_recv_buffer_size(bytes)?;
    }
    match settings.kind {
        Kind::Udp => {
            if settings.broadcast {
                raw.set_broadcast(true)?;
            }
            if settings.packet_info {
                option::packet_info(raw, ipv6)?;
                // Answers leave from the address that was asked, which is local; a local route alone may hold it.
                if ipv6 {
                    bind::freebind(raw)?;
                }
            }
            Ok(())
        }
        Kind::Tcp => apply_stream(&SockRef::from(raw), settings),
        Kind::Listener => Ok(()),
    }
}

fn apply_stream(raw: &SockRef<'_>, settings: &Settings) -> io::Result<()> {
    if settings.no_delay {
        raw.set_tcp_nodelay(true)?;
    }
    if let Some(time) = settings.keep_alive {
        raw.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
    }
    if let Some(time) = settings.linger {
        raw.set_linger(Some(time))?;
    }
    Ok(())
}

/// The ladder: interface, source address, and a look at what the system made of it.
fn bind_to(raw: &Raw, settings: &Settings) -> Result<InterfaceBinding, Error> {
    let Some(local) = settings.local else { return Ok(InterfaceBinding::NotAsked) };
    let request =
        BindRequest { local, interface: settings.interface.as_deref(), best_effort: settings.best_effort };
    let failed = |source| Error::System { syscall: "setsockopt", address: Some(local), source };
    // Only a connection that names its source and not its port: then one port serves for each destination.
    if settings.kind == Kind::Tcp && local.port() == 0 && !local.ip().is_unspecified() {
        option::bind_address_no_port(raw).map_err(failed)?;
    }
    let bound = bind::bind(raw, &request)?;
    Ok(bound.interface)
}

fn unspecified(family: SocketAddr) -> SocketAddr {
    let ip: std::net::IpAddr = if family.is_ipv6() {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    };
    SocketAddr::new(ip, 0)
}
