//! Linux: what a message says of an interface (`struct ifinfomsg` of `linux/rtnetlink.h`, and its attributes).
//!
//! Of the hundred attributes and kinds with their own data that a message may have, four are wanted; the others cost nothing, and
//! an odd one among them spoils nothing.

use std::path::Path;

use libc::{
    ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_PPP, ARPHRD_TUNNEL, ARPHRD_TUNNEL6, IFF_RUNNING, IFF_UP,
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU,
};

use super::super::{Facts, Kind};
use crate::system::netlink::{attributes, number};

/// `ARPHRD_RAWIP` of `linux/if_arp.h`.
const ARPHRD_RAWIP: u16 = 519;

/// Names by which the kernel knows kinds of tunnels (`rtnl_link_ops`).
const TUNNELS: [&[u8]; 19] = [
    b"tun",
    b"wireguard",
    b"vxlan",
    b"gretap",
    b"ip6gretap",
    b"ipip",
    b"ip6tnl",
    b"sit",
    b"gre",
    b"ip6gre",
    b"vti",
    b"vti6",
    b"gtp",
    b"xfrm",
    b"geneve",
    b"erspan",
    b"ip6erspan",
    b"bareudp",
    b"amt",
];

/// Reads a message's payload; `None` if it has no head.
pub(super) fn link_facts(payload: &[u8]) -> Option<Facts> {
    let ([_family, _pad, l0, l1, i0, i1, i2, i3, f0, f1, f2, f3, _, _, _, _], rest) =
        payload.split_first_chunk()?;
    let layer = u16::from_ne_bytes([*l0, *l1]);
    let flags = i32::from_ne_bytes([*f0, *f1, *f2, *f3]);
    let mut facts = Facts {
        index: u32::from_ne_bytes([*i0, *i1, *i2, *i3]),
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        ..Facts::default()
    };
    let mut info = None;
    for (kind, value) in attributes(rest) {
        match kind {
            IFLA_IFNAME => facts.name = String::from_utf8_lossy(text(value)).into_owned(),
            IFLA_MTU => facts.mtu = number(value).map_or(0, u32::from_ne_bytes),
            // The hardware address of a tunnel is the address of its other end.
            IFLA_ADDRESS if value.len() == 6 && value.iter().any(|byte| *byte != 0) => {
                facts.mac = value.to_vec();
            }
            IFLA_LINKINFO => {
                info =
                    attributes(value).find_map(|(kind, value)| (kind == IFLA_INFO_KIND).then(|| text(value)));
            }
            _ => {}
        }
    }
    facts.kind = kind(layer, info, &facts.name);
    Some(facts)
}

/// Up to the zero byte.
fn text(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn kind(layer: u16, info: Option<&[u8]>, name: &str) -> Kind {
    match (layer, info) {
        (ARPHRD_LOOPBACK, _) => Kind::Loopback,
        (_, Some(b"bridge")) => Kind::Bridge,
        (_, Some(info)) if TUNNELS.contains(&info) => Kind::Tunnel,
        (ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_RAWIP, _) => Kind::Tunnel,
        (_, Some(_)) => Kind::Virtual,
        (ARPHRD_ETHER, None) => {
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

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::link::{
        InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    };

    use super::*;

    /// A message written by the library that knows them all.
    fn bytes(layer: LinkLayerType, attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.link_layer_type = layer;
        message.header.flags = LinkFlags::Up | LinkFlags::Running;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn with_kind(layer: LinkLayerType, kind: Option<InfoKind>) -> Vec<u8> {
        let mut attributes = vec![LinkAttribute::IfName("no-such0".into()), LinkAttribute::Mtu(1_420)];
        attributes.extend(kind.map(|kind| LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])));
        attributes.push(LinkAttribute::Address(vec![2, 0, 0, 0, 0, 7]));
        bytes(layer, attributes)
    }

    #[test]
    fn links_are_read_as_the_library_writes_them() {
        let facts = link_facts(&with_kind(LinkLayerType::Ether, Some(InfoKind::Veth))).expect("a link");
        assert_eq!((facts.index, facts.name.as_str(), facts.mtu), (7, "no-such0", 1_420));
        assert_eq!((facts.up, facts.running, facts.kind), (true, true, Kind::Virtual));
        assert_eq!(facts.mac, [2, 0, 0, 0, 0, 7]);
        let (ether, none) = (LinkLayerType::Ether, LinkLayerType::None);
        for (layer, kind, want) in [
            (LinkLayerType::Loopback, None, Kind::Loopback),
            (ether, Some(InfoKind::Bridge), Kind::Bridge),
            (ether, Some(InfoKind::Bond), Kind::Virtual),
            (ether, Some(InfoKind::Other("of-later".into())), Kind::Virtual),
            (ether, None, Kind::Ethernet),
            (LinkLayerType::Ppp, None, Kind::Tunnel),
            (LinkLayerType::Tunnel, None, Kind::Tunnel),
            (LinkLayerType::Tunnel6, None, Kind::Tunnel),
            (LinkLayerType::Rawip, None, Kind::Tunnel),
            (none, Some(InfoKind::Tun), Kind::Tunnel),
            (none, Some(InfoKind::Wireguard), Kind::Tunnel),
            (ether, Some(InfoKind::Vxlan), Kind::Tunnel),
            (ether, Some(InfoKind::GreTap), Kind::Tunnel),
            (ether, Some(InfoKind::GreTap6), Kind::Tunnel),
            (none, Some(InfoKind::IpIp), Kind::Tunnel),
            (none, Some(InfoKind::Ip6Tnl), Kind::Tunnel),
            (none, Some(InfoKind::SitTun), Kind::Tunnel),
            (none, Some(InfoKind::GreTun), Kind::Tunnel),
            (none, Some(InfoKind::GreTun6), Kind::Tunnel),
            (none, Some(InfoKind::Vti), Kind::Tunnel),
            (none, Some(InfoKind::Vti6), Kind::Tunnel),
            (none, Some(InfoKind::Gtp), Kind::Tunnel),
            (none, Some(InfoKind::Xfrm), Kind::Tunnel),
            (ether, Some(InfoKind::Geneve), Kind::Tunnel),
            (ether, Some(InfoKind::ErSpan), Kind::Tunnel),
            (ether, Some(InfoKind::Ip6ErSpan), Kind::Tunnel),
            (ether, Some(InfoKind::BareUdp), Kind::Tunnel),
            (ether, Some(InfoKind::Amt), Kind::Tunnel),
            (none, None, Kind::Other),
        ] {
            let text = format!("{layer:?} {kind:?}");
            let bytes = with_kind(layer, kind);
            assert_eq!(link_facts(&bytes).map(|facts| facts.kind), Some(want), "{text}");
            // Wherever it is cut off: no panic.
            (0..bytes.len()).for_each(|len| _ = link_facts(&bytes[..len]));
        }
        for mac in [vec![0; 6], vec![10, 0, 0, 1], vec![1; 20]] {
            let facts = link_facts(&bytes(ether, vec![LinkAttribute::Address(mac)])).expect("a link");
            assert!(facts.mac.is_empty(), "no hardware address of an Ethernet");
        }
        assert!(link_facts(&[0; 15]).is_none());
    }
}
