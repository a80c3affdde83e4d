//! Facts as what changes are told of.

use routepool_proto::watch::{DefaultRoute, InterfaceId, InterfaceState, Snapshot};

use crate::interface::Facts;

/// Tentative addresses are left out until they can be used.
pub(super) fn snapshot(all: &[Facts]) -> Snapshot {
    let id = |facts: &Facts| InterfaceId { index: facts.index, name: facts.name.clone() };
    let interfaces = all.iter().map(|facts| InterfaceState {
        id: id(facts),
        up: facts.up && facts.running,
        addresses: facts.addresses.iter().filter(|a| !a.tentative).map(|a| (a.ip, a.prefix_len)).collect(),
        blocks: facts.blocks.clone(),
    });
    let default = |ipv6: bool| {
        let facts = all.iter().find(|f| if ipv6 { f.default_ipv6 } else { f.default_ipv4 })?;
        let gateway = facts.gateways.iter().find(|g| g.ipv6 == ipv6).and_then(|g| g.address);
        Some(DefaultRoute { interface: id(facts), gateway })
    };
    Snapshot::new(interfaces.collect(), default(false), default(true))
}
