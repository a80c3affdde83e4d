//! What a STUN server answers: bytes and where they arrived in, bytes and where they leave from out (RFC 8489, RFC 5780,
//! and RFC 3489 for old clients).
//!
//! Nothing but a Binding request is ever answered. A server that answered responses could be made to talk to another one for
//! ever.

use std::net::SocketAddr;

use stun_rs::attributes::discovery::{OtherAddress, Padding, ResponseOrigin};
use stun_rs::attributes::stun::{
    ErrorCode, Fingerprint, MappedAddress, Software, UnknownAttributes, XorMappedAddress,
};
use stun_rs::{MessageClass, StunAttribute};

use super::message::{self, Value};
use super::write::Writer;
use super::{COOKIE, HEADER_LEN, MAX_RESPONSE_LEN, attribute, kind};

/// SOFTWARE is cut to this many bytes: it makes each response longer than its request.
pub const MAX_SOFTWARE: usize = 64;

/// The most that [`Service::answer`] writes, unless the request is longer: four IPv6 addresses (96), SOFTWARE (68) and
/// FINGERPRINT (8) after the header (20).
pub const MAX_ANSWER_LEN: usize = 192;

/// Unknown attributes that are named in an error response; there may be more, and the client learns of them one by one.
const MAX_UNKNOWN: usize = 8;

/// The longest PADDING that `stun-rs` writes. Only requests of nearly a whole IP packet could have more.
const MAX_PADDING: usize = 64_000;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As a datagram.
    Udp,
    /// Over a connection, where nothing can be changed about the way back (RFC 5780, section 6.1).
    Tcp,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub struct IncomingRequest<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// Where it came from.
    pub from: SocketAddr,
    /// The number of the endpoint that it arrived at.
    pub at: usize,
    /// How it came.
    pub transport: Transport,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes written.
    pub len: usize,
    /// The number of the endpoint to send from.
    pub via: usize,
    /// Where to: the asker's address, and its port or the one that it named.
    pub to: SocketAddr,
    /// Whether it is an error response.
    pub error: bool,
    /// Whether it may be longer than a network takes in one piece (PADDING).
    pub padded: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// No STUN message.
    NotStun,
    /// A STUN message of another length than it says.
    WrongLength,
    /// A response, an indication, or another method than Binding.
    NotARequest,
    /// FINGERPRINT is there and wrong.
    WrongFingerprint,
    /// A request of RFC 3489, without the cookie, where those are not answered.
    NoCookie,
    /// From an address that nobody can have, or from the server itself.
    BadSource,
    /// From an address that is not allowed to ask.
    NotAllowed,
    /// From a prefix that has had its share.
    RateLimited,
    /// The system refused to send the answer.
    SendFailed,
}

impl Ignored {
    /// Every reason, by its number.
    pub const ALL: [Self; 9] = [
        Self::NotStun,
        Self::WrongLength,
        Self::NotARequest,
        Self::WrongFingerprint,
        Self::NoCookie,
        Self::BadSource,
        Self::NotAllowed,
        Self::RateLimited,
        Self::SendFailed,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStun => "not-stun",
            Self::WrongLength => "wrong-length",
            Self::NotARequest => "not-a-request",
            Self::WrongFingerprint => "wrong-fingerprint",
            Self::NoCookie => "no-cookie",
            Self::BadSource => "bad-source",
            Self::NotAllowed => "not-allowed",
            Self::RateLimited => "rate-limited",
            Self::SendFailed => "send-failed",
        }
    }
}

/// What the answers of a server depend on. Its endpoints are of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    endpoints: Endpoints,
    /// Only XOR-MAPPED-ADDRESS, and nothing of RFC 5780.
    minimal: bool,
    rfc3489: bool,
    software: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoints {
    /// One address and port, which needs no name.
    One,
    /// Two addresses and two ports, as clients see them: bit 0 of the number is the port, bit 1 the address.
    Four([SocketAddr; 4]),
}

impl Service {
    /// The shortest answers there are: XOR-MAPPED-ADDRESS alone.
    #[must_use]
    pub fn minimal() -> Self {
        Self { endpoints: Endpoints::One, minimal: true, rfc3489: false, software: None }
    }

    /// A server with one address and port: RESPONSE-PORT and PADDING, but CHANGE-REQUEST is an unknown attribute.
    #[must_use]
    pub fn plain() -> Self {
        Self { minimal: false, ..Self::minimal() }
    }

    /// A server of RFC 5780. `primary` and `other` are what clients see, each address with both ports; they must differ in
    /// address and port.
    #[must_use]
    pub fn pair(primary: SocketAddr, other: SocketAddr) -> Self {
        let at = |ip: SocketAddr, port: SocketAddr| SocketAddr::new(ip.ip(), port.port());
        let four = [primary, at(primary, other), at(other, primary), other];
        Self { endpoints: Endpoints::Four(four), ..Self::plain() }
    }

    /// Also answers IPv4 clients of RFC 3489, which send no cookie.
    #[must_use]
    pub fn with_rfc3489(self, rfc3489: bool) -> Self {
        Self { rfc3489, ..self }
    }

    /// Names itself in each success response, with at most [`MAX_SOFTWARE`] bytes; nothing when empty.
    #[must_use]
    pub fn with_software(self, software: &str) -> Self {
        let end = (0..=MAX_SOFTWARE.min(software.len())).rev().find(|at| software.is_char_boundary(*at));
        let text = &software[..end.unwrap_or(0)];
        Self { software: (!text.is_empty()).then(|| text.into()), ..self }
    }

    /// How many endpoints it has: 1 or 4.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        match self.endpoints {
            Endpoints::One => 1,
            Endpoints::Four(_) => 4,
        }
    }

    /// Answers what came. `out` must have room for [`MAX_ANSWER_LEN`] bytes (a minimal service: [`MAX_RESPONSE_LEN`]), and for
    /// as many as came: an answer with PADDING is never longer than its request.
    ///
    /// # Errors
    /// [`Ignored`]: there is nothing to be said.
    #[inline]
    pub fn answer(&self, asked: &IncomingRequest<'_>, out: &mut [u8]) -> Result<Answer, Ignored> {
        let bytes = asked.bytes;
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Ignored::NotStun)?;
        if header[0] & 0xc0 != 0 {
            return Err(Ignored::NotStun);
        }
        let cookie = header[4..8] == COOKIE.to_be_bytes();
        let attributes = &bytes[HEADER_LEN..];
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // Anything may look like a message without a cookie: only what is right to the byte is taken for one.
        if length != attributes.len() || length % 4 != 0 {
            return Err(if cookie { Ignored::WrongLength } else { Ignored::NotStun });
        }
        if header[..2] != kind::REQUEST.to_be_bytes() {
            return Err(if cookie { Ignored::NotARequest } else { Ignored::NotStun });
        }
        let old_ones_too = self.rfc3489 && !self.minimal && asked.from.is_ipv4();
        if !cookie && !old_ones_too {
            return Err(Ignored::NoCookie);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&header[4..]);
        // What nearly all requests are is read and answered without allocation.
        if attributes.is_empty() && cookie {
            return Ok(self.plain_success(asked, id, out));
        }
        let wanted = self.read(bytes, asked.transport)?;
        match wanted.wrong {
            None if cookie && wanted.is_plain() => Ok(self.plain_success(asked, id, out)),
            None => self.success(asked, &wanted, &id, out),
            Some(code) => failure(asked, &wanted, code, &id, out),
        }
    }

    /// Reads the attributes; only a wrong FINGERPRINT makes the message none (RFC 8489, section 6.3).
    fn read(&self, bytes: &[u8], transport: Transport) -> Result<RequestAttributes, Ignored> {
        let mut wanted = RequestAttributes::default();
        let behaviour = !self.minimal && transport == Transport::Udp;
        let (attributes, whole) = message::read(bytes);
        for attribute in &attributes {
            match attribute.kind {
                attribute::FINGERPRINT => {
                    if attribute.value != Value::Fingerprint(true) {
                        return Err(Ignored::WrongFingerprint);
                    }
                    wanted.fingerprint = true;
                }
                attribute::CHANGE_REQUEST if behaviour && self.endpoints() == 4 => match attribute.value {
                    // The number of the endpoint to send from differs in these bits.
                    Value::Change(bits) => wanted.change = wanted.change.or(Some(bits)),
                    _ => wanted.wrong = Some(BAD_REQUEST),
                },
                attribute::RESPONSE_PORT if behaviour => match attribute.value {
                    Value::Port(port) if port != 0 => wanted.port = wanted.port.or(Some(port)),
                    _ => wanted.wrong = Some(BAD_REQUEST),
                },
                attribute::PADDING if behaviour => {
                    wanted.padding = wanted.padding.or(Some(attribute.raw.len()));
                }
                kind @ 0..0x8000 if !attribute::KNOWN_IN_REQUEST.contains(&kind) => wanted.unknown(kind),
                _ => {}
            }
        }
        if !whole {
            wanted.wrong = Some(BAD_REQUEST);
        }
        if wanted.wrong.is_none() {
            if !wanted.unknown.is_empty() {
                wanted.wrong = Some(UNKNOWN_ATTRIBUTE);
            } else if wanted.port.is_some() && wanted.padding.is_some() {
                // Such a pair could be used to throw large packets at a port of somebody (RFC 5780, section 6.1).
                wanted.wrong = Some(BAD_REQUEST);
            }
        }
        Ok(wanted)
    }

    /// The answer to a request that wants nothing else.
    #[inline]
    fn plain_success(&self, asked: &IncomingRequest<'_>, id: [u8; 16], out: &mut [u8]) -> Answer {
        let mut writer = Writer::new(out, id);
        writer.xor_mapped_address(asked.from);
        if !self.minimal {
            writer.address(attribute::MAPPED_ADDRESS, asked.from);
            if let Endpoints::Four(seen) = &self.endpoints {
                writer.address(attribute::RESPONSE_ORIGIN, seen[asked.at & 3]);
                writer.address(attribute::OTHER_ADDRESS, seen[(asked.at ^ 3) & 3]);
            }
            if let Some(software) = &self.software {
                writer.attribute(attribute::SOFTWARE, software.as_bytes());
            }
        }
        let len = writer.finish(kind::SUCCESS);
        Answer { len, via: asked.at, to: asked.from, error: false, padded: false }
    }

    /// Any other success, in the same order.
    fn success(
        &self,
        asked: &IncomingRequest<'_>,
        wanted: &RequestAttributes,
        id: &[u8; 16],
        out: &mut [u8],
    ) -> Result<Answer, Ignored> {
        let via = asked.at ^ wanted.change.unwrap_or(0);
        let mut to = asked.from;
        if let Some(port) = wanted.port {
            to.set_port(port);
        }
        let mut attributes: Vec<StunAttribute> = Vec::new();
        if id[..4] == COOKIE.to_be_bytes() {
            attributes.push(XorMappedAddress::from(asked.from).into());
        }
        if !self.minimal {
            attributes.push(MappedAddress::from(asked.from).into());
            if let Endpoints::Four(seen) = &self.endpoints {
                attributes.push(ResponseOrigin::from(seen[via & 3]).into());
                // The other address and port than those asked, whatever was changed (RFC 5780, section 6.1, table 1).
                attributes.push(OtherAddress::from(seen[(asked.at ^ 3) & 3]).into());
            }
            let software = self.software.as_deref().map(Software::new);
            attributes.extend(software.and_then(Result::ok).map(Into::into));
        }
        let mut padded = false;
        if let Some(padding) = wanted.padding {
            let rest = if wanted.fingerprint { 12 } else { 4 };
            let without = message::compose(out, MessageClass::SuccessResponse, id, attributes.clone());
            let without = without.ok_or(Ignored::SendFailed)?;
            let room = asked.bytes.len().saturating_sub(without + rest) & !3;
            // Equally long at most; what the request had in the way of addresses is the client's to pay for.
            let text = "\0".repeat(padding.min(room).min(MAX_PADDING));
            let attribute = (room > 0).then(|| Padding::new(text).ok()).flatten();
            padded = attribute.is_some();
            attributes.extend(attribute.map(Into::into));
        }
        if wanted.fingerprint {
            attributes.push(Fingerprint::default().into());
        }
        let len = message::compose(out, MessageClass::SuccessResponse, id, attributes);
        Ok(Answer { len: len.ok_or(Ignored::SendFailed)?, via, to, error: false, padded })
    }
}

pub(super) const BAD_REQUEST: u16 = 400;
pub(super) const UNKNOWN_ATTRIBUTE: u16 = 420;

/// Always from the address that was asked, to where the request came from: what a wrong request wishes is not done.
fn failure(
    asked: &IncomingRequest<'_>,
    wanted: &RequestAttributes,
    code: u16,
    id: &[u8; 16],
    out: &mut [u8],
) -> Result<Answer, Ignored> {
    let mut attributes: Vec<StunAttribute> = Vec::new();
    let error = stun_rs::ErrorCode::new(code, "");
    attributes.extend(error.ok().map(|code| ErrorCode::from(code).into()));
    if code == UNKNOWN_ATTRIBUTE {
        attributes.push(UnknownAttributes::from(&wanted.unknown[..]).into());
    }
    if wanted.fingerprint {
        attributes.push(Fingerprint::default().into());
    }
    let len = message::compose(out, MessageClass::ErrorResponse, id, attributes);
    Ok(Answer {
        len: len.ok_or(Ignored::SendFailed)?,
        via: asked.at,
        to: asked.from,
        error: true,
        padded: false,
    })
}

/// What the attributes of a request ask for.
#[derive(Default)]
struct RequestAttributes {
    change: Option<usize>,
    port: Option<u16>,
    padding: Option<usize>,
    fingerprint: bool,
    unknown: Vec<u16>,
    wrong: Option<u16>,
}

impl RequestAttributes {
    /// Whether the answer is the one to a request without attributes.
    fn is_plain(&self) -> bool {
        self.change.unwrap_or(0) == 0 && self.port.is_none() && self.padding.is_none() && !self.fingerprint
    }

    /// Notes an attribute that is not known, once.
    fn unknown(&mut self, kind: u16) {
        if self.unknown.len() < MAX_UNKNOWN && !self.unknown.contains(&kind) {
            self.unknown.push(kind);
        }
    }
}

/// Answers a Binding request with the address that it came from and nothing else ([`Service::minimal`]); gives the length of
/// the response.
#[must_use]
pub fn respond(request: &[u8], from: SocketAddr, out: &mut [u8; MAX_RESPONSE_LEN]) -> Option<usize> {
    const MINIMAL: Service =
        Service { endpoints: Endpoints::One, minimal: true, rfc3489: false, software: None };
    let asked = IncomingRequest { bytes: request, from, at: 0, transport: Transport::Udp };
    MINIMAL.answer(&asked, out).ok().map(|answer| answer.len)
}

#[cfg(test)]
mod tests;
