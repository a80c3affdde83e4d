//! The one place where `stun-rs` is called. It composes and reads every message that is not on a hot path; what it is asked to
//! read has passed the envelope check (length, cookie, type, and of responses the id) before.
//!
//! What of a message nobody here reads is not shown to `stun-rs`: credentials and names would go through its tables of
//! Unicode, and one that it does not like would cost the whole message (docs/design.md has the table of such differences).

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use stun_rs::attributes::stun::Fingerprint;
use stun_rs::methods::BINDING;
use stun_rs::{
    DecoderContextBuilder, MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunAttribute,
    StunMessage, StunMessageBuilder,
};

use super::{Attributes, COOKIE, HEADER_LEN, attribute, rfc3489};

/// How an attribute is shown that `stun-rs` is not to read: a number of no meaning, which may be passed over.
const HIDDEN: u16 = 0xffff;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How often `stun-rs` has panicked in this process. None of ten million mutated messages made it, so each is a defect.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Calls `stun-rs`. A panic costs the message, no more.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    // What it touches is made for the call and dropped with it.
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }
    result.ok()
}

/// Writes a message in the slot and gives its length. A cookie of other bytes stands for a client of RFC 3489. `None` if the slot
/// is too short, which is a defect.
pub(super) fn compose(
    out: &mut [u8],
    class: MessageClass,
    cookie_and_id: &[u8; 16],
    attributes: Vec<StunAttribute>,
) -> Option<usize> {
    let mut id = [0; 12];
    id.copy_from_slice(&cookie_and_id[4..]);
    let builder = StunMessageBuilder::new(BINDING, class).with_transaction_id(id.into());
    let message = attributes.into_iter().fold(builder, StunMessageBuilder::with_attribute).build();
    let len = guarded(|| MessageEncoderBuilder::default().build().encode(out, &message).ok())??;
    rfc3489::from_rfc8489(&mut out[..len], cookie_and_id);
    Some(len)
}

/// An attribute of a message.
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    /// Its value as it came.
    pub(super) raw: &'a [u8],
    /// Its value as `stun-rs` reads it.
    pub(super) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Any attribute with an address, unmasked where it was XOR-MAPPED-ADDRESS.
    Address(SocketAddr),
    ErrorCode(u16),
    /// CHANGE-REQUEST: 1 is the port, 2 the address.
    Change(usize),
    Port(u16),
    /// FINGERPRINT, and whether it is right and the last.
    Fingerprint(bool),
    /// Of no meaning here, or malformed.
    Hidden,
}

/// The attributes of a message whose envelope is right, and whether the last of them ends where the message does.
pub(super) fn read(bytes: &[u8]) -> (Vec<Attribute<'_>>, bool) {
    let (mut attributes, mut whole) = (Vec::new(), true);
    let mut copy = bytes[..HEADER_LEN].to_vec();
    copy[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    for next in Attributes(&bytes[HEADER_LEN..]) {
        let Ok((kind, raw)) = next else {
            whole = false;
            break;
        };
        let (shown_kind, shown) = shown(kind, raw);
        copy.extend(shown_kind.to_be_bytes());
        copy.extend((shown.len() as u16).to_be_bytes());
        copy.extend(shown);
        copy.resize(copy.len().next_multiple_of(4), 0);
        attributes.push(Attribute { kind, raw, value: Value::Hidden });
    }
    let len = (copy.len() - HEADER_LEN) as u16;
    copy[2..4].copy_from_slice(&len.to_be_bytes());
    if let Some(message) = decode(&copy) {
        for (ours, theirs) in attributes.iter_mut().zip(message.attributes()) {
            ours.value = value_of(theirs, bytes);
        }
    }
    (attributes, whole)
}

/// As what, and how much of it, an attribute is shown to `stun-rs`: only what is read here, and what has the length and the
/// form that the RFC gives it. `stun-rs` takes longer values too, and refuses the message for any other fault.
fn shown(kind: u16, raw: &[u8]) -> (u16, &[u8]) {
    match (rfc3489::to_rfc8489(kind), raw) {
        (
            address @ (attribute::MAPPED_ADDRESS
            | attribute::XOR_MAPPED_ADDRESS
            | attribute::RESPONSE_ORIGIN
            | attribute::OTHER_ADDRESS),
            [_, 1, _, _, _, _, _, _] | [_, 2, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _],
        ) => (address, raw),
        (attribute::CHANGE_REQUEST | attribute::FINGERPRINT, [_, _, _, _]) => (kind, raw),
        // In the long form two reserved bytes follow the port.
        (attribute::RESPONSE_PORT, [_, _] | [_, _, _, _]) => (kind, &raw[..2]),
        // Without the text, which may be anything.
        (attribute::ERROR_CODE, [_, _, class, 0..=99, ..]) if (3..=6).contains(&(class & 7)) => {
            (kind, &raw[..4])
        }
        _ => (HIDDEN, &[]),
    }
}

fn decode(bytes: &[u8]) -> Option<StunMessage> {
    // What follows MESSAGE-INTEGRITY is read too: whoever asks without credentials has no integrity to lose.
    let context = DecoderContextBuilder::default().not_ignore().build();
    let decoder = MessageDecoderBuilder::default().with_context(context).build();
    guarded(|| decoder.decode(bytes).ok())?.map(|(message, _)| message)
}

fn value_of(theirs: &StunAttribute, bytes: &[u8]) -> Value {
    match theirs {
        StunAttribute::MappedAddress(address) => Value::Address(*address.socket_address()),
        StunAttribute::XorMappedAddress(address) => Value::Address(*address.socket_address()),
        StunAttribute::ResponseOrigin(address) => Value::Address(*address.socket_address()),
        StunAttribute::OtherAddress(address) => Value::Address(*address.socket_address()),
        StunAttribute::ErrorCode(code) => Value::ErrorCode(code.error_code().error_code()),
        StunAttribute::ChangeRequest(change) => Value::Change((change.flags().bits() >> 1 & 3) as usize),
        StunAttribute::ResponsePort(port) => Value::Port(port.as_u16()),
        StunAttribute::Fingerprint(print) => Value::Fingerprint(fingerprint_is_right(print, bytes)),
        _ => Value::Hidden,
    }
}

/// It must be the last attribute too (RFC 8489, section 14.7), at which `stun-rs` does not look.
fn fingerprint_is_right(print: &Fingerprint, bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<8>()
        .is_some_and(|(before, last)| last.starts_with(&[0x80, 0x28, 0, 4]) && print.validate(before))
}

#[cfg(test)]
mod tests {
    use stun_rs::attributes::stun::ErrorCode;

    use super::*;

    #[test]
    fn a_panic_costs_one_message_and_is_counted() {
        assert_eq!(guarded(|| 7), Some(7));
        let before = panics();
        assert_eq!(guarded::<u8>(|| panic!("of the test")), None);
        assert_eq!(panics(), before + 1);
    }

    #[test]
    fn a_slot_that_is_too_short_is_no_panic() {
        let code = ErrorCode::from(stun_rs::ErrorCode::new(420, "").expect("a code"));
        for len in 0..28 {
            let composed =
                compose(&mut vec![0; len], MessageClass::ErrorResponse, &[7; 16], vec![code.clone().into()]);
            assert_eq!(composed, None, "{len}");
        }
    }
}
