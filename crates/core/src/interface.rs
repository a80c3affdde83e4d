//! The network interfaces of this machine: what the operating system says of them.

use std::io;
use std::net::IpAddr;

use routepool_proto::ip_block::IpBlock;
use routepool_proto::scope::{Scope, scope};

#[cfg(all(test, not(native_adapters)))]
mod adapters;
#[cfg(target_os = "linux")]
#[path = "interface/linux.rs"]
mod platform;
#[cfg(native_adapters)]
#[path = "interface/adapters.rs"]
mod platform;
#[cfg(not(any(target_os = "linux", native_adapters)))]
#[path = "interface/portable.rs"]
mod platform;

#[cfg(target_os = "linux")]
pub(crate) use platform::InterfaceAddress;

/// What kind of interface it is, by the system's own type and not by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Wired, or what looks like it to the system.
    Ethernet,
    /// Wireless.
    Wifi,
    /// Inside this machine.
    Loopback,
    /// A bridge.
    Bridge,
    /// Carries packets inside other packets: VPN, PPP, GRE, `WireGuard`.
    Tunnel,
    /// Made by software: veth, dummy, VLAN, bond, macvlan.
    Virtual,
    /// The system does not say.
    #[default]
    Other,
}

impl Kind {
    /// The name used in texts and dicts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Wifi => "wifi",
            Self::Loopback => "loopback",
            Self::Bridge => "bridge",
            Self::Tunnel => "tunnel",
            Self::Virtual => "virtual",
            Self::Other => "other",
        }
    }
}

/// A way to other networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The router; `None` where the link itself leads everywhere (a tunnel).
    pub address: Option<IpAddr>,
    /// Whether it is for IPv6 destinations (a router for IPv4 may have an IPv6 address, RFC 5549).
    pub ipv6: bool,
    /// The lower, the sooner it is used.
    pub metric: u32,
    /// The routing table; 254 is the main one on Linux.
    pub table: u32,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of its subnet's prefix.
    pub prefix_len: u8,
    /// For link-local IPv6 addresses the number of the interface, else 0.
    pub scope_id: u32,
    /// A name of its own, such as `eth0:1`, if it differs from the interface's.
    pub label: Option<String>,
    /// An IPv6 privacy address (RFC 8981), which is gone in a day.
    pub temporary: bool,
    /// Not to be used for new connections (RFC 4862, section 5.5.4).
    pub deprecated: bool,
    /// Not yet known to be unique, or known not to be (RFC 4862, section 5.4): it cannot be used.
    pub tentative: bool,
}

impl Address {
    /// The kind of the address.
    #[must_use]
    pub fn scope(&self) -> Scope {
        scope(self.ip)
    }

    /// Whether it may stand for a route: it will be there tomorrow, and may be used today.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !self.temporary && !self.deprecated && !self.tentative
    }
}

/// What the system says of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its hardware address; empty if it has none.
    pub mac: Vec<u8>,
    /// Largest packet, in bytes; 0 if the system does not say.
    pub mtu: u32,
    /// What it is.
    pub kind: Kind,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it has a link: a cable with something at its other end, a radio that is associated. Packets pass only when it is
    /// both up and running.
    pub running: bool,
    /// Whether the IPv4 traffic that no other route takes leaves by it.
    pub default_ipv4: bool,
    /// The same for IPv6.
    pub default_ipv6: bool,
    /// Ways to other networks, the most preferred first.
    pub gateways: Vec<Gateway>,
    /// Its addresses, in the system's order.
    pub addresses: Vec<Address>,
    /// Blocks that a local route holds without any address (Linux). Those of a route to the loopback interface stand here at
    /// the interface that their packets leave by.
    pub blocks: Vec<IpBlock>,
}

impl Facts {
    /// Addresses and blocks of a family that can be asked for what they leave as, in order.
    #[must_use]
    pub fn held(&self, ipv6: bool) -> Vec<IpBlock> {
        let usable = |a: &&Address| a.ip.is_ipv6() == ipv6 && a.is_lasting() && a.scope().can_be_probed();
        let addresses = self.addresses.iter().filter(usable);
        let single = addresses.filter_map(|a| IpBlock::from_range(a.ip, a.ip).ok());
        single.chain(self.blocks.iter().filter(|b| b.is_ipv6() == ipv6).copied()).collect()
    }

    /// The link-local IPv6 addresses that can be used.
    #[must_use]
    pub fn link_local(&self) -> Vec<IpAddr> {
        let usable = |a: &&Address| a.ip.is_ipv6() && !a.tentative && a.scope() == Scope::LinkLocal;
        self.addresses.iter().filter(usable).map(|a| a.ip).collect()
    }

    /// Whether it holds the address, by itself or in a block.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.ip == ip) || self.blocks.iter().any(|b| b.contains(ip))
    }
}

/// All interfaces, by number.
///
/// # Errors
/// What the system says when it does not tell.
pub fn enumerate() -> io::Result<Vec<Facts>> {
    platform::enumerate()
}

/// The names of all interfaces, by number: much cheaper than all facts where there are many addresses.
///
/// # Errors
/// What the system says when it does not tell.
pub fn names() -> io::Result<Vec<String>> {
    platform::names()
}

/// The interface that is taken when nobody names one: the default one for IPv4, else for IPv6, else the first that is up and
/// has an address that is not loopback, else loopback.
#[must_use]
pub fn default_of(interfaces: &[Facts]) -> Option<&Facts> {
    let first = |wanted: fn(&&Facts) -> bool| interfaces.iter().find(wanted);
    first(|f| f.default_ipv4)
        .or_else(|| first(|f| f.default_ipv6))
        .or_else(|| first(|f| f.up && f.kind != Kind::Loopback && f.addresses.iter().any(|a| a.ip.is_ipv4())))
        .or_else(|| first(|f| f.up && f.kind != Kind::Loopback && !f.addresses.is_empty()))
        .or_else(|| first(|f| f.kind == Kind::Loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address {
            ip: text.parse().expect("an address"),
            prefix_len: 24,
            scope_id: 0,
            label: None,
            temporary: false,
            deprecated: false,
            tentative: false,
        }
    }

    #[test]
    fn loopback_is_there_with_its_addresses() {
        let all = enumerate().expect("the system answers");
        assert!(names().expect("the system answers").iter().eq(all.iter().map(|f| &f.name)));
        let lo = all.iter().find(|f| f.kind == Kind::Loopback).expect("every machine has loopback");
        assert!(lo.up && lo.index > 0 && lo.holds("127.0.0.1".parse().expect("an address")));
        let address = lo.addresses.iter().find(|a| a.ip.is_ipv4()).expect("127.0.0.1");
        assert_eq!((address.prefix_len, address.scope()), (8, Scope::Loopback));
        assert!(lo.held(false).is_empty(), "loopback addresses cannot be asked for what they leave as");
    }

    #[test]
    fn passing_addresses_never_stand_for_a_route() {
        let passing = |change: fn(&mut Address)| {
            let mut a = address("2001:db8::7");
            change(&mut a);
            a
        };
        let facts = Facts {
            addresses: vec![
                passing(|a| a.temporary = true),
                passing(|a| a.deprecated = true),
                passing(|a| a.tentative = true),
                address("fe80::1"),
                address("2001:db8::1"),
                address("10.0.0.1"),
            ],
            blocks: vec!["198.18.0.0/16".parse().expect("a block")],
            ..Facts::default()
        };
        let text = |ipv6| facts.held(ipv6).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(true), ["2001:db8::1"]);
        assert_eq!(text(false), ["10.0.0.1", "198.18.0.0/16"]);
        assert_eq!(facts.link_local(), ["fe80::1".parse::<IpAddr>().expect("an address")]);
        assert!(facts.holds("198.18.7.7".parse().expect("an address")));
    }

    #[test]
    fn the_default_interface() {
        let with = |name: &str, change: &dyn Fn(&mut Facts)| {
            let mut facts = Facts { name: name.into(), up: true, ..Facts::default() };
            change(&mut facts);
            facts
        };
        let lo = with("lo", &|f| f.kind = Kind::Loopback);
        let six = with("six", &|f| f.default_ipv6 = true);
        let four = with("four", &|f| f.default_ipv4 = true);
        let lone = with("lone", &|f| f.addresses = vec![address("10.0.0.1")]);
        for (all, want, why) in [
            (vec![lo.clone(), six.clone(), four.clone()], Some("four"), "IPv4 goes first"),
            (vec![lo.clone(), lone.clone(), six.clone()], Some("six"), "IPv6 alone"),
            (vec![lo.clone(), lone.clone()], Some("lone"), "no route anywhere"),
            (vec![lo.clone()], Some("lo"), "nothing else"),
            (vec![], None, "nothing at all"),
        ] {
            assert_eq!(default_of(&all).map(|f| f.name.as_str()), want, "{why}");
        }
    }
}
