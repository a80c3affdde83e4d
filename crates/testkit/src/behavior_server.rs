//! A server of RFC 5780 as a function: a request in, an answer out, with faults as told. It shares no code with the project's
//! own reader or server.

use std::net::{IpAddr, SocketAddr};

use stun_rs::attributes::discovery::{ChangeRequestFlags, OtherAddress, ResponseOrigin};
use stun_rs::attributes::stun::{ErrorCode, MappedAddress, UnknownAttributes, XorMappedAddress};
use stun_rs::{MessageClass, StunAttribute, StunMessage};

use crate::message;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers as RFC 8489 has it, and knows nothing of RFC 5780: 420 to its attributes.
    Plain,
    /// As [`Fault::Plain`], but the answers have no OTHER-ADDRESS and its attributes are ignored.
    IgnoresChange,
    /// Its other address is a private one.
    OtherPrivate(SocketAddr),
    /// Its other address has the same IP address.
    OtherSameIp,
    /// Its other address is told, but nothing answers there.
    OtherDead,
    /// It answers nothing.
    Dead,
    /// It adds this to the mapped port.
    Lies(u16),
    /// It says that requests come from this address.
    SaysAddress(SocketAddr),
    /// Each answer with a wrong id goes before the right one.
    WrongIdFirst,
    /// Each answer comes first cut short, then from a wrong address, then three times.
    Noise,
    /// MAPPED-ADDRESS as something on the way has rewritten it.
    Rewritten,
    /// It does not follow RESPONSE-PORT.
    NoResponsePort,
}

/// An answer: where from, where to, what.
pub type Reply = (SocketAddr, SocketAddr, Vec<u8>);

/// A server with two addresses and two ports.
#[derive(Clone, Debug)]
pub struct BehaviorServer {
    /// Its addresses.
    pub addresses: [IpAddr; 2],
    /// Its ports.
    pub ports: [u16; 2],
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl BehaviorServer {
    /// The address and port where it is asked first.
    #[must_use]
    pub fn primary(&self) -> SocketAddr {
        SocketAddr::new(self.addresses[0], self.ports[0])
    }

    /// Whether it listens there.
    #[must_use]
    pub fn listens(&self, at: SocketAddr) -> bool {
        self.addresses.contains(&at.ip()) && self.ports.contains(&at.port())
    }

    /// Its answers to a datagram.
    #[must_use]
    pub fn answer(&self, from: SocketAddr, to: SocketAddr, request: &[u8]) -> Vec<Reply> {
        let ip = usize::from(to.ip() == self.addresses[1]);
        let port = usize::from(to.port() == self.ports[1]);
        let alone = matches!(self.fault, Some(Fault::Plain | Fault::IgnoresChange));
        let dead = self.fault == Some(Fault::Dead)
            || (matches!(self.fault, Some(Fault::OtherDead)) && (ip, port) != (0, 0))
            || (alone && (ip, port) != (0, 0));
        let Some(request) = message::request(request).filter(|_| !dead) else { return Vec::new() };
        let (mut change_ip, mut change_port, mut response_port) = (false, false, None);
        for attribute in request.attributes() {
            match attribute {
                StunAttribute::ChangeRequest(change) => {
                    change_ip = change.flags().contains(ChangeRequestFlags::ChangeIp);
                    change_port = change.flags().contains(ChangeRequestFlags::ChangePort);
                }
                StunAttribute::ResponsePort(port) => response_port = Some(port.as_u16()),
                _ => {}
            }
        }
        let unknown = match self.fault {
            Some(Fault::Plain) => required(&request),
            Some(Fault::NoResponsePort) if response_port.is_some() => vec![0x27],
            _ => Vec::new(),
        };
        if !unknown.is_empty() {
            let mut attributes = vec![UnknownAttributes::from(&unknown[..]).into()];
            let code = stun_rs::ErrorCode::new(420, "");
            attributes.splice(0..0, code.ok().map(|code| ErrorCode::from(code).into()));
            return vec![(to, from, respond(MessageClass::ErrorResponse, &request, attributes))];
        }
        let (ip, port) =
            if alone { (ip, port) } else { (ip ^ usize::from(change_ip), port ^ usize::from(change_port)) };
        if self.fault == Some(Fault::OtherDead) && (ip, port) != (0, 0) {
            return Vec::new();
        }
        let answers_from = SocketAddr::new(self.addresses[ip], self.ports[port]);
        let answers_to = response_port.map_or(from, |port| SocketAddr::new(from.ip(), port));
        let seen = match self.fault {
            Some(Fault::Lies(by)) => SocketAddr::new(from.ip(), from.port().wrapping_add(by).max(1)),
            Some(Fault::SaysAddress(address)) => address,
            _ => from,
        };
        let rewritten = if self.fault == Some(Fault::Rewritten) {
            SocketAddr::new([10, 0, 0, 9].into(), 9)
        } else {
            seen
        };
        let mut attributes: Vec<StunAttribute> =
            vec![MappedAddress::from(rewritten).into(), XorMappedAddress::from(seen).into()];
        if !alone {
            let index = (usize::from(to.ip() == self.addresses[0]), usize::from(to.port() == self.ports[0]));
            let mut other = SocketAddr::new(self.addresses[index.0], self.ports[index.1]);
            match self.fault {
                Some(Fault::OtherPrivate(address)) => other = address,
                Some(Fault::OtherSameIp) => other.set_ip(to.ip()),
                _ => {}
            }
            attributes.push(OtherAddress::from(other).into());
            attributes.push(ResponseOrigin::from(answers_from).into());
        }
        let whole = respond(MessageClass::SuccessResponse, &request, attributes);
        let reply = (answers_from, answers_to, whole.clone());
        match self.fault {
            Some(Fault::WrongIdFirst) => {
                let mut wrong = whole;
                wrong[13] ^= 0x5a;
                vec![(answers_from, answers_to, wrong), reply]
            }
            Some(Fault::Noise) => {
                let cut = (answers_from, answers_to, whole[..whole.len() - 5].to_vec());
                let elsewhere = SocketAddr::new(answers_from.ip(), answers_from.port() + 100);
                vec![cut, (elsewhere, answers_to, whole), reply.clone(), reply.clone(), reply]
            }
            _ => vec![reply],
        }
    }
}

fn respond(class: MessageClass, request: &StunMessage, attributes: Vec<StunAttribute>) -> Vec<u8> {
    message::answer(class, *request.transaction_id(), attributes)
}

/// What a server must understand of a request (RFC 8489, section 14).
fn required(request: &StunMessage) -> Vec<u16> {
    let kinds = request.attributes().iter().map(StunAttribute::attribute_type);
    kinds.map(|kind| kind.as_u16()).filter(|kind| *kind < 0x8000).collect()
}
