//! macOS and FreeBSD: `getifaddrs(3)`, `SIOCGIFAFLAG_IN6`, `SIOCGIFMEDIA` and the routing table by `sysctl(3)`.

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use socket2::{Domain, Socket, Type};

use super::route_dump::{self, Layout, without_zone};
use super::{Adapter, DefaultRoute, Held};

const LAYOUT: Layout = Layout {
    header: size_of::<libc::rt_msghdr>(),
    align: if cfg!(target_os = "macos") { size_of::<u32>() } else { size_of::<libc::c_long>() },
    inet6: libc::AF_INET6 as u8,
};

/// `SIOCGIFMEDIA`: `_IOWR('i', 56, struct ifmediareq)`.
const GET_MEDIA: libc::c_ulong = 0xc000_6938 | ((size_of::<MediaRequest>() as libc::c_ulong) << 16);

/// `struct ifmediareq`; macOS packs it (`net/if.h`), so that the pointer at the end is not aligned.
#[cfg_attr(target_os = "macos", repr(C, packed(4)))]
#[cfg_attr(not(target_os = "macos"), repr(C))]
struct MediaRequest {
    name: [libc::c_char; libc::IFNAMSIZ],
    current: libc::c_int,
    mask: libc::c_int,
    status: libc::c_int,
    active: libc::c_int,
    count: libc::c_int,
    list: *mut libc::c_int,
}

/// `IFM_NMASK` and `IFM_IEEE80211` of `net/if_media.h`.
const MEDIA_TYPE: libc::c_int = 0xe0;
const MEDIA_WIRELESS: libc::c_int = 0x80;

// The numbers that the kernel knows, worked out by hand from its headers: a structure of another size would be another call.
const _: () = assert!(libc::SIOCGIFAFLAG_IN6 == 0xc120_6949);
const _: () = assert!(GET_MEDIA == if cfg!(target_os = "macos") { 0xc02c_6938 } else { 0xc030_6938 });
// What the dump is read by is the same on both.
const _: () = assert!(route_dump::INET == libc::AF_INET as u8);
const _: () = assert!(route_dump::GET == libc::RTM_GET as u8);
const _: () = assert!(route_dump::VERSION == libc::RTM_VERSION as u8);
const _: () = assert!(route_dump::UP == libc::RTF_UP.cast_unsigned());
const _: () = assert!(route_dump::HOST == libc::RTF_HOST.cast_unsigned());
const _: () = assert!(route_dump::REJECT == libc::RTF_REJECT.cast_unsigned());
const _: () = assert!(route_dump::BLACKHOLE == libc::RTF_BLACKHOLE.cast_unsigned());
#[cfg(target_os = "macos")]
const _: () = assert!(route_dump::SCOPED == libc::RTF_IFSCOPE.cast_unsigned());
const _: () = assert!(route_dump::DESTINATION == libc::RTAX_DST as usize);
const _: () = assert!(route_dump::GATEWAY == libc::RTAX_GATEWAY as usize);
const _: () = assert!(route_dump::NETMASK == libc::RTAX_NETMASK as usize);
const _: () = assert!(LAYOUT.header == if cfg!(target_os = "macos") { 92 } else { 152 });

/// The list of `getifaddrs`, freed when it goes.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from `getifaddrs`, and nothing borrowed from it outlives it.
        unsafe { libc::freeifaddrs(self.0) }
    }
}

impl List {
    fn read() -> io::Result<Self> {
        let mut first = null_mut();
        // SAFETY: the place for the result lives through the call.
        if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(first))
    }

    fn iter(&self) -> impl Iterator<Item = &libc::ifaddrs> {
        // SAFETY: each entry is whole and lives as long as the list; the last has no next one.
        std::iter::successors(unsafe { self.0.as_ref() }, |entry| unsafe { entry.ifa_next.as_ref() })
    }
}

pub(super) fn adapters() -> io::Result<Vec<Adapter>> {
    let list = List::read()?;
    let asked = Socket::new(Domain::IPV6, Type::DGRAM, None).ok();
    let media = Socket::new(Domain::IPV4, Type::DGRAM, None).ok();
    let mut all: Vec<Adapter> = Vec::new();
    for entry in list.iter() {
        // SAFETY: the name of an entry is a string that lives as long as the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        let text = name.to_string_lossy();
        // Entries of one interface follow each other: the last one is nearly always it.
        let at = all.iter().rposition(|a| a.name == text).unwrap_or_else(|| {
            all.push(Adapter {
                name: text.into_owned(),
                up: entry.ifa_flags & libc::IFF_UP.cast_unsigned() != 0,
                running: entry.ifa_flags & libc::IFF_RUNNING.cast_unsigned() != 0,
                point_to_point: entry.ifa_flags & libc::IFF_POINTOPOINT.cast_unsigned() != 0,
                wireless: media.as_ref().is_some_and(|socket| is_wireless(socket, name)),
                ..Adapter::default()
            });
            all.len() - 1
        });
        let adapter = &mut all[at];
        // SAFETY: an entry's address is null or a whole structure of the family that it says.
        let Some(address) = (unsafe { entry.ifa_addr.as_ref() }) else { continue };
        match i32::from(address.sa_family) {
            libc::AF_LINK => put_link(adapter, entry),
            libc::AF_INET | libc::AF_INET6 => adapter.addresses.extend(held(entry, name, asked.as_ref())),
            _ => {}
        }
    }
    for adapter in &mut all {
        for address in adapter.addresses.iter_mut().filter(|a| is_link_local(a.ip)) {
            address.scope_id = adapter.index;
        }
    }
    Ok(all)
}

/// Number, type, size and hardware address.
fn put_link(adapter: &mut Adapter, entry: &libc::ifaddrs) {
    // SAFETY: the family says that the address is a `sockaddr_dl`, and the list is aligned for it.
    let link = unsafe { entry.ifa_addr.cast::<libc::sockaddr_dl>().read_unaligned() };
    adapter.index = link.sdl_index.into();
    adapter.if_type = link.sdl_type.into();
    // SAFETY: the data of an entry of this family is null or an `if_data` (getifaddrs(3)).
    if let Some(data) = unsafe { entry.ifa_data.cast::<libc::if_data>().as_ref() } {
        adapter.if_type = data.ifi_type.into();
        adapter.mtu = data.ifi_mtu;
    }
    // Name and hardware address stand one after the other, and may go beyond the declared array.
    let from = std::mem::offset_of!(libc::sockaddr_dl, sdl_data) + usize::from(link.sdl_nlen);
    let len = usize::from(link.sdl_alen);
    if len == 6 && from + len <= usize::from(link.sdl_len) {
        // SAFETY: `sdl_len` bytes of the structure are there, and these lie within.
        let bytes = unsafe { std::slice::from_raw_parts(entry.ifa_addr.cast::<u8>().add(from), len) };
        if bytes.iter().any(|byte| *byte != 0) {
            adapter.mac = bytes.to_vec();
        }
    }
}

fn held(entry: &libc::ifaddrs, name: &CStr, asked: Option<&Socket>) -> Option<Held> {
    let (ip, flags) = match address(entry.ifa_addr)? {
        (IpAddr::V6(ip), Some(whole)) => {
            let flags = asked.and_then(|socket| address_flags(socket, name, whole)).unwrap_or(0);
            (without_zone(ip.octets()).into(), flags)
        }
        (ip, _) => (ip, 0),
    };
    let mask = prefix_len(entry.ifa_netmask, ip.is_ipv6());
    let has = |bits: libc::c_int| flags & bits != 0;
    Some(Held {
        ip,
        prefix_len: mask,
        scope_id: 0,
        temporary: has(libc::IN6_IFF_TEMPORARY),
        deprecated: has(libc::IN6_IFF_DEPRECATED),
        tentative: has(libc::IN6_IFF_TENTATIVE | libc::IN6_IFF_DUPLICATED | libc::IN6_IFF_DETACHED),
    })
}

/// An address, for IPv6 with the structure it stands in.
fn address(address: *const libc::sockaddr) -> Option<(IpAddr, Option<libc::sockaddr_in6>)> {
    // SAFETY: null or a whole structure of the family that it says.
    match i32::from(unsafe { address.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: the family says so.
            let inet = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some((Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes()).into(), None))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says so.
            let inet6 = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some((Ipv6Addr::from(inet6.sin6_addr.s6_addr).into(), Some(inet6)))
        }
        _ => None,
    }
}

/// Length of a mask. Its family may be missing, and its end cut off after what is not zero: only its length is to be believed.
fn prefix_len(mask: *const libc::sockaddr, ipv6: bool) -> u8 {
    // SAFETY: null, or a structure that begins with its length.
    let Some(len) = (unsafe { mask.as_ref() }).map(|mask| usize::from(mask.sa_len)) else {
        return if ipv6 { 128 } else { 32 };
    };
    let (from, to) = if ipv6 { (8, 24) } else { (4, 8) };
    // SAFETY: `len` bytes are there.
    let bytes = unsafe { std::slice::from_raw_parts(mask.cast::<u8>(), len) };
    let octets = bytes.get(from..to.min(len)).unwrap_or_default();
    let full = octets.iter().take_while(|octet| **octet == 0xff).count();
    let more = octets.get(full).map_or(0, |octet| octet.leading_ones());
    full as u8 * 8 + more as u8
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// What the system thinks of an IPv6 address (`IN6_IFF_…`).
fn address_flags(socket: &Socket, name: &CStr, address: libc::sockaddr_in6) -> Option<libc::c_int> {
    // SAFETY: a structure of integers, for which zero is a valid value.
    let mut request: libc::in6_ifreq = unsafe { zeroed() };
    put_name(&mut request.ifr_name, name);
    request.ifr_ifru.ifru_addr = address;
    // SAFETY: the request is of the size that the number of the call says, and lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFAFLAG_IN6, &raw mut request) };
    // SAFETY: the call has answered in this member; every bit pattern is a number.
    let flags = unsafe { request.ifr_ifru.ifru_flags6 };
    (result == 0).then_some(flags)
}

/// Whether the interface is wireless, by its media. Its type is that of Ethernet.
fn is_wireless(socket: &Socket, name: &CStr) -> bool {
    // SAFETY: a structure of integers and a pointer, for which zero is a valid value.
    let mut request: MediaRequest = unsafe { zeroed() };
    let mut text = [0; libc::IFNAMSIZ];
    put_name(&mut text, name);
    request.name = text;
    // SAFETY: the request is of the size that the number of the call says, and lives through the call; with a count of 0 the
    // pointer is not followed.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), GET_MEDIA, &raw mut request) };
    let current = request.current;
    result == 0 && current & MEDIA_TYPE == MEDIA_WIRELESS
}

fn put_name(place: &mut [libc::c_char; libc::IFNAMSIZ], name: &CStr) {
    // The last byte stays zero.
    for (to, from) in place[..libc::IFNAMSIZ - 1].iter_mut().zip(name.to_bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
}

pub(super) fn default_routes() -> io::Result<Vec<DefaultRoute>> {
    Ok(route_dump::default_routes(&dump()?, LAYOUT))
}

/// The whole routing table. It may grow between the question for its size and the one for itself.
fn dump() -> io::Result<Vec<u8>> {
    const TRIES: usize = 5;
    let mut name = [libc::CTL_NET, libc::PF_ROUTE, 0, 0, libc::NET_RT_DUMP, 0];
    for _ in 0..TRIES {
        let mut len = 0;
        // SAFETY: the name and the place for the length live through the call; nothing is written elsewhere.
        if unsafe {
            libc::sysctl(
                name.as_mut_ptr(),
                name.len() as libc::c_uint,
                null_mut(),
                &raw mut len,
                null_mut(),
                0,
            )
        } != 0
        {
            return Err(io::Error::last_os_error());
        }
        let mut bytes = vec![0_u8; len + len / 4];
        len = bytes.len();
        // SAFETY: as above, and at most `len` bytes are written to `bytes`.
        let result = unsafe {
            libc::sysctl(
                name.as_mut_ptr(),
                name.len() as libc::c_uint,
                bytes.as_mut_ptr().cast(),
                &raw mut len,
                null_mut(),
                0,
            )
        };
        if result == 0 {
            bytes.truncate(len);
            return Ok(bytes);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOMEM) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOMEM))
}
