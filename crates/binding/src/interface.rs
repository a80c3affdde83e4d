//! Interfaces as plain objects.

use std::fmt::Write;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::interface::{Address, Facts, Gateway, enumerate, names};
use routepool_proto::ip_block::IpBlock;
use routepool_proto::ip_number::bits;
use routepool_proto::scope::Scope;

use crate::failure::Failure;
use crate::units::family;

/// A way to other networks.
#[napi(object, object_from_js = false)]
pub struct GatewayFacts {
    /// The router; missing where the link itself leads everywhere.
    pub address: Option<String>,
    /// 4 or 6: the family of the destinations.
    pub family: u32,
    /// The lower, the sooner it is used.
    pub metric: u32,
    /// The routing table; 254 is the main one on Linux.
    pub table: u32,
}

/// The addresses of an interface, packed: one object for each would cost more than all the rest.
#[napi(object, object_from_js = false)]
pub struct PackedAddresses {
    /// The addresses, each followed by a line feed.
    pub ips: String,
    /// Three bytes for each: length of the prefix, number of the scope in `scopes`, `ADDRESS_*` flags.
    pub facts: Uint8Array,
    /// The names of the scopes that occur: `global`, `private` and so on.
    pub scopes: Vec<String>,
    /// The names of those that have one of their own, such as `eth0:1`, each followed by a line feed.
    pub labels: String,
}

/// It is an IPv6 address.
const ADDRESS_IPV6: u8 = 1;
/// An IPv6 privacy address.
const ADDRESS_TEMPORARY: u8 = 2;
/// Not to be used for new connections.
const ADDRESS_DEPRECATED: u8 = 4;
/// Not yet known to be unique.
const ADDRESS_TENTATIVE: u8 = 8;
/// Its scope id is the number of the interface; others have 0.
const ADDRESS_SCOPED: u8 = 16;
/// It has a name of its own.
const ADDRESS_LABELLED: u8 = 32;

/// A prefix, or a single address.
#[napi(object, object_from_js = false)]
pub struct Prefix {
    /// First address.
    pub ip: String,
    /// Length of the prefix.
    pub cidr: u32,
}

/// What the system says of an interface.
#[napi(object, object_from_js = false)]
pub struct InterfaceFacts {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its hardware address, with colons.
    pub mac: Option<String>,
    /// Largest packet, in bytes; 0 if the system does not say.
    pub mtu: u32,
    /// `ethernet`, `wifi`, `loopback`, `bridge`, `tunnel`, `virtual` or `other`.
    pub kind: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it has a link.
    pub running: bool,
    /// Whether the IPv4 traffic that no other route takes leaves by it.
    pub default_ipv4: bool,
    /// The same for IPv6.
    pub default_ipv6: bool,
    /// Ways to other networks, the most preferred first.
    pub gateways: Vec<GatewayFacts>,
    /// Its addresses.
    pub addresses: PackedAddresses,
    /// Blocks that local routes hold.
    pub blocks: Vec<Prefix>,
}

/// All interfaces, by number.
#[napi(catch_unwind)]
pub fn list_interfaces() -> Either<Vec<InterfaceFacts>, Failure> {
    match interfaces() {
        Ok(all) => Either::A(all.iter().map(InterfaceFacts::from).collect()),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

/// The names of all interfaces, by number.
#[napi(catch_unwind)]
pub fn interface_names() -> Either<Vec<String>, Failure> {
    match names() {
        Ok(names) => Either::A(names),
        Err(source) => Either::B(Failure::from(&Error::System { syscall: "netlink", address: None, source })),
    }
}

pub(crate) fn interfaces() -> Result<Vec<Facts>, Error> {
    enumerate().map_err(|source| Error::System { syscall: "netlink", address: None, source })
}

impl From<&Facts> for InterfaceFacts {
    fn from(facts: &Facts) -> Self {
        let mac = facts.mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
        Self {
            name: facts.name.clone(),
            index: facts.index,
            mac: Some(mac).filter(|mac| !mac.is_empty()),
            mtu: facts.mtu,
            kind: facts.kind.as_str().to_owned(),
            up: facts.up,
            running: facts.running,
            default_ipv4: facts.default_ipv4,
            default_ipv6: facts.default_ipv6,
            gateways: facts.gateways.iter().map(GatewayFacts::from).collect(),
            addresses: PackedAddresses::from(&facts.addresses[..]),
            blocks: facts.blocks.iter().map(Prefix::from).collect(),
        }
    }
}

impl From<&Gateway> for GatewayFacts {
    fn from(gateway: &Gateway) -> Self {
        Self {
            address: gateway.address.map(|ip| ip.to_string()),
            family: family(gateway.ipv6),
            metric: gateway.metric,
            table: gateway.table,
        }
    }
}

impl From<&[Address]> for PackedAddresses {
    fn from(addresses: &[Address]) -> Self {
        let mut ips = String::with_capacity(addresses.len() * 16);
        let mut facts = Vec::with_capacity(addresses.len() * 3);
        let (mut scopes, mut labels): (Vec<Scope>, _) = (Vec::new(), String::new());
        for address in addresses {
            // Writing to a String cannot fail.
            let _ = writeln!(ips, "{}", address.ip);
            let scope = address.scope();
            let at = scopes.iter().position(|known| *known == scope).unwrap_or_else(|| {
                scopes.push(scope);
                scopes.len() - 1
            });
            facts.extend([address.prefix_len, at as u8, flags(address)]);
            if let Some(label) = &address.label {
                labels.push_str(label);
                labels.push('\n');
            }
        }
        let scopes = scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect();
        Self { ips, facts: facts.into(), scopes, labels }
    }
}

fn flags(address: &Address) -> u8 {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    flag(address.ip.is_ipv6(), ADDRESS_IPV6)
        | flag(address.temporary, ADDRESS_TEMPORARY)
        | flag(address.deprecated, ADDRESS_DEPRECATED)
        | flag(address.tentative, ADDRESS_TENTATIVE)
        | flag(address.scope_id != 0, ADDRESS_SCOPED)
        | flag(address.label.is_some(), ADDRESS_LABELLED)
}

impl From<&IpBlock> for Prefix {
    fn from(block: &IpBlock) -> Self {
        // Blocks of interfaces are prefixes; a range would show its first address alone.
        let full = bits(block.is_ipv6());
        Self { ip: block.first().to_string(), cidr: block.prefix_len().unwrap_or(full).into() }
    }
}
