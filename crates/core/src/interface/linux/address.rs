//! Linux: what a message says of an address (`struct ifaddrmsg` of `linux/if_addr.h`, and its attributes).
//!
//! It is read without an allocation: a machine may have many thousands of addresses.

use std::net::IpAddr;

use libc::{
    IFA_ADDRESS, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_OPTIMISTIC, IFA_F_SECONDARY, IFA_F_TENTATIVE,
    IFA_FLAGS, IFA_LABEL, IFA_LOCAL,
};
use routepool_proto::scope::{Scope, scope};

use super::Address;
use crate::system::netlink::{attributes, number};

/// An address of an interface, as a message has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceAddress<'a> {
    /// Number of the interface.
    pub interface: u32,
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix.
    pub prefix_len: u8,
    label: &'a [u8],
    /// `IFA_F_…`.
    flags: u32,
}

impl<'a> InterfaceAddress<'a> {
    /// Reads a message's payload; `None` if it has no address.
    pub(crate) fn of(payload: &'a [u8]) -> Option<Self> {
        let ([_family, prefix_len, flags, _scope, a, b, c, d], rest) = payload.split_first_chunk()?;
        let (mut own, mut other, mut label) = (None, None, &[][..]);
        let mut flags = u32::from(*flags);
        for (kind, value) in attributes(rest) {
            match kind {
                // On a point-to-point link the former is ours and the latter the other end's.
                IFA_LOCAL => own = ip(value),
                IFA_ADDRESS => other = ip(value),
                IFA_LABEL => label = value.split(|byte| *byte == 0).next().unwrap_or_default(),
                IFA_FLAGS => {
                    flags = number(value).map_or(flags, u32::from_ne_bytes);
                }
                _ => {}
            }
        }
        let interface = u32::from_ne_bytes([*a, *b, *c, *d]);
        Some(Self { interface, ip: own.or(other)?, prefix_len: *prefix_len, label, flags })
    }

    /// Whether it is not yet known to be unique, or known not to be.
    pub(crate) fn is_tentative(&self) -> bool {
        self.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0 && self.flags & IFA_F_OPTIMISTIC == 0
    }

    /// The address at an interface of this name.
    pub(super) fn address(&self, name: &str) -> Address {
        let Self { interface, ip, prefix_len, label, flags } = *self;
        let is_link_local = ip.is_ipv6() && scope(ip) == Scope::LinkLocal;
        let has_label = !label.is_empty() && label != name.as_bytes();
        Address {
            ip,
            prefix_len,
            scope_id: if is_link_local { interface } else { 0 },
            label: has_label.then(|| String::from_utf8_lossy(label).into_owned()),
            // The bit means "a further address of the subnet" for IPv4.
            temporary: ip.is_ipv6() && flags & IFA_F_SECONDARY != 0,
            deprecated: flags & IFA_F_DEPRECATED != 0,
            tentative: self.is_tentative(),
        }
    }
}

/// An address by its bytes.
pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

    use super::*;

    /// A message written by the library that knows them all.
    fn bytes(ipv6: bool, attributes: Vec<AddressAttribute>) -> Vec<u8> {
        let mut message = AddressMessage::default();
        message.header.family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        message.header.prefix_len = 24;
        message.header.index = 7;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn our_end_of_a_link_is_taken_and_flags_are_read() {
        let both = bytes(
            false,
            vec![
                AddressAttribute::Address(ip("10.0.0.2")),
                AddressAttribute::Local(ip("10.0.0.1")),
                AddressAttribute::Label("eth0:1".into()),
                AddressAttribute::Flags(AddressFlags::Secondary | AddressFlags::Permanent),
            ],
        );
        let found = InterfaceAddress::of(&both).expect("an address");
        assert_eq!((found.interface, found.ip, found.prefix_len), (7, ip("10.0.0.1"), 24));
        let address = found.address("eth0");
        assert_eq!(
            (address.label.as_deref(), address.temporary, address.scope_id),
            (Some("eth0:1"), false, 0)
        );
        assert_eq!(found.address("eth0:1").label, None, "the interface's own name is no label");

        let flags = |flags| {
            let attributes = vec![AddressAttribute::Address(ip("fe80::1")), AddressAttribute::Flags(flags)];
            let bytes = bytes(true, attributes);
            let address = InterfaceAddress::of(&bytes).expect("an address").address("eth0");
            (address.temporary, address.deprecated, address.tentative, address.scope_id)
        };
        #[rustfmt::skip]
        let rows = [
            (AddressFlags::Permanent, (false, false, false, 7)),
            (AddressFlags::Secondary, (true, false, false, 7)),
            (AddressFlags::Deprecated, (false, true, false, 7)),
            (AddressFlags::Tentative, (false, false, true, 7)),
            (AddressFlags::Tentative | AddressFlags::Optimistic, (false, false, false, 7)),
            (AddressFlags::Dadfailed, (false, false, true, 7)),
        ];
        for (given, want) in rows {
            assert_eq!(flags(given), want, "{given:?}");
        }
        assert!(InterfaceAddress::of(&bytes(false, vec![])).is_none());
    }

    #[test]
    fn what_is_cut_off_has_no_address_and_no_panic() {
        let whole = bytes(false, vec![AddressAttribute::Local(ip("10.0.0.1"))]);
        for len in 0..whole.len() {
            assert!(InterfaceAddress::of(&whole[..len]).is_none(), "{len}");
        }
    }
}
