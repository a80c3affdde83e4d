//! Batched UDP with a chosen source address for each datagram.
//!
//! One [`Socket`] can send from any number of local addresses and tells for each received datagram which address it was
//! delivered to. On Linux that is one wildcard socket with `sendmmsg(2)`, `recvmmsg(2)` and `IP_PKTINFO`; elsewhere, and
//! on request, a socket per source or one socket with a system call for each datagram. [`adapters`] asks systems other than
//! Linux for their interfaces. Besides `routepool-uv` this is the only crate of
//! routepool with `unsafe` code.

mod accept;
pub mod adapters;
mod bind_device;
#[cfg(per_datagram)]
mod control;
#[cfg(target_os = "linux")]
mod datagrams;
mod endpoints;
#[cfg(target_os = "linux")]
mod epoll;
pub mod errno;
mod fallback;
#[cfg(target_os = "linux")]
mod headers;
mod interest;
#[cfg(target_os = "linux")]
mod linux;
pub mod option;
mod options;
#[cfg(per_datagram)]
mod per_datagram;
#[cfg(any(unix, windows))]
mod set_int;
mod socket;
mod transmit;
mod wait;

pub use accept::accept;
pub use bind_device::bind_device;
#[cfg(target_os = "linux")]
pub use datagrams::{Datagram, DatagramBatch, send_from};
pub use endpoints::Endpoints;
#[cfg(target_os = "linux")]
pub use epoll::{Event, Poller, Wake};
pub use interest::Interest;
pub use options::{DATAGRAM, Options};
pub use socket::{Backend, Socket};
pub use transmit::{Ready, Received, Refused, SendError, Transmit};
