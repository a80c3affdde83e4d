//! A random network from a seed.
//!
//! Whoever hears nothing from a neighbourhood cannot tell a path that loses nearly everything from dead sources, and nothing
//! here is drawn that asks for it:
//! - a prefix of which only a few sources would answer loses no large share, and has no limit or bursts of its own, since
//!   nobody in it can vouch for the others;
//! - a prefix is away for half a second at most (the whole network, which others vouch for, for 20 s), and bursts of
//!   loss have a mean of half a second;
//! - a source's replies never all take longer than the time-out.

use rand::Rng;
use rand::rngs::StdRng;

use super::network::{Bad, Kind, Network, Stops};
use super::part::{By, Impairment, Micros, Part, SECOND, micros};
use super::place::{Direction, Place};

/// Base-2 logarithms of the number of sources, and how often each is drawn: many small networks, a few of 16,384.
const SIZES: [(u8, u32); 9] =
    [(6, 30), (7, 30), (8, 40), (9, 30), (10, 25), (11, 12), (12, 6), (13, 1), (14, 1)];
/// The most that a prefix may lose, by the number of its sources that answer.
const LOSS_BY_WITNESSES: [(u32, f64); 4] = [(64, 0.95), (16, 0.6), (4, 0.3), (0, 0.1)];
/// A prefix has a limit or bursts of its own only if so many of its sources answer.
const WITNESSES: u32 = 16;

/// The random network that belongs to a seed.
pub(super) fn network(seed: u64) -> Network {
    let mut network = Network::clean("random", seed, 6);
    let rng = &mut network.rng(3);
    network.bits = weighted(rng, &SIZES);
    network.kinds = vec![Kind::Works; 1 << network.bits];
    network.is_ipv6 = rng.random_bool(0.2);
    network.has_canary = rng.random_bool(0.7);
    network.servers = weighted(rng, &[(1, 6), (2, 3), (3, 1)]);
    network.timeout = [SECOND / 2, SECOND, 2 * SECOND][rng.random_range(0..3)];
    network.round_trip = (logarithmic(rng, 100.0, network.timeout as f64 * 0.5)) as Micros;
    network.dead_end_early = rng.random_bool(0.5);
    network.window = [64, 256, 1_024, 2_048][rng.random_range(0..4)];
    network.buffer = (f64::from(network.window) * rng.random_range(1.0..3.0)) as usize;
    network.rate = rng.random_bool(0.1).then(|| rate(rng, network.sources()));
    network.stops = stops(rng);
    let mut network = sources(network, rng);
    for _ in 0..weighted(rng, &[(0, 2), (1, 8), (2, 8), (3, 4), (4, 2)]) {
        let part = part(&network, rng);
        network.parts.push(part);
    }
    if network.servers > 1 && rng.random_bool(0.25) {
        let share = if rng.random_bool(0.5) { 1.0 } else { rng.random_range(0.05..0.8) };
        let place = Place::everywhere().of_server(rng.random_range(0..network.servers));
        network.parts.push(Part {
            impairment: Impairment::Loss { share },
            place,
            direction: Direction::Requests,
        });
    }
    if rng.random_bool(0.15)
        && let Some(part) = unaligned_limit(&network, rng)
    {
        network.parts.push(part);
    }
    network
}

/// A limit that some ranges share, which end anywhere; `None` if too few sources in them answer.
fn unaligned_limit(network: &Network, rng: &mut StdRng) -> Option<Part> {
    let n = network.sources();
    let mut ranges = Vec::new();
    for _ in 0..rng.random_range(1..=4) {
        let len = logarithmic(rng, 4.0, f64::from(n / 4)) as u32;
        ranges.push((rng.random_range(0..n - len), len));
    }
    let place = Place::ranges(&ranges);
    let held: Vec<_> = (0..).zip(&network.kinds).filter(|(s, _)| place.holds(*s, 0)).collect();
    let witnesses = held.iter().filter(|(_, kind)| answers(**kind)).count() as u32;
    if witnesses < WITNESSES {
        return None;
    }
    let rate = rate(rng, held.len() as u32);
    let burst = logarithmic(rng, 3.0, 3.0 + rate / 2.0).floor();
    let direction = [Direction::Requests, Direction::Replies, Direction::Both][rng.random_range(0..3)];
    Some(Part { impairment: Impairment::Policer { rate, burst }, place, direction })
}

fn sources(mut network: Network, rng: &mut StdRng) -> Network {
    let n = network.sources();
    let dead = weighted(rng, &[(0.0, 4), (0.005, 6), (0.05, 6), (0.3, 3), (0.95, 1)]);
    network = network.with(Kind::Dead, dead, 0);
    for _ in 0..weighted(rng, &[(0, 4), (1, 4), (2, 2)]) {
        let run = n >> rng.random_range(2..=6_u32.min(u32::from(network.bits)));
        network = network.with(Kind::Dead, 0.0, run);
    }
    if rng.random_bool(0.3) {
        let share = weighted(rng, &[(0.01, 2), (0.1, 2), (0.9, 1)]);
        network = network.with(Kind::Mapped, share, 0);
    }
    if rng.random_bool(0.15) {
        let run = if rng.random_bool(0.5) { n / 16 } else { 0 };
        network = network.with(Kind::Refused, 0.01, run);
    }
    if rng.random_bool(0.15) {
        let bad = [Bad::Garbage, Bad::NoAddress, Bad::WrongServer, Bad::WrongSource][rng.random_range(0..4)];
        network = network.with(Kind::Bad(bad), 0.02, 0);
    }
    network
}

fn stops(rng: &mut StdRng) -> Stops {
    let mut stops = Stops::default();
    if rng.random_bool(0.15) {
        for _ in 0..rng.random_range(1..4) {
            let at = micros(logarithmic(rng, 0.01, 20.0));
            stops.long.push((at, micros(rng.random_range(0.3..6.0))));
        }
    }
    if rng.random_bool(0.15) {
        stops.starved = (micros(logarithmic(rng, 0.02, 2.0)), micros(logarithmic(rng, 0.002, 0.2)));
    }
    stops
}

fn part(network: &Network, rng: &mut StdRng) -> Part {
    let direction = [Direction::Requests, Direction::Replies, Direction::Both][rng.random_range(0..3)];
    let drawn = rng.random_range(0..100);
    let (mut place, mut held) = place(network, rng);
    let witnesses =
        (0..).zip(&network.kinds).filter(|(s, kind)| answers(**kind) && place.holds(*s, 0)).count() as u32;
    let is_everywhere = place == Place::everywhere();
    let needs_witnesses = (0..30).contains(&drawn) || (57..77).contains(&drawn);
    if needs_witnesses && witnesses < WITNESSES {
        (place, held) = (Place::everywhere(), network.sources());
    }
    let n = f64::from(held);
    // A request must leave a token for its reply.
    let least_burst = if direction == Direction::Both { 3.0 } else { 1.0 };
    let timeout = network.timeout;
    let impairment = match drawn {
        0..20 => {
            if rng.random_bool(0.2) && witnesses >= WITNESSES * 8 {
                let each = (held >> rng.random_range(1..4)).max(1);
                place = place.each(each);
                let rate = rate(rng, each);
                Impairment::Policer { rate, burst: logarithmic(rng, least_burst, 3.0 + rate / 2.0).floor() }
            } else {
                let rate = rate(rng, held);
                Impairment::Policer { rate, burst: logarithmic(rng, least_burst, 3.0 + rate / 2.0).floor() }
            }
        }
        20..30 => {
            let rate = rate(rng, held);
            let most = (rate * timeout as f64 / SECOND as f64).max(4.0);
            Impairment::Queue { rate, size: logarithmic(rng, 3.0, most).floor() }
        }
        30..45 => {
            let most = LOSS_BY_WITNESSES
                .iter()
                .find(|(from, _)| is_everywhere || witnesses >= *from)
                .map_or(0.1, |m| m.1);
            Impairment::Loss { share: logarithmic(rng, 0.01, most) }
        }
        45..50 => {
            let paths = [2, 4, 8][rng.random_range(0..3)];
            Impairment::Hashed {
                by: By::Source,
                paths,
                share: rng.random_range(0.05..0.5),
                salt: rng.random(),
            }
        }
        50..57 => {
            let paths = [2, 4, 8][rng.random_range(0..3)];
            let share = if rng.random_bool(0.5) { 1.0 } else { rng.random_range(0.05..1.0) };
            Impairment::Hashed { by: By::Flow, paths, share, salt: rng.random() }
        }
        57..67 => Impairment::BurstLoss {
            good: logarithmic(rng, 0.1, 5.0),
            bad: logarithmic(rng, 0.02, 0.5),
            share: rng.random_range(0.3..1.0),
        },
        67..72 => {
            let from = micros(logarithmic(rng, 0.005, 20.0));
            let most = if place == Place::everywhere() { 20.0 } else { 0.5 };
            Impairment::Outage { from, to: from + micros(logarithmic(rng, 0.1, most)) }
        }
        72..77 => Impairment::Flows {
            size: (n * logarithmic(rng, 0.1, 8.0)) as usize + 8,
            unreplied: rng.random_range(5.0..30.0),
            replied: rng.random_range(10.0..120.0),
        },
        77..82 => {
            let mapped = network.kinds.iter().filter(|k| **k == Kind::Mapped).count() as f64;
            let externals = rng.random_range(1..4);
            place = Place::everywhere();
            Impairment::Nat {
                externals,
                ports: (mapped * logarithmic(rng, 0.3, 8.0) / f64::from(externals)) as usize + 2,
                lives: rng.random_range(10.0..120.0),
            }
        }
        82..88 => {
            // A source whose every reply is later than the time-out has none, by definition.
            let spent = network.round_trip + network.parts.iter().map(least).sum::<Micros>();
            let spare = (timeout * 8 / 10).saturating_sub(spent) / 2;
            let most = timeout * 2 / u64::from(direction.directions());
            Impairment::Delay { least: rng.random_range(0..=spare), jitter: rng.random_range(0..=most) }
        }
        88..92 => Impairment::Late {
            share: logarithmic(rng, 0.01, 0.5),
            by: rng.random_range(timeout / 4..timeout * 2),
        },
        92..95 => {
            Impairment::Duplicate { share: rng.random_range(0.01..1.0), after: rng.random_range(0..timeout) }
        }
        _ => Impairment::Refuse { share: rng.random_range(0.05..0.8) },
    };
    Part { impairment, place, direction }
}

/// Whether a source would answer on a path without faults.
fn answers(kind: Kind) -> bool {
    !matches!(kind, Kind::Dead | Kind::Refused)
}

fn least(part: &Part) -> Micros {
    match part.impairment {
        Impairment::Delay { least, .. } => least * u64::from(part.direction.directions()),
        _ => 0,
    }
}

/// A place, and how many sources it has.
fn place(network: &Network, rng: &mut StdRng) -> (Place, u32) {
    if rng.random_bool(0.4) {
        return (Place::everywhere(), network.sources());
    }
    let bits = rng.random_range(3..=u32::from(network.bits));
    (Place::prefix(rng.random_range(0..network.sources() >> bits), 1 << bits), 1 << bits)
}

/// A rate at which it takes a twentieth of a second up to half a minute to ask so many sources once.
fn rate(rng: &mut StdRng, sources: u32) -> f64 {
    let sources = f64::from(sources);
    logarithmic(rng, sources / 30.0, sources * 20.0).max(2.0)
}

fn logarithmic(rng: &mut StdRng, least: f64, most: f64) -> f64 {
    least * (most / least).max(1.0).powf(rng.random())
}

fn weighted<T: Copy>(rng: &mut StdRng, choices: &[(T, u32)]) -> T {
    let mut left = rng.random_range(0..choices.iter().map(|(_, weight)| weight).sum());
    for (choice, weight) in choices {
        match u32::checked_sub(left, *weight) {
            Some(rest) => left = rest,
            None => return *choice,
        }
    }
    choices[0].0
}
