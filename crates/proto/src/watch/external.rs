//! Whether what an interface holds leaves as something else than before.

use std::collections::HashMap;

use crate::agree::Certainty;
use crate::ip_block::IpBlock;
use crate::routes::Route;

/// Addresses and blocks that leave as something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalChange {
    /// Number of the route among those that were compared.
    pub route: usize,
    /// What it is about; part of what the route has.
    pub locals: Vec<IpBlock>,
    /// What they left as; `None` if that was not known.
    pub previous: Option<IpBlock>,
    /// What they leave as now.
    pub external: IpBlock,
    /// How sure that is.
    pub certainty: Certainty,
}

/// What is known of the external side of an interface, of one family. A route is the same one as long as its addresses are:
/// its identity is what the machine itself has, not what others see.
#[derive(Clone, Debug, Default)]
pub struct Externals {
    known: HashMap<IpBlock, (IpBlock, Certainty)>,
}

impl Externals {
    /// Compares routes with what is known, and learns.
    ///
    /// - What nobody answered for stays as it was: silence is no change.
    /// - One server's word does not change what two had agreed on; the next agreement will.
    /// - What the interface does not hold any more is forgotten.
    pub fn compare(&mut self, routes: &[Route]) -> Vec<ExternalChange> {
        let mut changes: Vec<ExternalChange> = Vec::new();
        let mut next = HashMap::new();
        for (number, route) in routes.iter().enumerate() {
            for local in &route.local {
                let before = self.before(local);
                let believed = route.external.filter(|_| {
                    let (now, had) = (route.certainty, before.map(|(_, certainty)| certainty));
                    now == Certainty::Agreed
                        || (now == Certainty::SingleServer && had != Some(Certainty::Agreed))
                });
                let Some(external) = believed else {
                    next.extend(before.map(|before| (*local, before)));
                    continue;
                };
                next.insert(*local, (external, route.certainty));
                let previous = before.map(|(external, _)| external);
                if previous.is_some_and(|previous| same(&previous, &external)) {
                    continue;
                }
                match changes.iter_mut().find(|c| c.route == number && c.previous == previous) {
                    Some(change) => change.locals.push(*local),
                    None => changes.push(ExternalChange {
                        route: number,
                        locals: vec![*local],
                        previous,
                        external,
                        certainty: route.certainty,
                    }),
                }
            }
        }
        self.known = next;
        changes
    }

    /// What is known of a local address or block: as such, or as part of a block.
    fn before(&self, local: &IpBlock) -> Option<(IpBlock, Certainty)> {
        if let Some(known) = self.known.get(local) {
            return Some(*known);
        }
        let inside = |block: &IpBlock| block.contains(local.first()) && block.contains(local.last());
        let (block, (external, certainty)) = self.known.iter().find(|(block, _)| inside(block))?;
        // Of a block that leaves as itself, each part leaves as itself.
        Some((if same(block, external) { *local } else { *external }, *certainty))
    }
}

/// Whether both are the same addresses, whatever hosts of them are meant.
fn same(a: &IpBlock, b: &IpBlock) -> bool {
    a.first() == b.first() && a.last() == b.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> IpBlock {
        text.parse().expect("a block")
    }

    fn route(local: &[&str], external: Option<&str>, certainty: Certainty) -> Route {
        Route {
            local: local.iter().map(|text| block(text)).collect(),
            external: external.map(block),
            certainty,
            assumed: false,
            asked: Vec::new(),
        }
    }

    fn words(changes: &[ExternalChange]) -> Vec<String> {
        let text = |c: &ExternalChange| {
            let locals: Vec<_> = c.locals.iter().map(ToString::to_string).collect();
            let previous = c.previous.map_or("?".to_owned(), |p| p.to_string());
            format!("{}: {} {previous}>{}", c.route, locals.join("+"), c.external)
        };
        changes.iter().map(text).collect()
    }

    #[test]
    fn each_step_tells_what_is_new_and_only_that() {
        use Certainty::{Agreed, SingleServer, Unsure, Unverified};
        let nat = |external, certainty| route(&["10.0.0.1", "10.0.0.2"], external, certainty);
        let mut externals = Externals::default();
        #[rustfmt::skip]
        let steps: Vec<(&str, Vec<Route>, &[&str])> = vec![
            ("first knowledge", vec![nat(Some("1.3.3.7"), Agreed)], &["0: 10.0.0.1+10.0.0.2 ?>1.3.3.7"]),
            ("the same", vec![nat(Some("1.3.3.7"), Agreed)], &[]),
            ("silence is no change", vec![nat(None, Unverified)], &[]),
            ("nor is contradiction", vec![nat(None, Unsure)], &[]),
            ("one server against two", vec![nat(Some("6.6.6.6"), SingleServer)], &[]),
            ("two of them", vec![nat(Some("1.3.3.8"), Agreed)], &["0: 10.0.0.1+10.0.0.2 1.3.3.7>1.3.3.8"]),
            ("one of the two moves", vec![route(&["10.0.0.1"], Some("1.3.3.8"), Agreed), route(&["10.0.0.2"], Some("1.3.3.9"), Agreed)],
                &["1: 10.0.0.2 1.3.3.8>1.3.3.9"]),
            ("both meet again, told as one route's", vec![route(&["10.0.0.1", "10.0.0.2"], Some("1.3.3.7"), Agreed)],
                &["0: 10.0.0.1 1.3.3.8>1.3.3.7", "0: 10.0.0.2 1.3.3.9>1.3.3.7"]),
            ("an address goes", vec![route(&["10.0.0.1"], Some("1.3.3.7"), Agreed)], &[]),
            ("and comes again: what was known is forgotten", vec![nat(Some("1.3.3.7"), Agreed)], &["0: 10.0.0.2 ?>1.3.3.7"]),
        ];
        for (why, routes, want) in steps {
            assert_eq!(words(&externals.compare(&routes)), want, "{why}");
        }
    }

    #[test]
    fn one_server_alone_is_believed_where_there_never_were_two() {
        let mut externals = Externals::default();
        let one = |external| [route(&["10.0.0.1"], Some(external), Certainty::SingleServer)];
        externals.compare(&one("1.3.3.7"));
        assert_eq!(words(&externals.compare(&one("1.3.3.8"))), ["0: 10.0.0.1 1.3.3.7>1.3.3.8"]);
    }

    #[test]
    fn a_block_that_falls_apart_tells_of_the_hosts_that_leave_otherwise() {
        let mut externals = Externals::default();
        externals.compare(&[route(&["8.8.0.0/16"], Some("8.8.0.0/16"), Certainty::Agreed)]);
        let apart = [
            route(&["8.8.0.0"], Some("8.8.0.0"), Certainty::Agreed),
            route(&["8.8.255.255"], Some("1.3.3.7"), Certainty::Agreed),
        ];
        assert_eq!(words(&externals.compare(&apart)), ["1: 8.8.255.255 8.8.255.255>1.3.3.7"]);
    }
}
