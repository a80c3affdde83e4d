//! Servers: as they were named, and with their addresses.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::discovery::servers::{self, Resolved};
use routepool_proto::server_addr::{Host, ServerAddr};

use crate::failure::Failure;

/// Which servers are asked: the named ones, or public ones.
#[napi(object, object_from_js = false)]
pub struct ServerChoice {
    /// `named` or `public`.
    pub origin: String,
    /// Servers to resolve.
    pub servers: Vec<ServerTarget>,
}

/// Reads the names of servers; without any, the public ones.
#[napi(catch_unwind)]
pub fn choose_servers(named: Vec<String>) -> Either<ServerChoice, Failure> {
    match servers::choose_elsewhere(&named) {
        Ok(choice) => Either::A(ServerChoice {
            origin: choice.origin.as_str().to_owned(),
            servers: choice.servers.iter().map(ServerTarget::from).collect(),
        }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

/// A server whose name is still to be resolved.
#[napi(object, object_from_js = false)]
pub struct ServerTarget {
    /// The text as the user wrote it.
    pub text: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u32,
}

impl From<&(String, ServerAddr)> for ServerTarget {
    fn from((text, server): &(String, ServerAddr)) -> Self {
        Self {
            text: text.clone(),
            host: match &server.host {
                Host::Ip(ip) => ip.to_string(),
                Host::Name(name) => name.clone(),
            },
            port: server.port.into(),
        }
    }
}

/// A server with its address.
#[napi(object)]
pub struct ResolvedServer {
    /// The text it was given by.
    pub name: String,
    /// Its IP address.
    pub address: String,
    /// Its port.
    pub port: u32,
}

impl ResolvedServer {
    pub(crate) fn into_resolved(self) -> Result<Resolved, Error> {
        let wrong = || Error::Server(format!("'{}' port {} is not an address", self.address, self.port));
        let ip = self.address.parse().map_err(|_| wrong())?;
        let port = u16::try_from(self.port).map_err(|_| wrong())?;
        Ok(Resolved { address: std::net::SocketAddr::new(ip, port), name: self.name })
    }
}

impl From<&Resolved> for ResolvedServer {
    fn from(server: &Resolved) -> Self {
        Self {
            name: server.name.clone(),
            address: server.address.ip().to_string(),
            port: server.address.port().into(),
        }
    }
}
