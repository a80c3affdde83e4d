//! The proven sources of a finished run.

use std::net::IpAddr;
use std::sync::Arc;

use routepool_proto::pool::Part;
use routepool_proto::sweep::Proven;
use routepool_proto::targets::Targets;

/// The sources that were proven, in the order of the blocks.
#[derive(Debug)]
pub struct Pool {
    run: Arc<(Targets, Proven)>,
}

impl Pool {
    pub(super) fn new(targets: Targets, proven: Proven) -> Self {
        Self { run: Arc::new((targets, proven)) }
    }

    /// How many sources were proven.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.run.1.len()
    }

    /// Whether none was proven.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.1.is_empty()
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.run.0.is_ipv6()
    }

    /// The `k`-th proven source, in constant time.
    #[must_use]
    pub fn at(&self, k: u32) -> Option<IpAddr> {
        self.run.0.source(self.run.1.nth(k)?)
    }

    /// Whether `ip` was proven.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.run.0.index_of(ip).is_some_and(|index| self.run.1.has(index))
    }

    /// The proven sources as a part of a larger pool, each external address being used from itself.
    #[must_use]
    pub fn part(&self, route: u32) -> Part {
        Part::proven(route, &self.run)
    }
}
