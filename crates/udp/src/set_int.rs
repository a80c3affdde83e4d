//! Socket options that are an integer; the kinds that `socket2` does not have.

use std::io;

#[cfg(unix)]
pub(crate) fn set_int(
    socket: &impl std::os::fd::AsRawFd,
    level: i32,
    name: i32,
    value: i32,
) -> io::Result<()> {
    // SAFETY: `value` lives through the call and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(windows)]
pub(crate) fn set_int(
    socket: &impl std::os::windows::io::AsRawSocket,
    level: i32,
    name: i32,
    value: i32,
) -> io::Result<()> {
    use windows_sys::Win32::Networking::WinSock::{SOCKET, setsockopt};

    /// Length of the option.
    const LEN: i32 = 4;
    let (socket, value) = (socket.as_raw_socket() as SOCKET, value.to_ne_bytes());
    // SAFETY: `value` lives through the call and its length is given.
    let result = unsafe { setsockopt(socket, level, name, value.as_ptr(), LEN) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
