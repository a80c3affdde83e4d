//! Against `stun-types`, an independent decoder: real messages, and what becomes of them with bytes changed, cut off and added.

use std::collections::BTreeMap;

use stun_types::attribute::{AttributeType, Fingerprint, RawAttribute, XorMappedAddress};
use stun_types::message::{
    BINDING, LongTermKeyCredentials, Message, MessageClass, MessageHeader, MessageIntegrityCredentials,
    ShortTermCredentials, StunParseError,
};

use super::*;
use crate::stun::behavior::{self, ChangeRequest};

/// Messages from RFC 5769, from coturn, and broken ones.
pub(super) const CORPUS: [(&str, &str); 12] = [
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
        let mut whole = message_of(name);
        // What has no cookie is no answer to a request of ours; its addresses are read as if it were one.
        whole[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        let found = behavior::read(&whole).expect(name).addresses;
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
        match next(state) % 7 {
            0 | 1 if !message.is_empty() => message[at] ^= 1 << (next(state) % 8),
            2 if !message.is_empty() => message[at] = next(state) as u8,
            3 => message.truncate(at),
            4 => message.extend((0..next(state) % 9).map(|b| b as u8)),
            // Port 0, plain and XORed.
            5 if at + 2 <= message.len() => {
                let port = [[0, 0], [0x21, 0x12]][next(state) % 2];
                message[at..at + 2].copy_from_slice(&port);
            }
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
            let Ok(reply) = read_reply(&message) else { continue };
            let found = behavior::read(&message).expect("what one reader accepts the other does").addresses;
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

/// Where an attribute begins, its type, its value.
type Attribute<'a> = (usize, u16, &'a [u8]);

/// The attributes, and whether the last ends where the message does.
fn walk(message: &[u8]) -> (Vec<Attribute<'_>>, bool) {
    let (mut at, mut all) = (20, Vec::new());
    while let Some(&[k0, k1, l0, l1]) = message.get(at..at + 4) {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(value) = message.get(at + 4..at + 4 + len.next_multiple_of(4)) else { return (all, false) };
        all.push((at, u16::from_be_bytes([k0, k1]), &value[..len]));
        at += 4 + value.len();
    }
    (all, at == message.len())
}

/// Whether there is that reason to refuse a message, as the other decoder or a plain reading of the rule has it.
fn is_true(why: NotAReply, message: &[u8]) -> bool {
    let header = MessageHeader::from_bytes(message);
    let (attributes, whole) = walk(message);
    let any =
        |is: &dyn Fn(usize, u16, &[u8]) -> bool| attributes.iter().any(|(at, kind, v)| is(*at, *kind, v));
    match (why, header) {
        (NotAReply::TooShort, _) => message.len() < 20,
        (NotAReply::NotStun, header) => matches!(header, Err(StunParseError::NotStun)),
        (_, Err(_)) => false,
        (NotAReply::WrongLength, Ok(header)) => {
            let len = usize::from(header.data_length());
            len != message.len() - 20 || !len.is_multiple_of(4)
        }
        (NotAReply::NotAResponse, Ok(header)) => {
            !header.get_type().is_response() || header.get_type().method() != BINDING
        }
        (NotAReply::BrokenAttribute, _) => !whole,
        (NotAReply::WrongFingerprint, _) => any(&|at, kind, value| {
            let wrong = Fingerprint::try_from(&RawAttribute::new(AttributeType::new(0x8028), value))
                .map_or(true, |theirs| *theirs.fingerprint() != Fingerprint::compute(&[&message[..at]]));
            kind == 0x8028 && (wrong || at + 8 != message.len())
        }),
        (NotAReply::BadAddress, _) => any(&|_, kind, value| {
            let refused =
                || XorMappedAddress::try_from(&RawAttribute::new(AttributeType::new(0x0020), value)).is_err();
            // Port 0 is no port; in the XORed form it is the first half of the cookie.
            match kind {
                0x0001 => refused() || value[2..4] == [0, 0],
                0x0020 | 0x8020 => refused() || value[2..4] == [0x21, 0x12],
                _ => false,
            }
        }),
        (NotAReply::UnknownRequired(unknown), Ok(header)) => {
            // RFC 8489, section 18.3.1: what every agent has to know.
            let known =
                matches!(unknown, 1 | 6 | 8 | 9 | 0xa | 0x14 | 0x15 | 0x1c | 0x1d | 0x1e | 0x20 | 0x8000..);
            header.get_type().has_class(MessageClass::Success) && !known && any(&|_, kind, _| kind == unknown)
        }
    }
}

#[test]
fn what_is_refused_is_refused_for_a_reason_that_is_true() {
    let (mut state, mut times) = (7, BTreeMap::<String, u32>::new());
    for (name, hex) in CORPUS {
        for _ in 0..CHANGES {
            let mut message = bytes(hex);
            change(&mut message, &mut state);
            let Err(why) = read_reply(&message) else { continue };
            assert!(is_true(why, &message), "{name}: {why:?}, {message:02x?}");
            let reason = format!("{why:?}");
            *times.entry(reason.split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    println!("{times:?}");
    assert_eq!(times.len(), 8, "each reason comes up, and none that this test knows nothing of: {times:?}");
}

/// None of the reasons to refuse a message is true of one that is accepted, but for a second address, which nobody reads.
#[test]
fn what_is_accepted_has_no_reason_to_be_refused() {
    let mut state = 11;
    let mut accepted = 0;
    for (name, hex) in CORPUS {
        for _ in 0..CHANGES {
            let mut message = bytes(hex);
            change(&mut message, &mut state);
            let Ok(_) = read_reply(&message) else { continue };
            accepted += 1;
            for why in [
                NotAReply::TooShort,
                NotAReply::NotStun,
                NotAReply::WrongLength,
                NotAReply::NotAResponse,
                NotAReply::BrokenAttribute,
                NotAReply::WrongFingerprint,
            ] {
                assert!(!is_true(why, &message), "{name}: {why:?}, {message:02x?}");
            }
        }
    }
    assert!(accepted > 1_000, "{accepted}");
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
