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
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// The error number; 0 if the error did not come from the operating system.
#[must_use]
pub fn number(error: &io::Error) -> u16 {
    error.raw_os_error().and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_transient_and_a_missing_address_is_not() {
        for (number, want) in [
            (libc::EAGAIN, true),
            (libc::ENOBUFS, true),
            (libc::EINTR, true),
            (libc::EADDRNOTAVAIL, false),
            (libc::EPERM, false),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_transient(&error), want, "{error}");
            assert_eq!(i32::from(super::number(&error)), number);
        }
        assert!(is_icmp(&io::Error::from_raw_os_error(libc::ECONNREFUSED)));
        assert_eq!(number(&io::Error::other("text")), 0);
    }
}
