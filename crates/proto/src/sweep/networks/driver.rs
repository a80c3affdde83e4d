//! The driver of a sweep on stepped time: what the loop around the socket does, in the same order.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::network::{Network, Stops};
use super::part::{Micros, SECOND, mix};
use super::wire::Wire;
use crate::sweep::{Datagram, EndReason, Next, Probe, Settings, Sweep, Verdict};
use crate::targets::Targets;

/// What sending and reading a datagram costs, and how late a waiting thread wakes.
const SEND: Micros = 2;
const READ: Micros = 1;
const WAKE: Micros = 40;
/// The loop looks at the clock at least this often.
const NAP: Micros = SECOND / 50;
/// The kernel's count of drops is read this often.
const DROPS_EVERY: Micros = 2_000;
/// A sweep that is not done by then does not end. The oracle needs half an hour at most.
const TOO_LONG: Micros = 4 * 3_600 * SECOND;
/// The wire knows the port of a worker's flow by the number of the flow, with the worker's in these bits.
const WORKER_BITS: u32 = 24;
/// So often may the driver go round without sending, reading or waiting.
const IDLE_ROUNDS: u32 = 100_000;

/// What became of a run.
pub(super) struct RunResult {
    /// `None`: it did not end.
    pub(super) end_reason: Option<EndReason>,
    pub(super) took: Micros,
    pub(super) sent: u64,
    pub(super) verdicts: Vec<Verdict>,
}

/// Time as the process sees it: it jumps over the stops.
struct Clock {
    now: Micros,
    /// Later ones last.
    long: Vec<(Micros, Micros)>,
    starved: (Micros, Micros),
    next_short: Micros,
    rng: StdRng,
}

impl Clock {
    fn new(stops: &Stops, rng: StdRng) -> Self {
        let mut long = stops.long.clone();
        long.sort_unstable_by(|a, b| b.cmp(a));
        let mut clock = Self { now: 0, long, starved: stops.starved, next_short: Micros::MAX, rng };
        clock.plan();
        clock
    }

    fn plan(&mut self) {
        if self.starved.0 > 0 {
            self.next_short = self.now + self.rng.random_range(1..=self.starved.0 * 2);
        }
    }

    fn advance(&mut self, to: Micros) {
        self.now = self.now.max(to);
        while let Some((_, len)) = self.long.pop_if(|(at, _)| *at <= self.now) {
            self.now += len;
        }
        if self.next_short <= self.now {
            self.now += self.rng.random_range(0..=self.starved.1);
            self.plan();
        }
    }
}

/// Sweeps a network to the end.
pub(super) fn sweep(network: &Network, settings: Settings) -> RunResult {
    let block = network.block();
    let blocks = vec![block.parse().expect("a block")];
    let targets = Targets::new(blocks, None, network.seed).expect("a block makes targets");
    let workers = u32::from(settings.workers);
    // The engine's seed and key have nothing to do with the network's generator.
    let seed = mix(network.seed ^ 0x656e_6769_6e65);
    let mut sweep =
        Sweep::new(targets, seed, seed.to_le_bytes().repeat(2).try_into().expect("16"), settings, block);
    let mut wire = Wire::new(network);
    let mut clock = Clock::new(&network.stops, network.rng(2));
    let (mut probes, mut verdicts) = (Vec::new(), Vec::new());
    let (mut drops, mut drops_at, mut idle) = (0, 0, 0);
    let mut turn = 0;
    let end_reason = loop {
        let now = clock.now;
        turn = if sweep.is_first_pass() { (turn + 1) % workers } else { 0 };
        if now > TOO_LONG || idle > IDLE_ROUNDS {
            break None;
        }
        idle += 1;
        let mut wait = None;
        match sweep.step(turn as u16, Duration::from_micros(now), usize::MAX >> 1, &mut probes, &mut verdicts)
        {
            Next::Send => {
                for probe in probes.drain(..) {
                    clock.advance(clock.now + SEND);
                    idle = 0;
                    let port = probe.flow | u32::from(probe.worker) << WORKER_BITS;
                    if let Err(failure) = wire.send(clock.now, &Probe { flow: port, ..probe }) {
                        sweep.on_send_failure(&probe, failure);
                    }
                }
            }
            Next::Wait(until) => wait = Some(until.as_micros() as Micros),
            Next::Full => wait = Some(now + 1_000),
            Next::Done(reason) => break Some(reason),
        }
        let before = clock.now;
        wire.advance(before);
        let at = Duration::from_micros(before);
        let mut received = false;
        while let Some(arrived) = wire.read() {
            let (from, to, port) = (arrived.from, arrived.to, arrived.port);
            let (flow, worker) = (arrived.flow % (1 << WORKER_BITS), (arrived.flow >> WORKER_BITS) as u16);
            let datagram = Datagram { from, to, port, flow, worker, bytes: arrived.bytes() };
            sweep.on_datagram(at, &datagram, &mut verdicts);
            clock.advance(clock.now + READ);
            received = true;
        }
        sweep.on_drained(at);
        if wire.dropped > drops && clock.now >= drops_at + DROPS_EVERY {
            (drops, drops_at) = (wire.dropped, clock.now);
            sweep.on_drops();
        }
        match wait {
            Some(until) if !received => {
                let woken = wire.next_arrival(until.clamp(clock.now, clock.now + NAP));
                if woken > clock.now {
                    idle = 0;
                }
                clock.advance(woken.max(clock.now + 1) + if woken < until { WAKE } else { 0 });
            }
            _ => clock.advance(clock.now + 1),
        }
        if received {
            idle = 0;
        }
    };
    RunResult { end_reason, took: clock.now, sent: wire.sent, verdicts }
}
