//! Everywhere: a socket for each source. Ten to twenty times slower than one socket, but of the standard library's parts.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Type};

use crate::options::Options;
use crate::transmit::{Ready, Received, Refused, SendError, Transmit};
use crate::wait::{Handle, Waiter, handle};

/// Sockets kept open; the oldest that waits for nothing makes room. Below the usual limit of 1,024 descriptors, with room for the rest of the
/// process.
const MOST: usize = 512;

/// Probes in flight at most: a source's socket must outlive its answer.
pub(crate) const MOST_IN_FLIGHT: u32 = 256;

/// How long a socket that was sent from is kept for its answer. Closed before, a source that works looks silent, and when there
/// are fewer sockets than a batch has probes, the first of each batch would be so every time. Longer than most paths take; and
/// with [`MOST`] sockets still 5,000 silent sources a second.
const ANSWER_AWAITED: Duration = Duration::from_millis(100);

/// A socket per source, opened when first needed.
#[derive(Debug)]
pub(crate) struct PerSource {
    options: Options,
    /// In the order in which they were opened, which is that of their numbers.
    sockets: VecDeque<Bound>,
    by_source: HashMap<IpAddr, u64>,
    /// Sockets kept open: fewer than [`MOST`] once the system had no more.
    most: usize,
    next: u64,
    waiter: Waiter,
    /// Places of the sockets that can be read, within one call.
    readable: Vec<usize>,
    buffer: Box<[u8; 1_500]>,
}

#[derive(Debug)]
struct Bound {
    number: u64,
    socket: UdpSocket,
    local: SocketAddr,
    /// When it was last sent from, unless something has come since.
    asked: Option<Instant>,
}

impl Bound {
    fn is_idle(&self) -> bool {
        self.asked.is_none_or(|at| at.elapsed() >= ANSWER_AWAITED)
    }
}

impl PerSource {
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        let mut sockets = Self {
            options: options.clone(),
            sockets: VecDeque::new(),
            by_source: HashMap::new(),
            most: MOST,
            next: 0,
            waiter: Waiter::default(),
            readable: Vec::new(),
            buffer: Box::new([0; 1_500]),
        };
        // A fixed local address is one socket, at once, so that a refusal shows here.
        if !options.local.ip().is_unspecified() || options.local.port() != 0 {
            sockets.bind(options.local)?;
        }
        Ok(sockets)
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.place(self.options.local.ip()).map_or(0, |at| self.sockets[at].local.port())
    }

    /// Where the socket of a source is among the others.
    fn place(&self, source: IpAddr) -> Option<usize> {
        let number = self.by_source.get(&source)?;
        self.sockets.binary_search_by_key(number, |bound| bound.number).ok()
    }

    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle<'_>> + Clone {
        self.sockets.iter().map(|bound| handle(&bound.socket))
    }

    /// The least that systems give a socket; each source has one of its own.
    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    pub(crate) fn receive_buffer(&self) -> usize {
        MOST * 2_048
    }

    #[allow(
        clippy::unused_self,
        reason = "the same call as on Linux; the kernel is not asked for each of the sockets"
    )]
    pub(crate) fn drops(&self) -> u32 {
        0
    }

    /// Opens a socket; it is the last one then.
    fn bind(&mut self, local: SocketAddr) -> io::Result<usize> {
        let domain = if local.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = self.new_socket(domain)?;
        socket.set_nonblocking(true)?;
        if let Some(interface) = &self.options.interface {
            crate::bind_device(&socket, local.is_ipv6(), interface)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if local.is_ipv6() && self.options.freebind {
            socket.set_freebind_v6(true)?;
        }
        socket.bind(&local.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        let number = self.next;
        self.next += 1;
        self.by_source.insert(local.ip(), number);
        self.sockets.push_back(Bound { number, socket, local, asked: None });
        Ok(self.sockets.len() - 1)
    }

    /// A socket. That a process has no descriptor left says nothing of an address: older ones make room, and some for the rest
    /// of the process.
    fn new_socket(&mut self, domain: Domain) -> io::Result<socket2::Socket> {
        loop {
            self.make_room()?;
            match socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)) {
                Err(error) if crate::errno::is_out_of_descriptors(&error) && !self.sockets.is_empty() => {
                    self.most = (self.sockets.len() * 3 / 4).max(1);
                }
                result => return result,
            }
        }
    }

    /// Closes sockets until there is room for one more; `WouldBlock` while all of them wait for an answer.
    fn make_room(&mut self) -> io::Result<()> {
        while self.sockets.len() >= self.most {
            let idle = self.sockets.iter().position(Bound::is_idle);
            let Some(bound) = idle.and_then(|at| self.sockets.remove(at)) else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            self.by_source.remove(&bound.local.ip());
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, transmits: &[Transmit<'_>]) -> (usize, Option<SendError>) {
        for (done, transmit) in transmits.iter().enumerate() {
            let source = transmit.source.unwrap_or(self.options.local.ip());
            let at = match self.place(source) {
                Some(at) => Ok(at),
                None => self.bind(SocketAddr::new(source, self.options.local.port())),
            };
            let at = match at {
                Ok(at) => at,
                Err(error) => return (done, Some(SendError { refused: Refused::Bind, error })),
            };
            let bound = &mut self.sockets[at];
            bound.asked = Some(Instant::now());
            if let Err(error) = bound.socket.send_to(transmit.bytes, transmit.destination) {
                return (done, Some(SendError { refused: Refused::Send, error }));
            }
        }
        (transmits.len(), None)
    }

    pub(crate) fn receive(&mut self, mut take: impl FnMut(Received<'_>)) -> io::Result<usize> {
        // Looked for anew each time: what has arrived since a wait is among them.
        self.look(Duration::ZERO)?;
        let Self { options, sockets, readable, buffer, .. } = self;
        let mut received = 0;
        for at in readable {
            let bound = &mut sockets[*at];
            while received < options.batch {
                match bound.socket.recv_from(&mut buffer[..]) {
                    Ok((len, from)) => {
                        bound.asked = None;
                        let (to, port) = (bound.local.ip(), bound.local.port());
                        take(Received { from, to, port, bytes: &buffer[..len] });
                        received += 1;
                    }
                    // Read to its end: a batch that was not full was the last one.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Windows reports the ICMP error of an earlier datagram here (WSAECONNRESET), and others may do so
                    // too; and it refuses a datagram that is longer than any answer.
                    Err(error)
                        if crate::errno::is_icmp(&error)
                            || crate::errno::is_too_long(&error)
                            || error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(received)
    }

    /// Waits until one of the sockets is readable, or the time is over.
    fn look(&mut self, timeout: Duration) -> io::Result<()> {
        let Self { sockets, waiter, readable, .. } = self;
        readable.clear();
        let named = sockets.iter().map(|bound| handle(&bound.socket)).enumerate();
        waiter.wait(named, timeout, |at| readable.push(at))
    }

    pub(crate) fn wait(&mut self, for_writing: bool, timeout: Duration) -> io::Result<Ready> {
        // Sending on a UDP socket hardly ever blocks, and which of the sockets it was is not remembered: a short wait.
        let timeout = if for_writing { timeout.min(Duration::from_millis(1)) } else { timeout };
        self.look(timeout)?;
        Ok(Ready { readable: !self.readable.is_empty(), writable: for_writing })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn transmit(last: u8, destination: SocketAddr) -> Transmit<'static> {
        Transmit { source: Some([127, 16, 0, last].into()), destination, bytes: b"question" }
    }

    #[test]
    fn a_socket_that_waits_for_its_answer_makes_no_room() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let to = server.local_addr().expect("bound");
        let mut sockets = PerSource::open(&Options::wildcard(false)).expect("a poll");
        sockets.most = 2;
        let wanted = [1, 2, 3].map(|last| transmit(last, to));
        let (sent, refused) = sockets.send(&wanted);
        let refused = refused.expect("two sockets are not enough for three sources").error;
        assert_eq!((sent, refused.kind()), (2, io::ErrorKind::WouldBlock));
        assert!(crate::errno::is_transient(&refused));

        // The second is answered first, and makes room though the first is older.
        let mut askers = [(); 2].map(|()| server.recv_from(&mut [0; 8]).expect("sent").1);
        askers.sort();
        server.send_to(b"answer", askers[1]).expect("loopback");
        let mut heard = Vec::new();
        while heard.is_empty() {
            assert!(sockets.wait(false, Duration::from_secs(5)).expect("poll").readable, "no answer came");
            sockets.receive(|r| heard.push(r.to)).expect("receive");
        }
        assert_eq!(heard, [askers[1].ip()]);
        assert!(sockets.send(&wanted[2..]).1.is_none());
        assert!(
            sockets.by_source.contains_key(&askers[0].ip())
                && !sockets.by_source.contains_key(&askers[1].ip())
        );
    }

    #[test]
    fn what_arrives_between_a_wait_and_a_read_is_read() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let to = server.local_addr().expect("bound");
        let mut sockets = PerSource::open(&Options::wildcard(false)).expect("a poll");
        assert!(sockets.send(&[1, 2].map(|last| transmit(last, to))).1.is_none());
        let askers = [(); 2].map(|()| server.recv_from(&mut [0; 8]).expect("sent").1);
        server.send_to(b"answer", askers[1]).expect("loopback");
        assert!(sockets.wait(false, Duration::from_secs(5)).expect("poll").readable, "no answer came");
        server.send_to(b"answer", askers[0]).expect("loopback");
        let mut heard = Vec::new();
        assert_eq!(
            sockets.receive(|r| heard.push(r.to)).expect("receive"),
            2,
            "a batch that is not full is the last"
        );
        assert_eq!(heard, askers.map(|asker| asker.ip()));
    }
}
