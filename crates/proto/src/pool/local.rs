//! Which local address is bound for an external one.

use std::net::IpAddr;

/// Which local address an external one is used from: what a socket must be bound to for it to leave as the external one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// The external address itself.
    Same,
    /// One address for all of them, behind a NAT that chooses the external one.
    Fixed(IpAddr),
}

impl Local {
    /// The local address for `external`.
    #[must_use]
    pub fn of(self, external: IpAddr) -> IpAddr {
        match self {
            Self::Same => external,
            Self::Fixed(local) => local,
        }
    }
}
