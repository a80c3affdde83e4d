//! The settings of a sweep, and every number that it uses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The numbers of a sweep: unit, reason, and what each must stay under.
pub mod bounds {
    use std::time::Duration;

    /// How often the first sources are probed before anything at all has answered.
    pub const UNCONFIRMED_PASSES: u32 = 3;
    /// How often a silent source is probed at most when the user gives a number.
    pub const MAX_PASSES: u8 = 32;
    /// How often a silent source is probed at most when the user gave no number: at 90 % loss so many leave 0.003 of 65,536 good
    /// sources unheard.
    pub const MAX_PROBES: u8 = 160;
    /// A run may be expected to call so many sources dead that work: `no-reply` only when silence is that improbable for all
    /// silent sources together.
    pub const MAX_EXPECTED_FALSE: f64 = 0.01;
    /// Sources of a neighbourhood, as bits: a /24 of IPv4.
    pub const NEIGHBOURHOOD_BITS: u32 = 8;
    /// Sources of which some may be behind a NAT, if one of them is: a /20.
    pub const NAT_BITS: u32 = 12;
    /// Sources so close that one behind a NAT and one that is not share their losses otherwise.
    pub const CLOSE_BITS: u32 = 5;
    /// Silences beside an answered control that are counted before a source is called silent, however good the network.
    /// With the first pass these are one more than zmap and masscan ask for.
    pub const MIN_COUNTED: u8 = 3;
    /// The same where no source of the neighbourhood has answered: who vouches is further away, and may not share its loss.
    pub const MIN_COUNTED_FAR: u8 = 6;
    /// Probes to a source that has answered something that does not settle it.
    pub const MIN_PROBES_ANSWERED: u8 = 2;
    /// Answers of the first pass count as so many answered controls at most, for the 16 and the 256 sources around one: they
    /// are evidence, but of another time.
    pub const FIRST_PASS_WEIGHT: [u32; 2] = [8, 16];
    /// Where none of the 16 around a source has answered, but some of the 256 have, these count as so many: few losses are those
    /// of so small a prefix alone.
    pub const NARROW_WEIGHT: u32 = 4;
    /// The share of the evidence that must come from controls with lower addresses, and from those with higher ones.
    pub const LEAST_OF_A_SIDE: f64 = 0.2;
    /// Controls of a wider neighbourhood from which its loss is known well enough.
    pub const LOSS_SAMPLE: u32 = 20;
    /// Time that may be spent on probing silent sources more often than the loss seen demands, so that no guess at the loss is
    /// needed: a good half second at full speed, and 20 s where a neighbourhood can only be probed slowly.
    pub const SPARE_TIME: Duration = Duration::from_millis(500);
    /// See [`SPARE_TIME`].
    pub const SPARE_TIME_SLOW: Duration = Duration::from_secs(20);
    /// Silent sources probed together with one control.
    pub const CASES_PER_CONTROL: u32 = 3;
    /// The same where the pace is limited: each control takes the place of a case.
    pub const CASES_PER_CONTROL_LIMITED: u32 = 16;
    /// The same where there are few controls.
    pub const MAX_CASES_PER_CONTROL: u32 = 32;
    /// Sources for which one probe of the canary vouches.
    pub const CASES_PER_CANARY: usize = 1_024;
    /// A source is probed again after so long, drawn from half to one and a half of it; each time a little longer, so that no
    /// outage takes all probes of a source. Never shorter than a round trip takes.
    pub const FIRST_GAP: Duration = Duration::from_millis(13);
    /// The same where no source of the neighbourhood has answered.
    pub const FIRST_GAP_FAR: Duration = Duration::from_millis(50);
    /// How much longer each time.
    pub const GAP_GROWTH: f64 = 1.06;
    /// A server that answers less than this share of what the best one answers is queried rarely.
    pub const POOR_SERVER: f64 = 0.5;
    /// How rarely: one flow in so many.
    pub const POOR_SERVER_ONE_IN: u32 = 4;
    /// The longest, as long as controls are answered.
    pub const MAX_GAP: Duration = Duration::from_millis(250);
    /// The first two of the single probes that are sent once all others have been are so far apart, so that a limit of two packets
    /// a second has room for each.
    pub const ISOLATED_EVERY: Duration = Duration::from_secs(1);
    /// The others.
    pub const ISOLATED_LATER: Duration = Duration::from_millis(250);
    /// How long after the first repeat of a silent source the second follows, from the same port: limits for each source usually
    /// let one packet a second pass.
    pub const REPEAT_AFTER: Duration = Duration::from_millis(1_050);
    /// Where packets are lost on other grounds, two are sent to each of some sources, until all are lost by chance this rarely.
    pub const ISOLATED_MISSED: f64 = 0.001;
    /// The most of those sources.
    pub const MAX_ISOLATED_PAIRS: u32 = 4;
    /// They, and others after them, are all dead by chance so rarely.
    pub const ISOLATED_ALL_DEAD: f64 = 0.005;
    /// The most of them all.
    pub const MAX_ISOLATED_SOURCES: u32 = 8;
    /// The fewest silent sources beside each other that get isolated probes.
    pub const ISOLATED_RUN: u32 = 3;
    /// The same where nothing was lost.
    pub const ISOLATED_RUN_LOSSLESS: u32 = 8;
    /// A probe that the system refuses to send is sent again so often: where three of four are refused, one in five then still is.
    pub const RESENDS: u8 = 5;
    /// So long after the refusal.
    pub const RESEND_AFTER: Duration = Duration::from_micros(500);
    /// From so many refused attempts on, and if more than [`RESENDS_REFUSED`] of all are, only one refusal in so many is tried again.
    pub const RESENDS_IN_VAIN: u32 = 64;
    /// See [`RESENDS_IN_VAIN`].
    pub const RESENDS_REFUSED: f64 = 0.95;
    /// Where a NAT stands before some neighbours, one control in so many is one of those: each takes a port of it.
    pub const OTHERS_ONE_IN: u32 = 8;
    /// Controls lost in a row from which a place is probed more and more rarely, and what is probed counts no more; up to four
    /// times as many where that happens by chance more often than [`LOST_BY_CHANCE`].
    pub const LOST_IN_A_ROW: u8 = 8;
    /// See [`LOST_IN_A_ROW`].
    pub const LOST_BY_CHANCE: f64 = 0.005;
    /// The longest then.
    pub const MAX_GAP_LOST: Duration = Duration::from_secs(5);
    /// The slowest pace at which several cases are probed with one control: below, they would be too far apart in time.
    pub const PACE_FOR_SETS: f64 = 0.7;
    /// With several servers a port, and so a server, is used for so long at most.
    pub const FLOW_USED: Duration = Duration::from_millis(100);
    /// A new local port at most so often; more rarely when many are open.
    pub const FLOW_EVERY: Duration = Duration::from_millis(12);
    /// Ports that may be open for late answers before new ones come more rarely. Far below the usual limit of 1,024
    /// descriptors.
    pub const FLOWS_OPEN: usize = 96;
    /// The share of lost controls that makes a slower pace worth a trial, and is reported.
    pub const NOTABLE_LOSS: f64 = 0.15;
    /// Outcomes of controls from which a pace is judged.
    pub const PACE_SAMPLE: u32 = 24;
    /// The same below [`PACE_SLOW`], and where nothing at all comes through.
    pub const PACE_SAMPLE_SLOW: u32 = 8;
    /// The same of a limited pace as long as nothing is lost.
    pub const PACE_SAMPLE_CLEAN: u32 = 3;
    /// For that they must span this time at least: buckets hold some packets.
    pub const CLEAN_TIME: Duration = Duration::from_millis(50);
    /// Outcomes must span this time at least, if some were lost.
    pub const PACE_TIME: Duration = Duration::from_millis(300);
    /// Longer gaps between probes are no part of a rate.
    pub const REST: Duration = Duration::from_millis(100);
    /// So much more than around it must be lost in a place before it gets a pace of its own.
    pub const WIDER_MARGIN: f64 = 0.25;
    /// Controls that answered after their time, one after the other, from which more time is given.
    pub const LATE_IN_A_ROW: u8 = 3;
    /// Below this pace fewer outcomes are waited for.
    pub const PACE_SLOW: f64 = 20.0;
    /// So probable must a limit be to be spoken of.
    pub const LIMIT_KNOWN: f64 = 0.9;
    /// The largest step to a faster pace.
    pub const FASTEST_STEP: f64 = 4.0;
    /// Less than this is no loss to wait for [`PACE_TIME`] for.
    pub const RAISE_BELOW: f64 = 0.05;
    /// How long silent sources are probed again in all. Long enough for a /24 behind a limit of one probe a second.
    pub const RETRY_LIMIT: Duration = Duration::from_secs(30 * 60);
    /// How long a run without any new answer goes on: longer than NATs keep mappings of UDP (RFC 4787, REQ-5: two minutes).
    pub const STALL_LIMIT: Duration = Duration::from_secs(150);
    /// The fewest silent neighbours of which it is asked whether they are those that were probed last in the first pass.
    pub const ORDER_SAMPLE: u32 = 8;
    /// So many standard deviations above the mean say that they are: that happens by chance once in three million.
    pub const ORDER_DEVIATIONS: f64 = 5.0;
    /// When the program did not run for so long, what was under way proves nothing.
    pub const SUSPENDED_AFTER: Duration = Duration::from_millis(200);
    /// Probes by the old flow that distinguish a full flow table from a dead path.
    pub const FLOW_TABLE_SAMPLE: u32 = 8;
    /// A pass over the missing starts at least this long after the last probe: losses come in bursts, and a second probe in
    /// the same burst is no second probe. Longer on slow paths (four times the retransmission time), never above the timeout.
    pub const MIN_PASS_GAP: Duration = Duration::from_millis(200);
    /// How long a reply may take, by default; also the wait after the last probe. Above any usual round trip (a
    /// geostationary satellite takes 0.6 s), and below the patience of a person.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
    /// After this long a probe no longer holds a place in the window; its reply still counts. Above the scheduling
    /// delays of a busy machine (some milliseconds); the measured round trips raise it.
    pub const MIN_RTO: Duration = Duration::from_millis(20);
    /// The same before any round trip was measured.
    pub const INITIAL_RTO: Duration = Duration::from_millis(250);
    /// Silence after which heartbeats are sent.
    pub const HEARTBEAT_AFTER: Duration = Duration::from_millis(100);
    /// Probes of one heartbeat, each to another known source: at 1 loss in 3, all four are lost once in 80.
    pub const HEARTBEAT_PROBES: u32 = 4;
    /// So many sources are drawn to find one for a heartbeat whose place takes more than a few probes.
    pub const HEARTBEAT_DRAWS: u32 = 8;
    /// Heartbeats that must stay unanswered before the network counts as lost and sending pauses.
    pub const HEARTBEATS_LOST: u32 = 4;
    /// After so many outages the first pass no longer goes back: see the retries.
    pub const MAX_REWINDS: u32 = 3;
    /// How long a lost network is waited for.
    pub const OUTAGE_LIMIT: Duration = Duration::from_secs(30);
    /// Sources that are probed before anything at all has answered. A dead server costs this many probes, not a block's.
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

/// The settings of a sweep.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers, queried in turn. At least one.
    pub servers: Vec<SocketAddr>,
    /// An address outside the block that is known to get answers; `None` if there is none.
    pub canary: Option<IpAddr>,
    /// How many times a silent source is probed; `None`: as often as the measured loss demands.
    pub passes: Option<u8>,
    /// How long a reply may take.
    pub timeout: Duration,
    /// Probes a second; `None`: as fast as the window allows.
    pub rate: Option<f64>,
    /// Probes in flight at most, from the granted receive buffers. Each worker has an equal share.
    pub window: u32,
    /// The driver's workers: threads that send the first pass together, each from a port of its own. At least one.
    pub workers: u16,
    /// In the first pass each worker queries the server of its own number, of which there is one.
    pub server_per_worker: bool,
    /// Probes handed out at a time.
    pub batch: usize,
    /// Keep the evidence of judged sources, for a saved state.
    pub keep_evidence: bool,
    /// A rule broken on purpose, to see that the tests notice.
    #[cfg(test)]
    pub mutant: Option<Mutant>,
}

/// A rule broken on purpose.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Every round probes in the same order, the control last.
    SameOrder,
    /// A silence counts whether its control was answered or not.
    NoPairs,
    /// One loss for the whole run.
    GlobalLoss,
}

impl Settings {
    /// How many of the servers have different addresses: only their answers are independent.
    #[must_use]
    pub fn independent_servers(&self) -> usize {
        let mut ips: Vec<_> = self.servers.iter().map(SocketAddr::ip).collect();
        ips.sort_unstable();
        ips.dedup();
        ips.len()
    }
}
