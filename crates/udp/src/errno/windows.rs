//! Windows: the errors of Winsock.

use windows_sys::Win32::Networking::WinSock as winsock;
pub(super) use winsock::{WSAEADDRNOTAVAIL as EADDRNOTAVAIL, WSAEOPNOTSUPP as EOPNOTSUPP};

pub(super) use super::uv_numbers::{EIO, node_number};

pub(super) const TRANSIENT: &[i32] = &[winsock::WSAENOBUFS];
/// Windows has no limit of the system.
pub(super) const OUT_OF_DESCRIPTORS: &[i32] = &[winsock::WSAEMFILE];
/// On a datagram socket: the time to live of an earlier datagram ran out (`WSARecvFrom`).
pub(super) const ICMP: &[i32] = &[winsock::WSAENETRESET];
pub(super) const TOO_LONG: &[i32] = &[winsock::WSAEMSGSIZE];
/// "Would block" says it.
pub(super) const EINPROGRESS: i32 = winsock::WSAEWOULDBLOCK;
