//! Asks several servers from several addresses at once what they see: whom to ask when, whom to ask again, when to stop.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::agree::{Certainty, Conclusion, Vote, agree};
use crate::stun::{self, BINDING_REQUEST_LEN, ReplyBody};
use crate::sweep::{ProbeId, ProbeIds};

/// When requests are sent again, and when waiting ends.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Times of the sends of a transaction, from its first.
    pub sends: Vec<Duration>,
    /// When a transaction is given up, from its first send.
    pub give_up: Duration,
    /// How many servers are asked at once at the start.
    pub servers_at_once: usize,
    /// After how long one more server is asked, while some address has no conclusion.
    pub next_server_after: Duration,
    /// Transactions under way to one server at most (RFC 8489, section 6.2, recommends 10).
    pub outstanding: usize,
}

/// A request to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// From here.
    pub source: IpAddr,
    /// To there.
    pub server: SocketAddr,
    /// This.
    pub bytes: [u8; BINDING_REQUEST_LEN],
    /// Which transaction it belongs to, for [`Discovery::on_send_error`].
    pub transaction: u32,
}

/// What one server did with the requests of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server, by its number.
    pub server: usize,
    /// What it saw; `None` if it did not answer.
    pub external: Option<SocketAddr>,
    /// From the request that was answered to the answer.
    pub round_trip: Option<Duration>,
    /// How often it was asked.
    pub attempts: u8,
    /// The system refused to send, with this error number.
    pub errno: Option<i32>,
    /// It answered with this error response (420: it does not know an attribute).
    pub error_code: Option<u16>,
}

/// All that was found out about one address.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The address that was asked from.
    pub source: IpAddr,
    /// The port that was asked from.
    pub local_port: u16,
    /// What follows.
    pub conclusion: Conclusion,
    /// One entry for each server that was asked.
    pub answers: Vec<Answer>,
}

/// Datagrams that changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// No STUN response.
    pub garbage: u32,
    /// A transaction id that is not ours.
    pub forged: u32,
    /// From another server, or to another address, than was asked.
    pub misdirected: u32,
    /// A second answer.
    pub duplicates: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Transaction {
    started: Option<Duration>,
    /// When each attempt was sent; a transaction has at most eight.
    sent: [Duration; 8],
    attempts: u8,
    ended: bool,
    external: Option<SocketAddr>,
    local_port: u16,
    round_trip: Option<Duration>,
    errno: Option<i32>,
    error_code: Option<u16>,
}

/// The questions of all addresses to all servers. Pure: times go in, requests come out.
#[derive(Debug)]
pub struct Discovery {
    sources: Vec<IpAddr>,
    servers: Vec<SocketAddr>,
    schedule: Schedule,
    probe_ids: ProbeIds,
    transactions: Vec<Transaction>,
    /// Transactions that wait for their next send or their end.
    due: BinaryHeap<Reverse<(Duration, u32)>>,
    /// Per server: the next address to be asked from, and how many transactions are under way.
    next_source: Vec<usize>,
    under_way: Vec<usize>,
    settled: Vec<bool>,
    unsettled: usize,
    ended: usize,
    ignored: Ignored,
}

impl Discovery {
    /// Questions from each of `sources` to `servers`, which must be of the same family. `key` must be random.
    #[must_use]
    pub fn new(sources: Vec<IpAddr>, servers: Vec<SocketAddr>, schedule: Schedule, key: [u8; 16]) -> Self {
        let pairs = sources.len() * servers.len();
        Self {
            transactions: vec![Transaction::default(); pairs],
            due: BinaryHeap::new(),
            next_source: vec![0; servers.len()],
            under_way: vec![0; servers.len()],
            settled: vec![false; sources.len()],
            unsettled: sources.len(),
            ended: 0,
            probe_ids: ProbeIds::new(key),
            ignored: Ignored::default(),
            sources,
            servers,
            schedule,
        }
    }

    /// Whether every address has its conclusion, or nothing is left to wait for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.unsettled == 0 || self.ended == self.transactions.len()
    }

    /// The requests that are due at `now`.
    pub fn poll(&mut self, now: Duration, requests: &mut Vec<Request>) {
        while let Some(Reverse((at, transaction))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            self.again(now, transaction, requests);
        }
        let active = self.active_servers(now);
        for server in 0..active {
            while self.next_source[server] < self.sources.len()
                && self.under_way[server] < self.schedule.outstanding
            {
                let source = self.next_source[server];
                self.next_source[server] += 1;
                let transaction = (source * self.servers.len() + server) as u32;
                self.under_way[server] += 1;
                if self.settled[source] {
                    self.end(transaction as usize);
                    continue;
                }
                self.transactions[transaction as usize].started = Some(now);
                self.send(now, transaction, requests);
            }
        }
    }

    /// When [`Discovery::poll`] has something to do again; `None` if nothing is waited for.
    #[must_use]
    pub fn next_wake(&self, now: Duration) -> Option<Duration> {
        let due = self.due.peek().map(|Reverse((at, _))| *at);
        let active = self.active_servers(now);
        let next_server = (active < self.servers.len()).then(|| {
            self.schedule.next_server_after * (active + 1 - self.schedule.servers_at_once.min(active)) as u32
        });
        match (due, next_server) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn active_servers(&self, now: Duration) -> usize {
        let more = now.as_nanos() / self.schedule.next_server_after.as_nanos().max(1);
        (self.schedule.servers_at_once + more as usize).min(self.servers.len())
    }

    /// Takes a datagram that came from `from` to `to`.
    pub fn on_receive(&mut self, now: Duration, from: SocketAddr, to: IpAddr, port: u16, bytes: &[u8]) {
        let Ok(reply) = stun::read_reply(bytes) else {
            self.ignored.garbage += 1;
            return;
        };
        let probe = ProbeId::decode(&reply.id);
        let at = probe.position as usize;
        let Some(transaction) = self.transactions.get(at).copied() else {
            self.ignored.forged += 1;
            return;
        };
        let (source, server) = self.pair(at);
        let genuine = self.probe_ids.encode(probe, self.sources[source], self.servers[server]) == reply.id
            && probe.pass >= 1
            && probe.pass <= transaction.attempts;
        if !genuine {
            self.ignored.forged += 1;
        } else if from != self.servers[server] || to != self.sources[source] {
            self.ignored.misdirected += 1;
        } else if transaction.external.is_some() || transaction.error_code.is_some() {
            self.ignored.duplicates += 1;
        } else {
            let transaction = &mut self.transactions[at];
            let sent = transaction.sent[usize::from(probe.pass) - 1];
            transaction.round_trip = Some(now.saturating_sub(sent));
            transaction.local_port = port;
            match reply.body {
                ReplyBody::Mapped(external) => transaction.external = Some(external),
                ReplyBody::NoMappedAddress => transaction.error_code = Some(0),
                ReplyBody::Error(code) => transaction.error_code = Some(code),
            }
            self.end(at);
            self.settle(source);
        }
    }

    /// The system refused to send a request. A retry follows as for a lost one; the error stands if no answer comes.
    pub fn on_send_error(&mut self, transaction: u32, errno: i32) {
        if let Some(transaction) = self.transactions.get_mut(transaction as usize) {
            transaction.errno = Some(errno);
        }
    }

    /// What was found out, in the order of the addresses, and what was ignored.
    #[must_use]
    pub fn finish(self) -> (Vec<Observation>, Ignored) {
        let observations = self.sources.iter().enumerate().map(|(source, ip)| {
            let (votes, local_port) = self.votes(source);
            let answers = self.of(source).enumerate().filter(|(_, t)| t.attempts > 0);
            Observation {
                source: *ip,
                local_port,
                conclusion: agree(&votes, local_port),
                answers: answers
                    .map(|(server, t)| Answer {
                        server,
                        external: t.external,
                        round_trip: t.round_trip,
                        attempts: t.attempts,
                        errno: t.errno.filter(|_| t.round_trip.is_none()),
                        error_code: t.error_code,
                    })
                    .collect(),
            }
        });
        (observations.collect(), self.ignored)
    }

    fn pair(&self, at: usize) -> (usize, usize) {
        (at / self.servers.len(), at % self.servers.len())
    }

    fn of(&self, source: usize) -> impl Iterator<Item = &Transaction> {
        self.transactions[source * self.servers.len()..].iter().take(self.servers.len())
    }

    fn votes(&self, source: usize) -> (Vec<Vote>, u16) {
        let answered = || self.of(source).zip(&self.servers).filter_map(|(t, s)| Some((t, s, t.external?)));
        let votes = answered().map(|(_, server, external)| Vote { server: server.ip(), external }).collect();
        (votes, answered().next().map_or(0, |(t, ..)| t.local_port))
    }

    fn again(&mut self, now: Duration, transaction: u32, requests: &mut Vec<Request>) {
        let at = transaction as usize;
        let Transaction { ended, started, .. } = self.transactions[at];
        let (source, _) = self.pair(at);
        let started = started.unwrap_or(now);
        if ended {
            return;
        }
        if self.settled[source] || now >= started + self.schedule.give_up {
            self.end(at);
        } else {
            // After the last send it is due when it is given up.
            self.send(now, transaction, requests);
        }
    }

    fn send(&mut self, now: Duration, transaction: u32, requests: &mut Vec<Request>) {
        let at = transaction as usize;
        let (source, server) = self.pair(at);
        let (source, server) = (self.sources[source], self.servers[server]);
        let state = &mut self.transactions[at];
        state.sent[usize::from(state.attempts).min(7)] = now;
        state.attempts += 1;
        let started = state.started.unwrap_or(now);
        let wake = self.schedule.sends.get(usize::from(state.attempts)).copied();
        self.due.push(Reverse((started + wake.unwrap_or(self.schedule.give_up), transaction)));
        let probe = ProbeId { position: transaction, pass: state.attempts, control: false };
        let bytes = stun::binding_request(&self.probe_ids.encode(probe, source, server));
        requests.push(Request { source, server, bytes, transaction });
    }

    fn end(&mut self, at: usize) {
        let (_, server) = self.pair(at);
        if !self.transactions[at].ended {
            self.transactions[at].ended = true;
            self.ended += 1;
            self.under_way[server] -= 1;
        }
    }

    /// An address is settled when two servers agree; with fewer servers, when all have answered.
    fn settle(&mut self, source: usize) {
        if self.settled[source] {
            return;
        }
        let (votes, port) = self.votes(source);
        let all_answered = self.of(source).all(|t| t.external.is_some() || t.error_code.is_some());
        if all_answered || agree(&votes, port).certainty == Certainty::Agreed {
            self.settled[source] = true;
            self.unsettled -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
