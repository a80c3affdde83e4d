//! Every time-out, count and cap of the engine: unit, reason, and what it must stay under.

use std::time::Duration;

mod nat;

pub use nat::*;

/// Datagrams per system call. Between 8 and 128 no difference was measured; 256 was slower on a busy machine.
pub const BATCH: usize = 64;

/// The same for the ports that silent sources are asked again from: there are some dozens of them, each with its own buffers.
pub const RETRY_BATCH: usize = 16;

/// The least that the kernel charges to a receive buffer for a datagram, in bytes: what it holds at most follows. Linux charges
/// 768 for a small one on loopback, and never less than its own bookkeeping.
pub const LEAST_CHARGE: usize = 512;

/// Verdicts that wait for a slow receiver. Must be well above the largest window ([`MAX_WINDOW`]); 48 bytes each.
pub const RING_RECORDS: usize = 16_384;

/// The receiver is woken once this many verdicts wait for it. One wake-up costs some 15 µs of its time, a record 0.1 µs.
pub const WAKE_RECORDS: usize = 1_024;

/// The receiver is woken when the first verdict has waited this long. Not seen by a person, and rare enough at full speed.
pub const WAKE_AFTER: Duration = Duration::from_millis(4);

/// The longest time the sweep thread sleeps without looking whether it was told to stop.
pub const IDLE_WAIT: Duration = Duration::from_millis(20);

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

/// External addresses that a summary names.
pub const EXTERNALS_NAMED: usize = 10;

/// Limits on the way that a summary describes one by one.
pub const LIMITS_NAMED: usize = 4;

/// Threads that send the first pass of a sweep, each from its own port. They take turns at the sweep itself for a tenth of
/// their time, so more would wait for each other.
pub const MAX_SWEEP_WORKERS: usize = 8;

/// A worker has at least this many sources: below, one thread is done before a second has started.
pub const WORKER_SOURCES: u32 = 4_096;

/// A worker has at least so many probes a second to send, where that is limited: one sends twice as many and more.
pub const WORKER_RATE: f64 = 100_000.0;

/// The longest time that a worker sleeps while others send: it has to see the end of the first pass, and what it has not read
/// holds up what the others may conclude. A worker that has nothing to do then takes below 1 % of a processor (measured: 1.4 % at
/// one millisecond).
pub const WORKER_WAIT: Duration = Duration::from_millis(2);

/// Probes in flight at most, however many workers. More of them are not faster, and wait at the server: with twice as many coturn
/// lost 4 %, and the slowest of a hundred replies took twice as long.
pub const MAX_WINDOW: u32 = 2_048;

/// Bytes of receive buffer that the kernel is asked for. Some 2,700 small datagrams as Linux counts them (1,536 bytes each):
/// above the largest window. Other tools ask for 7 MiB, which gains nothing here.
pub const RECEIVE_BUFFER: usize = 4 << 20;

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

/// Datagrams of a pipe per system call: as [`BATCH`].
pub const PIPE_BATCH: usize = 64;

/// Bytes of a TCP pipe that are read at a time, at most: as Node reads.
pub const PIPE_READ: usize = 65_536;

/// Sockets that are looked at for one wake-up; the others follow with the next one. Bounds how long timers wait.
pub const PIPE_EVENTS: usize = 256;

/// Connections that are accepted for one wake-up of a listener, at most.
pub const ACCEPTS: usize = 64;

/// Connections that wait to be accepted: as Node's own servers ask for (the system may allow fewer, Linux: `net.core.somaxconn`).
pub const BACKLOG: i32 = 511;

/// Bytes that wait between the reading task and a slow receiver, in the portable reader; then the task stops reading.
pub const PIPE_RING: usize = 1 << 20;

/// When a datagram that found the kernel's queue full is tried again, where waiting for room would cost a wake-up for each
/// one sent.
pub const UDP_RETRY: Duration = Duration::from_millis(1);

/// Threads of the process's runtime. What runs there is short and waits most of the time, so that one would do; with the second,
/// what computes for some milliseconds (5,000 addresses into routes) holds up nobody, and relays use two processors.
pub const RUNTIME_THREADS: usize = 2;

/// Threads at most for calls of the system that cannot be waited for, such as a dump of all addresses. They end when idle.
pub const RUNTIME_BLOCKING_THREADS: usize = 4;

/// How long the end of the runtime waits for its threads, which are never in a call that lasts so long.
pub const RUNTIME_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of each direction of a relay: enough for the fastest loopback, and little for 10,000 of them.
pub const RELAY_BUFFER: usize = 64 << 10;

/// Bytes received of a request at most. Requests with PADDING are to be longer than a usual MTU, up to jumbo frames; 64 of
/// these for each socket.
pub const STUN_DATAGRAM: usize = 9_216;

/// How often a busy server looks at its idle sockets: after so many batches of 64. Far below a millisecond at full speed.
pub const POLL_EVERY: u32 = 8;

/// How often another free port is tried where one must be free at two addresses.
pub const PORT_ATTEMPTS: u32 = 16;

/// Replies a second that a prefix of sources gets from a server (an IPv4 /24, an IPv6 /56), unless the user said otherwise. A
/// client asks a few dozen times at most; somebody whose addresses are forged gets 0.8 Mbit/s at most.
pub const STUN_RATE: f64 = 1_000.0;

/// TCP connections of a server at once: each takes a descriptor and 4 KiB.
pub const TCP_CONNECTIONS: usize = 1_024;

/// TCP connections of one address at once. Many clients may be behind a NAT; one must not take all.
pub const TCP_PER_ADDRESS: usize = 64;

/// Connections that may wait to be accepted, as most systems allow at least.
pub const TCP_BACKLOG: i32 = 128;

/// How long a connection may take for its next message. Above the 39.5 s that a client waits for an answer (RFC 8489, section
/// 6.2.2).
pub const TCP_IDLE: Duration = Duration::from_secs(60);

/// How long an answer may take to be written: two hundred bytes fit into any buffer, unless the client reads nothing.
pub const TCP_WRITE: Duration = Duration::from_secs(10);

/// The longest request over TCP: with what ICE and credentials add, they have some hundred bytes.
pub const TCP_MESSAGE: usize = 2_048;

/// How long interfaces must be quiet before a change is told. Bringing an interface up takes several messages over some tens of
/// milliseconds; other tools wait 250 ms to 1 s.
pub const WATCH_QUIET: Duration = Duration::from_millis(250);

/// When a change is told though interfaces are never quiet. A flapping address must not hide all else for longer.
pub const WATCH_LONGEST: Duration = Duration::from_secs(1);

/// The waits of the looks after a change: default routes follow addresses within 200 ms to 2 s.
pub const WATCH_AFTER_CHANGE: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// How often interfaces are looked at where the system does not tell. A look costs under a millisecond on usual machines.
pub const WATCH_POLL: Duration = Duration::from_secs(2);

/// How often the clocks are compared that tell whether the machine was asleep. Seldom, since it wakes the processor.
pub const WATCH_CLOCK_EVERY: Duration = Duration::from_secs(15);

/// The first and the longest wait before something that failed is tried again.
pub const WATCH_RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`WATCH_RETRY_FIRST`].
pub const WATCH_RETRY_LONGEST: Duration = Duration::from_secs(30);

/// Bytes of receive buffer asked for the messages of the system: some thousand of them.
#[cfg(target_os = "linux")]
pub const WATCH_RECEIVE_BUFFER: i32 = 1 << 20;

/// Open files from which on nobody notices a limit: sockets for each source of a /22, and some hundred pipes besides. Most systems
/// give 1,024 unless they are asked for more.
pub const OPEN_FILES: u64 = 4_096;
