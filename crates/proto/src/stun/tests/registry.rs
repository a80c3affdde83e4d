//! The numbers of methods, attributes and error codes, against IANA's "STUN Parameters" (iana.org/assignments/stun-parameters).
//!
//! The tables are an excerpt, written down by hand from the registry as it stood on 2024-12-20 and from the RFCs that its rows name;
//! a test without a network cannot see what has been added since. Left out are ranges that nobody has, and numbers of companies
//! (0xc000 and above), which a receiver may pass over anyway.

use crate::stun::server::{BAD_REQUEST, UNKNOWN_ATTRIBUTE};
use crate::stun::{attribute, kind};

/// Attributes of an RFC: number, name, RFC. CHANGE-REQUEST is in RFC 5780 by erratum 4233.
#[rustfmt::skip]
const ATTRIBUTES: &[(u16, &str, u16)] = &[
    (0x0001, "MAPPED-ADDRESS", 8489), (0x0003, "CHANGE-REQUEST", 5780),
    (0x0006, "USERNAME", 8489), (0x0008, "MESSAGE-INTEGRITY", 8489),
    (0x0009, "ERROR-CODE", 8489), (0x000a, "UNKNOWN-ATTRIBUTES", 8489),
    (0x000c, "CHANNEL-NUMBER", 8656), (0x000d, "LIFETIME", 8656),
    (0x0012, "XOR-PEER-ADDRESS", 8656), (0x0013, "DATA", 8656),
    (0x0014, "REALM", 8489), (0x0015, "NONCE", 8489),
    (0x0016, "XOR-RELAYED-ADDRESS", 8656), (0x0017, "REQUESTED-ADDRESS-FAMILY", 8656),
    (0x0018, "EVEN-PORT", 8656), (0x0019, "REQUESTED-TRANSPORT", 8656),
    (0x001a, "DONT-FRAGMENT", 8656), (0x001b, "ACCESS-TOKEN", 7635),
    (0x001c, "MESSAGE-INTEGRITY-SHA256", 8489), (0x001d, "PASSWORD-ALGORITHM", 8489),
    (0x001e, "USERHASH", 8489), (0x0020, "XOR-MAPPED-ADDRESS", 8489),
    (0x0022, "RESERVATION-TOKEN", 8656), (0x0024, "PRIORITY", 8445),
    (0x0025, "USE-CANDIDATE", 8445), (0x0026, "PADDING", 5780),
    (0x0027, "RESPONSE-PORT", 5780), (0x002a, "CONNECTION-ID", 6062),
    (0x8000, "ADDITIONAL-ADDRESS-FAMILY", 8656), (0x8001, "ADDRESS-ERROR-CODE", 8656),
    (0x8002, "PASSWORD-ALGORITHMS", 8489), (0x8003, "ALTERNATE-DOMAIN", 8489),
    (0x8004, "ICMP", 8656), (0x8022, "SOFTWARE", 8489),
    (0x8023, "ALTERNATE-SERVER", 8489), (0x8025, "TRANSACTION_TRANSMIT_COUNTER", 7982),
    (0x8027, "CACHE-TIMEOUT", 5780), (0x8028, "FINGERPRINT", 8489),
    (0x8029, "ICE-CONTROLLED", 8445), (0x802a, "ICE-CONTROLLING", 8445),
    (0x802b, "RESPONSE-ORIGIN", 5780), (0x802c, "OTHER-ADDRESS", 5780),
    (0x802d, "ECN-CHECK STUN", 6679), (0x802e, "THIRD-PARTY-AUTHORIZATION", 7635),
    (0x8030, "MOBILITY-TICKET", 8016),
];

/// Reserved since RFC 5389 for what RFC 3489 used them for.
#[rustfmt::skip]
const RESERVED: &[(u16, &str, u16)] = &[
    (0x0002, "RESPONSE-ADDRESS", 3489), (0x0004, "SOURCE-ADDRESS", 3489), (0x0005, "CHANGED-ADDRESS", 3489),
    (0x0007, "PASSWORD", 3489), (0x000b, "REFLECTED-FROM", 3489),
];

/// Methods: Binding (RFC 8489), those of TURN (RFC 8656) and of TURN over TCP (RFC 6062).
const METHODS: &[(u16, &str)] = &[
    (0x001, "Binding"),
    (0x003, "Allocate"),
    (0x004, "Refresh"),
    (0x006, "Send"),
    (0x007, "Data"),
    (0x008, "CreatePermission"),
    (0x009, "ChannelBind"),
    (0x00a, "Connect"),
    (0x00b, "ConnectionBind"),
    (0x00c, "ConnectionAttempt"),
];

/// Error codes of RFC 8489, section 14.8.
const ERRORS: &[(u16, &str)] = &[
    (300, "Try Alternate"),
    (400, "Bad Request"),
    (401, "Unauthenticated"),
    (420, "Unknown Attribute"),
    (438, "Stale Nonce"),
    (500, "Server Error"),
];

#[test]
fn every_number_is_that_of_the_registry() {
    for (ours, name) in [
        (attribute::MAPPED_ADDRESS, "MAPPED-ADDRESS"),
        (attribute::CHANGE_REQUEST, "CHANGE-REQUEST"),
        (attribute::SOURCE_ADDRESS, "SOURCE-ADDRESS"),
        (attribute::CHANGED_ADDRESS, "CHANGED-ADDRESS"),
        (attribute::ERROR_CODE, "ERROR-CODE"),
        (attribute::UNKNOWN_ATTRIBUTES, "UNKNOWN-ATTRIBUTES"),
        (attribute::XOR_MAPPED_ADDRESS, "XOR-MAPPED-ADDRESS"),
        (attribute::PADDING, "PADDING"),
        (attribute::RESPONSE_PORT, "RESPONSE-PORT"),
        (attribute::SOFTWARE, "SOFTWARE"),
        (attribute::FINGERPRINT, "FINGERPRINT"),
        (attribute::RESPONSE_ORIGIN, "RESPONSE-ORIGIN"),
        (attribute::OTHER_ADDRESS, "OTHER-ADDRESS"),
    ] {
        let row = ATTRIBUTES.iter().chain(RESERVED).find(|(_, n, _)| *n == name).expect(name);
        assert_eq!(ours, row.0, "{name}, RFC {}", row.2);
    }
    // What servers sent before there was a number is no number of the registry's.
    assert!(!ATTRIBUTES.iter().any(|(number, ..)| *number == attribute::XOR_MAPPED_ADDRESS_OLD));
    let named = |code: u16| ERRORS.iter().find(|(number, _)| *number == code).map(|(_, name)| *name);
    assert_eq!(
        (named(BAD_REQUEST), named(UNKNOWN_ATTRIBUTE)),
        (Some("Bad Request"), Some("Unknown Attribute"))
    );
}

/// The bits of the method stand around those of the class (RFC 8489, section 5).
#[test]
fn message_types_are_the_method_binding_with_each_class() {
    let of = |method: u16, class: u16| {
        method & 0xf | (method & 0x70) << 1 | (method & 0xf80) << 2 | (class & 1) << 4 | (class & 2) << 7
    };
    let binding = METHODS.iter().find(|(_, name)| *name == "Binding").expect("Binding").0;
    assert_eq!((of(binding, 0), of(binding, 2), of(binding, 3)), (kind::REQUEST, kind::SUCCESS, kind::ERROR));
    for (method, name) in METHODS.iter().filter(|(number, _)| *number != binding) {
        let others = [0, 1, 2, 3].map(|class| of(*method, class));
        assert!(!others.iter().any(|n| [kind::REQUEST, kind::SUCCESS, kind::ERROR].contains(n)), "{name}");
    }
}

#[test]
fn tables_are_in_order_and_have_each_number_once() {
    for table in [ATTRIBUTES, RESERVED] {
        assert!(table.windows(2).all(|rows| rows[0].0 < rows[1].0));
    }
    assert!(!RESERVED.iter().any(|(number, ..)| ATTRIBUTES.iter().any(|(other, ..)| other == number)));
}

#[test]
fn what_may_be_passed_over_is_registered_and_comprehension_required() {
    for kind in attribute::KNOWN.iter().chain(&attribute::KNOWN_IN_REQUEST) {
        let row = ATTRIBUTES.iter().chain(RESERVED).find(|(number, ..)| number == kind);
        assert!(row.is_some(), "{kind:#06x} is in no registry");
        assert!(*kind < 0x8000, "{kind:#06x} may be passed over anyway (RFC 8489, section 14)");
    }
    // A server of Binding alone must say of the attributes of relays that it does not know them (RFC 8489, section 6.3.1).
    for (number, name, rfc) in ATTRIBUTES.iter().filter(|(_, _, rfc)| [8656, 7635, 6062].contains(rfc)) {
        assert!(!attribute::KNOWN_IN_REQUEST.contains(number), "{name} of RFC {rfc}");
    }
}
