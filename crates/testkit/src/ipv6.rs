//! Whether tests of IPv6 can be run here.

use std::io::Write;
use std::net::UdpSocket;

/// Whether this machine has `::1`. Where it has not, that is said for `test`, past the harness, which shows nothing of tests that
/// pass: who counts on IPv6 sees what was not tested.
///
/// # Panics
/// If the system lists the address, and it cannot be used.
#[must_use]
pub fn has_ipv6_loopback(test: &str) -> bool {
    let Err(error) = UdpSocket::bind("[::1]:0") else { return true };
    assert!(!is_listed(), "{test}: this machine has ::1, and nothing can be bound to it: {error}");
    // Not `eprintln!`: that is what the harness holds back.
    let _ =
        writeln!(std::io::stderr(), "SKIPPED {test}: this machine has no IPv6 loopback address ({error})");
    false
}

/// Linux can do without IPv6 (`disable_ipv6`, `ipv6.disable=1`); the other systems have the address always.
fn is_listed() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let listed = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    listed.lines().any(|line| line.starts_with("00000000000000000000000000000001 "))
}
