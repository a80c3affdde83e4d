//! What to validate, and how: from the object of JavaScript.

use std::path::PathBuf;
use std::time::Duration;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::validate::{Request, backend_of};
use routepool_proto::ip_block::HostPolicy;
use routepool_proto::targets::Sample;

use crate::units::duration;

/// How many hosts of each sub-prefix are asked.
#[napi(object)]
pub struct SampleOptions {
    /// Length of the sub-prefixes.
    pub per_prefix: u32,
    /// Hosts asked in each.
    pub hosts: u32,
}

/// What to validate, and how.
#[napi(object, object_to_js = false)]
pub struct SweepOptions {
    /// Blocks: CIDR, range or single address.
    pub blocks: Vec<String>,
    /// `all`, `subnet` or `no-0-255`.
    pub hosts: Option<String>,
    /// Ask only some hosts of each sub-prefix.
    pub sample: Option<SampleOptions>,
    /// Servers as the user wrote them, or `embedded`.
    pub servers: Option<Vec<String>>,
    /// Probes a second.
    pub rate_per_second: Option<f64>,
    /// How many times a silent source is asked.
    pub passes: Option<u32>,
    /// How long a reply may take.
    pub timeout_ms: Option<f64>,
    /// Only send and receive through this interface.
    pub interface: Option<String>,
    /// Seed of the order.
    pub seed: Option<BigInt>,
    /// File to go on from and to write the state to.
    pub state: Option<String>,
    /// Bytes of receive buffer to ask the kernel for.
    pub receive_buffer: Option<u32>,
    /// `one` socket for all sources, or one `per-source`.
    pub sockets: Option<String>,
}

impl SweepOptions {
    /// The request; numbers outside their range are left to the plan to refuse, by name.
    pub(crate) fn into_request(self) -> Result<Request, Error> {
        let wrong = |option, message: String| Error::Option { option, message };
        let hosts = self.hosts.map(|h| h.parse::<HostPolicy>()).transpose();
        Ok(Request {
            blocks: self.blocks,
            hosts: hosts.map_err(|e| wrong("hosts", e.to_string()))?,
            sample: self.sample.map(|s| Sample { per_prefix: s.per_prefix.min(255) as u8, hosts: s.hosts }),
            servers: self.servers.unwrap_or_default(),
            rate: self.rate_per_second,
            passes: self.passes.map(|p| p.min(255) as u8),
            timeout: self.timeout_ms.map(|ms| duration(ms).unwrap_or(Duration::MAX)),
            interface: self.interface,
            seed: self.seed.map(|s| s.get_u64().1),
            state: self.state.map(PathBuf::from),
            receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
            backend: self.sockets.as_deref().map(backend_of).transpose()?,
        })
    }
}
