//! All kinds of NAT that [`Nat`](crate::Nat) can be, what a classification of each must say, and a tally of what it said.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use routepool_proto::nat::{Allocation, Filtering, Mapping, Pooling, Settings};

use crate::behavior_server::BehaviorServer;
use crate::nat::{Dependence, Nat, NatKind, Ports};
use crate::simulation::{Outcome, Path, World};

const PORTS: [Ports; 5] =
    [Ports::Equal, Ports::Preserving(7_001), Ports::Sequential(3), Ports::Scaled(2), Ports::Random];

/// The mapping that such a NAT has.
#[must_use]
pub fn mapping_of(kind: &NatKind) -> Mapping {
    match kind.mapping {
        None => Mapping::None,
        Some(Dependence::Endpoint) => Mapping::EndpointIndependent,
        Some(Dependence::Address) => Mapping::AddressDependent,
        Some(Dependence::AddressAndPort) => Mapping::AddressAndPortDependent,
    }
}

/// The filtering that it has.
#[must_use]
pub fn filtering_of(kind: &NatKind) -> Filtering {
    match kind.filtering {
        Dependence::Endpoint => Filtering::EndpointIndependent,
        Dependence::Address => Filtering::AddressDependent,
        Dependence::AddressAndPort => Filtering::AddressAndPortDependent,
    }
}

/// The allocation that it has.
#[must_use]
pub fn allocation_of(kind: &NatKind) -> Allocation {
    match kind.ports {
        _ if kind.mapping.is_none() => Allocation::NotApplicable,
        Ports::Equal => Allocation::Equal,
        Ports::Preserving(_) => Allocation::Preserving,
        Ports::Sequential(step) => Allocation::Independent(step.into()),
        Ports::Scaled(step) => Allocation::Dependent(step.into()),
        Ports::Random => Allocation::Random,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn server(first: &str, second: &str) -> BehaviorServer {
    BehaviorServer { addresses: [ip(first), ip(second)], ports: [3_478, 3_479], fault: None }
}

/// A host behind such a NAT, and two servers of RFC 5780.
#[must_use]
pub fn world(kind: &NatKind, path: Path, seed: u64) -> World {
    let servers = vec![server("192.0.2.1", "192.0.2.2"), server("198.51.100.1", "198.51.100.2")];
    World {
        local: ip("10.0.0.2"),
        nats: vec![Nat::new(kind.clone(), seed)],
        path,
        ask: servers.iter().map(BehaviorServer::primary).collect(),
        servers,
        seed,
    }
}

/// All kinds of NAT, and a firewall of each filtering.
#[must_use]
pub fn kinds() -> Vec<NatKind> {
    let usual = NatKind::usual(ip("203.0.113.7"));
    let mut all = Vec::new();
    for filtering in Dependence::ALL {
        all.push(NatKind { mapping: None, filtering, ..usual.clone() });
        for mapping in Dependence::ALL {
            for ports in PORTS {
                for arbitrary in [false, true] {
                    let externals = if arbitrary {
                        vec![ip("203.0.113.7"), ip("203.0.113.8")]
                    } else {
                        usual.externals.clone()
                    };
                    all.push(NatKind {
                        mapping: Some(mapping),
                        filtering,
                        ports,
                        arbitrary,
                        externals,
                        ..usual.clone()
                    });
                }
            }
        }
    }
    all
}

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u32,
    /// How often each axis was unknown.
    pub unknown: BTreeMap<&'static str, u32>,
    /// Wrong verdicts, with how to repeat them.
    pub wrong: Vec<String>,
    /// The longest run.
    pub longest: Duration,
    /// All runs together.
    pub sum: Duration,
    /// Packets sent by the hosts.
    pub packets: u64,
}

impl Tally {
    /// Compares a run with what it must say.
    pub fn add(&mut self, kind: &NatKind, seed: u64, outcome: &Outcome) {
        let Outcome { report, elapsed, packets } = outcome;
        self.runs += 1;
        self.longest = self.longest.max(*elapsed);
        self.sum += *elapsed;
        self.packets += packets;
        let mut check = |axis: &'static str, unknown: bool, right: bool, found: String| {
            if unknown {
                *self.unknown.entry(axis).or_default() += 1;
            } else if !right {
                self.wrong.push(format!("{axis}: {found} of {kind:?}, seed {seed}"));
            }
        };
        let (mapping, filtering) = (report.mapping.value, report.filtering.value);
        check("mapping", mapping == Mapping::Unknown, mapping == mapping_of(kind), mapping.to_string());
        check(
            "filtering",
            filtering == Filtering::Unknown,
            filtering == filtering_of(kind),
            filtering.to_string(),
        );
        let ports = report.allocation.finding.value;
        check("allocation", ports == Allocation::Unknown, ports == allocation_of(kind), format!("{ports:?}"));
        let pooling = report.pooling.value;
        let want = match kind.mapping {
            None => Pooling::NotApplicable,
            Some(_) if kind.arbitrary => Pooling::Arbitrary,
            Some(_) => Pooling::Paired,
        };
        check("pooling", pooling == Pooling::Unknown, pooling == want, pooling.to_string());
    }

    /// Prints it.
    pub fn print(&self, name: &str) {
        println!(
            "{name}: {} runs, {} wrong, unknown {:?}, {:?} on average, {:?} at most, {} packets",
            self.runs,
            self.wrong.len(),
            self.unknown,
            self.sum / self.runs,
            self.longest,
            self.packets / u64::from(self.runs)
        );
    }
}

/// Runs all kinds of NAT with some seeds each, and prints what came of it.
///
/// # Panics
/// If a verdict is wrong.
#[must_use]
pub fn run(name: &str, path: Path, seeds: u64, settings: &Settings) -> Tally {
    run_some(name, path, seeds, settings, 1)
}

/// As [`run`], but only one of so many kinds of NAT.
///
/// # Panics
/// If a verdict is wrong.
#[must_use]
pub fn run_some(name: &str, path: Path, seeds: u64, settings: &Settings, one_of: usize) -> Tally {
    let mut tally = Tally::default();
    for kind in kinds().into_iter().step_by(one_of) {
        for seed in 0..seeds {
            let seed = seed * 7_919 + 1;
            tally.add(&kind, seed, &world(&kind, path, seed).classify(settings));
        }
    }
    tally.print(name);
    assert!(tally.wrong.is_empty(), "{name}: {:#?}", &tally.wrong[..tally.wrong.len().min(5)]);
    tally
}
