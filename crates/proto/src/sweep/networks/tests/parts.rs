//! The simulation itself: each part does what its name says, and a network is the same each time.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sweep::networks::driver;
use crate::sweep::networks::network::{Kind, Network};
use crate::sweep::networks::oracle::Oracle;
use crate::sweep::networks::part::{By, Fate, Impairment, Part, Running, SECOND, Seen};
use crate::sweep::networks::place::{CANARY, Direction, Place};
use crate::sweep::networks::random;

const REQUEST: Seen = Seen { source: 0, flow: 0, server: 0, is_reply: false, is_mapped: false };

fn running(impairment: Impairment) -> Running {
    Running::new(Part { impairment, place: Place::everywhere(), direction: Direction::Both }, 1_024)
}

/// What becomes of so many packets in ten seconds, evenly: how many pass, and the longest delay.
fn feed(part: &mut Running, packets: u64, seen: impl Fn(u64) -> Seen) -> (u64, u64) {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut passed, mut longest) = (0, 0);
    for n in 0..packets {
        match part.pass(1 + n * 10 * SECOND / packets, &seen(n), &mut rng) {
            Fate::Lost => {}
            Fate::Later(by) => (passed, longest) = (passed + 1, longest.max(by)),
            Fate::Passes => passed += 1,
            Fate::Duplicated(_) => passed += 2,
        }
    }
    (passed, longest)
}

#[test]
fn each_part_passes_what_it_should() {
    let many = |n: u64| Seen { source: n as u32 % 1_024, flow: n as u32, ..REQUEST };
    let bursts = Impairment::BurstLoss { good: 0.03, bad: 0.01, share: 1.0 };
    let hashed = |by| Impairment::Hashed { by, paths: 4, share: 1.0, salt: 9 };
    for (what, packets, at_least, at_most) in [
        (Impairment::Policer { rate: 100.0, burst: 20.0 }, 50_000, 1_019, 1_021),
        (Impairment::Policer { rate: 100.0, burst: 20.0 }, 900, 900, 900),
        (Impairment::Queue { rate: 100.0, size: 20.0 }, 50_000, 1_018, 1_021),
        (Impairment::Loss { share: 0.3 }, 10_000, 6_850, 7_150),
        (bursts, 50_000, 35_500, 39_500),
        (hashed(By::Source), 10_240, 7_000, 8_300),
        (hashed(By::Flow), 10_240, 7_480, 7_880),
        (Impairment::Outage { from: 2 * SECOND, to: 5 * SECOND }, 1_000, 699, 701),
        (Impairment::Flows { size: 100, unreplied: 2.0, replied: 9.0 }, 5_000, 499, 501),
        (Impairment::Duplicate { share: 0.2, after: 9 }, 10_000, 11_850, 12_150),
        (Impairment::Delay { least: 1, jitter: 5 }, 100, 100, 100),
    ] {
        let (passed, _) = feed(&mut running(what), packets, many);
        assert!((at_least..=at_most).contains(&passed), "{what:?}: {passed} of {packets}");
    }
}

#[test]
fn a_queue_delays_by_what_waits_in_it() {
    let (_, longest) = feed(&mut running(Impairment::Queue { rate: 100.0, size: 50.0 }), 50_000, |_| REQUEST);
    assert!((480_000..=500_000).contains(&longest), "{longest} µs for 50 at 100 a second");
}

#[test]
fn a_firewall_lets_known_flows_pass_when_it_is_full() {
    let mut table = running(Impairment::Flows { size: 1, unreplied: 1.0, replied: 4.0 });
    let mut rng = StdRng::seed_from_u64(1);
    let other = Seen { flow: 1, ..REQUEST };
    let reply = Seen { is_reply: true, ..REQUEST };
    for (tenths, seen, want, why) in [
        (1, reply, Fate::Lost, "a reply without a flow"),
        (2, REQUEST, Fate::Passes, "the first"),
        (3, other, Fate::Lost, "another one finds it full"),
        (11, reply, Fate::Passes, "the reply in time"),
        (20, REQUEST, Fate::Passes, "replied flows live longer"),
        (21, other, Fate::Lost, "and fill the table longer"),
        (61, other, Fate::Passes, "until they are forgotten"),
        (62, reply, Fate::Lost, "and their replies belong to nobody"),
    ] {
        assert_eq!(table.pass(tenths * SECOND / 10, &seen, &mut rng), want, "{why}");
    }
}

#[test]
fn a_nat_has_so_many_ports() {
    let nat = Impairment::Nat { externals: 1, ports: 3, lives: 5.0 };
    let mapped = |n: u64| Seen { source: n as u32, is_mapped: true, ..REQUEST };
    let (passed, _) = feed(&mut running(nat), 100, mapped);
    assert_eq!(passed, 6, "three, and three more when those have been forgotten");
    let (passed, _) = feed(&mut running(nat), 100, |_| REQUEST);
    assert_eq!(passed, 100, "sources with addresses of their own need none");
}

#[test]
fn places_hold_whom_they_should() {
    let place = Place::prefix(2, 16);
    for (source, want) in [(31, false), (32, true), (47, true), (48, false), (CANARY, false)] {
        assert_eq!(place.holds(source, 0), want, "{source}");
    }
    assert!(Place::everywhere().holds(CANARY, 1) && !Place::everywhere().of_server(0).holds(3, 1));
    let each = place.each(4);
    let cells = each.cells(1_024);
    assert_eq!([32, 35, 36, 47].map(|source| each.cell(source, cells)), [0, 0, 1, 3]);
    assert_eq!(Place::everywhere().each(256).cell(CANARY, 5), 4);
}

#[test]
fn a_network_is_the_same_each_time() {
    for seed in 0..20 {
        let (one, other) = (random::network(seed), random::network(seed));
        assert_eq!(one.to_string(), other.to_string());
        let (one, other) = (driver::sweep(&one, one.settings()), driver::sweep(&other, other.settings()));
        assert_eq!(
            (one.took, one.sent, one.verdicts),
            (other.took, other.sent, other.verdicts),
            "seed {seed}"
        );
    }
}

#[test]
fn the_oracle_takes_what_can_be_counted_by_hand() {
    let network = || Network::clean("", 1, 10).with(Kind::Dead, 0.0, 100);
    let on = |impairment, direction| Part { impairment, place: Place::everywhere(), direction };
    let lossy = on(Impairment::Loss { share: 0.5 }, Direction::Requests);
    let slow = on(Impairment::Policer { rate: 100.0, burst: 24.0 }, Direction::Requests);
    let (clean, limited) = (network(), network().with_part(slow));
    for (network, seconds, why) in [
        (clean, 2.002, "the time-out and a round trip"),
        (limited.clone(), 12.0, "1,000 at 100 a second"),
        // ln(0.01 / 100) / ln(0.5) = 13.3: 14 probes for each of 100 dead, 2 for each of 924 others.
        (limited.with_part(lossy), 34.2, "3,224 at 100 a second"),
    ] {
        let time = Oracle::new(&network).time() as f64 / SECOND as f64;
        assert!((time - seconds).abs() < 0.05, "{why}: {time} s");
    }
}
