//! Batched UDP with a chosen source address for each datagram.
//!
//! One [`Socket`] can send from any number of local addresses and tells for each received datagram which address it was
//! delivered to. On Linux that is one wildcard socket with `sendmmsg(2)`, `recvmmsg(2)` and `IP_PKTINFO`; elsewhere, and
//! on request, a socket per source. This is the only crate of routepool with `unsafe` code.

mod endpoints;
pub mod errno;
mod fallback;
#[cfg(target_os = "linux")]
mod linux;
mod socket;

pub use endpoints::Endpoints;
pub use socket::{Backend, DATAGRAM, Options, Ready, Received, Refused, SendError, Socket, Transmit};
