/** Numbers of the TypeScript layer, each with its unit and reason. Those of the sweep itself are in Rust. */

/** Bytes of one packed verdict. */
export const RECORD_BYTES = 48;

/** Verdicts fetched at a time: 48 KiB, small enough to stay in the cache, large enough that the call costs nothing. */
export const BATCH_RECORDS = 1_024;

/** Milliseconds between two progress events: four a second are promised. */
export const PROGRESS_MS = 250;

/** Addresses of a pool fetched at a time while it is iterated. */
export const POOL_CHUNK = 1_024;

/** Bytes of one packed item of a pool: external address (16; IPv4 in the first 4), local address (16), route (4, little-endian). */
export const ITEM_BYTES = 36;

/** Changes of a watch fetched at a time: small objects, so that a burst of thousands leaves the event loop its turns. */
export const WATCH_BATCH = 256;

/** Shortest time in milliseconds between two checks of external addresses at public servers, which are donated. */
export const PUBLIC_CHECK_GAP_MS = 5_000;

/** Shortest interval in milliseconds at which public servers are asked again and again; other tools use 20 to 26 s. */
export const PUBLIC_INTERVAL_MS = 20_000;

/** An interval is stretched by a random share of up to this, so that machines started together do not ask together. */
export const INTERVAL_JITTER = 0.3;

/** The port of STUN over UDP and TCP (RFC 8489, section 18.6). */
export const STUN_PORT = 3_478;

/** How long a name may take to resolve: above the 5 seconds after which a resolver asks its second server (resolv.conf(5)). */
export const DNS_TIMEOUT_MS = 6_000;

/** Messages that wait in a subscription, unless it was asked for with another number: some milliseconds of a busy flow. */
export const SUBSCRIPTION_MESSAGES = 1_024;

/** Their bytes: 1 MiB is what a receive buffer of the kernel holds as well. */
export const SUBSCRIPTION_BYTES = 1_048_576;

/** Messages in a pipe's own queue beyond which it stops reading. Small datagrams reach it long before `highWaterMark`. */
export const OWN_QUEUE_MESSAGES = 4_096;
