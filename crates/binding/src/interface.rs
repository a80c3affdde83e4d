//! Interfaces as plain objects.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::interface::{Address, Facts, Gateway, enumerate};
use routepool_proto::ip_block::IpBlock;

use crate::failure::Failure;

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

/// An address of an interface.
#[napi(object, object_from_js = false)]
pub struct AddressFacts {
    /// The address.
    pub ip: String,
    /// Length of its subnet's prefix.
    pub prefix_length: u32,
    /// 4 or 6.
    pub family: u32,
    /// `global`, `private`, `link-local` and so on.
    pub scope: String,
    /// For link-local IPv6 addresses the number of the interface, else 0.
    pub scope_id: u32,
    /// A name of its own, such as `eth0:1`.
    pub label: Option<String>,
    /// An IPv6 privacy address.
    pub temporary: bool,
    /// Not to be used for new connections.
    pub deprecated: bool,
    /// Not yet known to be unique.
    pub tentative: bool,
}

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
    pub addresses: Vec<AddressFacts>,
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

pub(crate) fn interfaces() -> Result<Vec<Facts>, Error> {
    enumerate().map_err(|source| Error::System { syscall: "netlink", address: None, source })
}

pub(crate) fn family(ipv6: bool) -> u32 {
    if ipv6 { 6 } else { 4 }
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
            addresses: facts.addresses.iter().map(AddressFacts::from).collect(),
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

impl From<&Address> for AddressFacts {
    fn from(address: &Address) -> Self {
        Self {
            ip: address.ip.to_string(),
            prefix_length: address.prefix_len.into(),
            family: family(address.ip.is_ipv6()),
            scope: address.scope().as_str().to_owned(),
            scope_id: address.scope_id,
            label: address.label.clone(),
            temporary: address.temporary,
            deprecated: address.deprecated,
            tentative: address.tentative,
        }
    }
}

impl From<&IpBlock> for Prefix {
    fn from(block: &IpBlock) -> Self {
        // Blocks of interfaces are prefixes; a range would show its first address alone.
        let full = if block.is_ipv6() { 128 } else { 32 };
        Self { ip: block.first().to_string(), cidr: block.prefix_len().unwrap_or(full).into() }
    }
}
