//! Linux: links, addresses and routes from netlink dumps (rtnetlink(7)).

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use routepool_proto::ip_block::{HostPolicy, IpBlock};
use routepool_proto::scope::{Scope, scope};

use super::{Address, Facts, Gateway, Kind};
use crate::local_table::local_routes;
use crate::netlink::{Filter, dump};

pub(super) fn enumerate() -> io::Result<Vec<Facts>> {
    let mut all = links()?;
    all.sort_unstable_by_key(|facts| facts.index);
    let place: HashMap<u32, usize> = all.iter().enumerate().map(|(at, f)| (f.index, at)).collect();
    for (index, address) in addresses()? {
        if let Some(at) = place.get(&index) {
            let facts = &mut all[*at];
            let label = address.label.filter(|label| *label != facts.name);
            facts.addresses.push(Address { label, ..address });
        }
    }
    for ipv6 in [false, true] {
        let gateways = gateways(ipv6)?;
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
        put_blocks(&mut all, ipv6)?;
    }
    for facts in &mut all {
        facts.gateways.sort_by_key(|g| (g.table != MAIN_TABLE, g.metric));
    }
    Ok(all)
}

/// `RT_TABLE_MAIN` of linux/rtnetlink.h.
const MAIN_TABLE: u32 = 254;

fn links() -> io::Result<Vec<Facts>> {
    dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), Filter::None, |message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link_facts(link)),
        _ => None,
    })
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

fn addresses() -> io::Result<Vec<(u32, Address)>> {
    dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), Filter::None, |message| match message {
        RouteNetlinkMessage::NewAddress(address) => address_facts(&address),
        _ => None,
    })
}

pub(crate) fn address_facts(message: &AddressMessage) -> Option<(u32, Address)> {
    let (mut ip, mut peer, mut label) = (None, None, None);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link the former is ours and the latter the other end's.
            AddressAttribute::Local(own) => ip = Some(*own),
            AddressAttribute::Address(other) => peer = Some(*other),
            AddressAttribute::Label(text) => label = Some(text.clone()),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let ip = ip.or(peer)?;
    let index = message.header.index;
    let is_link_local = ip.is_ipv6() && scope(ip) == Scope::LinkLocal;
    let address = Address {
        ip,
        prefix_len: message.header.prefix_len,
        scope_id: if is_link_local { index } else { 0 },
        label,
        // The bit means "a further address of the subnet" for IPv4.
        temporary: ip.is_ipv6() && flags.contains(AddressFlags::Secondary),
        deprecated: flags.contains(AddressFlags::Deprecated),
        tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
            && !flags.contains(AddressFlags::Optimistic),
    };
    Some((index, address))
}

/// The default routes of a family in all tables, each with the number of its interface.
fn gateways(ipv6: bool) -> io::Result<Vec<(u32, Gateway)>> {
    let mut request = RouteMessage::default();
    request.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    request.header.kind = RouteType::Unicast;
    let found = dump(RouteNetlinkMessage::GetRoute(request), Filter::ByRequest, |message| match message {
        RouteNetlinkMessage::NewRoute(route)
            if route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast =>
        {
            Some(next_hops(&route, ipv6))
        }
        _ => None,
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
fn put_blocks(all: &mut [Facts], ipv6: bool) -> io::Result<()> {
    let full = if ipv6 { 128 } else { 32 };
    for route in local_routes(ipv6)? {
        // A single address stands among the addresses, and loopback's own block is no block of the machine's.
        if route.len == full || scope(route.prefix) == Scope::Loopback || route.len == 0 {
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
