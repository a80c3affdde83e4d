//! The Node addon: converts, calls `routepool-core`, converts. It decides nothing.
//!
//! Every synchronous export catches panics (`catch_unwind`): a panic that reaches Node would end the process.
#![deny(unsafe_code)]
#![allow(clippy::needless_pass_by_value, reason = "values come from JavaScript by copy")]

mod address_pool;
mod attempts;
mod bind;
mod capabilities;
mod daemon;
mod failure;
mod interface;
mod load;
mod loaded;
mod nat;
mod node_waker;
mod observe;
mod option_bounds;
mod plan;
mod pool;
mod promise;
mod servers;
mod simulation;
mod sockets;
mod stun_server;
mod sweep;
mod units;
mod watch;
