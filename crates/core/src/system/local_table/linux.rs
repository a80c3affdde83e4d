//! Linux: the routes of type `local` in the local table (255).

use std::io;
use std::net::IpAddr;

use libc::{RT_TABLE_LOCAL, RTA_DST, RTA_OIF, RTA_TABLE};

use crate::system::netlink::{Kernel, Question, RouteHead, attributes, number};

/// The prefixes of all local routes of a family.
pub(super) fn local_prefixes(ipv6: bool) -> io::Result<Vec<(IpAddr, u8)>> {
    let routes = local_routes(&mut Kernel::open()?, ipv6, RouteHead::is_local)?;
    Ok(routes.into_iter().map(|route| (route.prefix, route.len)).collect())
}

/// A route that makes a prefix local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalRoute {
    /// First address.
    pub prefix: IpAddr,
    /// Length of the prefix.
    pub len: u8,
    /// Index of the interface it names.
    pub interface: u32,
}

/// Those that hold more than one address.
pub(crate) fn local_blocks(kernel: &mut Kernel, ipv6: bool) -> io::Result<Vec<LocalRoute>> {
    local_routes(kernel, ipv6, RouteHead::is_local_block)
}

/// Those local routes of a family that are wanted. Only the local table decides whether a source is ours (`inet_addr_type` in the
/// kernel).
fn local_routes(
    kernel: &mut Kernel,
    ipv6: bool,
    wanted: impl Fn(RouteHead) -> bool,
) -> io::Result<Vec<LocalRoute>> {
    let question = Question::Routes { ipv6, kind: libc::RTN_LOCAL, table: RT_TABLE_LOCAL };
    let found = kernel.dump(question, |payload| {
        let head = RouteHead::of(payload).filter(|head| head.is_ipv6() == ipv6 && wanted(*head));
        Ok(head.and_then(|head| local(head, payload)))
    });
    match found {
        // There is no such table: no address was ever given to this network namespace, or loopback was never up in it.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        found => found,
    }
}

fn local(head: RouteHead, payload: &[u8]) -> Option<LocalRoute> {
    let mut table = u32::from(head.table);
    // A route without a destination is for everything: `ip route add local default dev lo`.
    let mut prefix: IpAddr = if head.is_ipv6() { [0_u8; 16].into() } else { [0_u8; 4].into() };
    let mut interface = 0;
    for (kind, value) in attributes(payload.get(RouteHead::SIZE..)?) {
        match kind {
            RTA_DST if head.is_ipv6() => prefix = <[u8; 16]>::try_from(value).ok()?.into(),
            RTA_DST => prefix = <[u8; 4]>::try_from(value).ok()?.into(),
            RTA_OIF => interface = u32::from_ne_bytes(number(value)?),
            RTA_TABLE => table = u32::from_ne_bytes(number(value)?),
            _ => {}
        }
    }
    (table == u32::from(RT_TABLE_LOCAL)).then_some(LocalRoute { prefix, len: head.len, interface })
}

/// A message read as a local route.
#[cfg(test)]
pub(crate) fn local_route(payload: &[u8]) -> Option<LocalRoute> {
    local(RouteHead::of(payload)?, payload)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

    use super::*;

    fn route(ipv6: bool, table: u8, len: u8, attributes: &[RouteAttribute]) -> Vec<u8> {
        let mut route = RouteMessage::default();
        route.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        (route.header.table, route.header.destination_prefix_length) = (table, len);
        route.header.kind = RouteType::Local;
        route.attributes = attributes.to_vec();
        let mut bytes = vec![0; route.buffer_len()];
        route.emit(&mut bytes);
        bytes
    }

    #[test]
    fn local_routes_are_read_and_others_are_not() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let to = |text: &str| {
            RouteAttribute::Destination(match ip(text) {
                IpAddr::V4(v4) => RouteAddress::Inet(v4),
                IpAddr::V6(v6) => RouteAddress::Inet6(v6),
            })
        };
        let oif = RouteAttribute::Oif(7);
        let found = |prefix: &str, len, interface| Some(LocalRoute { prefix: ip(prefix), len, interface });
        for (bytes, want, why) in [
            (route(false, 255, 16, &[to("198.18.0.0"), oif.clone()]), found("198.18.0.0", 16, 7), "a block"),
            (route(true, 255, 64, &[to("fd00:1::"), oif.clone()]), found("fd00:1::", 64, 7), "of IPv6"),
            (route(false, 255, 0, &[]), found("0.0.0.0", 0, 0), "everything"),
            (route(true, 255, 0, std::slice::from_ref(&oif)), found("::", 0, 7), "everything of IPv6"),
            (route(false, 254, 16, &[to("198.18.0.0")]), None, "of the main table"),
            (
                route(false, 252, 16, &[to("198.18.0.0"), RouteAttribute::Table(1_000)]),
                None,
                "of a large one",
            ),
            (
                route(false, 252, 8, &[to("10.0.0.0"), RouteAttribute::Table(255)]),
                found("10.0.0.0", 8, 0),
                "the attribute counts",
            ),
            (route(false, 255, 16, &[to("fd00:1::")]), None, "an address of the other family"),
        ] {
            assert_eq!(local_route(&bytes), want, "{why}");
            // Wherever it is cut off: no panic.
            assert!((0..RouteHead::SIZE).all(|len| local_route(&bytes[..len]).is_none()), "{why}");
            (0..bytes.len()).for_each(|len| _ = local_route(&bytes[..len]));
        }
    }
}
