//! Reads the routing table as `sysctl` gives it on macOS and FreeBSD: messages of route(4), each a header and some addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::DefaultRoute;

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Length of `rt_msghdr`.
    pub header: usize,
    /// What the addresses after it are padded to.
    pub align: usize,
    /// `AF_INET6`.
    pub inet6: u8,
}

// Numbers of both systems, which `bsd.rs` compares with those of the headers: the dump is read in tests everywhere.

/// `AF_INET`, the same everywhere.
pub(super) const INET: u8 = 2;
/// `RTM_GET`: the type of each message of a dump.
pub(super) const GET: u8 = 4;
/// `RTM_VERSION` of both systems.
pub(super) const VERSION: u8 = 5;
pub(super) const UP: u32 = 0x1;
pub(super) const HOST: u32 = 0x4;
pub(super) const REJECT: u32 = 0x8;
pub(super) const BLACKHOLE: u32 = 0x1000;
/// macOS: the route counts only for sockets bound to its interface.
pub(super) const SCOPED: u32 = 0x100_0000;

/// Bits of `rtm_addrs`, in the order of the addresses.
pub(super) const DESTINATION: usize = 0;
pub(super) const GATEWAY: usize = 1;
pub(super) const NETMASK: usize = 2;

/// The default routes of a dump. Messages that make no sense are skipped; nothing of them is believed.
pub(super) fn default_routes(dump: &[u8], layout: Layout) -> Vec<DefaultRoute> {
    let (mut rest, mut found) = (dump, Vec::new());
    while let Some(len) = u16_at(rest, 0).map(usize::from).filter(|len| *len >= 4) {
        let Some(message) = rest.get(..len) else { break };
        found.extend(default_route(message, layout));
        rest = &rest[len..];
    }
    found
}

fn default_route(message: &[u8], layout: Layout) -> Option<DefaultRoute> {
    // struct rt_msghdr: length, version, type, index, (two bytes of padding), flags, addresses.
    if message.get(2..4)? != [VERSION, GET] {
        return None;
    }
    let (index, flags, which) = (u16_at(message, 4)?, u32_at(message, 8)?, u32_at(message, 12)?);
    if flags & UP == 0 || flags & (HOST | REJECT | BLACKHOLE) != 0 {
        return None;
    }
    let addresses = split(message.get(layout.header..)?, which, layout.align);
    let destination = addresses[DESTINATION]?;
    let family = *destination.get(1)?;
    let ipv6 = match family {
        INET => false,
        family if family == layout.inet6 => true,
        _ => return None,
    };
    let for_all = address(destination, layout).is_some_and(|ip| ip.is_unspecified());
    // Without a mask it is a default route too; 0.0.0.0/1 is none.
    if !for_all || addresses[NETMASK].is_some_and(|mask| !is_zero_mask(mask, ipv6)) {
        return None;
    }
    let gateway = addresses[GATEWAY].and_then(|gateway| address(gateway, layout));
    Some(DefaultRoute { index: index.into(), ipv6, gateway, metric: u32::from(flags & SCOPED != 0) })
}

/// The first three addresses of a message. Each begins with its length; a length of 0 takes one unit of padding.
fn split(mut rest: &[u8], which: u32, align: usize) -> [Option<&[u8]>; 3] {
    let mut found = [None; 3];
    for (at, place) in found.iter_mut().enumerate() {
        if which & (1 << at) == 0 {
            continue;
        }
        let Some(len) = rest.first().map(|len| usize::from(*len)) else { break };
        let Some(bytes) = rest.get(..len) else { break };
        *place = Some(bytes);
        rest = rest.get(len.max(1).next_multiple_of(align)..).unwrap_or_default();
    }
    found
}

/// The address of a `sockaddr_in` or `sockaddr_in6`, which may be cut off after what is not zero.
fn address(bytes: &[u8], layout: Layout) -> Option<IpAddr> {
    match *bytes.get(1)? {
        INET => Some(Ipv4Addr::from(padded::<4>(bytes, 4)).into()),
        family if family == layout.inet6 => Some(without_zone(padded::<16>(bytes, 8)).into()),
        _ => None,
    }
}

fn padded<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut octets = [0; N];
    for (octet, byte) in octets.iter_mut().zip(bytes.get(from..).unwrap_or_default()) {
        *octet = *byte;
    }
    octets
}

/// The kernel keeps the number of the interface in the second word of a link-local address (KAME's embedded scope).
pub(super) fn without_zone(mut octets: [u8; 16]) -> Ipv6Addr {
    if octets[0] == 0xfe && octets[1] & 0xc0 == 0x80 {
        (octets[2], octets[3]) = (0, 0);
    }
    octets.into()
}

/// Whether a mask says "everything". Its family may be missing, and its end is cut off after what is not zero.
fn is_zero_mask(mask: &[u8], ipv6: bool) -> bool {
    mask.get(if ipv6 { 8 } else { 4 }..).unwrap_or_default().iter().all(|byte| *byte == 0)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACOS: Layout = Layout { header: 92, align: 4, inet6: 30 };
    const FREEBSD: Layout = Layout { header: 152, align: 8, inet6: 28 };

    fn message(layout: Layout, index: u16, flags: u32, which: u32, addresses: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; layout.header];
        for address in addresses {
            bytes.extend(*address);
            bytes.resize(
                bytes.len() + (address.len().max(1).next_multiple_of(layout.align) - address.len()),
                0,
            );
        }
        let len = bytes.len() as u16;
        bytes[..2].copy_from_slice(&len.to_ne_bytes());
        (bytes[2], bytes[3]) = (VERSION, GET);
        bytes[4..6].copy_from_slice(&index.to_ne_bytes());
        bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
        bytes[12..16].copy_from_slice(&which.to_ne_bytes());
        bytes
    }

    fn inet(ip: [u8; 4]) -> Vec<u8> {
        [&[16, INET, 0, 0][..], &ip, &[0; 8]].concat()
    }

    fn inet6(family: u8, ip: &str) -> Vec<u8> {
        let ip: Ipv6Addr = ip.parse().expect("an address");
        [&[28, family, 0, 0, 0, 0, 0, 0][..], &ip.octets(), &[0; 4]].concat()
    }

    /// What it is, flags, which addresses, the addresses, and family, gateway and metric of the route that it is.
    type Case<'a> = (&'a str, u32, u32, &'a [&'a [u8]], Option<(bool, Option<IpAddr>, u32)>);

    #[test]
    fn which_routes_are_default_routes() {
        let any = inet([0; 4]);
        let router = inet([192, 168, 0, 1]);
        // A mask of nothing: a length of 0, in place of an address.
        let nothing: &[u8] = &[];
        let half: &[u8] = &[5, 0xff, 0xff, 0xff, 0x80];
        let link: &[u8] = &[20, 18, 4, 0, 1, 5, 0, 0, b'u', b't', b'u', b'n', b'4', 0, 0, 0, 0, 0, 0, 0];
        let gateway = Some(IpAddr::from([192, 168, 0, 1]));
        for layout in [MACOS, FREEBSD] {
            let six = |ip: &str| inet6(layout.inet6, ip);
            // What goes through the kernel has the number of the interface inside.
            let (any6, embedded) = (six("::"), six("fe80:4::1"));
            let cases: [Case<'_>; 9] = [
                ("the usual one", UP | 2, 7, &[&any, &router, nothing], Some((false, gateway, 0))),
                ("no mask at all", UP | 2, 3, &[&any, &router], Some((false, gateway, 0))),
                ("a tunnel: the gateway is the link", UP, 7, &[&any, link, nothing], Some((false, None, 0))),
                (
                    "of one interface only",
                    UP | 2 | SCOPED,
                    7,
                    &[&any, &router, nothing],
                    Some((false, gateway, 1)),
                ),
                (
                    "IPv6, by a link-local router",
                    UP | 2,
                    7,
                    &[&any6, &embedded, nothing],
                    Some((true, "fe80::1".parse().ok(), 0)),
                ),
                ("half of all addresses (a VPN)", UP | 2, 7, &[&any, &router, half], None),
                ("a host", UP | HOST, 3, &[&any, &router], None),
                ("refuses", UP | REJECT, 7, &[&any, &router, nothing], None),
                ("down", 2, 7, &[&any, &router, nothing], None),
            ];
            for (what, flags, which, addresses, want) in cases {
                let found = default_routes(&message(layout, 9, flags, which, addresses), layout);
                let want =
                    want.map(|(ipv6, gateway, metric)| DefaultRoute { index: 9, ipv6, gateway, metric });
                assert_eq!(found, want.into_iter().collect::<Vec<_>>(), "{what}");
            }
        }
    }

    #[test]
    fn messages_follow_each_other_and_what_makes_no_sense_is_skipped() {
        let (any, router) = (inet([0; 4]), inet([10, 0, 0, 1]));
        let good = |index| message(MACOS, index, UP | 2, 3, &[&any, &router]);
        let mut other = good(2);
        other[3] = 1;
        let dump = [good(1), other, good(3)].concat();
        let indices = |dump: &[u8]| default_routes(dump, MACOS).iter().map(|r| r.index).collect::<Vec<_>>();
        assert_eq!(indices(&dump), [1, 3]);
        // Cut off anywhere: no more than what is whole, and no end without end.
        for len in 0..dump.len() {
            assert!(indices(&dump[..len]).len() <= 1, "{len}");
        }
        assert_eq!(indices(&[0; 64]), [0; 0]);
        // An address that says it is longer than the message.
        let mut lying = good(1);
        lying[MACOS.header] = 255;
        assert_eq!(indices(&lying), [0; 0]);
    }
}
