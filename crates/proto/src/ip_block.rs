//! Blocks of addresses, as arithmetic: no list of addresses is ever made.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::ip_number::{bits, number, to_address};

/// Which addresses of a block are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostPolicy {
    /// Every address.
    #[default]
    All,
    /// The hosts of a subnet: IPv4 without network and broadcast address, /31 and /32 whole (RFC 3021); IPv6 without the
    /// subnet-router anycast address, the first (RFC 4291, section 2.6.1), /127 and /128 whole (RFC 6164). A range is
    /// taken whole.
    Subnet,
    /// IPv4 addresses whose last octet is neither 0 nor 255: 65,024 of a /16.
    No0And255,
}

impl fmt::Display for HostPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Subnet => "subnet",
            Self::No0And255 => "no-0-255",
        })
    }
}

impl FromStr for HostPolicy {
    type Err = BlockError;

    fn from_str(text: &str) -> Result<Self, BlockError> {
        match text {
            "all" => Ok(Self::All),
            "subnet" => Ok(Self::Subnet),
            "no-0-255" => Ok(Self::No0And255),
            _ => Err(BlockError::Policy(text.to_owned())),
        }
    }
}

/// Why a text is no block. Messages are read by users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Not a block at all, or a wrong part.
    #[error("'{text}' is not a block: {expected}")]
    Text {
        /// What was given.
        text: String,
        /// What is wrong, and what was expected.
        expected: String,
    },
    /// An unknown host policy.
    #[error("expected 'all', 'subnet' or 'no-0-255' for `hosts` but received '{0}'")]
    Policy(String),
}

/// A block of addresses: a prefix, a range or a single address, with the policy that says which of them are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpBlock {
    first: u128,
    last: u128,
    ipv6: bool,
    prefix_len: Option<u8>,
    hosts: HostPolicy,
}

impl FromStr for IpBlock {
    type Err = BlockError;

    /// Reads `10.0.0.0/16`, `10.0.0.5-10.0.1.9` or `10.0.0.5`, and the same in IPv6. Spaces around it are ignored.
    fn from_str(text: &str) -> Result<Self, BlockError> {
        let text = text.trim();
        if let Some((address, len)) = text.split_once('/') {
            let ip = parse_address(text, address)?;
            let most = bits(ip.is_ipv6());
            let plain = !len.is_empty()
                && len.bytes().all(|b| b.is_ascii_digit())
                && (len == "0" || !len.starts_with('0'));
            let len = len.parse::<u8>().ok().filter(|n| plain && *n <= most);
            let len = len.ok_or_else(|| {
                let family = if most == 32 { "IPv4" } else { "IPv6" };
                wrong(text, format!("the prefix length of an {family} block is a number from 0 to {most}"))
            })?;
            return Self::from_prefix(ip, len);
        }
        if let Some((first, last)) = text.split_once('-') {
            return Self::from_range(parse_address(text, first.trim())?, parse_address(text, last.trim())?);
        }
        let ip = parse_address(text, text)?;
        Self::from_range(ip, ip)
    }
}

fn wrong(text: &str, expected: impl Into<String>) -> BlockError {
    BlockError::Text { text: text.to_owned(), expected: expected.into() }
}

fn parse_address(text: &str, address: &str) -> Result<IpAddr, BlockError> {
    if address.contains('%') {
        let expected = "an address with a zone is valid on one link only, and no source of a block: name global addresses";
        return Err(wrong(text, expected));
    }
    let ip: IpAddr = address.parse().map_err(|_| {
        let leading_zero = address.split('.').count() == 4
            && address.split('.').all(|o| !o.is_empty() && o.bytes().all(|b| b.is_ascii_digit()))
            && address.split('.').any(|o| o.len() > 1 && o.starts_with('0'));
        if address.is_empty() {
            wrong(text, "expected a prefix (10.0.0.0/16, fd00::/64), a range (10.0.0.5-10.0.1.9) or an address")
        } else if leading_zero {
            wrong(text, format!("'{address}' has an octet with a leading zero; write it without"))
        } else {
            wrong(text, format!("'{address}' is not an IPv4 or IPv6 address; expected a prefix (10.0.0.0/16), a range (10.0.0.5-10.0.1.9) or an address"))
        }
    })?;
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(wrong(text, format!("write IPv4 addresses in IPv4 form ({})", ip.to_canonical())))
        }
        _ => Ok(ip),
    }
}

impl IpBlock {
    /// The block of all addresses from `first` to `last`.
    ///
    /// # Errors
    /// When the ends are of two families or in the wrong order.
    pub fn from_range(first: IpAddr, last: IpAddr) -> Result<Self, BlockError> {
        let text = || format!("{first}-{last}");
        if first.is_ipv6() != last.is_ipv6() {
            return Err(wrong(&text(), "both ends of a range must be of one family"));
        }
        let (low, high) = (number(first), number(last));
        if low > high {
            return Err(wrong(
                &text(),
                format!("the first address must not be above the last; write {last}-{first}"),
            ));
        }
        let full = bits(first.is_ipv6());
        let prefix_len = (low == high).then_some(full);
        Ok(Self { first: low, last: high, ipv6: first.is_ipv6(), prefix_len, hosts: HostPolicy::All })
    }

    /// The block of all addresses with the first `prefix_len` bits of `address`.
    ///
    /// # Errors
    /// When the length is over 32 or 128, or `address` has bits set beyond it.
    pub fn from_prefix(address: IpAddr, prefix_len: u8) -> Result<Self, BlockError> {
        let bits = bits(address.is_ipv6());
        let text = || format!("{address}/{prefix_len}");
        if prefix_len > bits {
            return Err(wrong(&text(), format!("the prefix length is a number from 0 to {bits}")));
        }
        let host_mask = low_bits(bits - prefix_len);
        let first = number(address) & !host_mask;
        if first != number(address) {
            let right = to_address(first, address.is_ipv6());
            return Err(wrong(
                &text(),
                format!(
                    "it has bits set after the prefix; did you mean the block {right}/{prefix_len} or the address {address}?"
                ),
            ));
        }
        Ok(Self {
            first,
            last: first | host_mask,
            ipv6: address.is_ipv6(),
            prefix_len: Some(prefix_len),
            hosts: HostPolicy::All,
        })
    }

    /// The lowest address, whatever the policy.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        to_address(self.first, self.ipv6)
    }

    /// The highest address, whatever the policy.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        to_address(self.last, self.ipv6)
    }

    /// The prefix length; `None` for a range of more than one address.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u8> {
        self.prefix_len
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Whether the whole block is loopback: within 127.0.0.0/8, or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        if self.ipv6 {
            self.first == 1 && self.last == 1
        } else {
            self.first >> 24 == 127 && self.last >> 24 == 127
        }
    }

    /// The policy.
    #[must_use]
    pub fn hosts(&self) -> HostPolicy {
        self.hosts
    }

    /// The same block with another policy. [`HostPolicy::No0And255`] means all addresses of an IPv6 block.
    #[must_use]
    pub fn with_hosts(self, hosts: HostPolicy) -> Self {
        Self { hosts, ..self }
    }

    /// Whether the policy says something about this block's family.
    #[must_use]
    pub fn supports(&self, policy: HostPolicy) -> bool {
        !(self.ipv6 && policy == HostPolicy::No0And255)
    }

    /// How many addresses are meant under the policy. `::/0` has one more than `u128` holds and gives `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        match self.meaning() {
            Meaning::Range(first, last) if first > last => 0,
            Meaning::Range(first, last) => (last - first).saturating_add(1),
            Meaning::No0And255 => usable_up_to(self.last) - usable_below(self.first),
        }
    }

    /// Whether no address is meant (10.0.0.0 alone, without `.0` and `.255`).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k`-th address that is meant, from 0. Constant time.
    #[must_use]
    pub fn nth(&self, k: u128) -> Option<IpAddr> {
        let number = match self.meaning() {
            Meaning::Range(first, last) => first.checked_add(k).filter(|n| *n <= last)?,
            Meaning::No0And255 => {
                let k = k.checked_add(usable_below(self.first))?;
                Some(((k / 254) << 8) + k % 254 + 1).filter(|n| *n <= self.last)?
            }
        };
        Some(to_address(number, self.ipv6))
    }

    /// The `k` for which [`IpBlock::nth`] gives `ip`.
    #[must_use]
    pub fn index_of(&self, ip: IpAddr) -> Option<u128> {
        if ip.is_ipv6() != self.ipv6 {
            return None;
        }
        let number = number(ip);
        match self.meaning() {
            Meaning::Range(first, last) => (first..=last).contains(&number).then(|| number - first),
            Meaning::No0And255 => {
                let usable = (self.first..=self.last).contains(&number) && !matches!(number & 255, 0 | 255);
                usable.then(|| usable_below(number) - usable_below(self.first))
            }
        }
    }

    /// Whether `ip` lies in the block, whatever the policy.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv6() == self.ipv6 && (self.first..=self.last).contains(&number(ip))
    }

    /// Whether the blocks share an address, whatever their policies.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.ipv6 == other.ipv6 && self.first <= other.last && other.first <= self.last
    }

    /// The lowest address that is meant, from `from` to `to`.
    #[must_use]
    pub fn first_host_in(&self, from: IpAddr, to: IpAddr) -> Option<IpAddr> {
        if from.is_ipv6() != self.ipv6 || to.is_ipv6() != self.ipv6 {
            return None;
        }
        let (low, high) = (number(from).max(self.first), number(to).min(self.last));
        let (first, last) = match self.meaning() {
            Meaning::Range(first, last) => (low.max(first), high.min(last)),
            // At most two steps: from .255 over .0 to .1.
            Meaning::No0And255 => match low & 255 {
                0 => (low + 1, high),
                255 => (low + 2, high),
                _ => (low, high),
            },
        };
        (first <= last).then(|| to_address(first, self.ipv6))
    }

    fn meaning(&self) -> Meaning {
        let (first, last) = (self.first, self.last);
        match (self.hosts, self.prefix_len) {
            (HostPolicy::No0And255, _) if !self.ipv6 => Meaning::No0And255,
            (HostPolicy::Subnet, Some(len)) if !self.ipv6 && len < 31 => Meaning::Range(first + 1, last - 1),
            (HostPolicy::Subnet, Some(len)) if self.ipv6 && len < 127 => Meaning::Range(first + 1, last),
            _ => Meaning::Range(first, last),
        }
    }
}

/// A policy applied to a block.
enum Meaning {
    Range(u128, u128),
    No0And255,
}

/// How many IPv4 addresses below `n` end neither in 0 nor in 255.
pub(crate) fn usable_below(n: u128) -> u128 {
    (n >> 8) * 254 + (n & 255).saturating_sub(1).min(254)
}

fn usable_up_to(n: u128) -> u128 {
    usable_below(n + 1)
}

fn low_bits(count: u8) -> u128 {
    if count >= 128 { u128::MAX } else { (1 << count) - 1 }
}

impl fmt::Display for IpBlock {
    /// A prefix where it is one, a single address without a length, else a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len {
            _ if self.first == self.last => write!(f, "{}", self.first()),
            Some(len) => write!(f, "{}/{len}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn block(text: &str) -> IpBlock {
        text.parse().expect(text)
    }

    #[test]
    fn reads_blocks_and_prints_them_back() {
        for (text, shown, len) in [
            ("10.0.0.0/16", "10.0.0.0/16", 65_536),
            (" 10.0.0.5-10.0.1.9 ", "10.0.0.5-10.0.1.9", 261),
            ("10.0.0.5 - 10.0.0.6", "10.0.0.5-10.0.0.6", 2),
            ("10.0.0.5", "10.0.0.5", 1),
            ("10.0.0.5/32", "10.0.0.5", 1),
            ("0.0.0.0/0", "0.0.0.0/0", 1 << 32),
            ("fd00:1::/112", "fd00:1::/112", 65_536),
            ("FD00:0::1", "fd00::1", 1),
            ("::/0", "::/0", u128::MAX),
        ] {
            let block = block(text);
            assert_eq!((block.to_string().as_str(), block.len()), (shown, len), "{text}");
            assert_eq!(shown.parse::<IpBlock>().as_ref(), Ok(&block), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "expected a prefix"),
            ("10.0.0.0/33", "0 to 32"),
            ("10.0.0.0/", "0 to 32"),
            ("10.0.0.0/-1", "0 to 32"),
            ("10.0.0.0/08", "0 to 32"),
            ("10.0.0.0/+8", "0 to 32"),
            ("fd00::/129", "0 to 128"),
            ("10.0.0.5/24", "10.0.0.0/24 or the address 10.0.0.5"),
            ("10.0.0.9-10.0.0.1", "10.0.0.1-10.0.0.9"),
            ("10.0.0.1-fd00::1", "one family"),
            ("10.0.0.300", "not an IPv4 or IPv6 address"),
            ("10.0.0.01", "leading zero"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("fe80::1%eth0", "zone"),
            ("example.net", "'example.net' is not an IPv4"),
            ("10.0.0. 1", "not an IPv4"),
            ("10.0.0.1-", "expected a prefix"),
        ] {
            let error = text.parse::<IpBlock>().expect_err(text).to_string();
            assert!(error.contains(part) && error.contains(text), "{text}: {error}");
        }
        assert!("some".parse::<HostPolicy>().is_err());
    }

    #[test]
    fn policies_count_as_documented() {
        for (text, policy, len, first, why) in [
            ("10.0.0.0/16", HostPolicy::No0And255, 65_024, "10.0.0.1", "65,536 - 2 * 256"),
            ("10.0.0.0/16", HostPolicy::Subnet, 65_534, "10.0.0.1", "without network and broadcast"),
            ("10.0.0.0/31", HostPolicy::Subnet, 2, "10.0.0.0", "RFC 3021"),
            ("10.0.0.7", HostPolicy::Subnet, 1, "10.0.0.7", "a host"),
            ("10.0.0.0-10.0.0.9", HostPolicy::Subnet, 10, "10.0.0.0", "a range is taken whole"),
            ("10.0.0.254-10.0.1.1", HostPolicy::No0And255, 2, "10.0.0.254", "over a border"),
            ("fd00::/126", HostPolicy::Subnet, 3, "fd00::1", "RFC 4291, 2.6.1"),
            ("fd00::/127", HostPolicy::Subnet, 2, "fd00::", "RFC 6164"),
            ("fd00::/126", HostPolicy::No0And255, 4, "fd00::", "no meaning for IPv6"),
        ] {
            let block = block(text).with_hosts(policy);
            let got = block.nth(0).map(|ip| ip.to_string());
            assert_eq!((block.len(), got.as_deref()), (len, Some(first)), "{text} {policy}: {why}");
        }
        let none = block("10.0.0.255-10.0.1.0").with_hosts(HostPolicy::No0And255);
        assert!(none.is_empty() && none.nth(0).is_none());
        assert!(!block("fd00::/64").supports(HostPolicy::No0And255));
    }

    fn policies() -> impl Strategy<Value = HostPolicy> {
        prop::sample::select(vec![HostPolicy::All, HostPolicy::Subnet, HostPolicy::No0And255])
    }

    /// The steps over .255 and .0, and the ends; what is drawn at random meets them now and then.
    #[test]
    fn the_first_host_in_a_range() {
        for (text, policy, from, to, want) in [
            ("10.0.0.0/22", HostPolicy::No0And255, "10.0.1.0", "10.0.1.9", Some("10.0.1.1")),
            ("10.0.0.0/22", HostPolicy::No0And255, "10.0.1.255", "10.0.2.9", Some("10.0.2.1")),
            ("10.0.0.0/22", HostPolicy::No0And255, "10.0.1.255", "10.0.2.0", None),
            ("10.0.0.0/22", HostPolicy::No0And255, "10.0.1.0", "10.0.1.0", None),
            ("10.0.0.0/22", HostPolicy::No0And255, "10.0.1.7", "10.0.1.7", Some("10.0.1.7")),
            ("10.0.0.0/22", HostPolicy::No0And255, "9.0.0.0", "11.0.0.0", Some("10.0.0.1")),
            ("10.0.0.0/22", HostPolicy::Subnet, "9.0.0.0", "11.0.0.0", Some("10.0.0.1")),
            ("10.0.0.0/22", HostPolicy::Subnet, "10.0.3.255", "11.0.0.0", None),
            ("10.0.0.0/22", HostPolicy::All, "10.0.3.255", "11.0.0.0", Some("10.0.3.255")),
            ("10.0.0.0/22", HostPolicy::All, "10.0.4.0", "11.0.0.0", None),
            ("10.0.0.0/22", HostPolicy::All, "::1", "11.0.0.0", None),
            ("10.0.0.0/22", HostPolicy::All, "9.0.0.0", "ffff::", None),
            ("2001:db8::/64", HostPolicy::Subnet, "::", "ffff::", Some("2001:db8::1")),
        ] {
            let ip = |text: &str| text.parse::<IpAddr>().expect(text);
            let found = block(text).with_hosts(policy).first_host_in(ip(from), ip(to));
            assert_eq!(found, want.map(ip), "{text}, {policy:?}: {from} to {to}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(start in 0_u32..=u32::MAX - 2_000, size in 0_u32..1_500, policy in policies(), low in 0_u32..2_000, high in 0_u32..2_000) {
            let ip = |n: u32| IpAddr::from(Ipv4Addr::from(n));
            let block = IpBlock::from_range(ip(start), ip(start + size)).expect("a range").with_hosts(policy);
            let plain: Vec<_> = (start..=start + size)
                .filter(|n| policy != HostPolicy::No0And255 || !matches!(n & 255, 0 | 255)).map(ip).collect();
            prop_assert_eq!(block.len(), plain.len() as u128);
            for (k, want) in plain.iter().enumerate() {
                prop_assert_eq!(block.nth(k as u128), Some(*want));
                prop_assert_eq!(block.index_of(*want), Some(k as u128));
            }
            prop_assert_eq!(block.nth(plain.len() as u128), None);
            let (from, to) = (ip(start.saturating_add(low)), ip(start.saturating_add(high)));
            prop_assert_eq!(block.first_host_in(from, to), plain.iter().copied().find(|p| *p >= from && *p <= to));
        }

        #[test]
        fn agrees_with_ipnet(bits: u32, len in 0_u8..=32, v6 in prop::bool::ANY, wide: u128) {
            let (ip, len): (IpAddr, u8) = if v6 { (Ipv6Addr::from(wide).into(), len * 4) } else { (Ipv4Addr::from(bits).into(), len) };
            let net = ipnet::IpNet::new(ip, len).expect("a net").trunc();
            if matches!(net.network(), IpAddr::V6(a) if a.to_ipv4_mapped().is_some()) { return Ok(()); }
            let block: IpBlock = net.to_string().parse().expect("a block");
            prop_assert_eq!((block.first(), block.last(), block.prefix_len()), (net.network(), net.broadcast(), Some(len)));
            prop_assert_eq!(format!("{ip}/{len}").parse::<IpBlock>().is_ok(), ip == net.network());
            for k in [0, 1, block.len() / 2, block.len() - 1] {
                if let Some(nth) = block.nth(k) { prop_assert_eq!(block.index_of(nth), Some(k)); }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", numeric in "[0-9a-f:./-]{0,40}") {
            let _ = text.parse::<IpBlock>();
            if let Ok(block) = numeric.parse::<IpBlock>() {
                prop_assert_eq!(block.to_string().parse::<IpBlock>(), Ok(block));
            }
        }
    }
}
