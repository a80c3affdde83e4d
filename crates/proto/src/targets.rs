//! The sources of one run: blocks laid end to end, seen as indices.

use std::net::IpAddr;
use std::ops::Range;

use siphasher::sip::SipHasher24;

use crate::ip_block::{HostPolicy, IpBlock};
use crate::ip_number::{bits, number, to_address};

/// Ask only some hosts: a /64 cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Length of the sub-prefixes.
    pub per_prefix: u8,
    /// Random hosts asked in each.
    pub hosts: u32,
}

/// Why blocks do not make a run. Messages are read by users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetsError {
    /// No block.
    #[error("expected at least one block, for example 10.0.0.0/16")]
    None,
    /// Two families.
    #[error("one run takes one family: {0} is IPv4 and {1} is IPv6; start two runs")]
    Families(IpBlock, IpBlock),
    /// Two blocks share addresses.
    #[error("the blocks {0} and {1} overlap: name each address once")]
    Overlap(IpBlock, IpBlock),
    /// A block without a host.
    #[error("the block {block} has no address left with hosts '{policy}'", policy = .block.hosts())]
    Empty {
        /// The block.
        block: IpBlock,
    },
    /// More than fit.
    #[error(
        "{count} sources are too many for one run, the most is {most}; of a large block ask a sample (`sample`), for example one host per /{example}"
    )]
    TooMany {
        /// How many there are.
        count: u128,
        /// How many there may be.
        most: u128,
        /// Length of sub-prefixes of which there are not too many.
        example: u8,
    },
    /// A sample that does not fit a block.
    #[error("the sample does not fit the block {block}: {expected}")]
    Sample {
        /// The block.
        block: IpBlock,
        /// What is wrong.
        expected: String,
    },
}

/// All sources of a run.
#[derive(Clone, Debug)]
pub struct Targets {
    parts: Vec<Part>,
    blocks: Vec<IpBlock>,
    sample: Option<Sample>,
    /// Index of the first source, for a part of a larger run.
    offset: u32,
    len: u32,
    hasher: SipHasher24,
}

/// Length of IPv6 sub-prefixes, at the border of a digit, that divide so many addresses into 65,536 or somewhat fewer.
fn nibbles_for_some_65536(addresses: u128) -> u8 {
    let host_bits = addresses.max(1).ilog2() as u8;
    (128 - host_bits + 16) / 4 * 4
}

/// One block: where its indices start, and where its addresses do.
#[derive(Clone, Debug)]
struct Part {
    start: u32,
    len: u32,
    sequence: Sequence,
}

#[derive(Clone, Debug)]
enum Sequence {
    /// Addresses one after the other from here.
    Run(u128),
    /// By the block's own arithmetic (without `.0` and `.255`).
    Block(IpBlock),
    /// Samples: the first address, bits of a sub-prefix's hosts, and the length of a stride, each with one random host.
    Strides { first: u128, host_bits: u8, stride: u128 },
}

impl Targets {
    /// 2 bits per source: 64 MiB of memory.
    pub const MAX: u128 = 1 << 28;

    /// The sources of the blocks, all or sampled. `seed` chooses the hosts of a sample.
    ///
    /// # Errors
    /// No block, two families, overlapping blocks, too many sources, a sample that does not fit.
    pub fn new(blocks: Vec<IpBlock>, sample: Option<Sample>, seed: u64) -> Result<Self, TargetsError> {
        let first = blocks.first().ok_or(TargetsError::None)?;
        if let Some(other) = blocks.iter().find(|b| b.is_ipv6() != first.is_ipv6()) {
            let (v4, v6) = if first.is_ipv6() { (other, first) } else { (first, other) };
            return Err(TargetsError::Families(*v4, *v6));
        }
        let mut sorted: Vec<_> = blocks.iter().collect();
        sorted.sort_by_key(|b| b.first());
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].overlaps(pair[1])) {
            return Err(TargetsError::Overlap(*pair[0], *pair[1]));
        }
        let (mut parts, mut total) = (Vec::with_capacity(blocks.len()), 0_u128);
        for block in &blocks {
            let (len, sequence) = match sample {
                None => plain(block)?,
                Some(sample) => strides(block, sample)?,
            };
            let start = total as u32;
            total = total.saturating_add(len);
            if total > Self::MAX {
                let example = if block.is_ipv6() { nibbles_for_some_65536(total) } else { 24 };
                return Err(TargetsError::TooMany { count: total, most: Self::MAX, example });
            }
            parts.push(Part { start, len: len as u32, sequence });
        }
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Ok(Self {
            parts,
            blocks,
            sample,
            offset: 0,
            len: total as u32,
            hasher: SipHasher24::new_with_key(&key),
        })
    }

    /// A part of the sources, `len` of them from index `from`, with indices of its own from 0. What reaches beyond the end
    /// is left out.
    #[must_use]
    pub fn part(&self, from: u32, len: u32) -> Self {
        let from = from.min(self.len);
        Self { offset: self.offset + from, len: len.min(self.len - from), ..self.clone() }
    }

    /// How many sources there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Never: there is at least one source.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the sources are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.blocks.first().is_some_and(IpBlock::is_ipv6)
    }

    /// The blocks.
    #[must_use]
    pub fn blocks(&self) -> &[IpBlock] {
        &self.blocks
    }

    /// How hosts are sampled, if they are.
    #[must_use]
    pub fn sample(&self) -> Option<Sample> {
        self.sample
    }

    /// Addresses of all blocks under their policies, sampled or not; saturating.
    #[must_use]
    pub fn total_addresses(&self) -> u128 {
        self.blocks.iter().fold(0, |sum: u128, b| sum.saturating_add(b.len()))
    }

    /// The indices of each block's sources, in order; blocks that have none here are left out. Within a block, addresses
    /// rise with the index.
    pub fn spans(&self) -> impl Iterator<Item = Range<u32>> {
        self.parts.iter().filter_map(|part| {
            let from = part.start.saturating_sub(self.offset);
            let to = (part.start + part.len).saturating_sub(self.offset).min(self.len);
            (from < to).then_some(from..to)
        })
    }

    /// The source with this index. Constant time for one block, else the logarithm of the number of blocks.
    #[must_use]
    pub fn source(&self, index: u32) -> Option<IpAddr> {
        if index >= self.len {
            return None;
        }
        let index = index + self.offset;
        let part = match self.parts.as_slice() {
            [only] => only,
            parts => &parts[parts.partition_point(|p| p.start <= index) - 1],
        };
        let k = u128::from(index - part.start);
        match &part.sequence {
            Sequence::Run(first) => Some(self.address(first + k)),
            Sequence::Block(block) => block.nth(k),
            Sequence::Strides { first, host_bits, stride } => {
                let hosts = u128::from(self.sample.map_or(1, |s| s.hosts));
                let (prefix, slot) = (k / hosts, k % hosts);
                Some(self.address(first + (prefix << host_bits) + slot * stride + self.pick(index, *stride)))
            }
        }
    }

    /// The index for which [`Targets::source`] gives `ip`.
    #[must_use]
    pub fn index_of(&self, ip: IpAddr) -> Option<u32> {
        if ip.is_ipv6() != self.is_ipv6() {
            return None;
        }
        let number = number(ip);
        for (part, block) in self.parts.iter().zip(&self.blocks) {
            if !block.contains(ip) {
                continue;
            }
            let k = match &part.sequence {
                Sequence::Run(first) => number.checked_sub(*first)?,
                Sequence::Block(block) => block.index_of(ip)?,
                Sequence::Strides { first, host_bits, stride } => {
                    let hosts = u128::from(self.sample.map_or(1, |s| s.hosts));
                    let offset = number.checked_sub(*first)?;
                    let within = offset & ((1 << host_bits) - 1);
                    (offset >> host_bits) * hosts + (within / stride).min(hosts - 1)
                }
            };
            let index = u32::try_from(k).ok().filter(|k| *k < part.len)? + part.start;
            let index = index.checked_sub(self.offset)?;
            return (self.source(index) == Some(ip)).then_some(index);
        }
        None
    }

    /// What to add to an index so that runs of `1 << bits` of the sums are prefixes of addresses: for one block without gaps all of
    /// them are, for several the first.
    #[must_use]
    pub fn shift(&self, bits: u32) -> u32 {
        let low = self.source(0).map_or(0, |ip| number(ip) as u32);
        low & ((1 << bits) - 1)
    }

    /// A random number below `stride`, always the same for an index.
    fn pick(&self, index: u32, stride: u128) -> u128 {
        if stride <= 1 {
            return 0;
        }
        let low = u128::from(self.hasher.hash(&index.to_le_bytes()));
        let high = u128::from(self.hasher.hash(&[&index.to_le_bytes()[..], &[1]].concat()));
        (high << 64 | low) % stride
    }

    fn address(&self, number: u128) -> IpAddr {
        to_address(number, self.is_ipv6())
    }
}

fn plain(block: &IpBlock) -> Result<(u128, Sequence), TargetsError> {
    let first = block.nth(0).ok_or(TargetsError::Empty { block: *block })?;
    let len = block.len();
    let gaps = block.hosts() == HostPolicy::No0And255 && !block.is_ipv6();
    Ok((len, if gaps { Sequence::Block(*block) } else { Sequence::Run(number(first)) }))
}

fn strides(block: &IpBlock, sample: Sample) -> Result<(u128, Sequence), TargetsError> {
    let wrong = |expected: String| TargetsError::Sample { block: *block, expected };
    let bits = bits(block.is_ipv6());
    let Some(prefix_len) = block.prefix_len() else {
        return Err(wrong("a range has no sub-prefixes; name it as prefixes".into()));
    };
    if !(prefix_len..=bits).contains(&sample.per_prefix) {
        return Err(wrong(format!(
            "expected a sub-prefix length from {prefix_len} to {bits} but received {}",
            sample.per_prefix
        )));
    }
    let host_bits = bits - sample.per_prefix;
    let size: u128 = if host_bits >= 127 { 1 << 127 } else { 1 << host_bits };
    if sample.hosts == 0 || u128::from(sample.hosts) > size {
        return Err(wrong(format!(
            "expected 1 to {size} hosts per sub-prefix but received {}",
            sample.hosts
        )));
    }
    // Network, broadcast and anycast addresses are left out by keeping off the first and the last address of each sub-prefix
    // where that leaves enough.
    let first = number(block.first());
    let keep_off = u128::from(size >= u128::from(sample.hosts) + 2);
    let stride = (size - 2 * keep_off) / u128::from(sample.hosts);
    let prefixes = sample.per_prefix - prefix_len;
    let count = if prefixes >= 96 { u128::MAX } else { u128::from(sample.hosts) << prefixes };
    Ok((count, Sequence::Strides { first: first + keep_off, host_bits: host_bits.min(127), stride }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn targets(blocks: &[&str], sample: Option<(u8, u32)>) -> Result<Targets, TargetsError> {
        let blocks = blocks.iter().map(|b| b.parse().expect("a block")).collect();
        Targets::new(blocks, sample.map(|(per_prefix, hosts)| Sample { per_prefix, hosts }), 1)
    }

    #[test]
    fn lays_blocks_end_to_end() {
        let all = targets(&["10.0.1.0/30", "10.0.0.0-10.0.0.2", "10.9.9.9"], None).expect("targets");
        let ips: Vec<_> = (0..all.len()).filter_map(|i| all.source(i)).map(|ip| ip.to_string()).collect();
        assert_eq!(
            ips,
            ["10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.9.9.9"]
        );
        assert_eq!((all.source(8), all.index_of("10.0.0.3".parse().expect("ip"))), (None, None));
        assert_eq!(all.total_addresses(), 8);
    }

    #[test]
    fn says_what_does_not_go_together() {
        for (blocks, sample, part) in [
            (vec![], None, "at least one block"),
            (vec!["fd00::/120", "10.0.0.0/24"], None, "10.0.0.0/24 is IPv4 and fd00::/120 is IPv6"),
            (vec!["10.0.0.0/24", "10.0.0.7"], None, "10.0.0.0/24 and 10.0.0.7 overlap"),
            (vec!["fd00::/64"], None, "ask a sample (`sample`), for example one host per /80"),
            (vec!["fd00::/48"], None, "one host per /64"),
            (vec!["::/0"], None, "one host per /16"),
            (vec!["0.0.0.0/0"], None, "one host per /24"),
            (vec!["::/0"], None, "too many"),
            (vec!["0.0.0.0/3"], None, "536870912 sources are too many"),
            (vec!["fd00::/64"], Some((48, 1)), "from 64 to 128"),
            (vec!["10.0.0.0/24"], Some((33, 1)), "from 24 to 32"),
            (vec!["10.0.0.1-10.0.0.9"], Some((32, 1)), "range"),
            (vec!["10.0.0.0/24"], Some((30, 0)), "1 to 4 hosts"),
            (vec!["10.0.0.0/24"], Some((30, 5)), "1 to 4 hosts"),
            (vec!["::/0"], Some((128, 1)), "too many"),
        ] {
            let error = targets(&blocks, sample).expect_err("must be refused").to_string();
            assert!(error.contains(part), "{blocks:?}: {error}");
        }
        let nothing = "10.0.0.0".parse::<IpBlock>().expect("a block").with_hosts(HostPolicy::No0And255);
        assert!(Targets::new(vec![nothing], None, 1).is_err());
    }

    #[test]
    fn a_sample_takes_hosts_of_each_sub_prefix() {
        let all = targets(&["2001:db8::/48"], Some((64, 3))).expect("targets");
        assert_eq!(all.len(), 65_536 * 3);
        assert_eq!(all.total_addresses(), 1 << 80);
        for index in [0, 1, 2, 3, 100_000, 196_607] {
            let ip = all.source(index).expect("a source");
            let IpAddr::V6(v6) = ip else { panic!("IPv6") };
            assert_eq!(v6.segments()[3], (index / 3) as u16, "the sub-prefix of {index}");
            assert_eq!(all.index_of(ip), Some(index));
        }
        assert_ne!(all.source(0), targets(&["2001:db8::/48"], Some((64, 1))).expect("targets").source(0));
        let whole = targets(&["10.0.0.0/28"], Some((30, 4))).expect("targets");
        let ips: Vec<_> = (0..16).filter_map(|i| whole.source(i)).collect();
        assert_eq!(
            ips,
            (0..16).map(|n| IpAddr::from([10, 0, 0, n])).collect::<Vec<_>>(),
            "as many hosts as there are"
        );
    }

    #[test]
    fn a_part_has_indices_of_its_own() {
        let all = targets(&["10.0.0.0/24", "10.0.5.0/24"], None).expect("targets");
        let part = all.part(250, 100);
        assert_eq!((part.len(), part.source(0), part.source(100)), (100, all.source(250), None));
        for index in 0..100 {
            let ip = part.source(index).expect("a source");
            assert_eq!(part.index_of(ip), Some(index));
        }
        assert_eq!(part.index_of("10.0.0.1".parse().expect("ip")), None, "before the part");
        assert_eq!(part.index_of("10.0.5.200".parse().expect("ip")), None, "behind it");
        assert_eq!((all.part(500, 100).len(), all.part(600, 1).len()), (12, 0));
        assert_eq!(
            part.spans().collect::<Vec<_>>(),
            [0..6, 6..100],
            "the end of one block, the start of the next"
        );
        assert_eq!(all.part(256, 9).spans().next(), Some(0..9), "nothing of the first block");
    }

    #[test]
    fn samples_keep_off_network_and_broadcast() {
        let all = targets(&["10.0.0.0/16"], Some((24, 2))).expect("targets");
        for index in 0..all.len() {
            let IpAddr::V4(ip) = all.source(index).expect("a source") else { panic!("IPv4") };
            assert!(!matches!(ip.octets()[3], 0 | 255), "{ip}");
            assert_eq!(all.index_of(ip.into()), Some(index));
        }
    }

    proptest! {
        #[test]
        fn index_of_is_the_inverse(lens in prop::collection::vec(24_u8..=32, 1..6), policy in prop::sample::select(vec![HostPolicy::All, HostPolicy::Subnet, HostPolicy::No0And255])) {
            let blocks: Vec<_> = lens.iter().enumerate()
                .map(|(n, len)| IpBlock::from_prefix([10, 0, n as u8, 0].into(), *len).expect("a block").with_hosts(policy))
                .filter(|b| !b.is_empty()).collect();
            if blocks.is_empty() { return Ok(()); }
            let all = Targets::new(blocks.clone(), None, 1).expect("targets");
            let plain: Vec<_> = blocks.iter().flat_map(|b| (0..b.len()).filter_map(|k| b.nth(k))).collect();
            prop_assert_eq!(all.len() as usize, plain.len());
            for (index, ip) in plain.iter().enumerate() {
                prop_assert_eq!(all.source(index as u32), Some(*ip));
                prop_assert_eq!(all.index_of(*ip), Some(index as u32));
            }
        }
    }
}
