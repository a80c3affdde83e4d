//! Where a STUN server is, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port of STUN over UDP (RFC 8489, section 18.6).
pub const DEFAULT_PORT: u16 = 3478;

/// The host part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, to be resolved.
    Name(String),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddr {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Why a text is no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a STUN server: {expected}")]
pub struct ServerAddrError {
    /// What was given.
    pub text: String,
    /// What is wrong, and what was expected.
    pub expected: String,
}

impl FromStr for ServerAddr {
    type Err = ServerAddrError;

    /// Reads `host`, `host:port`, `[v6]:port`, `[v6]`, a bare IPv6 address, and `stun:` before any of these (RFC 7064).
    fn from_str(text: &str) -> Result<Self, ServerAddrError> {
        let text = text.trim();
        let wrong = |expected: String| ServerAddrError { text: text.to_owned(), expected };
        if text.is_empty() {
            return Err(wrong(
                "expected a host, for example stun.example.net:3478 or [2001:db8::1]:3478".into(),
            ));
        }
        if text.contains(',') {
            return Err(wrong(
                "expected one server, but a comma is in none: name each by itself in `servers`".into(),
            ));
        }
        let rest = without_scheme(text).map_err(&wrong)?;
        let (host, port) = split_port(rest).map_err(&wrong)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => parse_port(port).map_err(&wrong)?,
        };
        Ok(Self { host: parse_host(host).map_err(&wrong)?, port })
    }
}

/// Whether a server can have this address: it is that of one host, so not a wildcard, a group or all of a network.
#[must_use]
pub fn is_one_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

fn without_scheme(text: &str) -> Result<&str, String> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(text) };
    match scheme.to_ascii_lowercase().as_str() {
        "stun" if rest.starts_with("//") => {
            Err(format!("a stun: URI has no slashes (RFC 7064); write stun:{}", &rest[2..]))
        }
        "stun" => Ok(rest),
        "stuns" | "turn" | "turns" => {
            Err(format!("'{scheme}:' is not supported; only STUN over UDP is (stun:)"))
        }
        _ if rest.starts_with("//") => {
            Err(format!("'{scheme}:' is not supported; write host:port or stun:host:port"))
        }
        _ => Ok(text),
    }
}

/// Splits a port off. More than one colon without brackets is an IPv6 address.
fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, after) =
            inner.split_once(']').ok_or("the bracket is not closed; expected [address]:port")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(format!("'{host}' is not an IPv6 address"));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!("expected ':' and a port after the bracket but received '{after}'")),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok().filter(|port| *port != 0) } else { None };
    port.ok_or_else(|| format!("expected a port from 1 to 65535 but received '{text}'"))
}

fn parse_host(text: &str) -> Result<Host, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        if !is_one_host(ip) {
            return Err(format!("{ip} is not the address of one host"));
        }
        return Ok(Host::Ip(ip));
    }
    if text.contains(':') {
        return Err(format!("'{text}' is not an IPv6 address; write [address]:port"));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.is_empty() || name.len() > 253 || !name.split('.').all(label) {
        return Err(format!("'{text}' is not a host name (letters, digits, hyphens and dots)"));
    }
    // RFC 1123, section 2.1: a name whose last label is a number is an address, and here a wrong one.
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("'{text}' is not an IPv4 address"));
    }
    Ok(Host::Name(text.to_owned()))
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(ip) => write!(f, "{ip}:{}", self.port),
            // A host of that name would read as the scheme.
            Host::Name(name) if name.eq_ignore_ascii_case("stun") => write!(f, "stun:{name}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("stun.example.net", "stun.example.net:3478"),
            (" stun.example.net:19302 ", "stun.example.net:19302"),
            ("192.0.2.1", "192.0.2.1:3478"),
            ("192.0.2.1:65535", "192.0.2.1:65535"),
            ("[2001:db8::1]:3479", "[2001:db8::1]:3479"),
            ("[2001:db8::1]", "[2001:db8::1]:3478"),
            ("2001:db8::1", "[2001:db8::1]:3478"),
            ("::1", "[::1]:3478"),
            ("stun:stun.example.net", "stun.example.net:3478"),
            ("STUN:192.0.2.1:1", "192.0.2.1:1"),
            ("stun:[::1]:5", "[::1]:5"),
            ("stun", "stun:stun:3478"),
            ("localhost:1", "localhost:1"),
            ("a_b.example.", "a_b.example.:3478"),
            ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
        ] {
            let server: ServerAddr = text.parse().expect(text);
            assert_eq!(server.to_string(), shown, "{text}");
            assert_eq!(shown.parse().as_ref(), Ok(&server), "{shown} reads back");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "expected a host"),
            ("127.0.0.1:3478,127.0.0.2:3478", "name each by itself"),
            ("host:http", "1 to 65535 but received 'http'"),
            ("host:0", "received '0'"),
            ("host:65536", "received '65536'"),
            ("host:+1", "received '+1'"),
            ("host:", "received ''"),
            ("stuns:host", "not supported"),
            ("turn:host", "only STUN over UDP"),
            ("http://host", "'http:' is not supported"),
            ("stun://host:1", "write stun:host:1"),
            ("10.0.0.300", "not an IPv4 address"),
            ("[::1", "not closed"),
            ("[::1]3478", "after the bracket"),
            ("[host]:1", "not an IPv6 address"),
            ("2001:db8:::1", "not an IPv6 address"),
            ("0.0.0.0", "not the address of one host"),
            ("224.0.0.1:3478", "not the address of one host"),
            ("255.255.255.255", "not the address of one host"),
            ("ff02::1", "not the address of one host"),
            ("ho st", "not a host name"),
            ("-host", "not a host name"),
            ("host-", "not a host name"),
            ("a..b", "not a host name"),
            (".", "not a host name"),
        ] {
            let error = text.parse::<ServerAddr>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    /// RFC 1035, section 2.3.4: 63 octets in a label, and 255 in a name with the lengths and the root.
    #[test]
    fn names_are_as_long_as_they_can_be_and_no_longer() {
        let label = |len| "a".repeat(len);
        let name = |last| [label(63), label(63), label(63), label(last)].join(".");
        for (name, fits) in [
            (label(63), true),
            (label(64), false),
            (name(61), true),
            (name(61) + ".", true),
            (name(62), false),
        ] {
            assert_eq!(name.parse::<ServerAddr>().is_ok(), fits, "{} octets: {name}", name.len());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(stun:)?\\[?[a-z0-9:.]{0,20}\\]?(:[0-9]{0,6})?") {
            let _ = text.parse::<ServerAddr>();
            if let Ok(server) = near.parse::<ServerAddr>() {
                prop_assert_eq!(server.to_string().parse::<ServerAddr>(), Ok(server));
            }
        }
    }
}
