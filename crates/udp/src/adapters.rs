//! Network interfaces, their addresses and default routes, as macOS, FreeBSD and Windows tell them. On Linux netlink says more.

#[cfg(native_adapters)]
use std::io;
use std::net::IpAddr;

#[cfg(bsd_adapters)]
#[path = "adapters/bsd.rs"]
mod platform;
#[cfg(windows)]
#[path = "adapters/windows.rs"]
mod platform;
#[cfg(any(test, bsd_adapters))]
mod route_dump;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adapter {
    /// Its name; on Windows the one that people see (`Ethernet`, `Wi-Fi`), as in `os.networkInterfaces()`.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its hardware address; empty if it has none.
    pub mac: Vec<u8>,
    /// Largest packet, in bytes; 0 if the system does not say.
    pub mtu: u32,
    /// Its type by the registry of IANA (ifType of the IF-MIB, RFC 2863); 0 if the system does not say.
    pub if_type: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether packets can pass: a cable is in, a network is joined.
    pub running: bool,
    /// Whether it leads to one other end only.
    pub point_to_point: bool,
    /// Whether it is wireless, where the type does not say so.
    pub wireless: bool,
    /// Its addresses, in the system's order.
    pub addresses: Vec<Held>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The address.
    pub ip: IpAddr,
    /// Length of its subnet's prefix.
    pub prefix_len: u8,
    /// For link-local IPv6 addresses the number of the interface, else 0.
    pub scope_id: u32,
    /// An IPv6 privacy address (RFC 8981).
    pub temporary: bool,
    /// Not to be used for new connections (RFC 4862, section 5.5.4).
    pub deprecated: bool,
    /// Not yet known to be unique, or known not to be (RFC 4862, section 5.4).
    pub tentative: bool,
}

/// A route for all destinations that no other route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Number of the interface that it leads to.
    pub index: u32,
    /// Whether it is for IPv6.
    pub ipv6: bool,
    /// The router; `None` where the link itself leads everywhere.
    pub gateway: Option<IpAddr>,
    /// The lower, the sooner it is used. Windows: metric of the route and of the interface together. macOS and FreeBSD have
    /// no metric: 0 is the route in use, 1 one that counts only for sockets bound to its interface.
    pub metric: u32,
}

/// All interfaces.
///
/// # Errors
/// What the system says: `getifaddrs(3)` on macOS and FreeBSD, `GetAdaptersAddresses` on Windows.
#[cfg(native_adapters)]
pub fn adapters() -> io::Result<Vec<Adapter>> {
    platform::adapters()
}

/// All default routes of both families.
///
/// # Errors
/// What the system says: the `NET_RT_DUMP` of `sysctl(3)` on macOS and FreeBSD, `GetIpForwardTable2` on Windows.
#[cfg(native_adapters)]
pub fn default_routes() -> io::Result<Vec<DefaultRoute>> {
    platform::default_routes()
}
