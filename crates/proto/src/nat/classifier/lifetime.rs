//! How long a mapping without traffic lives (RFC 5780, section 4.6).
//!
//! Many sockets open a mapping at once; each is tested once, at an age of its own, by a request from another socket whose answer
//! goes to it (RESPONSE-PORT). So all ages are measured in the time of the oldest. A second round divides what lies between the
//! last that was alive and the first that was gone.

use std::time::Duration;

use super::filtering::Pair;
use super::{Classifier, Probe, Standing, Test, Wish};
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
    /// When it was used last.
    used: Option<Duration>,
    /// Asks for an answer to it.
    pair: Option<Pair>,
    alive: Option<bool>,
    gave_up: bool,
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

    pub(super) fn pairs(&self) -> Vec<Pair> {
        self.ages.iter().filter(|a| a.alive.is_none() && !a.gave_up).filter_map(|a| a.pair).collect()
    }

    /// When the next age is reached.
    pub(super) fn next(&self) -> Option<Duration> {
        let waiting = self.ages.iter().filter(|a| a.pair.is_none() && a.alive.is_none() && !a.gave_up);
        waiting.filter_map(|a| Some(a.used? + a.age)).min().filter(|_| self.result.is_none())
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
            Age { age: *age, opens, used: None, pair: None, alive: None, gave_up: false }
        };
        self.extras.ages.ages = ages.iter().map(open).collect();
        self.extras.ages.round += 1;
        self.extras.ages.began = now;
    }

    fn test_age(&mut self, lead: usize, age: &mut Age, now: Duration) {
        if age.alive.is_some() || age.gave_up {
            return;
        }
        let opens = &self.probes[usize::from(age.opens)];
        let Some(mapped) = opens.mapped() else {
            age.gave_up = opens.errno.is_some() || now >= self.extras.ages.began + self.settings.give_up;
            return;
        };
        age.used = opens.sends.last().copied();
        let due = age.used.unwrap_or(now) + age.age;
        if now < due {
            return;
        }
        let Some(pair) = age.pair else {
            // RESPONSE-PORT names a port of the address that the request comes from.
            let asks = self.extras.ages.mapped.map(|p| &self.probes[usize::from(p)]);
            match asks.and_then(Probe::mapped) {
                Some(own) if own.ip() == mapped.ip() => {}
                Some(_) => {
                    age.gave_up = true;
                    return;
                }
                None => return,
            }
            let (asks, to) = (self.extras.ages.asks, self.targets[lead].address);
            let by_hand = |probe: Probe| Probe { by_itself: false, ..probe };
            let plain = self.add(by_hand(Probe::new(Test::LifetimePlain, lead, asks, to, now)));
            let answers_at = self.probes[usize::from(age.opens)].socket;
            let wish = Wish { response_port: Some(mapped.port()), ..Wish::default() };
            let change = by_hand(Probe::new(Test::Lifetime, lead, asks, to, now));
            let change = self.add(Probe { answers_at, wish, ..change });
            self.send(plain, now);
            self.send(change, now);
            age.pair = Some(Pair { plain, change, standing: Standing::Open });
            return;
        };
        let change = &self.probes[usize::from(pair.change)];
        // The asking socket's own mapping may have been renewed, with another address of a pool.
        let moved = self.probes[usize::from(pair.plain)].mapped().is_some_and(|own| own.ip() != mapped.ip());
        if change.first.is_some() {
            age.alive = Some(true);
        } else if moved || change.error.is_some() {
            age.gave_up = true;
        } else if self.is_silent(pair, now) {
            age.alive = Some(false);
        } else if now >= due + self.settings.give_up {
            age.gave_up = true;
        } else {
            self.repeat(pair, now);
        }
    }

    fn judge_round(&mut self, lead: usize, most: Duration, now: Duration) {
        let Ages { ages, round, known, .. } = &self.extras.ages;
        let control = ages.first().filter(|a| a.age.is_zero());
        if control.is_some_and(|a| a.alive == Some(false) || a.gave_up) {
            let refused = control.and_then(|a| a.pair).is_some();
            let reason = if refused { Reason::NoResponsePort } else { Reason::Inconsistent };
            self.extras.ages.result = Some(Lifetime::Unknown(reason));
            return;
        }
        let gone = ages.iter().find(|a| a.alive == Some(false)).map(|a| a.age).or(known.1);
        let settled = |a: &Age| a.alive.is_some() || a.gave_up;
        // What is older than one that is gone is gone as well.
        if !ages.iter().take_while(|a| gone.is_none_or(|gone| a.age < gone)).all(settled) {
            return;
        }
        let younger = |a: &&Age| a.alive == Some(true) && gone.is_none_or(|gone| a.age < gone);
        let alive = ages.iter().filter(younger).map(|a| a.age).max().unwrap_or(known.0).max(known.0);
        let Some(gone) = gone else {
            let oldest = if alive.is_zero() {
                Lifetime::Unknown(Reason::TooMuchLoss)
            } else {
                Lifetime::AtLeast(alive)
            };
            self.extras.ages.result = Some(oldest);
            return;
        };
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
