//! What somebody would need who knows the network, but not which of its sources are dead.
//!
//! The oracle knows every rate, loss, delay and place, and when the network or the process stands still. It sends exactly
//! as fast as each place carries, to the best of the servers; it probes a source that answers as often as its loss makes it
//! expect, and a dead one as often as that loss needs so that 0.01 sources that work are expected among all that it calls
//! dead. At the end it waits for one time-out and one round trip. It never measures anything, so it is no goal, but a
//! measure that is the same for every engine.

use std::collections::HashMap;

use rand::Rng;

use super::network::{Kind, Network, Stops};
use super::part::{By, Impairment, Micros, Part, SECOND, micros, mix, seconds};
use super::place::Direction;
use crate::sweep::bounds::MAX_EXPECTED_FALSE;

/// A neighbourhood: so many sources beside each other, or the block if it is smaller.
const NEIGHBOURS: u32 = 256;
/// The least share of probes that must come back, whatever their rate, in a network where `unknown` is counted.
const LEAST_CARRIED: f64 = 0.2;
/// Tries for the share of replies that come within the time-out.
const SAMPLES: u32 = 500;

/// What the parts do to the probes of one source, apart from limits: the share that comes back in time, and the round trip.
#[derive(Clone, Copy, Debug)]
struct Trip {
    carried: f64,
    /// The same, counting sends that this machine refuses.
    answered: f64,
    mean: f64,
}

pub(super) struct Oracle<'a> {
    network: &'a Network,
    /// By source, at the server that is best for it.
    trips: Vec<Trip>,
    probes: Vec<f64>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(network: &'a Network) -> Self {
        let mut known = HashMap::new();
        let mut trip = |source: u32| {
            let of_server = |server| {
                let parts =
                    network.parts.iter().enumerate().filter(|(_, part)| affects(part, source, server));
                parts.fold(0_u64, |mask, (number, _)| mask | 1 << number)
            };
            let masks: Vec<_> = (0..network.servers).map(of_server).collect();
            let trips =
                masks.into_iter().map(|mask| *known.entry(mask).or_insert_with(|| measure(network, mask)));
            trips.reduce(|a, b| if b.carried > a.carried { b } else { a }).expect("at least one server")
        };
        let trips: Vec<_> = (0..network.sources()).map(&mut trip).collect();
        let dead = network.kinds.iter().filter(|kind| **kind == Kind::Dead).count().max(1) as f64;
        let witnesses = f64::from(network.servers.min(2));
        let probes = network.kinds.iter().zip(&trips).map(|(kind, trip)| match kind {
            Kind::Refused => 0.0,
            // One ask is the least, also where nothing is lost.
            Kind::Dead => {
                let missed = (1.0 - trip.carried).clamp(1e-9, 1.0 - 1e-3);
                ((MAX_EXPECTED_FALSE / dead).ln() / missed.ln()).ceil().max(1.0)
            }
            Kind::Mapped => witnesses / trip.carried.max(1e-3),
            _ => 1.0 / trip.carried.max(1e-3),
        });
        let probes = probes.collect();
        Self { network, trips, probes }
    }

    /// How long it takes.
    pub(super) fn time(&self) -> Micros {
        let network = self.network;
        let all: f64 = self.probes.iter().sum();
        let in_flight: f64 =
            self.probes.iter().zip(&self.trips).map(|(probes, trip)| probes * trip.mean).sum();
        let mut busy = in_flight / f64::from(network.window);
        if let Some(rate) = network.rate {
            busy = busy.max(all / rate);
        }
        let mut apart: f64 = 0.0;
        for part in &network.parts {
            match part.impairment {
                Impairment::Policer { rate, burst } => {
                    busy = busy.max((self.heaviest(part) - burst).max(0.0) / rate);
                }
                Impairment::Queue { rate, size } => {
                    busy = busy.max((self.heaviest(part) - size).max(0.0) / rate);
                }
                // Each bad spell takes one ask of a source, however many are sent in it.
                Impairment::BurstLoss { bad, .. } => {
                    let most = self.held(part).map(|s| self.probes[s as usize]).fold(1.0, f64::max);
                    apart = apart.max((most - 1.0) * bad);
                }
                Impairment::Flows { size, replied, .. } => {
                    let rounds = self
                        .held(part)
                        .filter(|s| self.probes[*s as usize] > 0.0)
                        .count()
                        .div_ceil(size.max(1));
                    apart = apart.max(rounds.saturating_sub(1) as f64 * replied);
                }
                Impairment::Nat { externals, ports, lives } => {
                    let mapped = network.kinds.iter().filter(|kind| **kind == Kind::Mapped).count();
                    let rounds = mapped.div_ceil((externals as usize * ports).max(1));
                    apart = apart.max(rounds.saturating_sub(1) as f64 * lives);
                }
                _ => {}
            }
        }
        let longest = self.trips.iter().map(|trip| trip.mean).fold(0.0, f64::max);
        let net = micros(busy.max(apart) + longest) + network.timeout;
        Self::with_standstills(network, net)
    }

    /// The time with those during which nothing moves.
    fn with_standstills(network: &Network, mut time: Micros) -> Micros {
        let Stops { long, starved: (every, most) } = &network.stops;
        if *every > 0 {
            time = (time as f64 * (1.0 + *most as f64 / 2.0 / *every as f64)) as Micros;
        }
        let mut still = long.clone();
        still.extend(network.parts.iter().filter_map(|part| match part.impairment {
            Impairment::Outage { from, to } => Some((from, to - from)),
            _ => None,
        }));
        still.sort_unstable();
        for (at, len) in still {
            if at < time {
                time += len;
            }
        }
        time
    }

    /// The sources that a part acts on.
    fn held<'b>(&'b self, part: &'b Part) -> impl Iterator<Item = u32> + 'b {
        (0..self.network.sources())
            .filter(|s| (0..self.network.servers).all(|server| part.place.holds(*s, server)))
    }

    /// The most packets that one cell of a limit has to carry.
    fn heaviest(&self, part: &Part) -> f64 {
        let cells = part.place.cells(self.network.sources());
        let mut load = vec![0.0; cells];
        for source in self.held(part) {
            let is_dead = self.network.kinds[source as usize] == Kind::Dead;
            let probes = self.probes[source as usize];
            let requests = if is_dead && self.network.dead_end_early { 0.0 } else { probes };
            let replies = if is_dead { 0.0 } else { probes.min(1.0) };
            let slot = &mut load[part.place.cell(source, cells)];
            *slot += f64::from(u8::from(part.direction.takes(false))) * requests;
            *slot += f64::from(u8::from(part.direction.takes(true))) * replies;
        }
        load.into_iter().fold(0.0, f64::max)
    }

    /// Whether the path carries at least one probe a second for each neighbourhood, so that a sweep can find out nearly
    /// everything:
    /// - of the probes of every source, at whatever rate, at least one in five comes back within the time-out from the best
    ///   server (so a part that loses 95 % does not qualify, nor 60 % in both directions);
    /// - every limit, divided by the neighbourhoods that it holds (256 sources beside each other, or the block), and by two
    ///   where it counts both directions, is at least one a second, and so is a rate that the user gave;
    /// - a flow table has room for four flows of each source, and a NAT has four ports for each mapped one: where new flows
    ///   fail because the old ones are remembered, `unknown` is the honest answer;
    /// - the network is never away for more than 20 s, nor the process for more than 10 s;
    /// - there is a canary or a source that works.
    pub(super) fn qualifies(&self) -> bool {
        let network = self.network;
        let neighbourhoods = |sources: u32| f64::from(sources.div_ceil(NEIGHBOURS).max(1));
        let parts = network.parts.iter().all(|part| {
            let held = self.held(part).count() as u32;
            if held == 0 {
                return true;
            }
            let cells = part.place.cells(network.sources());
            let cells = if cells == 1 { 1.0 } else { cells as f64 - 1.0 };
            let share = neighbourhoods(held);
            match part.impairment {
                Impairment::Policer { rate, .. } | Impairment::Queue { rate, .. } => {
                    rate * cells / share / f64::from(part.direction.directions()) >= 1.0
                }
                Impairment::Flows { size, replied, unreplied } => {
                    size as f64 / replied.max(unreplied) / share >= 1.0
                }
                Impairment::Nat { externals, ports, .. } => {
                    let mapped = network.kinds.iter().filter(|kind| **kind == Kind::Mapped).count();
                    externals as usize * ports >= 4 * mapped
                }
                Impairment::Outage { from, to } => to - from <= 20 * SECOND,
                _ => true,
            }
        });
        parts
            && network.rate.is_none_or(|rate| rate / neighbourhoods(network.sources()) >= 1.0)
            && network.stops.long.iter().all(|(_, len)| *len <= 10 * SECOND)
            && (network.has_canary || network.kinds.contains(&Kind::Works))
            && self.trips.iter().all(|trip| trip.answered >= LEAST_CARRIED - 1e-9)
    }
}

/// Whether a part does anything to a source's probes, apart from limiting their rate.
fn affects(part: &Part, source: u32, server: u8) -> bool {
    part.place.holds(source, server)
        && match part.impairment {
            Impairment::Hashed { by: By::Source, paths, salt, .. } => {
                mix(salt ^ mix(u64::from(source))).is_multiple_of(u64::from(paths))
            }
            _ => true,
        }
}

/// The trip through the parts whose bit is set.
fn measure(network: &Network, mask: u64) -> Trip {
    let parts = || network.parts.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, part)| part);
    let (mut carried, mut accepted) = (1.0, 1.0);
    for part in parts() {
        let loss: f64 = match part.impairment {
            Impairment::Loss { share } | Impairment::Hashed { by: By::Source, share, .. } => share,
            Impairment::Hashed { by: By::Flow, share, paths, .. } => share / f64::from(paths),
            Impairment::BurstLoss { good, bad, share } => share * bad / (good + bad),
            Impairment::Refuse { share } => {
                accepted *= 1.0 - share;
                0.0
            }
            _ => 0.0,
        };
        // The two directions of one flow share their path and mostly their bursts.
        let alike =
            matches!(part.impairment, Impairment::Hashed { by: By::Flow, .. } | Impairment::BurstLoss { .. });
        carried *= 1.0 - loss;
        if part.direction == Direction::Both && !alike {
            carried *= 1.0 - loss;
        }
    }
    let mut rng = network.rng(4);
    let (mut in_time, mut sum) = (0_u32, 0.0);
    for _ in 0..SAMPLES {
        let mut took = network.round_trip;
        for part in parts() {
            for _ in 0..part.direction.directions() {
                took += match part.impairment {
                    Impairment::Delay { least, jitter } => least + rng.random_range(0..=jitter),
                    Impairment::Late { share, by } if rng.random_bool(share) => rng.random_range(by / 2..=by),
                    _ => 0,
                };
            }
        }
        in_time += u32::from(took <= network.timeout);
        sum += seconds(took);
    }
    carried *= f64::from(in_time) / f64::from(SAMPLES);
    Trip { carried, answered: carried * accepted, mean: sum / f64::from(SAMPLES) }
}
