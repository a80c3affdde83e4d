//! The proven sources of a finished run.

use std::net::IpAddr;

use routepool_proto::sweep::Proven;
use routepool_proto::targets::Targets;

/// The sources that were proven, in the order of the blocks.
#[derive(Debug)]
pub struct Pool {
    targets: Targets,
    proven: Proven,
}

impl Pool {
    pub(super) fn new(targets: Targets, proven: Proven) -> Self {
        Self { targets, proven }
    }

    /// How many sources were proven.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.proven.len()
    }

    /// Whether none was proven.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proven.is_empty()
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.targets.is_ipv6()
    }

    /// The `k`-th proven source, in constant time.
    #[must_use]
    pub fn at(&self, k: u32) -> Option<IpAddr> {
        self.targets.source(self.proven.nth(k)?)
    }

    /// Whether `ip` was proven.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.targets.index_of(ip).is_some_and(|index| self.proven.has(index))
    }
}
