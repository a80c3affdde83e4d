//! The dialect of RFC 3489, which `stun-rs` does not speak: its messages are read and composed as those of RFC 8489, and
//! translated. What differs is that the id is four bytes longer, in place of the cookie; the numbers of two attributes; and that
//! nothing is padded.

use super::{Attributes, COOKIE, FINGERPRINT_XOR, HEADER_LEN, attribute, crc32};

/// The number under which `stun-rs` knows an attribute of the same form.
pub(super) fn to_rfc8489(kind: u16) -> u16 {
    match kind {
        attribute::SOURCE_ADDRESS => attribute::RESPONSE_ORIGIN,
        attribute::CHANGED_ADDRESS => attribute::OTHER_ADDRESS,
        // Older than RFC 5389 and younger than RFC 3489.
        attribute::XOR_MAPPED_ADDRESS_OLD => attribute::XOR_MAPPED_ADDRESS,
        _ => kind,
    }
}

/// Translates a message if these are not cookie and id, but an id of RFC 3489.
pub(super) fn from_rfc8489(message: &mut [u8], id: &[u8; 16]) {
    if id[..4] == COOKIE.to_be_bytes() {
        return;
    }
    message[4..HEADER_LEN].copy_from_slice(id);
    let mut at = HEADER_LEN;
    while let Some(Ok((kind, value))) = Attributes(&message[at..]).next() {
        let (len, start) = (value.len(), at + 4);
        let kind = match kind {
            attribute::RESPONSE_ORIGIN => attribute::SOURCE_ADDRESS,
            attribute::OTHER_ADDRESS => attribute::CHANGED_ADDRESS,
            _ => kind,
        };
        message[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        at = start + len.next_multiple_of(4);
        if kind == attribute::UNKNOWN_ATTRIBUTES && !len.is_multiple_of(4) {
            // RFC 3489, section 11.2.10: an odd list repeats one.
            message.copy_within(start..start + 2, start + len);
            message[start - 2..start].copy_from_slice(&(len as u16 + 2).to_be_bytes());
        }
        if kind == attribute::FINGERPRINT {
            let print = crc32(&message[..start - 4]) ^ FINGERPRINT_XOR;
            message[start..at].copy_from_slice(&print.to_be_bytes());
        }
    }
}
