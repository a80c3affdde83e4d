//! Probes that the system refused to send, sent once more at once.
//!
//! A refusal costs nothing but a system call and says nothing of the path. Firewalls and full queues refuse at random, and then the
//! next attempt succeeds; so a probe counts as refused only after some attempts. Where none ever succeeds, the refusal is of
//! another kind, and most are spared.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::super::settings::bounds;
use super::RetryProbe;

/// The probes to send again.
#[derive(Debug, Default)]
pub(super) struct Resends {
    /// When, and which; rising by time.
    due: VecDeque<(Duration, RetryProbe)>,
    /// How often each of those that were refused of late was sent again.
    attempts: HashMap<(u32, u32, bool), u8>,
    /// Of the attempts after a refusal: all, and those refused too.
    sent: u32,
    refused: u32,
    /// Refusals since the last that was tried again although it seemed useless.
    spared: u32,
}

impl Resends {
    /// A probe was refused: `true` if it is sent again.
    pub(super) fn on_refused(&mut self, probe: RetryProbe, now: Duration) -> bool {
        let key = (probe.index, probe.flow, probe.control);
        let attempts = self.attempts.get(&key).copied().unwrap_or(0);
        self.refused = self.refused.saturating_add(u32::from(attempts > 0));
        let is_useless = self.refused >= bounds::RESENDS_IN_VAIN
            && f64::from(self.refused) > f64::from(self.sent) * bounds::RESENDS_REFUSED;
        self.spared = if is_useless { self.spared + 1 } else { 0 };
        let again = attempts < bounds::RESENDS
            && (!is_useless || attempts == 0 && self.spared.is_multiple_of(bounds::RESENDS_IN_VAIN));
        if !again {
            self.attempts.remove(&key);
            return false;
        }
        self.attempts.insert(key, attempts + 1);
        self.due.push_back((now + bounds::RESEND_AFTER, probe));
        true
    }

    /// Appends those whose time has come.
    pub(super) fn poll(&mut self, now: Duration, out: &mut Vec<RetryProbe>) {
        while let Some((at, probe)) = self.due.front().copied()
            && at <= now
        {
            self.due.pop_front();
            self.sent = self.sent.saturating_add(1);
            out.push(probe);
        }
    }

    /// When the next is due.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Those of earlier ports are not sent any more.
    pub(super) fn next_flow(&mut self) {
        if self.due.is_empty() {
            self.attempts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(index: u32) -> RetryProbe {
        RetryProbe { index, flow: 3, control: false }
    }

    fn sent(resends: &mut Resends, now: Duration) -> Vec<u32> {
        let mut out = Vec::new();
        resends.poll(now, &mut out);
        out.into_iter().map(|probe| probe.index).collect()
    }

    #[test]
    fn a_refused_probe_is_sent_again_some_times() {
        let mut resends = Resends::default();
        for attempt in 0..bounds::RESENDS {
            let now = Duration::from_secs(attempt.into());
            assert!(resends.on_refused(probe(7), now), "attempt {attempt}");
            assert!(sent(&mut resends, now).is_empty(), "not in the same moment");
            assert_eq!(resends.next_at(), Some(now + bounds::RESEND_AFTER));
            assert_eq!(sent(&mut resends, now + bounds::RESEND_AFTER), [7]);
        }
        assert!(!resends.on_refused(probe(7), Duration::from_secs(9)), "now it counts as refused");
        assert_eq!(resends.next_at(), None);
        assert!(resends.on_refused(probe(7), Duration::from_secs(9)), "the next probe is another one");
    }

    #[test]
    fn nothing_is_kept_of_earlier_ports() {
        let mut resends = Resends::default();
        assert!(resends.on_refused(probe(7), Duration::ZERO));
        resends.next_flow();
        assert!(!resends.attempts.is_empty(), "it is still to be sent");
        assert_eq!(sent(&mut resends, bounds::RESEND_AFTER), [7]);
        resends.next_flow();
        assert!(resends.attempts.is_empty());
    }

    #[test]
    fn where_every_attempt_is_refused_few_are_made() {
        let mut resends = Resends::default();
        let mut made = 0;
        for index in 0..10_000 {
            while resends.on_refused(probe(index), Duration::ZERO) {
                made += sent(&mut resends, bounds::RESEND_AFTER).len();
            }
        }
        assert!((100..400).contains(&made), "{made}");
        // The firewall now lets three of four pass: refusals are again worth an attempt.
        for index in 0..100_000 {
            if resends.on_refused(probe(index), Duration::ZERO) {
                sent(&mut resends, bounds::RESEND_AFTER);
            }
        }
        assert!(resends.on_refused(probe(1), Duration::ZERO));
    }
}
