//! For the tests of routepool: STUN servers that misbehave as told, and NATs that do not exist, on stepped time.
#![forbid(unsafe_code)]

mod behavior_server;
mod ipv6;
mod loopback_server;
pub mod matrix;
mod message;
mod nat;
mod simulation;
mod stun_server;

pub use behavior_server::{BehaviorServer, Fault, Reply};
pub use ipv6::has_ipv6_loopback;
pub use loopback_server::LoopbackServer;
pub use nat::{Dependence, Nat, NatKind, Ports, Random};
pub use simulation::{Outcome, Path, World};
pub use stun_server::{Answer, ScriptedServer};
