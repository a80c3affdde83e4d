//! What a daemon listens with: which sockets serve the addresses, and whether this machine holds them.

use routepool_proto::ip_block::IpBlock;
use routepool_proto::listen::{Layout, Listener, listeners};

use crate::Error;
use crate::system::local_table::LocalTable;

/// Chooses the sockets for some addresses. Nothing is opened.
///
/// Blocks that share a socket must be held by this machine: the socket itself is bound to no address, so nothing else would
/// notice. Of an address with a socket of its own the system says so when that is bound.
///
/// # Errors
/// [`Error::Block`] for a text that is no block, [`Error::NotLocal`] for a block that this machine does not hold,
/// [`Error::Option`] for more sockets than a process can have, [`Error::System`] if the system does not tell what it holds.
pub fn plan(addresses: &[String], layout: Layout) -> Result<Vec<Listener>, Error> {
    let block = |text: &String| text.parse::<IpBlock>().map_err(|error| Error::Block(error.to_string()));
    let blocks = addresses.iter().map(block).collect::<Result<Vec<_>, _>>()?;
    // Elsewhere a datagram is not told with its destination, and answered from whatever address the system takes.
    let can_share = cfg!(target_os = "linux");
    let sockets = listeners(&blocks, layout, can_share)
        .map_err(|error| Error::option_error("sockets", error.to_string()))?;
    for socket in &sockets {
        let Listener::Ranges(ranges) = socket else { continue };
        let Some((first, _)) = ranges.first() else { continue };
        let held = LocalTable::read(first.is_ipv6());
        let held = held.map_err(|source| Error::System { syscall: "netlink", address: None, source })?;
        for (first, last) in ranges {
            let range =
                IpBlock::from_range(*first, *last).map_err(|error| Error::Block(error.to_string()))?;
            held.check(&range)?;
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(addresses: &[&str], layout: Layout) -> Result<Vec<Listener>, Error> {
        plan(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), layout)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_block_that_shares_a_socket_must_be_held() {
        assert_eq!(plan_of(&["127.9.0.0/16"], Layout::Auto).expect("loopback is held").len(), 1);
        let error = plan_of(&["127.9.0.0/16", "203.0.113.0/25"], Layout::Auto).expect_err("not held");
        assert!(matches!(error, Error::NotLocal(_)), "{error}");
        assert!(plan_of(&["203.0.113.7"], Layout::Auto).is_ok(), "binding it tells");
        assert!(matches!(plan_of(&["203.0.113.7"], Layout::One), Err(Error::NotLocal(_))));
    }

    #[test]
    fn nonsense_and_too_many_are_refused() {
        assert!(matches!(plan_of(&["10.0.0.0/33"], Layout::Auto), Err(Error::Block(_))));
        let error = plan_of(&["10.0.0.0/8"], Layout::PerAddress).expect_err("too many");
        assert_eq!(error.option(), Some("sockets"));
    }
}
