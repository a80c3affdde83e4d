//! Forms of IPv6 addresses that no socket of ours can use, though the system may hold them.

use std::net::IpAddr;

/// What is wrong with the address, and what to name in its place; `None` if nothing is.
pub(crate) fn unusable(ip: IpAddr) -> Option<String> {
    let IpAddr::V6(v6) = ip else { return None };
    if let Some(v4) = v6.to_ipv4_mapped() {
        // A socket of IPv6 that is bound to one speaks IPv4 (RFC 4291, section 2.5.5.2).
        return Some(format!("the IPv4 address {v4} in the form of IPv6: name {v4}"));
    }
    // One address of many links, which cannot be routed (RFC 4291, section 2.5.6).
    v6.is_unicast_link_local().then(|| {
        format!("the link-local address {v6}, which is valid on one link only: name a global or unique local address")
    })
}

/// Reads an address. The zone of a link-local one is left out, since such an address is refused anyway, for what it is.
#[must_use]
pub fn read_address(text: &str) -> Option<IpAddr> {
    let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let with_zone = || text.split_once('%')?.0.parse().ok().filter(link_local);
    text.parse().ok().or_else(with_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_told_with_what_can() {
        for (text, part) in [
            ("::ffff:10.1.2.3", Some("name 10.1.2.3")),
            ("fe80::1", Some("link-local address fe80::1")),
            ("fe80::1%eth0", Some("global or unique local")),
            ("febf::1", Some("link-local")),
            ("fec0::1", None),
            ("2001:db8::1", None),
            ("::1", None),
            ("169.254.1.1", None),
        ] {
            let why = unusable(read_address(text).expect(text));
            assert_eq!(
                why.as_ref().map(|w| w.contains(part.unwrap_or("?"))),
                part.map(|_| true),
                "{text}: {why:?}"
            );
        }
        for text in ["", "%eth0", "10.0.0.1%eth0", "2001:db8::1%eth0", "fe80::x%eth0", "host"] {
            assert_eq!(read_address(text), None, "{text}");
        }
    }
}
