//! Linux: what a message says of a default route (`struct rtmsg` of `linux/rtnetlink.h`, and its attributes).

use std::net::IpAddr;

use libc::{AF_INET, AF_INET6, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_PRIORITY, RTA_TABLE};

use super::super::Gateway;
use super::address::ip;
use crate::system::netlink::{RouteHead, attributes, number};

/// `RTA_VIA` of linux/rtnetlink.h: a router of another family.
const RTA_VIA: u16 = 18;

/// `sizeof(struct rtnexthop)`.
const HOP: usize = 8;

/// The routers of a default route, each with the number of its interface; none for any other message.
pub(super) fn gateways(payload: &[u8], ipv6: bool) -> Vec<(u32, Gateway)> {
    let head = RouteHead::of(payload).filter(|head| head.is_default() && head.is_ipv6() == ipv6);
    let (Some(head), Some(rest)) = (head, payload.get(RouteHead::SIZE..)) else { return Vec::new() };
    let mut gateway = Gateway { address: None, ipv6, metric: 0, table: u32::from(head.table) };
    let (mut interface, mut hops) = (None, Vec::new());
    for (kind, value) in attributes(rest) {
        let number = number(value).map(u32::from_ne_bytes);
        match kind {
            RTA_TABLE => gateway.table = number.unwrap_or(gateway.table),
            RTA_PRIORITY => gateway.metric = number.unwrap_or_default(),
            RTA_OIF => interface = number,
            RTA_MULTIPATH => hops = next_hops(value),
            _ => {}
        }
    }
    if let Some(index) = interface {
        hops.push((index, router(rest)));
    }
    hops.into_iter().map(|(index, address)| (index, Gateway { address, ..gateway })).collect()
}

/// Several ways of one route (`struct rtnexthop`, each with attributes of its own).
fn next_hops(mut bytes: &[u8]) -> Vec<(u32, Option<IpAddr>)> {
    let mut hops = Vec::new();
    while let Some(([l0, l1, _flags, _hops, i0, i1, i2, i3], _)) = bytes.split_first_chunk::<HOP>() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(own) = bytes.get(HOP..length) else { break };
        hops.push((u32::from_ne_bytes([*i0, *i1, *i2, *i3]), router(own)));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

fn router(bytes: &[u8]) -> Option<IpAddr> {
    attributes(bytes).find_map(|(kind, value)| match (kind, value) {
        (RTA_GATEWAY, value) => ip(value),
        // The family stands before the address (`struct rtvia`).
        (RTA_VIA, [a, b, value @ ..]) => {
            let family = i32::from(u16::from_ne_bytes([*a, *b]));
            ip(value).filter(|ip| family == if ip.is_ipv6() { AF_INET6 } else { AF_INET })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::route::{
        RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteType, RouteVia,
    };

    use super::*;

    /// A message written by the library that knows them all.
    fn bytes(ipv6: bool, len: u8, attributes: Vec<RouteAttribute>) -> Vec<u8> {
        let mut route = RouteMessage::default();
        route.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        (route.header.table, route.header.destination_prefix_length) = (254, len);
        route.header.kind = RouteType::Unicast;
        route.attributes = attributes;
        let mut bytes = vec![0; route.buffer_len()];
        route.emit(&mut bytes);
        bytes
    }

    #[test]
    fn default_routes_are_read_as_the_library_writes_them() {
        let four = Ipv4Addr::new(10, 9, 0, 1);
        let six: Ipv6Addr = "fe80::1".parse().expect("an address");
        let oif = RouteAttribute::Oif(7);
        let hop = |index, ip: Ipv4Addr| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = index;
            hop.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(ip))];
            hop
        };
        let other = Ipv4Addr::new(10, 9, 1, 1);
        let gateway =
            |address: IpAddr, metric, table| Gateway { address: Some(address), ipv6: false, metric, table };
        let plain = bytes(
            false,
            0,
            vec![
                oif.clone(),
                RouteAttribute::Gateway(RouteAddress::Inet(four)),
                RouteAttribute::Priority(100),
            ],
        );
        assert_eq!(gateways(&plain, false), [(7, gateway(four.into(), 100, 254))]);
        assert!(gateways(&plain, true).is_empty(), "of the other family");
        let table = bytes(
            false,
            0,
            vec![RouteAttribute::Table(1_000), oif.clone(), RouteAttribute::Via(RouteVia::Inet6(six))],
        );
        assert_eq!(gateways(&table, false), [(7, gateway(six.into(), 0, 1_000))]);
        let several = bytes(false, 0, vec![RouteAttribute::MultiPath(vec![hop(3, four), hop(5, other)])]);
        assert_eq!(
            gateways(&several, false),
            [(3, gateway(four.into(), 0, 254)), (5, gateway(other.into(), 0, 254))]
        );
        let link = bytes(true, 0, vec![oif.clone()]);
        assert_eq!(
            gateways(&link, true),
            [(7, Gateway { address: None, ipv6: true, metric: 0, table: 254 })],
            "a link without a router"
        );
        assert!(gateways(&bytes(false, 24, vec![oif]), false).is_empty(), "no default route");
        // Wherever it is cut off: no panic, and no more than there was.
        for bytes in [plain, table, several, link] {
            (0..bytes.len()).for_each(|len| assert!(gateways(&bytes[..len], false).len() <= 2));
        }
    }
}
