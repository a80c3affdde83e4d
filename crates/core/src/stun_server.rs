//! A STUN Binding responder on its own thread: what loopback blocks are validated against, and a server for other machines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use routepool_proto::ip_block::IpBlock;
use routepool_proto::stun::{self, MAX_RESPONSE_LEN};
use routepool_udp::{Backend, Options, Socket, Transmit, errno};

use crate::Error;
use crate::defaults::{BATCH, NAP};
use crate::local_table::LocalTable;

/// A running responder. Dropping it stops the thread and closes the socket.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    receive_buffer: usize,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    requests: AtomicU64,
    replies: AtomicU64,
    ignored: AtomicU64,
    drops: AtomicU32,
}

/// What a responder has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub requests: u64,
    /// Replies sent.
    pub replies: u64,
    /// Datagrams that were no Binding request, or whose reply could not be sent.
    pub ignored: u64,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub drops: u32,
}

impl Responder {
    /// Starts a responder at `address`; port 0 picks a free one. The address must be a single one, not a wildcard: replies
    /// leave from the address that is bound.
    ///
    /// # Errors
    /// [`Error::System`] with what `bind` said.
    pub fn start(address: SocketAddr) -> Result<Self, Error> {
        let system = |source| Error::System { syscall: "bind", address: Some(address), source };
        if address.ip().is_unspecified() {
            return Err(Error::option_error(
                "address",
                format!("expected one address of this machine for `address` but received the wildcard {}", address.ip()),
            ));
        }
        let options = Options { freebind: address.is_ipv6(), batch: BATCH, ..Options::bound(address) };
        if options.freebind {
            // With freebind the kernel would bind an address that is not ours as well.
            let block = IpBlock::from_range(address.ip(), address.ip()).map_err(|e| Error::Block(e.to_string()))?;
            LocalTable::read(true).map_err(system)?.check(&block)?;
        }
        let socket = Socket::open(Backend::best(), &options).map_err(system)?;
        let address = SocketAddr::new(address.ip(), socket.local_port());
        let receive_buffer = socket.receive_buffer();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("routepool-stun".into())
            .spawn(move || serve(socket, &theirs))
            .map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        Ok(Self { address, receive_buffer, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The receive buffer that the kernel granted, in bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            requests: self.shared.requests.load(Ordering::Relaxed),
            replies: self.shared.replies.load(Ordering::Relaxed),
            ignored: self.shared.ignored.load(Ordering::Relaxed),
            drops: self.shared.drops.load(Ordering::Relaxed),
        }
    }

    /// Stops it: the thread ends within its nap of 20 ms and the socket is closed. Twice is fine.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic on a datagram; if it did, there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Replies of one batch.
struct Answers {
    bytes: Vec<[u8; MAX_RESPONSE_LEN]>,
    to: Vec<(SocketAddr, usize)>,
}

fn serve(mut socket: Socket, shared: &Shared) {
    let mut answers = Answers { bytes: vec![[0; MAX_RESPONSE_LEN]; BATCH], to: Vec::with_capacity(BATCH) };
    while !shared.stop.load(Ordering::Relaxed) {
        answers.to.clear();
        let mut ignored = 0;
        let received = socket.receive(|datagram| {
            let at = answers.to.len();
            match answers.bytes.get_mut(at).and_then(|out| stun::respond(datagram.bytes, datagram.from, out)) {
                Some(len) => answers.to.push((datagram.from, len)),
                None => ignored += 1,
            }
        });
        let received = match received {
            Ok(received) => received,
            Err(error) if errno::is_icmp(&error) => continue,
            // The interface went away or the like: nothing to serve, look again.
            Err(_) => 0,
        };
        if received == 0 {
            shared.drops.store(socket.drops(), Ordering::Relaxed);
            // A failing wait must not become a busy loop.
            if socket.wait(false, NAP).is_err() {
                std::thread::sleep(NAP);
            }
            continue;
        }
        shared.requests.fetch_add(received as u64, Ordering::Relaxed);
        let sent = reply(&mut socket, &answers);
        shared.replies.fetch_add(sent as u64, Ordering::Relaxed);
        shared.ignored.fetch_add(ignored + (answers.to.len() - sent) as u64, Ordering::Relaxed);
    }
}

fn reply(socket: &mut Socket, answers: &Answers) -> usize {
    let source = None; // the bound address
    let transmits: Vec<_> = answers
        .to
        .iter()
        .zip(&answers.bytes)
        .map(|((destination, len), bytes)| Transmit { source, destination: *destination, bytes: &bytes[..*len] })
        .collect();
    let (mut from, mut sent) = (0, 0);
    while from < transmits.len() {
        let (done, refused) = socket.send(&transmits[from..]);
        (from, sent) = (from + done, sent + done);
        match refused {
            None => break,
            Some(refused) if errno::is_transient(&refused.error) => {
                let _ = socket.wait(true, std::time::Duration::from_millis(5));
            }
            // This one cannot be answered; the others can.
            Some(_) => from += 1,
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use routepool_proto::stun::ReplyBody;

    use super::*;

    #[test]
    fn answers_binding_requests_and_nothing_else() {
        let mut responder = Responder::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let client = UdpSocket::bind("127.0.0.77:0").expect("loopback");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        client.send_to(b"GET / HTTP/1.0\r\n\r\n", responder.address()).expect("send");
        let id = *b"abcdefghijkl";
        client.send_to(&stun::binding_request(&id), responder.address()).expect("send");
        let mut buffer = [0; 200];
        let (len, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, responder.address());
        let reply = stun::read_reply(&buffer[..len]).expect("a STUN reply");
        assert_eq!(reply.id, id);
        assert!(matches!(reply.body, ReplyBody::Mapped(a) if a == client.local_addr().expect("bound")));
        responder.stop();
        responder.stop();
        let counters = responder.counters();
        assert_eq!((counters.requests, counters.replies, counters.ignored), (2, 1, 1));
    }

    #[test]
    fn a_busy_port_and_a_wildcard_are_refused() {
        let first = Responder::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let error = Responder::start(first.address()).expect_err("in use");
        assert!(matches!(&error, Error::System { syscall: "bind", .. }), "{error}");
        let error = Responder::start("0.0.0.0:0".parse().expect("an address")).expect_err("a wildcard");
        assert_eq!(error.option(), Some("address"));
    }
}
