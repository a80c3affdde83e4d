//! Against `stun-types`, an independent decoder: real messages, and what becomes of them with bytes changed, cut off and added.

use stun_types::attribute::{AttributeType, XorMappedAddress};
use stun_types::message::{
    LongTermKeyCredentials, Message, MessageIntegrityCredentials, ShortTermCredentials,
};

use super::*;
use crate::stun::behavior::{self, ChangeRequest};

/// Messages from RFC 5769, from coturn, and broken ones.
const CORPUS: [(&str, &str); 12] = [
    ("rfc5769-2.1-request", include_str!("corpus/rfc5769-2.1-request.hex")),
    ("rfc5769-2.2-response-ipv4", include_str!("corpus/rfc5769-2.2-response-ipv4.hex")),
    ("rfc5769-2.3-response-ipv6", include_str!("corpus/rfc5769-2.3-response-ipv6.hex")),
    ("rfc5769-2.4-request-long-term", include_str!("corpus/rfc5769-2.4-request-long-term.hex")),
    ("coturn-4.6.1-plain", include_str!("corpus/coturn-4.6.1-plain.hex")),
    ("coturn-4.6.1-changed", include_str!("corpus/coturn-4.6.1-changed.hex")),
    ("coturn-4.6.1-error-420", include_str!("corpus/coturn-4.6.1-error-420.hex")),
    ("coturn-4.6.1-rfc3489", include_str!("corpus/coturn-4.6.1-rfc3489.hex")),
    ("old-xor-mapped-0x8020", include_str!("corpus/old-xor-mapped-0x8020.hex")),
    ("attribute-over-the-end", include_str!("corpus/attribute-over-the-end.hex")),
    ("empty-success", include_str!("corpus/empty-success.hex")),
    ("fingerprint-in-the-middle", include_str!("corpus/fingerprint-in-the-middle.hex")),
];

/// Changed messages of each of the corpus.
const CHANGES: u64 = 4_000;

fn message_of(name: &str) -> Vec<u8> {
    bytes(CORPUS.iter().find(|(n, _)| *n == name).expect("in the corpus").1)
}

/// The messages of RFC 5769 are copied right: their MESSAGE-INTEGRITY fits the passwords that it names.
#[test]
fn the_vectors_of_rfc_5769_carry_their_passwords() {
    let short: MessageIntegrityCredentials =
        ShortTermCredentials::new("VOkJxbRl1RmTxUk/WvJxBt".into()).into();
    // SASLprep of "The\u{ad}M\u{aa}tr\u{2168}".
    let long: MessageIntegrityCredentials =
        LongTermKeyCredentials::new("マトリックス".into(), "TheMatrIX".into(), "example.org".into()).into();
    for (name, credentials) in [
        ("rfc5769-2.1-request", &short),
        ("rfc5769-2.2-response-ipv4", &short),
        ("rfc5769-2.3-response-ipv6", &short),
        ("rfc5769-2.4-request-long-term", &long),
    ] {
        let whole = message_of(name);
        let message = Message::from_bytes(&whole).expect(name);
        assert!(message.validate_integrity(credentials).is_ok(), "{name}");
    }
}

/// Sections 2.1 and 2.4: a server without passwords passes over the credentials and answers, and never answers a request whose
/// FINGERPRINT is wrong.
#[test]
fn the_requests_of_rfc_5769_are_answered() {
    let from = "192.0.2.1:32853".parse().expect("an address");
    for name in ["rfc5769-2.1-request", "rfc5769-2.4-request-long-term"] {
        let request = message_of(name);
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = respond(&request, from, &mut out).expect(name);
        let reply = read_reply(&out[..len]).expect("an answer");
        assert_eq!((reply.id[..].to_vec(), reply.body), (request[8..20].to_vec(), ReplyBody::Mapped(from)));
    }
    let mut changed = message_of("rfc5769-2.1-request");
    changed[30] ^= 1;
    assert_eq!(respond(&changed, from, &mut [0; MAX_RESPONSE_LEN]), None);
}

#[test]
fn the_messages_of_coturn_are_read() {
    let text = |text: &str| text.parse::<SocketAddr>().ok();
    for (name, want) in [
        ("coturn-4.6.1-plain", (text("10.0.0.2:56316"), text("10.0.0.2:56316"), text("192.0.2.2:3479"))),
        ("coturn-4.6.1-rfc3489", (text("10.0.0.2:56316"), None, text("192.0.2.2:3479"))),
        ("old-xor-mapped-0x8020", (None, text("192.0.2.7:4660"), None)),
        ("empty-success", (None, None, None)),
    ] {
        let found = behavior::addresses(&message_of(name));
        assert_eq!((found.plain, found.xored, found.other), want, "{name}");
    }
    let error = read_reply(&message_of("coturn-4.6.1-error-420")).expect("an error response");
    assert_eq!(error.body, ReplyBody::Error(420));
    assert_eq!(
        read_reply(&message_of("coturn-4.6.1-rfc3489")),
        Err(NotAReply::NotStun),
        "no cookie, no answer to us"
    );
}

/// Sequence of pseudo-random numbers, the same in each run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

fn change(message: &mut Vec<u8>, state: &mut u64) {
    for _ in 0..=next(state) % 3 {
        let at = next(state) % message.len().max(1);
        match next(state) % 6 {
            0 | 1 if !message.is_empty() => message[at] ^= 1 << (next(state) % 8),
            2 if !message.is_empty() => message[at] = next(state) as u8,
            3 => message.truncate(at),
            4 => message.extend((0..next(state) % 9).map(|b| b as u8)),
            // The length is right again, so that what follows is looked at.
            _ if message.len() >= 20 => {
                let len = (message.len() - 20) as u16;
                message[2..4].copy_from_slice(&len.to_be_bytes());
            }
            _ => {}
        }
    }
}

#[test]
fn what_is_accepted_is_read_as_the_other_decoder_reads_it() {
    let (mut state, mut accepted, mut compared) = (42, 0, 0);
    for (name, hex) in CORPUS {
        for round in 0..CHANGES {
            let mut message = bytes(hex);
            if round > 0 {
                change(&mut message, &mut state);
            }
            let found = behavior::addresses(&message);
            let Ok(reply) = read_reply(&message) else { continue };
            accepted += 1;
            let why = || format!("{name}, round {round}: {message:02x?}");
            let theirs = Message::from_bytes(&message).unwrap_or_else(|error| panic!("{error}: {}", why()));
            assert_eq!(theirs.as_bytes()[8..20], reply.id, "{}", why());
            if let (Ok(address), Some(ours)) = (theirs.attribute::<XorMappedAddress>(), found.xored) {
                let address = address.addr(theirs.transaction_id());
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                // Of several, or with the old number before it, ours may be another.
                if theirs.nth_raw_attribute(AttributeType::new(0x8020), 0).is_none() {
                    assert_eq!(ours, address, "{}", why());
                    if let ReplyBody::Mapped(mapped) = reply.body {
                        assert_eq!(mapped, ours, "{}", why());
                    }
                    compared += 1;
                }
            }
        }
    }
    println!("{accepted} of {} accepted, {compared} addresses compared", CORPUS.len() as u64 * CHANGES);
    assert!(accepted > 1_000 && compared > 500, "{accepted} {compared}");
}

/// What the other decoder takes for a response and ours does not, is refused for a rule that only ours has.
#[test]
fn what_is_refused_is_refused_for_a_reason() {
    let mut state = 7;
    for (name, hex) in CORPUS {
        for _ in 0..CHANGES {
            let mut message = bytes(hex);
            change(&mut message, &mut state);
            let Err(why) = read_reply(&message) else { continue };
            let Ok(theirs) = Message::from_bytes(&message) else { continue };
            let known = matches!(
                why,
                NotAReply::NotAResponse
                    | NotAReply::WrongLength
                    | NotAReply::UnknownRequired(_)
                    | NotAReply::WrongFingerprint
                    | NotAReply::BadAddress
                    | NotAReply::BrokenAttribute
            );
            assert!(known, "{name}: {why:?}, {} {message:02x?}", theirs.get_type());
            if why == NotAReply::NotAResponse {
                assert!(!theirs.is_response() || theirs.method().value() != 1, "{name}: {message:02x?}");
            }
        }
    }
}

#[test]
fn requests_of_ours_are_read_by_the_other_decoder() {
    for change_ip in [false, true] {
        for change_port in [false, true] {
            for response_port in [None, Some(40_000)] {
                let request = behavior::request(
                    b"abcdefghijkl",
                    ChangeRequest { change_ip, change_port, response_port },
                );
                let message = Message::from_bytes(&request).expect("a request");
                assert_eq!(message.as_bytes()[8..20], b"abcdefghijkl"[..]);
                let value = |kind| message.raw_attribute(AttributeType::new(kind)).map(|a| a.value.to_vec());
                let flags = u8::from(change_ip) << 2 | u8::from(change_port) << 1;
                assert_eq!(value(0x0003), (flags != 0).then(|| vec![0, 0, 0, flags]));
                assert_eq!(value(0x0027), response_port.map(|port: u16| port.to_be_bytes().to_vec()));
            }
        }
    }
}
