//! Windows: `GetAdaptersAddresses` and `GetIpForwardTable2`.

use std::io;
use std::net::IpAddr;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER, GAA_FLAG_SKIP_MULTICAST,
    GetAdaptersAddresses, GetIpForwardTable2, IF_TYPE_PPP, IF_TYPE_TUNNEL, IP_ADAPTER_ADDRESSES_LH,
    IP_ADAPTER_UNICAST_ADDRESS_LH, MIB_IPFORWARD_ROW2, MIB_IPFORWARD_TABLE2,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, AF_UNSPEC, IpDadStateDeprecated, IpDadStateDuplicate, IpDadStateInvalid,
    IpDadStateTentative, IpPrefixOriginRouterAdvertisement, IpSuffixOriginRandom, SOCKADDR, SOCKADDR_IN,
    SOCKADDR_IN6, SOCKADDR_INET,
};

use super::{Adapter, DefaultRoute, Held};

const POINT_TO_POINT: [u32; 2] = [IF_TYPE_PPP, IF_TYPE_TUNNEL];

pub(super) fn adapters() -> io::Result<Vec<Adapter>> {
    let list = List::read()?;
    Ok(list.iter().map(adapter).collect())
}

/// The list of adapters in the memory that it was written to.
struct List(Vec<u64>);

impl List {
    fn read() -> io::Result<Self> {
        const TRIES: usize = 5;
        let flags = GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
        // 15 KiB, as the documentation advises; words, because the structures are aligned to eight bytes.
        let mut words = vec![0_u64; 15 * 1_024 / 8];
        for _ in 0..TRIES {
            let mut len = u32::try_from(words.len() * 8).unwrap_or(u32::MAX);
            // SAFETY: `len` bytes can be written to, and both live through the call.
            let result = unsafe {
                GetAdaptersAddresses(
                    u32::from(AF_UNSPEC),
                    flags,
                    null(),
                    words.as_mut_ptr().cast(),
                    &raw mut len,
                )
            };
            match result {
                0 => return Ok(Self(words)),
                ERROR_NO_DATA => return Ok(Self(Vec::new())),
                ERROR_BUFFER_OVERFLOW => words = vec![0; (len as usize).div_ceil(8) + 512],
                error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
            }
        }
        Err(io::Error::from_raw_os_error(ERROR_BUFFER_OVERFLOW.cast_signed()))
    }

    fn iter(&self) -> impl Iterator<Item = &IP_ADAPTER_ADDRESSES_LH> {
        let first: *const IP_ADAPTER_ADDRESSES_LH =
            if self.0.is_empty() { null() } else { self.0.as_ptr().cast() };
        // SAFETY: the call wrote a list whose entries lie in this memory; the last has no next one.
        std::iter::successors(unsafe { first.as_ref() }, |entry| unsafe { entry.Next.as_ref() })
    }
}

fn adapter(entry: &IP_ADAPTER_ADDRESSES_LH) -> Adapter {
    // SAFETY: both members of the union are plain integers.
    let ipv4_index = unsafe { entry.Anonymous1.Anonymous.IfIndex };
    let index = if ipv4_index == 0 { entry.Ipv6IfIndex } else { ipv4_index };
    let mac = &entry.PhysicalAddress[..(entry.PhysicalAddressLength as usize).min(8)];
    // SAFETY: entries of a list that lives as long as `entry`; the last has no next one.
    let first = unsafe { entry.FirstUnicastAddress.as_ref() };
    // SAFETY: as above.
    let addresses = std::iter::successors(first, |address| unsafe { address.Next.as_ref() });
    Adapter {
        // SAFETY: the name ends with a zero and lives as long as the entry.
        name: unsafe { text(entry.FriendlyName) },
        index,
        mac: if mac.len() == 6 && mac.iter().any(|byte| *byte != 0) { mac.to_vec() } else { Vec::new() },
        // Loopback has no limit, and says so with all bits.
        mtu: if entry.Mtu == u32::MAX { 0 } else { entry.Mtu },
        if_type: entry.IfType,
        up: entry.OperStatus == IfOperStatusUp,
        // Windows has but one state for both.
        running: entry.OperStatus == IfOperStatusUp,
        point_to_point: POINT_TO_POINT.contains(&entry.IfType),
        wireless: false,
        addresses: addresses.filter_map(|address| held(address, index)).collect(),
    }
}

fn held(address: &IP_ADAPTER_UNICAST_ADDRESS_LH, index: u32) -> Option<Held> {
    // SAFETY: the structure is as long as its family says and lives as long as the entry.
    let ip = unsafe { ip_of(address.Address.lpSockaddr) }?;
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    Some(Held {
        ip,
        prefix_len: address.OnLinkPrefixLength,
        scope_id: if link_local { index } else { 0 },
        // A public address of a router's prefix has a suffix of the link layer's making, also where that is random.
        temporary: ip.is_ipv6()
            && address.PrefixOrigin == IpPrefixOriginRouterAdvertisement
            && address.SuffixOrigin == IpSuffixOriginRandom,
        deprecated: address.DadState == IpDadStateDeprecated || address.PreferredLifetime == 0,
        tentative: [IpDadStateInvalid, IpDadStateTentative, IpDadStateDuplicate].contains(&address.DadState),
    })
}

/// The address of a socket address; `None` for another family.
///
/// # Safety
/// It is null, or points to a structure as long as its family says.
unsafe fn ip_of(address: *const SOCKADDR) -> Option<IpAddr> {
    // SAFETY: as the caller says.
    match unsafe { address.as_ref() }?.sa_family {
        AF_INET => {
            // SAFETY: the family says so; every bit pattern is an address.
            let octets = unsafe { address.cast::<SOCKADDR_IN>().read_unaligned().sin_addr.S_un.S_addr };
            Some(octets.to_ne_bytes().into())
        }
        AF_INET6 => {
            // SAFETY: the family says so; every bit pattern is an address.
            let octets = unsafe { address.cast::<SOCKADDR_IN6>().read_unaligned().sin6_addr.u.Byte };
            Some(octets.into())
        }
        _ => None,
    }
}

/// A string that ends with a zero.
///
/// # Safety
/// It is null, or ends with a zero.
unsafe fn text(start: *const u16) -> String {
    if start.is_null() {
        return String::new();
    }
    let mut len = 0;
    // SAFETY: a zero comes, and nothing after it is read.
    while unsafe { *start.add(len) } != 0 {
        len += 1;
    }
    // SAFETY: `len` characters were just read.
    String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(start, len) })
}

/// The routing table, freed when it goes.
struct Table(*mut MIB_IPFORWARD_TABLE2);

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: it came from `GetIpForwardTable2`, and nothing borrowed from it outlives it.
        unsafe { FreeMibTable(self.0.cast()) }
    }
}

impl Table {
    fn read() -> io::Result<Self> {
        let mut table = null_mut();
        // SAFETY: the place for the result lives through the call.
        match unsafe { GetIpForwardTable2(AF_UNSPEC, &raw mut table) } {
            0 => Ok(Self(table)),
            error => Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }

    fn rows(&self) -> &[MIB_IPFORWARD_ROW2] {
        // SAFETY: as many rows as the table says follow its head, and live as long as the table. The pointer is taken of the
        // whole table, since the declared array has but one.
        unsafe {
            let rows = (&raw const (*self.0).Table).cast();
            std::slice::from_raw_parts(rows, (*self.0).NumEntries as usize)
        }
    }
}

pub(super) fn default_routes() -> io::Result<Vec<DefaultRoute>> {
    let (list, table) = (List::read()?, Table::read()?);
    let metric_of = |row: &MIB_IPFORWARD_ROW2, ipv6: bool| {
        let own = list.iter().find(|entry| {
            // SAFETY: both members of the union are plain integers.
            let ipv4_index = unsafe { entry.Anonymous1.Anonymous.IfIndex };
            [ipv4_index, entry.Ipv6IfIndex].contains(&row.InterfaceIndex)
        });
        let interface = own.map_or(0, |entry| if ipv6 { entry.Ipv6Metric } else { entry.Ipv4Metric });
        row.Metric.saturating_add(interface)
    };
    let found = table.rows().iter().filter(|row| row.DestinationPrefix.PrefixLength == 0 && !row.Loopback);
    Ok(found
        .filter_map(|row| {
            let ipv6 = any_ip(&row.DestinationPrefix.Prefix)?.is_ipv6();
            let gateway = any_ip(&row.NextHop).filter(|ip| !ip.is_unspecified());
            Some(DefaultRoute { index: row.InterfaceIndex, ipv6, gateway, metric: metric_of(row, ipv6) })
        })
        .collect())
}

fn any_ip(address: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: the union has room for both families.
    unsafe { ip_of((&raw const *address).cast()) }
}
