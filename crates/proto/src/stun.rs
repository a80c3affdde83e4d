//! STUN Binding messages (RFC 8489).
//!
//! They are composed and read by `stun-rs` ([`behavior`], [`server`]), with two exceptions, which are written here and compared
//! with it in the tests:
//! - what a sweep sends and reads, and a server's plain Binding success: hundreds of thousands a second, without allocation;
//! - the envelope check, which stands before everything that comes from the network: length, cookie, type, id, and where the
//!   attributes begin and end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub mod behavior;
pub mod guard;
mod message;
mod rfc3489;
pub mod server;
mod write;

pub use message::panics;
pub use server::respond;

/// The 96-bit transaction id.
pub type TransactionId = [u8; 12];

/// Length of [`binding_request`].
pub const BINDING_REQUEST_LEN: usize = 20;

/// The most that [`respond`] writes.
pub const MAX_RESPONSE_LEN: usize = 64;

const HEADER_LEN: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Message types: method Binding with each class (RFC 8489, section 5).
mod kind {
    pub(super) const REQUEST: u16 = 0x0001;
    pub(super) const SUCCESS: u16 = 0x0101;
    pub(super) const ERROR: u16 = 0x0111;
}

/// Attribute types that are read or written by value.
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    /// RFC 5780, section 7.2; the number is that of RFC 3489.
    pub(super) const CHANGE_REQUEST: u16 = 0x0003;
    /// RFC 3489: where the response comes from.
    pub(super) const SOURCE_ADDRESS: u16 = 0x0004;
    /// RFC 3489: where it would come from if both address and port were changed.
    pub(super) const CHANGED_ADDRESS: u16 = 0x0005;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    /// RFC 5780, section 7.6.
    pub(super) const PADDING: u16 = 0x0026;
    /// RFC 5780, section 7.5.
    pub(super) const RESPONSE_PORT: u16 = 0x0027;
    pub(super) const SOFTWARE: u16 = 0x8022;
    /// What servers sent before the number of XOR-MAPPED-ADDRESS was settled.
    pub(super) const XOR_MAPPED_ADDRESS_OLD: u16 = 0x8020;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    /// RFC 5780, section 7.3.
    pub(super) const RESPONSE_ORIGIN: u16 = 0x802b;
    /// RFC 5780, section 7.4.
    pub(super) const OTHER_ADDRESS: u16 = 0x802c;
    /// Comprehension-required attributes that may stand in a response, besides those above: RFC 3489 (0x0002, 0x0004,
    /// 0x0005, 0x0007, 0x000b), RFC 8489, RFC 5780. They can be passed over.
    pub(super) const KNOWN: [u16; 18] = [
        0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0007, 0x0008, 0x000b, 0x0014, 0x0015, 0x001c, 0x001d,
        0x001e, 0x0024, 0x0025, 0x0026, 0x0027, 0x000a,
    ];
    /// Those of them that a server may pass over in a request: credentials, which a plain server does not ask for, and
    /// what ICE adds.
    pub(super) const KNOWN_IN_REQUEST: [u16; 9] =
        [0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0024, 0x0025];
}

/// A Binding request without attributes.
#[must_use]
pub fn binding_request(id: &TransactionId) -> [u8; BINDING_REQUEST_LEN] {
    let mut request = [0; BINDING_REQUEST_LEN];
    request[..2].copy_from_slice(&kind::REQUEST.to_be_bytes());
    request[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    request[8..].copy_from_slice(id);
    request
}

/// A response to a Binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The transaction id.
    pub id: TransactionId,
    /// What it says.
    pub body: ReplyBody,
    /// Whether the mapped address was in XOR-MAPPED-ADDRESS. Devices on the way that replace addresses wherever they find them
    /// rewrite MAPPED-ADDRESS too (RFC 8489, section 14.2), so that alone proves nothing.
    pub protected: bool,
}

/// What a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// The address and port that the server saw. IPv4 in IPv6 form is given as IPv4.
    Mapped(SocketAddr),
    /// A success response without a mapped address.
    NoMappedAddress,
    /// An error response with this code; 0 if it had none.
    Error(u16),
}

/// Why bytes are not a response to a Binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAReply {
    /// Shorter than a header.
    TooShort,
    /// No STUN header: the first two bits or the cookie are wrong.
    NotStun,
    /// The length in the header is not that of the datagram.
    WrongLength,
    /// A STUN message, but no response to a Binding request.
    NotAResponse,
    /// FINGERPRINT is there and wrong, or not the last attribute.
    WrongFingerprint,
    /// A success response with a comprehension-required attribute that is not known (RFC 8489, section 6.3.3).
    UnknownRequired(u16),
    /// An attribute that runs over the end.
    BrokenAttribute,
    /// A mapped address of the wrong length or family, or with port 0.
    BadAddress,
}

/// The transaction id, if the bytes begin with a STUN header.
#[must_use]
pub fn transaction_id(bytes: &[u8]) -> Option<TransactionId> {
    let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    let stun = header[0] & 0xc0 == 0 && header[4..8] == COOKIE.to_be_bytes();
    stun.then(|| id_of(header))
}

fn id_of(header: &[u8; HEADER_LEN]) -> TransactionId {
    let mut id = [0; 12];
    id.copy_from_slice(&header[8..]);
    id
}

/// The id of what has the envelope of a response to a Binding request.
#[must_use]
pub fn response_id(bytes: &[u8]) -> Option<TransactionId> {
    envelope(bytes).ok().map(|(id, _)| id)
}

/// Reads a response (RFC 8489, sections 6.3 and 14), as fast as a sweep needs it.
///
/// XOR-MAPPED-ADDRESS counts before its old number 0x8020, and that before MAPPED-ADDRESS, which some NATs rewrite; of each
/// only the first. The family is that of the attribute, not of the socket.
///
/// # Errors
/// [`NotAReply`]; it costs nothing to make, since floods of garbage must not either.
pub fn read_reply(bytes: &[u8]) -> Result<Reply, NotAReply> {
    let (id, success) = envelope(bytes)?;
    let (mut mapped, mut rank, mut code, mut unknown) = (None, 0, None, None);
    for attribute in Attributes(&bytes[HEADER_LEN..]) {
        let (kind, value) = attribute?;
        match kind {
            attribute::XOR_MAPPED_ADDRESS if rank < 3 => {
                (mapped, rank) = (Some(read_address(value, Some(&id))?), 3);
            }
            attribute::XOR_MAPPED_ADDRESS_OLD if rank < 2 => {
                (mapped, rank) = (Some(read_address(value, Some(&id))?), 2);
            }
            attribute::MAPPED_ADDRESS if rank < 1 => (mapped, rank) = (Some(read_address(value, None)?), 1),
            attribute::ERROR_CODE => {
                if let (None, [_, _, class, number, ..]) = (code, value) {
                    code = Some(u16::from(class & 7) * 100 + u16::from(*number));
                }
            }
            attribute::FINGERPRINT => check_fingerprint(bytes, value)?,
            // A second address of a kind, or what may be passed over.
            attribute::XOR_MAPPED_ADDRESS | attribute::MAPPED_ADDRESS | 0x8000.. => {}
            other if attribute::KNOWN.contains(&other) => {}
            other => unknown = unknown.or(Some(other)),
        }
    }
    let body = ReplyBody::conclude(success, unknown, mapped, code)?;
    Ok(Reply { id, body, protected: rank > 1 })
}

/// What is looked at before anything else: that it is a response to a Binding request, as long as it says. Gives its id, and
/// whether it is a success response.
#[inline]
fn envelope(bytes: &[u8]) -> Result<(TransactionId, bool), NotAReply> {
    let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(NotAReply::TooShort)?;
    let id = transaction_id(bytes).ok_or(NotAReply::NotStun)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if length != bytes.len() - HEADER_LEN || length % 4 != 0 {
        return Err(NotAReply::WrongLength);
    }
    match u16::from_be_bytes([header[0], header[1]]) {
        kind::SUCCESS => Ok((id, true)),
        kind::ERROR => Ok((id, false)),
        _ => Err(NotAReply::NotAResponse),
    }
}

impl ReplyBody {
    /// What the attributes amount to.
    #[inline]
    fn conclude(
        success: bool,
        unknown: Option<u16>,
        mapped: Option<SocketAddr>,
        code: Option<u16>,
    ) -> Result<Self, NotAReply> {
        match (success, unknown, mapped) {
            (true, Some(unknown), _) => Err(NotAReply::UnknownRequired(unknown)),
            (true, None, Some(mapped)) => Ok(Self::Mapped(mapped)),
            (true, None, None) => Ok(Self::NoMappedAddress),
            (false, ..) => Ok(Self::Error(code.unwrap_or(0))),
        }
    }
}

/// The attributes of a message: type and value, without the padding to four bytes.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), NotAReply>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(([k0, k1, l0, l1], rest)) = self.0.split_first_chunk::<4>() else {
            self.0 = &[];
            return Some(Err(NotAReply::BrokenAttribute));
        };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((value, next)) = rest.split_at_checked(length.next_multiple_of(4)) else {
            self.0 = &[];
            return Some(Err(NotAReply::BrokenAttribute));
        };
        self.0 = next;
        Some(Ok((u16::from_be_bytes([*k0, *k1]), &value[..length])))
    }
}

/// Reads MAPPED-ADDRESS, or with an id XOR-MAPPED-ADDRESS (RFC 8489, sections 14.1 and 14.2).
fn read_address(value: &[u8], xor: Option<&TransactionId>) -> Result<SocketAddr, NotAReply> {
    let (mask, port_mask) = match xor {
        Some(id) => (address_mask(id), (COOKIE >> 16) as u16),
        None => ([0; 16], 0),
    };
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>().ok_or(NotAReply::BadAddress)?;
    let port = u16::from_be_bytes([p0, p1]) ^ port_mask;
    let ip: IpAddr = match (family, address.len()) {
        (1, 4) => {
            let bits = u32::from_be_bytes(address.try_into().map_err(|_| NotAReply::BadAddress)?);
            Ipv4Addr::from(bits ^ u32::from_be_bytes([mask[0], mask[1], mask[2], mask[3]])).into()
        }
        (2, 16) => {
            let bits = u128::from_be_bytes(address.try_into().map_err(|_| NotAReply::BadAddress)?);
            Ipv6Addr::from(bits ^ u128::from_be_bytes(mask)).to_canonical()
        }
        _ => return Err(NotAReply::BadAddress),
    };
    if port == 0 {
        return Err(NotAReply::BadAddress);
    }
    Ok(SocketAddr::new(ip, port))
}

/// Cookie and id, one after the other.
fn address_mask(id: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(id);
    mask
}

/// FINGERPRINT must be the last attribute and the CRC-32 of all before it, `XORed` (RFC 8489, section 14.7).
fn check_fingerprint(message: &[u8], value: &[u8]) -> Result<(), NotAReply> {
    let before = message.len().checked_sub(8).ok_or(NotAReply::WrongFingerprint)?;
    let last = message.get(before..before + 4) == Some(&[0x80, 0x28, 0, 4]);
    let right = (crc32(&message[..before]) ^ FINGERPRINT_XOR).to_be_bytes();
    if last && value == right { Ok(()) } else { Err(NotAReply::WrongFingerprint) }
}

/// CRC-32 of ISO 3309 (V.42), bit by bit: a hundred bytes now and then need no table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests;
