//! Which sockets serve a set of addresses: one for each, or one for all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ip_block::IpBlock;

/// Beyond this many addresses of a family one socket serves them all: each socket is a file descriptor, of which a process
/// usually has 1,024.
pub const MOST_SOCKETS: u128 = 64;

/// How addresses are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A socket for each address up to [`MOST_SOCKETS`], one for all of them beyond.
    #[default]
    Auto,
    /// One socket for all addresses of a family, which tells for each connection or datagram the address it was for.
    One,
    /// A socket for each address.
    PerAddress,
}

/// A socket to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// It is bound to this address.
    Address(IpAddr),
    /// It is bound to the wildcard address of the family, and serves these ranges: sorted, apart from each other.
    Ranges(Vec<(IpAddr, IpAddr)>),
}

/// Why addresses cannot be served as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} addresses would be as many sockets, and {most} are the most: leave the choice open, or ask for one socket"
)]
pub struct TooMany {
    /// How many addresses there are.
    pub count: u128,
    /// How many sockets may be opened.
    pub most: u128,
}

/// Most sockets even if a socket for each address is asked for: what a process may have open at most, as Linux sets it for
/// services (`DefaultLimitNOFILE` of systemd).
const MOST_ASKED_FOR: u128 = 524_288;

/// The sockets for all addresses of the blocks, each address once, IPv4 before IPv6. `can_share` says whether this system has
/// sockets that tell which address a datagram was for and answer from it; without, each address has its own.
///
/// # Errors
/// [`TooMany`] if there would be more sockets than a process can have.
pub fn listeners(blocks: &[IpBlock], layout: Layout, can_share: bool) -> Result<Vec<Listener>, TooMany> {
    let mut sockets = Vec::new();
    for ipv6 in [false, true] {
        let ranges = merged(blocks.iter().filter(|block| block.is_ipv6() == ipv6));
        let count = ranges
            .iter()
            .fold(0_u128, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1)));
        let share = match layout {
            _ if !can_share => false,
            Layout::Auto => count > MOST_SOCKETS,
            Layout::One => count > 0,
            Layout::PerAddress => false,
        };
        let address = |n: u128| -> IpAddr {
            if ipv6 { Ipv6Addr::from(n).into() } else { Ipv4Addr::from(n as u32).into() }
        };
        if share {
            let ranges = ranges.iter().map(|(first, last)| (address(*first), address(*last))).collect();
            sockets.push(Listener::Ranges(ranges));
        } else if count > MOST_ASKED_FOR {
            return Err(TooMany { count, most: MOST_ASKED_FOR });
        } else {
            sockets.extend(
                ranges.iter().flat_map(|(first, last)| *first..=*last).map(|n| Listener::Address(address(n))),
            );
        }
    }
    Ok(sockets)
}

/// Ranges in order, those that overlap or touch as one.
fn merged<'a>(blocks: impl Iterator<Item = &'a IpBlock>) -> Vec<(u128, u128)> {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let mut ranges: Vec<_> = blocks.map(|block| (number(block.first()), number(block.last()))).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(blocks: &str, layout: Layout, can_share: bool) -> Result<Vec<String>, TooMany> {
        let blocks: Vec<IpBlock> = blocks.split_whitespace().map(|b| b.parse().expect("a block")).collect();
        let text = |listener: &Listener| match listener {
            Listener::Address(ip) => ip.to_string(),
            Listener::Ranges(ranges) => {
                ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect::<Vec<_>>().join("+")
            }
        };
        listeners(&blocks, layout, can_share).map(|all| all.iter().map(text).collect())
    }

    #[test]
    fn few_addresses_have_a_socket_each_and_many_share_one() {
        use Layout::{Auto, One, PerAddress};
        for (name, blocks, layout, can_share, want) in [
            ("nothing", "", Auto, true, vec![]),
            ("one address", "10.0.0.1", Auto, true, vec!["10.0.0.1"]),
            (
                "an address twice is served once",
                "10.0.0.1 10.0.0.1 10.0.0.0/31",
                Auto,
                true,
                vec!["10.0.0.0", "10.0.0.1"],
            ),
            ("both families side by side", "fd00::1 10.0.0.1", Auto, true, vec!["10.0.0.1", "fd00::1"]),
            ("a block shares a socket", "10.0.0.0/25", Auto, true, vec!["10.0.0.0-10.0.0.127"]),
            (
                "each family decides for itself",
                "10.0.0.0/16 fd00::1",
                Auto,
                true,
                vec!["10.0.0.0-10.0.255.255", "fd00::1"],
            ),
            (
                "neighbours become one range",
                "10.0.0.128/25 10.0.1.7 10.0.0.0/25",
                Auto,
                true,
                vec!["10.0.0.0-10.0.0.255+10.0.1.7-10.0.1.7"],
            ),
            ("all of IPv6", "::/0", Auto, true, vec!["::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
            ("one, as asked", "10.0.0.1 10.0.0.5", One, true, vec!["10.0.0.1-10.0.0.1+10.0.0.5-10.0.0.5"]),
            (
                "each, as asked",
                "10.0.0.0/30",
                PerAddress,
                true,
                vec!["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"],
            ),
            (
                "each, where sockets cannot be shared",
                "10.0.0.0/30",
                One,
                false,
                vec!["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"],
            ),
        ] {
            assert_eq!(plan(blocks, layout, can_share).expect("few enough"), want, "{name}");
        }
        let count = |blocks| plan(blocks, Auto, true).expect("few enough").len();
        assert_eq!((count("10.0.0.0-10.0.0.63"), count("10.0.0.0-10.0.0.64")), (64, 1));
        let each = |blocks| plan(blocks, PerAddress, true).map(|sockets| sockets.len());
        assert_eq!(each("10.0.0.0/13"), Ok(524_288));
        assert_eq!(each("10.0.0.0/13 11.0.0.0"), Err(TooMany { count: 524_289, most: 524_288 }));
        assert!(plan("::/0", Auto, false).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Every address of a block is served, each once, and nothing else is.
        #[test]
        fn all_and_nothing_else_is_served(
            blocks in proptest::collection::vec((0_u32..500, 0_u32..90), 0..30),
            layout in prop_oneof![Just(Layout::Auto), Just(Layout::One), Just(Layout::PerAddress)],
        ) {
            let ip = |n: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
            let given: Vec<IpBlock> = blocks.iter().map(|(first, len)| {
                IpBlock::from_range(ip(*first), ip(first + len)).expect("a range")
            }).collect();
            let sockets = listeners(&given, layout, true).expect("few enough");
            for n in 0..600 {
                let want = usize::from(given.iter().any(|block| block.first() <= ip(n) && ip(n) <= block.last()));
                let serving = sockets.iter().map(|socket| match socket {
                    Listener::Address(address) => usize::from(*address == ip(n)),
                    Listener::Ranges(ranges) => ranges.iter().filter(|(first, last)| *first <= ip(n) && ip(n) <= *last).count(),
                }).sum::<usize>();
                prop_assert_eq!(serving, want, "{}", ip(n));
            }
        }
    }
}
