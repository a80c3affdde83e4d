//! Trying whether an address can be bound.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::option_bounds::PORT;
use routepool_core::system::bind::{self, BindRequest};

use crate::failure::Failure;

/// What to bind.
#[napi(object, object_to_js = false)]
pub struct BindOptions {
    /// Local address.
    pub ip: String,
    /// Local port; 0 leaves the choice to the system.
    pub port: u32,
    /// Number of the interface, for link-local IPv6 addresses.
    pub scope_id: Option<u32>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// Go on without the interface where the system refuses it.
    pub best_effort: bool,
}

/// What a socket was bound to.
#[napi(object, object_from_js = false)]
pub struct BoundAddress {
    /// Local address.
    pub ip: String,
    /// Local port.
    pub port: u32,
    /// Why the socket could not be bound to the interface.
    pub interface_bind_error: Option<String>,
}

/// Binds a UDP socket to an address of this machine, looks at it and closes it again.
#[napi(catch_unwind)]
pub fn check_bind(options: BindOptions) -> Either<BoundAddress, Failure> {
    let bound = local_of(&options).and_then(|local| {
        bind::check(&BindRequest {
            local,
            interface: options.interface.as_deref(),
            best_effort: options.best_effort,
        })
    });
    match bound {
        Ok(bound) => Either::A(BoundAddress {
            ip: bound.local.ip().to_string(),
            port: bound.local.port().into(),
            interface_bind_error: bound.interface.refusal().map(str::to_owned),
        }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn local_of(options: &BindOptions) -> Result<SocketAddr, Error> {
    let ip: IpAddr =
        options.ip.parse().map_err(|_| Error::Block(format!("'{}' is not an IP address", options.ip)))?;
    let port = PORT.check(options.port.into())? as u16;
    Ok(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, options.scope_id.unwrap_or(0)).into(),
    })
}
