//! What goes through a socket, and what becomes of it.

use std::io;
use std::net::{IpAddr, SocketAddr};

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
    /// Its bytes; at most [`Options::datagram`](crate::Options::datagram), the rest is cut off.
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
