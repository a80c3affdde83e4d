//! What kind of address it is: one table from the special-purpose registries of IANA.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

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

/// The IANA IPv4 Special-Purpose Address Registry as of 2026-07, with multicast and the former class E beside it.
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
    ([192, 88, 99, 2],   32, Scope::Translation,   "RFC 6751"),
    ([192, 168, 0, 0],   16, Scope::Private,       "RFC 1918"),
    ([192, 175, 48, 0],  24, Scope::Global,        "RFC 7534"),
    ([198, 18, 0, 0],    15, Scope::Benchmark,     "RFC 2544"),
    ([198, 51, 100, 0],  24, Scope::Documentation, "RFC 5737"),
    ([203, 0, 113, 0],   24, Scope::Documentation, "RFC 5737"),
    ([224, 0, 0, 0],      4, Scope::Multicast,     "RFC 5771"),
    ([240, 0, 0, 0],      4, Scope::Reserved,      "RFC 1112, section 4"),
    ([255, 255, 255, 255], 32, Scope::Multicast,   "RFC 919, section 7"),
];

/// The IANA IPv6 Special-Purpose Address Registry as of 2026-07, with multicast and the former site-local addresses beside it.
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
    // As many leading bits are equal as differing ones begin with zeros.
    match ip {
        IpAddr::V4(ip) => {
            let equal = |prefix: [u8; 4]| (u32::from(ip) ^ u32::from_be_bytes(prefix)).leading_zeros();
            longest(IPV4.iter().filter(|r| equal(r.0) >= u32::from(r.1)).map(|r| (r.1, r.2, r.3)))
        }
        IpAddr::V6(ip) => {
            let equal =
                |prefix: [u16; 8]| (u128::from(ip) ^ u128::from(Ipv6Addr::from(prefix))).leading_zeros();
            longest(IPV6.iter().filter(|r| equal(r.0) >= u32::from(r.1)).map(|r| (r.1, r.2, r.3)))
        }
    }
}

fn longest(rows: impl Iterator<Item = (u8, Scope, &'static str)>) -> Option<(u8, Scope, &'static str)> {
    rows.max_by_key(|(len, ..)| *len)
}

#[cfg(test)]
#[path = "scope/tests.rs"]
mod tests;
