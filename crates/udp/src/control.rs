//! Control messages that name the source of a datagram to send, and the destination of a received one.
//!
//! A header and the data at the next multiple of the alignment, as the macros of cmsg(3) have it, but in safe code. What
//! differs between systems is above; what is done with it below.

use std::mem::{offset_of, size_of};
use std::net::IpAddr;

#[cfg(unix)]
use libc as sys;
#[cfg(windows)]
use windows_sys::Win32::Networking::WinSock as sys;

#[cfg(unix)]
type Header = sys::cmsghdr;
#[cfg(windows)]
type Header = sys::CMSGHDR;

/// What headers and data are aligned to: `__DARWIN_ALIGN32` on macOS, a machine word elsewhere.
const ALIGN: usize = if cfg!(target_os = "macos") { 4 } else { size_of::<usize>() };
const HEADER: usize = size_of::<Header>().next_multiple_of(ALIGN);

/// One control message, with the data that says an IPv4 address, and where in it the address is.
struct Kind {
    level: i32,
    name: i32,
    len: usize,
    at: usize,
}

/// FreeBSD has the bare address (ip(4), `IP_SENDSRCADDR`), others `in_pktinfo`.
#[cfg(target_os = "freebsd")]
const SEND_V4: Kind = Kind { level: sys::IPPROTO_IP, name: sys::IP_SENDSRCADDR, len: 4, at: 0 };
#[cfg(target_os = "freebsd")]
const RECEIVE_V4: Kind = Kind { level: sys::IPPROTO_IP, name: sys::IP_RECVDSTADDR, len: 4, at: 0 };

#[cfg(all(unix, not(target_os = "freebsd")))]
const SEND_V4: Kind = Kind {
    level: sys::IPPROTO_IP,
    name: sys::IP_PKTINFO,
    len: size_of::<sys::in_pktinfo>(),
    at: offset_of!(sys::in_pktinfo, ipi_spec_dst),
};
/// The destination in the header, not `ipi_spec_dst`: for a unicast datagram both are the same.
#[cfg(all(unix, not(target_os = "freebsd")))]
const RECEIVE_V4: Kind = Kind { at: offset_of!(sys::in_pktinfo, ipi_addr), ..SEND_V4 };

#[cfg(windows)]
const SEND_V4: Kind = Kind {
    level: sys::IPPROTO_IP,
    name: sys::IP_PKTINFO,
    len: size_of::<sys::IN_PKTINFO>(),
    at: offset_of!(sys::IN_PKTINFO, ipi_addr),
};
#[cfg(windows)]
const RECEIVE_V4: Kind = SEND_V4;

#[cfg(unix)]
const V6: Kind = Kind {
    level: sys::IPPROTO_IPV6,
    name: sys::IPV6_PKTINFO,
    len: size_of::<sys::in6_pktinfo>(),
    at: offset_of!(sys::in6_pktinfo, ipi6_addr),
};
#[cfg(windows)]
const V6: Kind = Kind {
    level: sys::IPPROTO_IPV6,
    name: sys::IPV6_PKTINFO,
    len: size_of::<sys::IN6_PKTINFO>(),
    at: offset_of!(sys::IN6_PKTINFO, ipi6_addr),
};

/// The socket option that asks for the destination of received datagrams: level and name.
pub(crate) fn receive_option(ipv6: bool) -> (i32, i32) {
    #[cfg(unix)]
    let six = sys::IPV6_RECVPKTINFO;
    #[cfg(windows)]
    let six = sys::IPV6_PKTINFO;
    if ipv6 { (V6.level, six) } else { (RECEIVE_V4.level, RECEIVE_V4.name) }
}

/// Room for one message of each kind, aligned as the header wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control(pub(crate) [u8; Self::ROOM]);

const _: () =
    assert!(HEADER + V6.len.next_multiple_of(8) <= size_of::<Control>() && RECEIVE_V4.len <= V6.len);

impl Default for Control {
    fn default() -> Self {
        Self([0; Self::ROOM])
    }
}

impl Control {
    pub(crate) const ROOM: usize = 64;

    /// Names the source of a datagram; gives the length of the control data.
    #[inline]
    pub(crate) fn put_source(&mut self, source: IpAddr) -> usize {
        match source {
            IpAddr::V4(ip) => self.put_message::<false>(&ip.octets()),
            IpAddr::V6(ip) => self.put_message::<true>(&ip.octets()),
        }
    }

    // One function for each family, so that all lengths are constants: it is called for every datagram of a sweep.
    #[inline]
    fn put_message<const IPV6: bool>(&mut self, octets: &[u8]) -> usize {
        let kind = if IPV6 { &V6 } else { &SEND_V4 };
        let end = HEADER + kind.len;
        let space = HEADER + kind.len.next_multiple_of(ALIGN);
        self.0[..space].fill(0);
        // The length is a word on Linux and Windows, and 32 bits elsewhere.
        let len = &end.to_ne_bytes();
        let width = offset_of!(Header, cmsg_level) - offset_of!(Header, cmsg_len);
        let low = if cfg!(target_endian = "big") { &len[len.len() - width..] } else { &len[..width] };
        self.put(offset_of!(Header, cmsg_len), low);
        self.put(offset_of!(Header, cmsg_level), &kind.level.to_ne_bytes());
        self.put(offset_of!(Header, cmsg_type), &kind.name.to_ne_bytes());
        self.put(HEADER + kind.at, octets);
        space
    }

    #[inline]
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The address that a datagram was delivered to, of the first `len` bytes. It is the only message that is asked for, so
    /// it is the first.
    #[inline]
    pub(crate) fn destination(&self, len: usize) -> Option<IpAddr> {
        let data = self.0.get(..len)?;
        let int = |at: usize| Some(i32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?));
        let (level, name) = (int(offset_of!(Header, cmsg_level))?, int(offset_of!(Header, cmsg_type))?);
        if (level, name) == (RECEIVE_V4.level, RECEIVE_V4.name) {
            let at = HEADER + RECEIVE_V4.at;
            let octets: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
            return Some(octets.into());
        }
        if (level, name) == (V6.level, V6.name) {
            let at = HEADER + V6.at;
            let octets: [u8; 16] = data.get(at..at + 16)?.try_into().ok()?;
            return Some(octets.into());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_destination_is_none() {
        let mut control = Control([0xff; 64]);
        assert_eq!(control.destination(64), None);
        assert_eq!(control.destination(65), None, "more than there is room for");
        let source: IpAddr = "2001:db8::7".parse().expect("an address");
        let len = control.put_source(source);
        assert_eq!(control.destination(len), Some(source));
        for short in 0..HEADER + 16 {
            assert_eq!(control.destination(short), None, "{short}");
        }
    }
}
