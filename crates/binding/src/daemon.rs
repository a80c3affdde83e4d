//! What a daemon listens with.

use std::net::IpAddr;

use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;
use routepool_core::{Error, daemon};
use routepool_proto::listen::{Layout, Listener};

use crate::failure::Failure;

/// A socket to open.
#[napi(object, object_from_js = false)]
pub struct PlannedListener {
    /// The address to bind; the wildcard address if several are served.
    pub address: String,
    /// The ranges that it serves, in order: first and last address of each (16 bytes each; IPv4 in the first 4). Missing if it
    /// serves its own address.
    pub ranges: Option<Buffer>,
}

/// Chooses the sockets that serve some addresses, prefixes and ranges. `layout` is `auto`, `one` or `per-address`.
#[napi(catch_unwind)]
pub fn plan_listeners(addresses: Vec<String>, layout: String) -> Either<Vec<PlannedListener>, Failure> {
    let layout = match layout.as_str() {
        "one" => Layout::One,
        "per-address" => Layout::PerAddress,
        _ => Layout::Auto,
    };
    match daemon::plan(&addresses, layout) {
        Ok(listeners) => Either::A(listeners.iter().map(planned).collect()),
        Err(error) => Either::B(failure(&error)),
    }
}

/// The option is what users of a daemon know it as.
fn failure(error: &Error) -> Failure {
    let mut failure = Failure::from(error);
    if failure.option.as_deref() == Some("blocks") {
        failure.option = Some("where".to_owned());
    }
    failure
}

fn planned(listener: &Listener) -> PlannedListener {
    match listener {
        Listener::Address(ip) => PlannedListener { address: ip.to_string(), ranges: None },
        Listener::Ranges(ranges) => {
            let ipv6 = ranges.first().is_some_and(|(first, _)| first.is_ipv6());
            let bytes = ranges.iter().flat_map(|(first, last)| [packed(*first), packed(*last)]).flatten();
            PlannedListener {
                address: if ipv6 { "::" } else { "0.0.0.0" }.to_owned(),
                ranges: Some(bytes.collect::<Vec<u8>>().into()),
            }
        }
    }
}

fn packed(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            bytes
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}
