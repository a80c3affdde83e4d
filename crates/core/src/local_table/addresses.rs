//! Where local routes cannot be asked for: the addresses of the interfaces, and loopback's own block.

use std::io;
use std::net::IpAddr;

/// The addresses of a family as prefixes of full length.
pub(super) fn local_prefixes(ipv6: bool) -> io::Result<Vec<(IpAddr, u8)>> {
    let len = if ipv6 { 128 } else { 32 };
    let addresses = if_addrs::get_if_addrs()?;
    Ok(addresses.into_iter().map(|a| a.ip()).filter(|ip| ip.is_ipv6() == ipv6).map(|ip| (ip, len)).collect())
}
