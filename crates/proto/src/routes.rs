//! Which local addresses share which external one: routes, as the result of what was seen.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;

use crate::agree::{Certainty, Conclusion};
use crate::ip_block::IpBlock;

/// Local addresses that leave as the same external addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Addresses and blocks of the interface, in its order.
    pub local: Vec<IpBlock>,
    /// What they leave as: one address, or a block whose every host leaves as itself. `None` while it is not known.
    pub external: Option<IpBlock>,
    /// The least certain of what was seen of its addresses.
    pub certainty: Certainty,
    /// Whether a block in it was only sampled: the rest is assumed to be like the sample.
    pub assumed: bool,
    /// Addresses that were asked, whatever came of it.
    pub asked: Vec<IpAddr>,
}

/// Hosts of a block that are asked beside its two ends.
pub const RANDOM_HOSTS: usize = 3;

/// The hosts of a block that stand for it: all of a small one, else both ends and a few at `random` numbers.
#[must_use]
pub fn sample(block: &IpBlock, mut random: impl FnMut() -> u128) -> Vec<IpAddr> {
    let len = block.len();
    if len <= RANDOM_HOSTS as u128 + 2 {
        return (0..len).filter_map(|k| block.nth(k)).collect();
    }
    let mut numbers = vec![0, len - 1];
    while numbers.len() < RANDOM_HOSTS + 2 {
        let mut k = random() % len;
        while numbers.contains(&k) {
            k = (k + 1) % len;
        }
        numbers.push(k);
    }
    numbers.sort_unstable();
    numbers.into_iter().filter_map(|k| block.nth(k)).collect()
}

/// Groups what an interface holds by what was seen of it.
///
/// `held` are its addresses and blocks in order, each with the hosts that were asked; `seen` tells what came of each host.
/// - An address that leaves as another joins those that leave as the same, or begins a route.
/// - An address that leaves as itself is a route of its own, which others may join.
/// - A block whose asked hosts all leave as themselves is a route of its own; one whose hosts all leave as one other
///   address joins that. Silent hosts of a block do not speak against the others, but two must have spoken.
/// - A block whose hosts were seen to leave in different ways is no route: its asked hosts are treated one by one.
/// - What is not known is a route without external address, so that it can be seen and used all the same.
#[must_use]
pub fn group<S: BuildHasher>(
    held: &[(IpBlock, Vec<IpAddr>)],
    seen: &HashMap<IpAddr, Conclusion, S>,
) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut by_external: HashMap<IpBlock, usize> = HashMap::new();
    for (block, asked) in held {
        for (local, asked) in whole_or_single(block, asked, seen) {
            let found = conclude(&local, &asked, seen);
            let assumed = local.len() > asked.len() as u128;
            let joined = found.external.and_then(|external| by_external.get(&external).copied());
            if let Some(at) = joined {
                let route = &mut routes[at];
                route.local.push(local);
                route.certainty = route.certainty.max(found.certainty);
                route.assumed |= assumed;
                route.asked.extend(asked);
            } else {
                by_external.extend(found.external.map(|external| (external, routes.len())));
                routes.push(Route {
                    local: vec![local],
                    external: found.external,
                    certainty: found.certainty,
                    assumed,
                    asked,
                });
            }
        }
    }
    // Routes that can be used come first: the first route is what a user gets who does not choose.
    routes.sort_by_key(|route| route.external.is_none());
    routes
}

/// The block as one thing, or its asked hosts as single addresses if they were seen to leave in different ways.
fn whole_or_single<S: BuildHasher>(
    block: &IpBlock,
    asked: &[IpAddr],
    seen: &HashMap<IpAddr, Conclusion, S>,
) -> Vec<(IpBlock, Vec<IpAddr>)> {
    let known: Vec<_> = asked.iter().filter_map(|ip| Some((*ip, seen.get(ip)?.external?))).collect();
    let all_as_themselves = known.iter().all(|(ip, external)| ip == external);
    let all_as_one = known.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let unsure = asked.iter().any(|ip| seen.get(ip).is_some_and(|c| c.certainty == Certainty::Unsure));
    let one_word = known.len() == 1;
    if block.len() == 1 || (!unsure && !one_word && (all_as_themselves || all_as_one)) {
        return vec![(*block, asked.to_vec())];
    }
    asked.iter().filter_map(|ip| Some((IpBlock::from_range(*ip, *ip).ok()?, vec![*ip]))).collect()
}

struct Found {
    external: Option<IpBlock>,
    certainty: Certainty,
}

/// What a block leaves as, whose asked hosts do not contradict each other.
fn conclude<S: BuildHasher>(
    block: &IpBlock,
    asked: &[IpAddr],
    seen: &HashMap<IpAddr, Conclusion, S>,
) -> Found {
    let known: Vec<_> = asked.iter().filter_map(|ip| Some((*ip, seen.get(ip)?))).collect();
    let spoken = || known.iter().filter_map(|(ip, c)| Some((*ip, c.external?, c.certainty)));
    let external = match spoken().next() {
        Some((ip, external, _)) if ip == external => Some(*block),
        Some((_, external, _)) => IpBlock::from_range(external, external).ok(),
        None => None,
    };
    let certainty = match external {
        Some(_) => spoken().map(|(.., certainty)| certainty).max(),
        None => known.iter().map(|(_, c)| c.certainty).min(),
    };
    Found { external, certainty: certainty.unwrap_or(Certainty::Unverified) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> IpBlock {
        text.parse().expect("a block")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn known(external: IpAddr, certainty: Certainty) -> Conclusion {
        Conclusion { external: Some(external), certainty, port_preserved: Some(true) }
    }

    const SILENT: Conclusion =
        Conclusion { external: None, certainty: Certainty::Unverified, port_preserved: None };

    /// Groups blocks over a network: `leaves_as` says what a host leaves as, `None` for silence.
    fn routes(held: &[&str], leaves_as: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<Route> {
        let mut random = 0;
        let held: Vec<_> = held
            .iter()
            .map(|text| {
                let hosts = sample(&block(text), || {
                    random += 7_919;
                    random
                });
                (block(text), hosts)
            })
            .collect();
        let seen: HashMap<_, _> = held
            .iter()
            .flat_map(|(_, hosts)| hosts)
            .map(|host| (*host, leaves_as(*host).map_or(SILENT, |e| known(e, Certainty::Agreed))))
            .collect();
        group(&held, &seen)
    }

    fn text(routes: &[Route]) -> Vec<String> {
        let list = |blocks: &[IpBlock]| blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        routes
            .iter()
            .map(|r| {
                format!("[{}] -> [{}]", list(&r.local), list(&r.external.into_iter().collect::<Vec<_>>()))
            })
            .collect()
    }

    #[test]
    fn the_documented_example() {
        let held = ["192.168.0.20", "193.168.0.0/16", "7.7.7.7", "8.8.0.0/16"];
        let found =
            routes(&held, |host| Some(if block("8.8.0.0/16").contains(host) { host } else { ip("1.3.3.7") }));
        assert_eq!(
            text(&found),
            ["[192.168.0.20, 193.168.0.0/16, 7.7.7.7] -> [1.3.3.7]", "[8.8.0.0/16] -> [8.8.0.0/16]"]
        );
        assert!(found.iter().all(|r| r.assumed), "blocks were sampled");
        assert_eq!(found[1].asked.len(), 5);
    }

    #[test]
    fn private_addresses_are_not_given_the_external_address_of_the_first() {
        let found = routes(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], |host| {
            Some(if host == ip("10.0.0.2") { ip("9.9.9.2") } else { ip("9.9.9.1") })
        });
        assert_eq!(text(&found), ["[10.0.0.1, 10.0.0.3] -> [9.9.9.1]", "[10.0.0.2] -> [9.9.9.2]"]);
        assert!(found.iter().all(|r| !r.assumed));
    }

    #[test]
    fn an_address_joins_the_route_of_the_address_it_leaves_as() {
        let found = routes(&["9.9.9.1", "10.0.0.1"], |_| Some(ip("9.9.9.1")));
        assert_eq!(text(&found), ["[9.9.9.1, 10.0.0.1] -> [9.9.9.1]"]);
    }

    #[test]
    fn each_global_ipv6_block_is_a_route() {
        let found = routes(&["2020:deed:beef::", "2020:deed:deed::/64"], Some);
        assert_eq!(
            text(&found),
            ["[2020:deed:beef::] -> [2020:deed:beef::]", "[2020:deed:deed::/64] -> [2020:deed:deed::/64]"]
        );
    }

    #[test]
    fn a_block_that_leaves_in_different_ways_is_told_host_by_host() {
        let found =
            routes(&["8.8.0.0/16"], |host| Some(if host == ip("8.8.0.0") { ip("1.3.3.7") } else { host }));
        assert_eq!(found.len(), 5);
        assert_eq!(text(&found)[0], "[8.8.0.0] -> [1.3.3.7]");
        assert!(found.iter().all(|r| !r.assumed && r.local[0].len() == 1));
    }

    #[test]
    fn silent_ends_do_not_speak_against_a_block_but_two_must_have_spoken() {
        let ends = [ip("8.8.0.0"), ip("8.8.255.255")];
        let found = routes(&["8.8.0.0/16"], |host| (!ends.contains(&host)).then_some(host));
        assert_eq!(text(&found), ["[8.8.0.0/16] -> [8.8.0.0/16]"]);
        let found = routes(&["8.8.0.0/16"], |host| (host == ends[0]).then_some(host));
        assert_eq!(text(&found)[0], "[8.8.0.0] -> [8.8.0.0]");
        assert_eq!(found.len(), 5, "one word is not enough for 65,536 addresses");
    }

    #[test]
    fn what_is_not_known_has_no_external_address_and_comes_last() {
        let found = routes(&["10.0.0.1", "10.0.0.2"], |host| (host == ip("10.0.0.2")).then(|| ip("9.9.9.9")));
        assert_eq!(text(&found), ["[10.0.0.2] -> [9.9.9.9]", "[10.0.0.1] -> []"]);
        assert_eq!(found[1].certainty, Certainty::Unverified);
        let unsure = Conclusion { external: None, certainty: Certainty::Unsure, port_preserved: None };
        let found =
            group(&[(block("10.0.0.1"), vec![ip("10.0.0.1")])], &HashMap::from([(ip("10.0.0.1"), unsure)]));
        assert_eq!((found[0].external, found[0].certainty), (None, Certainty::Unsure));
    }

    #[test]
    fn a_route_is_as_certain_as_its_least_certain_address() {
        let held = [(block("10.0.0.1"), vec![ip("10.0.0.1")]), (block("10.0.0.2"), vec![ip("10.0.0.2")])];
        let seen = HashMap::from([
            (ip("10.0.0.1"), known(ip("9.9.9.9"), Certainty::Agreed)),
            (ip("10.0.0.2"), known(ip("9.9.9.9"), Certainty::SingleServer)),
        ]);
        assert_eq!(group(&held, &seen)[0].certainty, Certainty::SingleServer);
    }

    #[test]
    fn samples_are_ends_and_some_between_without_doubles() {
        assert_eq!(sample(&block("10.0.0.0/30"), || 0).len(), 4);
        let six = sample(&block("10.0.0.0-10.0.0.5"), || 6 * 7 + 3);
        assert_eq!(
            six,
            [0, 1, 3, 4, 5].map(|n| IpAddr::from([10, 0, 0, n])),
            "of numbers beyond it the rest"
        );
        let mut n = 0;
        let hosts = sample(&block("10.0.0.0/24"), || {
            n += 1;
            n / 2
        });
        assert_eq!(
            (hosts.first(), hosts.last(), hosts.len()),
            (Some(&ip("10.0.0.0")), Some(&ip("10.0.0.255")), 5)
        );
        assert_eq!(sample(&block("2001:db8::/64"), || u128::MAX - 3).len().max(1), 5);
    }
}
