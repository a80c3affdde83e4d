//! The two readers and the two writers against each other: what is written here for the hot paths, and `stun-rs`.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::mutations::{change, seeds};
use super::*;
use crate::stun::behavior::{self, Addresses, ChangeRequest};
use crate::stun::server::{Answer, Ignored, IncomingRequest, MAX_ANSWER_LEN, Service, Transport};

/// Changed messages that are read in both ways.
const ROUNDS: usize = 60_000;

/// All addresses, read by hand: each by itself, what is broken is missing.
fn addresses_by_hand(message: &[u8]) -> Addresses {
    let id = message[8..20].try_into().expect("12 bytes");
    let (mut found, mut changed) = (Addresses::default(), None);
    for (kind, value) in Attributes(&message[HEADER_LEN..]).map_while(Result::ok) {
        let plain = || read_address(value, None).ok();
        match kind {
            0x0001 => found.plain = found.plain.or_else(plain),
            0x0020 | 0x8020 => found.xored = found.xored.or_else(|| read_address(value, Some(&id)).ok()),
            0x802c => found.other = found.other.or_else(plain),
            0x0005 => changed = changed.or_else(plain),
            _ => {}
        }
    }
    found.other = found.other.or(changed);
    found
}

/// Whatever comes: `stun-rs` behind its wall and the sweep's reader accept the same messages and read the same in them.
#[test]
fn both_readers_accept_and_read_the_same() {
    let (seeds, mut random) = (seeds(), StdRng::seed_from_u64(3));
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let mut message = seeds[round % seeds.len()].clone();
        for _ in 0..round / seeds.len() % 4 {
            change(&mut message, &mut random);
        }
        match (read_reply(&message), behavior::read(&message)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs.reply, "{message:02x?}");
                assert_eq!(addresses_by_hand(&message), theirs.addresses, "{message:02x?}");
                accepted += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (ours, theirs) => panic!("{ours:?}, {theirs:?}: {message:02x?}"),
        }
    }
    assert!(accepted > 3_000 && refused > 3_000, "{accepted} accepted, {refused} refused");
}

fn service(number: usize, six: bool) -> Service {
    let text =
        if six { ["[2001:db8::1]:3478", "[2001:db8::2]:3479"] } else { ["192.0.2.1:3478", "192.0.2.2:3479"] };
    let [primary, other] = text.map(|text| text.parse().expect("an address"));
    match number {
        0 => Service::minimal(),
        1 => Service::plain(),
        2 => Service::pair(primary, other),
        _ => Service::pair(primary, other).with_software("é, a server"),
    }
}

fn ask(service: &Service, bytes: &[u8], from: SocketAddr, at: usize) -> Result<(Answer, Vec<u8>), Ignored> {
    let mut out = vec![0xee; MAX_ANSWER_LEN.max(bytes.len())];
    let asked = IncomingRequest { bytes, from, at, transport: Transport::Udp };
    let answer = service.answer(&asked, &mut out)?;
    out.truncate(answer.len);
    Ok((answer, out))
}

/// A message without its FINGERPRINT, which must be the last attribute.
fn without_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    message.truncate(message.len() - 8);
    let length = (message.len() - HEADER_LEN) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

proptest! {
    /// The plain success is written here for speed, and by `stun-rs` with a FINGERPRINT: the same bytes.
    #[test]
    fn both_writers_write_the_same_success(id: [u8; 12], from in addresses(), number in 0_usize..4, at in 0_usize..4) {
        let service = service(number, from.is_ipv6());
        let at = at % service.endpoints();
        let (plain, ours) = ask(&service, &binding_request(&id), from, at).expect("an answer");
        let request = encode(MessageClass::Request, id, |b| b.with_attribute(Fingerprint::default()));
        let (printed, theirs) = ask(&service, &request, from, at).expect("an answer");
        prop_assert_eq!(read_reply(&theirs).map(|r| r.body), Ok(ReplyBody::Mapped(from)), "its FINGERPRINT is right");
        prop_assert_eq!(&ours, &without_fingerprint(theirs));
        prop_assert_eq!(plain, Answer { len: ours.len(), ..printed });
        // What may be passed over changes nothing, whatever stands in it.
        let request = message_with(&id, &[(0x0006, &[0xff, 0xfe]), (0x8022, &[0; 800]), (0x0014, b"\"")]);
        prop_assert_eq!(ask(&service, &request, from, at).map(|(_, bytes)| bytes), Ok(ours));
    }

    /// What `stun-rs` composes here is read here, and the plain request has the same 20 bytes.
    #[test]
    fn requests_of_both_are_the_same(id: [u8; 12], change_ip: bool, change_port: bool, response_port: Option<u16>) {
        let request = behavior::request(&id, ChangeRequest { change_ip, change_port, response_port });
        let flags = u8::from(change_ip) << 2 | u8::from(change_port) << 1;
        let (change, port) = ([0, 0, 0, flags], response_port.map(u16::to_be_bytes));
        let mut attributes: Vec<(u16, &[u8])> = Vec::new();
        attributes.extend((flags != 0).then_some((3, &change[..])));
        attributes.extend(port.as_ref().map(|port| (0x27, &port[..])));
        prop_assert_eq!(&request, &message_with(&id, &attributes));
        if attributes.is_empty() {
            prop_assert_eq!(&request[..], &binding_request(&id)[..]);
        }
    }
}

fn message_with(id: &TransactionId, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = message(0x0001, attributes);
    out[8..20].copy_from_slice(id);
    out
}

/// The differences between the field and `stun-rs` (docs/design.md), and what is done about each.
#[test]
fn where_stun_rs_is_stricter_or_laxer_the_message_is_read_as_before() {
    let xor: &[u8] = &[0, 1, 0x33, 0x26, 0xe1, 0x12, 0xa6, 0x44];
    let long = [xor, &[0; 4]].concat();
    let mapped = Ok(ReplyBody::Mapped("192.0.2.6:4660".parse().expect("an address")));
    let decoder = MessageDecoderBuilder::default().build();
    let print = |mut message: Vec<u8>| {
        let len = (message.len() + 8 - HEADER_LEN) as u16;
        message[2..4].copy_from_slice(&len.to_be_bytes());
        let print = crc32(&message) ^ FINGERPRINT_XOR;
        message.extend([0x80, 0x28, 0, 4]);
        message.extend(print.to_be_bytes());
        message
    };
    let mut padded = message(0x0101, &[(0x8022, b"a"), (0x20, xor)]);
    padded[25..28].copy_from_slice(b"\xff\xff\xff");
    let mut late = print(message(0x0101, &[]));
    late.extend([0, 0x20, 0, 8]);
    late.extend(xor);
    late[3] += 12;
    let mut more = message(0x0101, &[(0x20, xor)]);
    more.extend([0; 4]);
    for (name, message, theirs, ours) in [
        ("SOFTWARE that is no UTF-8", message(0x0101, &[(0x8022, &[0xff]), (0x20, xor)]), false, mapped),
        ("SOFTWARE that is too long", message(0x0101, &[(0x8022, &[b'a'; 764]), (0x20, xor)]), false, mapped),
        ("REALM that is no quoted string", message(0x0101, &[(0x14, b"\""), (0x20, xor)]), false, mapped),
        ("MESSAGE-INTEGRITY of 4 bytes", message(0x0101, &[(8, &[0; 4]), (0x20, xor)]), false, mapped),
        ("an odd ALTERNATE-SERVER", message(0x0101, &[(0x8023, &[0; 8]), (0x20, xor)]), false, mapped),
        (
            "an odd MAPPED-ADDRESS after the other",
            message(0x0101, &[(0x20, xor), (1, &[0; 8])]),
            false,
            mapped,
        ),
        ("class 7", message(0x0111, &[(9, &[0, 0, 7, 1])]), false, Ok(ReplyBody::Error(701))),
        ("number 120", message(0x0111, &[(9, &[0, 0, 4, 120])]), false, Ok(ReplyBody::Error(520))),
        (
            "a reason that is no UTF-8",
            message(0x0111, &[(9, &[0, 0, 4, 20, 0xff])]),
            false,
            Ok(ReplyBody::Error(420)),
        ),
        ("bytes other than zero as padding", padded, true, mapped),
        ("no FINGERPRINT", message(0x0101, &[(0x20, xor)]), true, mapped),
        ("an address that is too long", message(0x0101, &[(0x20, &long)]), true, Err(NotAReply::BadAddress)),
        ("port 0", message(0x0101, &[(1, &[0, 1, 0, 0, 9, 9, 9, 9])]), true, Err(NotAReply::BadAddress)),
        ("a FINGERPRINT that is not the last", late, true, Err(NotAReply::WrongFingerprint)),
        ("more bytes than its length says", more, true, Err(NotAReply::WrongLength)),
        ("after MESSAGE-INTEGRITY", message(0x0101, &[(8, &[0; 20]), (0x20, xor)]), true, mapped),
        ("a foreign method", message(0x0103, &[(0x20, xor)]), true, Err(NotAReply::NotAResponse)),
        (
            "an unknown one",
            message(0x0101, &[(0x7abc, b""), (0x20, xor)]),
            true,
            Err(NotAReply::UnknownRequired(0x7abc)),
        ),
    ] {
        assert_eq!(decoder.decode(&message).is_ok(), theirs, "{name}: stun-rs");
        assert_eq!(behavior::read(&message).map(|r| r.reply.body), ours, "{name}");
        assert_eq!(read_reply(&message).map(|r| r.body), ours, "{name}: the sweep's reader");
    }
}
