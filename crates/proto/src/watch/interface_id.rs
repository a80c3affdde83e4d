//! Which interface, and which one traffic leaves by.

use std::net::IpAddr;

/// An interface: a name can be given again, a number is not while the interface is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceId {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
}

/// Where traffic goes that no other route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The interface.
    pub interface: InterfaceId,
    /// The router; `None` where the link itself leads everywhere, or where the system does not say.
    pub gateway: Option<IpAddr>,
}
