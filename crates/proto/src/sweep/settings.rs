//! What a sweep is told before it starts, and every number that it uses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The numbers of a sweep: unit, reason, and what each must stay under.
pub mod bounds {
    use std::time::Duration;

    /// Passes over the missing before silence may be judged, when the user gave none. Three is what zmap and masscan ask for.
    pub const MIN_PASSES: u8 = 3;
    /// Where an automatic run gives up: at 60 % loss per round trip, 32 asks leave 0.005 of 65,536 good sources unheard.
    /// Below the 127 that a transaction id can carry.
    pub const MAX_PASSES: u8 = 32;
    /// Silence is `no-reply` only when fewer than this many good sources are expected to be among all silent ones.
    pub const MAX_EXPECTED_FALSE: f64 = 0.01;
    /// Repeats per pass to sources known to answer; they measure the loss of that pass.
    pub const CONTROLS: u32 = 256;
    /// Repeats per pass to the canary, when no source has answered yet.
    pub const CANARY_CONTROLS: u32 = 16;
    /// A pass over the missing starts at least this long after the last probe: losses come in bursts, and a second ask in
    /// the same burst is no second ask. Longer on slow paths (four times the retransmission time), never above the timeout.
    pub const MIN_PASS_GAP: Duration = Duration::from_millis(200);
    /// How long a reply may take, by default; also the wait after the last probe. Above any usual round trip (a
    /// geostationary satellite takes 0.6 s), and below the patience of a person.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
    /// After this long a probe no longer holds a place in the window; its reply still counts. Above the scheduling
    /// delays of a busy machine (some milliseconds); the measured round trips raise it.
    pub const MIN_WINDOW_HOLD: Duration = Duration::from_millis(20);
    /// The same before any round trip was measured.
    pub const FIRST_WINDOW_HOLD: Duration = Duration::from_millis(250);
    /// Silence after which heartbeats are sent.
    pub const HEARTBEAT_AFTER: Duration = Duration::from_millis(100);
    /// Probes of one heartbeat, each to another known source: at 1 loss in 3, all four are lost once in 80.
    pub const HEARTBEAT_PROBES: u32 = 4;
    /// Heartbeats that must stay unanswered before the network counts as lost and sending pauses.
    pub const HEARTBEATS_LOST: u32 = 4;
    /// How long a lost network is waited for.
    pub const OUTAGE_LIMIT: Duration = Duration::from_secs(30);
    /// Sources that are asked before anything at all has answered. A dead server costs this many probes, not a block's.
    pub const UNCONFIRMED_BURST: u32 = 256;
    /// The window never shrinks below this many probes in flight.
    pub const MIN_WINDOW: u32 = 16;
    /// From this many sources behind one external address on, silence may be the NAT's lack of ports: carrier NATs hand out
    /// blocks of 1,000 or so, a whole address has about 64,500 per server address and port.
    pub const NAT_PORTS_FROM: u32 = 1_000;
    /// Share of the answers that must be behind that one address.
    pub const NAT_PORTS_SHARE: f64 = 0.9;
    /// Different external addresses that are counted one by one; a 1:1 NAT of a million sources is not a table to print.
    pub const EXTERNALS_COUNTED: usize = 65_536;
}

/// What a sweep is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers, asked in turn. At least one.
    pub servers: Vec<SocketAddr>,
    /// An address outside the block that is known to get answers; `None` if there is none.
    pub canary: Option<IpAddr>,
    /// How many times a silent source is asked; `None`: as often as the measured loss demands.
    pub passes: Option<u8>,
    /// How long a reply may take.
    pub timeout: Duration,
    /// Probes a second; `None`: as fast as the window allows.
    pub rate: Option<f64>,
    /// Probes in flight at most, from the granted receive buffer.
    pub window: u32,
    /// Probes handed out at a time.
    pub batch: usize,
    /// Keep the evidence of judged sources, for a saved state.
    pub keep_evidence: bool,
}

impl Settings {
    /// How many of the servers have different addresses: only these are independent witnesses.
    #[must_use]
    pub fn witnesses(&self) -> usize {
        let mut ips: Vec<_> = self.servers.iter().map(SocketAddr::ip).collect();
        ips.sort_unstable();
        ips.dedup();
        ips.len()
    }
}
