//! Linux: the routes of type `local` in the local table (255).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::Parseable;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{Kernel, RouteHead};

/// `RT_TABLE_LOCAL` of linux/rtnetlink.h.
const LOCAL_TABLE: u32 = 255;

/// The prefixes of all local routes of a family.
pub(super) fn local_prefixes(ipv6: bool) -> io::Result<Vec<(IpAddr, u8)>> {
    Ok(local_routes(ipv6)?.into_iter().map(|route| (route.prefix, route.len)).collect())
}

/// A route that makes a prefix local.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalRoute {
    /// First address.
    pub prefix: IpAddr,
    /// Length of the prefix.
    pub len: u8,
    /// Index of the interface it names.
    pub interface: u32,
}

/// All local routes of a family. Only the local table decides whether a source is ours (`inet_addr_type` in the kernel).
fn local_routes(ipv6: bool) -> io::Result<Vec<LocalRoute>> {
    Kernel::open()?.dump(request(ipv6), |payload| read(payload, ipv6))
}

/// Those that hold more than one address.
pub(crate) fn local_blocks(kernel: &mut Kernel, ipv6: bool) -> io::Result<Vec<LocalRoute>> {
    kernel.dump(request(ipv6), |payload| {
        if RouteHead::of(payload).is_some_and(RouteHead::is_local_block) {
            read(payload, ipv6)
        } else {
            Ok(None)
        }
    })
}

fn read(payload: &[u8], ipv6: bool) -> io::Result<Option<LocalRoute>> {
    let route = RouteMessage::parse(payload).map_err(io::Error::other)?;
    Ok(local(&route, ipv6))
}

fn request(ipv6: bool) -> RouteNetlinkMessage {
    let mut request = RouteMessage::default();
    request.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    request.header.table = LOCAL_TABLE as u8;
    request.header.kind = RouteType::Local;
    RouteNetlinkMessage::GetRoute(request)
}

fn local(route: &RouteMessage, ipv6: bool) -> Option<LocalRoute> {
    let mut table = u32::from(route.header.table);
    let (mut destination, mut interface) = (None, 0);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Oif(index) => interface = *index,
            RouteAttribute::Destination(RouteAddress::Inet(ip)) if !ipv6 => {
                destination = Some(IpAddr::from(*ip));
            }
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) if ipv6 => {
                destination = Some(IpAddr::from(*ip));
            }
            _ => {}
        }
    }
    let is_local = route.header.kind == RouteType::Local && table == LOCAL_TABLE;
    // A route without a destination is for everything: `ip route add local default dev lo`.
    let everything: IpAddr = if ipv6 { [0_u8; 16].into() } else { [0_u8; 4].into() };
    let len = route.header.destination_prefix_length;
    is_local.then(|| LocalRoute { prefix: destination.unwrap_or(everything), len, interface })
}
