//! The numbers of attributes, against IANA's registry "STUN Attributes" (iana.org/assignments/stun-parameters).

use crate::stun::attribute;

/// The rows that a Binding server or client may meet, as of 2026-11: number, name, reference.
#[rustfmt::skip]
const REGISTRY: &[(u16, &str, &str)] = &[
    (0x0001, "MAPPED-ADDRESS", "RFC 8489"), (0x0003, "CHANGE-REQUEST", "RFC 5780"),
    (0x0006, "USERNAME", "RFC 8489"), (0x0008, "MESSAGE-INTEGRITY", "RFC 8489"),
    (0x0009, "ERROR-CODE", "RFC 8489"), (0x000a, "UNKNOWN-ATTRIBUTES", "RFC 8489"),
    (0x0014, "REALM", "RFC 8489"), (0x0015, "NONCE", "RFC 8489"),
    (0x001c, "MESSAGE-INTEGRITY-SHA256", "RFC 8489"), (0x001d, "PASSWORD-ALGORITHM", "RFC 8489"),
    (0x001e, "USERHASH", "RFC 8489"), (0x0020, "XOR-MAPPED-ADDRESS", "RFC 8489"),
    (0x0024, "PRIORITY", "RFC 8445"), (0x0025, "USE-CANDIDATE", "RFC 8445"),
    (0x0026, "PADDING", "RFC 5780"), (0x0027, "RESPONSE-PORT", "RFC 5780"),
    (0x8022, "SOFTWARE", "RFC 8489"), (0x8023, "ALTERNATE-SERVER", "RFC 8489"),
    (0x8028, "FINGERPRINT", "RFC 8489"), (0x802b, "RESPONSE-ORIGIN", "RFC 5780"),
    (0x802c, "OTHER-ADDRESS", "RFC 5780"),
    // Reserved since RFC 5389 for what RFC 3489 used them for.
    (0x0002, "RESPONSE-ADDRESS", "RFC 3489"), (0x0004, "SOURCE-ADDRESS", "RFC 3489"),
    (0x0005, "CHANGED-ADDRESS", "RFC 3489"), (0x0007, "PASSWORD", "RFC 3489"),
    (0x000b, "REFLECTED-FROM", "RFC 3489"),
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
        let row = REGISTRY.iter().find(|(_, n, _)| *n == name).expect(name);
        assert_eq!(ours, row.0, "{name}, {}", row.2);
    }
}

#[test]
fn what_may_be_passed_over_is_registered_and_comprehension_required() {
    for kind in attribute::KNOWN.iter().chain(&attribute::KNOWN_IN_REQUEST) {
        assert!(REGISTRY.iter().any(|(number, ..)| number == kind), "{kind:#06x} is in no registry");
        assert!(*kind < 0x8000, "{kind:#06x} may be passed over anyway (RFC 8489, section 14)");
    }
}
