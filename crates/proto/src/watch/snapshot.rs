//! The state of all interfaces at one moment, and what differs between two.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::change::Change;
use super::interface_id::{DefaultRoute, InterfaceId};
use crate::ip_block::IpBlock;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceState {
    /// Which.
    pub id: InterfaceId,
    /// Whether it is switched on and has a link.
    pub up: bool,
    /// Its addresses that can be used, each with the length of its prefix. Sorted by [`Snapshot::new`].
    pub addresses: Vec<(IpAddr, u8)>,
    /// The blocks that local routes hold. Sorted by [`Snapshot::new`].
    pub blocks: Vec<IpBlock>,
}

/// All interfaces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    interfaces: Vec<InterfaceState>,
    pub(super) default_ipv4: Option<DefaultRoute>,
    pub(super) default_ipv6: Option<DefaultRoute>,
}

/// What a message of the system says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressNotice {
    /// Number of the interface.
    pub interface: u32,
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix.
    pub prefix_len: u8,
    /// Whether it is there and can be used.
    pub usable: bool,
}

impl Snapshot {
    /// A snapshot of these, in any order; addresses named twice count once.
    #[must_use]
    pub fn new(
        mut interfaces: Vec<InterfaceState>,
        default_ipv4: Option<DefaultRoute>,
        default_ipv6: Option<DefaultRoute>,
    ) -> Self {
        for interface in &mut interfaces {
            interface.addresses.sort_unstable();
            interface.addresses.dedup();
            interface.blocks.sort_unstable_by_key(block_key);
            interface.blocks.dedup();
        }
        interfaces.sort_by_key(|i| i.id.index);
        Self { interfaces, default_ipv4, default_ipv6 }
    }

    /// Whether a message says what is known: the system repeats itself, as with each router advertisement.
    #[must_use]
    pub fn knows(&self, notice: &AddressNotice) -> bool {
        let at = self.interfaces.binary_search_by_key(&notice.interface, |i| i.id.index);
        let held = at.is_ok_and(|at| {
            self.interfaces[at].addresses.binary_search(&(notice.ip, notice.prefix_len)).is_ok()
        });
        held == notice.usable
    }

    /// What is otherwise in `later`: first what has gone, then what has come, then the default routes.
    #[must_use]
    pub fn changes_to(&self, later: &Self) -> Vec<Change> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        merge(
            &self.interfaces,
            &later.interfaces,
            |a, b| a.id.index.cmp(&b.id.index),
            |pair| match pair {
                Pair::Gone(old) => {
                    held(old, &InterfaceState::bare(&old.id), &old.id, &mut gone, &mut come);
                    gone.push(Change::InterfaceRemoved(old.id.clone()));
                }
                Pair::Come(new) => {
                    come.push(Change::InterfaceAdded(new.id.clone()));
                    if new.up {
                        come.push(Change::InterfaceUp(new.id.clone()));
                    }
                    held(&InterfaceState::bare(&new.id), new, &new.id, &mut gone, &mut come);
                }
                Pair::Both(old, new) => {
                    if old.id.name != new.id.name {
                        let previous = old.id.name.clone();
                        gone.push(Change::InterfaceRenamed { interface: new.id.clone(), previous });
                    }
                    match (old.up, new.up) {
                        (true, false) => gone.push(Change::InterfaceDown(new.id.clone())),
                        (false, true) => come.push(Change::InterfaceUp(new.id.clone())),
                        _ => {}
                    }
                    held(old, new, &new.id, &mut gone, &mut come);
                }
            },
        );
        gone.append(&mut come);
        for (ipv6, previous, now) in [
            (false, &self.default_ipv4, &later.default_ipv4),
            (true, &self.default_ipv6, &later.default_ipv6),
        ] {
            if previous != now {
                let (previous, now) = (previous.clone(), now.clone());
                gone.push(Change::DefaultChanged { ipv6, previous, now });
            }
        }
        gone
    }
}

impl InterfaceState {
    fn bare(id: &InterfaceId) -> Self {
        Self { id: id.clone(), up: false, addresses: Vec::new(), blocks: Vec::new() }
    }
}

/// Addresses and blocks.
fn held(
    old: &InterfaceState,
    new: &InterfaceState,
    id: &InterfaceId,
    gone: &mut Vec<Change>,
    come: &mut Vec<Change>,
) {
    let interface = || id.clone();
    merge(&old.addresses, &new.addresses, Ord::cmp, |pair| match pair {
        Pair::Gone(&(ip, prefix_len)) => {
            gone.push(Change::AddressRemoved { interface: interface(), ip, prefix_len });
        }
        Pair::Come(&(ip, prefix_len)) => {
            come.push(Change::AddressAdded { interface: interface(), ip, prefix_len });
        }
        Pair::Both(..) => {}
    });
    merge(
        &old.blocks,
        &new.blocks,
        |a, b| block_key(a).cmp(&block_key(b)),
        |pair| match pair {
            Pair::Gone(&block) => gone.push(Change::BlockRemoved { interface: interface(), block }),
            Pair::Come(&block) => come.push(Change::BlockAdded { interface: interface(), block }),
            Pair::Both(..) => {}
        },
    );
}

fn block_key(block: &IpBlock) -> (IpAddr, IpAddr) {
    (block.first(), block.last())
}

enum Pair<'a, T> {
    Gone(&'a T),
    Come(&'a T),
    Both(&'a T, &'a T),
}

/// Walks two sorted lists side by side.
fn merge<'a, T>(
    old: &'a [T],
    new: &'a [T],
    order: impl Fn(&T, &T) -> Ordering,
    mut tell: impl FnMut(Pair<'a, T>),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let next = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        match next {
            Ordering::Less => old.next().into_iter().for_each(|a| tell(Pair::Gone(a))),
            Ordering::Greater => new.next().into_iter().for_each(|b| tell(Pair::Come(b))),
            Ordering::Equal => {
                if let (Some(a), Some(b)) = (old.next(), new.next()) {
                    tell(Pair::Both(a, b));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32, name: &str) -> InterfaceId {
        InterfaceId { index, name: name.into() }
    }

    fn interface(index: u32, name: &str, up: bool, addresses: &[&str], blocks: &[&str]) -> InterfaceState {
        let address = |text: &&str| {
            let (ip, len) = text.split_once('/').expect("a prefix");
            (ip.parse().expect("an address"), len.parse().expect("a length"))
        };
        InterfaceState {
            id: id(index, name),
            up,
            addresses: addresses.iter().map(address).collect(),
            blocks: blocks.iter().map(|b| b.parse().expect("a block")).collect(),
        }
    }

    fn snapshot(interfaces: Vec<InterfaceState>, default: Option<(u32, &str, &str)>) -> Snapshot {
        let default = default.map(|(index, name, gateway)| DefaultRoute {
            interface: id(index, name),
            gateway: gateway.parse().ok(),
        });
        Snapshot::new(interfaces, default, None)
    }

    fn words(change: &Change) -> String {
        match change {
            Change::InterfaceAdded(i) => format!("+{}", i.name),
            Change::InterfaceRemoved(i) => format!("-{}", i.name),
            Change::InterfaceRenamed { interface, previous } => format!("{previous}>{}", interface.name),
            Change::InterfaceUp(i) => format!("{} up", i.name),
            Change::InterfaceDown(i) => format!("{} down", i.name),
            Change::AddressAdded { interface, ip, prefix_len } => {
                format!("{}+{ip}/{prefix_len}", interface.name)
            }
            Change::AddressRemoved { interface, ip, prefix_len } => {
                format!("{}-{ip}/{prefix_len}", interface.name)
            }
            Change::BlockAdded { interface, block } => format!("{}+[{block}]", interface.name),
            Change::BlockRemoved { interface, block } => format!("{}-[{block}]", interface.name),
            Change::DefaultChanged { previous, now, .. } => {
                let name =
                    |d: &Option<DefaultRoute>| d.as_ref().map_or("none".into(), |d| d.interface.name.clone());
                format!("default {}>{}", name(previous), name(now))
            }
            Change::Resumed { slept } => format!("woken {slept:?}"),
        }
    }

    #[test]
    fn what_differs_is_told_in_order() {
        let one = |up, addresses: &[&str]| interface(1, "a", up, addresses, &[]);
        #[rustfmt::skip]
        let rows: Vec<(&str, Snapshot, Snapshot, &[&str])> = vec![
            ("nothing", snapshot(vec![one(true, &["10.0.0.1/8"])], None), snapshot(vec![one(true, &["10.0.0.1/8"])], None), &[]),
            ("an address more", snapshot(vec![one(true, &["10.0.0.2/8"])], None),
                snapshot(vec![one(true, &["10.0.0.2/8", "10.0.0.1/8"])], None), &["a+10.0.0.1/8"]),
            ("another prefix is another address", snapshot(vec![one(true, &["10.0.0.1/8"])], None),
                snapshot(vec![one(true, &["10.0.0.1/24"])], None), &["a-10.0.0.1/8", "a+10.0.0.1/24"]),
            ("the same address twice counts once", snapshot(vec![one(true, &["::1/128", "::1/128"])], None),
                snapshot(vec![one(true, &[])], None), &["a-::1/128"]),
            ("down, with what goes with it", snapshot(vec![one(true, &["fe80::1/64"])], Some((1, "a", "10.0.0.9"))),
                snapshot(vec![one(false, &[])], None), &["a down", "a-fe80::1/64", "default a>none"]),
            ("a new one", snapshot(vec![], None), snapshot(vec![one(true, &["10.0.0.1/8"])], None),
                &["+a", "a up", "a+10.0.0.1/8"]),
            ("one that is gone", snapshot(vec![one(true, &["10.0.0.1/8"])], None), snapshot(vec![], None),
                &["a-10.0.0.1/8", "-a"]),
            ("renamed", snapshot(vec![one(true, &[])], None), snapshot(vec![interface(1, "b", true, &[], &[])], None), &["a>b"]),
            ("the same name again is another interface", snapshot(vec![one(false, &[])], None),
                snapshot(vec![interface(2, "a", false, &[], &[])], None), &["-a", "+a"]),
            ("a block moves", snapshot(vec![interface(1, "a", true, &[], &["8.8.0.0/16"]), interface(2, "b", true, &[], &[])], None),
                snapshot(vec![interface(2, "b", true, &[], &["8.8.0.0/16"]), interface(1, "a", true, &[], &[])], None),
                &["a-[8.8.0.0/16]", "b+[8.8.0.0/16]"]),
            ("another router", snapshot(vec![one(true, &[])], Some((1, "a", "10.0.0.9"))),
                snapshot(vec![one(true, &[])], Some((1, "a", "10.0.0.8"))), &["default a>a"]),
        ];
        for (name, before, after, want) in rows {
            assert_eq!(before.changes_to(&after).iter().map(words).collect::<Vec<_>>(), want, "{name}");
        }
    }

    #[test]
    fn a_message_that_says_what_is_known_is_recognised() {
        let known = snapshot(vec![interface(3, "a", true, &["10.0.0.1/8", "2001:db8::1/64"], &[])], None);
        let notice = |interface, ip: &str, prefix_len, usable| {
            known.knows(&AddressNotice { interface, ip: ip.parse().expect("an address"), prefix_len, usable })
        };
        assert!(notice(3, "2001:db8::1", 64, true), "a router advertisement renews it");
        assert!(!notice(3, "2001:db8::1", 64, false), "it goes");
        assert!(!notice(3, "2001:db8::2", 64, true), "it comes");
        assert!(notice(3, "2001:db8::2", 64, false), "still tentative, or gone already");
        assert!(!notice(4, "10.0.0.1", 8, true), "at another interface");
        assert!(!notice(3, "10.0.0.1", 24, true), "with another prefix");
    }

    #[test]
    fn a_hundred_thousand_addresses_are_compared_in_one_walk() {
        let many = |from: u32| {
            let addresses =
                (from..from + 100_000).map(|n| (IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 32));
            let mut state = interface(1, "a", true, &[], &[]);
            state.addresses = addresses.collect();
            snapshot(vec![state], None)
        };
        assert_eq!(many(0).changes_to(&many(1)).len(), 2);
    }
}
