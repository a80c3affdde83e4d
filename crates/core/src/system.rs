//! What the system is asked: which addresses it holds, which way it would send, how a socket is bound.

pub mod bind;
pub mod local_table;
#[cfg(target_os = "linux")]
pub(crate) mod netlink;
pub mod own_address;
