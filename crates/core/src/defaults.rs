//! Every time-out, count and cap of the engine: unit, reason, and what it must stay under.

use std::time::Duration;

/// Datagrams per system call. Between 8 and 128 no difference was measured; 256 was slower on a busy machine.
pub const BATCH: usize = 64;

/// Verdicts that wait for a slow receiver. Must be well above the largest window (2,048); 48 bytes each.
pub const RING_RECORDS: usize = 16_384;

/// The receiver is woken once this many verdicts wait for it. One wake-up costs some 15 µs of its time, a record 0.1 µs.
pub const BELL_RECORDS: usize = 1_024;

/// The receiver is woken when the first verdict has waited this long. Not seen by a person, and rare enough at full speed.
pub const BELL_AFTER: Duration = Duration::from_millis(4);

/// The longest time the sweep thread sleeps without looking whether it was told to stop.
pub const NAP: Duration = Duration::from_millis(20);

/// How often the sockets' drop counters are read. Each reading is one system call.
pub const DROPS_EVERY: Duration = Duration::from_millis(2);

/// How often the figures for progress are written down. Four readings a second are promised to users.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(20);

/// Shortest time between two writes of the state file; a slow disk makes it longer (see [`STATE_SHARE`]).
pub const STATE_EVERY: Duration = Duration::from_millis(250);

/// Writing the state file may take one part in this many of the time.
pub const STATE_SHARE: u32 = 20;

/// Symbolic links that are followed to the state file: as many as Linux follows (`MAXSYMLINKS`).
pub const MAX_LINKS: usize = 40;

/// Probes a second to public servers in all, unless the user said otherwise. Public STUN servers are donated; each counts
/// what one client may ask, and a block looks to it like thousands of clients.
pub const PUBLIC_RATE: f64 = 50.0;

/// When the first probe of a server is repeated, before the sweep. With the sends of RFC 8489 (section 6.2.1) in mind, but
/// from 100 ms: a person is waiting.
pub const PREFLIGHT_SENDS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)];

/// How long the servers are given to answer the first probe. Above the last of the sends by one slow round trip.
pub const PREFLIGHT_WAIT: Duration = Duration::from_millis(1_500);

/// Largest time-out a user may ask for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// External addresses that a summary names.
pub const EXTERNALS_NAMED: usize = 10;

/// Threads that sweep at once, each with its own part of the sources. Beyond the processors of a usual server there is
/// nothing to gain on loopback.
pub const MAX_LANES: usize = 8;

/// A lane has at least this many sources: below, one thread is done before a second has started.
pub const LANE_SOURCES: u32 = 4_096;

/// Bytes of receive buffer that the kernel is asked for. Some 2,700 small datagrams as Linux counts them (1,536 bytes each):
/// above the largest window. Other tools ask for 7 MiB, which gains nothing here.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// Largest receive buffer that may be asked for.
pub const MAX_RECEIVE_BUFFER: usize = 1 << 30;

/// When a request for an external address is sent again: RTO 500 ms, doubled each time (RFC 8489, section 6.2.1), cut short
/// after four since a person is waiting.
pub const DISCOVERY_SENDS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1_500), Duration::from_millis(3_500)];

/// When a silent server is given up: above the last of the sends by one and a half seconds, as other tools do (5 s).
pub const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Servers asked at once; further ones only while two of these do not agree.
pub const SERVERS_AT_ONCE: usize = 3;

/// After how long one more server is asked: longer than most round trips.
pub const NEXT_SERVER_AFTER: Duration = Duration::from_millis(200);

/// Transactions under way to a public server (RFC 8489, section 6.2: at most 10).
pub const OUTSTANDING_PUBLIC: usize = 10;

/// Transactions under way to a named server. Must stay under what its receive buffer holds: some 160 small datagrams of the
/// 212,992 bytes that Linux gives by default.
pub const OUTSTANDING: usize = 128;

/// How often a NAT is asked while a server answers. Five sends in a row are lost by chance in one of fifty thousand runs if
/// nothing was lost before (see `NAT_DOUBT`), and silence is known 400 ms after the first.
pub const NAT_GAPS: [Duration; 5] = [
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// The same for a server that has not answered yet: doubled, since it may be dead.
pub const NAT_FIRST_GAPS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// Profile `patient`: RFC 8489, section 6.2.1, RTO 500 ms doubled with Rc = 7 sends in all, then each 4 s.
pub const NAT_PATIENT_GAPS: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(4),
];

/// An answer may take so long at least: the last gap of a silence. Longer where round trips are (twice the longest seen).
pub const NAT_ANSWER_WITHIN: Duration = Duration::from_millis(80);

/// Profile `patient`: Rm = 16 times the RTO (RFC 8489, section 6.2.1).
pub const NAT_PATIENT_ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// When a part of the test ends with what it has. `fast`: a person waits. `normal`: 30 % loss each way still leaves nothing
/// unknown. `patient`: above the RFC's 39.5 s, with time for as many sends as loss demands.
pub const NAT_GIVE_UP: [Duration; 3] =
    [Duration::from_millis(1_500), Duration::from_secs(5), Duration::from_secs(120)];

/// How long a silent server is waited for once another has answered: above the second-longest silence of one that answers.
pub const NAT_PATIENCE: Duration = Duration::from_millis(500);

/// The same in the profile `patient`: the 39.5 s after which RFC 8489 gives up.
pub const NAT_PATIENT_PATIENCE: Duration = Duration::from_millis(39_500);

/// Silence is taken for filtering if the losses that were seen make so many in a row less probable than this.
pub const NAT_DOUBT: f64 = 2e-5;

/// Fewer requests than these are never silence, however clean the path. Five of 80 ms stay under half a second.
pub const NAT_LEAST_ASKED: usize = 5;

/// Sockets of each group by which port allocation is found out: twelve in all, as P2PD asks for; six at once with the four
/// filtering requests are what RFC 8489, section 6.2, allows to one server.
pub const NAT_SOCKETS: u16 = 6;

/// Up to which age the lifetime of a mapping is measured: above the two minutes of RFC 4787, REQ-5.
pub const NAT_LIFETIME: Duration = Duration::from_secs(150);

/// Longest lifetime that may be asked for: above the two hours that RFC 5382, REQ-5, gives TCP nothing is measured.
pub const NAT_MOST_LIFETIME: Duration = Duration::from_secs(3_600);

/// How long a TCP connection for the mapping test, or the check for a captive portal, may take.
pub const NAT_TCP_WITHIN: Duration = Duration::from_secs(3);

/// Attempts to find consecutive free ports.
pub const NAT_RUN_ATTEMPTS: usize = 20;
