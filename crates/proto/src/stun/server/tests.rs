//! Tables of requests, with where they arrive and what must come of them.

use proptest::prelude::*;
use stun_rs::attributes::discovery::{OtherAddress, ResponseOrigin};
use stun_rs::attributes::stun::{ErrorCode, MappedAddress, UnknownAttributes, XorMappedAddress};
use stun_rs::{MessageDecoderBuilder, StunMessage};

use super::super::{Attributes, FINGERPRINT_XOR, crc32};
use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The endpoints of [`pair`], by number.
const SEEN: [&str; 4] = ["192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"];

fn pair() -> Service {
    Service::pair(address(SEEN[0]), address(SEEN[3]))
}

fn with_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    let length = (message.len() + 8 - HEADER_LEN) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    let print = crc32(&message) ^ FINGERPRINT_XOR;
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(print.to_be_bytes());
    message
}

/// A request with these attributes.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0];
    out.extend(COOKIE.to_be_bytes());
    out.extend(b"abcdefghijkl");
    for (kind, value) in attributes {
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(*value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() - HEADER_LEN) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// The same without a cookie.
fn legacy(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = request(attributes);
    out[4..8].copy_from_slice(b"0123");
    out
}

const FROM: &str = "198.51.100.7:40000";

fn ask(service: &Service, bytes: &[u8], at: usize) -> Result<(Answer, Vec<u8>), Ignored> {
    ask_over(service, bytes, at, Transport::Udp, FROM)
}

fn ask_over(
    service: &Service,
    bytes: &[u8],
    at: usize,
    transport: Transport,
    from: &str,
) -> Result<(Answer, Vec<u8>), Ignored> {
    // What lay in the slot before must not show.
    let mut out = vec![0xee; MAX_ANSWER_LEN.max(bytes.len())];
    let answer = service.answer(&IncomingRequest { bytes, from: address(from), at, transport }, &mut out)?;
    out.truncate(answer.len);
    Ok((answer, out))
}

/// Read by an independent decoder.
fn read(bytes: &[u8]) -> StunMessage {
    let (message, size) = MessageDecoderBuilder::default().build().decode(bytes).expect("a message");
    assert_eq!(size, bytes.len());
    message
}

macro_rules! socket_address {
    ($message:expr, $kind:ty, $as:ident) => {
        *$message.get::<$kind>().expect("there").$as().expect("its type").socket_address()
    };
}

fn code(message: &StunMessage) -> u16 {
    message.get::<ErrorCode>().expect("an error").as_error_code().expect("its type").error_code().error_code()
}

/// The table 1 of RFC 5780, section 6.1, for each endpoint.
#[test]
fn answers_leave_from_where_the_client_wants_them_from() {
    let service = pair();
    for at in 0..4 {
        for (flags, differs) in [(None, 0), (Some(0), 0), (Some(2), 1), (Some(4), 2), (Some(6), 3)] {
            let bytes = match flags {
                None => request(&[]),
                Some(flags) => request(&[(3, &[0, 0, 0, flags])]),
            };
            let (answer, out) = ask(&service, &bytes, at).expect("an answer");
            let via = at ^ differs;
            assert_eq!((answer.via, answer.to, answer.error), (via, address(FROM), false), "{at} {flags:?}");
            let message = read(&out);
            assert_eq!(socket_address!(message, ResponseOrigin, as_response_origin), address(SEEN[via]));
            assert_eq!(socket_address!(message, OtherAddress, as_other_address), address(SEEN[at ^ 3]));
            assert_eq!(socket_address!(message, XorMappedAddress, as_xor_mapped_address), address(FROM));
            assert_eq!(socket_address!(message, MappedAddress, as_mapped_address), address(FROM));
        }
    }
}

/// RFC 3489 (section 11.2.10) knows no padding: its clients get an odd list with one of them twice; others get the list.
#[test]
fn a_list_of_unknown_attributes_is_of_even_length_for_old_clients_alone() {
    let unknown: Vec<(u16, &[u8])> = (0x7000..0x7008).map(|kind| (kind, &b""[..])).collect();
    for count in 1..=8 {
        let odd = count % 2;
        for (bytes, repeated) in [(request(&unknown[..count]), 0), (legacy(&unknown[..count]), odd)] {
            let (_, out) = ask(&pair().with_rfc3489(true), &bytes, 0).expect("an error response");
            let mut want: Vec<u16> = (0x7000..).take(count).collect();
            want.extend(vec![0x7000; repeated]);
            let mut list = [0x000a, want.len() as u16 * 2].to_vec();
            list.extend(want);
            list.extend(vec![0; odd - repeated]);
            let words: Vec<_> = out[28..].chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
            assert_eq!(words, list, "{count}, {repeated} repeated");
        }
    }
}

#[test]
fn what_cannot_be_done_is_an_error_from_the_address_that_was_asked() {
    let many: Vec<(u16, &[u8])> = (0x7000..0x7020).map(|kind| (kind, &b""[..])).collect();
    let mut broken = request(&[(0x8022, b"abcd")]);
    broken[23] = 40;
    for (name, service, bytes, want, unknown) in [
        ("no second address", Service::plain(), request(&[(3, &[0, 0, 0, 0])]), 420, vec![3]),
        ("an unknown attribute", pair(), request(&[(0x7abc, b"x"), (3, &[0, 0, 0, 6])]), 420, vec![0x7abc]),
        ("more than can be named", pair(), request(&many), 420, (0x7000..0x7008).collect()),
        ("RESPONSE-ADDRESS is a weapon", pair(), request(&[(2, &[0, 1, 0, 9, 9, 9, 9, 9])]), 420, vec![2]),
        ("an attribute over the end", pair(), broken, 400, vec![]),
        ("CHANGE-REQUEST of two bytes", pair(), request(&[(3, &[0, 6])]), 400, vec![]),
        ("RESPONSE-PORT 0", pair(), request(&[(0x27, &[0, 0, 0, 0])]), 400, vec![]),
        ("RESPONSE-PORT of three bytes", pair(), request(&[(0x27, &[1, 1, 1])]), 400, vec![]),
        (
            "RESPONSE-PORT and PADDING",
            pair(),
            request(&[(0x27, &[9, 9, 0, 0]), (0x26, &[0; 64])]),
            400,
            vec![],
        ),
    ] {
        let (answer, out) = ask(&service, &bytes, 0).expect(name);
        let message = read(&out);
        assert_eq!(
            (answer.via, answer.to, answer.error, code(&message)),
            (0, address(FROM), true, want),
            "{name}"
        );
        if want == 420 {
            let list =
                message.get::<UnknownAttributes>().expect(name).as_unknown_attributes().expect("its type");
            assert_eq!(list.attributes(), unknown, "{name}");
        }
    }
    for (kind, value) in [(3, [0, 0, 0, 6]), (0x27, [9, 9, 0, 0]), (0x26, [0; 4])] {
        let (_, out) =
            ask_over(&pair(), &request(&[(kind, &value)]), 0, Transport::Tcp, FROM).expect("an answer");
        assert_eq!(code(&read(&out)), 420, "{kind:#x} means nothing over a connection");
    }
}

#[test]
fn nothing_but_a_whole_request_is_answered() {
    let typed = |kind: u16| {
        let mut message = request(&[]);
        message[..2].copy_from_slice(&kind.to_be_bytes());
        message
    };
    let mut own = vec![0; MAX_ANSWER_LEN];
    let asked =
        IncomingRequest { bytes: &request(&[]), from: address(FROM), at: 0, transport: Transport::Udp };
    own.truncate(pair().answer(&asked, &mut own.clone()).expect("an answer").len);
    for (name, bytes, want) in [
        ("nothing", vec![], Ignored::NotStun),
        ("a text", b"GET / HTTP/1.0\r\n\r\n and more".to_vec(), Ignored::NotStun),
        ("RTP", vec![0x80; 40], Ignored::NotStun),
        ("too short a header", request(&[])[..19].to_vec(), Ignored::NotStun),
        ("a success response", typed(0x0101), Ignored::NotARequest),
        ("an error response", typed(0x0111), Ignored::NotARequest),
        ("an indication", typed(0x0011), Ignored::NotARequest),
        ("Allocate", typed(0x0003), Ignored::NotARequest),
        ("cut short", request(&[(0x8022, b"abcd")])[..24].to_vec(), Ignored::WrongLength),
        ("a byte too many", [request(&[]), vec![0]].concat(), Ignored::WrongLength),
        ("a wrong fingerprint", request(&[(0x8028, &[1, 2, 3, 4])]), Ignored::WrongFingerprint),
        (
            "a fingerprint and more",
            {
                let mut message = with_fingerprint(request(&[]));
                message.extend([0x80, 0x22, 0, 0]);
                message[3] += 4;
                message
            },
            Ignored::WrongFingerprint,
        ),
        ("RFC 3489", legacy(&[]), Ignored::NoCookie),
    ] {
        assert_eq!(ask(&pair(), &bytes, 0), Err(want), "{name}");
        assert_eq!(ask(&Service::minimal(), &bytes, 0), Err(want), "{name}");
    }
    assert_eq!(
        ask_over(&pair().with_rfc3489(true), &legacy(&[]), 0, Transport::Udp, "[2001:db8::7]:9"),
        Err(Ignored::NoCookie)
    );
}

#[test]
fn old_clients_get_the_attributes_they_know() {
    let service = pair().with_rfc3489(true);
    let (answer, out) = ask(&service, &legacy(&[(3, &[0, 0, 0, 4])]), 1).expect("an answer");
    assert_eq!(answer.via, 3);
    assert_eq!(out[4..20], *b"0123abcdefghijkl", "all 128 bits are the id");
    let plain = |kind: u16, text: &str| {
        let SocketAddr::V4(a) = address(text) else { unreachable!() };
        let mut bytes = [kind.to_be_bytes(), [0, 8], [0, 1], a.port().to_be_bytes()].concat();
        bytes.extend(a.ip().octets());
        bytes
    };
    assert_eq!(out[20..], [plain(1, FROM), plain(4, SEEN[3]), plain(5, SEEN[2])].concat());
    let (_, out) = ask(&service, &legacy(&[(0x7abc, b"")]), 0).expect("an answer");
    assert_eq!(out[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 4, 0x7a, 0xbc, 0x7a, 0xbc]);
    assert!(ask(&service, &request(&[]), 0).is_ok(), "new clients as well");
}

#[test]
fn response_port_moves_the_port_alone() {
    for value in [&[0x12, 0x34][..], &[0x12, 0x34, 0, 0]] {
        let (answer, out) = ask(&pair(), &request(&[(0x27, value)]), 0).expect("an answer");
        assert_eq!((answer.to, answer.via), (address("198.51.100.7:4660"), 0));
        assert_eq!(socket_address!(read(&out), XorMappedAddress, as_xor_mapped_address), address(FROM));
    }
}

#[test]
fn padding_makes_no_answer_longer_than_its_request() {
    for (name, len) in [("less than the addresses take", 8), ("some", 200), ("more than an MTU", 1_600)] {
        for service in [pair(), Service::plain()] {
            for bytes in
                [request(&[(0x26, &vec![7; len])]), with_fingerprint(request(&[(0x26, &vec![7; len])]))]
            {
                let (answer, out) = ask(&service, &bytes, 0).expect(name);
                let least = ask(&service, &request(&[]), 0).expect(name).1.len() + 8;
                assert!(out.len() <= bytes.len().max(least), "{name}: {} for {}", out.len(), bytes.len());
                let padding = Attributes(&out[HEADER_LEN..]).flatten().find(|(kind, _)| *kind == 0x26);
                assert_eq!(padding.is_some(), answer.padded, "{name}");
                read(&out);
                assert!(len < 200 || bytes.len() - out.len() < 8, "{name}: as long as it may be");
            }
        }
    }
}

#[test]
fn software_and_fingerprint() {
    let service = pair().with_software(&"é".repeat(40));
    let (_, out) = ask(&service, &with_fingerprint(request(&[])), 0).expect("an answer");
    assert_eq!(read(&out).attributes().len(), 6);
    assert!(super::super::read_reply(&out).is_ok(), "the fingerprint is right");
    assert_eq!(out[out.len() - 8..out.len() - 4], [0x80, 0x28, 0, 4]);
    assert_eq!(pair().with_software(""), pair());
    assert_eq!(pair().endpoints(), 4);
    // The longest there is fits.
    let six = Service::pair(address("[2001:db8::1]:3478"), address("[2001:db8::2]:3479"))
        .with_software(&"x".repeat(100));
    let (_, out) =
        ask_over(&six, &with_fingerprint(request(&[])), 3, Transport::Udp, "[2001:db8::7]:9").expect("fits");
    assert_eq!(out.len(), MAX_ANSWER_LEN);
}

proptest! {
    /// Whatever comes: no panic, no answer to an answer, and never more than the least a whole answer takes.
    #[test]
    fn hostile_bytes(mut noise in prop::collection::vec(any::<u8>(), 0..300), header: bool, kinds in prop::collection::vec(any::<u8>(), 0..8), at in 0_usize..4) {
        if header && noise.len() >= 20 {
            let length = ((noise.len() - 20) as u16).to_be_bytes();
            noise[..2].copy_from_slice(&[0, 1]);
            noise[2..4].copy_from_slice(&length);
            noise[4..8].copy_from_slice(&COOKIE.to_be_bytes());
            let mut place = 20;
            for kind in kinds {
                if let Some(slot) = noise.get_mut(place..place + 4) {
                    slot[0] &= 0x80;
                    slot[1] = kind & 0x2f;
                    slot[2] = 0;
                    slot[3] &= 0x3f;
                    place += 4 + usize::from(slot[3]).next_multiple_of(4);
                }
            }
        }
        for service in [pair().with_rfc3489(true), Service::plain(), Service::minimal()] {
            let at = at % service.endpoints();
            let Ok((answer, out)) = ask(&service, &noise, at) else { continue };
            prop_assert!(answer.via < service.endpoints());
            prop_assert_eq!(answer.to.ip(), address(FROM).ip());
            prop_assert!(out.len() <= noise.len().max(88), "{} for {}", out.len(), noise.len());
            prop_assert!(ask(&service, &out, at).is_err());
        }
    }
}
