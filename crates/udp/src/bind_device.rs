//! Binds a socket to an interface: the second rung of the ladder by which sockets are bound.

use std::io;

use socket2::Socket;

/// Makes all that the socket sends leave by the interface of that name.
///
/// | system | how | what it does |
/// |---|---|---|
/// | Linux | `SO_BINDTODEVICE` (socket(7)); before 5.7 it needs `CAP_NET_RAW` | also receives only from there |
/// | macOS | `IP_BOUND_IF`, `IPV6_BOUND_IF` (ip(4), ip6(4)) | also receives only from there |
/// | Windows | `IP_UNICAST_IF`, `IPV6_UNICAST_IF` | receives from everywhere |
/// | others | [`io::ErrorKind::Unsupported`] | |
///
/// # Errors
/// What the system says: `ENODEV` or `ENXIO` for a name that is none, `EPERM` where it takes a privilege.
pub fn bind_device(socket: &Socket, ipv6: bool, interface: &str) -> io::Result<()> {
    platform::bind_device(socket, ipv6, interface)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use super::{Socket, io};

    pub(super) fn bind_device(socket: &Socket, _ipv6: bool, interface: &str) -> io::Result<()> {
        socket.bind_device(Some(interface.as_bytes()))
    }
}

#[cfg(target_os = "macos")]
mod platform {
    use std::ffi::CString;
    use std::num::NonZeroU32;

    use super::{Socket, io};

    pub(super) fn bind_device(socket: &Socket, ipv6: bool, interface: &str) -> io::Result<()> {
        let index = Some(index_of(interface)?);
        if ipv6 { socket.bind_device_by_index_v6(index) } else { socket.bind_device_by_index_v4(index) }
    }

    fn index_of(interface: &str) -> io::Result<NonZeroU32> {
        let name = CString::new(interface)?;
        // SAFETY: the name ends with a zero byte and lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        NonZeroU32::new(index).ok_or_else(io::Error::last_os_error)
    }
}

#[cfg(windows)]
mod platform {
    use windows_sys::Win32::NetworkManagement::IpHelper::{
        ConvertInterfaceAliasToLuid, ConvertInterfaceLuidToIndex,
    };
    use windows_sys::Win32::NetworkManagement::Ndis::NET_LUID_LH;
    use windows_sys::Win32::Networking::WinSock::{IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_IF};

    use super::{Socket, io};
    use crate::set_int::set_int;

    pub(super) fn bind_device(socket: &Socket, ipv6: bool, interface: &str) -> io::Result<()> {
        let index = index_of(interface)?;
        // The number is in network byte order for IPv4 and in host byte order for IPv6 (IPPROTO_IP socket options).
        let (level, name, value) = if ipv6 {
            (IPPROTO_IPV6, IPV6_UNICAST_IF, index)
        } else {
            (IPPROTO_IP, IP_UNICAST_IF, index.to_be())
        };
        set_int(socket, level, name, value.cast_signed())
    }

    fn index_of(interface: &str) -> io::Result<u32> {
        let name: Vec<u16> = interface.encode_utf16().chain([0]).collect();
        let (mut luid, mut index) = (NET_LUID_LH::default(), 0);
        // SAFETY: the name ends with a zero; the results are written to places that live through the calls.
        let error = unsafe {
            match ConvertInterfaceAliasToLuid(name.as_ptr(), &raw mut luid) {
                0 => ConvertInterfaceLuidToIndex(&raw const luid, &raw mut index),
                error => error,
            }
        };
        if error == 0 { Ok(index) } else { Err(io::Error::from_raw_os_error(error.cast_signed())) }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", windows)))]
mod platform {
    use super::{Socket, io};

    pub(super) fn bind_device(_socket: &Socket, _ipv6: bool, _interface: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
