//! macOS, FreeBSD and Windows: adapters and default routes as `routepool_udp::adapters` reads them, in our terms.

#[cfg(native_adapters)]
use std::io;

use routepool_udp::adapters::{Adapter, DefaultRoute, Held};

use super::{Address, Facts, Gateway, Kind};

#[cfg(native_adapters)]
pub(super) fn names() -> io::Result<Vec<String>> {
    let mut all = routepool_udp::adapters::adapters()?;
    all.sort_by_key(|adapter| adapter.index);
    Ok(all.into_iter().map(|adapter| adapter.name).collect())
}

#[cfg(native_adapters)]
pub(super) fn enumerate() -> io::Result<Vec<Facts>> {
    use routepool_udp::adapters::{adapters, default_routes};
    Ok(facts(adapters()?, &default_routes()?))
}

/// The only routing table that these systems show.
const TABLE: u32 = 0;

fn facts(adapters: Vec<Adapter>, routes: &[DefaultRoute]) -> Vec<Facts> {
    let mut all: Vec<Facts> = adapters.into_iter().map(fact).collect();
    all.sort_by_key(|facts| facts.index);
    for ipv6 in [false, true] {
        let best = routes.iter().filter(|r| r.ipv6 == ipv6).min_by_key(|r| r.metric).map(|r| r.index);
        if let Some(facts) = all.iter_mut().find(|f| Some(f.index) == best) {
            if ipv6 { facts.default_ipv6 = true } else { facts.default_ipv4 = true }
        }
    }
    for route in routes {
        if let Some(facts) = all.iter_mut().find(|f| f.index == route.index) {
            facts.gateways.push(Gateway {
                address: route.gateway,
                ipv6: route.ipv6,
                metric: route.metric,
                table: TABLE,
            });
        }
    }
    for facts in &mut all {
        facts.gateways.sort_by_key(|gateway| gateway.metric);
    }
    all
}

fn fact(adapter: Adapter) -> Facts {
    Facts {
        kind: kind(&adapter),
        name: adapter.name,
        index: adapter.index,
        mac: adapter.mac,
        mtu: adapter.mtu,
        up: adapter.up,
        running: adapter.running,
        addresses: adapter.addresses.iter().map(address).collect(),
        ..Facts::default()
    }
}

fn address(held: &Held) -> Address {
    Address {
        ip: held.ip,
        prefix_len: held.prefix_len,
        scope_id: held.scope_id,
        label: None,
        temporary: held.temporary,
        deprecated: held.deprecated,
        tentative: held.tentative,
    }
}

/// By IANA's ifType registry, and what FreeBSD and macOS have beside it (`net/if_types.h`).
fn kind(adapter: &Adapter) -> Kind {
    match adapter.if_type {
        // IFT_LOOP
        24 => Kind::Loopback,
        // IFT_IEEE80211
        71 => Kind::Wifi,
        _ if adapter.wireless => Kind::Wifi,
        // IFT_BRIDGE
        209 => Kind::Bridge,
        // IFT_PPP, IFT_SLIP, IFT_TUNNEL, IFT_GIF, IFT_STF (macOS 0x39, FreeBSD 0xd7), IFT_ENC, IFT_WIREGUARD
        23 | 28 | 131 | 240 | 57 | 215 | 244 | 241 => Kind::Tunnel,
        // IFT_PROPVIRTUAL, IFT_L2VLAN, IFT_L3IPVLAN, IFT_IEEE8023ADLAG, IFT_EPAIR stand for what is made by software.
        53 | 135 | 136 | 161 => Kind::Virtual,
        // IFT_ETHER, IFT_FASTETHER, IFT_GIGABITETHERNET
        6 | 62 | 117 => Kind::Ethernet,
        // macOS gives tunnels of its own (utun) no type; they lead to one other end.
        _ if adapter.point_to_point => Kind::Tunnel,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn adapter(name: &str, index: u32, if_type: u32) -> Adapter {
        Adapter { name: name.into(), index, if_type, up: true, ..Adapter::default() }
    }

    #[test]
    fn kinds_come_from_the_type_of_the_system() {
        let with = |if_type, change: fn(&mut Adapter)| {
            let mut adapter = adapter("x", 1, if_type);
            change(&mut adapter);
            kind(&adapter)
        };
        for (if_type, change, want, why) in [
            (6, (|_| ()) as fn(&mut Adapter), Kind::Ethernet, "IFT_ETHER"),
            (6, |a| a.wireless = true, Kind::Wifi, "macOS: en0 has the type of Ethernet and wireless media"),
            (71, |_| (), Kind::Wifi, "Windows: IF_TYPE_IEEE80211"),
            (24, |_| (), Kind::Loopback, "IFT_LOOP"),
            (209, |_| (), Kind::Bridge, "IFT_BRIDGE"),
            (131, |_| (), Kind::Tunnel, "Windows: Teredo"),
            (1, |a| a.point_to_point = true, Kind::Tunnel, "macOS: utun0 is IFT_OTHER"),
            (53, |_| (), Kind::Virtual, "Windows: IF_TYPE_PROP_VIRTUAL (Wintun)"),
            (1, |_| (), Kind::Other, "nothing known"),
        ] {
            assert_eq!(with(if_type, change), want, "{why}");
        }
    }

    #[test]
    fn the_lowest_metric_of_a_family_is_the_default() {
        let route = |index, ipv6, gateway: &str, metric| DefaultRoute {
            index,
            ipv6,
            gateway: gateway.parse().ok(),
            metric,
        };
        let routes = [
            route(4, false, "10.0.0.1", 1),
            route(9, false, "192.168.0.1", 0),
            route(4, true, "fe80::1", 20),
            route(9, true, "fe80::9", 30),
            route(77, true, "", 5),
        ];
        let held = Held {
            ip: IpAddr::from([10, 0, 0, 7]),
            prefix_len: 24,
            scope_id: 0,
            temporary: false,
            deprecated: false,
            tentative: false,
        };
        let second = Adapter { addresses: vec![held], mtu: 1_500, ..adapter("en1", 9, 6) };
        let all = facts(vec![second, adapter("en0", 4, 6)], &routes[..4]);
        let names: Vec<_> = all.iter().map(|f| (f.name.as_str(), f.default_ipv4, f.default_ipv6)).collect();
        assert_eq!(names, [("en0", false, true), ("en1", true, false)], "by number; each family has its own");
        let gateways: Vec<_> = all[1].gateways.iter().map(|g| (g.ipv6, g.metric, g.address)).collect();
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(gateways, [(false, 0, ip("192.168.0.1")), (true, 30, ip("fe80::9"))]);
        assert_eq!((all[1].mtu, all[1].addresses[0].prefix_len), (1_500, 24));
        // The best one leads to an interface that is not listed: then no other is called the default.
        let all = facts(vec![adapter("en0", 4, 6)], &routes);
        assert!(!all[0].default_ipv6 && !all[0].default_ipv4);
    }
}
