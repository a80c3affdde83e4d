//! Runs networks and counts what the verdicts are worth.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::driver;
use super::network::{Kind, Network, Stops};
use super::oracle::Oracle;
use super::part::{Micros, seconds};
use crate::sweep::bounds::MAX_EXPECTED_FALSE;
use crate::sweep::{EndReason, Settings, Status};

/// What one run was worth.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    pub(super) runs: u32,
    pub(super) sources: u32,
    /// Sources that answer, and were called silent or refused: what the bound of the run is about.
    pub(super) no_reply: u32,
    /// Runs with at least one of those.
    pub(super) runs_wrong: u32,
    /// Neighbourhoods of 256 with at least one of those.
    pub(super) places_wrong: u32,
    /// Every other verdict that is not true.
    pub(super) false_other: u32,
    pub(super) unknown: u32,
    pub(super) took: Micros,
    pub(super) oracle: Micros,
    pub(super) sent: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.sources += other.sources;
        self.no_reply += other.no_reply;
        self.runs_wrong += other.runs_wrong;
        self.places_wrong += other.places_wrong;
        self.false_other += other.false_other;
        self.unknown += other.unknown;
        self.took += other.took;
        self.oracle += other.oracle;
        self.sent += other.sent;
    }

    /// Time, as a multiple of the oracle's.
    pub(super) fn ratio(&self) -> f64 {
        self.took as f64 / self.oracle.max(1) as f64
    }

    pub(super) fn unknown_share(&self) -> f64 {
        f64::from(self.unknown) / f64::from(self.sources.max(1))
    }

    fn row(&self) -> String {
        format!(
            "{:>6} {:>9} {:>8} {:>6} {:>6} {:>6} {:>8.3} {:>10.1} {:>7.2} {:>6.2}",
            self.runs,
            self.sources,
            self.no_reply,
            self.places_wrong,
            self.runs_wrong,
            self.false_other,
            100.0 * self.unknown_share(),
            seconds(self.took) / f64::from(self.runs.max(1)),
            self.ratio(),
            self.sent as f64 / f64::from(self.sources.max(1)),
        )
    }
}

const HEAD: [&str; 2] = [
    "  runs   sources no-reply places   runs  other  unknown     time s  oracle probes",
    "                    wrong  wrong  wrong  wrong        %    per run   times /source",
];

/// What was wrong: how often, and the first source.
type Complaints = BTreeMap<String, (u32, u32)>;
/// So many failures are described in full.
const SHOWN: usize = 40;
const ENDLESS: &str = "it does not end";

/// The sums over many runs.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) all: Count,
    /// Only networks in which nearly everything can be found out.
    pub(super) qualified: Count,
    pub(super) ratios: Vec<f64>,
    by_kind: BTreeMap<&'static str, (Count, Count)>,
    /// What was wrong, and how often.
    complaints: BTreeMap<String, u32>,
    /// Descriptions of what went wrong, the first few.
    pub(super) failures: Vec<String>,
    pub(super) failed: u32,
}

impl Tally {
    pub(super) fn add(&mut self, network: &Network, count: &Count, qualifies: bool) {
        self.all.add(count);
        if qualifies {
            self.qualified.add(count);
            self.ratios.push(count.ratio());
        }
        for kind in kinds(network) {
            let (all, qualified) = self.by_kind.entry(kind).or_default();
            all.add(count);
            if qualifies {
                qualified.add(count);
            }
        }
    }

    /// The ratio that so many of the qualified runs stay below.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.ratios.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
            .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }

    /// A table: what networks had such a part, all of them, and only the qualified.
    pub(super) fn table(&self) -> String {
        let mut out = HEAD.map(|line| format!("{:<32}{line}\n", "")).concat();
        for (kind, (all, qualified)) in
            self.by_kind.iter().chain([(&"ALL", &(self.all.clone(), self.qualified.clone()))])
        {
            let _ = writeln!(out, "{kind:<18}{:<14}{}", "all", all.row());
            let _ = writeln!(out, "{:<18}{:<14}{}", "", "qualified", qualified.row());
        }
        let quantiles =
            [0.5, 0.9, 0.95, 0.99, 1.0].map(|q| format!("{:.0} % {:.2}", q * 100.0, self.quantile(q)));
        for (what, times) in &self.complaints {
            let _ = writeln!(out, "wrong: {times} × {what}");
        }
        let _ = writeln!(out, "oracle times of qualified runs: {}", quantiles.join(", "));
        out
    }
}

/// What a network belongs to in the table.
fn kinds(network: &Network) -> Vec<&'static str> {
    let mut kinds: Vec<_> = network.parts.iter().map(|part| part.impairment.kind()).collect();
    if kinds.is_empty() && network.stops == Stops::default() {
        kinds.push("no fault");
    }
    for (holds, kind) in [
        (!network.stops.long.is_empty(), "stops"),
        (network.stops.starved.0 > 0, "starved"),
        (network.servers > 1, "servers"),
        (!network.has_canary, "no canary"),
        (network.rate.is_some(), "rate given"),
        (network.kinds.contains(&Kind::Mapped), "mapped"),
    ] {
        if holds {
            kinds.push(kind);
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Sweeps each network and judges the verdicts by what is true of it. `settings` may change the settings of the sweep.
pub(super) fn judge(
    networks: impl IntoIterator<Item = Network>,
    settings: impl Fn(Settings) -> Settings,
) -> Tally {
    let mut tally = Tally::default();
    // ROUTEPOOL_NETWORKS_SLOW=5 describes the qualified ones that take more than five times the oracle's time.
    let slow = std::env::var("ROUTEPOOL_NETWORKS_SLOW")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(f64::INFINITY);
    for network in networks {
        let oracle = Oracle::new(&network);
        let (count, complaints) = run(&network, settings(network.settings()), oracle.time());
        if count.ratio() > slow && oracle.qualifies() {
            let (took, oracle) = (seconds(count.took), seconds(count.oracle));
            println!(
                "{took:.1} s, {:.1} times {oracle:.1} s, {} unknown: {network}",
                count.ratio(),
                count.unknown
            );
        }
        if !complaints.is_empty() {
            tally.failed += 1;
            let mut failure = network.to_string();
            for (what, (times, first)) in complaints {
                let _ = writeln!(failure, "  {times} × {what}, the first is {first}");
                *tally.complaints.entry(what).or_default() += times;
            }
            // One that does not end is listed before the others.
            let at = if failure.contains(ENDLESS) { 0 } else { tally.failures.len() };
            tally.failures.insert(at, failure);
            tally.failures.truncate(SHOWN);
        }
        tally.add(&network, &count, oracle.qualifies());
    }
    tally
}

/// One run, and what is wrong with it.
pub(super) fn run(network: &Network, settings: Settings, oracle: Micros) -> (Count, Complaints) {
    let ran = driver::sweep(network, settings);
    let sources = network.sources();
    let mut count = Count { runs: 1, sources, took: ran.took, oracle, sent: ran.sent, ..Count::default() };
    let mut complaints = Complaints::new();
    let mut complain = |what: String, source: u32| {
        complaints.entry(what).or_insert((0, source)).0 += 1;
    };
    let mut verdicts = vec![None; sources as usize];
    for verdict in &ran.verdicts {
        let index = verdict.index;
        if index >= sources || verdict.source != network.source(index) || verdicts[index as usize].is_some() {
            complain("a second verdict, or one on nobody".to_owned(), index);
            count.false_other += 1;
            continue;
        }
        verdicts[index as usize] = Some(verdict.status);
    }
    let mut last_place = None;
    for (source, (status, kind)) in (0..).zip(verdicts.iter().zip(&network.kinds)) {
        // Nothing at all was ever heard, and nothing is said of the sources.
        let Some(status) = status.or((ran.end_reason == Some(EndReason::Silent)).then_some(Status::Unknown))
        else {
            complain("no verdict".to_owned(), source);
            count.false_other += 1;
            continue;
        };
        count.unknown += u32::from(status == Status::Unknown);
        if is_true(*kind, status) {
            continue;
        }
        complain(format!("{kind:?} is called {}", status.as_str()), source);
        // That each ask was refused by chance is bounded as silence is.
        let refused = status == Status::SendError && *kind != Kind::Dead;
        if status == Status::NoReply || refused {
            count.no_reply += 1;
            count.places_wrong += u32::from(last_place.replace(source / 256) != Some(source / 256));
        } else {
            count.false_other += 1;
        }
    }
    count.runs_wrong = u32::from(count.no_reply > 0);
    if ran.end_reason.is_none() {
        complain(ENDLESS.to_owned(), 0);
        count.false_other += 1;
    }
    (count, complaints)
}

/// Whether a verdict is true, or says that it does not know.
fn is_true(kind: Kind, status: Status) -> bool {
    match (kind, status) {
        (_, Status::Unknown)
        | (Kind::Works, Status::Ok)
        | (Kind::Mapped, Status::Mapped)
        | (Kind::Refused, Status::SendError)
        | (Kind::Bad(_), Status::BadReply) => true,
        // Now and then a dead source is also refused; what it must never be is answered.
        (Kind::Dead, status) => !matches!(status, Status::Ok | Status::Mapped | Status::BadReply),
        _ => false,
    }
}

/// The smallest number that a Poisson distributed one with this mean exceeds with a probability below 1 in 10,000.
pub(super) fn poisson_bound(mean: f64) -> u32 {
    let (mut term, mut sum, mut k) = ((-mean).exp(), 0.0, 0);
    loop {
        sum += term;
        if sum > 1.0 - 1e-4 {
            return k;
        }
        k += 1;
        term *= mean / f64::from(k);
    }
}

/// How many wrong `no-reply` the promise of a run allows in so many.
pub(super) fn allowed(runs: u32) -> u32 {
    poisson_bound(MAX_EXPECTED_FALSE * f64::from(runs))
}
