//! Linux: the multicast groups of rtnetlink (rtnetlink(7)).

use std::io;
use std::task::{Context, Poll};

use libc::{ENOBUFS, RTM_DELADDR, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWRULE};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use routepool_proto::watch::AddressNotice;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Notice, RouteMonitor};
use crate::defaults::WATCH_RECEIVE_BUFFER;
use crate::interface::InterfaceAddress;
use crate::system::netlink::{Message, RouteHead, messages};

/// Numbers of the groups in linux/rtnetlink.h: LINK, `IPV4_IFADDR`, `IPV4_ROUTE`, `IPV4_RULE`, `IPV6_IFADDR`, `IPV6_ROUTE`,
/// `IPV6_RULE`.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// Messages are smaller, but for links with hundreds of virtual functions, which are cut and then not understood: a reason
/// to look as any other.
const RECEIVE: usize = 1 << 15;

/// Whether the system tells.
pub(in crate::watch) const REPORTS_CHANGES: bool = true;

/// A socket that is told of every change.
struct Netlink {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

/// Whether the system lets one listen.
pub(in crate::watch) fn check() -> io::Result<()> {
    connect().map(drop)
}

pub(in crate::watch) fn open() -> io::Result<Box<dyn RouteMonitor>> {
    #[expect(deprecated, reason = "what took its place is unsafe, for descriptors that nobody owns")]
    let socket = AsyncFd::with_interest(connect()?, Interest::READABLE)?;
    Ok(Box::new(Netlink { socket, buffer: Vec::with_capacity(RECEIVE) }))
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1));
    socket.bind(&SocketAddr::new(0, groups))?;
    // Connected to the kernel: other processes cannot send to it (netlink(7)).
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    // The kernel gives what net.core.rmem_max allows; an overflow costs a look and nothing else.
    let _ = socket.set_rx_buf_sz(WATCH_RECEIVE_BUFFER);
    Ok(socket)
}

impl RouteMonitor for Netlink {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // An error is seen by the read that follows.
        self.socket.poll_read_ready(context).map(drop)
    }

    fn listen(&mut self, tell: &mut dyn FnMut(Notice)) -> io::Result<()> {
        let Self { socket, buffer } = self;
        loop {
            buffer.clear();
            match socket.try_io(Interest::READABLE, |socket| socket.recv(buffer, 0)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => read_notices(buffer, tell),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The receive buffer was full (socket(7)): messages were lost.
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => tell(Notice::Overflow),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Reads a datagram of messages. What cannot be read is a reason to look too.
fn read_notices(bytes: &[u8], tell: &mut dyn FnMut(Notice)) {
    for message in messages(bytes) {
        if let Some(notice) = message.map_or(Some(Notice::Interface), |message| notice_of(&message)) {
            tell(notice);
        }
    }
}

/// What a message means, if anything.
fn notice_of(message: &Message<'_>) -> Option<Notice> {
    match message.kind {
        kind @ (RTM_NEWADDR | RTM_DELADDR) => Some(address(message.payload, kind == RTM_NEWADDR)),
        RTM_NEWROUTE | RTM_DELROUTE => is_path(message.payload).then_some(Notice::Path),
        RTM_NEWRULE | RTM_DELRULE => Some(Notice::Path),
        _ => Some(Notice::Interface),
    }
}

fn address(payload: &[u8], is_new: bool) -> Notice {
    InterfaceAddress::of(payload).map_or(Notice::Interface, |found| {
        let usable = is_new && !found.is_tentative();
        let InterfaceAddress { interface, ip, prefix_len, .. } = found;
        Notice::Address(AddressNotice { interface, ip, prefix_len, usable })
    })
}

/// Whether a route is a default one or a local block. Single local routes come with each address, and the thousands of routes
/// of a router say nothing about its interfaces.
fn is_path(payload: &[u8]) -> bool {
    RouteHead::of(payload).is_none_or(|head| head.is_default() || head.is_local_block())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::link::LinkMessage;
    use netlink_packet_route::route::{RouteMessage, RouteType};
    use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

    use super::*;

    fn notices(bytes: &[u8]) -> Vec<Notice> {
        let mut all = Vec::new();
        read_notices(bytes, &mut |notice| all.push(notice));
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
            (route(RouteType::Unicast, 254, 0), vec![Notice::Path], "the default route"),
            (route(RouteType::Unicast, 88, 0), vec![Notice::Path], "one of another table"),
            (route(RouteType::Unicast, 254, 24), vec![], "one of a router's thousands"),
            (route(RouteType::Local, 255, 16), vec![Notice::Path], "a block"),
            (route(RouteType::Local, 255, 32), vec![], "what comes with an address"),
            (route(RouteType::Broadcast, 255, 32), vec![], "that too"),
            (route(RouteType::Multicast, 255, 8), vec![], "ff00::/8"),
            (RouteNetlinkMessage::NewLink(LinkMessage::default()), vec![Notice::Interface], "a link"),
            (
                RouteNetlinkMessage::NewAddress(AddressMessage::default()),
                vec![Notice::Interface],
                "an address without one",
            ),
        ] {
            assert_eq!(notices(&bytes(message)), want, "{why}");
        }
    }

    #[test]
    fn garbage_is_a_reason_to_look_and_ends() {
        let mut two = bytes(route(RouteType::Unicast, 254, 0));
        two.extend(bytes(route(RouteType::Unicast, 254, 0)));
        assert_eq!(notices(&two), [Notice::Path, Notice::Path]);
        for len in 1..two.len() {
            notices(&two[..len]);
        }
        assert_eq!(notices(&[0; 40]), [Notice::Interface]);
        assert_eq!(notices(&[0xff; 3]), [Notice::Interface]);
    }
}
