//! routepool's engine: drives the decisions of `routepool-proto` over the sockets of `routepool-udp`.
//!
//! Nothing here knows that Node exists; the addon converts, calls this, and converts back.
#![forbid(unsafe_code)]

pub mod capabilities;
pub mod classify;
pub mod daemon;
pub mod defaults;
pub mod discovery;
pub mod error;
pub mod interface;
mod lock;
pub mod option_bounds;
pub mod pipe;
pub mod runtime;
pub mod stun_server;
pub mod system;
pub mod validate;
pub mod waker;
pub mod watch;

pub use error::Error;
pub use routepool_udp::errno;
