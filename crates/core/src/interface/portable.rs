//! Where the system is not asked directly: what if-addrs tells.

use std::io;

use if_addrs::{IfAddr, get_if_addrs};

use super::{Address, Facts, Kind};

pub(super) fn names() -> io::Result<Vec<String>> {
    Ok(enumerate()?.into_iter().map(|facts| facts.name).collect())
}

/// Names, numbers and addresses. Hardware addresses, gateways, flags and the kind are not known here.
pub(super) fn enumerate() -> io::Result<Vec<Facts>> {
    let mut all: Vec<Facts> = Vec::new();
    for found in get_if_addrs()? {
        let at = all.iter().position(|f| f.name == found.name).unwrap_or_else(|| {
            let kind = if found.is_loopback() { Kind::Loopback } else { Kind::Other };
            all.push(Facts {
                name: found.name.clone(),
                index: found.index.unwrap_or(0),
                kind,
                up: found.is_oper_up(),
                running: found.is_oper_up(),
                ..Facts::default()
            });
            all.len() - 1
        });
        let prefix_len = match &found.addr {
            IfAddr::V4(v4) => v4.prefixlen,
            IfAddr::V6(v6) => v6.prefixlen,
        };
        all[at].addresses.push(Address {
            ip: found.ip(),
            prefix_len,
            scope_id: 0,
            label: None,
            temporary: false,
            deprecated: false,
            tentative: false,
        });
    }
    all.sort_by_key(|f| f.index);
    Ok(all)
}
