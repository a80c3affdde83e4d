//! Hairpinning and lifetime, which are tested only if somebody asks.

use std::net::SocketAddr;
use std::time::Duration;

use super::filtering::Pair;
use super::lifetime::Ages;
use super::{Answer, Classifier, Probe, Settings, Standing, Test};
use crate::nat::behaviour::{Finding, Hairpin, Mapping, Reason};
use crate::nat::report::{Lifetime, ServerVerdict};
use crate::stun;
use crate::stun::behavior::Addresses;

#[derive(Debug)]
pub(super) struct Extras {
    began: Option<Duration>,
    hairpin: Stage,
    pub(super) ages: Ages,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Asked,
    /// Two sockets learn their mapped addresses.
    Learning([u16; 2]),
    /// Each sends to the other's.
    Sending([Pair; 2]),
    Over(Finding<Hairpin>),
}

impl Extras {
    pub(super) fn new(settings: &Settings) -> Self {
        let not_asked = Stage::Over(Finding::known(Hairpin::NotAsked));
        let hairpin = if settings.hairpin { Stage::Asked } else { not_asked };
        Self { began: None, hairpin, ages: Ages::new(settings.lifetime) }
    }

    pub(super) fn have_begun(&self) -> bool {
        self.began.is_some()
    }
}

impl Classifier {
    pub(super) fn extra_tests(&mut self, now: Duration) {
        if self.extras.began.is_none() {
            self.extras.began = Some(now);
        }
        self.hairpin_tests(now);
        self.lifetime_tests(now);
    }

    pub(super) fn extras_are_over(&self) -> bool {
        matches!(self.extras.hairpin, Stage::Over(_)) && self.extras.ages.result().is_some()
    }

    /// The pairs that are open.
    pub(super) fn extra_pairs(&self) -> Vec<Pair> {
        let mut open = self.extras.ages.pairs();
        if let Stage::Sending(pairs) = self.extras.hairpin {
            open.extend(pairs);
        }
        open
    }

    fn hairpin_tests(&mut self, now: Duration) {
        let began = self.extras.began.unwrap_or(now);
        let over = |value, reason| Stage::Over(Finding { value, reason });
        let too_late = now >= began + self.settings.give_up;
        let stage = match self.extras.hairpin {
            Stage::Asked => {
                let servers: Vec<ServerVerdict> =
                    (0..self.targets.len()).map(|at| self.verdict_of(at, now)).collect();
                let (mapping, dependent, _) = self.mapping(&servers);
                match (self.lead, mapping.value) {
                    (_, Mapping::None) => over(Hairpin::NotApplicable, None),
                    _ if dependent => over(Hairpin::Unknown, Some(Reason::DependentMapping)),
                    (None, _) => over(Hairpin::Unknown, Some(Reason::NoAnswer)),
                    (Some(lead), _) => {
                        let to = self.targets[lead].address;
                        Stage::Learning([(); 2].map(|()| {
                            let socket = self.open();
                            self.add(Probe::new(Test::HairpinPlain, lead, socket, to, now))
                        }))
                    }
                }
            }
            Stage::Learning(probes) => match probes.map(|p| self.probes[usize::from(p)].mapped()) {
                [Some(first), Some(second)] => Stage::Sending([
                    self.hairpin_pair(probes[0], second, now),
                    self.hairpin_pair(probes[1], first, now),
                ]),
                _ if too_late => over(Hairpin::Unknown, Some(Reason::TooMuchLoss)),
                _ => return,
            },
            Stage::Sending(pairs) => {
                let arrived =
                    pairs.iter().find_map(|p| self.probes[usize::from(p.change)].first.map(|a| (p, a)));
                if let Some((pair, answer)) = arrived {
                    let sender =
                        self.sockets[usize::from(self.probes[usize::from(pair.change)].socket)].address;
                    let internal = sender.is_some_and(|s| s.ip() == answer.from.ip());
                    over(if internal { Hairpin::InternalSource } else { Hairpin::Yes }, None)
                } else if pairs.iter().all(|p| self.is_silent(*p, now)) {
                    over(Hairpin::No, None)
                } else if too_late {
                    over(Hairpin::Unknown, Some(Reason::TooMuchLoss))
                } else {
                    for pair in pairs {
                        self.repeat(pair, now);
                    }
                    return;
                }
            }
            Stage::Over(_) => return,
        };
        self.extras.hairpin = stage;
    }

    /// Both ways at once: so each socket has sent to the mapped address of the other, and its filter lets it in.
    fn hairpin_pair(&mut self, learnt: u16, to: SocketAddr, now: Duration) -> Pair {
        let Probe { server, socket, to: address, .. } = self.probes[usize::from(learnt)];
        let plain =
            Probe { by_itself: false, ..Probe::new(Test::HairpinPlain, server, socket, address, now) };
        let across = Probe { by_itself: false, ..Probe::new(Test::Hairpin, server, socket, to, now) };
        let pair = Pair { plain: self.add(plain), change: self.add(across), standing: Standing::Open };
        self.send(pair.change, now);
        self.send(pair.plain, now);
        pair
    }

    /// Whether a pair was asked often enough and its silence is over, as in the filtering tests.
    pub(super) fn is_silent(&mut self, pair: Pair, now: Duration) -> bool {
        let change = &self.probes[usize::from(pair.change)];
        let over = change.sends.last().is_some_and(|last| now >= *last + self.wait());
        let silent = over && change.first.is_none() && self.is_enough(pair, now);
        if silent {
            self.probes[usize::from(pair.change)].silent = true;
        }
        silent
    }

    /// Takes a request of our own that comes back in at the other socket.
    pub(super) fn hairpin_arrived(
        &mut self,
        now: Duration,
        socket: u16,
        from: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Stage::Sending(pairs) = self.extras.hairpin else { return false };
        let is_request = bytes.starts_with(&[0, 1]);
        let Some(id) = stun::transaction_id(bytes).filter(|_| is_request) else { return false };
        let Some((index, attempt)) = self.sent_with(&id) else { return false };
        let probe = &self.probes[index];
        let at_the_other = pairs
            .iter()
            .any(|p| usize::from(p.change) != index && self.probes[usize::from(p.change)].socket == socket);
        if probe.test != Test::Hairpin || !at_the_other {
            return false;
        }
        let answer = Answer { at: now, from, mapped: from, addresses: Addresses::default() };
        if !self.probes[index].answer(attempt, answer) {
            self.ignored.duplicates += 1;
        }
        true
    }

    pub(super) fn hairpin(&self) -> Finding<Hairpin> {
        match self.extras.hairpin {
            Stage::Over(finding) => finding,
            _ if !self.done => Finding::because(Hairpin::Unknown, Reason::Stopped),
            _ => Finding::because(Hairpin::Unknown, self.no_samples()),
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match self.extras.ages.result() {
            Some(lifetime) => lifetime,
            None if !self.done => self.extras.ages.so_far(),
            None => Lifetime::Unknown(self.no_samples()),
        }
    }
}
