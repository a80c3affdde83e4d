//! What kind of address it is: one table from the special-purpose registries of IANA.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// An ordinary unicast address, or one of those special ones that are reachable everywhere.
    Global,
    /// Private use: 10/8, 172.16/12, 192.168/16.
    Private,
    /// Shared between a carrier's NAT and its customers: 100.64/10.
    SharedNat,
    /// Unique local IPv6 addresses: `fc00::/7`.
    UniqueLocal,
    /// Valid on one link only.
    LinkLocal,
    /// This machine.
    Loopback,
    /// No address yet: 0.0.0.0 and `::`.
    Unspecified,
    /// Groups, and the IPv4 broadcast address.
    Multicast,
    /// For texts and examples.
    Documentation,
    /// For benchmarks of devices.
    Benchmark,
    /// IPv4 inside IPv6: mapped, translated, 6to4, Teredo. What the world sees is the IPv4 address.
    Translation,
    /// Set aside by a protocol, or not to be used.
    Reserved,
}

impl Scope {
    /// The name used in texts and dicts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Private => "private",
            Self::SharedNat => "shared-nat",
            Self::UniqueLocal => "unique-local",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Translation => "translation",
            Self::Reserved => "reserved",
        }
    }

    /// Whether a packet from such an address can be answered from another network, as far as the registries say.
    #[must_use]
    pub fn is_global(self) -> bool {
        self == Self::Global
    }

    /// Whether it makes sense to ask a server beyond this link what it sees of such an address. Documentation and
    /// benchmark addresses are asked: laboratories use them.
    #[must_use]
    pub fn can_be_probed(self) -> bool {
        !matches!(self, Self::LinkLocal | Self::Loopback | Self::Unspecified | Self::Multicast)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row: prefix, its length, what it is, where that is written.
type Row<T> = (T, u8, Scope, &'static str);

/// The IANA IPv4 Special-Purpose Address Registry, with multicast and the former class E beside it.
#[rustfmt::skip]
const IPV4: &[Row<[u8; 4]>] = &[
    ([0, 0, 0, 0],        8, Scope::Reserved,      "RFC 791, section 3.2"),
    ([0, 0, 0, 0],       32, Scope::Unspecified,   "RFC 1122, section 3.2.1.3"),
    ([10, 0, 0, 0],       8, Scope::Private,       "RFC 1918"),
    ([100, 64, 0, 0],    10, Scope::SharedNat,     "RFC 6598"),
    ([127, 0, 0, 0],      8, Scope::Loopback,      "RFC 1122, section 3.2.1.3"),
    ([169, 254, 0, 0],   16, Scope::LinkLocal,     "RFC 3927"),
    ([172, 16, 0, 0],    12, Scope::Private,       "RFC 1918"),
    ([192, 0, 0, 0],     24, Scope::Reserved,      "RFC 6890, section 2.1"),
    ([192, 0, 0, 0],     29, Scope::Translation,   "RFC 7335"),
    ([192, 0, 0, 8],     32, Scope::Reserved,      "RFC 7600"),
    ([192, 0, 0, 9],     32, Scope::Global,        "RFC 7723"),
    ([192, 0, 0, 10],    32, Scope::Global,        "RFC 8155"),
    ([192, 0, 0, 170],   31, Scope::Translation,   "RFC 8880"),
    ([192, 0, 2, 0],     24, Scope::Documentation, "RFC 5737"),
    ([192, 31, 196, 0],  24, Scope::Global,        "RFC 7535"),
    ([192, 52, 193, 0],  24, Scope::Global,        "RFC 7450"),
    ([192, 88, 99, 0],   24, Scope::Translation,   "RFC 7526"),
    ([192, 168, 0, 0],   16, Scope::Private,       "RFC 1918"),
    ([192, 175, 48, 0],  24, Scope::Global,        "RFC 7534"),
    ([198, 18, 0, 0],    15, Scope::Benchmark,     "RFC 2544"),
    ([198, 51, 100, 0],  24, Scope::Documentation, "RFC 5737"),
    ([203, 0, 113, 0],   24, Scope::Documentation, "RFC 5737"),
    ([224, 0, 0, 0],      4, Scope::Multicast,     "RFC 5771"),
    ([240, 0, 0, 0],      4, Scope::Reserved,      "RFC 1112, section 4"),
    ([255, 255, 255, 255], 32, Scope::Multicast,   "RFC 919, section 7"),
];

/// The IANA IPv6 Special-Purpose Address Registry, with multicast and the former site-local addresses beside it.
#[rustfmt::skip]
const IPV6: &[Row<[u16; 8]>] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0],            128, Scope::Unspecified,   "RFC 4291, section 2.5.2"),
    ([0, 0, 0, 0, 0, 0, 0, 1],            128, Scope::Loopback,      "RFC 4291, section 2.5.3"),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0],        96, Scope::Translation,   "RFC 4291, section 2.5.5.2"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0],     96, Scope::Translation,   "RFC 6052"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0],     48, Scope::Translation,   "RFC 8215"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0],         64, Scope::Reserved,      "RFC 6666"),
    ([0x100, 0, 0, 1, 0, 0, 0, 0],         64, Scope::Reserved,      "RFC 9780"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0],        23, Scope::Reserved,      "RFC 2928"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0],        32, Scope::Translation,   "RFC 4380"),
    ([0x2001, 1, 0, 0, 0, 0, 0, 1],       128, Scope::Global,        "RFC 7723"),
    ([0x2001, 1, 0, 0, 0, 0, 0, 2],       128, Scope::Global,        "RFC 8155"),
    ([0x2001, 1, 0, 0, 0, 0, 0, 3],       128, Scope::Global,        "RFC 9665"),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0],        48, Scope::Benchmark,     "RFC 5180"),
    ([0x2001, 3, 0, 0, 0, 0, 0, 0],        32, Scope::Global,        "RFC 7450"),
    ([0x2001, 4, 0x112, 0, 0, 0, 0, 0],    48, Scope::Global,        "RFC 7535"),
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0],     28, Scope::Reserved,      "RFC 4843"),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0],     28, Scope::Global,        "RFC 7343"),
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0],     28, Scope::Global,        "RFC 9374"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],    32, Scope::Documentation, "RFC 3849"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0],        16, Scope::Translation,   "RFC 3056"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Scope::Global,       "RFC 7534"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0],        20, Scope::Documentation, "RFC 9637"),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0],        16, Scope::Reserved,      "RFC 9602"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0],         7, Scope::UniqueLocal,   "RFC 4193"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0],        10, Scope::LinkLocal,     "RFC 4291, section 2.5.6"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0],        10, Scope::Reserved,      "RFC 3879"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0],         8, Scope::Multicast,     "RFC 4291, section 2.7"),
];

/// The kind of an address, by the longest prefix of the table that holds it.
#[must_use]
pub fn scope(ip: IpAddr) -> Scope {
    row(ip).map_or(Scope::Global, |(_, scope, _)| scope)
}

/// Where the kind of an address is written; `None` for an ordinary one.
#[must_use]
pub fn source(ip: IpAddr) -> Option<&'static str> {
    row(ip).map(|(_, _, rfc)| rfc)
}

fn row(ip: IpAddr) -> Option<(u8, Scope, &'static str)> {
    let matching =
        |bits: u32, len: u8, differing: u128| differing.checked_shr(bits - u32::from(len)).unwrap_or(0) == 0;
    match ip {
        IpAddr::V4(ip) => {
            let differs = |prefix: [u8; 4]| u128::from(u32::from(ip) ^ u32::from(Ipv4Addr::from(prefix)));
            longest(IPV4.iter().filter(|r| matching(32, r.1, differs(r.0))).map(|r| (r.1, r.2, r.3)))
        }
        IpAddr::V6(ip) => {
            let differs = |prefix: [u16; 8]| u128::from(ip) ^ u128::from(Ipv6Addr::from(prefix));
            longest(IPV6.iter().filter(|r| matching(128, r.1, differs(r.0))).map(|r| (r.1, r.2, r.3)))
        }
    }
}

fn longest(rows: impl Iterator<Item = (u8, Scope, &'static str)>) -> Option<(u8, Scope, &'static str)> {
    rows.max_by_key(|(len, ..)| *len)
}

#[cfg(test)]
mod tests {
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
}
