//! The names of RFC 3489 and the numbers of P2PD, derived from the two axes; nowhere else.

use super::{Allocation, Behaviour, Filtering, Mapping};

/// P2PD's numbers, and RFC 3489's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// 1 open internet, 2 symmetric UDP firewall, 3 full cone, 4 restricted cone, 5 port restricted cone, 6 symmetric, 7 blocked.
    pub nat_type: u8,
    /// The name of RFC 3489, section 5.
    pub rfc3489: &'static str,
    /// Something that the type needs is not known, and the more restrictive case stands for it.
    pub assumed: bool,
    /// 1 not applicable, 2 equal, 3 preserving, 4 independent, 5 dependent, 6 random.
    pub delta_type: u8,
    /// The step of delta types 4 and 5.
    pub delta_value: i32,
}

/// What P2PD takes of a NAT that it knows nothing of: port restricted.
const DEFAULT_TYPE: u8 = 5;

const NAMES: [&str; 8] = [
    "unknown",
    "open internet",
    "symmetric UDP firewall",
    "full cone",
    "restricted cone",
    "port restricted cone",
    "symmetric",
    "blocked",
];

/// Derives them. RFC 3489 knows one axis, so two decisions are ours: a mapping that depends on the destination is `symmetric`
/// whatever the filtering; and without NAT every filtering that is not endpoint-independent is the symmetric firewall.
#[must_use]
pub fn numbers(b: &Behaviour) -> Numbers {
    let (nat_type, assumed) = if b.blocked {
        (7, false)
    } else {
        match (b.mapping, b.depends(), b.filtering) {
            (_, Some(true), _) => (6, false),
            (_, None, _) => (DEFAULT_TYPE, true),
            (Mapping::None, _, Filtering::EndpointIndependent) => (1, false),
            (Mapping::None, _, filtering) => (2, filtering == Filtering::Unknown),
            (_, _, Filtering::EndpointIndependent) => (3, false),
            (_, _, Filtering::AddressDependent) => (4, false),
            (_, _, Filtering::AddressAndPortDependent) => (5, false),
            (_, _, Filtering::Unknown) => (DEFAULT_TYPE, true),
        }
    };
    let rfc3489 = if b.depends().is_none() && !b.blocked { NAMES[0] } else { NAMES[usize::from(nat_type)] };
    let delta_type = match b.allocation {
        Allocation::NotApplicable => 1,
        Allocation::Equal => 2,
        Allocation::Preserving => 3,
        Allocation::Independent(_) => 4,
        Allocation::Dependent(_) => 5,
        Allocation::Random | Allocation::Unknown => 6,
    };
    Numbers { nat_type, rfc3489, assumed, delta_type, delta_value: b.allocation.step() }
}

/// The axes that P2PD's numbers stand for; `None` for a number that it does not have. A symmetric NAT's filtering is not in its
/// number and stays unknown.
#[must_use]
pub fn behaviour_of(nat_type: u8, delta_type: u8, delta_value: i32) -> Option<Behaviour> {
    let (mapping, filtering) = match nat_type {
        1 => (Mapping::None, Filtering::EndpointIndependent),
        2 => (Mapping::None, Filtering::AddressAndPortDependent),
        3 => (Mapping::EndpointIndependent, Filtering::EndpointIndependent),
        4 => (Mapping::EndpointIndependent, Filtering::AddressDependent),
        5 => (Mapping::EndpointIndependent, Filtering::AddressAndPortDependent),
        6 => (Mapping::AddressAndPortDependent, Filtering::Unknown),
        7 => (Mapping::Unknown, Filtering::Unknown),
        _ => return None,
    };
    let allocation = match delta_type {
        1 => Allocation::NotApplicable,
        2 => Allocation::Equal,
        3 => Allocation::Preserving,
        4 => Allocation::Independent(delta_value),
        5 => Allocation::Dependent(delta_value),
        6 => Allocation::Random,
        _ => return None,
    };
    Some(Behaviour { mapping, filtering, allocation, blocked: nat_type == 7, ..Behaviour::UNKNOWN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seven_types_and_all_six_deltas_come_out_and_go_back_in() {
        for nat_type in 1..=7 {
            for delta_type in 1..=6 {
                let value = if matches!(delta_type, 4 | 5) { -3 } else { 0 };
                let there = behaviour_of(nat_type, delta_type, value).expect("a known number");
                let back = numbers(&there);
                assert_eq!((back.nat_type, back.delta_type, back.delta_value), (nat_type, delta_type, value));
                assert!(!back.assumed && back.rfc3489 == NAMES[usize::from(nat_type)]);
            }
        }
        assert!(
            behaviour_of(0, 1, 0).is_none()
                && behaviour_of(8, 1, 0).is_none()
                && behaviour_of(1, 7, 0).is_none()
        );
    }

    #[test]
    fn what_is_not_known_is_the_restrictive_case_and_says_so() {
        let b = Behaviour::UNKNOWN;
        for (behaviour, want, why) in [
            (b, (5, true, "unknown"), "nothing known: P2PD's default"),
            (
                Behaviour { mapping: Mapping::EndpointIndependent, ..b },
                (5, true, NAMES[5]),
                "a cone, of whatever kind",
            ),
            (Behaviour { mapping: Mapping::None, ..b }, (2, true, NAMES[2]), "no NAT, perhaps a firewall"),
            (
                Behaviour { endpoint_dependent: true, ..b },
                (6, false, NAMES[6]),
                "dependent somehow is symmetric",
            ),
            (
                Behaviour { filtering: Filtering::EndpointIndependent, ..b },
                (5, true, "unknown"),
                "filtering alone",
            ),
            (
                Behaviour {
                    mapping: Mapping::AddressDependent,
                    filtering: Filtering::EndpointIndependent,
                    ..b
                },
                (6, false, NAMES[6]),
                "RFC 3489 has one axis",
            ),
        ] {
            let n = numbers(&behaviour);
            assert_eq!((n.nat_type, n.assumed, n.rfc3489), want, "{why}");
        }
    }
}
