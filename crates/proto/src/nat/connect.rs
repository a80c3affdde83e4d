//! Which ways there are to connect two hosts behind NATs.
//!
//! A and B know each other's mapped address as a STUN server saw it, and can exchange messages by some third host. Each NAT is
//! described by its two axes; what follows is counted out from them, packet by packet.

use super::behaviour::{Allocation, Behaviour, Filtering};
use super::names::named;

named! {
    /// A way to connect.
    Technique {
        /// A sends to B's mapped address.
        Direct = "direct",
        /// B sends to A's, after A has asked it to by the third host.
        Reverse = "reverse",
        /// Both send at once to each other's mapped address.
        Punch = "punch",
        /// The same, to the port that the other's NAT will choose next.
        Predict = "predict",
        /// By a relay (TURN).
        Relay = "relay",
    }
}

named! {
    /// Whether a way works.
    Works {
        /// As far as the axes say.
        Yes = "yes",
        /// It cannot.
        No = "no",
        /// It depends on luck, or on something that is not known.
        Maybe = "maybe",
    }
}

named! {
    /// The best way.
    Verdict {
        /// One of them can be reached from outside.
        Direct = "direct",
        /// Hole punching.
        Punch = "punch",
        /// Hole punching with guessed ports, which may take several attempts.
        Predict = "predict",
        /// Only a relay.
        Relay = "relay",
        /// A relay for sure; a better way may exist, but too little is known.
        Unknown = "unknown",
    }
}

/// What works between two NATs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The best way.
    pub verdict: Verdict,
    /// Each way, with the reason.
    pub techniques: [(Technique, Works, &'static str); 5],
}

/// Compares two NATs.
///
/// Both are taken to be different NATs; behind one and the same, its hairpinning decides.
#[must_use]
pub fn can_connect(a: &Behaviour, b: &Behaviour) -> Match {
    if a.blocked || b.blocked {
        let no = |technique| (technique, Works::No, "UDP does not get through on one side");
        let relay = (Technique::Relay, Works::Maybe, "only a relay that is reached over TCP or TLS");
        let ways = [Technique::Direct, Technique::Reverse, Technique::Punch, Technique::Predict].map(no);
        return Match { verdict: Verdict::Relay, techniques: [ways[0], ways[1], ways[2], ways[3], relay] };
    }
    let direct = open(a, b);
    let reverse = open(b, a);
    let punch = punch(a, b);
    let predict =
        if punch.0 == Works::Yes { (Works::Yes, "nothing has to be guessed") } else { predict(a, b) };
    let sure = |way: (Works, &str)| way.0 == Works::Yes;
    let open = |way: (Works, &str)| way.0 == Works::Maybe;
    let verdict = if sure(direct) || sure(reverse) {
        Verdict::Direct
    } else if sure(punch) {
        Verdict::Punch
    } else if open(punch) {
        // Where it is not known whether one side can reach the other, it is not known whether both can punch.
        Verdict::Unknown
    } else if open(predict) {
        Verdict::Predict
    } else {
        Verdict::Relay
    };
    let relay = (Works::Yes, "a relay always works, at the price of its bandwidth and of the way round");
    let way = |technique, (works, why)| (technique, works, why);
    Match {
        verdict,
        techniques: [
            way(Technique::Direct, direct),
            way(Technique::Reverse, reverse),
            way(Technique::Punch, punch),
            way(Technique::Predict, predict),
            way(Technique::Relay, relay),
        ],
    }
}

/// Whether packets of a new peer at the same address but another port pass.
fn lets_other_ports_in(b: &Behaviour) -> Works {
    match b.filtering {
        Filtering::EndpointIndependent | Filtering::AddressDependent => Works::Yes,
        Filtering::AddressAndPortDependent => Works::No,
        Filtering::Unknown => Works::Maybe,
    }
}

/// `from` sends to the mapped address of `to`, which has sent it nothing.
fn open(from: &Behaviour, to: &Behaviour) -> (Works, &'static str) {
    let let_in = match to.filtering {
        Filtering::EndpointIndependent => Works::Yes,
        Filtering::Unknown => Works::Maybe,
        _ => return (Works::No, "the other side lets nobody in that it has not sent to"),
    };
    match (let_in, to.depends()) {
        (Works::Yes, Some(false)) => (Works::Yes, "the other side lets everybody in"),
        // The answer leaves by a new mapping, from a port that was not sent to: where that is not let in, it does not matter who is there.
        (_, Some(true)) if lets_other_ports_in(from) == Works::No => {
            (Works::No, "the answer comes from another port than was sent to, and is not let in")
        }
        (Works::Yes, Some(true)) => match lets_other_ports_in(from) {
            Works::Yes => {
                (Works::Yes, "the other side lets everybody in; its answer comes from another port")
            }
            _ => (
                Works::Maybe,
                "the answer comes from another port than was sent to: whether it is let in is not known",
            ),
        },
        _ => (Works::Maybe, "too little is known of the other side"),
    }
}

fn punch(a: &Behaviour, b: &Behaviour) -> (Works, &'static str) {
    match (a.depends(), b.depends()) {
        (Some(false), Some(false)) => (Works::Yes, "both keep their mapped address for a new peer"),
        (Some(true), Some(false)) => punch_one(b),
        (Some(false), Some(true)) => punch_one(a),
        (Some(true), Some(true)) => {
            let both = |open: &Behaviour, other: &Behaviour| {
                open.filtering == Filtering::EndpointIndependent && lets_other_ports_in(other) == Works::Yes
            };
            if both(a, b) || both(b, a) {
                (Works::Yes, "both change their port for a new peer, but one lets everybody in")
            } else if a.filtering == Filtering::Unknown || b.filtering == Filtering::Unknown {
                (Works::Maybe, "both change their port for a new peer; whom they let in is not known")
            } else {
                (Works::No, "both change their port for a new peer, and neither lets an unknown one in")
            }
        }
        _ => (Works::Maybe, "how one of them maps is not known"),
    }
}

/// One side changes its port for the new peer; `fixed` does not, and sees packets from an unexpected port.
fn punch_one(fixed: &Behaviour) -> (Works, &'static str) {
    match lets_other_ports_in(fixed) {
        Works::Yes => {
            (Works::Yes, "one side changes its port for a new peer, the other looks only at the address")
        }
        Works::No => {
            (Works::No, "one side changes its port for a new peer, and the other lets only the known port in")
        }
        _ => (Works::Maybe, "one side changes its port for a new peer; whom the other lets in is not known"),
    }
}

fn predict(a: &Behaviour, b: &Behaviour) -> (Works, &'static str) {
    let guess = |side: &Behaviour| match (side.depends(), side.allocation) {
        (Some(false), _) => Works::Yes,
        (_, Allocation::Random) => Works::No,
        _ => Works::Maybe,
    };
    if guess(a) == Works::No || guess(b) == Works::No {
        (Works::No, "the port of one side is chosen at random")
    } else {
        (Works::Maybe, "the next port can be guessed, unless other traffic takes it")
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::behaviour_of;
    use super::*;
    use crate::nat::{Finding, Mapping};

    fn nat(mapping: Mapping, filtering: Filtering, allocation: Allocation) -> Behaviour {
        Behaviour { mapping, filtering, allocation, ..Behaviour::UNKNOWN }
    }

    #[test]
    fn the_classic_table_by_types() {
        // Rows and columns: open, firewall, full cone, restricted, port restricted, symmetric with random ports. Whom a symmetric one
        // lets in its number does not say; that matters between two of them alone.
        let want = ["dddddd", "dpdppr", "dddddd", "dpdppp", "dpdppr", "drdpru"];
        for (a, row) in want.iter().enumerate() {
            for (b, letter) in row.chars().enumerate() {
                let side = |nat_type: usize| behaviour_of(nat_type as u8 + 1, 6, 0).expect("a type");
                let found = can_connect(&side(a), &side(b)).verdict;
                let want = match letter {
                    'd' => Verdict::Direct,
                    'p' => Verdict::Punch,
                    'u' => Verdict::Unknown,
                    _ => Verdict::Relay,
                };
                assert_eq!(found, want, "types {} and {}", a + 1, b + 1);
            }
        }
    }

    #[test]
    fn ports_that_can_be_guessed_blocked_sides_and_unknown_ones() {
        let apd = Filtering::AddressAndPortDependent;
        let cone = nat(Mapping::EndpointIndependent, apd, Allocation::Equal);
        let stepping = nat(Mapping::AddressAndPortDependent, apd, Allocation::Independent(1));
        assert_eq!(can_connect(&cone, &stepping).verdict, Verdict::Predict);
        assert_eq!(can_connect(&stepping, &stepping).verdict, Verdict::Predict);
        assert_eq!(can_connect(&cone, &Behaviour::UNKNOWN).verdict, Verdict::Unknown);
        let blocked = Behaviour { blocked: true, ..Behaviour::UNKNOWN };
        let found = can_connect(&cone, &blocked);
        assert_eq!((found.verdict, found.techniques[4].1), (Verdict::Relay, Works::Maybe));
        // A symmetric NAT that lets everybody in answers from another port, which a port-restricted peer refuses.
        let open_symmetric =
            nat(Mapping::AddressDependent, Filtering::EndpointIndependent, Allocation::Random);
        assert_eq!(can_connect(&cone, &open_symmetric).techniques[0].1, Works::No);
        let looser = nat(Mapping::EndpointIndependent, Filtering::AddressDependent, Allocation::Equal);
        assert_eq!(can_connect(&looser, &open_symmetric).verdict, Verdict::Direct);
        assert_eq!(can_connect(&open_symmetric, &open_symmetric).verdict, Verdict::Direct);
        assert_eq!(Finding::known(1).reason, None);
    }

    #[test]
    #[rustfmt::skip]
    fn each_way_by_who_is_let_in_and_whose_port_changes() {
        use Allocation::{Independent, Random};
        use Filtering::{AddressAndPortDependent as Port, AddressDependent as Address, EndpointIndependent as All, Unknown};
        use Works::{Maybe, No, Yes};
        let fixed = |filtering, allocation| nat(Mapping::EndpointIndependent, filtering, allocation);
        let changing = |filtering| nat(Mapping::AddressAndPortDependent, filtering, Independent(1));
        // Direct, reverse, punch, predict.
        for (name, a, b, want) in [
            ("it is not known whom B lets in", fixed(Port, Random), fixed(Unknown, Random), [Maybe, No, Yes, Yes]),
            ("B lets all in, A the other port", changing(Address), changing(All), [Yes, No, Yes, Yes]),
            ("B lets all in, A no other port", changing(Port), changing(All), [No, No, No, Maybe]),
            ("neither lets all in", changing(Address), changing(Address), [No, No, No, Maybe]),
            ("it is not known whom B lets in, A the other port", changing(Address), changing(Unknown), [Maybe, No, Maybe, Maybe]),
            ("A keeps the port that it has drawn", fixed(Port, Random), changing(Port), [No, No, No, Maybe]),
            ("both ports are drawn", fixed(Port, Random), nat(Mapping::AddressDependent, Port, Random), [No, No, No, No]),
        ] {
            let found = |a, b| can_connect(a, b).techniques.map(|(_, works, _)| works);
            let [direct, reverse, punch, predict] = want;
            assert_eq!(found(&a, &b), [direct, reverse, punch, predict, Yes], "{name}");
            assert_eq!(found(&b, &a), [reverse, direct, punch, predict, Yes], "{name}, seen from B");
        }
    }

    #[test]
    fn it_is_symmetric_and_a_relay_is_never_refused() {
        let mut all = Vec::new();
        for mapping in
            ["none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown"]
        {
            for filtering in
                ["endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown"]
            {
                let (mapping, filtering) = (Mapping::from_name(mapping), Filtering::from_name(filtering));
                all.push(nat(mapping.expect("a name"), filtering.expect("a name"), Allocation::Random));
            }
        }
        for a in &all {
            for b in &all {
                let (there, back) = (can_connect(a, b), can_connect(b, a));
                assert_eq!(there.verdict, back.verdict);
                assert_eq!(there.techniques[0].1, back.techniques[1].1);
                assert_eq!(there.techniques[4].1, Works::Yes);
                let [direct, reverse, punch, ..] = there.techniques.map(|(_, works, _)| works);
                let open = direct == Works::Maybe || reverse == Works::Maybe;
                assert!(!open || punch != Works::No, "what is not known leaves punching open: {a:?} {b:?}");
            }
        }
    }
}
