//! The proven sources.

use std::sync::Arc;

use napi_derive::napi;
use routepool_core::validate::Pool;

use crate::units::family;

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
    /// 4 or 6.
    #[napi(catch_unwind)]
    pub fn family(&self) -> u32 {
        family(self.pool.is_ipv6())
    }
}
