//! What the sweep must show, and what the simulation must.

use std::env;
use std::fmt::Write;
use std::time::Instant;

use super::judge::{Tally, allowed, judge, poisson_bound};
use super::named::ROWS;
use super::network::Network;
use super::random;
use crate::sweep::{Mutant, Settings};

mod costs;
mod parts;

/// Random networks in an ordinary run of the tests; `ROUTEPOOL_NETWORKS` gives another number.
const NETWORKS: u64 = 300;
/// Seeds of each named network.
const SEEDS: u64 = 3;
/// The same of networks in which a range ends between neighbours: without one of the rules for these, some of so many are wrong.
const RANGE_SEEDS: u64 = 60;
/// The share of `unknown` in networks in which nearly everything can be found out.
const UNKNOWN: f64 = 0.01;
/// Time over all networks, in times of the oracle's.
const TIMES: f64 = 3.0;
/// The same where nearly everything can be found out: some of these carry only a few probes a second, and their pace is found by
/// trial, which the oracle has no need of.
const TIMES_QUALIFIED: f64 = 4.0;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn unchanged(settings: Settings) -> Settings {
    settings
}

/// The promise, over random networks: 0.01 wrong `no-reply` are expected in a run at most, so
/// - the number of runs with a wrong one is at most binomial (n, 0.01), whatever a run's wrong verdicts have to do with
///   each other, and that number exceeds the bound of the Poisson distribution (mean 0.01 n; 11 for 300 runs, 139 for
///   10,000) with a probability below 1 in 10,000;
/// - the number of neighbourhoods of 256 sources with a wrong one keeps the same bound: sources that share a path are wrong
///   together, when a full table or an empty bucket lets nothing of theirs through for as long as they are probed;
/// - no other verdict is ever wrong: no dead source `ok`, no silence called `send-error`. A source that is refused at random is
///   called `send-error` as rarely as a silent one `no-reply`, and counts with these.
///
/// In the networks of which `Oracle::qualifies` says that the path carries a probe a second for each neighbourhood, less
/// than 1 % of the sources are `unknown`, and all runs together take less than [`TIMES`] what the oracle needs for
/// all of them. The sum is what somebody with many networks waits for; single runs may be above it, since they have to
/// find out what the oracle knows, and the table shows how far.
///
/// `ROUTEPOOL_NETWORKS=10000` runs so many, `ROUTEPOOL_NETWORK=<seed>` one, with a description.
#[test]
fn random_networks_keep_the_promise() {
    if let Some(seed) = number("ROUTEPOOL_NETWORK") {
        let network = random::network(seed);
        let tally = judge([network.clone()], unchanged);
        println!("{network}{}{}", tally.table(), tally.failures.join("\n"));
        assert!(tally.failures.is_empty());
        return;
    }
    let networks = number("ROUTEPOOL_NETWORKS").unwrap_or(NETWORKS);
    let first = number("ROUTEPOOL_NETWORKS_FROM").unwrap_or(0);
    let begun = Instant::now();
    let tally = judge((first..first + networks).map(random::network), unchanged);
    println!("{networks} networks in {:.1} s\n{}", begun.elapsed().as_secs_f64(), tally.table());
    if tally.failed > 0 {
        println!("{}", show(&tally));
    }
    let most = allowed(tally.all.runs);
    let mut broken = String::new();
    for (holds, what) in [
        (tally.all.runs_wrong <= most, "runs with a wrong no-reply"),
        (tally.all.places_wrong <= most, "neighbourhoods with a wrong no-reply"),
        (tally.all.false_other == 0, "other verdicts that are wrong"),
        (tally.qualified.unknown_share() < UNKNOWN, "unknown sources"),
        (tally.all.ratio() <= TIMES, "time"),
        (tally.qualified.ratio() <= TIMES_QUALIFIED, "time where nearly everything can be found out"),
    ] {
        if !holds {
            let _ = writeln!(broken, "too much: {what}");
        }
    }
    assert!(broken.is_empty(), "{broken}(allowed: {most} wrong)\n{}", show(&tally));
}

fn show(tally: &Tally) -> String {
    format!("{} runs with wrong verdicts, of which the first:\n{}", tally.failed, tally.failures.join("\n"))
}

/// Every named network with some seeds: not one wrong verdict. `ROUTEPOOL_NAMED=<part of a name>` runs those,
/// `ROUTEPOOL_SEEDS` gives another number of seeds.
#[test]
fn named_networks_give_no_wrong_verdict() {
    let wanted = env::var("ROUTEPOOL_NAMED").unwrap_or_default();
    let seeds = number("ROUTEPOOL_SEEDS").unwrap_or(SEEDS);
    let (mut table, mut failures) = (String::new(), String::new());
    for row in ROWS.iter().filter(|row| row.name.contains(&wanted)) {
        let begun = Instant::now();
        let named = |seed| Network { name: row.name.to_owned(), ..(row.network)(seed) };
        // What goes wrong where a range ends between neighbours, goes wrong in few seeds.
        let seeds = if row.name.contains("range") { seeds.max(RANGE_SEEDS) } else { seeds };
        let tally = judge((1..=seeds).map(named), unchanged);
        let all = &tally.all;
        let _ = writeln!(
            table,
            "{:<42} {:>6} {:>6} {:>6} {:>8.3} {:>8.1} {:>8.1} {:>6.1} {:>7.2}",
            row.name,
            all.sources / all.runs,
            all.no_reply,
            all.false_other,
            100.0 * all.unknown_share(),
            all.took as f64 / 1e6 / f64::from(all.runs),
            all.oracle as f64 / 1e6 / f64::from(all.runs),
            all.sent as f64 / f64::from(all.sources),
            begun.elapsed().as_secs_f64(),
        );
        for failure in &tally.failures {
            let _ = writeln!(failures, "{}: {failure}", row.why);
        }
    }
    println!(
        "{:<42} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>6} {:>7}\n{table}",
        "network", "n", "wrong", "other", "unkn. %", "time s", "oracle s", "probes", "real s"
    );
    assert!(failures.is_empty(), "{failures}");
}

/// As above, with three workers that send the first pass in turns, each from a port of its own.
#[test]
fn named_networks_give_no_wrong_verdict_with_several_workers() {
    let mut failures = String::new();
    for row in ROWS {
        let named = |seed| Network { name: row.name.to_owned(), ..(row.network)(seed) };
        let tally = judge((1..=1).map(named), |settings| Settings { workers: 3, ..settings });
        for failure in &tally.failures {
            let _ = writeln!(failures, "{}: {failure}", row.why);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// A change of the settings of the sweep.
type Change = fn(Settings) -> Settings;

/// Changes to the settings that break a rule of the engine, each with the name of the rule.
const MUTANTS: [(&str, Change); 3] = [
    ("the same order in each round", |settings| Settings { mutant: Some(Mutant::SameOrder), ..settings }),
    ("no pairs", |settings| Settings { mutant: Some(Mutant::NoPairs), ..settings }),
    ("one loss for all", |settings| Settings { mutant: Some(Mutant::GlobalLoss), ..settings }),
];

/// An engine without one of its rules is found out: it gives more wrong verdicts than the bound allows. Otherwise these
/// tests would say nothing of the rule.
#[test]
fn an_engine_without_a_rule_is_found_out() {
    for (name, change) in MUTANTS {
        let named = ROWS.iter().flat_map(|row| (1..=SEEDS).map(|seed| (row.network)(seed)));
        let tally = judge(named.chain((0..NETWORKS / 3).map(random::network)), change);
        let wrong = tally.all.no_reply + tally.all.false_other;
        assert!(wrong > allowed(tally.all.runs), "{name}: only {wrong} wrong verdicts\n{}", tally.table());
    }
}

#[test]
fn the_bound_is_that_of_the_distribution() {
    // Tables of the Poisson distribution: P(X > 2 | 0.1) = 0.000155, P(X > 3 | 0.1) = 0.0000038; P(X > 11 | 3) = 0.000071.
    for (mean, want) in [(0.1, 3), (3.0, 11), (100.0, 139)] {
        assert_eq!(poisson_bound(mean), want, "{mean}");
    }
}
