//! Binding requests of all kinds and their responses, for everything but a sweep: the attributes by which the behaviour of a NAT is
//! found out (RFC 5780, section 7).

use std::net::SocketAddr;

use stun_rs::attributes::discovery::{self, ChangeRequestFlags, ResponsePort};
use stun_rs::{MessageClass, StunAttribute};

use super::message::{self, Value};
use super::{
    BINDING_REQUEST_LEN, NotAReply, Reply, ReplyBody, TransactionId, attribute, binding_request, envelope,
};

/// What a Binding request asks the server to do beyond answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeRequest {
    /// Answer from the other address (CHANGE-REQUEST, section 7.2).
    pub change_ip: bool,
    /// Answer from the other port.
    pub change_port: bool,
    /// Answer to this port of the address that the request came from (RESPONSE-PORT, section 7.5).
    pub response_port: Option<u16>,
}

/// CHANGE-REQUEST and RESPONSE-PORT, eight bytes each.
const MOST: usize = BINDING_REQUEST_LEN + 16;

/// A Binding request with the attributes that this takes.
///
/// # Panics
/// Never: there is room for all that a request can have.
#[must_use]
pub fn request(id: &TransactionId, change_request: ChangeRequest) -> Vec<u8> {
    let mut attributes: Vec<StunAttribute> = Vec::new();
    let ChangeRequest { change_ip, change_port, response_port } = change_request;
    let flags = match (change_ip, change_port) {
        (false, false) => None,
        (true, false) => Some(ChangeRequestFlags::ChangeIp.into()),
        (false, true) => Some(ChangeRequestFlags::ChangePort.into()),
        (true, true) => Some(ChangeRequestFlags::ChangeIp | ChangeRequestFlags::ChangePort),
    };
    attributes.extend(flags.map(|flags| discovery::ChangeRequest::new(Some(flags)).into()));
    attributes.extend(response_port.map(|port| ResponsePort::from(port).into()));
    let mut cookie_and_id = [0; 16];
    cookie_and_id.copy_from_slice(&binding_request(id)[4..]);
    let mut out = vec![0; MOST];
    let len = message::compose(&mut out, MessageClass::Request, &cookie_and_id, attributes);
    out.truncate(len.expect("there is room for all that a request can have"));
    out
}

/// The addresses in a response, each by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// MAPPED-ADDRESS, which an application-level gateway on the way may rewrite.
    pub plain: Option<SocketAddr>,
    /// XOR-MAPPED-ADDRESS, or its old number.
    pub xored: Option<SocketAddr>,
    /// OTHER-ADDRESS, or what RFC 3489 called CHANGED-ADDRESS and old servers send still: where the server's other address and port are.
    pub other: Option<SocketAddr>,
}

/// A response, and all addresses in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// What [`super::read_reply`] would have read.
    pub reply: Reply,
    /// Each address; what is broken is taken as missing.
    pub addresses: Addresses,
}

/// Reads a response, as [`super::read_reply`] does and with all its addresses, by `stun-rs`. To be called when the id was
/// looked at ([`super::response_id`]), so that no stranger's bytes get here.
///
/// # Errors
/// [`NotAReply`]. Of several reasons it may be another one than that of [`super::read_reply`].
pub fn read(bytes: &[u8]) -> Result<Response, NotAReply> {
    let (id, success) = envelope(bytes)?;
    let (attributes, whole) = message::read(bytes);
    if !whole {
        return Err(NotAReply::BrokenAttribute);
    }
    let (mut found, mut changed) = (Addresses::default(), None);
    let (mut mapped, mut rank, mut code, mut unknown) = (None, 0, None, None);
    for attribute in &attributes {
        let address = match attribute.value {
            Value::Address(address) if address.port() != 0 => {
                Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
            }
            _ => None,
        };
        let (slot, its_rank) = match attribute.kind {
            attribute::XOR_MAPPED_ADDRESS => (&mut found.xored, 3),
            attribute::XOR_MAPPED_ADDRESS_OLD => (&mut found.xored, 2),
            attribute::MAPPED_ADDRESS => (&mut found.plain, 1),
            attribute::OTHER_ADDRESS => (&mut found.other, 0),
            attribute::CHANGED_ADDRESS => (&mut changed, 0),
            attribute::ERROR_CODE => {
                code = code.or(error_code(attribute));
                continue;
            }
            attribute::FINGERPRINT if attribute.value != Value::Fingerprint(true) => {
                return Err(NotAReply::WrongFingerprint);
            }
            other if other >= 0x8000 || attribute::KNOWN.contains(&other) => continue,
            other => {
                unknown = unknown.or(Some(other));
                continue;
            }
        };
        *slot = slot.or(address);
        if its_rank > rank {
            (mapped, rank) = (Some(address.ok_or(NotAReply::BadAddress)?), its_rank);
        }
    }
    found.other = found.other.or(changed);
    let body = ReplyBody::conclude(success, unknown, mapped, code)?;
    Ok(Response { reply: Reply { id, body, protected: rank > 1 }, addresses: found })
}

/// The code, also one that no RFC knows: class and number stand in the third and fourth byte.
fn error_code(attribute: &message::Attribute<'_>) -> Option<u16> {
    match (attribute.value, attribute.raw) {
        (Value::ErrorCode(code), _) => Some(code),
        (_, [_, _, class, number, ..]) => Some(u16::from(class & 7) * 100 + u16::from(*number)),
        _ => None,
    }
}
