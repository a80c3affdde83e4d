//! One request, repeated until it is answered, with a record of both.

use std::net::SocketAddr;
use std::time::Duration;

use super::report::Test;
use crate::stun::behavior::{Addresses, ChangeRequest};

/// Sends of one request that can be told apart: each has its bit in [`Probe::answered`].
pub(super) const MOST_SENDS: usize = 128;

/// Sources of answers that are kept of a request.
const MOST_SOURCES: usize = 4;

/// What an answer said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) at: Duration,
    pub(super) from: SocketAddr,
    pub(super) mapped: SocketAddr,
    pub(super) addresses: Addresses,
}

#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) test: Test,
    /// The server's number.
    pub(super) server: usize,
    pub(super) socket: u16,
    /// Where answers arrive, if not at the socket that asks.
    pub(super) answers_at: u16,
    pub(super) to: SocketAddr,
    pub(super) change_request: ChangeRequest,
    /// When it was sent.
    pub(super) sends: Vec<Duration>,
    /// Which of the sends were answered.
    pub(super) answered: u128,
    /// The first answer.
    pub(super) first: Option<Answer>,
    /// When an answer arrived last, copies of earlier ones included.
    pub(super) heard: Option<Duration>,
    /// Where answers came from.
    pub(super) sources: Vec<SocketAddr>,
    /// Answers said different things.
    pub(super) varied: bool,
    pub(super) error: Option<u16>,
    pub(super) errno: Option<i32>,
    /// It is sent again by itself when its time has come. The requests of a pair are not.
    pub(super) by_itself: bool,
    /// When it may be sent first.
    pub(super) from: Duration,
    /// It is over.
    pub(super) closed: bool,
    /// Its silence was taken for silence.
    pub(super) silent: bool,
}

impl Probe {
    pub(super) fn new(test: Test, server: usize, socket: u16, to: SocketAddr, from: Duration) -> Self {
        Self {
            test,
            server,
            socket,
            answers_at: socket,
            to,
            change_request: ChangeRequest::default(),
            sends: Vec::new(),
            answered: 0,
            first: None,
            heard: None,
            sources: Vec::new(),
            varied: false,
            error: None,
            errno: None,
            by_itself: true,
            from,
            closed: false,
            silent: false,
        }
    }

    /// Whether it only asks for the mapped address, so that its loss is that of the path.
    pub(super) fn is_plain(&self) -> bool {
        self.change_request == ChangeRequest::default() && self.test != Test::Hairpin
    }

    /// Notes an answer to a send; false if that one was answered before.
    pub(super) fn answer(&mut self, attempt: usize, answer: Answer) -> bool {
        self.heard = self.heard.max(Some(answer.at));
        if self.was_answered(attempt) {
            return false;
        }
        self.answered |= 1 << attempt;
        if !self.sources.contains(&answer.from) && self.sources.len() < MOST_SOURCES {
            self.sources.push(answer.from);
        }
        match self.first {
            Some(first) => self.varied |= first.mapped != answer.mapped,
            None => self.first = Some(answer),
        }
        true
    }

    pub(super) fn was_answered(&self, attempt: usize) -> bool {
        self.answered & (1 << attempt) != 0
    }

    pub(super) fn answers(&self) -> u32 {
        self.answered.count_ones()
    }

    /// When the last one was sent of those that were answered.
    pub(super) fn last_answered(&self) -> Option<Duration> {
        (0..self.sends.len()).rev().find(|at| self.was_answered(*at)).map(|at| self.sends[at])
    }

    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.first.map(|a| a.mapped)
    }

    /// Its sends that were answered or have been out for longer than `wait`, and how many of them were not answered.
    pub(super) fn loss(&self, now: Duration, wait: Duration) -> (usize, usize) {
        let settled = |at: &usize| self.was_answered(*at) || now.saturating_sub(self.sends[*at]) >= wait;
        let sent = (0..self.sends.len()).filter(settled).count();
        (sent, sent - self.answers() as usize)
    }

    /// When it is due, if it was sent before.
    pub(super) fn due(&self, gaps: &[Duration]) -> Option<Duration> {
        let last = self.sends.last()?;
        let gap = gaps.get(self.sends.len() - 1).or(gaps.last()).copied().unwrap_or_default();
        Some(*last + gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A request that was sent at these times.
    fn sent(times: &[u64]) -> Probe {
        let mut probe = Probe::new(Test::Mapping1, 0, 0, address("192.0.2.1:3478"), MS(0));
        probe.sends = times.iter().copied().map(MS).collect();
        probe
    }

    fn answer(from: &str, at: u64) -> Answer {
        let mapped = address("203.0.113.7:40000");
        Answer { at: MS(at), from: address(from), mapped, addresses: Addresses::default() }
    }

    #[test]
    fn sources_are_kept_once_each_and_only_some_of_them() {
        let mut probe = sent(&[0; MOST_SENDS]);
        for (attempt, port) in [1, 2, 1, 2, 3, 4, 5, 6].into_iter().enumerate() {
            assert!(probe.answer(attempt, answer(&format!("192.0.2.1:{port}"), 1)));
        }
        let ports: Vec<_> = probe.sources.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [1, 2, 3, 4]);
    }

    #[test]
    fn the_last_send_that_was_answered_is_not_the_last_answer() {
        let mut probe = sent(&[10, 20, 30]);
        assert_eq!(probe.last_answered(), None);
        assert!(probe.answer(1, answer("192.0.2.1:3478", 40)));
        assert!(probe.answer(0, answer("192.0.2.1:3478", 50)));
        assert!(!probe.answer(1, answer("192.0.2.1:3478", 60)), "a copy");
        assert_eq!((probe.last_answered(), probe.heard), (Some(MS(20)), Some(MS(60))));
    }

    #[test]
    fn the_last_gap_repeats() {
        let gaps = [100, 200, 400].map(MS);
        for (times, want) in [
            (&[][..], None),
            (&[7], Some(107)),
            (&[7, 107], Some(307)),
            (&[7, 107, 307], Some(707)),
            (&[7, 107, 307, 707], Some(1_107)),
        ] {
            assert_eq!(sent(times).due(&gaps), want.map(MS), "sent at {times:?}");
        }
    }
}
