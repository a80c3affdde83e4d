//! Questions to the kernel of Linux over a netlink socket (netlink(7), rtnetlink(7)).

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Dumps come in messages of up to 32 KiB (the kernel's `NLMSG_GOODSIZE` doubled for large receivers).
const RECEIVE: usize = 1 << 16;

/// How often a dump that was disturbed by a change is asked for again before the last one is taken as it is.
const TRIES: u32 = 5;

/// Whether the kernel filters a dump by what its request says (`NETLINK_GET_STRICT_CHK`, Linux 4.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// It gives everything of the kind.
    None,
    /// It leaves out what differs from the request. Where it cannot, everything comes: look again.
    ByRequest,
}

/// All that the kernel has of a kind, through `pick`. Asked again when something changed meanwhile.
pub(crate) fn dump<T>(
    request: RouteNetlinkMessage,
    filter: Filter,
    mut pick: impl FnMut(RouteNetlinkMessage) -> Option<T>,
) -> io::Result<Vec<T>> {
    let socket = open(filter)?;
    let request = encode(request, NLM_F_REQUEST | NLM_F_DUMP);
    let mut found = Vec::new();
    for _ in 0..TRIES {
        found.clear();
        socket.send(&request, 0)?;
        if !read_dump(&socket, |message| found.extend(pick(message)))? {
            break;
        }
    }
    Ok(found)
}

fn open(filter: Filter) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    if filter == Filter::ByRequest {
        // An older kernel does not know it and gives everything, which every caller can bear.
        let _ = socket.set_netlink_get_strict_chk(true);
    }
    Ok(socket)
}

fn encode(request: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Reads one dump; says whether it was disturbed.
fn read_dump(socket: &Socket, mut take: impl FnMut(RouteNetlinkMessage)) -> io::Result<bool> {
    let (mut buffer, mut disturbed) = (Vec::with_capacity(RECEIVE), false);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
            disturbed |= message.header.flags & NLM_F_DUMP_INTR != 0;
            // Messages are aligned to four bytes (netlink(7)).
            let len = (message.header.length as usize).next_multiple_of(4).max(16);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(disturbed),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(message) => take(message),
                _ => {}
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}
