//! How a server is set up.

use std::net::IpAddr;

use routepool_proto::ip_block::IpBlock;

use crate::defaults::{RECEIVE_BUFFER, STUN_RATE};

/// How to set a server up.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses of this machine: one of a family for a plain server, two for RFC 5780; of both families if wanted.
    pub addresses: Vec<IpAddr>,
    /// What clients see instead of each of `addresses`, behind a NAT that maps one to one; empty where they are the same.
    pub advertise: Vec<IpAddr>,
    /// The primary port; 0 picks a free one.
    pub port: u16,
    /// The other port of RFC 5780. `None`: the next after `port`, or a free one if that is 0.
    pub other_port: Option<u16>,
    /// Also listen for TCP connections, at the same addresses and ports.
    pub tcp: bool,
    /// Who may ask; everybody when empty.
    pub allow: Vec<IpBlock>,
    /// Replies a second for each /24 (IPv6: /56) of sources, loopback left out; `None` for no limit.
    pub rate_per_prefix: Option<f64>,
    /// Threads, each with sockets of its own (more than one: Linux only).
    pub workers: usize,
    /// Answer IPv4 clients of RFC 3489, which send no cookie.
    pub rfc3489: bool,
    /// What to call itself in each response; nothing when empty.
    pub software: String,
    /// Bytes of receive buffer to ask the kernel for, each socket.
    pub receive_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            advertise: Vec::new(),
            port: 0,
            other_port: None,
            tcp: false,
            allow: Vec::new(),
            rate_per_prefix: Some(STUN_RATE),
            workers: 1,
            rfc3489: false,
            software: String::new(),
            receive_buffer: RECEIVE_BUFFER,
        }
    }
}
