//! What a run found, counted.

use std::net::IpAddr;
use std::time::Duration;

use routepool_proto::sweep::{Counters, Limit, Reason, Status};
use routepool_proto::targets::Sample;

use crate::discovery::servers::{Origin, Resolved};

/// What a run found.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The blocks, in canonical form.
    pub blocks: Vec<String>,
    /// Whether they are IPv6.
    pub ipv6: bool,
    /// Sources that were to be probed.
    pub sources: u32,
    /// Addresses in the blocks, sampled or not.
    pub total_addresses: u128,
    /// How the sources were chosen among them.
    pub sample: Option<Sample>,
    /// Verdicts by status, in the order of [`Status`], from `ok`.
    pub counts: [u32; 7],
    /// Sources without a verdict, because the run was stopped.
    pub untested: u32,
    /// Proven sources whose port was rewritten on the way.
    pub port_rewritten: u32,
    /// Whether the run was stopped.
    pub stopped: bool,
    /// Whether it went on from a saved state.
    pub resumed: bool,
    /// How many times a silent source was probed.
    pub passes: u8,
    /// Seed of the order.
    pub seed: u64,
    /// From the first probe to the last verdict.
    pub elapsed: Duration,
    /// Where the servers come from.
    pub origin: Origin,
    /// The servers that were queried.
    pub servers: Vec<Resolved>,
    /// The rate limit, in probes a second.
    pub rate: Option<f64>,
    /// Probes and replies.
    pub counters: Counters,
    /// Datagrams that the kernel dropped because a receive buffer was full.
    pub drops: u32,
    /// Measured loss per probe, 0 to 1.
    pub loss: f64,
    /// Round-trip times: median, 99 of 100, longest.
    pub round_trips: [Option<Duration>; 3],
    /// The receive buffer that the kernel granted, in bytes.
    pub receive_buffer: usize,
    /// Probes in flight at most: at the end, and the smallest.
    pub window: (u32, u32),
    /// One socket for all sources, or one each.
    pub batched: bool,
    /// External addresses other than the source, with the number of sources behind each, most first.
    pub externals: Vec<(IpAddr, u32)>,
    /// Refused sends and binds by call and error number.
    pub errors: Vec<(&'static str, u16, u32)>,
    /// Verdicts by reason.
    pub reasons: Vec<(Status, Reason, u32)>,
    /// Places that could only be probed slowly, with sources that are unknown therefore.
    pub limits: Vec<Limit>,
    /// What the run noticed, in sentences.
    pub notes: Vec<String>,
}

impl Summary {
    /// How many verdicts had this status.
    #[must_use]
    pub fn count(&self, status: Status) -> u32 {
        self.counts[status as usize - 1]
    }
}
