//! The parts that a path is made of, and what they do to a packet.

use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;

use super::place::{Direction, Place};
use super::table::{Flows, Nat};

/// Time in microseconds since the start.
pub(super) type Micros = u64;

pub(super) const SECOND: Micros = 1_000_000;

/// What a part looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) source: u32,
    pub(super) flow: u32,
    pub(super) server: u8,
    pub(super) is_reply: bool,
    /// Behind a NAT.
    pub(super) is_mapped: bool,
}

/// What a hash is made over, where equal-cost paths are chosen by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Source,
    /// Addresses and ports: another local port may take another path.
    Flow,
}

/// What a part does to packets (compare the impairments of tc-netem(8)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Impairment {
    /// A policer: so many packets a second, so many at once; what is above is dropped.
    Policer { rate: f64, burst: f64 },
    /// A slow link with a queue: above the rate packets wait, above the size they are dropped.
    Queue { rate: f64, size: f64 },
    /// Each packet by itself.
    Loss { share: f64 },
    /// One of so many equal-cost paths, chosen by a hash, loses a share.
    Hashed { by: By, paths: u32, share: f64, salt: u64 },
    /// Gilbert-Elliott: the mean seconds between bursts and of a burst, and the loss within one.
    BurstLoss { good: f64, bad: f64, share: f64 },
    /// Everything is lost from then to then.
    Outage { from: Micros, to: Micros },
    /// A stateful firewall: so many flows; new ones are dropped when it is full. Seconds until a flow is forgotten that
    /// was not, or was, replied to.
    Flows { size: usize, unreplied: f64, replied: f64 },
    /// A NAT in front of the mapped sources: so many external addresses, ports on each, seconds that a mapping lives.
    Nat { externals: u32, ports: usize, lives: f64 },
    /// At least so long, and at most so much more, evenly.
    Delay { least: Micros, jitter: Micros },
    /// A share of the packets is held up for so long.
    Late { share: f64, by: Micros },
    /// A share of the packets comes twice.
    Duplicate { share: f64, after: Micros },
    /// This machine refuses a share of the sends with EPERM.
    Refuse { share: f64 },
}

impl Impairment {
    /// The name of its row in tables.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Policer { .. } => "bucket",
            Self::Queue { .. } => "queue",
            Self::Loss { .. } => "loss",
            Self::Hashed { by: By::Source, .. } => "hash of source",
            Self::Hashed { by: By::Flow, .. } => "hash of flow",
            Self::BurstLoss { .. } => "bursts of loss",
            Self::Outage { .. } => "outage",
            Self::Flows { .. } => "flow table",
            Self::Nat { .. } => "nat",
            Self::Delay { .. } => "delay",
            Self::Late { .. } => "late ones",
            Self::Duplicate { .. } => "duplicates",
            Self::Refuse { .. } => "refusals",
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Passes,
    Lost,
    Later(Micros),
    /// It passes, and a copy follows.
    Duplicated(Micros),
}

/// A part of the path: what, where, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) impairment: Impairment,
    pub(super) place: Place,
    pub(super) direction: Direction,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Requests => "requests",
            Direction::Replies => "replies",
            Direction::Both => "both ways",
        };
        write!(f, "{:?} {}, {direction}", self.impairment, self.place)
    }
}

/// A part with its memory.
pub(super) struct Running {
    pub(super) part: Part,
    /// For a bucket the tokens, for a queue what waits, for losses in bursts 1 within one; and since or until when.
    cells: Vec<(f64, Micros)>,
    flows: Flows,
    pub(super) nat: Nat,
}

impl Running {
    pub(super) fn new(part: Part, sources: u32) -> Self {
        let full = match part.impairment {
            Impairment::Policer { burst, .. } => burst,
            _ => 0.0,
        };
        Self {
            part,
            cells: vec![(full, 0); part.place.cells(sources)],
            flows: Flows::default(),
            nat: Nat::default(),
        }
    }

    pub(super) fn takes(&self, seen: &Seen) -> bool {
        let is_memory = matches!(self.part.impairment, Impairment::Flows { .. } | Impairment::Nat { .. });
        (is_memory || self.part.direction.takes(seen.is_reply))
            && self.part.place.holds(seen.source, seen.server)
    }

    /// What becomes of a packet that [`Running::takes`] is true for.
    pub(super) fn pass(&mut self, now: Micros, seen: &Seen, rng: &mut StdRng) -> Fate {
        let lost_if = |lost| if lost { Fate::Lost } else { Fate::Passes };
        match self.part.impairment {
            Impairment::Policer { rate, burst } => {
                let (tokens, at) = self.cell(seen);
                *tokens = (*tokens + seconds(now.saturating_sub(*at)) * rate).min(burst);
                *at = now.max(*at);
                let passes = *tokens >= 1.0;
                *tokens -= f64::from(u8::from(passes));
                lost_if(!passes)
            }
            Impairment::Queue { rate, size } => {
                let (waiting, at) = self.cell(seen);
                *waiting = (*waiting - seconds(now.saturating_sub(*at)) * rate).max(0.0);
                *at = now.max(*at);
                if *waiting + 1.0 > size {
                    return Fate::Lost;
                }
                *waiting += 1.0;
                Fate::Later((*waiting / rate * SECOND as f64) as Micros)
            }
            Impairment::Loss { share } => lost_if(rng.random_bool(share)),
            Impairment::Hashed { by, paths, share, salt } => {
                let hash = match by {
                    By::Source => mix(salt ^ mix(u64::from(seen.source))),
                    By::Flow => mix(salt
                        ^ mix(u64::from(seen.source) << 32 | u64::from(seen.flow))
                        ^ u64::from(seen.server)),
                };
                lost_if(hash % u64::from(paths) == 0 && rng.random_bool(share))
            }
            Impairment::BurstLoss { good, bad, share } => {
                let (is_bad, until) = self.cell(seen);
                while *until <= now {
                    // The first period is a good one in proportion to the time that is good.
                    let next_is_bad =
                        if *until == 0 { rng.random_bool(bad / (good + bad)) } else { *is_bad == 0.0 };
                    *is_bad = f64::from(u8::from(next_is_bad));
                    let mean = if next_is_bad { bad } else { good };
                    let draw: f64 = rng.random_range(f64::EPSILON..1.0);
                    *until += (-draw.ln() * mean * SECOND as f64) as Micros + 1;
                }
                lost_if(*is_bad > 0.0 && rng.random_bool(share))
            }
            Impairment::Outage { from, to } => lost_if((from..to).contains(&now)),
            Impairment::Flows { size, unreplied, replied } => {
                let lives = (micros(unreplied), micros(replied));
                lost_if(!self.flows.pass(now, seen, size, lives))
            }
            Impairment::Nat { externals, ports, lives } => {
                lost_if(seen.is_mapped && !self.nat.pass(now, seen, externals, ports, micros(lives)))
            }
            Impairment::Delay { least, jitter } => Fate::Later(least + rng.random_range(0..=jitter)),
            Impairment::Late { share, by } if rng.random_bool(share) => {
                Fate::Later(rng.random_range(by / 2..=by))
            }
            Impairment::Duplicate { share, after } if rng.random_bool(share) => {
                Fate::Duplicated(rng.random_range(0..=after))
            }
            Impairment::Late { .. } | Impairment::Duplicate { .. } | Impairment::Refuse { .. } => {
                Fate::Passes
            }
        }
    }

    fn cell(&mut self, seen: &Seen) -> (&mut f64, &mut Micros) {
        let number = self.part.place.cell(seen.source, self.cells.len());
        let (value, at) = &mut self.cells[number];
        (value, at)
    }
}

pub(super) fn seconds(micros: Micros) -> f64 {
    micros as f64 / SECOND as f64
}

pub(super) fn micros(seconds: f64) -> Micros {
    (seconds * SECOND as f64) as Micros
}

/// The output function of `SplitMix64`; nothing here shares numbers with the engine.
pub(super) fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
