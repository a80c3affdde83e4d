//! Linux: the routes of type `local` in the local table (255), from a netlink dump (rtnetlink(7)).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Dumps come in messages of up to 32 KiB (the kernel's `NLMSG_GOODSIZE` doubled for large receivers).
const RECEIVE: usize = 1 << 16;

/// `RT_TABLE_LOCAL` of linux/rtnetlink.h.
const LOCAL_TABLE: u32 = 255;

/// The prefixes of all local routes of a family.
pub(super) fn local_prefixes(ipv6: bool) -> io::Result<Vec<(IpAddr, u8)>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&dump_request(ipv6), 0)?;
    let mut prefixes = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(RECEIVE);
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(prefixes),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
                    prefixes.extend(local(&route, ipv6));
                }
                _ => {}
            }
            // Messages are aligned to four bytes (netlink(7)).
            let len = (message.header.length as usize).next_multiple_of(4).max(16);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

fn dump_request(ipv6: bool) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut route = RouteMessage::default();
    route.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(RouteNetlinkMessage::GetRoute(route)));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The prefix of a local route. Only the local table decides whether a source is ours (`inet_addr_type` in the kernel).
fn local(route: &RouteMessage, ipv6: bool) -> Option<(IpAddr, u8)> {
    let mut table = u32::from(route.header.table);
    let mut destination = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
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
    is_local.then(|| (destination.unwrap_or(everything), route.header.destination_prefix_length))
}
