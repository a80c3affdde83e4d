//! How the system tells of changes: the same calls for each system.

#[cfg(target_os = "linux")]
#[path = "route_monitor/netlink.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "route_monitor/none.rs"]
mod platform;

use std::io;
use std::task::{Context, Poll};

use routepool_proto::watch::AddressNotice;

pub(super) use platform::{REPORTS_CHANGES, check, open};

/// What the system says. It is a reason to look and never a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other systems do not tell yet"))]
pub(super) enum Notice {
    /// Of an address.
    Address(AddressNotice),
    /// Of an interface, or something that is not understood.
    Interface,
    /// Of a default route, a local block or a routing rule.
    Path,
    /// That it had more to say than its buffer holds.
    Overflow,
}

/// An open connection to what the system tells. It is made and used within the runtime.
pub(super) trait RouteMonitor: Send {
    /// Whether there may be something to read; if not, the task is woken when there is.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Reads all that there is now. An error means that the connection is lost.
    fn listen(&mut self, tell: &mut dyn FnMut(Notice)) -> io::Result<()>;
}
