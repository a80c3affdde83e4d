//! A server of RFC 5780 as a function: a request in, an answer out, with faults as told. It shares no code with the project's
//! own reader or server.

use std::net::{IpAddr, SocketAddr};

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

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

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
        if dead || request.len() < 20 || request[..2] != [0, 1] || request[4..8] != COOKIE {
            return Vec::new();
        }
        let (mut change, mut response_port, mut unknown) = (0, None, Vec::new());
        let mut rest = &request[20..];
        while let [k0, k1, l0, l1, value @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*l0, *l1]));
            match u16::from_be_bytes([*k0, *k1]) {
                3 if value.len() >= 4 => change = value[3],
                0x27 if value.len() >= 2 => response_port = Some(u16::from_be_bytes([value[0], value[1]])),
                _ => {}
            }
            if *k0 < 0x80 {
                unknown.extend([*k0, *k1]);
            }
            rest = value.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        }
        let id = &request[8..20];
        if self.fault == Some(Fault::Plain) && !unknown.is_empty() {
            let body = [attribute(9, &[0, 0, 4, 20]), attribute(10, &unknown)].concat();
            return vec![(to, from, message(0x0111, id, &body))];
        }
        if self.fault == Some(Fault::NoResponsePort) && response_port.is_some() {
            let body = [attribute(9, &[0, 0, 4, 20]), attribute(10, &[0, 0x27])].concat();
            return vec![(to, from, message(0x0111, id, &body))];
        }
        let (ip, port) = if alone {
            (ip, port)
        } else {
            (ip ^ usize::from(change & 4 != 0), port ^ usize::from(change & 2 != 0))
        };
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
        let mut body = [attribute(1, &plain(rewritten)), attribute(0x20, &xored(seen, id))].concat();
        if !alone {
            let index = (usize::from(to.ip() == self.addresses[0]), usize::from(to.port() == self.ports[0]));
            let mut other = SocketAddr::new(self.addresses[index.0], self.ports[index.1]);
            match self.fault {
                Some(Fault::OtherPrivate(address)) => other = address,
                Some(Fault::OtherSameIp) => other.set_ip(to.ip()),
                _ => {}
            }
            body.extend(attribute(0x802c, &plain(other)));
            body.extend(attribute(0x802b, &plain(answers_from)));
        }
        let whole = message(0x0101, id, &body);
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

fn message(kind: u16, id: &[u8], body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &COOKIE, id, body].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn plain(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => [&[0, 1][..], &port, &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2][..], &port, &ip.octets()].concat(),
    }
}

fn xored(address: SocketAddr, id: &[u8]) -> Vec<u8> {
    let mask = [&COOKIE, id].concat();
    let mut out = plain(address);
    out[2] ^= COOKIE[0];
    out[3] ^= COOKIE[1];
    for (byte, mask) in out[4..].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    out
}
