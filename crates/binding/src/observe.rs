//! What some addresses are seen as.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::defaults::DISCOVERY_TIMEOUT;
use routepool_core::discovery::load::Observe;
use routepool_core::errno;
use routepool_core::option_bounds::TIMEOUT_MS;
use routepool_proto::discovery::{Answer, Observation as Observed};

use crate::promise::{CancelWork, promise};
use crate::servers::ResolvedServer;
use crate::units::{duration, ms};

/// What to ask some addresses for.
#[napi(object, object_to_js = false)]
pub struct ObserveOptions {
    /// Addresses of this machine, of one family.
    pub addresses: Vec<String>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// When a server is given up.
    pub timeout_ms: Option<f64>,
    /// Whether the servers are public ones.
    pub public: bool,
}

/// Asks what addresses leave as.
#[napi(catch_unwind, ts_return_type = "Promise<Array<AddressSeen> | Failure>")]
pub fn observe(
    env: Env,
    options: ObserveOptions,
    servers: Vec<ResolvedServer>,
    cancel: &CancelWork,
) -> napi::Result<Unknown<'static>> {
    let cancel = cancel.inner();
    promise(env, cancel.clone(), async move {
        let seen = checked(options, servers)?.run(cancel).await?;
        Ok(seen.observations.iter().map(AddressSeen::from).collect::<Vec<_>>())
    })
}

fn checked(options: ObserveOptions, servers: Vec<ResolvedServer>) -> Result<Observe, Error> {
    let address =
        |text: &String| text.parse().map_err(|_| Error::Block(format!("'{text}' is not an IP address")));
    let timeout = options.timeout_ms.map(|ms| TIMEOUT_MS.check(ms)).transpose()?.and_then(duration);
    Ok(Observe {
        sources: options.addresses.iter().map(address).collect::<Result<_, _>>()?,
        servers: servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<_, _>>()?,
        interface: options.interface,
        timeout: timeout.unwrap_or(DISCOVERY_TIMEOUT),
        public: options.public,
    })
}

/// What one server did with the requests of one address.
#[napi(object, object_from_js = false)]
pub struct ServerAnswer {
    /// The server, by its number among those of its family.
    pub server: u32,
    /// The address that it saw.
    pub external: Option<String>,
    /// The port that it saw.
    pub external_port: Option<u32>,
    /// From the request that was answered to the answer.
    pub round_trip_ms: Option<f64>,
    /// How often it was asked.
    pub attempts: u32,
    /// Negative error number of a refused send.
    pub errno: Option<i32>,
    /// Error response.
    pub error_code: Option<u32>,
}

/// All that was seen of one address.
#[napi(object, object_from_js = false)]
pub struct AddressSeen {
    /// The address.
    pub ip: String,
    /// The port it was asked from.
    pub port: u32,
    /// What it leaves as.
    pub external: Option<String>,
    /// `agreed`, `single-server`, `unsure` or `unverified`.
    pub certainty: String,
    /// Whether all servers saw the port that was sent from.
    pub port_preserved: Option<bool>,
    /// What each server did.
    pub answers: Vec<ServerAnswer>,
}

impl From<&Observed> for AddressSeen {
    fn from(seen: &Observed) -> Self {
        Self {
            ip: seen.source.to_string(),
            port: seen.local_port.into(),
            external: seen.conclusion.external.map(|ip| ip.to_string()),
            certainty: seen.conclusion.certainty.as_str().to_owned(),
            port_preserved: seen.conclusion.port_preserved,
            answers: seen.answers.iter().map(ServerAnswer::from).collect(),
        }
    }
}

impl From<&Answer> for ServerAnswer {
    fn from(answer: &Answer) -> Self {
        Self {
            server: answer.server as u32,
            external: answer.external.map(|e| e.ip().to_string()),
            external_port: answer.external.map(|e| e.port().into()),
            round_trip_ms: answer.round_trip.map(ms),
            attempts: answer.attempts.into(),
            errno: answer.errno.map(|n| -i32::from(errno::node_number(n))),
            error_code: answer.error_code.map(u32::from),
        }
    }
}
