//! How a NAT chooses ports: a fit to the ports that it gave to sockets one after the other.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::behaviour::Allocation;
use super::names::named;

named! {
    /// Where the local port of a sample comes from.
    SampleKind {
        /// A socket of its own, on a port of the system's choice.
        Scattered = "scattered",
        /// A socket of its own, on the port after that of the sample before.
        Consecutive = "consecutive",
        /// The same socket as the others of this kind, to another destination each.
        Destination = "destinations",
    }
}

/// The port that was given to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which kind.
    pub kind: SampleKind,
    /// From here.
    pub local: SocketAddr,
    /// Seen as this.
    pub mapped: SocketAddr,
    /// When the request was first sent.
    pub sent_at: Duration,
}

/// Of twelve sockets at least so many must fit, as P2PD asks for. Traffic of other hosts makes jumps between them.
const LEAST_FIT: f64 = 5.0 / 12.0;

/// So many equal gaps between random ports do not happen by chance: with five gaps once in some billion.
const EQUAL_GAPS: usize = 3;

/// So many mappings of others, less one, may come between two of ours.
const MOST_BETWEEN: u16 = 4;

/// Fewer samples of a kind say nothing.
const LEAST_SAMPLES: usize = 4;

/// Ports of ours beside the samples, which were handed out from the same store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between<'a> {
    /// Those that are known: of the other tests.
    pub(super) known: &'a [SocketAddr],
    /// Sockets that were sent from and got no answer: they may have a port, but which is not known.
    pub(super) unheard: usize,
}

/// The allocation and the share of the samples that fit it. `dependent`: whether the mapping depends on the destination.
///
/// Ports that are handed out in turn are told by the gaps between them in numerical order, not in the order of sending: a lost
/// or overtaken request gets its port later, but leaves no other gap.
pub(super) fn fit(samples: &[Sample], between: Between<'_>, dependent: bool) -> Option<(Allocation, f64)> {
    let of = |kind| samples.iter().filter(move |s| s.kind == kind).copied().collect::<Vec<_>>();
    let (scattered, consecutive) = (of(SampleKind::Scattered), of(SampleKind::Consecutive));
    if scattered.len() < LEAST_SAMPLES || consecutive.len() < LEAST_SAMPLES {
        return None;
    }
    let sockets = (scattered.len() + consecutive.len()) as f64;
    let share = |fits: &dyn Fn(&Sample) -> bool| {
        scattered.iter().chain(&consecutive).filter(|s| fits(s)).count() as f64 / sockets
    };
    let equal = share(&|s| s.mapped.port() == s.local.port());
    if equal >= LEAST_FIT {
        return Some((Allocation::Equal, equal));
    }
    // Consecutive local ports keep their distance also where ports are handed out in turn: the scattered ones decide.
    let distance = |s: &Sample| s.mapped.port().wrapping_sub(s.local.port());
    if let Some((constant, count)) = mode(scattered.iter().map(distance)) {
        let fits = share(&|s| distance(s) == constant);
        if count >= EQUAL_GAPS && fits >= LEAST_FIT {
            return Some((Allocation::Preserving, fits));
        }
    }
    let mapped = |samples: &[Sample]| gaps(samples.iter().map(|s| s.mapped));
    let (ours, theirs) = (mapped(&scattered), mapped(&consecutive));
    let stepped = |(_, count): &(u16, usize)| *count >= EQUAL_GAPS;
    let all = || ours.iter().chain(&theirs).copied();
    if let Some((frequent, _)) = mode(all()).filter(stepped) {
        let every =
            gaps(scattered.iter().chain(&consecutive).map(|s| s.mapped).chain(between.known.iter().copied()));
        let step = finest(frequent, &every);
        let regular = ours.iter().filter(|gap| is_regular(**gap, step)).count();
        if regular >= EQUAL_GAPS {
            let count = all().filter(|gap| *gap == step).count();
            if count < EQUAL_GAPS || is_halved(step, all().count(), between.unheard) {
                return None;
            }
            // The second group was sent when the first was answered, so its ports came later, whatever was overtaken.
            let sign = if middle(&consecutive) < middle(&scattered) { -1 } else { 1 };
            let confidence = count as f64 / all().count() as f64;
            return Some((Allocation::Independent(sign * i32::from(step)), confidence));
        }
    }
    if let Some((step, count)) = mode(theirs.iter().copied()).filter(stepped) {
        let sign = if downwards(&consecutive) { -1 } else { 1 };
        return Some((Allocation::Dependent(sign * i32::from(step)), count as f64 / theirs.len() as f64));
    }
    let destinations = mapped(&of(SampleKind::Destination));
    if let Some((step, count)) =
        mode(destinations.iter().copied()).filter(|found| dependent && stepped(found))
    {
        return Some((Allocation::Dependent(step.into()), count as f64 / destinations.len() as f64));
    }
    let repeated = mode(ours.iter().copied()).map_or(0, |(_, count)| count - 1);
    Some((Allocation::Random, 1.0 - repeated as f64 / ours.len().max(1) as f64))
}

/// Whether the gap is a step, or a multiple because mappings of others came between.
fn is_regular(gap: u16, step: u16) -> bool {
    gap.is_multiple_of(step) && gap / step <= MOST_BETWEEN
}

/// The step that explains most gaps: this one, or a part of it. Where other mappings of ours come between, twice the step may be
/// more frequent than the step; but gaps that are no multiple of it show that it is not the step.
fn finest(frequent: u16, gaps: &[u16]) -> u16 {
    let explained = |step: u16| gaps.iter().filter(|gap| is_regular(**gap, step)).count();
    let parts = (1..=frequent).filter(|part| frequent.is_multiple_of(*part));
    parts.max_by_key(|part| (explained(*part), *part)).unwrap_or(frequent)
}

/// Whether a part of the step explains as many gaps as well, if each hole that it leaves has the port of a socket that got no
/// answer.
fn is_halved(step: u16, gaps: usize, unheard: usize) -> bool {
    let smallest = (2..=step).find(|factor| step.is_multiple_of(*factor));
    smallest.is_some_and(|factor| gaps * usize::from(factor - 1) <= unheard)
}

/// The most frequent value and how often it occurs.
fn mode<T: Copy + Eq + std::hash::Hash + Ord>(values: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(value, count)| (*count, std::cmp::Reverse(*value)))
}

/// The gaps between neighbouring ports. A NAT with several addresses may count ports for each of them or for all: whichever
/// is more regular.
fn gaps(mapped: impl Iterator<Item = SocketAddr> + Clone) -> Vec<u16> {
    let gaps_of = |ports: &mut Vec<u16>| {
        ports.sort_unstable();
        ports.dedup();
        ports.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    let together = gaps_of(&mut mapped.clone().map(|m| m.port()).collect());
    let mut by_address: HashMap<IpAddr, Vec<u16>> = HashMap::new();
    for address in mapped {
        by_address.entry(address.ip()).or_default().push(address.port());
    }
    let apart: Vec<u16> = by_address.values_mut().flat_map(gaps_of).collect();
    let regular = |gaps: &Vec<u16>| mode(gaps.iter().copied()).map_or(0, |(_, count)| count);
    if regular(&apart) > regular(&together) { apart } else { together }
}

/// The port in the middle.
fn middle(samples: &[Sample]) -> u16 {
    let mut ports: Vec<u16> = samples.iter().map(|s| s.mapped.port()).collect();
    ports.sort_unstable();
    ports[ports.len() / 2]
}

/// Whether mapped ports fall while local ones rise, for most pairs of neighbours.
fn downwards(samples: &[Sample]) -> bool {
    let falls = |pair: &&[Sample]| pair[1].mapped.port() < pair[0].mapped.port();
    samples.windows(2).filter(falls).count() * 2 > samples.windows(2).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing else was sent, and all was answered.
    const ALONE: Between<'_> = Between { known: &[], unheard: 0 };

    fn samples(mapped: impl Fn(usize, u16) -> u16) -> Vec<Sample> {
        let scattered = [41_007_u16, 52_310, 33_999, 60_123, 45_678, 50_001];
        let locals = scattered.into_iter().chain(40_000..40_006);
        let sample = |(at, port): (usize, u16)| Sample {
            kind: if at < 6 { SampleKind::Scattered } else { SampleKind::Consecutive },
            local: SocketAddr::new([10, 0, 0, 2].into(), port),
            mapped: SocketAddr::new([192, 0, 2, 1].into(), mapped(at, port)),
            sent_at: Duration::from_millis(at as u64),
        };
        locals.enumerate().map(sample).collect()
    }

    /// Ports without any order.
    fn noise(at: usize) -> u16 {
        [1_201, 60_000, 22_222, 5_005, 48_123, 33_000, 9_120, 51_234, 17_000, 64_000, 28_456, 40_321][at % 12]
    }

    #[test]
    #[rustfmt::skip]
    fn each_kind_is_told_from_the_others() {
        type Ports<'a> = &'a dyn Fn(usize, u16) -> u16;
        let rows: [(&str, Ports<'_>, Allocation); 13] = [
            ("equal", &|_, p| p, Allocation::Equal),
            ("equal, half of them taken by others", &|at, p| if at % 2 == 0 { p } else { noise(at) }, Allocation::Equal),
            ("a constant apart", &|_, p| p - 7_000, Allocation::Preserving),
            ("a constant apart, over the end", &|_, p| p.wrapping_add(20_000), Allocation::Preserving),
            ("one after the other", &|at, _| 3_000 + at as u16, Allocation::Independent(1)),
            ("in steps of four, downwards", &|at, _| 9_000 - 4 * at as u16, Allocation::Independent(-4)),
            ("in steps, with a jump of another host", &|at, _| 3_000 + 2 * at as u16 + if at > 3 { 2 } else { 0 }, Allocation::Independent(2)),
            ("in steps, one late", &|at, _| 3_000 + 2 * if at == 2 { 20 } else { at as u16 }, Allocation::Independent(2)),
            ("with the local port, in steps of two", &|_, p| p.wrapping_mul(2), Allocation::Dependent(2)),
            ("against the local port", &|_, p| 65_535 - p.wrapping_mul(3), Allocation::Dependent(-3)),
            ("at random", &|at, _| noise(at), Allocation::Random),
            ("a constant apart, three of twelve", &|at, p| if at < 3 { p - 7_000 } else { noise(at) }, Allocation::Random),
            ("two equal gaps by chance", &|at, _| if at < 3 { 2_000 + 10 * at as u16 } else { noise(at) }, Allocation::Random),
        ];
        for (name, mapped, want) in rows {
            let (found, confidence) = fit(&samples(mapped), ALONE, false).expect("enough samples");
            assert_eq!(found, want, "{name}");
            assert!(confidence > LEAST_FIT && confidence <= 1.0, "{name}: {confidence}");
        }
    }

    #[test]
    fn too_few_samples_say_nothing_and_destinations_count_only_for_dependent_mappings() {
        let all = samples(|at, _| noise(at));
        // Six scattered ones, then six consecutive ones.
        for (from, to, enough) in [(0, 9, false), (3, 12, false), (2, 10, true)] {
            assert_eq!(fit(&all[from..to], ALONE, false).is_some(), enough, "{from} to {to}");
        }
        assert_eq!(fit(&[], ALONE, true), None);
        let (first, mut more) = (all[0], all);
        more.extend((0..4).map(|at| Sample {
            kind: SampleKind::Destination,
            mapped: SocketAddr::new([192, 0, 2, 1].into(), 7_000 + 5 * at),
            ..first
        }));
        assert_eq!(fit(&more, ALONE, true), Some((Allocation::Dependent(5), 1.0)));
        assert_eq!(fit(&more, ALONE, false), Some((Allocation::Random, 1.0)));
    }

    /// Six scattered sockets, then six consecutive ones, of a NAT that hands out these ports in the order of arrival.
    fn handed_out(ports: [u16; 12]) -> Vec<Sample> {
        samples(|at, _| ports[at])
    }

    /// Half of all requests were lost: other tests' sockets got ports between those of the samples.
    #[test]
    fn twice_the_step_is_not_the_step_where_it_is_more_frequent() {
        let all =
            handed_out([6_009, 6_003, 6_018, 5_994, 6_000, 5_988, 6_024, 6_021, 6_042, 6_036, 6_027, 6_033]);
        let mut by_address = all.clone();
        for (at, sample) in by_address.iter_mut().enumerate() {
            sample.mapped.set_ip([192, 0, 2, (at % 2) as u8].into());
        }
        for all in [all, by_address] {
            assert_eq!(fit(&all, ALONE, false), Some((Allocation::Independent(3), 0.4)));
        }
    }

    #[test]
    fn a_step_is_unknown_where_a_part_of_it_shows_too_rarely() {
        // Gaps of 6, and twice of 3.
        let all =
            handed_out([3_000, 3_006, 3_012, 3_018, 3_024, 3_030, 3_036, 3_042, 3_048, 3_054, 3_057, 3_060]);
        assert_eq!(fit(&all, ALONE, false), None);
        // Three times of 3 are enough.
        let all =
            handed_out([3_000, 3_006, 3_012, 3_018, 3_024, 3_027, 3_033, 3_039, 3_045, 3_051, 3_054, 3_057]);
        assert_eq!(fit(&all, ALONE, false), Some((Allocation::Independent(3), 0.3)));
        // A jump that is no multiple, of a port far away, shows nothing of the kind.
        let all =
            handed_out([3_000, 3_006, 3_012, 3_018, 3_024, 3_030, 3_036, 3_042, 3_048, 3_054, 3_060, 9_999]);
        assert_eq!(fit(&all, ALONE, false).map(|f| f.0), Some(Allocation::Independent(6)));
    }

    #[test]
    fn ports_of_other_tests_show_a_smaller_step() {
        let all = samples(|at, _| 3_000 + 6 * at as u16);
        let known = [3_003, 3_009, 3_015].map(|port| SocketAddr::new([192, 0, 2, 1].into(), port));
        for (known, want) in
            [(&known[..0], Some(Allocation::Independent(6))), (&known[..1], None), (&known, None)]
        {
            let found = fit(&all, Between { known, unheard: 0 }, false).map(|f| f.0);
            assert_eq!(found, want, "{known:?}");
        }
    }

    #[test]
    fn a_step_is_unknown_where_sockets_without_an_answer_could_have_the_ports_between() {
        // Ten gaps: that many holes if the step is half of it, twice as many if it is a third.
        for (step, unheard, want) in [
            (6, 9, Some(Allocation::Independent(6))),
            (6, 10, None),
            (3, 19, Some(Allocation::Independent(3))),
            (3, 20, None),
            (1, 1_000, Some(Allocation::Independent(1))),
        ] {
            let all = samples(|at, _| 3_000 + step * at as u16);
            let found = fit(&all, Between { known: &[], unheard }, false).map(|f| f.0);
            assert_eq!(found, want, "{step}, {unheard} without an answer");
        }
    }

    /// One of the second group has begun from below again.
    #[test]
    fn one_port_that_is_lower_than_all_others_turns_no_direction_round() {
        let all = samples(|at, _| if at == 11 { 1_024 } else { 3_000 + 2 * at as u16 });
        assert_eq!(fit(&all, ALONE, false).map(|f| f.0), Some(Allocation::Independent(2)));
    }

    #[test]
    fn ports_run_downwards_if_most_pairs_fall() {
        for (ports, down) in [
            (&[3_u16, 2, 1][..], true),
            (&[3, 2, 1, 9], true),
            (&[1, 2, 3], false),
            (&[1, 2, 1], false),
            (&[1, 1, 1], false),
        ] {
            let mut all = samples(|at, _| ports.get(at).copied().unwrap_or_default());
            all.truncate(ports.len());
            assert_eq!(downwards(&all), down, "{ports:?}");
        }
    }

    #[test]
    fn a_pool_of_addresses_counts_together_or_apart() {
        for apart in [true, false] {
            let mut all = samples(|at, _| if apart { 3_000 + (at / 2) as u16 } else { 3_000 + at as u16 });
            for (at, sample) in all.iter_mut().enumerate() {
                sample.mapped.set_ip([192, 0, 2, (at % 2) as u8].into());
            }
            assert_eq!(
                fit(&all, ALONE, false).map(|f| f.0),
                Some(Allocation::Independent(1)),
                "apart: {apart}"
            );
        }
    }
}
