//! Linux: the headers of `sendmmsg(2)` and `recvmmsg(2)`, and the addresses in them.

use std::mem::{offset_of, size_of, zeroed};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr::null_mut;

use crate::control::Control;

/// Parallel arrays for one system call. The headers point into the other arrays, which are boxed and never resized.
pub(crate) struct Headers {
    pub(crate) messages: Box<[libc::mmsghdr]>,
    /// As many for each message as it has parts.
    pub(crate) vectors: Box<[libc::iovec]>,
    pub(crate) names: Box<[Name]>,
    pub(crate) controls: Box<[Control]>,
}

// SAFETY: the raw pointers in the headers point only into the boxes of the same struct, or are set from live borrows
// within one call; nothing else holds them, so the whole may move to another thread.
unsafe impl Send for Headers {}

impl Headers {
    /// Headers of `len` messages of `parts` pieces each. Names and control data have their places; the pieces are nothing yet.
    pub(crate) fn new(len: usize, parts: u8) -> Self {
        // SAFETY: a plain C structure of integers and pointers, for which zero is a valid value.
        let message = unsafe { zeroed::<libc::mmsghdr>() };
        let nothing = libc::iovec { iov_base: null_mut(), iov_len: 0 };
        let mut headers = Self {
            messages: vec![message; len].into_boxed_slice(),
            vectors: vec![nothing; len * usize::from(parts)].into_boxed_slice(),
            names: vec![Name::default(); len].into_boxed_slice(),
            controls: vec![Control::default(); len].into_boxed_slice(),
        };
        for at in 0..len {
            let header = &mut headers.messages[at].msg_hdr;
            header.msg_iov = headers.vectors[at * usize::from(parts)..].as_mut_ptr();
            header.msg_iovlen = parts.into();
            header.msg_name = (&raw mut headers.names[at]).cast();
            header.msg_control = (&raw mut headers.controls[at]).cast();
        }
        headers
    }
}

/// Room for an address of either family, laid out as `sockaddr_in` and `sockaddr_in6` are, but in safe code.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Name([u8; 32]);

const V4: usize = size_of::<libc::sockaddr_in>();
const V6: usize = size_of::<libc::sockaddr_in6>();
const _: () = assert!(V4 <= V6 && V6 <= size_of::<Name>());
// Family and port stand where they do in either.
const FAMILY: usize = offset_of!(libc::sockaddr_in, sin_family);
const PORT: usize = offset_of!(libc::sockaddr_in, sin_port);
const _: () = assert!(FAMILY == offset_of!(libc::sockaddr_in6, sin6_family));
const _: () = assert!(PORT == offset_of!(libc::sockaddr_in6, sin6_port));
const ADDRESS_V4: usize = offset_of!(libc::sockaddr_in, sin_addr);
const ADDRESS_V6: usize = offset_of!(libc::sockaddr_in6, sin6_addr);
const SCOPE: usize = offset_of!(libc::sockaddr_in6, sin6_scope_id);

impl Name {
    /// Room in it for what the system tells.
    pub(crate) const ROOM: libc::socklen_t = V6 as libc::socklen_t;

    /// Writes an address; gives its length.
    #[inline]
    pub(crate) fn put(&mut self, address: SocketAddr) -> libc::socklen_t {
        *self = Self::default();
        self.at(PORT, address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                self.at(FAMILY, (libc::AF_INET as libc::sa_family_t).to_ne_bytes());
                self.at(ADDRESS_V4, address.ip().octets());
                V4 as libc::socklen_t
            }
            SocketAddr::V6(address) => {
                self.at(FAMILY, (libc::AF_INET6 as libc::sa_family_t).to_ne_bytes());
                self.at(ADDRESS_V6, address.ip().octets());
                self.at(SCOPE, address.scope_id().to_ne_bytes());
                V6 as libc::socklen_t
            }
        }
    }

    /// The address that the system wrote.
    #[inline]
    pub(crate) fn read(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.of(PORT));
        match i32::from(libc::sa_family_t::from_ne_bytes(self.of(FAMILY))) {
            libc::AF_INET => Some(SocketAddrV4::new(self.of(ADDRESS_V4).into(), port).into()),
            libc::AF_INET6 => {
                let (ip, scope) = (self.of::<16>(ADDRESS_V6).into(), u32::from_ne_bytes(self.of(SCOPE)));
                Some(SocketAddrV6::new(ip, port, 0, scope).into())
            }
            _ => None,
        }
    }

    #[inline]
    fn at<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    #[inline]
    fn of<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_system() {
        for text in ["127.0.0.1:80", "255.254.253.252:65535", "[::1]:3478", "[fe80::7%5]:1"] {
            let address: SocketAddr = text.parse().expect("an address");
            let mut name = Name([0xff; 32]);
            let len = name.put(address);
            let system = socket2::SockAddr::from(address);
            let mut bytes = [0; 32];
            bytes[..len as usize].copy_from_slice(&name.0[..len as usize]);
            assert_eq!((len, name.0), (system.len(), bytes), "{text}");
            assert_eq!(
                (name.of(FAMILY), name.read()),
                (system.family().to_ne_bytes(), Some(address)),
                "{text}"
            );
        }
        assert_eq!(Name::default().read(), None);
    }
}
