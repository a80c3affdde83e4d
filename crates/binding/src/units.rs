//! How JavaScript writes times and families of addresses.

use std::time::Duration;

/// A time in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A time from milliseconds; `None` for what is none: negative, not a number, or longer than a [`Duration`] holds.
pub(crate) fn duration(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1_000.0).ok()
}

/// 4 or 6.
pub(crate) fn family(ipv6: bool) -> u32 {
    if ipv6 { 6 } else { 4 }
}
