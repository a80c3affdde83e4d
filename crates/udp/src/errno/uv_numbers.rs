//! Windows: under which number Node knows an error (`uv_errno_t`, the same in every version of libuv).

use windows_sys::Win32::Foundation as win32;
use windows_sys::Win32::Networking::WinSock as winsock;

/// `UV_UNKNOWN`.
const UNKNOWN: u16 = 4_094;
/// `UV_EIO`.
#[cfg(windows)]
pub(super) const EIO: u16 = 4_070;

/// Codes of Winsock and of Win32, as libuv's `uv_translate_sys_error` maps them.
pub(super) fn node_number(raw: i32) -> u16 {
    match raw {
        winsock::WSAEACCES => 4_092,                               // EACCES
        winsock::WSAEADDRINUSE => 4_091,                           // EADDRINUSE
        winsock::WSAEADDRNOTAVAIL => 4_090,                        // EADDRNOTAVAIL
        winsock::WSAEAFNOSUPPORT => 4_089,                         // EAFNOSUPPORT
        winsock::WSAEWOULDBLOCK => 4_088,                          // EAGAIN
        winsock::WSAEALREADY => 4_084,                             // EALREADY
        winsock::WSAEBADF => 4_083,                                // EBADF
        winsock::WSAECONNABORTED => 4_079,                         // ECONNABORTED
        winsock::WSAECONNREFUSED => 4_078,                         // ECONNREFUSED
        winsock::WSAENETRESET | winsock::WSAECONNRESET => 4_077,   // ECONNRESET
        winsock::WSAEDESTADDRREQ => 4_076,                         // EDESTADDRREQ
        winsock::WSAEFAULT => 4_074,                               // EFAULT
        winsock::WSAEHOSTDOWN | winsock::WSAEHOSTUNREACH => 4_073, // EHOSTUNREACH
        winsock::WSAEINTR => 4_072,                                // EINTR
        winsock::WSAEINVAL | winsock::WSAENOPROTOOPT => 4_071,     // EINVAL
        winsock::WSAEISCONN => 4_069,                              // EISCONN
        winsock::WSAEMFILE => 4_066,                               // EMFILE
        winsock::WSAEMSGSIZE => 4_065,                             // EMSGSIZE
        winsock::WSAENETDOWN => 4_063,                             // ENETDOWN
        winsock::WSAENETUNREACH => 4_062,                          // ENETUNREACH
        winsock::WSAENOBUFS => 4_060,                              // ENOBUFS
        winsock::WSAHOST_NOT_FOUND | winsock::WSANO_DATA => 4_058, // ENOENT
        winsock::WSAENOTCONN => 4_053,                             // ENOTCONN
        winsock::WSAENOTSOCK => 4_050,                             // ENOTSOCK
        winsock::WSAEOPNOTSUPP => 4_049,                           // ENOTSUP
        winsock::WSAEPROTONOSUPPORT => 4_045,                      // EPROTONOSUPPORT
        winsock::WSAEPROTOTYPE => 4_044,                           // EPROTOTYPE
        winsock::WSAESHUTDOWN => 4_042,                            // ESHUTDOWN
        winsock::WSAETIMEDOUT => 4_039,                            // ETIMEDOUT
        _ => win32_number(raw.cast_unsigned()),
    }
}

fn win32_number(raw: u32) -> u16 {
    match raw {
        win32::ERROR_ACCESS_DENIED => 4_092,      // EACCES
        win32::ERROR_INVALID_HANDLE => 4_083,     // EBADF
        win32::ERROR_OPERATION_ABORTED => 4_081,  // ECANCELED
        win32::ERROR_CONNECTION_REFUSED => 4_078, // ECONNREFUSED
        win32::ERROR_NETNAME_DELETED => 4_077,    // ECONNRESET
        win32::ERROR_HOST_UNREACHABLE => 4_073,   // EHOSTUNREACH
        win32::ERROR_INVALID_PARAMETER | win32::ERROR_INSUFFICIENT_BUFFER => 4_071, // EINVAL
        win32::ERROR_TOO_MANY_OPEN_FILES => 4_066, // EMFILE
        win32::ERROR_NETWORK_UNREACHABLE => 4_062, // ENETUNREACH
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND => 4_058, // ENOENT
        win32::ERROR_NOT_ENOUGH_MEMORY | win32::ERROR_OUTOFMEMORY => 4_057, // ENOMEM
        win32::ERROR_NOT_SUPPORTED => 4_049,      // ENOTSUP
        win32::ERROR_PRIVILEGE_NOT_HELD => 4_048, // EPERM
        win32::ERROR_SEM_TIMEOUT => 4_039,        // ETIMEDOUT
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (5, 4_092, "EACCES"),
            (122, 4_071, "EINVAL"),
            (11_004, 4_058, "ENOENT"),
            (1_314, 4_048, "EPERM"),
            (1_168, UNKNOWN, "ERROR_NOT_FOUND, which Node does not know either"),
        ] {
            assert_eq!(node_number(raw), node, "{name}");
        }
    }
}
