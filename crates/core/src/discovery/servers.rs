//! Which STUN servers a sweep asks.

use std::net::SocketAddr;

use routepool_proto::server_addr::{Host, ServerAddr};

use crate::Error;

/// The public servers that are asked when nobody named any, as of 2026-11. Few on purpose: lists of public servers rot,
/// and each of these is run by an organisation that offers it to all. All but the first of a name's addresses are unused.
const PUBLIC: [&str; 4] = [
    "stun.cloudflare.com:3478",
    "stun.l.google.com:19302",
    "stun.nextcloud.com:3478",
    "stun.sipgate.net:3478",
];

/// Where the servers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server inside this process.
    Embedded,
    /// Named by the user, and not known to be public.
    Named,
    /// Public ones, by default or by name: asked gently.
    Public,
}

impl Origin {
    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Named => "named",
            Self::Public => "public",
        }
    }
}

/// The servers to ask, names not yet resolved.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where they come from.
    pub origin: Origin,
    /// Each with the text that it was given by.
    pub servers: Vec<(String, ServerAddr)>,
}

/// A server with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The text it was given by.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
}

/// Chooses the servers: the named ones; for loopback blocks the embedded server; else the public ones.
///
/// # Errors
/// [`Error::Server`] when a text is no server, or `embedded` is named beside others.
pub fn choose(named: &[String], loopback: bool) -> Result<Choice, Error> {
    if named.iter().any(|n| n.trim() == "embedded") {
        if named.len() > 1 {
            return Err(Error::Server(
                "`embedded` cannot be asked together with other servers: name it alone".into(),
            ));
        }
        return Ok(Choice { origin: Origin::Embedded, servers: Vec::new() });
    }
    if named.is_empty() {
        if loopback {
            return Ok(Choice { origin: Origin::Embedded, servers: Vec::new() });
        }
        let servers =
            PUBLIC.iter().filter_map(|text| Some(((*text).to_owned(), text.parse().ok()?))).collect();
        return Ok(Choice { origin: Origin::Public, servers });
    }
    let mut servers: Vec<(String, ServerAddr)> = Vec::new();
    for text in named {
        let server: ServerAddr = text.parse().map_err(|e| Error::Server(format!("{e}")))?;
        if servers.iter().any(|(_, s)| s.host == server.host && s.port == server.port) {
            return Err(Error::Server(format!("the server {server} is named twice: name each once")));
        }
        servers.push((text.trim().to_owned(), server));
    }
    let origin = if servers.iter().any(|(_, s)| is_public(s)) { Origin::Public } else { Origin::Named };
    Ok(Choice { origin, servers })
}

/// As [`choose`], for finding out what addresses leave as: that takes servers elsewhere.
///
/// # Errors
/// As [`choose`], and [`Error::Server`] for `embedded`.
pub fn choose_elsewhere(named: &[String]) -> Result<Choice, Error> {
    let choice = choose(named, false)?;
    if choice.origin == Origin::Embedded {
        return Err(Error::Server(
            "the embedded server is inside this machine and cannot say what addresses leave as: name a server elsewhere"
                .into(),
        ));
    }
    Ok(choice)
}

fn is_public(server: &ServerAddr) -> bool {
    let Host::Name(name) = &server.host else { return false };
    PUBLIC.iter().any(|p| {
        p.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case(name.trim_end_matches('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked() {
        let named = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        for (texts, loopback, origin, count, why) in [
            (named(&[]), true, Origin::Embedded, 0, "a loopback block reaches nothing else"),
            (named(&[]), false, Origin::Public, PUBLIC.len(), "every entry of the list parses"),
            (
                named(&["192.0.2.1", "stun:192.0.2.2:3479"]),
                true,
                Origin::Named,
                2,
                "named ones win over the embedded",
            ),
            (named(&["embedded"]), false, Origin::Embedded, 0, "also for a block held by a local route"),
            (
                named(&["STUN.l.google.com."]),
                false,
                Origin::Public,
                1,
                "a public server stays public when it is named",
            ),
        ] {
            let choice = choose(&texts, loopback).expect("a choice");
            assert_eq!((choice.origin, choice.servers.len()), (origin, count), "{why}");
        }
        for texts in
            [named(&["embedded", "192.0.2.1"]), named(&["http://x"]), named(&["192.0.2.1", "192.0.2.1:3478"])]
        {
            assert!(matches!(choose(&texts, false), Err(Error::Server(_))), "{texts:?}");
        }
    }

    #[test]
    fn what_is_inside_this_machine_cannot_say_how_others_see_it() {
        let named = |text: &str| choose_elsewhere(&[text.to_owned()]);
        assert!(matches!(named("embedded"), Err(Error::Server(text)) if text.contains("elsewhere")));
        assert_eq!(named("192.0.2.1").expect("a choice").origin, Origin::Named);
        assert_eq!(choose_elsewhere(&[]).expect("a choice").origin, Origin::Public);
    }
}
