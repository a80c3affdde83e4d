//! What an answer means.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::evidence::Entry;
use super::super::probe_id::{ProbeId, pass_of};
use super::super::retry::CANARY;
use super::super::states::State;
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
    /// The flow that has this port: see [`super::Probe::flow`].
    pub flow: u32,
    /// The worker that has this port.
    pub worker: u16,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Sweep {
    /// Judges a received datagram. Nothing that a stranger can send makes a source `ok`: the transaction id must carry
    /// this run's proof for this source and server, the sender must be the server that was queried, and the datagram
    /// must have been delivered to the source.
    pub fn on_datagram(&mut self, now: Duration, datagram: &Datagram<'_>, sink: &mut impl VerdictSink) {
        self.counters.received += 1;
        let Ok(reply) = stun::read_reply(datagram.bytes) else {
            return self.on_garbage(now, datagram);
        };
        let probe = ProbeId::decode(&reply.id);
        let flow = datagram.flow;
        let Some((index, source)) = self.source_at(probe.position, flow) else {
            self.counters.forged += 1;
            return;
        };
        let number = self.server_for(probe.position, flow, datagram.worker);
        let server = self.server(number);
        if probe.pass != pass_of(flow) || self.probe_ids.encode(probe, source, server) != reply.id {
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
            self.outage_detector.last_reply = now;
            self.outage_detector.heartbeats = 0;
            self.confirmed = true;
        }
        if probe.control {
            if let (None, Some(retry)) = (misdirected, &mut self.retry) {
                retry.on_control(index.unwrap_or(CANARY), flow, &self.states, now);
            }
            return;
        }
        let Some(index) = index else { return };
        if self.states.at(index) != State::Open {
            self.counters.duplicates += 1;
            let late = flow <= self.first_flow && self.retry.as_mut().is_some_and(|r| r.on_late_first(index));
            self.late -= u32::from(late);
            return;
        }
        if let Some(reason) = misdirected {
            return self.record_bad_reply(index, Entry::bad_reply(reason, 0), flow, now);
        }
        let first = self.evidence.get(index).is_none_or(|e| e.is_refusal());
        let landed = if flow == self.first_flow { self.flight.on_reply(now, probe.position) } else { None };
        if landed.is_some_and(|(_, held)| held) {
            self.window.on_answered(1);
        }
        if first {
            self.responsive += 1;
            self.late += u32::from(flow > self.first_flow);
        }
        let mut verdict = Verdict {
            index,
            source,
            status: Status::Ok,
            reason: Reason::None,
            external: None,
            code: 0,
            port_rewritten: false,
            single_server: self.independent_servers < 2,
            resumed: false,
            asked: self.times_probed(index, flow),
            rtt_us: landed.map_or(0, |(d, _)| u32::try_from(d.as_micros()).unwrap_or(u32::MAX).max(1)),
        };
        match reply.body {
            ReplyBody::Mapped(external) if reply.protected => {
                verdict.external = Some(external);
                let other_port = external.port() != datagram.port;
                self.on_mapped(number, (external, other_port), verdict, sink);
            }
            ReplyBody::Mapped(external) => {
                verdict.external = Some(external);
                (verdict.status, verdict.reason) = (Status::Unknown, Reason::UnprotectedReply);
                self.on_unprotected(number, external, verdict, sink);
            }
            ReplyBody::NoMappedAddress => {
                self.record_bad_reply(index, Entry::bad_reply(Reason::NoMappedAddress, 0), flow, now);
            }
            ReplyBody::Error(code) => {
                self.record_bad_reply(index, Entry::bad_reply(Reason::ErrorResponse, code), flow, now);
            }
        }
        if let Some(retry) = &mut self.retry {
            let mapped = self.evidence.get(index).is_some_and(|entry| entry.status == Status::Mapped);
            retry.on_case(index, flow, mapped, &self.states, now);
        }
    }

    /// How often a source had been probed when the probe left that was answered by this flow.
    fn times_probed(&self, index: u32, flow: u32) -> u8 {
        let passes = self.first_flow.min(u32::from(u8::MAX)) as u8;
        let again =
            self.retry.as_ref().filter(|_| flow > self.first_flow).map_or(0, |retry| retry.probes(index));
        passes.saturating_add(1).saturating_add(again)
    }

    /// The address was not protected against devices that rewrite addresses in payloads: whatever it says proves nothing. Another
    /// server may say more.
    fn on_unprotected(
        &mut self,
        server: u16,
        external: SocketAddr,
        verdict: Verdict,
        sink: &mut impl VerdictSink,
    ) {
        let earlier = self.evidence.get(verdict.index);
        let mut entry = self.evidence.mapped_entry(external, server);
        (entry.status, entry.reason) = (Status::Unknown, Reason::UnprotectedReply);
        let other_server = |e: &Entry| self.server(e.server).ip() != self.server(server).ip();
        match earlier {
            Some(e) if e.status == Status::Mapped => {} // a protected word counts more
            Some(e) if e.reason == Reason::UnprotectedReply && !other_server(&e) => {
                self.counters.duplicates += 1;
            }
            Some(e) if e.reason == Reason::UnprotectedReply => self.settle(verdict, entry, sink),
            _ if self.independent_servers < 2 => self.settle(verdict, entry, sink),
            _ => self.evidence.put(verdict.index, entry),
        }
    }

    fn on_mapped(
        &mut self,
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
                    self.emit(&verdict, sink);
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
                let entry = self.evidence.mapped_entry(external, server);
                self.evidence.count_mapped(&entry);
                if self.independent_servers < 2 {
                    self.settle(verdict, entry, sink);
                } else {
                    // One server's word: the next pass queries another.
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

    /// Emits a verdict other than `ok` and keeps its evidence if a saved state will need it.
    fn settle(&mut self, verdict: Verdict, mut entry: Entry, sink: &mut impl VerdictSink) {
        (entry.status, entry.reason) = (verdict.status, verdict.reason);
        self.states.set(verdict.index, State::Other);
        if self.settings.keep_evidence {
            self.evidence.put(verdict.index, entry);
        } else {
            self.evidence.remove(verdict.index);
        }
        self.emit(&verdict, sink);
    }

    pub(super) fn emit(&mut self, verdict: &Verdict, sink: &mut impl VerdictSink) {
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
    /// the source stays open and is probed again.
    fn on_garbage(&mut self, now: Duration, datagram: &Datagram<'_>) {
        self.counters.garbage += 1;
        if !self.settings.servers.contains(&datagram.from) {
            return;
        }
        if let Some(index) = self.targets.index_of(datagram.to)
            && self.states.at(index) == State::Open
        {
            self.record_bad_reply(index, Entry::bad_reply(Reason::NotStun, 0), datagram.flow, now);
        }
    }

    fn record_bad_reply(&mut self, index: u32, entry: Entry, flow: u32, now: Duration) {
        let known = self.evidence.get(index);
        if known.is_none_or(|e| e.is_refusal() || e.status == Status::BadReply) {
            self.evidence.put(index, entry);
        }
        if let Some(retry) = &mut self.retry {
            retry.on_case(index, flow, false, &self.states, now);
        }
    }
}
