//! The table against the registries, and against neighbours of each row.

use std::net::Ipv4Addr;

use super::*;

/// First and last address of each row, and the neighbours on both sides: what a wrong length or a typing error moves.
#[test]
fn every_row_begins_and_ends_where_the_registry_says() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, Scope, &str)] = &[
        ("0.0.0.1", "0.255.255.255", Scope::Reserved, "this network"),
        ("0.0.0.0", "0.0.0.0", Scope::Unspecified, "this host"),
        ("10.0.0.0", "10.255.255.255", Scope::Private, "private use"),
        ("100.64.0.0", "100.127.255.255", Scope::SharedNat, "not public, though P2PD says so"),
        ("127.0.0.0", "127.255.255.255", Scope::Loopback, "loopback"),
        ("169.254.0.0", "169.254.255.255", Scope::LinkLocal, "link-local"),
        ("172.16.0.0", "172.31.255.255", Scope::Private, "private use"),
        ("192.0.0.0", "192.0.0.7", Scope::Translation, "464XLAT"),
        ("192.0.0.8", "192.0.0.8", Scope::Reserved, "dummy address"),
        ("192.0.0.9", "192.0.0.10", Scope::Global, "anycast of PCP and TURN"),
        ("192.0.0.11", "192.0.0.169", Scope::Reserved, "protocol assignments"),
        ("192.0.0.170", "192.0.0.171", Scope::Translation, "ipv4only.arpa"),
        ("192.0.0.172", "192.0.0.255", Scope::Reserved, "protocol assignments"),
        ("192.0.2.0", "192.0.2.255", Scope::Documentation, "TEST-NET-1"),
        ("192.31.196.0", "192.31.196.255", Scope::Global, "AS112"),
        ("192.52.193.0", "192.52.193.255", Scope::Global, "AMT"),
        ("192.88.99.0", "192.88.99.255", Scope::Translation, "6to4 relays, deprecated"),
        ("192.88.99.2", "192.88.99.2", Scope::Translation, "6a44 relays"),
        ("192.168.0.0", "192.168.255.255", Scope::Private, "private use"),
        ("192.175.48.0", "192.175.48.255", Scope::Global, "AS112"),
        ("198.18.0.0", "198.19.255.255", Scope::Benchmark, "benchmarks"),
        ("198.51.100.0", "198.51.100.255", Scope::Documentation, "TEST-NET-2"),
        ("203.0.113.0", "203.0.113.255", Scope::Documentation, "TEST-NET-3"),
        ("224.0.0.0", "239.255.255.255", Scope::Multicast, "multicast"),
        ("240.0.0.0", "255.255.255.254", Scope::Reserved, "former class E"),
        ("255.255.255.255", "255.255.255.255", Scope::Multicast, "limited broadcast"),
        ("::", "::", Scope::Unspecified, "unspecified"),
        ("::1", "::1", Scope::Loopback, "loopback"),
        ("::ffff:0:0", "::ffff:ffff:ffff", Scope::Translation, "IPv4-mapped"),
        ("64:ff9b::", "64:ff9b::ffff:ffff", Scope::Translation, "NAT64, not public, though P2PD says so"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Scope::Translation, "local NAT64"),
        ("100::", "100::ffff:ffff:ffff:ffff", Scope::Reserved, "discard only"),
        ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", Scope::Reserved, "dummy prefix"),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Translation, "Teredo"),
        ("2001:1::1", "2001:1::3", Scope::Global, "anycast of PCP, TURN, SRP"),
        ("2001:1::4", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Reserved, "protocol assignments"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Scope::Benchmark, "benchmarks"),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Global, "AMT"),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", Scope::Global, "AS112"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Reserved, "ORCHID"),
        ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Global, "ORCHIDv2"),
        ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Global, "remote identification"),
        ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Reserved, "protocol assignments"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Documentation, "documentation"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Translation, "6to4"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Scope::Global, "AS112"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Documentation, "documentation"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Reserved, "segment routing"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::UniqueLocal, "both halves; P2PD misses fc00::/8"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::LinkLocal, "by bits, not by the text 'fe80'"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Reserved, "site-local, deprecated"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope::Multicast, "multicast"),
    ];
    for (first, last, want, why) in rows {
        for text in [first, last] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(scope(ip), *want, "{text}: {why}");
        }
    }
    for text in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "64:ff9a::",
        "64:ff9b:0:1::",
        "64:ff9b:2::",
        "2001:200::",
        "2001:db7::",
        "2001:db9::",
        "2003::",
        "2001:4860:4860::8888",
        "3fff:1000::",
        "5eff::",
        "5f01::",
        "fbff::",
    ] {
        assert_eq!(scope(text.parse().expect("an address")), Scope::Global, "{text}: beside a row");
    }
}

#[test]
fn every_row_says_where_it_is_written() {
    assert!(IPV4.iter().map(|r| r.3).chain(IPV6.iter().map(|r| r.3)).all(|rfc| rfc.starts_with("RFC ")));
    assert_eq!(source("100.64.0.1".parse().expect("an address")), Some("RFC 6598"));
    assert_eq!(source("8.8.8.8".parse().expect("an address")), None);
}

#[test]
fn a_server_beyond_the_link_is_not_asked_about_addresses_of_the_link() {
    for (text, want) in [
        ("8.8.8.8", true),
        ("10.0.0.1", true),
        ("100.64.0.1", true),
        ("192.0.2.1", true),
        ("198.18.0.1", true),
        ("fd00::1", true),
        ("127.0.0.1", false),
        ("169.254.0.1", false),
        ("fe80::1", false),
        ("0.0.0.0", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
    ] {
        assert_eq!(scope(text.parse().expect("an address")).can_be_probed(), want, "{text}");
    }
}

/// The registries of IANA as of 2026-07: block, where it is written, and what the column "globally reachable" says (`None`: not
/// applicable, or nothing any more).
#[rustfmt::skip]
const REGISTRIES: &[(&str, &str, Option<bool>)] = &[
    ("0.0.0.0/8", "RFC 791", Some(false)),
    ("0.0.0.0/32", "RFC 1122", Some(false)),
    ("10.0.0.0/8", "RFC 1918", Some(false)),
    ("100.64.0.0/10", "RFC 6598", Some(false)),
    ("127.0.0.0/8", "RFC 1122", Some(false)),
    ("169.254.0.0/16", "RFC 3927", Some(false)),
    ("172.16.0.0/12", "RFC 1918", Some(false)),
    ("192.0.0.0/24", "RFC 6890", Some(false)),
    ("192.0.0.0/29", "RFC 7335", Some(false)),
    ("192.0.0.8/32", "RFC 7600", Some(false)),
    ("192.0.0.9/32", "RFC 7723", Some(true)),
    ("192.0.0.10/32", "RFC 8155", Some(true)),
    // The registry names both addresses of this block.
    ("192.0.0.170/31", "RFC 8880", Some(false)),
    ("192.0.2.0/24", "RFC 5737", Some(false)),
    ("192.31.196.0/24", "RFC 7535", Some(true)),
    ("192.52.193.0/24", "RFC 7450", Some(true)),
    ("192.88.99.0/24", "RFC 7526", None),
    ("192.88.99.2/32", "RFC 6751", Some(false)),
    ("192.168.0.0/16", "RFC 1918", Some(false)),
    ("192.175.48.0/24", "RFC 7534", Some(true)),
    ("198.18.0.0/15", "RFC 2544", Some(false)),
    ("198.51.100.0/24", "RFC 5737", Some(false)),
    ("203.0.113.0/24", "RFC 5737", Some(false)),
    ("240.0.0.0/4", "RFC 1112", Some(false)),
    ("255.255.255.255/32", "RFC 919", Some(false)),
    ("::1/128", "RFC 4291", Some(false)),
    ("::/128", "RFC 4291", Some(false)),
    ("::ffff:0.0.0.0/96", "RFC 4291", Some(false)),
    ("64:ff9b::/96", "RFC 6052", Some(true)),
    ("64:ff9b:1::/48", "RFC 8215", Some(false)),
    ("100::/64", "RFC 6666", Some(false)),
    ("100:0:0:1::/64", "RFC 9780", Some(false)),
    ("2001::/23", "RFC 2928", Some(false)),
    ("2001::/32", "RFC 4380", None),
    ("2001:1::1/128", "RFC 7723", Some(true)),
    ("2001:1::2/128", "RFC 8155", Some(true)),
    ("2001:1::3/128", "RFC 9665", Some(true)),
    ("2001:2::/48", "RFC 5180", Some(false)),
    ("2001:3::/32", "RFC 7450", Some(true)),
    ("2001:4:112::/48", "RFC 7535", Some(true)),
    ("2001:10::/28", "RFC 4843", None),
    ("2001:20::/28", "RFC 7343", Some(true)),
    ("2001:30::/28", "RFC 9374", Some(true)),
    ("2001:db8::/32", "RFC 3849", Some(false)),
    ("2002::/16", "RFC 3056", None),
    ("2620:4f:8000::/48", "RFC 7534", Some(true)),
    ("3fff::/20", "RFC 9637", Some(false)),
    ("5f00::/16", "RFC 9602", Some(false)),
    ("fc00::/7", "RFC 4193", Some(false)),
    ("fe80::/10", "RFC 4291", Some(false)),
];

/// Rows that the special-purpose registries do not have: they have registries of their own, or are of the past.
const BESIDE: &[&str] = &["224.0.0.0/4", "fec0::/10", "ff00::/8"];

#[test]
fn every_row_of_the_registries_is_there_and_no_other() {
    let four = IPV4.iter().map(|r| (format!("{}/{}", Ipv4Addr::from(r.0), r.1), r.2, r.3));
    let six = IPV6.iter().map(|r| (format!("{}/{}", Ipv6Addr::from(r.0), r.1), r.2, r.3));
    let ours: Vec<_> = four.chain(six).collect();
    for (block, rfc, reachable) in REGISTRIES {
        let mut found = ours.iter().filter(|(own, ..)| own == block);
        let (_, scope, source) = found.next().unwrap_or_else(|| panic!("{block} is missing"));
        assert!(found.next().is_none(), "{block} stands twice");
        let (number, section) = source.split_once(", ").unwrap_or((source, ""));
        assert_eq!((number, section.is_empty() || section.starts_with("section ")), (*rfc, true), "{block}");
        // What the world sees of a NAT64 address is the IPv4 address inside it.
        let want = *reachable == Some(true) && *block != "64:ff9b::/96";
        assert_eq!(scope.is_global(), want, "{block}");
    }
    let known = |block: &str| REGISTRIES.iter().any(|(own, ..)| *own == block) || BESIDE.contains(&block);
    for (block, ..) in &ours {
        assert!(known(block), "{block} is in no registry");
    }
    assert_eq!(ours.len(), REGISTRIES.len() + BESIDE.len());
}
