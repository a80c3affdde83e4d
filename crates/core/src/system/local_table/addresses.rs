//! Where local routes cannot be asked for: the addresses of the interfaces, and loopback's own block.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use routepool_proto::ip_number::bits;

/// The addresses of a family as prefixes of full length. On Windows every address of 127.0.0.0/8 can be bound, whatever the
/// loopback interface is said to hold; macOS and FreeBSD know those alone that were given to it.
pub(super) fn local_prefixes(ipv6: bool) -> io::Result<Vec<(IpAddr, u8)>> {
    let len = bits(ipv6);
    let addresses = if_addrs::get_if_addrs()?;
    let own = addresses.into_iter().map(|a| a.ip()).filter(|ip| ip.is_ipv6() == ipv6).map(|ip| (ip, len));
    let block = (cfg!(windows) && !ipv6).then_some((Ipv4Addr::new(127, 0, 0, 0).into(), 8));
    Ok(own.chain(block).collect())
}
