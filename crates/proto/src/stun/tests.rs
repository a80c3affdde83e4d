//! Against the vectors of RFC 5769, against `stun-rs`, and against anything at all.

use proptest::prelude::*;
use stun_rs::attributes::discovery::{OtherAddress, ResponseOrigin};
use stun_rs::attributes::stun::{ErrorCode, Fingerprint, MappedAddress, Software, XorMappedAddress};
use stun_rs::methods::BINDING;
use stun_rs::{
    MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunMessageBuilder, TransactionId as TheirId,
};

use super::*;

mod both;
mod mutations;
mod oracle;
mod registry;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// RFC 5769, sections 2.2 and 2.3.
const VECTORS: [(&str, &str); 2] = [
    (
        "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147e112a643
         00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96",
        "192.0.2.1:32853",
    ),
    (
        "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220
         00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9
         00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c",
        "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
    ),
];

#[test]
fn reads_the_vectors_of_rfc_5769() {
    for (hex, want) in VECTORS {
        let reply = read_reply(&bytes(hex)).expect("a response");
        assert_eq!(reply.id, bytes("b7e7a701bc34d686fa87dfae")[..]);
        assert_eq!(reply.body, ReplyBody::Mapped(want.parse().expect("an address")));
    }
}

#[test]
fn no_truncation_and_no_changed_byte_passes_the_fingerprint() {
    for (hex, _) in VECTORS {
        let whole = bytes(hex);
        for len in 0..whole.len() {
            assert!(read_reply(&whole[..len]).is_err(), "{len} bytes");
        }
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= flip;
                let read = read_reply(&changed);
                // Turning FINGERPRINT into some optional attribute takes it away; then the rest must read as before.
                let fingerprint_type = (whole.len() - 8..whole.len() - 6).contains(&at);
                assert!(
                    read.is_err() || (fingerprint_type && read == read_reply(&whole)),
                    "byte {at}: {read:?}"
                );
            }
        }
    }
}

/// A message with the given attributes, unchecked.
fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; 20];
    for (kind, value) in attributes {
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(*value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() - 20) as u16;
    out[..2].copy_from_slice(&kind.to_be_bytes());
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    out
}

const PLAIN: &[u8] = &[0, 1, 0x12, 0x34, 192, 0, 2, 7];

#[test]
fn follows_the_rules_of_rfc_8489() {
    // XORed with the cookie and an all-zero id.
    let xor: &[u8] = &[0, 1, 0x33, 0x26, 0xe1, 0x12, 0xa6, 0x44];
    let mapped_in_v6: &[u8] = &[0, 2, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
    let old: &[u8] = &[0, 1, 0x33, 0x26, 0xe1, 0x12, 0xa6, 0x47];
    let ok = |text: &str| Ok(ReplyBody::Mapped(text.parse().expect("an address")));
    for (name, message, want) in [
        ("MAPPED alone", message(0x0101, &[(1, PLAIN)]), ok("192.0.2.7:4660")),
        (
            "XOR-MAPPED counts, wherever it stands",
            message(0x0101, &[(1, PLAIN), (0x8020, old), (0x20, xor)]),
            ok("192.0.2.6:4660"),
        ),
        (
            "the first of a kind",
            message(0x0101, &[(1, PLAIN), (1, &[0, 1, 0, 9, 9, 9, 9, 9])]),
            ok("192.0.2.7:4660"),
        ),
        ("IPv4 in IPv6 form", message(0x0101, &[(1, mapped_in_v6)]), ok("192.0.2.7:4660")),
        (
            "an unknown optional attribute",
            message(0x0101, &[(0xc001, b"abc"), (1, PLAIN)]),
            ok("192.0.2.7:4660"),
        ),
        (
            "attributes of RFC 3489",
            message(0x0101, &[(4, PLAIN), (5, PLAIN), (1, PLAIN)]),
            ok("192.0.2.7:4660"),
        ),
        (
            "an unknown required attribute",
            message(0x0101, &[(0x7abc, b""), (1, PLAIN)]),
            Err(NotAReply::UnknownRequired(0x7abc)),
        ),
        ("no address", message(0x0101, &[]), Ok(ReplyBody::NoMappedAddress)),
        (
            "an error",
            message(0x0111, &[(9, &[0, 0, 4, 20]), (0x0a, &[0x7f, 0xff])]),
            Ok(ReplyBody::Error(420)),
        ),
        ("an error without a code", message(0x0111, &[]), Ok(ReplyBody::Error(0))),
        ("port 0", message(0x0101, &[(1, &[0, 1, 0, 0, 192, 0, 2, 7])]), Err(NotAReply::BadAddress)),
        ("family 3", message(0x0101, &[(1, &[0, 3, 0, 1, 192, 0, 2, 7])]), Err(NotAReply::BadAddress)),
        (
            "IPv4 of 5 bytes",
            message(0x0101, &[(1, &[0, 1, 0, 1, 192, 0, 2, 7, 8])]),
            Err(NotAReply::BadAddress),
        ),
        ("a request", message(0x0001, &[]), Err(NotAReply::NotAResponse)),
        ("an indication", message(0x0011, &[]), Err(NotAReply::NotAResponse)),
        ("a response of another method", message(0x0103, &[(1, PLAIN)]), Err(NotAReply::NotAResponse)),
        (
            "an attribute over the end",
            {
                let mut m = message(0x0101, &[(1, PLAIN)]);
                m[23] = 12;
                m
            },
            Err(NotAReply::BrokenAttribute),
        ),
        (
            "a trailing byte",
            {
                let mut m = message(0x0101, &[(1, PLAIN)]);
                m.push(0);
                m
            },
            Err(NotAReply::WrongLength),
        ),
        (
            "fingerprint not last",
            message(0x0101, &[(0x8028, &[1, 2, 3, 4]), (1, PLAIN)]),
            Err(NotAReply::WrongFingerprint),
        ),
        (
            "no cookie",
            {
                let mut m = message(0x0101, &[(1, PLAIN)]);
                m[4] = 0;
                m
            },
            Err(NotAReply::NotStun),
        ),
        ("RTP", vec![0x80; 40], Err(NotAReply::NotStun)),
        ("nothing", vec![], Err(NotAReply::TooShort)),
    ] {
        assert_eq!(read_reply(&message).map(|r| r.body), want, "{name}");
    }
}

/// XOR-MAPPED-ADDRESS, its old number, MAPPED-ADDRESS: the first of the best kind that is there, in whatever order they stand.
#[test]
fn of_several_addresses_the_first_of_the_best_kind_counts() {
    const KINDS: [u16; 3] =
        [attribute::MAPPED_ADDRESS, attribute::XOR_MAPPED_ADDRESS_OLD, attribute::XOR_MAPPED_ADDRESS];
    // Six addresses: 192.0.2.1 and 192.0.2.2 as the first kind, and so on; the id is all zero.
    let value = |number: u8| -> [u8; 8] {
        let plain = [0, 1, 0x12, 0x34, 192, 0, 2, number + 1];
        let mask = if number < 2 { [0; 8] } else { [0, 0, 0x21, 0x12, 0x21, 0x12, 0xa4, 0x42] };
        std::array::from_fn(|at| plain[at] ^ mask[at])
    };
    for sequence in (1..=4).flat_map(|len| (0..6_u32.pow(len)).map(move |n| (len, n))) {
        let (len, n) = sequence;
        let numbers: Vec<u8> = (0..len).map(|at| (n / 6_u32.pow(at) % 6) as u8).collect();
        let values: Vec<_> = numbers.iter().map(|number| value(*number)).collect();
        let attributes: Vec<_> =
            numbers.iter().zip(&values).map(|(number, v)| (KINDS[usize::from(number / 2)], &v[..])).collect();
        let best = numbers.iter().map(|number| number / 2).max().expect("one at least");
        let first = numbers.iter().find(|number| **number / 2 == best).expect("the best is one of them");
        let reply = read_reply(&message(0x0101, &attributes)).expect("a response");
        let want = SocketAddr::new([192, 0, 2, first + 1].into(), 0x1234);
        assert_eq!((reply.body, reply.protected), (ReplyBody::Mapped(want), best > 0), "{numbers:?}");
    }
    // What does not count is not read.
    let good = value(4);
    for broken in KINDS {
        let reply =
            read_reply(&message(0x0101, &[(attribute::XOR_MAPPED_ADDRESS, &good), (broken, b"broken!!")]));
        assert!(matches!(reply, Ok(Reply { body: ReplyBody::Mapped(_), .. })), "{broken:#06x}: {reply:?}");
    }
}

#[test]
fn only_well_formed_requests_are_answered() {
    let from = "192.0.2.1:7".parse().expect("an address");
    let mut out = [0; MAX_RESPONSE_LEN];
    let many: Vec<(u16, &[u8])> = (0x7000..0x7020).map(|kind| (kind, &b""[..])).collect();
    for (name, request, want) in [
        ("a request", message(0x0001, &[]), Some(Ok(ReplyBody::Mapped(from)))),
        ("SOFTWARE is optional", message(0x0001, &[(0x8022, b"me")]), Some(Ok(ReplyBody::Mapped(from)))),
        (
            "USERNAME and PRIORITY of ICE",
            message(0x0001, &[(6, b"a:b"), (0x24, &[0; 4])]),
            Some(Ok(ReplyBody::Mapped(from))),
        ),
        (
            "CHANGE-REQUEST is not offered",
            message(0x0001, &[(3, &[0, 0, 0, 6])]),
            Some(Ok(ReplyBody::Error(420))),
        ),
        ("more unknown ones than fit", message(0x0001, &many), Some(Ok(ReplyBody::Error(420)))),
        ("a response", message(0x0101, &[(1, PLAIN)]), None),
        ("an error response", message(0x0111, &[]), None),
        ("an indication", message(0x0011, &[]), None),
        ("another method", message(0x0003, &[]), None),
        ("cut short", message(0x0001, &[(0x8022, b"me")])[..22].to_vec(), None),
        ("a wrong fingerprint", message(0x0001, &[(0x8028, &[0; 4])]), None),
        ("noise", vec![0; 100], None),
    ] {
        let got = respond(&request, from, &mut out).map(|len| read_reply(&out[..len]).map(|r| r.body));
        assert_eq!(got, want, "{name}");
        assert!(respond(&out, from, &mut [0; MAX_RESPONSE_LEN]).is_none(), "a response is never answered");
    }
}

fn encode(
    class: MessageClass,
    id: [u8; 12],
    build: impl Fn(StunMessageBuilder) -> StunMessageBuilder,
) -> Vec<u8> {
    let builder = StunMessageBuilder::new(BINDING, class).with_transaction_id(TheirId::from(id));
    let mut buffer = vec![0; 500];
    let size = MessageEncoderBuilder::default()
        .build()
        .encode(&mut buffer, &build(builder).build())
        .expect("encoded");
    buffer.truncate(size);
    buffer
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    (any::<bool>(), any::<u128>(), 1_u16..).prop_map(|(v6, bits, port)| {
        let ip: IpAddr = if v6 { Ipv6Addr::from(bits).into() } else { Ipv4Addr::from(bits as u32).into() };
        SocketAddr::new(ip.to_canonical(), port)
    })
}

proptest! {
    #[test]
    fn agrees_with_stun_rs(id: [u8; 12], xor in addresses(), plain in addresses(), which in 0..3, code in 300_u16..699, print: bool, extras: bool) {
        let success = encode(MessageClass::SuccessResponse, id, |mut b| {
            if which != 0 { b = b.with_attribute(MappedAddress::from(plain)); }
            if extras { b = b.with_attribute(Software::new("test").expect("text")).with_attribute(OtherAddress::from(plain)).with_attribute(ResponseOrigin::from(xor)); }
            if which != 1 { b = b.with_attribute(XorMappedAddress::from(xor)); }
            if print { b = b.with_attribute(Fingerprint::default()); }
            b
        });
        let want = if which == 1 { plain } else { xor };
        prop_assert_eq!(read_reply(&success), Ok(Reply { id, body: ReplyBody::Mapped(want), protected: which != 1 }));
        let failure = encode(MessageClass::ErrorResponse, id, |b| {
            b.with_attribute(ErrorCode::from(stun_rs::ErrorCode::new(code, "reason").expect("a code")))
        });
        prop_assert_eq!(read_reply(&failure), Ok(Reply { id, body: ReplyBody::Error(code), protected: false }));
    }

    #[test]
    fn stun_rs_reads_what_we_write(id: [u8; 12], from in addresses()) {
        let decoder = MessageDecoderBuilder::default().build();
        let request = binding_request(&id);
        let (message, size) = decoder.decode(&request).expect("a message");
        prop_assert_eq!((message.method(), message.class(), size), (BINDING, MessageClass::Request, BINDING_REQUEST_LEN));
        prop_assert_eq!(message.transaction_id().as_bytes(), &id);
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = respond(&request, from, &mut out).expect("an answer");
        let (message, size) = decoder.decode(&out[..len]).expect("a message");
        let seen = message.get::<XorMappedAddress>().expect("an address").as_xor_mapped_address().expect("an address");
        prop_assert_eq!((size, *seen.socket_address()), (len, from));
    }

    #[test]
    fn nothing_panics(mut noise in prop::collection::vec(any::<u8>(), 0..200), header: bool) {
        if header && noise.len() >= 20 {
            let length = ((noise.len() - 20) as u16).to_be_bytes();
            noise[..2].copy_from_slice(&[1, 1]);
            noise[2..4].copy_from_slice(&length);
            noise[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        }
        let _ = read_reply(&noise);
        let _ = respond(&noise, "192.0.2.1:7".parse().expect("an address"), &mut [0; MAX_RESPONSE_LEN]);
    }
}
