//! Which external address an address leaves as, from what several servers said.

use std::net::{IpAddr, SocketAddr};

/// What one server said. A server votes once, however often it answered, and is told by its address, not its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The address of the server.
    pub server: IpAddr,
    /// What it saw.
    pub external: SocketAddr,
}

/// How sure an external address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// Two servers with different addresses said the same, and more than said anything else.
    Agreed,
    /// One server answered, and no other said anything else. It may be wrong.
    SingleServer,
    /// Servers contradict each other, without two that agree.
    Unsure,
    /// No server answered, or none was asked.
    Unverified,
}

impl Certainty {
    /// The name used in texts and dicts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::SingleServer => "single-server",
            Self::Unsure => "unsure",
            Self::Unverified => "unverified",
        }
    }
}

/// What follows from the votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The external address, if it is known.
    pub external: Option<IpAddr>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Whether all servers that saw this address saw the port that was sent from. `None` without an external address.
    pub port_preserved: Option<bool>,
}

/// Counts votes for the external address of a socket bound to `local`. Ports are compared apart: equal addresses with
/// different ports are a symmetric mapping, no disagreement about the address.
///
/// Silence never votes: two servers that do not answer agree about nothing.
#[must_use]
pub fn agree(votes: &[Vote], local_port: u16) -> Conclusion {
    let mut voters: Vec<IpAddr> = Vec::with_capacity(votes.len());
    let mut counts: Vec<(IpAddr, u32)> = Vec::new();
    for vote in votes {
        if voters.contains(&vote.server) {
            continue;
        }
        voters.push(vote.server);
        let external = vote.external.ip().to_canonical();
        match counts.iter_mut().find(|(ip, _)| *ip == external) {
            Some((_, count)) => *count += 1,
            None => counts.push((external, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (external, certainty) = match counts.as_slice() {
        [] => (None, Certainty::Unverified),
        [(ip, 1)] => (Some(*ip), Certainty::SingleServer),
        [(ip, most), rest @ ..] if *most >= 2 && rest.iter().all(|(_, count)| count < most) => {
            (Some(*ip), Certainty::Agreed)
        }
        _ => (None, Certainty::Unsure),
    };
    let port_preserved = external.map(|ip| {
        votes.iter().filter(|v| v.external.ip().to_canonical() == ip).all(|v| v.external.port() == local_port)
    });
    Conclusion { external, certainty, port_preserved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes() {
        let (a, b, c, d) = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4");
        let (seven, eight) = ("1.3.3.7", "1.3.3.8");
        for (votes, external, certainty, why) in [
            (vec![], None, Certainty::Unverified, "silence never votes"),
            (vec![(a, seven)], Some(seven), Certainty::SingleServer, "one word is marked as one"),
            (vec![(a, seven), (a, seven)], Some(seven), Certainty::SingleServer, "one server votes once"),
            (vec![(a, seven), (b, seven)], Some(seven), Certainty::Agreed, "two of two"),
            (vec![(a, seven), (b, eight)], None, Certainty::Unsure, "two that disagree"),
            (
                vec![(a, eight), (b, seven), (c, seven)],
                Some(seven),
                Certainty::Agreed,
                "the liar is outvoted, though first",
            ),
            (
                vec![(a, seven), (b, eight), (c, seven), (d, eight)],
                None,
                Certainty::Unsure,
                "two against two",
            ),
            (
                vec![(a, seven), (a, eight), (a, eight)],
                Some(seven),
                Certainty::SingleServer,
                "its first word counts",
            ),
        ] {
            let votes: Vec<_> = votes
                .iter()
                .map(|(server, ip)| Vote {
                    server: server.parse().expect("an address"),
                    external: SocketAddr::new(ip.parse().expect("an address"), 4000),
                })
                .collect();
            let got = agree(&votes, 4000);
            assert_eq!(got.external, external.map(|ip| ip.parse().expect("an address")), "{why}");
            assert_eq!(got.certainty, certainty, "{why}");
        }
    }

    #[test]
    fn ports_are_compared_apart() {
        let vote = |server: &str, external: &str| Vote {
            server: server.parse().expect("an address"),
            external: external.parse().expect("an address and a port"),
        };
        let symmetric = [vote("192.0.2.1", "1.3.3.7:1000"), vote("192.0.2.2", "1.3.3.7:1001")];
        let got = agree(&symmetric, 1000);
        assert_eq!((got.certainty, got.port_preserved), (Certainty::Agreed, Some(false)));
        assert_eq!(agree(&symmetric[..1], 1000).port_preserved, Some(true));
        let mapped = [vote("192.0.2.1", "1.3.3.7:1000"), vote("192.0.2.2", "[::ffff:1.3.3.7]:1000")];
        assert_eq!(
            agree(&mapped, 1000).certainty,
            Certainty::Agreed,
            "IPv4 in IPv6 form is the same address"
        );
    }
}
