//! Who may ask a server, and how often: what keeps it from being a weapon against somebody whose address is forged.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::server::Ignored;
use crate::ip_block::IpBlock;

/// Sources that share a bucket: an IPv4 /24, the least that is routed on its own.
pub const LIMIT_PREFIX_V4: u8 = 24;
/// An IPv6 /56, what one customer usually gets (RFC 6177).
pub const LIMIT_PREFIX_V6: u8 = 56;

/// Buckets in a table: half a MiB. When more prefixes than that ask at once, the ones that asked least are forgotten.
const CELLS: usize = 1 << 16;
/// Cells that one prefix may lie in: a cache line.
const WAYS: usize = 8;
/// Bits of a cell that hold a time in microseconds, for nine years; the others tell prefixes apart.
const TIME_BITS: u32 = 48;

/// Looks at the sources of requests.
#[derive(Debug, Default)]
pub struct Guard {
    allow: Option<Prefixes>,
    own: Vec<SocketAddr>,
    limit: Option<Limit>,
}

impl Guard {
    /// A guard that knows the server's own endpoints, which never ask.
    #[must_use]
    pub fn new(own: Vec<SocketAddr>) -> Self {
        Self { own, ..Self::default() }
    }

    /// Lets only these ask; with none, everybody.
    #[must_use]
    pub fn with_allowed(self, blocks: &[IpBlock]) -> Self {
        Self { allow: (!blocks.is_empty()).then(|| Prefixes::new(blocks)), ..self }
    }

    /// Gives each prefix so many replies a second.
    #[must_use]
    pub fn with_limit(self, limit: Option<Limit>) -> Self {
        Self { limit, ..self }
    }

    /// Whether this source may ask at all.
    ///
    /// # Errors
    /// [`Ignored::BadSource`], [`Ignored::NotAllowed`].
    #[inline]
    pub fn admit(&self, from: SocketAddr) -> Result<(), Ignored> {
        let ip = from.ip();
        let nobody = from.port() == 0
            || ip.is_unspecified()
            || ip.is_multicast()
            || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if nobody || self.own.contains(&from) {
            return Err(Ignored::BadSource);
        }
        match &self.allow {
            Some(allow) if !allow.contains(ip) => Err(Ignored::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Takes one reply from what the source's prefix may have. To be asked for what will be answered only, so that nobody
    /// can use a prefix's share up with garbage. Loopback has no limit: the kernel lets nobody forge it from outside.
    ///
    /// # Errors
    /// [`Ignored::RateLimited`].
    #[inline]
    pub fn spend(&self, to: IpAddr, now: Duration) -> Result<(), Ignored> {
        match &self.limit {
            Some(limit) if !to.is_loopback() && !limit.spend(to, now) => Err(Ignored::RateLimited),
            _ => Ok(()),
        }
    }
}

/// Address ranges, sorted and apart.
#[derive(Clone, Debug)]
struct Prefixes(Vec<(u128, u128)>);

impl Prefixes {
    fn new(blocks: &[IpBlock]) -> Self {
        let mut ranges: Vec<_> =
            blocks.iter().map(|b| (mapped_number(b.first()), mapped_number(b.last()))).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let ip = mapped_number(ip);
        let at = self.0.partition_point(|range| range.0 <= ip);
        at > 0 && self.0[at - 1].1 >= ip
    }
}

/// IPv4 in the form of IPv6 (`::ffff:0:0/96`), which no IPv6 source has.
fn mapped_number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Token buckets of source prefixes, in a table of fixed size that threads share without locks.
///
/// A cell holds the time at which its bucket would be full again (GCRA: one number is the whole bucket), and 16 bits of the
/// prefix's hash. Two prefixes with the same bits among eight cells share a bucket, which one in ten thousand does. Which
/// prefixes share a cache line is keyed, so that nobody can choose them.
pub struct Limit {
    cells: Box<[AtomicU64]>,
    hasher: SipHasher13,
    interval: u64,
    depth: u64,
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the key nor 65,536 numbers.
        write!(f, "Limit {{ interval: {} µs, depth: {} µs }}", self.interval, self.depth)
    }
}

impl Limit {
    /// So many replies a second for each prefix, rounded to whole microseconds between two; a second's worth may come at once.
    #[must_use]
    pub fn new(per_second: f64, key: [u8; 16]) -> Self {
        let interval = (1e6 / per_second).round().clamp(1.0, 1e12) as u64;
        // Less than one a second: one at once all the same.
        let depth = interval.max(1_000_000);
        let cells = std::iter::repeat_with(AtomicU64::default).take(CELLS).collect();
        Self { cells, hasher: SipHasher13::new_with_key(&key), interval, depth }
    }

    fn spend(&self, ip: IpAddr, now: Duration) -> bool {
        let (set, tag) = self.place(ip);
        // A bucket is never older than the server: 0 stands for one that is full.
        let now = now.as_micros() as u64 & TIME;
        loop {
            let (cell, seen) = Self::choose(set, tag, now);
            let full_at = if seen >> TIME_BITS == tag { (seen & TIME).max(now) } else { now };
            let next = full_at + self.interval;
            if next > now + self.depth {
                return false;
            }
            let value = tag << TIME_BITS | next & TIME;
            if cell.compare_exchange_weak(seen, value, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// The cell of the prefix, or the one that loses least by being taken.
    fn choose(set: &[AtomicU64], tag: u64, now: u64) -> (&AtomicU64, u64) {
        let mut least = (&set[0], u64::MAX, u64::MAX);
        for cell in set {
            let value = cell.load(Ordering::Relaxed);
            if value >> TIME_BITS == tag && value != 0 {
                return (cell, value);
            }
            // What it still holds against its prefix; nothing once it is full again.
            let debt = (value & TIME).saturating_sub(now);
            if debt < least.2 {
                least = (cell, value, debt);
            }
        }
        (least.0, least.1)
    }

    fn place(&self, ip: IpAddr) -> (&[AtomicU64], u64) {
        let prefix = match ip {
            IpAddr::V4(_) => mapped_number(ip) >> (32 - LIMIT_PREFIX_V4),
            IpAddr::V6(_) => mapped_number(ip) >> (128 - LIMIT_PREFIX_V6) | 1 << 127,
        };
        let mut hasher = self.hasher;
        hasher.write_u128(prefix);
        let hash = hasher.finish();
        let first = (hash as usize % (CELLS / WAYS)) * WAYS;
        (&self.cells[first..first + WAYS], hash >> TIME_BITS)
    }
}

const TIME: u64 = (1 << TIME_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn limit(per_second: f64) -> Guard {
        Guard::default().with_limit(Some(Limit::new(per_second, [7; 16])))
    }

    /// How many of `asked` replies go to the address, at one moment.
    fn granted(guard: &Guard, to: IpAddr, asked: u32, now: Duration) -> u32 {
        (0..asked).filter(|_| guard.spend(to, now).is_ok()).count() as u32
    }

    #[test]
    fn nobody_and_the_server_itself_never_ask() {
        let own: SocketAddr = "192.0.2.1:3478".parse().expect("an address");
        let guard = Guard::new(vec![own]);
        for (from, want) in [
            ("198.51.100.7:4000", Ok(())),
            ("[2001:db8::7]:4000", Ok(())),
            ("192.0.2.1:3479", Ok(())),
            ("192.0.2.1:3478", Err(Ignored::BadSource)),
            ("198.51.100.7:0", Err(Ignored::BadSource)),
            ("0.0.0.0:4000", Err(Ignored::BadSource)),
            ("255.255.255.255:4000", Err(Ignored::BadSource)),
            ("224.0.0.1:4000", Err(Ignored::BadSource)),
            ("[ff02::1]:4000", Err(Ignored::BadSource)),
            ("[::]:4000", Err(Ignored::BadSource)),
        ] {
            assert_eq!(guard.admit(from.parse().expect("an address")), want, "{from}");
        }
    }

    #[test]
    fn only_those_allowed_ask() {
        let blocks = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "9.9.9.0-10.0.0.5"];
        let blocks: Vec<IpBlock> = blocks.iter().map(|b| b.parse().expect("a block")).collect();
        let guard = Guard::default().with_allowed(&blocks);
        for (from, want) in [
            ("10.255.255.255", true),
            ("10.1.2.3", true),
            ("9.9.8.255", false),
            ("9.200.0.1", true),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            let got = guard.admit(SocketAddr::new(ip(from), 9));
            assert_eq!(got, if want { Ok(()) } else { Err(Ignored::NotAllowed) }, "{from}");
        }
        assert!(Guard::default().with_allowed(&[]).admit(SocketAddr::new(ip("9.9.9.9"), 9)).is_ok());
    }

    #[test]
    fn a_prefix_has_its_share_and_no_more() {
        let guard = limit(100.0);
        let second = Duration::from_secs(1);
        for (name, one, other, stranger) in [
            ("a /24", "198.51.100.1", "198.51.100.255", "198.51.101.1"),
            ("a /56", "2001:db8:0:100::1", "2001:db8:0:1ff::9", "2001:db8:0:200::1"),
        ] {
            let granted = |to, asked, now| granted(&guard, ip(to), asked, now);
            assert_eq!(granted(one, 150, second), 100, "{name}: a second's worth at once");
            assert_eq!(granted(other, 10, second), 0, "{name}: the neighbour has used it up");
            assert_eq!(granted(stranger, 50, second), 50, "{name}: another prefix");
            assert_eq!(granted(other, 100, second * 3 / 2), 50, "{name}: half a second later");
            assert_eq!(granted(one, 1_000, second * 100), 100, "{name}: no more is saved up");
        }
        assert_eq!(granted(&guard, ip("127.0.0.1"), 1_000, second), 1_000, "loopback");
        assert_eq!(granted(&Guard::default(), ip("198.51.100.1"), 1_000, second), 1_000, "no limit");
        assert_eq!(granted(&limit(0.1), ip("198.51.100.1"), 5, second), 1, "one in ten seconds");
        assert_eq!(granted(&limit(1e9), ip("198.51.100.1"), 5, second), 5, "more than can be told apart");
    }

    /// A flood with more prefixes than the table holds: it stays as it is, each gets an answer, and those that were flooded
    /// before do not get their share anew, wherever the hash has put them.
    #[test]
    fn a_flood_of_prefixes_neither_grows_the_table_nor_frees_a_victim() {
        let guard = limit(100.0);
        let now = Duration::from_secs(5);
        let victims = || (0..32).map(|n| IpAddr::from([198, 51, n, 1]));
        assert!(victims().all(|victim| granted(&guard, victim, 200, now) == 100));
        let prefix = |n: u32| IpAddr::from(Ipv4Addr::from(0x0100_0000 + (n << 8)));
        let answered: u32 = (0..300_000).map(|n| granted(&guard, prefix(n), 1, now)).sum();
        assert_eq!(answered, 300_000);
        for victim in victims() {
            assert_eq!(granted(&guard, victim, 100, now), 0, "{victim}");
        }
    }

    #[test]
    fn threads_share_one_bucket() {
        let guard = limit(1_000.0);
        let sum: u32 = std::thread::scope(|scope| {
            let run = || granted(&guard, ip("198.51.100.1"), 1_000, Duration::from_secs(1));
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        // Two that begin at the same moment may take two cells, once.
        assert!((1_000..=1_010).contains(&sum), "{sum}");
    }
}
