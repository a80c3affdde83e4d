//! The end of a sweep, and going on with a saved one.

use super::super::bits::State;
use super::super::control::Passes;
use super::super::cookie::{Cookie, MAX_PASS};
use super::super::evidence::Entry;
use super::super::order::Order;
use super::super::saved::{Saved, SavedEvidence};
use super::super::settings::bounds;
use super::super::verdict::{Reason, Status, Verdict, VerdictSink};
use super::{Phase, Sweep, Why};

impl Sweep {
    /// What it means that a source stayed silent: `no-reply` only when nothing else can explain it.
    pub(super) fn meaning_of_silence(&self, network_lost: bool) -> (Status, Reason) {
        let reason = if network_lost {
            Reason::NetworkLost
        } else if self.looks_like_nat_ports() {
            Reason::NatPorts
        } else if !self.silence_is_settled() {
            Reason::Loss
        } else {
            return (Status::NoReply, Reason::None);
        };
        (Status::Unknown, reason)
    }

    /// Whether loss cannot explain the silence. Who asks for a number of passes gets no more of them; then it is enough that
    /// no loss was seen at all.
    fn silence_is_settled(&self) -> bool {
        self.passes.silence_is_proven(self.pass, self.good)
            || (self.settings.passes.is_some() && self.passes.no_loss_seen(self.pass, self.good))
    }

    /// A NAT has some 64,500 ports per external address and server address and port, often far fewer. When nearly all
    /// answers came from behind one address, the silent ones may just have found no port left.
    fn looks_like_nat_ports(&self) -> bool {
        let largest = self.evidence.externals(1).first().map_or(0, |(_, count)| *count);
        largest >= bounds::NAT_PORTS_FROM
            && f64::from(largest) >= f64::from(self.good) * bounds::NAT_PORTS_SHARE
    }

    /// Hands out the verdicts on what is still open; `false` if the receiver had no more room.
    pub(super) fn conclude(&mut self, from: u32, room: usize, sink: &mut impl VerdictSink) -> bool {
        let mut at = from;
        for _ in 0..room {
            let Some(index) = self.states.next_open(at) else {
                self.phase = Phase::Done(Why::Complete);
                return true;
            };
            at = index + 1;
            if let Some(verdict) = self.last_word(index) {
                self.hand_out(&verdict, sink);
            }
        }
        self.phase = Phase::Conclude(at);
        if self.states.next_open(at).is_none() {
            self.phase = Phase::Done(Why::Complete);
            return true;
        }
        false
    }

    /// The verdict on a source that is open when the sweep ends. Its state stays open: the bitmap is for what was heard.
    fn last_word(&self, index: u32) -> Option<Verdict> {
        let source = self.targets.source(index)?;
        let (silence, why) = self.silence.unwrap_or((Status::NoReply, Reason::None));
        let mut verdict = Verdict {
            index,
            source,
            status: silence,
            reason: why,
            external: None,
            code: 0,
            port_rewritten: false,
            single_server: self.witnesses < 2,
            resumed: false,
            asked: self.asks(),
            rtt_us: 0,
        };
        // A source that could be sent from the last time, and stayed silent, is silent and not refused.
        let refused = |e: &Entry| matches!(e.status, Status::SendError | Status::BindError);
        if let Some(entry) = self.evidence.get(index).filter(|e| !refused(e) || e.pass == self.pass) {
            verdict.status = entry.status;
            verdict.reason = entry.reason;
            verdict.code = entry.code;
            verdict.external = self.evidence.external(&entry);
            if entry.status == Status::Mapped {
                verdict.single_server = true; // the second server never answered
            }
        }
        Some(verdict)
    }

    /// Hands out the verdicts of a saved state; `false` if the receiver had no more room.
    pub(super) fn replay(&mut self, from: u32, room: usize, sink: &mut impl VerdictSink) -> bool {
        let mut at = from;
        for _ in 0..room {
            let Some(index) = self.states.next_judged(at) else {
                self.phase = if self.silence.is_some() { Phase::Conclude(0) } else { Phase::Pass };
                return true;
            };
            at = index + 1;
            if let Some(verdict) = self.saved_verdict(index) {
                self.hand_out(&verdict, sink);
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
            single_server: self.witnesses < 2,
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
            pass: e.pass,
            external: self.evidence.external(&e),
            server: e.server,
        });
        Saved {
            subject: self.subject.clone(),
            seed: self.seed,
            key: self.cookie.key(),
            pass: self.pass,
            first_pass: self.passes.first,
            // Those in flight may be lost with the process: they are asked again.
            cursor: self.flight.oldest_position().map_or(self.cursor, |oldest| oldest.min(self.cursor)),
            silence: self.silence,
            by_pass: self.passes.by_pass.clone(),
            traffic: [self.counters.probes, self.counters.received],
            states: self.states.clone(),
            evidence: evidence.collect(),
        }
    }

    /// Goes on where `saved` ended: first its verdicts are handed out, then the rest is asked. Call it before the first
    /// [`Sweep::step`]; `false` if the state is of another subject or of another number of sources.
    #[must_use]
    pub fn restore(&mut self, saved: Saved) -> bool {
        let fits = saved.subject == self.subject
            && saved.states.len() == self.states.len()
            && saved.pass >= saved.first_pass
            && (1..=MAX_PASS).contains(&saved.first_pass)
            && saved.pass <= MAX_PASS
            && saved.by_pass.len() == self.passes.by_pass.len();
        if !fits {
            return false;
        }
        self.seed = saved.seed;
        self.order = Order::new(self.targets.len(), saved.seed);
        self.cookie = Cookie::new(saved.key);
        self.pass = saved.pass;
        self.cursor = saved.cursor;
        self.silence = saved.silence;
        self.passes = Passes { first: saved.first_pass, by_pass: saved.by_pass };
        [self.counters.probes, self.counters.received] = saved.traffic;
        self.states = saved.states;
        self.good = self.targets.len() - self.states.count(State::Open);
        let servers = self.settings.servers.len() as u16;
        for e in saved.evidence {
            let mut entry = match e.external {
                Some(external) => {
                    // The server list may have changed; only "another server than before" matters.
                    let entry = self.evidence.mapped_entry(external, e.server % servers.max(1), e.pass);
                    self.evidence.count_mapped(&entry);
                    entry
                }
                None => Entry::bad_reply(e.reason, e.code, e.pass),
            };
            (entry.status, entry.reason, entry.code) = (e.status, e.reason, e.code);
            if entry.status == Status::Mapped && self.states.at(e.index) == State::Open {
                self.good += 1;
            }
            self.evidence.put(e.index, entry);
        }
        for _ in self.passes.first..self.pass {
            self.window.on_next_pass();
        }
        self.confirmed |= self.good > 0;
        if self.pass > self.passes.first {
            self.controls = self.choose_controls();
        }
        self.resumed = true;
        self.phase = Phase::Replay(0);
        true
    }
}
