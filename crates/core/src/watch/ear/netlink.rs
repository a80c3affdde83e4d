//! Linux: the multicast groups of rtnetlink (rtnetlink(7)).

use std::io;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use routepool_proto::watch::AddressNotice;

use super::{Ear, Heard};
use crate::defaults::WATCH_RECEIVE_BUFFER;
use crate::interface::address_facts;
use crate::local_table::LOCAL_TABLE;

/// Numbers of the groups in linux/rtnetlink.h: LINK, `IPV4_IFADDR`, `IPV4_ROUTE`, `IPV4_RULE`, `IPV6_IFADDR`, `IPV6_ROUTE`,
/// `IPV6_RULE`.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// Messages are smaller, but for links with hundreds of virtual functions, which are cut and then not understood: a reason
/// to look as any other.
const RECEIVE: usize = 1 << 15;

/// Errno of a full receive buffer (socket(7)): messages were lost.
const ENOBUFS: i32 = 105;

/// Whether the system tells.
pub(in crate::watch) const TELLS: bool = true;

/// A socket that is told of every change.
struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
}

pub(in crate::watch) fn open(registry: &Registry, token: Token) -> io::Result<Box<dyn Ear>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1));
    socket.bind(&SocketAddr::new(0, groups))?;
    // Connected to the kernel: other processes cannot send to it (netlink(7)).
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    // The kernel gives what net.core.rmem_max allows; an overflow costs a look and nothing else.
    let _ = socket.set_rx_buf_sz(WATCH_RECEIVE_BUFFER);
    registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
    Ok(Box::new(Netlink { socket, buffer: Vec::with_capacity(RECEIVE) }))
}

impl Ear for Netlink {
    fn listen(&mut self, tell: &mut dyn FnMut(Heard)) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => understand(&self.buffer, tell),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => tell(Heard::Overflow),
                Err(error) => return Err(error),
            }
        }
    }

    fn close(self: Box<Self>, registry: &Registry) {
        // It is closed whatever comes of it.
        let _ = registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()));
    }
}

/// Reads a datagram of messages. What cannot be read is a reason to look too.
fn understand(mut bytes: &[u8], tell: &mut dyn FnMut(Heard)) {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else {
            tell(Heard::Interface);
            return;
        };
        let len = (message.header.length as usize).next_multiple_of(4).max(16);
        if let NetlinkPayload::InnerMessage(message) = message.payload
            && let Some(heard) = meaning(&message)
        {
            tell(heard);
        }
        bytes = bytes.get(len..).unwrap_or_default();
    }
}

fn meaning(message: &RouteNetlinkMessage) -> Option<Heard> {
    use RouteNetlinkMessage as Message;
    let (message, there) = match message {
        Message::NewAddress(address) => (address, true),
        Message::DelAddress(address) => (address, false),
        Message::NewRoute(route) | Message::DelRoute(route) => return is_path(route).then_some(Heard::Path),
        Message::NewRule(_) | Message::DelRule(_) => return Some(Heard::Path),
        _ => return Some(Heard::Interface),
    };
    Some(address_facts(message).map_or(Heard::Interface, |(interface, address)| {
        let usable = there && !address.tentative;
        Heard::Address(AddressNotice { interface, ip: address.ip, prefix_len: address.prefix_len, usable })
    }))
}

/// Whether a route is a default one or a local block. Single local routes come with each address, and the thousands of routes
/// of a router say nothing about its interfaces.
fn is_path(route: &RouteMessage) -> bool {
    let table =
        route.attributes.iter().find_map(|a| if let RouteAttribute::Table(t) = a { Some(*t) } else { None });
    let table = table.unwrap_or_else(|| u32::from(route.header.table));
    let len = route.header.destination_prefix_length;
    let full =
        if route.header.address_family == netlink_packet_route::AddressFamily::Inet6 { 128 } else { 32 };
    match route.header.kind {
        RouteType::Unicast => len == 0,
        RouteType::Local => table == LOCAL_TABLE && len < full,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkHeader;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    fn heard(bytes: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        understand(bytes, &mut |heard| all.push(heard));
        all
    }

    fn bytes(message: RouteNetlinkMessage) -> Vec<u8> {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn route(kind: RouteType, table: u8, len: u8) -> RouteNetlinkMessage {
        let mut route = RouteMessage::default();
        route.header.kind = kind;
        route.header.table = table;
        route.header.address_family = AddressFamily::Inet;
        route.header.destination_prefix_length = len;
        RouteNetlinkMessage::NewRoute(route)
    }

    #[test]
    fn what_says_nothing_of_interfaces_is_not_heard() {
        for (message, want, why) in [
            (route(RouteType::Unicast, 254, 0), vec![Heard::Path], "the default route"),
            (route(RouteType::Unicast, 88, 0), vec![Heard::Path], "one of another table"),
            (route(RouteType::Unicast, 254, 24), vec![], "one of a router's thousands"),
            (route(RouteType::Local, 255, 16), vec![Heard::Path], "a block"),
            (route(RouteType::Local, 255, 32), vec![], "what comes with an address"),
            (route(RouteType::Broadcast, 255, 32), vec![], "that too"),
            (route(RouteType::Multicast, 255, 8), vec![], "ff00::/8"),
            (RouteNetlinkMessage::NewLink(LinkMessage::default()), vec![Heard::Interface], "a link"),
            (
                RouteNetlinkMessage::NewAddress(AddressMessage::default()),
                vec![Heard::Interface],
                "an address without one",
            ),
        ] {
            assert_eq!(heard(&bytes(message)), want, "{why}");
        }
    }

    #[test]
    fn garbage_is_a_reason_to_look_and_ends() {
        let mut two = bytes(route(RouteType::Unicast, 254, 0));
        two.extend(bytes(route(RouteType::Unicast, 254, 0)));
        assert_eq!(heard(&two), [Heard::Path, Heard::Path]);
        for len in 1..two.len() {
            heard(&two[..len]);
        }
        assert_eq!(heard(&[0; 40]), [Heard::Interface]);
        assert_eq!(heard(&[0xff; 3]), [Heard::Interface]);
    }
}
