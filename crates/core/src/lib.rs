//! routepool's engine: drives the decisions of `routepool-proto` over the sockets of `routepool-udp`.
//!
//! Nothing here knows that Node exists; the addon converts, calls this, and converts back.
#![forbid(unsafe_code)]

pub mod bind;
pub mod capabilities;
pub mod classify;
pub mod daemon;
pub mod defaults;
pub mod discover;
pub mod error;
pub mod interface;
pub mod job;
pub mod load;
pub mod local_table;
#[cfg(target_os = "linux")]
mod netlink;
pub mod own_address;
pub mod pipe;
pub mod servers;
pub mod stun_server;
pub mod validate;
pub mod watch;

pub use error::Error;
pub use routepool_udp::errno;
