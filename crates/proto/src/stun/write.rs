//! Writes what a server answers most: a plain Binding success, without allocation.

use std::net::{IpAddr, SocketAddr};

use super::{COOKIE, HEADER_LEN, attribute};

/// Bytes of an attribute with an IPv4 address.
pub(super) const ADDRESS_LEN_V4: usize = 12;

/// A response under way. Its room must have been made sure of: a slot that is too short is a defect and panics.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Begins with the cookie and the id of the request: its bytes 4 to 20.
    pub(super) fn new(out: &'a mut [u8], cookie_and_id: [u8; 16]) -> Self {
        out[4..HEADER_LEN].copy_from_slice(&cookie_and_id);
        Self { out, len: HEADER_LEN }
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489, section 14.2).
    pub(super) fn xor_mapped_address(&mut self, address: SocketAddr) {
        let mut mask = [0; 16];
        mask.copy_from_slice(&self.out[4..HEADER_LEN]);
        self.masked(attribute::XOR_MAPPED_ADDRESS, address, (COOKIE >> 16) as u16, mask);
    }

    /// MAPPED-ADDRESS and those of its form.
    pub(super) fn address(&mut self, kind: u16, address: SocketAddr) {
        self.masked(kind, address, 0, [0; 16]);
    }

    fn masked(&mut self, kind: u16, address: SocketAddr, port_mask: u16, mask: [u8; 16]) {
        let mut value = [0; 20];
        value[2..4].copy_from_slice(&(address.port() ^ port_mask).to_be_bytes());
        let len = match address.ip() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value[4..8].copy_from_slice(&ip.octets());
                ADDRESS_LEN_V4 - 4
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                value[4..].copy_from_slice(&ip.octets());
                20
            }
        };
        for (byte, mask) in value[4..len].iter_mut().zip(mask) {
            *byte ^= mask;
        }
        self.attribute(kind, &value[..len]);
    }

    /// Any attribute, padded with zeros to four bytes.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let padded = value.len().next_multiple_of(4);
        let slot = &mut self.out[self.len..self.len + 4 + padded];
        slot.fill(0);
        slot[..2].copy_from_slice(&kind.to_be_bytes());
        slot[2..4].copy_from_slice(&(value.len() as u16).to_be_bytes());
        slot[4..4 + value.len()].copy_from_slice(value);
        self.len += 4 + padded;
    }

    /// Writes type and length; gives the length of the message.
    pub(super) fn finish(self, kind: u16) -> usize {
        self.out[..2].copy_from_slice(&kind.to_be_bytes());
        self.out[2..4].copy_from_slice(&((self.len - HEADER_LEN) as u16).to_be_bytes());
        self.len
    }
}
