//! The STUN server.

use std::net::IpAddr;

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::option_bounds::{OTHER_PORT, PORT};
use routepool_core::stun_server::{Config, StunServer as Inner};
use routepool_core::system::own_address::read_address;
use routepool_proto::ip_block::IpBlock;
use routepool_proto::stun::server::Ignored;

use crate::failure::Failure;

/// How to set a STUN server up.
#[napi(object, object_to_js = false)]
pub struct StunServerConfig {
    /// Addresses of this machine.
    pub addresses: Vec<String>,
    /// What clients see instead of each.
    pub advertise: Option<Vec<String>>,
    /// The primary port.
    pub port: u32,
    /// The other port.
    pub other_port: Option<u32>,
    /// Also listen for TCP connections.
    pub tcp: Option<bool>,
    /// Blocks that may ask.
    pub allow: Option<Vec<String>>,
    /// Replies a second for each prefix of sources; 0 for no limit.
    pub rate_per_prefix: Option<f64>,
    /// Threads.
    pub workers: Option<u32>,
    /// Answer clients of RFC 3489.
    pub rfc3489: Option<bool>,
    /// What to call itself.
    pub software: Option<String>,
    /// Bytes of receive buffer to ask the kernel for.
    pub receive_buffer: Option<u32>,
}

/// Starts a STUN server on threads of its own; port 0 picks a free one.
#[napi(catch_unwind)]
pub fn start_stun_server(config: StunServerConfig) -> Either<StunServer, Failure> {
    match config.into_config().and_then(|config| Inner::listen(&config)) {
        Ok(inner) => Either::A(StunServer { inner }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn wrong(option: &'static str, expected: &str, got: &str) -> Error {
    Error::Option { option, message: format!("expected {expected} for `{option}` but received '{got}'") }
}

fn addresses(option: &'static str, texts: &[String]) -> Result<Vec<IpAddr>, Error> {
    let read = |text: &String| read_address(text).ok_or_else(|| wrong(option, "an IP address", text));
    texts.iter().map(read).collect()
}

fn blocks(option: &'static str, texts: &[String]) -> Result<Vec<IpBlock>, Error> {
    let parse = |text: &String| {
        let message = |error| format!("expected blocks like 10.0.0.0/8 for `{option}`: {error}");
        text.parse::<IpBlock>().map_err(|error| Error::Option { option, message: message(error) })
    };
    texts.iter().map(parse).collect()
}

impl StunServerConfig {
    fn into_config(self) -> Result<Config, Error> {
        let usual = Config::default();
        let other_port = self.other_port.map(|port| OTHER_PORT.check(port.into())).transpose()?;
        Ok(Config {
            addresses: addresses("address", &self.addresses)?,
            advertise: addresses("advertise", &self.advertise.unwrap_or_default())?,
            port: PORT.check(self.port.into())? as u16,
            other_port: other_port.map(|port| port as u16),
            tcp: self.tcp.unwrap_or(usual.tcp),
            allow: blocks("allow", &self.allow.unwrap_or_default())?,
            rate_per_prefix: self
                .rate_per_prefix
                .map_or(usual.rate_per_prefix, |rate| (rate != 0.0).then_some(rate)),
            workers: self.workers.map_or(usual.workers, |workers| workers as usize),
            rfc3489: self.rfc3489.unwrap_or(usual.rfc3489),
            software: self.software.unwrap_or_default(),
            receive_buffer: self.receive_buffer.map_or(usual.receive_buffer, |bytes| bytes as usize),
        })
    }
}

/// A running STUN server.
#[napi]
pub struct StunServer {
    inner: Inner,
}

/// One address and port of a server.
#[napi(object, object_from_js = false)]
pub struct StunEndpoint {
    /// The address it is bound to.
    pub address: String,
    /// The port it is bound to.
    pub port: u32,
    /// The address that clients see.
    pub advertised: String,
}

/// What a server has done so far.
#[napi(object, object_from_js = false)]
pub struct StunServerCounters {
    /// Datagrams received.
    pub requests: f64,
    /// Replies sent.
    pub replies: f64,
    /// Error responses among the replies.
    pub errors: f64,
    /// Datagrams that got no reply.
    pub ignored: f64,
    /// Datagrams that the kernel dropped.
    pub drops: f64,
    /// TCP connections accepted.
    pub connections: f64,
    /// TCP connections closed at once.
    pub refused: f64,
    /// Datagrams that got no reply, in the order of `stun_ignored_reasons`.
    pub reasons: Vec<f64>,
}

/// Why datagrams get no reply: the names of the counters.
#[napi(catch_unwind)]
pub fn stun_ignored_reasons() -> Vec<String> {
    Ignored::ALL.iter().map(|why| why.as_str().to_owned()).collect()
}

#[napi]
impl StunServer {
    /// Where it listens: one endpoint for a family with one address, four for a family with two.
    #[napi(catch_unwind)]
    pub fn endpoints(&self) -> Vec<StunEndpoint> {
        let endpoints = self.inner.endpoints().iter();
        endpoints
            .map(|endpoint| StunEndpoint {
                address: endpoint.local.ip().to_string(),
                port: endpoint.local.port().into(),
                advertised: endpoint.seen.ip().to_string(),
            })
            .collect()
    }

    /// The receive buffer that the kernel granted each socket, in bytes.
    #[napi(catch_unwind)]
    pub fn receive_buffer(&self) -> f64 {
        self.inner.receive_buffer() as f64
    }

    /// Stops it. Idempotent.
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        self.inner.stop();
    }

    /// What it has done so far.
    #[napi(catch_unwind)]
    pub fn counters(&self) -> StunServerCounters {
        let counters = self.inner.counters();
        StunServerCounters {
            requests: counters.requests as f64,
            replies: counters.replies as f64,
            errors: counters.errors as f64,
            ignored: counters.ignored() as f64,
            drops: counters.drops as f64,
            connections: counters.connections as f64,
            refused: counters.refused as f64,
            reasons: Ignored::ALL.iter().map(|why| counters.ignored_for(*why) as f64).collect(),
        }
    }
}
