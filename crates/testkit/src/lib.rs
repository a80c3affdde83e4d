//! In-process STUN servers that misbehave as told, for tests.
#![forbid(unsafe_code)]

mod stun_server;

pub use stun_server::{Answer, ScriptedServer};
