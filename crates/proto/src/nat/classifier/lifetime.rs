//! How long a mapping without traffic lives (RFC 5780, section 4.6).
//!
//! Many sockets open a mapping at once; each is tested once, at an age of its own, by a request from another socket whose answer
//! goes to it (RESPONSE-PORT). So all ages are measured in the time of the oldest. A second round divides what lies between the
//! last that was alive and the first that was gone.
//!
//! When a packet passes the NAT is not seen, only when it was sent and answered. So an age is never a number but two: how old the
//! mapping was at least, and at most. What is told is what holds for both, whatever was late on the way.

use std::time::Duration;

use super::filtering::Pair;
use super::{ChangeRequest, Classifier, Probe, Standing, Test};
use crate::nat::behaviour::Reason;
use crate::nat::report::Lifetime;

/// Ages of the first round, in seconds: the limits that NATs have, and the two minutes of RFC 4787, REQ-5.
const AGES: [u64; 14] = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1_200];

/// Sockets of the second round.
const SECOND_ROUND: u32 = 8;

/// A second round is worth its time if this part of the age is not known.
const FINE_ENOUGH: u32 = 20;

#[derive(Clone, Copy, Debug)]
struct Age {
    age: Duration,
    /// Opens the mapping.
    opens: u16,
    /// Between when and when it was used last.
    used: Option<[Duration; 2]>,
    /// Asks for an answer to it.
    pair: Option<Pair>,
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Open,
    /// It was alive, and at least so old.
    Alive(Duration),
    /// It was gone, and at most so old.
    Gone(Duration),
    GaveUp,
}

impl Age {
    fn gone(&self) -> Option<Duration> {
        if let Shown::Gone(most) = self.shown { Some(most) } else { None }
    }

    fn alive(&self) -> Option<Duration> {
        if let Shown::Alive(least) = self.shown { Some(least) } else { None }
    }
}

#[derive(Debug)]
pub(super) struct Ages {
    most: Option<Duration>,
    round: u8,
    asks: u16,
    mapped: Option<u16>,
    began: Duration,
    ages: Vec<Age>,
    known: (Duration, Option<Duration>),
    result: Option<Lifetime>,
}

impl Ages {
    pub(super) fn new(most: Option<Duration>) -> Self {
        Self {
            most,
            round: 0,
            asks: 0,
            mapped: None,
            began: Duration::ZERO,
            ages: Vec::new(),
            known: (Duration::ZERO, None),
            result: most.is_none().then_some(Lifetime::NotAsked),
        }
    }

    pub(super) fn result(&self) -> Option<Lifetime> {
        self.result
    }

    /// What is known in the middle of it.
    pub(super) fn so_far(&self) -> Lifetime {
        let alive = self.ages.iter().filter_map(Age::alive).max().unwrap_or_default().max(self.known.0);
        match self.known.1 {
            Some(gone) if alive < gone => Lifetime::Measured { alive, gone },
            None if !alive.is_zero() => Lifetime::AtLeast(alive),
            _ => Lifetime::Unknown(Reason::Stopped),
        }
    }

    pub(super) fn pairs(&self) -> Vec<Pair> {
        self.ages.iter().filter(|a| a.shown == Shown::Open).filter_map(|a| a.pair).collect()
    }

    /// When the next age is reached.
    pub(super) fn next(&self) -> Option<Duration> {
        let waiting = self.ages.iter().filter(|a| a.pair.is_none() && a.shown == Shown::Open);
        waiting.filter_map(|a| Some(a.used?[1] + a.age)).min().filter(|_| self.result.is_none())
    }
}

impl Classifier {
    pub(super) fn lifetime_tests(&mut self, now: Duration) {
        let Some(most) = self.extras.ages.most.filter(|_| self.extras.ages.result.is_none()) else { return };
        let Some(lead) = self.lead else {
            self.extras.ages.result = Some(Lifetime::Unknown(Reason::NoAnswer));
            return;
        };
        if self.extras.ages.round == 0 {
            let seconds = AGES.iter().map(|s| Duration::from_secs(*s)).filter(|age| *age < most);
            // The youngest is the control: whether the server follows RESPONSE-PORT at all.
            let ages: Vec<_> = [Duration::ZERO].into_iter().chain(seconds).chain([most]).collect();
            self.extras.ages.asks = self.open();
            let to = self.targets[lead].address;
            let plain = self.add(Probe::new(Test::LifetimePlain, lead, self.extras.ages.asks, to, now));
            self.extras.ages.mapped = Some(plain);
            self.begin_round(lead, &ages, now);
        }
        let mut ages = std::mem::take(&mut self.extras.ages.ages);
        for age in &mut ages {
            self.test_age(lead, age, now);
        }
        self.extras.ages.ages = ages;
        self.judge_round(lead, most, now);
    }

    fn begin_round(&mut self, lead: usize, ages: &[Duration], now: Duration) {
        let to = self.targets[lead].address;
        let open = |age: &Duration| {
            let socket = self.open();
            let opens = self.add(Probe::new(Test::LifetimePlain, lead, socket, to, now));
            Age { age: *age, opens, used: None, pair: None, shown: Shown::Open }
        };
        self.extras.ages.ages = ages.iter().map(open).collect();
        self.extras.ages.round += 1;
        self.extras.ages.began = now;
    }

    fn test_age(&mut self, lead: usize, age: &mut Age, now: Duration) {
        if age.shown != Shown::Open {
            return;
        }
        let opens = &self.probes[usize::from(age.opens)];
        let Some(mapped) = opens.mapped() else {
            if opens.errno.is_some() || now >= self.extras.ages.began + self.settings.give_up {
                age.shown = Shown::GaveUp;
            }
            return;
        };
        let used = self.last_used(opens);
        if age.pair.is_none() {
            age.used = Some(used);
        }
        let [earliest, latest] = age.used.unwrap_or(used);
        let due = latest + age.age;
        if now < due {
            return;
        }
        let Some(pair) = age.pair else {
            // RESPONSE-PORT names a port of the address that the request comes from.
            let asks = self.extras.ages.mapped.map(|p| &self.probes[usize::from(p)]);
            match asks.and_then(Probe::mapped) {
                Some(own) if own.ip() == mapped.ip() => {}
                Some(_) => {
                    age.shown = Shown::GaveUp;
                    return;
                }
                None => {
                    // The socket that asks was refused, or nothing comes back to it.
                    let hopeless = asks.is_none_or(|p| p.closed) || now >= due + self.settings.give_up;
                    if hopeless {
                        age.shown = Shown::GaveUp;
                    }
                    return;
                }
            }
            let (asks, to) = (self.extras.ages.asks, self.targets[lead].address);
            let by_hand = |probe: Probe| Probe { by_itself: false, ..probe };
            let plain = self.add(by_hand(Probe::new(Test::LifetimePlain, lead, asks, to, now)));
            let answers_at = self.probes[usize::from(age.opens)].socket;
            let change_request =
                ChangeRequest { response_port: Some(mapped.port()), ..ChangeRequest::default() };
            let change = by_hand(Probe::new(Test::Lifetime, lead, asks, to, now));
            let change = self.add(Probe { answers_at, change_request, ..change });
            self.send(plain, now);
            self.send(change, now);
            age.pair = Some(Pair { plain, change, standing: Standing::Open });
            return;
        };
        let change = &self.probes[usize::from(pair.change)];
        // The asking socket's own mapping may have been renewed, with another address of a pool.
        let moved = self.probes[usize::from(pair.plain)].mapped().is_some_and(|own| own.ip() != mapped.ip());
        if let Some(sent) = change.last_answered() {
            // The answer passed the NAT after that.
            age.shown = Shown::Alive(sent.saturating_sub(latest));
        } else if moved || change.error.is_some() || now >= due + self.settings.give_up {
            age.shown = Shown::GaveUp;
        } else if self.is_silent(pair, now) {
            // The last answer would have arrived by now.
            age.shown = Shown::Gone(now.saturating_sub(earliest));
        } else {
            self.repeat(pair, now);
        }
    }

    /// Between when and when the last packet of a request, or an answer to it, passed the NAT.
    fn last_used(&self, opens: &Probe) -> [Duration; 2] {
        let sent = opens.sends.last().copied().unwrap_or_default();
        let answered = opens.last_answered().unwrap_or_default();
        // A send that was not answered may have been lost before the NAT or behind it.
        let heard = opens.heard.unwrap_or(sent);
        [answered, if answered == sent { heard } else { heard.max(sent + self.wait()) }]
    }

    fn judge_round(&mut self, lead: usize, most: Duration, now: Duration) {
        let Ages { ages, round, known, .. } = &self.extras.ages;
        let control = ages.first().filter(|a| a.age.is_zero());
        if let Some(control) = control.filter(|a| a.gone().is_some() || a.shown == Shown::GaveUp) {
            let reason = if control.pair.is_some() { Reason::NoResponsePort } else { Reason::Inconsistent };
            self.extras.ages.result = Some(Lifetime::Unknown(reason));
            return;
        }
        // What is older than one that is gone is gone as well.
        let first_gone = ages.iter().position(|a| a.gone().is_some());
        let younger = &ages[..first_gone.unwrap_or(ages.len())];
        if younger.iter().any(|a| a.shown == Shown::Open) {
            return;
        }
        let gone = first_gone.and_then(|at| ages[at].gone()).or(known.1);
        let alive = younger.iter().filter_map(Age::alive).max().unwrap_or(known.0).max(known.0);
        let Some(gone) = gone else {
            let oldest = if alive.is_zero() {
                Lifetime::Unknown(Reason::TooMuchLoss)
            } else {
                Lifetime::AtLeast(alive)
            };
            self.extras.ages.result = Some(oldest);
            return;
        };
        // Mappings of one NAT may differ a little: then what holds for all is told.
        let (alive, gone) = (alive.min(gone), gone.max(alive));
        let open = gone.saturating_sub(alive);
        if *round == 1 && open > (gone / FINE_ENOUGH).max(Duration::from_secs(1)) {
            let step = open / (SECOND_ROUND + 1);
            let between: Vec<_> =
                (1..=SECOND_ROUND).map(|k| alive + step * k).filter(|age| *age < most).collect();
            self.extras.ages.known = (alive, Some(gone));
            self.begin_round(lead, &between, now);
        } else {
            self.extras.ages.result = Some(Lifetime::Measured { alive, gone });
        }
    }
}

#[cfg(test)]
mod tests;
