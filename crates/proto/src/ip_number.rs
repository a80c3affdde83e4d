//! Addresses as numbers: what arithmetic over blocks is done with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bits of an address of a family.
#[must_use]
pub fn bits(ipv6: bool) -> u8 {
    if ipv6 { 128 } else { 32 }
}

/// The address as a number.
#[must_use]
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The address with this number, which must fit the family.
#[must_use]
pub fn to_address(number: u128, ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::from(number).into() } else { Ipv4Addr::from(number as u32).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_from_its_number() {
        for (text, want) in [
            ("0.0.0.0", 0),
            ("127.0.0.1", 0x7f00_0001),
            ("255.255.255.255", u128::from(u32::MAX)),
            ("::", 0),
            ("::1", 1),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", u128::MAX),
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!((number(ip), to_address(want, ip.is_ipv6())), (want, ip), "{text}");
        }
    }
}
