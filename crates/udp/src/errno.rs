//! What an operating system's error number means, one question each.

use std::io;

/// Whether the same send may succeed in a moment: a full queue, an interrupted call.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
        return true;
    }
    // ENOBUFS: the device queue is full (udp(7)). ENOMEM: the kernel found no memory for this one datagram.
    #[cfg(unix)]
    if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM)) {
        return true;
    }
    // WSAENOBUFS
    cfg!(windows) && error.raw_os_error() == Some(10_055)
}

/// Whether the process, or the system, has no descriptor left for one more socket.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    let (process, system) = (libc::EMFILE, libc::ENFILE);
    // WSAEMFILE; Windows has no limit of the system.
    #[cfg(not(unix))]
    let (process, system) = (10_024, 10_024);
    error.raw_os_error().is_some_and(|number| number == process || number == system)
}

/// Whether a received ICMP error stands behind this: nothing listens at the destination, or no router knows a way. On a
/// receive call it speaks of an earlier datagram, not of this call.
#[must_use]
pub fn is_icmp(error: &io::Error) -> bool {
    // WSAENETRESET on a datagram socket: the time to live of an earlier datagram ran out (WSARecvFrom).
    if cfg!(windows) && error.raw_os_error() == Some(10_052) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Whether a connection is being made, and will be told made or failed.
#[must_use]
pub fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// Whether descriptors or memory have run out.
#[cfg(unix)]
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Whether a receive call failed because the datagram was longer than the buffer. Windows makes an error of it
/// (`WSAEMSGSIZE`), others cut it off.
#[must_use]
pub fn is_too_long(error: &io::Error) -> bool {
    cfg!(windows) && error.raw_os_error() == Some(10_040)
}

/// The error number as Node writes it, without its sign; [`EIO`] if the error did not come from the operating system and is none
/// that the system could have given.
#[must_use]
pub fn number(error: &io::Error) -> u16 {
    let raw = error.raw_os_error().or(match error.kind() {
        io::ErrorKind::AddrNotAvailable => Some(EADDRNOTAVAIL),
        io::ErrorKind::Unsupported => Some(EOPNOTSUPP),
        _ => None,
    });
    raw.map_or(EIO, node_number)
}

/// The number that stands for an error without one, as Node writes it: `EIO`.
pub const EIO: u16 = if cfg!(windows) { 4_070 } else { 5 };

#[cfg(unix)]
use libc::{EADDRNOTAVAIL, EOPNOTSUPP};
#[cfg(not(unix))]
const EADDRNOTAVAIL: i32 = 10_049;
#[cfg(not(unix))]
const EOPNOTSUPP: i32 = 10_045;

/// The number under which Node knows a system's error: the same on Unix. On Windows Node has numbers of its own
/// (`uv_errno_t`), which alone `util.getSystemErrorName()` can name; those without one become `UNKNOWN`, as in Node.
#[must_use]
pub fn node_number(raw: i32) -> u16 {
    if cfg!(windows) { windows_number(raw) } else { u16::try_from(raw).unwrap_or(0) }
}

/// `UV_UNKNOWN`.
const UNKNOWN: u16 = 4_094;

/// Codes of Winsock (10,000 and above) and of Win32, as libuv's `uv_translate_sys_error` maps them.
fn windows_number(raw: i32) -> u16 {
    match raw {
        5 | 10_013 => 4_092,                 // ERROR_ACCESS_DENIED, WSAEACCES: EACCES
        10_048 => 4_091,                     // WSAEADDRINUSE: EADDRINUSE
        10_049 => 4_090,                     // WSAEADDRNOTAVAIL: EADDRNOTAVAIL
        10_047 => 4_089,                     // WSAEAFNOSUPPORT: EAFNOSUPPORT
        10_035 => 4_088,                     // WSAEWOULDBLOCK: EAGAIN
        10_037 => 4_084,                     // WSAEALREADY: EALREADY
        6 | 10_009 => 4_083,                 // ERROR_INVALID_HANDLE, WSAEBADF: EBADF
        995 => 4_081,                        // ERROR_OPERATION_ABORTED: ECANCELED
        10_053 => 4_079,                     // WSAECONNABORTED: ECONNABORTED
        1_225 | 10_061 => 4_078,             // ERROR_CONNECTION_REFUSED, WSAECONNREFUSED: ECONNREFUSED
        64 | 10_052 | 10_054 => 4_077,       // ERROR_NETNAME_DELETED, WSAENETRESET, WSAECONNRESET: ECONNRESET
        10_039 => 4_076,                     // WSAEDESTADDRREQ: EDESTADDRREQ
        10_014 => 4_074,                     // WSAEFAULT: EFAULT
        1_232 | 10_064 | 10_065 => 4_073, // ERROR_HOST_UNREACHABLE, WSAEHOSTDOWN, WSAEHOSTUNREACH: EHOSTUNREACH
        10_004 => 4_072,                  // WSAEINTR: EINTR
        87 | 122 | 10_022 | 10_042 => 4_071, // ERROR_INVALID_PARAMETER, WSAEINVAL, WSAENOPROTOOPT: EINVAL
        10_056 => 4_069,                  // WSAEISCONN: EISCONN
        4 | 10_024 => 4_066,              // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE: EMFILE
        10_040 => 4_065,                  // WSAEMSGSIZE: EMSGSIZE
        10_050 => 4_063,                  // WSAENETDOWN: ENETDOWN
        1_231 | 10_051 => 4_062,          // ERROR_NETWORK_UNREACHABLE, WSAENETUNREACH: ENETUNREACH
        10_055 => 4_060,                  // WSAENOBUFS: ENOBUFS
        2 | 3 | 11_001 | 11_004 => 4_058, // ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, WSAHOST_NOT_FOUND: ENOENT
        8 | 14 => 4_057,                  // ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY: ENOMEM
        10_057 => 4_053,                  // WSAENOTCONN: ENOTCONN
        10_038 => 4_050,                  // WSAENOTSOCK: ENOTSOCK
        50 | 10_045 => 4_049,             // ERROR_NOT_SUPPORTED, WSAEOPNOTSUPP: ENOTSUP
        1_314 => 4_048,                   // ERROR_PRIVILEGE_NOT_HELD: EPERM
        10_043 => 4_045,                  // WSAEPROTONOSUPPORT: EPROTONOSUPPORT
        10_041 => 4_044,                  // WSAEPROTOTYPE: EPROTOTYPE
        10_058 => 4_042,                  // WSAESHUTDOWN: ESHUTDOWN
        121 | 10_060 => 4_039,            // ERROR_SEM_TIMEOUT, WSAETIMEDOUT: ETIMEDOUT
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_full_queue_is_transient_and_a_missing_address_is_not() {
        for (number, want) in [
            (libc::EAGAIN, true),
            (libc::ENOBUFS, true),
            (libc::EINTR, true),
            (EADDRNOTAVAIL, false),
            (libc::EPERM, false),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_transient(&error), want, "{error}");
            assert_eq!(i32::from(super::number(&error)), number);
        }
        assert!(is_icmp(&io::Error::from_raw_os_error(libc::ECONNREFUSED)));
        assert_eq!(number(&io::Error::other("text")), EIO);
        assert_eq!(i32::from(number(&io::ErrorKind::AddrNotAvailable.into())), EADDRNOTAVAIL);
    }

    #[test]
    fn the_codes_of_windows_become_those_of_node() {
        for (raw, node, name) in [
            (10_013, 4_092, "EACCES"),
            (10_048, 4_091, "EADDRINUSE"),
            (10_049, 4_090, "EADDRNOTAVAIL"),
            (10_051, 4_062, "ENETUNREACH"),
            (10_065, 4_073, "EHOSTUNREACH"),
            (10_061, 4_078, "ECONNREFUSED"),
            (10_060, 4_039, "ETIMEDOUT"),
            (10_045, 4_049, "ENOTSUP"),
            (1_168, UNKNOWN, "ERROR_NOT_FOUND, which Node does not know either"),
        ] {
            assert_eq!(windows_number(raw), node, "{name}");
        }
    }

    #[test]
    #[cfg(windows)]
    fn what_windows_says_of_a_datagram() {
        let of = io::Error::from_raw_os_error;
        assert!(is_transient(&of(10_055)) && is_transient(&of(10_035)) && !is_transient(&of(10_049)));
        assert!(is_icmp(&of(10_054)) && is_icmp(&of(10_052)) && !is_icmp(&of(10_040)));
        assert!(is_too_long(&of(10_040)) && number(&of(10_049)) == 4_090);
    }
}
