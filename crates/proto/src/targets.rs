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
                    (offset >> host_bits) * hosts + within / stride
                }
            };
            let index = u32::try_from(k).ok()?.checked_add(part.start)?.checked_sub(self.offset)?;
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

    /// A random number below `stride`, which is at least 1, always the same for an index.
    fn pick(&self, index: u32, stride: u128) -> u128 {
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
    let gaps = block.hosts() == HostPolicy::No0And255;
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
mod tests;
