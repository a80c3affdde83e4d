//! A worker: the sockets of a server and what it answers at each. Whoever owns it calls it when there may be something to answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use routepool_proto::stun::guard::Guard;
use routepool_proto::stun::server::{Ignored, IncomingRequest, MAX_ANSWER_LEN, Service, Transport};
use routepool_udp::{Endpoints, Transmit, errno};

use super::counters::{Counters, Published};
use crate::defaults::{BATCH, IDLE_WAIT, POLL_EVERY};

/// One thread's part of a server.
#[derive(Debug)]
pub(crate) struct StunWorker {
    endpoints: Endpoints,
    services: Vec<Service>,
    /// For each endpoint its service, and the number of the first endpoint of that.
    places: Vec<(usize, usize)>,
    /// None for the server of a validation: only this process queries it.
    guard: Option<Arc<Guard>>,
    start: Instant,
    counters: Counters,
    /// Endpoints that had something at the last look.
    active: Vec<usize>,
    rounds_since_poll: u32,
    out: Out,
}

/// Answers to one batch.
#[derive(Debug)]
struct Out {
    bytes: Vec<u8>,
    used: usize,
    replies: Vec<Reply>,
}

#[derive(Clone, Copy, Debug)]
struct Reply {
    to: SocketAddr,
    via: usize,
    start: usize,
    len: usize,
    error: bool,
    padded: bool,
}

impl StunWorker {
    /// `start` is the beginning of the guard's time.
    pub(super) fn new(
        endpoints: Endpoints,
        services: Vec<Service>,
        guard: Option<Arc<Guard>>,
        start: Instant,
    ) -> Self {
        let mut places = Vec::new();
        for (number, service) in services.iter().enumerate() {
            let first = places.len();
            places.extend(std::iter::repeat_n((number, first), service.endpoints()));
        }
        let out = Out { bytes: vec![0; BATCH * MAX_ANSWER_LEN], used: 0, replies: Vec::with_capacity(BATCH) };
        let active = (0..places.len()).collect();
        let counters = Counters::default();
        Self { endpoints, services, places, guard, start, counters, active, rounds_since_poll: 0, out }
    }

    /// Where an endpoint is bound.
    pub(crate) fn local(&self, number: usize) -> SocketAddr {
        self.endpoints.local(number)
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.endpoints.receive_buffer()
    }

    pub(crate) fn drops(&self) -> u32 {
        self.endpoints.drops()
    }

    /// Runs until it is told to stop.
    pub(super) fn run(&mut self, stop: &AtomicBool, published: &Published) {
        while !stop.load(Ordering::Relaxed) {
            let before = self.counters;
            let received = self.serve_ready();
            if stop.load(Ordering::Relaxed) && self.counters.replies == before.replies {
                self.counters = before; // what came last was what woke it
                break;
            }
            if received == 0 {
                self.counters.drops = self.drops().into();
                published.write(&self.counters);
                // A failing wait must not become a busy loop.
                if self.endpoints.wait(IDLE_WAIT, &mut self.active).is_err() {
                    std::thread::sleep(IDLE_WAIT);
                }
                self.rounds_since_poll = 0;
            } else {
                published.write(&self.counters);
            }
        }
        published.write(&self.counters);
    }

    /// Answers what has arrived, one batch at most for each endpoint, without waiting; gives the number of datagrams.
    #[inline]
    pub(crate) fn serve_ready(&mut self) -> usize {
        if self.places.len() == 1 {
            return self.serve(0);
        }
        // Those that were busy are read again at once; the others are looked at now and then.
        self.rounds_since_poll += 1;
        if self.active.is_empty() || self.rounds_since_poll >= POLL_EVERY {
            self.rounds_since_poll = 0;
            if self.endpoints.wait(Duration::ZERO, &mut self.active).is_err() {
                self.active.clear();
            }
        }
        let mut received = 0;
        let mut at = 0;
        while let Some(number) = self.active.get(at).copied() {
            match self.serve(number) {
                0 => {
                    self.active.swap_remove(at);
                }
                count => {
                    received += count;
                    at += 1;
                }
            }
        }
        received
    }

    /// Answers one batch of an endpoint.
    #[inline]
    fn serve(&mut self, number: usize) -> usize {
        let Self { endpoints, services, places, guard, start, counters, out, .. } = self;
        // One look at the clock for each batch is exact enough for a rate.
        let guard = guard.as_deref().map(|guard| (guard, start.elapsed()));
        let (service, first) = places[number];
        let (service, at) = (&services[service], number - first);
        out.used = 0;
        out.replies.clear();
        let received = endpoints.receive(number, |datagram| {
            let asked =
                IncomingRequest { bytes: datagram.bytes, from: datagram.from, at, transport: Transport::Udp };
            if let Err(why) = out.answer(service, guard, &asked, first) {
                counters.ignore(why, 1);
            }
        });
        // An error speaks of an earlier reply (ICMP), or the interface went away: there is nothing to answer now.
        let received = received.unwrap_or(0);
        counters.requests += received as u64;
        if !out.replies.is_empty() {
            out.send(endpoints, counters);
        }
        received
    }
}

impl Out {
    #[inline]
    fn answer(
        &mut self,
        service: &Service,
        guard: Option<(&Guard, Duration)>,
        asked: &IncomingRequest<'_>,
        first: usize,
    ) -> Result<(), Ignored> {
        if let Some((guard, _)) = guard {
            guard.admit(asked.from)?;
        }
        let room = asked.bytes.len().max(MAX_ANSWER_LEN);
        if self.bytes.len() < self.used + room {
            // Requests longer than an answer, which few have reason to send. The most is a batch of the longest.
            self.bytes.resize(self.used + room, 0);
        }
        let answer = service.answer(asked, &mut self.bytes[self.used..self.used + room])?;
        if let Some((guard, now)) = guard {
            guard.spend(answer.to.ip(), now)?;
        }
        self.replies.push(Reply {
            to: answer.to,
            via: first + answer.via,
            start: self.used,
            len: answer.len,
            error: answer.error,
            padded: answer.padded,
        });
        self.used += answer.len;
        Ok(())
    }

    /// Sends what has gathered: those that leave by one endpoint together.
    fn send(&mut self, endpoints: &mut Endpoints, counters: &mut Counters) {
        while let Some(Reply { via, padded, .. }) = self.replies.first().copied() {
            let empty = Transmit { source: None, destination: self.replies[0].to, bytes: &[] };
            let mut transmits = [empty; BATCH];
            let mut count = 0;
            let mut errors = 0;
            let group = self.replies.iter().filter(|r| (r.via, r.padded) == (via, padded));
            for (transmit, reply) in transmits.iter_mut().zip(group) {
                transmit.destination = reply.to;
                transmit.bytes = &self.bytes[reply.start..reply.start + reply.len];
                errors += u64::from(reply.error);
                count += 1;
            }
            let sent = send_group(endpoints, via, padded, &transmits[..count]);
            counters.replies += sent as u64;
            counters.errors += errors;
            counters.ignore(Ignored::SendFailed, (count - sent) as u64);
            if count == self.replies.len() {
                break;
            }
            self.replies.retain(|r| (r.via, r.padded) != (via, padded));
        }
    }
}

fn send_group(endpoints: &mut Endpoints, via: usize, padded: bool, transmits: &[Transmit<'_>]) -> usize {
    // What is padded is meant to be cut into fragments. A refusal shows when it is sent.
    if padded {
        let _ = endpoints.let_fragment(via, true);
    }
    let (mut from, mut sent) = (0, 0);
    while from < transmits.len() {
        let (done, refused) = endpoints.send(via, &transmits[from..]);
        (from, sent) = (from + done, sent + done);
        match refused {
            None => break,
            Some(refused) if errno::is_transient(&refused.error) => {
                let _ = endpoints.wait_writable(via, Duration::from_millis(5));
            }
            // This one cannot be answered; the others can.
            Some(_) => from += 1,
        }
    }
    if padded {
        let _ = endpoints.let_fragment(via, false);
    }
    sent
}
