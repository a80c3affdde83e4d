//! Packed records: what happened to a socket, as the receiver reads it. Little-endian, each begins at a multiple of 8.
//!
//! | bytes | what |
//! |---|---|
//! | 0-3 | the socket's number |
//! | 4 | [`Event`] |
//! | 5 | endpoints that follow the head: 0, 1 or 2, of [`ENDPOINT`] bytes each |
//! | 6-7 | 0 |
//! | 8-11 | length of the data after the endpoints; for errors the error number |
//! | 12-15 | for errors the [`Call`] that failed, for accepted connections the number of the new socket, else 0 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes before endpoints and data.
pub const HEAD: usize = 16;

/// Bytes of an address with its port: address (16; IPv4 in the first 4), port (2), family (1: 4 or 6), 0, scope id (4).
pub const ENDPOINT: usize = 24;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// Bytes of a stream, or a datagram of the connected peer.
    Data = 1,
    /// A datagram; endpoints: where from, and where to if the socket tells.
    Datagram = 2,
    /// The peer will send no more.
    End = 3,
    /// A call failed. For streams and connections it is the last that is heard of them.
    Error = 4,
    /// A connection is made; endpoints: local, remote.
    Connected = 5,
    /// What [`super::Sockets::watch`] waited for: there is room to write.
    Writable = 6,
    /// A listener has a new connection; endpoints: local, remote.
    Accepted = 7,
    /// A relay is over; endpoints: none. The error number is 0 if both sides ended in order.
    Relayed = 8,
    /// Nothing more will come of this socket: it can be taken.
    Detached = 9,
}

/// The call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Call {
    /// connect(2)
    Connect = 1,
    /// recv(2) and its kin
    Receive = 2,
    /// accept(2)
    Accept = 3,
    /// A relay's read or write.
    Relay = 4,
}

/// Where records are written to: whole ones, one after the other.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(bytes: &'a mut [u8], at: usize) -> Self {
        let at = at.min(bytes.len());
        Self { bytes, at }
    }

    /// The end of the last record.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// All records so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.at = 0;
    }

    /// Bytes of data that a record without endpoints has room for.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.at + HEAD + 8)
    }

    /// Where the data of the next record goes, if it has no endpoints: for a read straight into it. [`Out::commit`] follows.
    pub(crate) fn body(&mut self, most: usize) -> &mut [u8] {
        let len = most.min(self.room());
        let start = (self.at + HEAD).min(self.bytes.len());
        &mut self.bytes[start..start + len]
    }

    /// Makes a record of the first `len` bytes of [`Out::body`].
    pub(crate) fn commit(&mut self, id: u32, len: usize) {
        let head = head(id, Event::Data, 0, len as u32, 0);
        self.bytes[self.at..self.at + HEAD].copy_from_slice(&head);
        self.at = (self.at + HEAD + len).next_multiple_of(8).min(self.bytes.len());
    }

    /// Writes a record with data in any number of parts; `false` if there is no room for it.
    pub(crate) fn push(
        &mut self,
        id: u32,
        event: Event,
        extra: u32,
        endpoints: &[SocketAddr],
        parts: &[&[u8]],
    ) -> bool {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        if self.room() < len + endpoints.len() * ENDPOINT {
            return false;
        }
        self.put(&head(id, event, endpoints.len() as u8, len as u32, extra));
        for address in endpoints {
            self.put(&endpoint(*address));
        }
        for part in parts {
            self.put(part);
        }
        self.at = self.at.next_multiple_of(8).min(self.bytes.len());
        true
    }

    /// Writes the record of an error; `false` if there is no room for it.
    pub(crate) fn error(&mut self, id: u32, call: Call, number: u16) -> bool {
        self.room() > 0 && {
            self.put(&head(id, Event::Error, 0, number.into(), call as u32));
            true
        }
    }

    /// Copies a whole record; `false` if there is no room for it.
    pub(crate) fn copy(&mut self, record: &[u8]) -> bool {
        let fits = self.bytes.len() - self.at >= record.len();
        if fits {
            self.put(record);
        }
        fits
    }

    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

/// The first bytes of a record.
pub(crate) fn head(id: u32, event: Event, endpoints: u8, len: u32, extra: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&id.to_le_bytes());
    head[4] = event as u8;
    head[5] = endpoints;
    head[8..12].copy_from_slice(&len.to_le_bytes());
    head[12..].copy_from_slice(&extra.to_le_bytes());
    head
}

/// Where the record that begins at `at` ends, and the next one begins.
pub(crate) fn end(bytes: &[u8], at: usize) -> usize {
    let Some(head) = bytes.get(at..at + HEAD) else { return bytes.len() };
    let has_data = head[4] == Event::Data as u8 || head[4] == Event::Datagram as u8;
    let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let data = if has_data { len as usize } else { 0 };
    (at + HEAD + usize::from(head[5]) * ENDPOINT + data).next_multiple_of(8)
}

/// An address as records have it. An IPv4 address in IPv6 dress (`::ffff:1.2.3.4`) becomes the IPv4 address that it is.
#[must_use]
pub fn endpoint(address: SocketAddr) -> [u8; ENDPOINT] {
    let mut bytes = [0; ENDPOINT];
    bytes[16..18].copy_from_slice(&address.port().to_le_bytes());
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            bytes[..4].copy_from_slice(&ip.octets());
            bytes[18] = 4;
        }
        IpAddr::V6(ip) => {
            bytes[..16].copy_from_slice(&ip.octets());
            bytes[18] = 6;
            if let SocketAddr::V6(address) = address {
                bytes[20..].copy_from_slice(&address.scope_id().to_le_bytes());
            }
        }
    }
    bytes
}

/// The address of [`endpoint`]; `None` for bytes that are none.
#[must_use]
pub fn parse_endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let bytes: &[u8; ENDPOINT] = bytes.try_into().ok()?;
    let port = u16::from_le_bytes([bytes[16], bytes[17]]);
    match bytes[18] {
        4 => Some(SocketAddr::new(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(), port)),
        6 => {
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..16]).ok()?);
            let scope = u32::from_le_bytes([bytes[20], bytes[21], bytes[22], bytes[23]]);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

/// The addresses of [`endpoint`], packed one after the other; bytes that are none are left out.
#[must_use]
pub fn parse_endpoints(bytes: &[u8]) -> Vec<SocketAddr> {
    bytes.chunks(ENDPOINT).filter_map(parse_endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_and_mapped_ones_are_ipv4() {
        for (text, want) in [
            ("1.2.3.4:5", "1.2.3.4:5"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535"),
            ("[fe80::1%9]:1", "[fe80::1%9]:1"),
            ("[::ffff:1.2.3.4]:5", "1.2.3.4:5"),
        ] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(parse_endpoint(&endpoint(address)), want.parse().ok(), "{text}");
        }
        assert_eq!(parse_endpoint(&[0; ENDPOINT]), None);
        assert_eq!(parse_endpoint(&[4; 3]), None);
    }

    #[test]
    fn records_stay_whole_and_aligned_and_a_full_buffer_refuses() {
        let mut bytes = [0xff; 96];
        let mut out = Out::new(&mut bytes, 0);
        let from = "1.2.3.4:5".parse().expect("an address");
        assert!(out.push(3, Event::Datagram, 0, &[from], &[b"ab", b"c"]));
        assert_eq!(out.at(), 48);
        let before = out.at();
        assert!(!out.push(3, Event::Data, 0, &[], &[&[0; 40]]));
        assert_eq!(out.at(), before);
        out.body(2).copy_from_slice(b"xy");
        out.commit(4, 2);
        assert_eq!(out.at(), 72);
        assert!(!out.error(4, Call::Receive, 111));
        assert_eq!(bytes[..16], [3, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[40..43], b"abc");
        assert_eq!(&bytes[64..66], b"xy");
    }
}
