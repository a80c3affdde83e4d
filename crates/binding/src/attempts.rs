//! Connection attempts to several addresses.

use napi_derive::napi;
use routepool_core::pipe::record::{endpoint, parse_endpoints};
use routepool_proto::attempts::{ATTEMPT_DELAY, Attempts, Step};

use crate::units::{duration, ms};

/// Which address is connected to when (RFC 8305).
#[napi]
pub struct ConnectAttempts {
    inner: Attempts,
}

/// What to do now.
#[napi(object, object_from_js = false)]
pub struct AttemptStep {
    /// Begin this attempt, then ask again.
    pub start: Option<u32>,
    /// Ask again at this time, if nothing happens before.
    pub wait_ms: Option<f64>,
    /// All have failed.
    pub failed: bool,
}

#[napi]
impl ConnectAttempts {
    /// Attempts to addresses, packed one after the other, in the order of the resolver.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new(addresses: &[u8]) -> Self {
        Self { inner: Attempts::new(&parse_endpoints(addresses), ATTEMPT_DELAY) }
    }

    /// The addresses in the order in which they are tried, packed one after the other.
    #[napi(catch_unwind)]
    pub fn destinations(&self) -> napi::bindgen_prelude::Buffer {
        self.inner.destinations().iter().flat_map(|address| endpoint(*address)).collect::<Vec<_>>().into()
    }

    /// What to do at a time since any fixed moment.
    #[napi(catch_unwind)]
    pub fn poll(&mut self, now_ms: f64) -> AttemptStep {
        let now = duration(now_ms).unwrap_or_default();
        let mut step = AttemptStep { start: None, wait_ms: None, failed: false };
        match self.inner.poll(now) {
            Step::Start(attempt, _) => step.start = u32::try_from(attempt).ok(),
            Step::Wait(until) => step.wait_ms = until.map(ms),
            Step::Connected(_) => {}
            Step::Failed => step.failed = true,
        }
        step
    }

    /// An attempt has failed.
    #[napi(catch_unwind)]
    pub fn on_failed(&mut self, attempt: u32) {
        self.inner.on_failed(attempt as usize);
    }

    /// An attempt is connected; gives whether it is the one to keep.
    #[napi(catch_unwind)]
    pub fn on_connected(&mut self, attempt: u32) -> bool {
        self.inner.on_connected(attempt as usize)
    }
}
