//! routepool's decisions: address blocks, pools of them, STUN messages, sweeps.
//!
//! Everything here is pure. Bytes, observations and times go in, decisions come out; there is no socket, no clock and
//! no randomness that was not passed in, so each rule can be tested as a table.
#![forbid(unsafe_code)]

pub mod agree;
pub mod attempts;
pub mod discovery;
#[cfg(test)]
mod fuzz;
pub mod ip_block;
pub mod ip_number;
pub mod listen;
pub mod nat;
pub mod pool;
pub mod routes;
pub mod scope;
pub mod server_addr;
pub mod stun;
pub mod sweep;
pub mod targets;
pub mod watch;
