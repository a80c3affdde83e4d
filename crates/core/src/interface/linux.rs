//! Linux: links, addresses and routes from netlink dumps (rtnetlink(7)).

#[path = "linux/address.rs"]
mod address;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netlink_packet_core::Parseable;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use routepool_proto::ip_block::{HostPolicy, IpBlock};
use routepool_proto::scope::{Scope, scope};

use super::{Address, Facts, Gateway, Kind};
use crate::system::local_table::local_blocks;
use crate::system::netlink::{Kernel, RouteHead};
pub(crate) use address::InterfaceAddress;

pub(super) fn names() -> io::Result<Vec<String>> {
    Ok(links(&mut Kernel::open()?)?.into_iter().map(|facts| facts.name).collect())
}

pub(super) fn enumerate() -> io::Result<Vec<Facts>> {
    let mut kernel = Kernel::open()?;
    let mut all = links(&mut kernel)?;
    let place: HashMap<u32, usize> = all.iter().enumerate().map(|(at, f)| (f.index, at)).collect();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let held = kernel.dump(request, |payload| {
        let found = InterfaceAddress::of(payload);
        Ok(found.and_then(|found| {
            let at = *place.get(&found.interface)?;
            Some((at, found.address(&all[at].name)))
        }))
    })?;
    for (at, address) in held {
        all[at].addresses.push(address);
    }
    for ipv6 in [false, true] {
        let gateways = gateways(&mut kernel, ipv6)?;
        let best =
            gateways.iter().min_by_key(|(_, g)| (g.table != MAIN_TABLE, g.metric)).map(|(index, _)| *index);
        for (index, gateway) in gateways {
            if let Some(at) = place.get(&index) {
                all[*at].gateways.push(gateway);
            }
        }
        if let Some(at) = best.and_then(|index| place.get(&index)) {
            let facts = &mut all[*at];
            if ipv6 { facts.default_ipv6 = true } else { facts.default_ipv4 = true }
        }
        put_blocks(&mut kernel, &mut all, ipv6)?;
    }
    for facts in &mut all {
        facts.gateways.sort_by_key(|g| (g.table != MAIN_TABLE, g.metric));
    }
    Ok(all)
}

const MAIN_TABLE: u32 = libc::RT_TABLE_MAIN as u32;

fn links(kernel: &mut Kernel) -> io::Result<Vec<Facts>> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut all = kernel.dump(request, |payload| {
        Ok(Some(link_facts(LinkMessage::parse(payload).map_err(io::Error::other)?)))
    })?;
    all.sort_unstable_by_key(|facts| facts.index);
    Ok(all)
}

fn link_facts(link: LinkMessage) -> Facts {
    let flags = link.header.flags;
    let mut facts = Facts {
        index: link.header.index,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        ..Facts::default()
    };
    let mut info = None;
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => facts.name = name,
            LinkAttribute::Mtu(mtu) => facts.mtu = mtu,
            LinkAttribute::Address(mac) if mac.iter().any(|byte| *byte != 0) => facts.mac = mac,
            LinkAttribute::LinkInfo(infos) => {
                info = infos
                    .into_iter()
                    .find_map(|i| if let LinkInfo::Kind(kind) = i { Some(kind) } else { None });
            }
            _ => {}
        }
    }
    facts.kind = kind(link.header.link_layer_type, info.as_ref(), &facts.name);
    // The hardware address of a tunnel is the address of its other end.
    if facts.mac.len() != 6 {
        facts.mac.clear();
    }
    facts
}

fn kind(layer: LinkLayerType, info: Option<&InfoKind>, name: &str) -> Kind {
    match (layer, info) {
        (LinkLayerType::Loopback, _) => Kind::Loopback,
        (_, Some(InfoKind::Bridge)) => Kind::Bridge,
        (
            _,
            Some(
                InfoKind::Tun
                | InfoKind::Wireguard
                | InfoKind::Vxlan
                | InfoKind::GreTap
                | InfoKind::GreTap6
                | InfoKind::IpIp
                | InfoKind::Ip6Tnl
                | InfoKind::SitTun
                | InfoKind::GreTun
                | InfoKind::GreTun6
                | InfoKind::Vti
                | InfoKind::Vti6
                | InfoKind::Gtp
                | InfoKind::Xfrm
                | InfoKind::Geneve
                | InfoKind::ErSpan
                | InfoKind::Ip6ErSpan
                | InfoKind::BareUdp
                | InfoKind::Amt,
            ),
        )
        | (LinkLayerType::Ppp | LinkLayerType::Tunnel | LinkLayerType::Tunnel6 | LinkLayerType::Rawip, _) => {
            Kind::Tunnel
        }
        (_, Some(_)) => Kind::Virtual,
        (LinkLayerType::Ether, None) => {
            let folder = Path::new("/sys/class/net").join(name);
            // TUN/TAP devices of older kernels have no kind, but a file of flags.
            if folder.join("phy80211").exists() || folder.join("wireless").exists() {
                Kind::Wifi
            } else if folder.join("tun_flags").exists() {
                Kind::Tunnel
            } else {
                Kind::Ethernet
            }
        }
        _ => Kind::Other,
    }
}

/// The default routes of a family in all tables, each with the number of its interface.
fn gateways(kernel: &mut Kernel, ipv6: bool) -> io::Result<Vec<(u32, Gateway)>> {
    let mut request = RouteMessage::default();
    request.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    request.header.kind = RouteType::Unicast;
    let found = kernel.dump(RouteNetlinkMessage::GetRoute(request), |payload| {
        if !RouteHead::of(payload).is_some_and(RouteHead::is_default) {
            return Ok(None);
        }
        let route = RouteMessage::parse(payload).map_err(io::Error::other)?;
        Ok(Some(next_hops(&route, ipv6)))
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn next_hops(route: &RouteMessage, ipv6: bool) -> Vec<(u32, Gateway)> {
    let mut gateway = Gateway { address: None, ipv6, metric: 0, table: u32::from(route.header.table) };
    let (mut interface, mut hops) = (None, Vec::new());
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(table) => gateway.table = *table,
            RouteAttribute::Priority(metric) => gateway.metric = *metric,
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::MultiPath(paths) => {
                hops = paths.iter().map(|hop| (hop.interface_index, router(&hop.attributes))).collect();
            }
            _ => {}
        }
    }
    if let Some(index) = interface {
        hops.push((index, router(&route.attributes)));
    }
    hops.into_iter().map(|(index, address)| (index, Gateway { address, ..gateway })).collect()
}

fn router(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(ip)) | RouteAttribute::Via(RouteVia::Inet(ip)) => {
            Some((*ip).into())
        }
        RouteAttribute::Gateway(RouteAddress::Inet6(ip)) | RouteAttribute::Via(RouteVia::Inet6(ip)) => {
            Some((*ip).into())
        }
        _ => None,
    })
}

/// Puts the blocks that local routes hold to their interfaces.
fn put_blocks(kernel: &mut Kernel, all: &mut [Facts], ipv6: bool) -> io::Result<()> {
    for route in local_blocks(kernel, ipv6)? {
        // Loopback's own block is no block of the machine's.
        if scope(route.prefix) == Scope::Loopback || route.len == 0 {
            continue;
        }
        let Ok(block) = IpBlock::from_prefix(route.prefix, route.len) else { continue };
        let named = all.iter().position(|f| f.index == route.interface);
        // `ip route add local … dev lo` is the usual form, and says nothing of the way that packets take.
        let at = match named {
            Some(at) if all[at].kind != Kind::Loopback => Some(at),
            named => all.iter().position(|f| if ipv6 { f.default_ipv6 } else { f.default_ipv4 }).or(named),
        };
        if let Some(at) = at {
            all[at].blocks.push(block.with_hosts(HostPolicy::All));
        }
    }
    Ok(())
}
