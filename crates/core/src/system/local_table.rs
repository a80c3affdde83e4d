//! Which addresses this machine holds: asked of the operating system, compared with the blocks of a sweep.
//!
//! On Linux a block can be held by a local route alone (`ip route add local 198.18.0.0/15 dev lo`), without any address on
//! an interface. The check must come before anything is sent: with `IPV6_FREEBIND` the kernel sends from any address, also
//! from one that belongs to somebody else.

use std::io;
use std::net::IpAddr;

use routepool_proto::ip_block::{HostPolicy, IpBlock};
use routepool_proto::ip_number::{bits, number, to_address};

use crate::Error;
use crate::system::own_address::unusable;

#[cfg(target_os = "linux")]
#[path = "local_table/linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "local_table/addresses.rs"]
mod platform;

#[cfg(target_os = "linux")]
pub(crate) use platform::local_blocks;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use platform::local_route;

/// The prefixes that are local to this machine, of one family, sorted and without those inside another.
#[derive(Clone, Debug, Default)]
pub struct LocalTable {
    ranges: Vec<(u128, u128)>,
    ipv6: bool,
}

impl LocalTable {
    /// Asks the operating system.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn read(ipv6: bool) -> io::Result<Self> {
        Ok(Self::from_prefixes(ipv6, platform::local_prefixes(ipv6)?))
    }

    /// A table of the given prefixes; those of the other family are ignored.
    #[must_use]
    pub fn from_prefixes(ipv6: bool, prefixes: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        let mut ranges: Vec<_> = prefixes
            .into_iter()
            .filter(|(ip, _)| ip.is_ipv6() == ipv6)
            .map(|(ip, len)| {
                let bits = u32::from(bits(ipv6));
                let host_bits = bits - u32::from(len).min(bits);
                let hosts = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
                (number(ip) & !hosts, number(ip) | hosts)
            })
            .collect();
        ranges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        ranges.dedup_by(|next, kept| next.1 <= kept.1);
        Self { ranges, ipv6 }
    }

    /// Whether an address is local.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        let at = self.ranges.partition_point(|r| r.0 <= number(ip));
        ip.is_ipv6() == self.ipv6 && at > 0 && self.ranges[at - 1].1 >= number(ip)
    }

    /// Whether one local prefix of more than one address holds the whole block: a block held by a route, whose every
    /// address can be used.
    #[must_use]
    pub fn holds_as_block(&self, block: &IpBlock) -> bool {
        let (first, last) = (number(block.first()), number(block.last()));
        let at = self.ranges.partition_point(|r| r.0 <= first);
        at > 0 && self.ranges[at - 1].1 >= last && self.ranges[at - 1].0 < self.ranges[at - 1].1
    }

    /// The block with its host policy: the one asked for, or `all` for a block held by a route and `subnet` for others.
    #[must_use]
    pub fn with_policy(&self, block: IpBlock, policy: Option<HostPolicy>) -> IpBlock {
        let usual = if self.holds_as_block(&block) { HostPolicy::All } else { HostPolicy::Subnet };
        block.with_hosts(policy.unwrap_or(usual))
    }

    /// The first host of the block that is not local.
    #[must_use]
    pub fn first_missing(&self, block: &IpBlock) -> Option<IpAddr> {
        let (mut from, last) = (number(block.first()), number(block.last()));
        let start = self.ranges.partition_point(|r| r.1 < from);
        for (low, high) in &self.ranges[start..] {
            if *low > last {
                break;
            }
            if *low > from
                && let Some(host) = block.first_host_in(self.address(from), self.address(*low - 1))
            {
                return Some(host);
            }
            if *high >= last {
                return None;
            }
            from = *high + 1;
        }
        block.first_host_in(self.address(from), self.address(last))
    }

    /// Makes sure that every host of the block is local.
    ///
    /// # Errors
    /// [`Error::NotLocal`], with the command that adds the block.
    pub fn check(&self, block: &IpBlock) -> Result<(), Error> {
        let Some(missing) = self.first_missing(block) else { return Ok(()) };
        let whole = block.first_host_in(block.first(), block.last()) == Some(missing);
        let what = match block.prefix_len() {
            _ if block.first() == block.last() => format!("This machine does not hold the address {missing}"),
            _ if whole => format!(
                "This machine does not hold the block {block} (its first address {missing} is not local)"
            ),
            _ => format!("This machine holds only a part of {block}: {missing} is not local"),
        };
        let fix = if let Some(why) = unusable(missing) {
            format!("It is {why}")
        } else if cfg!(target_os = "linux") {
            let family = if self.ipv6 { "ip -6" } else { "ip" };
            let commands: Vec<_> =
                prefixes(block).map(|p| format!("{family} route add local {p} dev lo")).take(9).collect();
            let (shown, more) = commands.split_at(commands.len().min(8));
            let more =
                if more.is_empty() { "" } else { " && … (name the block as a prefix for one command)" };
            format!(
                "If the block is routed to this machine, let the kernel hold it with: {}{more}",
                shown.join(" && ")
            )
        } else {
            "Add the addresses to an interface first".to_owned()
        };
        Err(Error::NotLocal(format!("{what}. Nothing was sent. {fix}")))
    }

    fn address(&self, number: u128) -> IpAddr {
        to_address(number, self.ipv6)
    }
}

/// The fewest prefixes that make up a block, in order.
fn prefixes(block: &IpBlock) -> impl Iterator<Item = String> {
    let ipv6 = block.is_ipv6();
    let bits = u32::from(bits(ipv6));
    let (mut next, last) = (Some(number(block.first())), number(block.last()));
    std::iter::from_fn(move || {
        let first = next.filter(|n| *n <= last)?;
        // As large as the alignment of the first address and the distance to the last allow.
        let mut host_bits = first.trailing_zeros().min(bits);
        let others = |bits: u32| 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
        while others(host_bits) > last - first {
            host_bits -= 1;
        }
        next = 1_u128.checked_shl(host_bits).and_then(|size| first.checked_add(size));
        Some(format!("{}/{}", to_address(first, ipv6), bits - host_bits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(prefixes: &[&str]) -> LocalTable {
        let parse = |p: &&str| {
            let (ip, len) = p.split_once('/').expect("a prefix");
            (ip.parse().expect("an address"), len.parse().expect("a length"))
        };
        let all: Vec<(IpAddr, u8)> = prefixes.iter().map(parse).collect();
        LocalTable::from_prefixes(prefixes.first().is_some_and(|p| p.contains(':')), all)
    }

    #[test]
    fn finds_the_first_address_that_is_missing() {
        let loopback = ["127.0.0.0/8", "127.0.0.1/32", "10.0.0.5/32", "198.18.0.0/15", "10.0.0.6/32"];
        for (block, policy, want) in [
            ("127.16.0.0/16", HostPolicy::All, None),
            ("198.18.0.0/16", HostPolicy::All, None),
            ("198.16.0.0/14", HostPolicy::All, Some("198.16.0.0")),
            ("10.0.0.5", HostPolicy::All, None),
            ("10.0.0.5-10.0.0.6", HostPolicy::All, None),
            ("10.0.0.4/30", HostPolicy::All, Some("10.0.0.4")),
            ("10.0.0.4/30", HostPolicy::Subnet, None),
            ("10.0.0.0/29", HostPolicy::Subnet, Some("10.0.0.1")),
            ("10.0.0.5-10.0.0.9", HostPolicy::All, Some("10.0.0.7")),
            ("203.0.113.0/24", HostPolicy::Subnet, Some("203.0.113.1")),
            ("126.255.255.255-127.0.0.3", HostPolicy::All, Some("126.255.255.255")),
        ] {
            let block: IpBlock = block.parse().expect("a block");
            let missing = table(&loopback).first_missing(&block.with_hosts(policy));
            assert_eq!(missing.map(|ip| ip.to_string()), want.map(str::to_owned), "{block} {policy:?}");
        }
    }

    #[test]
    fn a_block_held_by_a_route_is_used_whole_and_others_as_subnets() {
        let local = table(&["127.0.0.0/8", "10.0.0.1/32", "10.0.0.2/32"]);
        for (block, want) in [("127.16.0.0/16", HostPolicy::All), ("10.0.0.0/30", HostPolicy::Subnet)] {
            let block: IpBlock = block.parse().expect("a block");
            assert_eq!(local.with_policy(block, None).hosts(), want, "{block}");
            assert_eq!(local.with_policy(block, Some(HostPolicy::No0And255)).hosts(), HostPolicy::No0And255);
        }
    }

    #[test]
    fn the_message_holds_the_command() {
        let v6 = table(&["::1/128", "fd00:1::/64"]);
        let message = |t: &LocalTable, b: &str| {
            t.check(&b.parse().expect("a block")).expect_err("not local").to_string()
        };
        assert!(v6.check(&"fd00:1::/112".parse().expect("a block")).is_ok());
        let got = message(&v6, "fd00:2::/112");
        assert!(got.contains("ip -6 route add local fd00:2::/112 dev lo"), "{got}");
        assert!(got.contains("Nothing was sent"), "{got}");
        let got = message(&table(&["127.0.0.0/8"]), "10.0.0.5-10.0.0.9");
        assert!(got.contains("local 10.0.0.5/32 dev lo && ip route add local 10.0.0.6/31 dev lo && ip route add local 10.0.0.8/31 dev lo"), "{got}");
        let got = message(&v6, "fe80::7");
        assert!(got.contains("link-local") && !got.contains("route add"), "it cannot be routed: {got}");
        let got = message(&table(&["127.0.0.0/8"]), "10.0.0.5");
        assert!(got.starts_with("This machine does not hold the address 10.0.0.5"), "{got}");
    }

    #[test]
    fn prefixes_cover_exactly() {
        for (block, want) in [
            ("0.0.0.0/0", vec!["0.0.0.0/0"]),
            ("10.0.0.0/8", vec!["10.0.0.0/8"]),
            ("255.255.255.254-255.255.255.255", vec!["255.255.255.254/31"]),
            ("10.0.0.1-10.0.0.8", vec!["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/32"]),
            ("::/0", vec!["::/0"]),
            ("fd00::/48", vec!["fd00::/48"]),
        ] {
            let block: IpBlock = block.parse().expect("a block");
            assert_eq!(prefixes(&block).collect::<Vec<_>>(), want, "{block}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn loopback_is_local_on_this_machine() {
        let local = LocalTable::read(false).expect("the kernel answers");
        let block: IpBlock = "127.16.0.0/16".parse().expect("a block");
        assert!(local.holds_as_block(&block) && local.check(&block).is_ok());
        assert!(local.check(&"203.0.113.0/24".parse().expect("a block")).is_err());
    }
}
