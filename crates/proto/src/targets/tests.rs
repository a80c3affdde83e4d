//! Indices of sources, there and back.

use proptest::prelude::*;

use super::*;

fn targets(blocks: &[&str], sample: Option<(u8, u32)>) -> Result<Targets, TargetsError> {
    let blocks = blocks.iter().map(|b| b.parse().expect("a block")).collect();
    Targets::new(blocks, sample.map(|(per_prefix, hosts)| Sample { per_prefix, hosts }), 1)
}

#[test]
fn lays_blocks_end_to_end() {
    let all = targets(&["10.0.1.0/30", "10.0.0.0-10.0.0.2", "10.9.9.9"], None).expect("targets");
    let ips: Vec<_> = (0..all.len()).filter_map(|i| all.source(i)).map(|ip| ip.to_string()).collect();
    assert_eq!(
        ips,
        ["10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.9.9.9"]
    );
    assert_eq!((all.source(8), all.index_of("10.0.0.3".parse().expect("ip"))), (None, None));
    assert_eq!(all.total_addresses(), 8);
    assert_eq!((all.is_empty(), all.part(8, 1).is_empty(), all.sample()), (false, true, None));
    assert_eq!(all.blocks().iter().map(ToString::to_string).collect::<Vec<_>>()[2], "10.9.9.9");
}

#[test]
fn what_a_policy_leaves_out_has_no_index() {
    let block = |text: &str, policy| text.parse::<IpBlock>().expect("a block").with_hosts(policy);
    let blocks = vec![block("10.0.0.0/30", HostPolicy::Subnet), block("10.0.2.0/23", HostPolicy::No0And255)];
    let all = Targets::new(blocks, None, 1).expect("targets");
    for (text, want) in [
        ("10.0.0.0", None),
        ("10.0.0.1", Some(0)),
        ("10.0.0.2", Some(1)),
        ("10.0.0.3", None),
        ("10.0.2.0", None),
        ("10.0.2.1", Some(2)),
        ("10.0.2.254", Some(255)),
        ("10.0.2.255", None),
        ("10.0.3.0", None),
        ("10.0.3.1", Some(256)),
        ("fd00::1", None),
    ] {
        assert_eq!(all.index_of(text.parse().expect("an address")), want, "{text}");
    }
}

#[test]
fn a_shift_makes_prefixes_of_runs_of_sums() {
    for (block, bits, want) in [
        ("10.0.1.7-10.0.3.3", 8, 0x07),
        ("10.0.1.7-10.0.3.3", 2, 0x03),
        ("10.0.1.7-10.0.3.3", 16, 0x0107),
        ("10.0.0.0/24", 8, 0),
        ("2001:db8::35", 4, 0x05),
    ] {
        assert_eq!(targets(&[block], None).expect("targets").shift(bits), want, "{block}, {bits} bits");
    }
}

/// A run that was saved by another version goes on with the same hosts.
#[test]
fn the_hosts_of_a_sample_are_the_same_in_every_version() {
    let hosts = |block, per_prefix, hosts| {
        let all = targets(&[block], Some((per_prefix, hosts))).expect("targets");
        (0..2).filter_map(|index| all.source(index)).map(|ip| ip.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        hosts("2001:db8::/48", 64, 1),
        ["2001:db8::57e9:8360:ec06:3189", "2001:db8:0:1:4d32:a126:2587:6132"]
    );
    assert_eq!(hosts("10.0.0.0/16", 24, 2), ["10.0.0.14", "10.0.0.211"]);
    assert_eq!(
        hosts("::/0", 1, 1),
        ["1439:cb9c:e238:192b:2f75:ec27:2795:ff33", "820f:35ae:b24a:831:4914:35c8:c0f3:50d0"]
    );
}

#[test]
fn says_what_does_not_go_together() {
    for (blocks, sample, part) in [
        (vec![], None, "at least one block"),
        (vec!["fd00::/120", "10.0.0.0/24"], None, "10.0.0.0/24 is IPv4 and fd00::/120 is IPv6"),
        (vec!["10.0.0.0/24", "10.0.0.7"], None, "10.0.0.0/24 and 10.0.0.7 overlap"),
        (vec!["fd00::/64"], None, "ask a sample (`sample`), for example one host per /80"),
        (vec!["fd00::/48"], None, "one host per /64"),
        (vec!["::/0"], None, "one host per /16"),
        (vec!["0.0.0.0/0"], None, "one host per /24"),
        (vec!["::/0"], None, "too many"),
        (vec!["0.0.0.0/3"], None, "536870912 sources are too many"),
        (vec!["fd00::/64"], Some((48, 1)), "from 64 to 128"),
        (vec!["10.0.0.0/24"], Some((33, 1)), "from 24 to 32"),
        (vec!["10.0.0.1-10.0.0.9"], Some((32, 1)), "range"),
        (vec!["10.0.0.0/24"], Some((30, 0)), "1 to 4 hosts"),
        (vec!["10.0.0.0/24"], Some((30, 5)), "1 to 4 hosts"),
        (vec!["::/0"], Some((128, 1)), "too many"),
    ] {
        let error = targets(&blocks, sample).expect_err("must be refused").to_string();
        assert!(error.contains(part), "{blocks:?}: {error}");
    }
    let nothing = "10.0.0.0".parse::<IpBlock>().expect("a block").with_hosts(HostPolicy::No0And255);
    assert!(Targets::new(vec![nothing], None, 1).is_err());
}

#[test]
fn a_sample_takes_hosts_of_each_sub_prefix() {
    let all = targets(&["2001:db8::/48"], Some((64, 3))).expect("targets");
    assert_eq!(all.len(), 65_536 * 3);
    assert_eq!(all.total_addresses(), 1 << 80);
    assert_eq!(all.sample(), Some(Sample { per_prefix: 64, hosts: 3 }));
    for index in [0, 1, 2, 3, 100_000, 196_607] {
        let ip = all.source(index).expect("a source");
        let IpAddr::V6(v6) = ip else { panic!("IPv6") };
        assert_eq!(v6.segments()[3], (index / 3) as u16, "the sub-prefix of {index}");
        assert_eq!(all.index_of(ip), Some(index));
    }
    assert_ne!(all.source(0), targets(&["2001:db8::/48"], Some((64, 1))).expect("targets").source(0));
    let whole = targets(&["10.0.0.0/28"], Some((30, 4))).expect("targets");
    let ips: Vec<_> = (0..16).filter_map(|i| whole.source(i)).collect();
    assert_eq!(
        ips,
        (0..16).map(|n| IpAddr::from([10, 0, 0, n])).collect::<Vec<_>>(),
        "as many hosts as there are"
    );
}

#[test]
fn a_part_has_indices_of_its_own() {
    let all = targets(&["10.0.0.0/24", "10.0.5.0/24"], None).expect("targets");
    let part = all.part(250, 100);
    assert_eq!((part.len(), part.source(0), part.source(100)), (100, all.source(250), None));
    for index in 0..100 {
        let ip = part.source(index).expect("a source");
        assert_eq!(part.index_of(ip), Some(index));
    }
    assert_eq!(part.index_of("10.0.0.1".parse().expect("ip")), None, "before the part");
    assert_eq!(part.index_of("10.0.5.200".parse().expect("ip")), None, "behind it");
    assert_eq!((all.part(500, 100).len(), all.part(600, 1).len()), (12, 0));
    assert_eq!(part.part(7, 9).source(1), all.source(258), "a part of a part");
    assert_eq!(
        part.spans().collect::<Vec<_>>(),
        [0..6, 6..100],
        "the end of one block, the start of the next"
    );
    assert_eq!(all.part(256, 9).spans().next(), Some(0..9), "nothing of the first block");
}

#[test]
fn samples_keep_off_network_and_broadcast() {
    let all = targets(&["10.0.0.0/16"], Some((24, 2))).expect("targets");
    let usable = targets(&["10.0.0.0/29"], Some((29, 6))).expect("targets");
    let last = |index| usable.source(index).map(|ip| number(ip) & 7);
    assert_eq!((0..7).map_while(last).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "where that leaves enough");
    let pairs = targets(&["10.0.0.0/24"], Some((31, 1))).expect("targets");
    let odd = (0..128).filter_map(|index| pairs.source(index)).filter(|ip| number(*ip) & 1 == 1).count();
    assert!((1..128).contains(&odd), "of two any one");
    for index in 0..all.len() {
        let IpAddr::V4(ip) = all.source(index).expect("a source") else { panic!("IPv4") };
        assert!(!matches!(ip.octets()[3], 0 | 255), "{ip}");
        assert_eq!(all.index_of(ip.into()), Some(index));
    }
}

proptest! {
    #[test]
    fn index_of_is_the_inverse(lens in prop::collection::vec(24_u8..=32, 1..6), policy in prop::sample::select(vec![HostPolicy::All, HostPolicy::Subnet, HostPolicy::No0And255])) {
        let blocks: Vec<_> = lens.iter().enumerate()
            .map(|(n, len)| IpBlock::from_prefix([10, 0, n as u8, 0].into(), *len).expect("a block").with_hosts(policy))
            .filter(|b| !b.is_empty()).collect();
        if blocks.is_empty() { return Ok(()); }
        let all = Targets::new(blocks.clone(), None, 1).expect("targets");
        let plain: Vec<_> = blocks.iter().flat_map(|b| (0..b.len()).filter_map(|k| b.nth(k))).collect();
        prop_assert_eq!(all.len() as usize, plain.len());
        for (index, ip) in plain.iter().enumerate() {
            prop_assert_eq!(all.source(index as u32), Some(*ip));
            prop_assert_eq!(all.index_of(*ip), Some(index as u32));
        }
    }
}
