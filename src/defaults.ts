/** Numbers of the TypeScript layer, each with its unit and reason. Those of the sweep itself are in Rust. */

/** Bytes of one packed verdict. */
export const RECORD_BYTES = 48;

/** Verdicts fetched at a time: 48 KiB, small enough to stay in the cache, large enough that the call costs nothing. */
export const BATCH_RECORDS = 1_024;

/** Milliseconds between two progress events: four a second are promised. */
export const PROGRESS_MS = 250;

/** Addresses of a pool fetched at a time while it is iterated. */
export const POOL_CHUNK = 1_024;

/**
 * Bytes of one packed item of a pool: external address (16; IPv4 in the first 4), local address (16), route (4,
 * little-endian).
 */
export const ITEM_BYTES = 36;

/**
 * What is asked for a 204 when no public STUN server answers. Over HTTP, since a portal can only step in there; run for
 * such checks by a network that answers everywhere.
 */
export const PORTAL_URL = 'http://cp.cloudflare.com/generate_204';
/**
 * Changes of a watch fetched at a time: small objects, so that a burst of thousands leaves the event loop its turns.
 */
export const WATCH_BATCH = 256;

/** Shortest time in milliseconds between two checks of external addresses at public servers, which volunteers run. */
export const PUBLIC_CHECK_GAP_MS = 5_000;

/** Shortest interval in milliseconds at which public servers are asked again and again; other tools use 20 to 26 s. */
export const PUBLIC_INTERVAL_MS = 20_000;

/** An interval is stretched by a random share of up to this, so that machines started together do not ask together. */
export const INTERVAL_JITTER = 0.3;

/** The port of STUN over UDP and TCP (RFC 8489, section 18.6). */
export const STUN_PORT = 3_478;

/**
 * How long a name may take to resolve: above the 5 seconds after which a resolver asks its second server
 * (resolv.conf(5)).
 */
export const DNS_TIMEOUT_MS = 6_000;

/**
 * Messages that wait in a subscription, unless it was asked for with another number: some milliseconds of a busy flow.
 */
export const SUBSCRIPTION_MESSAGES = 1_024;

/** Their bytes: 1 MiB is what a receive buffer of the kernel holds as well. */
export const SUBSCRIPTION_BYTES = 1_048_576;

/**
 * Messages in a pipe's own queue beyond which it stops reading. Small datagrams reach it long before `highWaterMark`.
 */
export const OWN_QUEUE_MESSAGES = 4_096;

/** Small writes of a stream are joined up to this many bytes: one system call more costs less than copying beyond. */
export const STREAM_BATCH_BYTES = 65_536;

/** Bytes of a packed address with its port, and of the head of a record (crates/core/src/pipe/record.rs). */
export const ENDPOINT_BYTES = 24;
export const RECORD_HEAD_BYTES = 16;

/** Bytes of a packed request for a socket (crates/core/src/pipe/request.rs). */
export const REQUEST_BYTES = 80;

/** What a record with 64 KiB of data, the most that is read of a stream at a time, needs at most. */
export const SLAB_ROOM: number = 65_536 + 128;

/** Memory that received data is handed out of: four full reads, and some thousand small datagrams. */
export const SLAB_BYTES: number = 4 * SLAB_ROOM;

/** Bytes that wait in a pipe's own queue beyond which it stops reading: two full reads. */
export const PIPE_HIGH_WATER_MARK = 131_072;

/** How long a connection may take to be made. Linux itself gives up after two minutes, which nobody waits for. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Sends in a row that settle at once; then one waits for the event loop to turn, so that a loop of sends starves
 * nobody.
 */
export const SENDS_PER_TURN = 64;

/**
 * When accepting is tried again after it failed for want of descriptors: soon enough for a person, seldom enough for
 * the processor.
 */
export const ACCEPT_RETRY_MS = 100;

/** Connections that wait in the kernel to be accepted: what Node's own servers ask for. */
export const ACCEPT_BACKLOG = 511;

/**
 * Connections that wait for {@link Daemon.accept} before no more are accepted: a burst, and no more memory than that.
 */
export const ACCEPT_QUEUE = 128;

/**
 * Datagram peers of a server at once: with some 6 KB of memory each (measured, Node 20), forged senders cost at most
 * 100 MB.
 */
export const MAX_PEERS = 16_384;

/** When a datagram peer is forgotten: the shortest time that a NAT must keep a mapping (RFC 4787, REQ-5). */
export const PEER_TIMEOUT_MS = 120_000;

/** How long a daemon that closes waits for peers to take what was sent to them. */
export const CLOSE_TIMEOUT_MS = 5_000;

/** Ports that are tried when one has to be free at several addresses. Each is free nearly always. */
export const PORT_TRIES = 10;

/**
 * External ports of a simulated NAT that are held open: more than a test needs at once, and few enough for a limit of
 * 4,096 descriptors.
 */
export const MAX_SIMULATED_PORTS = 1_024;
