//! Linux: links, addresses and routes from netlink dumps (rtnetlink(7)).

#[path = "linux/address.rs"]
mod address;
#[path = "linux/gateway.rs"]
mod gateway;
#[path = "linux/link.rs"]
mod link;

use std::collections::HashMap;
use std::io;

use routepool_proto::ip_block::{HostPolicy, IpBlock};
use routepool_proto::scope::{Scope, scope};

use super::{Address, Facts, Gateway, Kind};
use crate::system::local_table::local_blocks;
use crate::system::netlink::{Kernel, Question};
pub(crate) use address::InterfaceAddress;
use gateway::gateways;
use link::link_facts;

pub(super) fn names() -> io::Result<Vec<String>> {
    Ok(links(&mut Kernel::open()?)?.into_iter().map(|facts| facts.name).collect())
}

pub(super) fn enumerate() -> io::Result<Vec<Facts>> {
    let mut kernel = Kernel::open()?;
    let mut all = links(&mut kernel)?;
    let place: HashMap<u32, usize> = all.iter().enumerate().map(|(at, f)| (f.index, at)).collect();
    let held = kernel.dump(Question::Addresses, |payload| {
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
        let gateways = default_routes(&mut kernel, ipv6)?;
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
    let mut all = kernel.dump(Question::Links, |payload| Ok(link_facts(payload)))?;
    all.sort_unstable_by_key(|facts| facts.index);
    Ok(all)
}

/// The default routes of a family in all tables, each with the number of its interface.
fn default_routes(kernel: &mut Kernel, ipv6: bool) -> io::Result<Vec<(u32, Gateway)>> {
    let question = Question::Routes { ipv6, kind: libc::RTN_UNICAST, table: libc::RT_TABLE_UNSPEC };
    let found = kernel.dump(question, |payload| Ok(Some(gateways(payload, ipv6))))?;
    Ok(found.into_iter().flatten().collect())
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
