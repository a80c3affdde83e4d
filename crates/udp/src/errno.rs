//! What an operating system's error number means, one question each.

use std::io;

#[cfg(unix)]
#[path = "errno/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "errno/windows.rs"]
mod platform;
#[cfg(any(windows, test))]
mod uv_numbers;

use platform::{EADDRNOTAVAIL, EINPROGRESS, EOPNOTSUPP};

/// Whether it is one of these.
fn is_one_of(error: &io::Error, numbers: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// Whether the same send may succeed in a moment: a full queue, an interrupted call.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || is_one_of(error, platform::TRANSIENT)
}

/// Whether the process, or the system, has no descriptor left for one more socket.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    is_one_of(error, platform::OUT_OF_DESCRIPTORS)
}

/// Whether a received ICMP error stands behind this: nothing listens at the destination, or no router knows a way. On a
/// receive call it speaks of an earlier datagram, not of this call.
#[must_use]
pub fn is_icmp(error: &io::Error) -> bool {
    is_one_of(error, platform::ICMP)
        || matches!(
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
    is_one_of(error, &[EINPROGRESS]) || error.kind() == io::ErrorKind::WouldBlock
}

/// Whether descriptors or memory have run out.
#[cfg(unix)]
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    is_out_of_descriptors(error) || is_one_of(error, platform::TRANSIENT)
}

/// Whether a receive call failed because the datagram was longer than the buffer. Windows makes an error of it
/// (`WSAEMSGSIZE`), others cut it off.
#[must_use]
pub fn is_too_long(error: &io::Error) -> bool {
    is_one_of(error, platform::TOO_LONG)
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
pub const EIO: u16 = platform::EIO;

/// The number under which Node knows a system's error: the same on Unix. On Windows Node has numbers of its own
/// (`uv_errno_t`), which alone `util.getSystemErrorName()` can name; those without one become `UNKNOWN`, as in Node.
#[must_use]
pub fn node_number(raw: i32) -> u16 {
    platform::node_number(raw)
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
    #[cfg(windows)]
    fn what_windows_says_of_a_datagram() {
        use windows_sys::Win32::Networking::WinSock::{
            WSAECONNRESET, WSAEMSGSIZE, WSAENETRESET, WSAENOBUFS, WSAEWOULDBLOCK,
        };

        let of = io::Error::from_raw_os_error;
        assert!(is_transient(&of(WSAENOBUFS)) && is_transient(&of(WSAEWOULDBLOCK)));
        assert!(!is_transient(&of(EADDRNOTAVAIL)));
        assert!(is_icmp(&of(WSAECONNRESET)) && is_icmp(&of(WSAENETRESET)) && !is_icmp(&of(WSAEMSGSIZE)));
        assert!(is_too_long(&of(WSAEMSGSIZE)) && number(&of(EADDRNOTAVAIL)) == 4_090);
    }
}
