//! What finding out costs: networks that one weakness of the engine once made many times as slow as they need be.

use super::super::judge::judge;
use super::super::network::{Bad, Kind, Network};
use super::super::part::{Impairment, Part};
use super::super::place::{Direction, Place};
use super::unchanged;

/// Runs a network with three seeds: nothing is wrong, all is found out, with so many probes a source and so many times the
/// oracle's time at most.
fn costs(name: &str, network: impl Fn(u64) -> Network, probes: f64, times: f64) {
    let tally = judge((1..=3).map(network), unchanged);
    let all = &tally.all;
    let sent = all.sent as f64 / f64::from(all.sources);
    assert!(tally.failures.is_empty(), "{name}: {}", tally.failures.join("\n"));
    assert!(all.unknown_share() < 0.01, "{name}: {} are unknown", all.unknown);
    assert!(sent < probes, "{name}: {sent:.1} probes a source");
    assert!(all.ratio() < times, "{name}: {:.1} times the oracle's time", all.ratio());
}

#[test]
fn refusals_at_random_cost_no_more_than_the_probes() {
    for share in [0.3, 0.6] {
        let refuse = everywhere(Impairment::Refuse { share });
        let network = |seed| Network::clean("", seed, 11).with(Kind::Dead, 0.1, 0).with_part(refuse);
        costs("refusals", network, 6.0, 2.0);
    }
}

#[test]
fn heartbeats_leave_room_in_a_place_that_can_only_be_probed_slowly() {
    let limit = Impairment::Policer { rate: 6.0, burst: 3.0 };
    let part = Part { impairment: limit, place: Place::prefix(3, 128), direction: Direction::Both };
    let network = |seed| Network::clean("", seed, 9).with(Kind::Dead, 0.2, 0).with_part(part);
    costs("a slow place", network, 36.0, 9.0);
}

#[test]
fn silence_beside_sources_of_another_kind_is_no_reason_for_more_probes() {
    let bad = Kind::Bad(Bad::NoAddress);
    let network = |seed| {
        let clean = Network { has_canary: false, ..Network::clean("", seed, 13) };
        clean.with(Kind::Mapped, 0.1, 0).with(bad, 0.3, 0).with(Kind::Dead, 0.92, 0)
    };
    costs("mostly dead, and bad replies", network, 14.0, 8.0);
}

fn everywhere(impairment: Impairment) -> Part {
    Part { impairment, place: Place::everywhere(), direction: Direction::Requests }
}
