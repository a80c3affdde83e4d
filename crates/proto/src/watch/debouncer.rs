//! When to look at the system, and when to tell what has changed.
//!
//! Time is a [`Duration`] since any fixed moment, passed in.

use std::time::Duration;

use super::{AddressNotice, Change, Snapshot};

/// How long things are given to debouncer.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The system is looked at when it has been quiet for so long.
    pub quiet: Duration,
    /// And at the latest so long after its first message: a flapping address must not hide all else.
    pub longest: Duration,
    /// The waits of the looks after one that found a change. Default routes lag behind addresses, and not every system tells.
    pub after_change: Vec<Duration>,
    /// Looks without a reason; `None` where the system tells.
    pub every: Option<Duration>,
}

/// Decides. The user of it looks whenever [`Debouncer::next_scan`] has come, and brings what it saw.
#[derive(Debug)]
pub struct Debouncer {
    timing: Timing,
    /// What has been told.
    told: Snapshot,
    /// What was seen last.
    seen: Snapshot,
    /// First and last message since the last look.
    notices: Option<(Duration, Duration)>,
    /// A look that does not wait for quiet.
    at_once: bool,
    /// The next of the looks after a change: number and time.
    follow: Option<(usize, Duration)>,
    /// The next look without a reason.
    routine: Option<Duration>,
    /// Since when something differs that has not been told.
    differs_since: Option<Duration>,
    /// Whether what was seen last can be told.
    stable: bool,
    /// Until when a lost default route is taken for one that lags: IPv4, IPv6.
    lag_until: [Option<Duration>; 2],
    slept: Option<Duration>,
}

impl Debouncer {
    /// Begins with what is there: it is not told.
    #[must_use]
    pub fn new(timing: Timing, first: Snapshot, now: Duration) -> Self {
        let routine = timing.every.map(|every| now + every);
        Self {
            timing,
            told: first.clone(),
            seen: first,
            notices: None,
            at_once: false,
            follow: None,
            routine,
            differs_since: None,
            stable: true,
            lag_until: [None; 2],
            slept: None,
        }
    }

    /// From now on the system is looked at without a reason (`Some`), or it tells (`None`).
    pub fn set_every(&mut self, every: Option<Duration>, now: Duration) {
        self.timing.every = every;
        self.routine = every.map(|every| now + every);
    }

    /// The system says that something may have changed.
    pub fn on_notice(&mut self, now: Duration) {
        let first = self.notices.map_or(now, |(first, _)| first);
        self.notices = Some((first, now));
    }

    /// The system says something of an address; gives whether that is news.
    pub fn on_address(&mut self, now: Duration, notice: &AddressNotice) -> bool {
        // While a look is due the last one says nothing: it may come, go and come again.
        let news = self.notices.is_some() || !self.seen.knows(notice);
        if news {
            self.on_notice(now);
        }
        news
    }

    /// Messages were lost. As news, since more of them are likely to come just now.
    pub fn on_overflow(&mut self, now: Duration) {
        self.on_notice(now);
    }

    /// The machine was asleep: who knows where it is now.
    pub fn on_wake(&mut self, slept: Duration) {
        self.slept = Some(self.slept.unwrap_or_default() + slept);
        self.at_once = true;
    }

    /// The connection to the system was lost or made: what happened meanwhile was not told.
    pub fn on_reconnect(&mut self) {
        self.at_once = true;
    }

    /// When to look next; a moment that has passed means now. `None`: only when something happens.
    #[must_use]
    pub fn next_scan(&self) -> Option<Duration> {
        if self.at_once {
            return Some(Duration::ZERO);
        }
        if let Some((first, last)) = self.notices {
            // Looks after a change wait as well: what is in motion would be seen half-way.
            return Some((last + self.timing.quiet).min(first + self.timing.longest));
        }
        [self.follow.map(|(_, at)| at), self.routine].into_iter().flatten().min()
    }

    /// What was seen; gives whether it is otherwise than the last time.
    pub fn on_snapshot(&mut self, now: Duration, snapshot: Snapshot) -> bool {
        let waited_for_quiet = self.notices.is_some();
        self.notices = None;
        let woken = std::mem::take(&mut self.at_once);
        self.routine = self.timing.every.map(|every| now + every);
        let changed = snapshot != self.seen;
        self.follow = match self.follow {
            _ if changed || woken => self.follow_up(0, now),
            Some((number, at)) if at <= now => self.follow_up(number + 1, now),
            other => other,
        };
        self.seen = snapshot;
        if self.seen == self.told {
            self.differs_since = None;
            self.stable = true;
        } else {
            let since = *self.differs_since.get_or_insert(now);
            // Without messages, two looks that agree stand for quiet.
            let told_by_system = self.timing.every.is_none() || waited_for_quiet;
            self.stable = told_by_system || !changed || now >= since + self.timing.longest;
        }
        self.lag(now);
        changed
    }

    /// The changes that can be told now, and have not been. To call when the receiver can take them: what it is too slow for
    /// is told as one difference later.
    pub fn take(&mut self) -> Vec<Change> {
        let mut changes: Vec<_> =
            self.slept.take().map(|slept| Change::Resumed { slept }).into_iter().collect();
        if self.stable && self.differs_since.is_some() {
            let shown = self.shown();
            changes.extend(self.told.changes_to(&shown));
            self.told = shown;
            if self.seen == self.told {
                self.differs_since = None;
            }
        }
        changes
    }

    fn follow_up(&self, number: usize, now: Duration) -> Option<(usize, Duration)> {
        self.timing.after_change.get(number).map(|wait| (number, now + *wait))
    }

    /// Begins and ends the time in which a lost default route is not told.
    fn lag(&mut self, now: Duration) {
        let whole: Duration = self.timing.after_change.iter().sum();
        let pairs = [
            (&self.told.default_ipv4, &self.seen.default_ipv4),
            (&self.told.default_ipv6, &self.seen.default_ipv6),
        ];
        for (until, (told, seen)) in self.lag_until.iter_mut().zip(pairs) {
            if told.is_some() && seen.is_none() {
                until.get_or_insert(now + whole);
            } else {
                *until = None;
            }
        }
        for until in &mut self.lag_until {
            if until.is_some_and(|at| at <= now) {
                // Not `None`, which a later look would take for a fresh loss.
                *until = Some(Duration::ZERO);
            }
        }
        if let Some(at) = self.lag_until.iter().flatten().filter(|at| **at > now).min() {
            // Other changes begin the looks anew; that must not put off the answer.
            let last = self.timing.after_change.len().saturating_sub(1);
            if self.follow.is_none_or(|(_, next)| next > *at) {
                self.follow = Some((last, *at));
            }
        }
    }

    /// What was seen, with the default routes that may only lag as they were.
    fn shown(&self) -> Snapshot {
        let mut shown = self.seen.clone();
        let [four, six] = self.lag_until.map(|until| until.is_some_and(|at| at > Duration::ZERO));
        if four {
            shown.default_ipv4.clone_from(&self.told.default_ipv4);
        }
        if six {
            shown.default_ipv6.clone_from(&self.told.default_ipv6);
        }
        shown
    }
}

#[cfg(test)]
#[path = "debouncer/tests.rs"]
mod tests;
