//! Against a list of addresses and a set of them, which is what a pool must never be.

use std::collections::HashSet;
use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::ip_block::{HostPolicy, IpBlock};
use crate::sweep::{Proven, State, States};
use crate::targets::{Sample, Targets};

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn block(text: &str) -> IpBlock {
    text.parse().expect(text)
}

fn range(route: u32, text: &str) -> Part {
    Part::range(route, block(text).first(), block(text).last(), Local::Same)
}

/// A pool of one range.
fn pool(text: &str) -> Pool {
    let part = range(0, text);
    Pool::new(part.is_ipv6(), vec![part])
}

/// A pool of a block without `.0` and `.255`.
fn usable(text: &str) -> Pool {
    let block = block(text).with_hosts(HostPolicy::No0And255);
    Pool::new(false, vec![Part::block(0, &block, Local::Same)])
}

fn run(blocks: Vec<IpBlock>, sample: Option<Sample>, proven: impl Fn(u32) -> bool) -> Arc<(Targets, Proven)> {
    let targets = Targets::new(blocks, sample, 1).expect("targets");
    let mut states = States::new(targets.len());
    (0..targets.len()).filter(|i| proven(*i)).for_each(|i| states.set(i, State::Ok));
    Arc::new((targets, Proven::new(&states)))
}

fn shown(pool: &Pool) -> Vec<String> {
    let show = |run: Run| format!("{}-{} {}", run.first, run.last, run.route);
    pool.runs().map(show).collect()
}

#[test]
fn sizes_and_ends_are_right_up_to_the_whole_space() {
    let all = |policy, text| {
        let block = block(text).with_hosts(policy);
        Pool::new(block.is_ipv6(), vec![Part::block(0, &block, Local::Same)])
    };
    for (text, policy, size, first, last, why) in [
        ("10.0.0.7", HostPolicy::All, 1, "10.0.0.7", "10.0.0.7", "one address is a pool"),
        ("0.0.0.0/0", HostPolicy::All, 1 << 32, "0.0.0.0", "255.255.255.255", "one more than u32 holds"),
        ("0.0.0.0/0", HostPolicy::Subnet, (1 << 32) - 2, "0.0.0.1", "255.255.255.254", "both ends off"),
        ("0.0.0.0/0", HostPolicy::No0And255, 254 << 24, "0.0.0.1", "255.255.255.254", "of each /24 two off"),
        (
            "fd00::/64",
            HostPolicy::All,
            1 << 64,
            "fd00::",
            "fd00::ffff:ffff:ffff:ffff",
            "one more than u64 holds",
        ),
        ("fd00::/64", HostPolicy::No0And255, 1 << 64, "fd00::", "fd00::ffff:ffff:ffff:ffff", "IPv4 only"),
        (
            "::/0",
            HostPolicy::Subnet,
            u128::MAX,
            "::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "without anycast",
        ),
    ] {
        let pool = all(policy, text);
        assert_eq!(pool.size(), size, "{text} {policy}: {why}");
        for (k, external) in [(0, first), (size - 1, last)] {
            assert_eq!(
                pool.at(k).map(|item| item.external),
                Some(ip(external)),
                "{text} {policy} {k}: {why}"
            );
            assert_eq!(pool.index_of(ip(external)), Some(k), "{text} {policy} {k}: {why}");
        }
        assert_eq!(pool.at(size), None, "{text} {policy}: {why}");
    }
}

#[test]
fn all_of_ipv6_has_one_more_than_can_be_counted() {
    let (all, last) = (pool("::/0"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(all.size(), u128::MAX);
    assert_eq!(all.at(u128::MAX).map(|item| item.external), Some(ip(last)));
    assert_eq!(all.index_of(ip(last)), Some(u128::MAX));
    assert!(all.slice(0, all.size()).set_eq(&all), "0 to size is the whole pool");
    let but_one = all.difference(&pool(last));
    assert_eq!(but_one.size(), u128::MAX, "this many can be counted");
    assert!(!but_one.set_eq(&all) && but_one.is_subset_of(&all) && !all.is_subset_of(&but_one));
    assert!(but_one.union(&pool(last)).set_eq(&all));
    assert_eq!(shown(&but_one.union(&pool(last))), [format!("::-{last} 0")]);
    assert!(all.difference(&all).is_empty() && all.symmetric_difference(&all).is_empty());
    assert!(pool("0.0.0.0/0").difference(&pool("0.0.0.0/0")).is_empty());
    let middle = all.difference(&pool("8000::"));
    assert_eq!(
        middle.at((1 << 127) - 1).map(|item| item.external),
        middle.at(1 << 127).map(|_| ip("7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
    );
    assert_eq!(middle.index_of(ip(last)), Some(u128::MAX - 1));
}

#[test]
fn each_address_is_paired_with_what_is_bound_for_it() {
    let fixed = ip("192.168.0.2");
    let parts = vec![
        Part::range(7, ip("203.0.113.1"), ip("203.0.113.2"), Local::Fixed(fixed)),
        Part::block(8, &block("203.0.113.0/30"), Local::Same),
        Part::range(9, ip("fd00::1"), ip("fd00::1"), Local::Same),
        Part::range(9, ip("203.0.113.9"), ip("203.0.113.8"), Local::Same),
        Part::range(9, ip("203.0.113.9"), ip("fd00::1"), Local::Same),
    ];
    let pool = Pool::new(false, parts.clone());
    let item = |external, local, route| Item { external: ip(external), local, route };
    let items: Vec<_> = (0..pool.size()).filter_map(|k| pool.at(k)).collect();
    let want = [
        item("203.0.113.1", fixed, 7),
        item("203.0.113.2", fixed, 7),
        item("203.0.113.0", ip("203.0.113.0"), 8),
        item("203.0.113.3", ip("203.0.113.3"), 8),
    ];
    assert_eq!(items, want, "the first part that holds an address decides; a wrong range holds none");
    assert_eq!(Pool::new(true, parts).size(), 1, "the other family");
}

#[test]
fn runs_are_as_long_as_they_can_be() {
    for (parts, want, why) in [
        (vec![range(1, "10.0.0.0/25"), range(1, "10.0.0.128/25")], vec!["10.0.0.0-10.0.0.255 1"], "joined"),
        (
            vec![range(1, "10.0.0.0/25"), range(2, "10.0.0.128/25")],
            vec!["10.0.0.0-10.0.0.127 1", "10.0.0.128-10.0.0.255 2"],
            "two routes",
        ),
        (
            vec![range(1, "10.0.0.128/25"), range(1, "10.0.0.0/25")],
            vec!["10.0.0.128-10.0.0.255 1", "10.0.0.0-10.0.0.127 1"],
            "order is kept",
        ),
        (
            vec![range(1, "255.255.255.255"), range(1, "0.0.0.0")],
            vec!["255.255.255.255-255.255.255.255 1", "0.0.0.0-0.0.0.0 1"],
            "nothing follows the last address",
        ),
    ] {
        assert_eq!(shown(&Pool::new(false, parts)), want, "{why}");
    }
    let first = block("10.0.0.0/8").with_hosts(HostPolicy::No0And255);
    let pool = Pool::new(false, vec![Part::block(1, &first, Local::Same), range(1, "10.0.0.0/8")]);
    assert_eq!(pool.size(), 1 << 24);
    assert_eq!(pool.segments.last_index(), Some((1 << 24) - 1));
    assert_eq!(pool.segments.place(u128::MAX), Some(3), "10.0.0.0, .255 and .0, 10.255.255.255: not 65,537");
    let run = pool.runs().nth(65_537).expect("a run");
    assert_eq!((run.first, run.last), (ip("10.0.0.255"), ip("10.0.1.0")), "behind the 65,536 and 10.0.0.0");
}

#[test]
fn set_operations_on_large_pools_are_arithmetic() {
    let (low, high) =
        (pool("fd00::-fd00::8000:0:0:ffff"), pool("fd00::8000:0:0:0-fd00::ffff:ffff:ffff:ffff"));
    assert_eq!(shown(&low.union(&high)), ["fd00::-fd00::ffff:ffff:ffff:ffff 0"]);
    assert_eq!(shown(&low.intersection(&high)), ["fd00::8000:0:0:0-fd00::8000:0:0:ffff 0"]);
    assert_eq!(low.difference(&high).size(), 1 << 63);
    assert_eq!(low.symmetric_difference(&high).size(), (1 << 64) - 0x1_0000);
    let (even, odd) = (pool("fd00::/64"), pool("fd00:0:0:1::/64"));
    assert!(even.is_disjoint_from(&odd) && !even.is_disjoint_from(&low) && low.is_subset_of(&even));
    assert!(even.is_disjoint_from(&pool("0.0.0.0/0")), "two families have nothing in common");
    assert_eq!(even.union(&pool("10.0.0.0/8")).size(), 1 << 64);
    let small: Vec<_> = (0..20_000_u128)
        .map(|n| Part::range(1, to_address(n << 70, true), to_address((n << 70) + 9, true), Local::Same))
        .collect();
    let many = Pool::new(true, small);
    let rest = pool("::/0").difference(&many);
    assert_eq!(rest.size(), u128::MAX - 200_000 + 1);
    assert!(rest.is_disjoint_from(&many) && rest.union(&many).set_eq(&pool("::/0")));
}

#[test]
fn samples_of_a_large_block_are_cut_out_of_it() {
    let sample = Sample { per_prefix: 64, hosts: 2 };
    let run = run(vec![block("2001:db8::/52")], Some(sample), |i| i % 5 != 0);
    let proven = Pool::new(true, vec![Part::proven(3, &run)]);
    let whole = pool("2001:db8::/48");
    assert_eq!(proven.size(), u128::from(run.1.len()));
    let common = whole.intersection(&proven);
    assert!(common.set_eq(&proven) && common.segments.place(u128::MAX) == Some(0), "no list of them");
    let rest = whole.difference(&proven);
    assert_eq!(rest.size(), (1 << 80) - proven.size());
    assert!(rest.is_disjoint_from(&proven) && rest.union(&proven).set_eq(&whole));
    for k in (0..proven.size()).step_by(97) {
        let external = proven.at(k).expect("an item").external;
        assert_eq!((common.index_of(external), rest.index_of(external)), (Some(k), None));
    }
}

#[test]
fn a_run_is_cut_up_to_the_last_address_of_all() {
    let run = run(vec![block("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120")], None, |_| true);
    let proven = Pool::new(true, vec![Part::proven(1, &run)]);
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let end = pool(&format!("{last}:ff80-{last}:ffff"));
    assert!(proven.slice(16, u128::MAX).intersection(&end).set_eq(&end));
}

#[test]
fn what_dense_addresses_leave_is_one_piece_and_what_sparse_ones_leave_is_a_list() {
    for (share, last_piece, why) in [(2, 1, "a bitmap, and the last address"), (4_096, 15, "16 gaps")] {
        let run = run(vec![block("10.0.0.0/16")], None, |i| i.is_multiple_of(share));
        let left = pool("10.0.0.0/16").difference(&Pool::new(false, vec![Part::proven(1, &run)]));
        assert_eq!(left.size(), 65_536 - u128::from(run.1.len()));
        assert_eq!(left.segments.place(u128::MAX), Some(last_piece), "{why}");
    }
}

#[test]
fn what_lies_around_dense_addresses_stays_whole() {
    let run = run(vec![block("10.128.0.0/24")], None, |i| i.is_multiple_of(2));
    let left = pool("10.0.0.0/8").difference(&Pool::new(false, vec![Part::proven(1, &run)]));
    assert_eq!(left.segments.place(u128::MAX), Some(2), "a range, a bitmap, a range");
}

#[test]
fn a_block_without_the_edges_of_its_24s_has_their_usable_addresses() {
    let (whole, usable) = (pool("10.0.0.0/16"), usable("10.0.0.0/16"));
    let edges = whole.difference(&usable);
    assert!(whole.difference(&edges).set_eq(&usable));
    assert_eq!(usable.difference(&edges).segments.place(u128::MAX), Some(0), "nothing is cut out");
}

#[test]
fn a_block_without_edges_has_none_in_common_with_proven_ones() {
    let run = run(vec![block("10.0.0.0/16")], None, |_| true);
    let (own, proven) = (usable("10.0.0.0/16"), Pool::new(false, vec![Part::proven(1, &run)]));
    assert!(own.intersection(&proven).set_eq(&own) && proven.intersection(&own).set_eq(&own));
}

#[test]
fn gaps_reach_to_the_ends_of_what_is_cut() {
    let own = usable("10.0.0.0/16");
    let ends = ["10.0.1.0", "10.0.1.9", "10.0.200.255"];
    let run = run(vec![block("10.0.0.0/16")], None, |i| {
        ends.iter().any(|end| number(ip(end)) & 0xffff == i.into())
    });
    let left = own.difference(&Pool::new(false, vec![Part::proven(1, &run)]));
    assert_eq!(left.size(), 65_024 - 1, "of the three, only 10.0.1.9 was there");
    for (external, has) in
        [("10.0.1.1", true), ("10.0.1.9", false), ("10.0.200.254", true), ("10.0.201.1", true)]
    {
        assert_eq!(left.has(ip(external)), has, "{external}");
    }
}

/// Where the small address spaces of the properties lie: in the middle and at both ends of each family.
const BASES: [(bool, u128); 6] = [
    (false, 0x0a00_0000),
    (false, 0),
    (false, 0xffff_ffff - 1023),
    (true, 0xfd00 << 112),
    (true, 0),
    (true, u128::MAX - 1023),
];

#[derive(Clone, Debug)]
enum Made {
    Range(Range<u32>, bool),
    Block(Range<u32>, HostPolicy),
    Prefix(u32, u8, HostPolicy),
    /// Blocks, whether the higher ones come first, and of how many sources one is proven.
    Proven(Vec<Range<u32>>, HostPolicy, bool, u32, u32),
    /// Sub-prefix bits, hosts.
    Sampled(u32, u8, u32, u32),
}

fn spans(size: u32) -> impl Strategy<Value = Range<u32>> {
    (0..size, 1..size / 2).prop_map(move |(from, len)| from..(from + len).min(size))
}

fn policies() -> impl Strategy<Value = HostPolicy> {
    prop::sample::select(vec![HostPolicy::All, HostPolicy::Subnet, HostPolicy::No0And255])
}

fn made(size: u32) -> impl Strategy<Value = Made> {
    let bits = size.ilog2() as u8;
    let few = size / 2;
    prop_oneof![
        (spans(size), any::<bool>()).prop_map(|(span, fixed)| Made::Range(span, fixed)),
        (spans(size), policies()).prop_map(|(span, policy)| Made::Block(span, policy)),
        (0..size, 0..=bits, policies()).prop_map(|(at, len, policy)| Made::Prefix(at, len, policy)),
        (
            prop::collection::vec(spans(size), 1..4),
            policies(),
            any::<bool>(),
            prop::sample::select(vec![1, 2, 3, 40, few]),
            any::<u32>()
        )
            .prop_map(|(blocks, policy, down, share, seed)| Made::Proven(blocks, policy, down, share, seed)),
        (0..size, 0_u8..4, 1_u32..4, 1_u32..4)
            .prop_map(|(at, bits, hosts, share)| Made::Sampled(at, bits, hosts, share)),
    ]
}

fn pseudo_random(index: u32, seed: u32) -> u32 {
    (index.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 7
}

/// The part, and the items that it is about.
fn build(made: &Made, route: u32, (ipv6, base): (bool, u128)) -> (Part, Vec<Item>) {
    let address = |offset: u32| to_address(base + u128::from(offset), ipv6);
    let to_block =
        |span: &Range<u32>| IpBlock::from_range(address(span.start), address(span.end - 1)).expect("a range");
    let prefix = |at: u32, bits: u8| {
        let first = at >> bits << bits;
        IpBlock::from_prefix(address(first), if ipv6 { 128 } else { 32 } - bits).expect("a prefix")
    };
    let of_block = |block: &IpBlock| (0..block.len()).filter_map(|k| block.nth(k)).collect::<Vec<_>>();
    let of_run = |run: &(Targets, Proven)| {
        (0..run.0.len()).filter(|i| run.1.has(*i)).filter_map(|i| run.0.source(i)).collect::<Vec<_>>()
    };
    let mut local = Local::Same;
    let (part, externals) = match made {
        Made::Range(span, fixed) => {
            if *fixed {
                local = Local::Fixed(address(0));
            }
            let (first, last) = (address(span.start), address(span.end - 1));
            (Part::range(route, first, last, local), span.clone().map(address).collect())
        }
        Made::Block(span, policy) => {
            let block = to_block(span).with_hosts(*policy);
            (Part::block(route, &block, local), of_block(&block))
        }
        Made::Prefix(at, bits, policy) => {
            let block = prefix(*at, *bits).with_hosts(*policy);
            (Part::block(route, &block, local), of_block(&block))
        }
        Made::Proven(spans, policy, down, share, seed) => {
            let mut blocks: Vec<IpBlock> = Vec::new();
            for block in spans.iter().map(|span| to_block(span).with_hosts(*policy)) {
                if !block.is_empty() && !blocks.iter().any(|other| other.overlaps(&block)) {
                    blocks.push(block);
                }
            }
            if blocks.is_empty() {
                return (Part::range(route, address(1), address(0), local), Vec::new());
            }
            blocks.sort_by_key(IpBlock::first);
            if *down {
                blocks.reverse();
            }
            let run = run(blocks, None, |index| pseudo_random(index, *seed).is_multiple_of(*share));
            (Part::proven(route, &run), of_run(&run))
        }
        Made::Sampled(at, bits, hosts, share) => {
            let block = prefix(*at, 8);
            let sample = Sample { per_prefix: if ipv6 { 128 } else { 32 } - 2 - bits, hosts: *hosts };
            let run = run(vec![block], Some(sample), |index| index % 4 < *share);
            (Part::proven(route, &run), of_run(&run))
        }
    };
    let items = externals.into_iter().map(|external| Item { external, local: local.of(external), route });
    (part, items.collect())
}

/// A pool, and its items as a list.
fn both(made: &[Made], first_route: u32, base: (bool, u128)) -> (Pool, Vec<Item>) {
    let (mut parts, mut items, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (route, made) in (first_route..).zip(made) {
        let (part, more) = build(made, route, base);
        parts.push(part);
        items.extend(more.into_iter().filter(|item| seen.insert(item.external)));
    }
    (Pool::new(base.0, parts), items)
}

/// Checks everything that one pool says against its items; `base` and `size` are where to ask for others.
fn check(pool: &Pool, items: &[Item], (ipv6, base): (bool, u128), size: u32) {
    assert_eq!(pool.size(), items.len() as u128);
    assert_eq!((pool.is_ipv6(), pool.is_empty()), (ipv6, items.is_empty()));
    for (k, item) in items.iter().enumerate() {
        assert_eq!(pool.at(k as u128), Some(*item), "item {k}");
        assert_eq!(pool.index_of(item.external), Some(k as u128), "{}", item.external);
    }
    for k in [items.len() as u128, u128::MAX] {
        assert_eq!(pool.at(k), None);
    }
    let externals: HashSet<_> = items.iter().map(|item| item.external).collect();
    for offset in 0..size {
        let address = to_address(base + u128::from(offset), ipv6);
        assert_eq!(pool.has(address), externals.contains(&address), "{address}");
    }
    let runs: Vec<_> = pool.runs().collect();
    assert!(runs.windows(2).all(|pair| !pair[0].goes_on_with(&pair[1])), "a run that could be longer");
    let from_runs = runs.iter().flat_map(|run| {
        (number(run.first)..=number(run.last)).map(|address| {
            let external = to_address(address, ipv6);
            Item { external, local: run.local.of(external), route: run.route }
        })
    });
    assert!(from_runs.eq(items.iter().copied()), "the runs hold other items");
}

fn cut(pool: &Pool, items: &[Item], [from, to]: [u32; 2]) -> (Pool, Vec<Item>) {
    let kept = items.iter().take(to as usize).skip(from as usize).copied().collect();
    (pool.slice(from.into(), to.into()), kept)
}

/// All of a pool, or a part of it.
fn windows(size: u32) -> impl Strategy<Value = [u32; 2]> {
    prop_oneof![Just([0, u32::MAX]), [0..size / 4, 0..size]]
}

fn check_two(made: [&[Made]; 2], windows: [[u32; 2]; 2], base: (bool, u128), size: u32) {
    let (own, items) = both(made[0], 0, base);
    check(&own, &items, base, size);
    let (other, others) = both(made[1], 100, base);
    let (own, items) = cut(&own, &items, windows[0]);
    let (other, others) = cut(&other, &others, windows[1]);
    check(&own, &items, base, size);
    let set = |items: &[Item]| items.iter().map(|item| item.external).collect::<HashSet<_>>();
    let (mine, theirs) = (set(&items), set(&others));
    let without = |items: &[Item], set: &HashSet<IpAddr>| {
        items.iter().filter(|item| !set.contains(&item.external)).copied().collect::<Vec<_>>()
    };
    let (left, beyond) = (without(&items, &theirs), without(&others, &mine));
    let common: Vec<_> = items.iter().filter(|item| theirs.contains(&item.external)).copied().collect();

    check(&own.difference(&other), &left, base, size);
    check(&own.intersection(&other), &common, base, size);
    check(&own.union(&other), &[items.clone(), beyond.clone()].concat(), base, size);
    check(&own.symmetric_difference(&other), &[left.clone(), beyond.clone()].concat(), base, size);
    assert_eq!(own.is_subset_of(&other), mine.is_subset(&theirs));
    assert_eq!(own.is_disjoint_from(&other), mine.is_disjoint(&theirs));
    assert_eq!(own.set_eq(&other), mine == theirs);

    // What was made in two ways: mostly never equal by chance.
    let (one, two) = (own.union(&other), other.union(&own));
    assert!(one.set_eq(&two) && own.is_subset_of(&two) && own.difference(&other).is_disjoint_from(&other));
    let again = own.difference(&other).union(&own.intersection(&other));
    assert!(again.set_eq(&own) && again.symmetric_difference(&own).is_empty());
    check(&one.difference(&other), &left, base, size);
    assert!(own.is_empty() || !one.is_subset_of(&one.slice(1, u128::MAX)));
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_addresses(
        base in prop::sample::select(BASES.to_vec()),
        own in prop::collection::vec(made(1024), 0..5),
        other in prop::collection::vec(made(1024), 0..4),
        windows in [windows(1024), windows(1024)],
    ) {
        check_two([&own, &other], windows, base, 1024);
    }

    #[test]
    fn slices_of_slices_agree(
        own in prop::collection::vec(made(1024), 0..5),
        windows in prop::collection::vec(windows(1024), 1..4),
    ) {
        let (mut pool, mut items) = both(&own, 0, BASES[0]);
        for window in windows {
            (pool, items) = cut(&pool, &items, window);
            check(&pool, &items, BASES[0], 1024);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Large enough for bitmaps that are too sparse to be worth one, which are cut out run by run.
    #[test]
    fn sparse_bitmaps_agree_too(
        base in prop::sample::select(vec![BASES[0], BASES[1], BASES[3]]),
        own in prop::collection::vec(made(8192), 1..4),
        other in prop::collection::vec(made(8192), 1..3),
    ) {
        check_two([&own, &other], [[0, u32::MAX]; 2], base, 8192);
    }
}
