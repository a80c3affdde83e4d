//! The proven sources.

use std::net::IpAddr;
use std::sync::Arc;

use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use routepool_core::validate::Pool;

/// The proven sources of a finished sweep, in the order of the blocks.
#[napi]
pub struct ProvenPool {
    pool: Arc<Pool>,
}

impl ProvenPool {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
    }

    pub(crate) fn inner(&self) -> &Pool {
        &self.pool
    }
}

#[napi]
impl ProvenPool {
    /// How many sources were proven.
    #[napi(catch_unwind)]
    pub fn length(&self) -> u32 {
        self.pool.len()
    }

    /// 4 or 6.
    #[napi(catch_unwind)]
    pub fn family(&self) -> u32 {
        if self.pool.is_ipv6() { 6 } else { 4 }
    }

    /// The proven source with this number, from 0; null past the end.
    #[napi(catch_unwind)]
    pub fn at(&self, index: u32) -> Option<String> {
        self.pool.at(index).map(|ip| ip.to_string())
    }

    /// Whether an address was proven; false for what is no address.
    #[napi(catch_unwind)]
    pub fn has(&self, ip: String) -> bool {
        ip.parse::<IpAddr>().is_ok_and(|ip| self.pool.has(ip))
    }

    /// Writes addresses from number `start` on, 16 bytes each (IPv4 in the first 4); returns how many.
    #[napi(catch_unwind)]
    pub fn fill(&self, start: u32, mut out: BufferSlice<'_>) -> u32 {
        let mut written = 0;
        for (k, slot) in (start..self.pool.len()).zip(out.chunks_exact_mut(16)) {
            match self.pool.at(k) {
                Some(IpAddr::V4(ip)) => slot[..4].copy_from_slice(&ip.octets()),
                Some(IpAddr::V6(ip)) => slot.copy_from_slice(&ip.octets()),
                None => break,
            }
            written += 1;
        }
        written
    }
}
