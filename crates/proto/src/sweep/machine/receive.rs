//! What an answer means.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::bits::State;
use super::super::cookie::{Cookie, Ticket};
use super::super::evidence::Entry;
use super::super::verdict::{Reason, Status, Verdict, VerdictSink};
use super::Sweep;
use crate::stun::{self, ReplyBody};

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// The address it was delivered to.
    pub to: IpAddr,
    /// The port it was delivered to.
    pub port: u16,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Sweep {
    /// Judges a received datagram. Nothing that a stranger can send makes a source `ok`: the transaction id must carry
    /// this run's proof for this source and server, the sender must be the server that was asked, and the datagram
    /// must have been delivered to the source.
    pub fn on_datagram(&mut self, now: Duration, datagram: &Datagram<'_>, sink: &mut impl VerdictSink) {
        self.counters.received += 1;
        let Ok(reply) = stun::read_reply(datagram.bytes) else {
            return self.on_garbage(datagram);
        };
        let ticket = Cookie::ticket(&reply.id);
        let Some((index, source)) = self.source_at(ticket.position) else {
            self.counters.forged += 1;
            return;
        };
        let number = self.server_for(ticket.position, ticket.pass);
        let server = self.server(number);
        if self.cookie.id(ticket, source, server) != reply.id {
            self.counters.forged += 1;
            return;
        }
        // From here on it is an answer to a probe of this run: whoever sent it has seen the probe.
        let misdirected = match () {
            () if datagram.from != server => Some(Reason::WrongServer),
            () if datagram.to != source => Some(Reason::WrongDestination),
            () => None,
        };
        if misdirected.is_some() {
            self.counters.misdirected += 1;
        } else {
            self.alive.last_reply = now;
            self.alive.beats = 0;
            self.confirmed = true;
        }
        if ticket.control {
            if misdirected.is_none() && self.controls.answered(ticket.position) {
                self.passes.control_answered(ticket.pass);
            }
            return;
        }
        let Some(index) = index else { return };
        if self.states.at(index) != State::Open {
            self.counters.duplicates += 1;
            return;
        }
        if let Some(reason) = misdirected {
            return self.note_bad(index, reason, 0, ticket.pass);
        }
        let first = self.evidence.get(index).is_none_or(|e| e.status != Status::Mapped);
        let took = if ticket.pass == self.pass { self.flight.land(now, ticket.position) } else { None };
        if took.is_some() {
            self.window.on_answered(1);
        }
        if first {
            self.passes.answered(ticket.pass);
            self.good += 1;
        }
        let mut verdict = Verdict {
            index,
            source,
            status: Status::Ok,
            reason: Reason::None,
            external: None,
            code: 0,
            port_rewritten: false,
            single_server: self.witnesses < 2,
            resumed: false,
            asked: ticket.pass.saturating_sub(self.passes.first).saturating_add(1),
            rtt_us: took.map_or(0, |d| u32::try_from(d.as_micros()).unwrap_or(u32::MAX).max(1)),
        };
        match reply.body {
            ReplyBody::Mapped(external) => {
                verdict.external = Some(external);
                let other_port = external.port() != datagram.port;
                self.on_mapped(ticket, number, (external, other_port), verdict, sink);
            }
            ReplyBody::NoMappedAddress => self.note_bad(index, Reason::NoMappedAddress, 0, ticket.pass),
            ReplyBody::Error(code) => self.note_bad(index, Reason::ErrorResponse, code, ticket.pass),
        }
    }

    fn on_mapped(
        &mut self,
        ticket: Ticket,
        server: u16,
        (external, other_port): (SocketAddr, bool),
        mut verdict: Verdict,
        sink: &mut impl VerdictSink,
    ) {
        let index = verdict.index;
        let earlier = self.evidence.get(index).filter(|e| e.status == Status::Mapped);
        if external.ip() == verdict.source {
            match earlier {
                None => {
                    self.evidence.remove(index);
                    verdict.port_rewritten = other_port;
                    let state = if other_port { State::OkOtherPort } else { State::Ok };
                    self.states.set(index, state);
                    self.hand_out(&verdict, sink);
                }
                Some(entry) => {
                    verdict.external = self.evidence.external(&entry);
                    (verdict.status, verdict.reason) = (Status::Unknown, Reason::ServersDisagree);
                    self.settle(verdict, entry, sink);
                }
            }
            return;
        }
        verdict.status = Status::Mapped;
        match earlier {
            None => {
                let entry = self.evidence.mapped_entry(external, server, ticket.pass);
                self.evidence.count_mapped(&entry);
                if self.witnesses < 2 {
                    self.settle(verdict, entry, sink);
                } else {
                    // One server's word: the next pass asks another.
                    self.evidence.put(index, entry);
                }
            }
            Some(entry) if self.server(entry.server).ip() == self.server(server).ip() => {
                self.counters.duplicates += 1;
            }
            Some(entry) => {
                if self.evidence.external(&entry).map(|e| e.ip()) != Some(external.ip()) {
                    verdict.reason = Reason::ExternalVaries;
                }
                self.settle(verdict, entry, sink);
            }
        }
    }

    /// Hands out a verdict other than `ok` and keeps its evidence if a saved state will need it.
    fn settle(&mut self, verdict: Verdict, mut entry: Entry, sink: &mut impl VerdictSink) {
        (entry.status, entry.reason) = (verdict.status, verdict.reason);
        self.states.set(verdict.index, State::Other);
        if self.settings.keep_evidence {
            self.evidence.put(verdict.index, entry);
        } else {
            self.evidence.remove(verdict.index);
        }
        self.hand_out(&verdict, sink);
    }

    pub(super) fn hand_out(&mut self, verdict: &Verdict, sink: &mut impl VerdictSink) {
        self.judged[verdict.status as usize] += 1;
        if verdict.reason != Reason::None {
            match self.reasons.iter_mut().find(|(s, r, _)| (*s, *r) == (verdict.status, verdict.reason)) {
                Some((.., count)) => *count += 1,
                None => self.reasons.push((verdict.status, verdict.reason, 1)),
            }
        }
        sink.verdict(verdict);
    }

    /// Something that is no STUN response. If it came from a server to a source, the source's path at least is not silent;
    /// the source stays open and is asked again.
    fn on_garbage(&mut self, datagram: &Datagram<'_>) {
        self.counters.garbage += 1;
        if !self.settings.servers.contains(&datagram.from) {
            return;
        }
        if let Some(index) = self.targets.index_of(datagram.to)
            && self.states.at(index) == State::Open
        {
            self.note_bad(index, Reason::NotStun, 0, self.pass);
        }
    }

    fn note_bad(&mut self, index: u32, reason: Reason, code: u16, pass: u8) {
        if self.evidence.get(index).is_none_or(|e| e.status != Status::Mapped) {
            self.evidence.put(index, Entry::bad_reply(reason, code, pass));
        }
    }
}
