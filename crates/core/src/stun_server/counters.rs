//! What a server has done, counted by who serves and read by others.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

use routepool_proto::stun::server::Ignored;

const REASONS: usize = Ignored::ALL.len();

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams, and messages over TCP, received.
    pub requests: u64,
    /// Replies sent, error responses among them.
    pub replies: u64,
    /// Error responses (400, 420) among the replies.
    pub errors: u64,
    /// Datagrams that got no reply, by reason: see [`Counters::ignored_for`].
    ignored: [u64; REASONS],
    /// Datagrams that the kernel dropped because a receive buffer was full.
    pub drops: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections closed at once: too many, or from an address that is not allowed.
    pub refused: u64,
}

impl Counters {
    /// Datagrams that got no reply.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored.iter().sum()
    }

    /// Datagrams that got no reply for this reason.
    #[must_use]
    pub fn ignored_for(&self, why: Ignored) -> u64 {
        self.ignored[why as usize]
    }

    pub(super) fn ignore(&mut self, why: Ignored, count: u64) {
        self.ignored[why as usize] += count;
    }
}

impl Add for Counters {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.replies += other.replies;
        self.errors += other.errors;
        self.drops += other.drops;
        self.connections += other.connections;
        self.refused += other.refused;
        for (sum, one) in self.ignored.iter_mut().zip(other.ignored) {
            *sum += one;
        }
        self
    }
}

/// The counters of one worker, or of all connections, where others can read them. One thread writes at a time, so plain stores are
/// enough; each field is right by itself, and they may be a batch apart.
#[derive(Debug, Default)]
pub(super) struct Published {
    requests: AtomicU64,
    replies: AtomicU64,
    errors: AtomicU64,
    drops: AtomicU64,
    connections: AtomicU64,
    refused: AtomicU64,
    ignored: [AtomicU64; REASONS],
}

impl Published {
    pub(super) fn write(&self, counters: &Counters) {
        self.requests.store(counters.requests, Ordering::Relaxed);
        self.replies.store(counters.replies, Ordering::Relaxed);
        self.errors.store(counters.errors, Ordering::Relaxed);
        self.drops.store(counters.drops, Ordering::Relaxed);
        self.connections.store(counters.connections, Ordering::Relaxed);
        self.refused.store(counters.refused, Ordering::Relaxed);
        for (slot, count) in self.ignored.iter().zip(counters.ignored) {
            slot.store(count, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Counters {
        let mut counters = Counters {
            requests: self.requests.load(Ordering::Relaxed),
            replies: self.replies.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            drops: self.drops.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            ignored: [0; REASONS],
        };
        for (slot, count) in self.ignored.iter().zip(&mut counters.ignored) {
            *count = slot.load(Ordering::Relaxed);
        }
        counters
    }
}
