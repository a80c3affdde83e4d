//! Unix: errno(3).

pub(super) use libc::{EADDRNOTAVAIL, EINPROGRESS, EOPNOTSUPP};

/// `ENOBUFS`: the device queue is full (udp(7)). `ENOMEM`: the kernel found no memory for this one datagram.
pub(super) const TRANSIENT: &[i32] = &[libc::ENOBUFS, libc::ENOMEM];
/// Of the process, and of the system.
pub(super) const OUT_OF_DESCRIPTORS: &[i32] = &[libc::EMFILE, libc::ENFILE];
/// `io::ErrorKind` has names for all of them.
pub(super) const ICMP: &[i32] = &[];
/// What is too long is cut off.
pub(super) const TOO_LONG: &[i32] = &[];
pub(super) const EIO: u16 = libc::EIO as u16;

pub(super) fn node_number(raw: i32) -> u16 {
    u16::try_from(raw).unwrap_or(0)
}
