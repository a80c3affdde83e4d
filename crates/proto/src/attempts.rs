//! Which address of a name is connected to when: Happy Eyeballs (RFC 8305), without sockets and without a clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Connection attempts are this far apart, unless one fails before (RFC 8305, section 5: recommended).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Shortest delay that may be asked for (RFC 8305, section 5: at least 100 ms; 10 ms must never be gone under).
pub const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(100);

/// Longest delay that may be asked for (RFC 8305, section 5: 2 seconds).
pub const MAX_ATTEMPT_DELAY: Duration = Duration::from_secs(2);

/// Number of an attempt: its place among those of [`Attempts::destinations`].
pub type Attempt = usize;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin this attempt, then ask again.
    Start(Attempt, SocketAddr),
    /// Wait for an attempt to end, or until this time; `None`: nothing is left to begin.
    Wait(Option<Duration>),
    /// One attempt is connected. Close the sockets of all others.
    Connected(Attempt),
    /// Every attempt has failed. The error to report is that of the first attempt, the preferred address.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Failed,
}

/// The attempts to connect to one of several addresses. Times go in, attempts come out.
///
/// Addresses alternate between the families, beginning with the family of the first (RFC 8305, section 4, with a First Address
/// Family Count of 1). A failed attempt is followed by the next at once; otherwise the next begins after the delay, while the
/// earlier ones go on. The first that is connected ends it.
#[derive(Debug)]
pub struct Attempts {
    destinations: Vec<SocketAddr>,
    states: Vec<State>,
    delay: Duration,
    /// When the next attempt begins, whatever the others do.
    next_at: Duration,
    connected: Option<Attempt>,
}

impl Attempts {
    /// Attempts to `addresses`, in the order of the resolver (RFC 6724); one that is there twice is tried once. `delay` is
    /// brought between [`MIN_ATTEMPT_DELAY`] and [`MAX_ATTEMPT_DELAY`].
    #[must_use]
    pub fn new(addresses: &[SocketAddr], delay: Duration) -> Self {
        let destinations = alternate(addresses);
        Self {
            states: vec![State::Waiting; destinations.len()],
            destinations,
            delay: delay.clamp(MIN_ATTEMPT_DELAY, MAX_ATTEMPT_DELAY),
            next_at: Duration::ZERO,
            connected: None,
        }
    }

    /// The addresses in the order in which they are tried.
    #[must_use]
    pub fn destinations(&self) -> &[SocketAddr] {
        &self.destinations
    }

    /// What to do at `now`, a time since any fixed moment. Ask again after each [`Step::Start`], each end of an attempt, and at
    /// the time that [`Step::Wait`] has.
    pub fn poll(&mut self, now: Duration) -> Step {
        if let Some(attempt) = self.connected {
            return Step::Connected(attempt);
        }
        let waiting = self.states.iter().position(|state| *state == State::Waiting);
        let running = self.states.contains(&State::Running);
        match waiting {
            Some(next) if !running || now >= self.next_at => {
                self.states[next] = State::Running;
                self.next_at = now + self.delay;
                Step::Start(next, self.destinations[next])
            }
            Some(_) => Step::Wait(Some(self.next_at)),
            None if running => Step::Wait(None),
            None => Step::Failed,
        }
    }

    /// An attempt has failed: the next one may begin at once. One that is not under way is ignored.
    pub fn on_failed(&mut self, attempt: Attempt) {
        if self.states.get(attempt) == Some(&State::Running) {
            self.states[attempt] = State::Failed;
            self.next_at = Duration::ZERO;
        }
    }

    /// An attempt is connected. Only the first counts, and only while it is under way; gives whether this is the one to keep.
    pub fn on_connected(&mut self, attempt: Attempt) -> bool {
        if self.connected.is_none() && self.states.get(attempt) == Some(&State::Running) {
            self.connected = Some(attempt);
        }
        self.connected == Some(attempt)
    }
}

/// Addresses with the families in turn, each once; an IPv4-mapped IPv6 address is the IPv4 address.
fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut once: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses.iter().map(unmapped) {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    let Some(first) = once.first() else { return once };
    let first_is_ipv6 = first.is_ipv6();
    let (mut own, mut other) = (
        once.iter().filter(|a| a.is_ipv6() == first_is_ipv6),
        once.iter().filter(|a| a.is_ipv6() != first_is_ipv6),
    );
    let mut order = Vec::with_capacity(once.len());
    while order.len() < once.len() {
        order.extend(own.next());
        order.extend(other.next());
    }
    order
}

fn unmapped(address: &SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => *address,
        },
        SocketAddr::V4(_) => *address,
    }
}

#[cfg(test)]
mod tests;
