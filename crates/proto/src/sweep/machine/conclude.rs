//! The end of a sweep, and going on with a saved one.

use super::super::evidence::Entry;
use super::super::order::Order;
use super::super::probe_id::ProbeIds;
use super::super::retry::Finding;
use super::super::saved::{Saved, SavedEvidence};
use super::super::settings::bounds;
use super::super::states::State;
use super::super::verdict::{Reason, Status, Verdict, VerdictSink};
use super::{EndReason, Phase, Sweep};

impl Sweep {
    /// Every source that could be probed was probed.
    pub(super) fn conclude_all(&mut self) {
        self.concluded = true;
        self.phase = Phase::Conclude(0);
        if let Some(retry) = &mut self.retry {
            let len = f64::from(self.targets.len().max(1));
            retry.find_order_effect(|index| f64::from(self.order.position(index)) / len, &self.states);
        }
    }

    /// What it means that a source stayed silent: `no-reply` only when nothing else can explain it.
    fn judge_silence(&self, index: u32) -> Finding {
        let unknown = |reason| Finding { status: Status::Unknown, reason, probes: 0, refused: false };
        let found = self.retry.as_ref().and_then(|retry| retry.finding(index));
        let mut finding = match found {
            Some(finding) => finding,
            None if self.network_lost => unknown(Reason::NetworkLost),
            None => unknown(Reason::Loss),
        };
        if finding.reason != Reason::None && self.network_lost {
            finding.reason = Reason::NetworkLost;
        } else if !finding.refused && self.looks_like_nat_ports() {
            (finding.status, finding.reason) = (Status::Unknown, Reason::NatPorts);
        }
        finding
    }

    /// A NAT has some 64,500 ports per external address and server address and port, often far fewer. When nearly all
    /// answers came from behind one address, the silent ones may just have found no port left.
    fn looks_like_nat_ports(&self) -> bool {
        let largest = self.evidence.externals(1).first().map_or(0, |(_, count)| *count);
        largest >= bounds::NAT_PORTS_FROM
            && f64::from(largest) >= f64::from(self.responsive) * bounds::NAT_PORTS_SHARE
    }

    /// Emits the verdicts on what is still open; `false` if the receiver had no more room.
    pub(super) fn conclude(&mut self, from: u32, room: usize, sink: &mut impl VerdictSink) -> bool {
        let mut at = from;
        for _ in 0..room {
            let Some(index) = self.states.next_open(at) else {
                self.phase = Phase::Done(EndReason::Complete);
                return true;
            };
            at = index + 1;
            if let Some(verdict) = self.final_verdict(index) {
                self.emit(&verdict, sink);
            }
        }
        self.phase = Phase::Conclude(at);
        if self.states.next_open(at).is_none() {
            self.phase = Phase::Done(EndReason::Complete);
            return true;
        }
        false
    }

    /// The verdict on a source that is open when the sweep ends. Its state stays open: the bitmap records answers only.
    fn final_verdict(&mut self, index: u32) -> Option<Verdict> {
        let source = self.targets.source(index)?;
        let entry = self.evidence.get(index);
        // A saved state that was concluded holds what is not simply silent.
        let known = entry.filter(|_| self.resumed && self.retry.is_none() && !self.network_lost);
        let finding = match known {
            Some(e) => Finding { status: e.status, reason: e.reason, probes: 0, refused: e.is_refusal() },
            None if self.resumed && self.retry.is_none() && !self.network_lost => {
                Finding { status: Status::NoReply, reason: Reason::None, probes: 0, refused: false }
            }
            None => self.judge_silence(index),
        };
        let mut verdict = Verdict {
            index,
            source,
            status: finding.status,
            reason: finding.reason,
            external: None,
            code: 0,
            port_rewritten: false,
            single_server: self.independent_servers < 2,
            resumed: false,
            asked: (self.first_flow.min(u32::from(u8::MAX)) as u8)
                .saturating_add(1)
                .saturating_add(finding.probes),
            rtt_us: 0,
        };
        // Only what was refused each time is refused.
        let stands = |e: &Entry| {
            !e.is_refusal()
                || (finding.status == Status::NoReply && finding.refused)
                || self.never_retried(finding)
        };
        if let Some(entry) = entry.filter(stands) {
            verdict.status = entry.status;
            verdict.reason = entry.reason;
            verdict.code = entry.code;
            verdict.external = self.evidence.external(&entry);
            if entry.status == Status::Mapped {
                verdict.single_server = true; // the second server never answered
            }
        } else if self.settings.keep_evidence && verdict.status == Status::Unknown {
            self.evidence.put(index, Entry::unknown(verdict.reason));
        } else if self.settings.keep_evidence {
            self.evidence.remove(index);
        }
        Some(verdict)
    }

    /// The first pass was all that there was to be, or the source was refused then and nothing came after.
    fn never_retried(&self, finding: Finding) -> bool {
        finding.probes == 0 && !self.network_lost
    }

    /// Emits the verdicts of a saved state; `false` if the receiver had no more room.
    pub(super) fn replay(&mut self, from: u32, room: usize, sink: &mut impl VerdictSink) -> bool {
        let mut at = from;
        for _ in 0..room {
            let Some(index) = self.states.next_judged(at) else {
                self.phase = if self.concluded { Phase::Conclude(0) } else { Phase::Pass };
                return true;
            };
            at = index + 1;
            if let Some(verdict) = self.saved_verdict(index) {
                self.emit(&verdict, sink);
            }
        }
        self.phase = Phase::Replay(at);
        false
    }

    fn saved_verdict(&self, index: u32) -> Option<Verdict> {
        let entry = self.evidence.get(index);
        let state = self.states.at(index);
        let (status, reason, code) = match (state, entry) {
            (State::Ok | State::OkOtherPort, _) => (Status::Ok, Reason::None, 0),
            (_, Some(e)) => (e.status, e.reason, e.code),
            (_, None) => return None,
        };
        Some(Verdict {
            index,
            source: self.targets.source(index)?,
            status,
            reason,
            external: entry.and_then(|e| self.evidence.external(&e)),
            code,
            port_rewritten: state == State::OkOtherPort,
            single_server: self.independent_servers < 2,
            resumed: true,
            asked: 0,
            rtt_us: 0,
        })
    }

    /// All that is needed to go on later.
    #[must_use]
    pub fn save(&self) -> Saved {
        let evidence = self.evidence.iter().map(|(index, e)| SavedEvidence {
            index,
            status: e.status,
            reason: e.reason,
            code: e.code,
            external: self.evidence.external(&e),
            server: e.server,
        });
        Saved {
            identity: self.identity.clone(),
            seed: self.seed,
            key: self.probe_ids.key(),
            // Those in flight may be lost with the process: they are probed again.
            cursor: self.flight.oldest_position().map_or(self.cursor, |oldest| oldest.min(self.cursor)),
            concluded: self.concluded,
            late: self.late,
            traffic: [self.counters.probes, self.counters.received],
            states: self.states.clone(),
            evidence: evidence.collect(),
        }
    }

    /// Goes on where `saved` ended: first its verdicts are emitted, then the rest is probed. Call it before the first
    /// [`Sweep::step`]; `false` if the state is of another sweep or of another number of sources.
    #[must_use]
    pub fn restore(&mut self, saved: Saved) -> bool {
        let fits = saved.identity == self.identity && saved.states.len() == self.states.len();
        if !fits {
            return false;
        }
        self.seed = saved.seed;
        self.order = Order::new(self.targets.len(), saved.seed);
        self.probe_ids = ProbeIds::new(saved.key);
        self.cursor = saved.cursor.min(self.targets.len());
        self.concluded = saved.concluded;
        self.late = saved.late;
        [self.counters.probes, self.counters.received] = saved.traffic;
        self.states = saved.states;
        self.responsive = self.targets.len() - self.states.count(State::Open);
        let servers = self.settings.servers.len() as u16;
        for e in saved.evidence {
            let mut entry = match e.external {
                Some(external) => {
                    // The server list may have changed; only "another server than before" matters.
                    let entry = self.evidence.mapped_entry(external, e.server % servers.max(1));
                    self.evidence.count_mapped(&entry);
                    entry
                }
                None => Entry::bad_reply(e.reason, e.code),
            };
            (entry.status, entry.reason, entry.code) = (e.status, e.reason, e.code);
            if entry.status == Status::Mapped && self.states.at(e.index) == State::Open {
                self.responsive += 1;
            }
            self.evidence.put(e.index, entry);
        }
        self.confirmed |= self.responsive > 0;
        self.resumed = true;
        self.phase = Phase::Replay(0);
        true
    }
}
