//! The attributes by which the behaviour of a NAT is found out (RFC 5780, section 7).

use std::net::SocketAddr;

use super::{Attributes, HEADER_LEN, TransactionId, attribute, binding_request, id_of, read_address};

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

/// A Binding request with the attributes that this takes.
#[must_use]
pub fn request(id: &TransactionId, change_request: ChangeRequest) -> Vec<u8> {
    let mut out = binding_request(id).to_vec();
    if change_request.change_ip || change_request.change_port {
        let flags = u8::from(change_request.change_ip) << 2 | u8::from(change_request.change_port) << 1;
        out.extend(attribute::CHANGE_REQUEST.to_be_bytes());
        out.extend([0, 4, 0, 0, 0, flags]);
    }
    if let Some(port) = change_request.response_port {
        out.extend(attribute::RESPONSE_PORT.to_be_bytes());
        // Two bytes of value, two of padding.
        out.extend([0, 2]);
        out.extend(port.to_be_bytes());
        out.extend([0, 0]);
    }
    let length = (out.len() - HEADER_LEN) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
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

/// Reads the addresses of a response that [`super::read_reply`] has accepted; what is broken is taken as missing.
#[must_use]
pub fn addresses(response: &[u8]) -> Addresses {
    let mut found = Addresses::default();
    let Some(header) = response.first_chunk() else { return found };
    let id = id_of(header);
    let mut changed = None;
    for (kind, value) in Attributes(&response[HEADER_LEN..]).map_while(Result::ok) {
        let plain = || read_address(value, None).ok();
        match kind {
            attribute::MAPPED_ADDRESS => found.plain = found.plain.or_else(plain),
            attribute::XOR_MAPPED_ADDRESS | attribute::XOR_MAPPED_ADDRESS_OLD => {
                found.xored = found.xored.or_else(|| read_address(value, Some(&id)).ok());
            }
            attribute::OTHER_ADDRESS => found.other = found.other.or_else(plain),
            attribute::CHANGED_ADDRESS => changed = changed.or_else(plain),
            _ => {}
        }
    }
    found.other = found.other.or(changed);
    found
}
