//! Questions to the kernel of Linux over a netlink socket (netlink(7), rtnetlink(7)).

use std::io;

use libc::{
    AF_INET, AF_INET6, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP,
    RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use routepool_proto::ip_number::bits;

/// Dumps come in messages of up to 32 KiB (the kernel's `NLMSG_GOODSIZE` doubled for large receivers).
const RECEIVE: usize = 1 << 16;

/// How often a dump that was disturbed by a change is asked for again before the last one is taken as it is.
const TRIES: u32 = 5;

/// A connection to the kernel for questions one after the other.
pub(crate) struct Kernel {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Dumps are filtered by what their request says (Linux 4.20). An older kernel does not know it and gives everything of
        // the kind, so that every caller must look again.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE) })
    }

    /// All that the kernel has of a kind, through `pick`, which is given the payload of each message. Asked again when
    /// something changed meanwhile.
    pub(crate) fn dump<T>(
        &mut self,
        question: Question,
        mut pick: impl FnMut(&[u8]) -> io::Result<Option<T>>,
    ) -> io::Result<Vec<T>> {
        let request = question.request();
        let mut found = Vec::new();
        for _ in 0..TRIES {
            found.clear();
            self.socket.send(&request, 0)?;
            let take = |payload: &[u8]| pick(payload).map(|picked| found.extend(picked));
            if !self.read_dump(take)? {
                break;
            }
        }
        Ok(found)
    }

    /// Reads one dump; says whether it was disturbed.
    fn read_dump(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        let mut disturbed = false;
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0)?;
            for message in messages(&self.buffer) {
                let Message { kind, flags, payload } = message?;
                disturbed |= i32::from(flags) & NLM_F_DUMP_INTR != 0;
                match i32::from(kind) {
                    // Both begin with an error number, which is 0 for none.
                    kind @ (NLMSG_DONE | NLMSG_ERROR) => match number(payload).map(i32::from_ne_bytes) {
                        Some(errno) if errno < 0 => return Err(io::Error::from_raw_os_error(-errno)),
                        _ if kind == NLMSG_DONE => return Ok(disturbed),
                        _ => {}
                    },
                    NLMSG_NOOP => {}
                    _ => take(payload)?,
                }
            }
        }
    }
}

/// What the kernel is asked for, of a kind all that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Interfaces.
    Links,
    /// Their addresses.
    Addresses,
    /// Routes of a family and a kind (`RTN_…`), in a table or, with `RT_TABLE_UNSPEC`, in all.
    Routes { ipv6: bool, kind: u8, table: u8 },
}

impl Question {
    /// The message: `struct nlmsghdr`, then `ifinfomsg`, `ifaddrmsg` or `rtmsg` (rtnetlink(7)).
    fn request(self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Links => (RTM_GETLINK, vec![0; 16]),
            Self::Addresses => (RTM_GETADDR, vec![0; 8]),
            Self::Routes { ipv6, kind, table } => {
                let mut body = vec![0; RouteHead::SIZE];
                body[0] = if ipv6 { AF_INET6 } else { AF_INET } as u8;
                (body[4], body[7]) = (table, kind);
                (RTM_GETROUTE, body)
            }
        };
        let mut bytes = ((HEAD + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(((NLM_F_REQUEST | NLM_F_DUMP) as u16).to_ne_bytes());
        // A number and an address of ours, of which neither is needed: one question is asked at a time.
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }
}

/// A message, not yet understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Its type: `RTM_NEWADDR` and so on.
    pub kind: u16,
    /// `NLM_F_…`.
    pub flags: u16,
    /// What comes after the head.
    pub payload: &'a [u8],
}

const HEAD: usize = size_of::<libc::nlmsghdr>();

/// The messages of a datagram (`struct nlmsghdr`, netlink(7)). They are cut apart here and read by those who want them: of
/// hundreds of thousands of routes hardly one is wanted. After an error there are no more.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<Message<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = number(bytes).map_or(0, u32::from_ne_bytes) as usize;
        if length < HEAD || length > bytes.len() {
            bytes = &[];
            return Some(Err(io::Error::new(io::ErrorKind::InvalidData, "a netlink message is cut off")));
        }
        let two = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let message = Message { kind: two(4), flags: two(6), payload: &bytes[HEAD..length] };
        // Messages are aligned to four bytes.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    })
}

/// The attributes of a message (`struct rtattr`, rtnetlink(7)) after its own head: number and value of each. What is cut off
/// ends them.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    // `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` stand above the number.
    const NUMBER: u16 = libc::NLA_TYPE_MASK as u16;
    std::iter::from_fn(move || {
        let [a, b, c, d, ..] = *bytes else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & NUMBER, value))
    })
}

/// The first four bytes: a number in the order of this machine.
pub(crate) fn number(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.first_chunk().copied()
}

/// The head of a message about a route (`struct rtmsg` of linux/rtnetlink.h). It says whether the rest is worth reading: a
/// machine may have a million routes, of which two are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteHead {
    /// Length of the destination's prefix.
    pub len: u8,
    /// The kind: `RTN_UNICAST` and so on.
    kind: u8,
    /// The family of its addresses.
    family: u8,
    /// The table, if its number is below 256.
    pub table: u8,
}

impl RouteHead {
    /// `sizeof(struct rtmsg)`: the attributes follow.
    pub const SIZE: usize = 12;

    /// Reads the head of a message's payload.
    pub fn of(payload: &[u8]) -> Option<Self> {
        let [family, len, _, _, table, _, _, kind, ..] = *payload else { return None };
        Some(Self { len, kind, family, table })
    }

    pub fn is_ipv6(self) -> bool {
        i32::from(self.family) == AF_INET6
    }

    /// Whether it makes addresses local.
    pub fn is_local(self) -> bool {
        self.kind == libc::RTN_LOCAL
    }

    /// Whether it is for all that no other route takes.
    pub fn is_default(self) -> bool {
        self.len == 0 && self.kind == libc::RTN_UNICAST
    }

    /// Whether it makes more than one address local.
    pub fn is_local_block(self) -> bool {
        self.is_local() && self.len != bits(self.is_ipv6())
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A message as the kernel writes it.
    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = HEAD + payload.len();
        let mut bytes = (length as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEAD, 0);
        bytes.extend(payload);
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_cut_into_its_messages() {
        let bytes = [message(20, &[1, 2, 3, 4, 5]), message(3, &[])].concat();
        let found: Vec<_> =
            messages(&bytes).map(|m| m.expect("whole")).map(|m| (m.kind, m.payload.to_vec())).collect();
        assert_eq!(found, [(20, vec![1, 2, 3, 4, 5]), (3, vec![])]);
        // Wherever it is cut off, it ends with an error and without a panic.
        for len in 1..HEAD {
            assert!(messages(&bytes[..len]).last().expect("one").is_err(), "{len}");
        }
        assert!(messages(&[0; 64]).all(|m| m.is_err()) && messages(&[0; 64]).count() == 1);
        assert_eq!(messages(&[0xff; 64]).count(), 1);
        assert_eq!(messages(&[]).count(), 0);
    }

    /// However a dump is changed: reading it ends, and nothing of it lies outside. `ROUTEPOOL_FUZZ_ROUNDS` says how often.
    #[test]
    fn changed_messages_are_read_to_their_end() {
        let rounds = std::env::var("ROUTEPOOL_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok());
        let mut random = rand::rngs::StdRng::seed_from_u64(79);
        let route =
            [2, 16, 0, 0, 255, 2, 0, 2, 0, 0, 0, 0, 8, 0, 1, 0, 198, 18, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0];
        let address = [2, 24, 0, 0, 7, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 0, 0, 2];
        let dump =
            [message(24, &route), message(20, &address), message(24, &route), message(3, &[0; 4])].concat();
        for _ in 0..rounds.unwrap_or(2_000) {
            let mut bytes = dump.clone();
            for _ in 0..random.random_range(1..5) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] = random.random(),
                    1 => bytes[at] = [0, 1, 3, 4, 0x7f, 0xff][random.random_range(0..6)],
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let mut count = 0;
            for message in messages(&bytes).filter_map(Result::ok) {
                count += 1;
                let inside: usize = attributes(message.payload).map(|(_, value)| value.len() + 4).sum();
                assert!(inside <= message.payload.len().next_multiple_of(4));
                let _ = crate::interface::InterfaceAddress::of(message.payload);
                let _ = RouteHead::of(message.payload).map(|head| (head.is_default(), head.is_local_block()));
                let _ = crate::system::local_table::local_route(message.payload);
            }
            assert!(count <= bytes.len() / HEAD);
        }
    }

    #[test]
    fn attributes_end_where_they_are_cut_off() {
        let mut bytes = vec![5, 0, 1, 0, 77, 0, 0, 0];
        bytes.extend([8, 0, 2, 0x80, 1, 2, 3, 4]);
        if cfg!(target_endian = "little") {
            let found: Vec<_> = attributes(&bytes).map(|(kind, value)| (kind, value.to_vec())).collect();
            assert_eq!(
                found,
                [(1, vec![77]), (2, vec![1, 2, 3, 4])],
                "flags above the number are no part of it"
            );
        }
        for len in 0..bytes.len() {
            assert!(attributes(&bytes[..len]).count() < 2);
        }
        // A length of less than the head of an attribute would not move on.
        assert_eq!(attributes(&[3, 0, 3, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[0; 8]).count(), 0);
    }
}
