//! Networks with a name: each was reported from practice, measured in namespaces, or is a textbook's.

use super::network::{Bad, Kind, Network};
use super::part::{By, Impairment, Part, SECOND};
use super::place::{Direction, Place};

/// A name, why it is here, and the network for a seed.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    pub(super) network: fn(u64) -> Network,
}

/// The block of `bits` with what every block has: some dead sources, and a run of them.
fn block(seed: u64, bits: u8) -> Network {
    Network::clean("", seed, bits).with(Kind::Dead, 0.005, 1 << (bits - 6))
}

/// The size of the largest rows: whole with optimization, a quarter of it without.
fn large() -> u8 {
    if cfg!(debug_assertions) { 14 } else { 16 }
}

fn on(place: Place, direction: Direction, impairment: Impairment) -> Part {
    Part { impairment, place, direction }
}

fn everywhere(direction: Direction, impairment: Impairment) -> Part {
    on(Place::everywhere(), direction, impairment)
}

fn policer(rate: f64, burst: f64) -> Impairment {
    Impairment::Policer { rate, burst }
}

fn loss(share: f64) -> Impairment {
    Impairment::Loss { share }
}

/// The process stands still from somewhere in the first or the last probes on.
fn stopped(seed: u64) -> Network {
    let mut network = block(seed, 8);
    (network.round_trip, network.has_canary) = (1_400_000, false);
    network.stops.long = vec![(600_000 + seed * 200_000, 4 * SECOND)];
    network
}

/// A /22 of which some ranges share a limit of their replies, and every eighth source of the upper half is dead.
fn unaligned(seed: u64, rate: f64, ranges: &[(u32, u32)], stops: u64) -> Network {
    let mut network = Network::clean("", seed, 10);
    network.kinds.iter_mut().skip(512).skip(4).step_by(8).for_each(|kind| *kind = Kind::Dead);
    network.stops.long = (0..stops).map(|n| (1_200_000 + n * 700_000, 2_700_000)).collect();
    network.with_part(on(Place::ranges(ranges), Direction::Replies, policer(rate, 4.0)))
}

const LOCAL_REFUSALS: &str = "the output hook's drop is EPERM to the sender, and says nothing of the source";
const SAME_ORDER: &str = "who walks in the same order meets the empty bucket with the same sources";
const LOCAL_LOSS: &str = "loss of a part is no loss of the whole";
const LOCAL_LIMIT: &str = "a limit for a part: the whole run is hardly slower for it";

/// All of them.
pub(super) const ROWS: &[Row] = &[
    Row { name: "clean /20", why: "nothing to find", network: |s| block(s, 12) },
    Row {
        name: "clean, 128 dead in a row",
        why: "what scattered dead sources and a switched-off subnet cost",
        network: |s| {
            Network::clean("", s, large()).with(Kind::Dead, 0.003, 128).with(Kind::Mapped, 0.0006, 8)
        },
    },
    Row {
        name: "loss 5 %",
        why: "what everybody has",
        network: |s| block(s, 12).with_part(everywhere(Direction::Replies, loss(0.05))),
    },
    Row {
        name: "loss 40 %",
        why: "independent of the rate: slowing down gains nothing",
        network: |s| block(s, 12).with_part(everywhere(Direction::Replies, loss(0.4))),
    },
    Row {
        name: "200/s burst 5, /26",
        why: SAME_ORDER,
        network: |s| block(s, 6).with_part(everywhere(Direction::Requests, policer(200.0, 5.0))),
    },
    Row {
        name: "200/s burst 5, /24",
        why: SAME_ORDER,
        network: |s| block(s, 8).with_part(everywhere(Direction::Requests, policer(200.0, 5.0))),
    },
    Row {
        name: "200/s burst 5 both ways, /24",
        why: "a burst of requests leaves no token for their replies",
        network: |s| block(s, 8).with_part(everywhere(Direction::Both, policer(200.0, 5.0))),
    },
    Row {
        name: "1,000/s burst 100, /22",
        why: SAME_ORDER,
        network: |s| block(s, 10).with_part(everywhere(Direction::Requests, policer(1_000.0, 100.0))),
    },
    Row {
        name: "1,000/s burst 100, /20",
        why: SAME_ORDER,
        network: |s| block(s, 12).with_part(everywhere(Direction::Requests, policer(1_000.0, 100.0))),
    },
    Row {
        name: "20,000/s burst 50, /16",
        why: SAME_ORDER,
        network: |s| block(s, large()).with_part(everywhere(Direction::Requests, policer(20_000.0, 50.0))),
    },
    Row {
        name: "a /24 loses 20 %",
        why: LOCAL_LOSS,
        network: |s| block(s, large()).with_part(on(Place::prefix(5, 256), Direction::Replies, loss(0.2))),
    },
    Row {
        name: "a /24 loses 50 %",
        why: LOCAL_LOSS,
        network: |s| block(s, large()).with_part(on(Place::prefix(5, 256), Direction::Replies, loss(0.5))),
    },
    Row {
        name: "a /24 loses 80 %",
        why: LOCAL_LOSS,
        network: |s| block(s, large()).with_part(on(Place::prefix(5, 256), Direction::Replies, loss(0.8))),
    },
    Row {
        name: "a /20 loses 50 %",
        why: LOCAL_LOSS,
        network: |s| block(s, large()).with_part(on(Place::prefix(1, 4_096), Direction::Replies, loss(0.5))),
    },
    Row {
        name: "a /20 loses 80 %",
        why: LOCAL_LOSS,
        network: |s| block(s, large()).with_part(on(Place::prefix(1, 4_096), Direction::Replies, loss(0.8))),
    },
    Row {
        name: "a /26 loses 60 %",
        why: LOCAL_LOSS,
        network: |s| block(s, 14).with_part(on(Place::prefix(70, 64), Direction::Requests, loss(0.6))),
    },
    Row {
        name: "20/s for one /24",
        why: LOCAL_LIMIT,
        network: |s| {
            block(s, large()).with_part(on(Place::prefix(5, 256), Direction::Requests, policer(20.0, 5.0)))
        },
    },
    Row {
        name: "200/s for one /20",
        why: LOCAL_LIMIT,
        network: |s| {
            block(s, large()).with_part(on(
                Place::prefix(1, 4_096),
                Direction::Requests,
                policer(200.0, 20.0),
            ))
        },
    },
    Row {
        name: "100/s for each /24",
        why: "what a STUN server of good manners does: so many replies for each prefix",
        network: |s| {
            block(s, 12).with_part(on(
                Place::everywhere().each(256),
                Direction::Replies,
                policer(100.0, 100.0),
            ))
        },
    },
    Row {
        name: "bursts 0.3 of 1.3 s",
        why: "an outage of some hundred milliseconds takes every ask that falls into it",
        network: |s| {
            block(s, 14).with_part(everywhere(
                Direction::Requests,
                Impairment::BurstLoss { good: 1.0, bad: 0.3, share: 1.0 },
            ))
        },
    },
    Row {
        name: "bursts 0.5 of 1.5 s on a /22",
        why: "the same in one place",
        network: |s| {
            let bursts = Impairment::BurstLoss { good: 1.0, bad: 0.5, share: 1.0 };
            block(s, 14).with_part(on(Place::prefix(3, 1_024), Direction::Requests, bursts))
        },
    },
    Row {
        name: "half of a /24's sends refused",
        why: LOCAL_REFUSALS,
        network: |s| {
            block(s, large()).with_part(on(
                Place::prefix(5, 256),
                Direction::Requests,
                Impairment::Refuse { share: 0.5 },
            ))
        },
    },
    Row {
        name: "flow table full",
        why: "new flows fail where those that are known pass",
        network: |s| {
            let size = 40_000 >> (16 - large());
            block(s, large()).with_part(everywhere(
                Direction::Both,
                Impairment::Flows { size, unreplied: 30.0, replied: 120.0 },
            ))
        },
    },
    Row {
        name: "flow table full, short time-outs",
        why: "the same, but waiting helps",
        network: |s| {
            block(s, 12).with_part(everywhere(
                Direction::Both,
                Impairment::Flows { size: 2_500, unreplied: 5.0, replied: 10.0 },
            ))
        },
    },
    Row {
        name: "stopped for 4 s, replies take 1.4 s",
        why: "the replies are there, unread, when the deadline has passed",
        network: stopped,
    },
    Row {
        name: "the same, but the canary's take 2 ms",
        why: "the canary proves that the path works, and the replies wait unread",
        network: |s| {
            let network = Network { has_canary: true, round_trip: 2_000, ..stopped(s) };
            let slow = Impairment::Delay { least: 1_400_000, jitter: 0 };
            network.with_part(on(Place::prefix(0, 256), Direction::Replies, slow))
        },
    },
    Row {
        name: "starved, replies take 0.3 s of 0.5",
        why: "a machine with too much to do wakes late for everything",
        network: |s| {
            let mut network = block(s, 10);
            (network.round_trip, network.timeout) = (300_000, 500_000);
            network.stops.starved = (300_000, 400_000);
            network
        },
    },
    Row {
        name: "jitter up to twice the time-out",
        why: "most replies come too late, and all of them come",
        network: |s| {
            let mut network = block(s, 10);
            network.timeout = SECOND / 2;
            network.with_part(everywhere(Direction::Replies, Impairment::Delay { least: 0, jitter: SECOND }))
        },
    },
    Row {
        name: "a queue of one second",
        why: "a slow line delays before it drops",
        network: |s| {
            block(s, 10)
                .with_part(everywhere(Direction::Requests, Impairment::Queue { rate: 500.0, size: 500.0 }))
        },
    },
    Row {
        name: "one of 4 paths by flow is dead",
        why: "the same ports take the same dead path each time",
        network: |s| {
            let hashed = Impairment::Hashed { by: By::Flow, paths: 4, share: 1.0, salt: s };
            block(s, 12).with_part(everywhere(Direction::Requests, hashed))
        },
    },
    Row {
        name: "one of 8 paths by source loses 40 %",
        why: "neighbours take other paths and vouch for nothing",
        network: |s| {
            let hashed = Impairment::Hashed { by: By::Source, paths: 8, share: 0.4, salt: s };
            block(s, 12).with_part(everywhere(Direction::Requests, hashed))
        },
    },
    Row {
        name: "the second server is dead",
        why: "a server's silence is no source's",
        network: |s| {
            let mut network = block(s, 10);
            network.servers = 2;
            network.with_part(on(Place::everywhere().of_server(1), Direction::Requests, loss(1.0)))
        },
    },
    Row {
        name: "the second server loses 70 % for a /24",
        why: "place and server together",
        network: |s| {
            let mut network = block(s, 12);
            network.servers = 2;
            network.with_part(on(Place::prefix(3, 256).of_server(1), Direction::Requests, loss(0.7)))
        },
    },
    Row {
        name: "NAT with few ports",
        why: "a source that found no port is mapped, not silent",
        network: |s| {
            let nat = Impairment::Nat { externals: 2, ports: 200, lives: 60.0 };
            block(s, 10).with(Kind::Mapped, 0.9, 0).with_part(everywhere(Direction::Both, nat))
        },
    },
    Row {
        name: "an outage of 3 s",
        why: "nothing is proven while the network is away",
        network: |s| {
            let from = 5_000 + 10_000 * s;
            block(s, 14).with_part(everywhere(
                Direction::Requests,
                Impairment::Outage { from, to: from + 3 * SECOND },
            ))
        },
    },
    Row {
        name: "12/s for four ranges together",
        why: "where a range ends within a /28, the neighbours do not share its limit",
        network: |s| unaligned(s, 12.0, &[(33, 98), (513, 14), (529, 14), (769, 14)], 0),
    },
    Row {
        name: "15/s for four larger ranges together",
        why: "the same, and the sweep itself takes what the limit lets pass",
        network: |s| unaligned(s, 15.0, &[(1, 78), (257, 46), (513, 30), (865, 30)], 0),
    },
    Row {
        name: "12/s for a range, stopped again and again",
        why: "the same, while the process does not run",
        network: |s| unaligned(s, 12.0, &[(545, 98)], 6),
    },
    Row {
        name: "a /24 is away for 15 s, and all lose 20 %",
        why: "who is silent beside a silent control says nothing",
        network: |s| {
            let away = Impairment::Outage { from: SECOND / 5, to: 15 * SECOND };
            block(s, 12).with_part(everywhere(Direction::Replies, loss(0.2))).with_part(on(
                Place::prefix(5, 256),
                Direction::Both,
                away,
            ))
        },
    },
    Row {
        name: "an outage of 0.5 s of a /24",
        why: "nor while a part of it is, for as long as a route takes to converge",
        network: |s| {
            let outage = Impairment::Outage { from: 0, to: SECOND / 2 };
            block(s, 12).with_part(on(Place::prefix(3, 256), Direction::Requests, outage))
        },
    },
    Row {
        name: "mostly dead, and loses 30 %",
        why: "few can vouch",
        network: |s| {
            let lossy = everywhere(Direction::Requests, loss(0.3));
            block(s, 10).with(Kind::Dead, 0.95, 0).with_part(lossy)
        },
    },
    Row {
        name: "a bit of everything",
        why: "several small faults at a time, and sources of each kind",
        network: |s| {
            let delay = Impairment::Delay { least: 5_000, jitter: 30_000 };
            block(s, 11)
                .with(Kind::Mapped, 0.05, 20)
                .with(Kind::Refused, 0.01, 10)
                .with(Kind::Bad(Bad::Garbage), 0.01, 0)
                .with_part(everywhere(Direction::Both, policer(4_000.0, 200.0)))
                .with_part(on(Place::prefix(1, 512), Direction::Requests, loss(0.3)))
                .with_part(everywhere(Direction::Replies, delay))
                .with_part(everywhere(
                    Direction::Replies,
                    Impairment::Duplicate { share: 0.3, after: 20_000 },
                ))
        },
    },
];
