//! A network as a plain description: everything that is true of it, and nothing of the sweep.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::part::{Micros, Part, SECOND, mix, seconds};
use crate::sweep::Settings;

/// What is true of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Works,
    Dead,
    /// Behind a NAT.
    Mapped,
    /// This machine never sends from it.
    Refused,
    /// What comes back proves nothing.
    Bad(Bad),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Garbage,
    NoAddress,
    WrongServer,
    WrongSource,
}

/// When the process does nothing while packets arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stops {
    /// Start and length.
    pub(super) long: Vec<(Micros, Micros)>,
    /// Mean time between short stops, and the longest of them; 0 for none.
    pub(super) starved: (Micros, Micros),
}

/// A network with its sources and servers, and the settings of the sweep of it.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) seed: u64,
    /// The sources are a block of 2 to this power.
    pub(super) bits: u8,
    pub(super) is_ipv6: bool,
    pub(super) kinds: Vec<Kind>,
    pub(super) servers: u8,
    pub(super) has_canary: bool,
    /// From this machine outwards.
    pub(super) parts: Vec<Part>,
    /// Half of it there, half of it back.
    pub(super) round_trip: Micros,
    pub(super) stops: Stops,
    /// Dead sources end at the first hop instead of after the last.
    pub(super) dead_end_early: bool,
    pub(super) timeout: Micros,
    pub(super) rate: Option<f64>,
    pub(super) window: u32,
    /// Datagrams that the receive buffer holds.
    pub(super) buffer: usize,
}

impl Network {
    /// A network of working sources without any fault.
    pub(super) fn clean(name: &str, seed: u64, bits: u8) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            bits,
            is_ipv6: false,
            kinds: vec![Kind::Works; 1 << bits],
            servers: 1,
            has_canary: true,
            parts: Vec::new(),
            round_trip: 2_000,
            stops: Stops::default(),
            dead_end_early: false,
            timeout: 2 * SECOND,
            rate: None,
            window: 2_048,
            buffer: 4_096,
        }
    }

    /// With a share of the sources, scattered, and a run of them made into `kind`.
    pub(super) fn with(mut self, kind: Kind, share: f64, run: u32) -> Self {
        let mut rng = self.rng(mix(share.to_bits() ^ u64::from(run)));
        for slot in &mut self.kinds {
            if rng.random_bool(share) {
                *slot = kind;
            }
        }
        if run > 0 {
            let first = rng.random_range(0..=self.sources() - run) as usize;
            self.kinds[first..first + run as usize].fill(kind);
        }
        self
    }

    pub(super) fn with_part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    pub(super) fn sources(&self) -> u32 {
        1 << self.bits
    }

    /// Randomness of this network for one purpose.
    pub(super) fn rng(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(mix(self.seed) ^ mix(purpose))
    }

    pub(super) fn block(&self) -> String {
        if self.is_ipv6 {
            format!("2001:db8::/{}", 128 - self.bits)
        } else {
            format!("10.0.0.0/{}", 32 - self.bits)
        }
    }

    pub(super) fn source(&self, index: u32) -> IpAddr {
        if self.is_ipv6 {
            Ipv6Addr::from((0x2001_0db8_u128 << 96) + u128::from(index)).into()
        } else {
            Ipv4Addr::from((10 << 24) + index).into()
        }
    }

    pub(super) fn canary(&self) -> IpAddr {
        if self.is_ipv6 {
            Ipv6Addr::from(0xfd00_u128 << 112 | 1).into()
        } else {
            Ipv4Addr::new(192, 168, 0, 9).into()
        }
    }

    /// Addresses outside of the block: servers from 1, external addresses of a NAT from 256, strangers from 65,000.
    pub(super) fn outside(&self, number: u16, port: u16) -> SocketAddr {
        let ip: IpAddr = if self.is_ipv6 {
            Ipv6Addr::from((0x2001_0db8_ffff_u128 << 80) + u128::from(number)).into()
        } else {
            Ipv4Addr::from((198 << 24 | 18 << 16) + u32::from(number)).into()
        };
        SocketAddr::new(ip, port)
    }

    pub(super) fn server(&self, number: u8) -> SocketAddr {
        self.outside(u16::from(number) + 1, 3_478)
    }

    /// The settings of the sweep.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            servers: (0..self.servers).map(|n| self.server(n)).collect(),
            canary: self.has_canary.then(|| self.canary()),
            passes: None,
            timeout: Duration::from_micros(self.timeout),
            rate: self.rate,
            window: self.window,
            workers: 1,
            server_per_worker: false,
            batch: 64,
            keep_evidence: false,
            mutant: None,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&Kind) -> bool| self.kinds.iter().filter(|k| wanted(k)).count();
        writeln!(
            f,
            "{} (seed {}): {} from {} server(s), {} sources: {} work, {} dead, {} mapped, {} refused, {} bad{}",
            self.name,
            self.seed,
            self.block(),
            self.servers,
            self.sources(),
            count(|k| *k == Kind::Works),
            count(|k| *k == Kind::Dead),
            count(|k| *k == Kind::Mapped),
            count(|k| *k == Kind::Refused),
            count(|k| matches!(k, Kind::Bad(_))),
            if self.has_canary { "" } else { ", no canary" },
        )?;
        writeln!(
            f,
            "  round trip {:.4} s, time-out {} s, rate {:?}, window {}, buffer {}",
            seconds(self.round_trip),
            seconds(self.timeout),
            self.rate,
            self.window,
            self.buffer
        )?;
        if self.stops != Stops::default() {
            writeln!(f, "  {:?}", self.stops)?;
        }
        for part in &self.parts {
            writeln!(f, "  {part}")?;
        }
        Ok(())
    }
}
