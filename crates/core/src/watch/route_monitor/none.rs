//! Systems whose messages are not read yet: interfaces are looked at now and then.

use std::io;

use super::RouteMonitor;

/// Whether the system tells.
pub(in crate::watch) const REPORTS_CHANGES: bool = false;

pub(in crate::watch) fn check() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::watch) fn open() -> io::Result<Box<dyn RouteMonitor>> {
    Err(io::ErrorKind::Unsupported.into())
}
