//! A STUN server with a script: for each request it decides what to answer.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use stun_rs::MessageClass;
use stun_rs::attributes::stun::XorMappedAddress;

use crate::message;

/// What to answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The truth.
    True,
    /// Another mapped address than the true one.
    Mapped(SocketAddr),
    /// The truth, this many times.
    Repeat(usize),
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The first bytes of the truth.
    Cut(usize),
    /// The truth, with this byte of the transaction id changed.
    WrongId(usize),
    /// The truth, from another port of the server.
    OtherPort,
}

/// A server on loopback with its own thread; dropping it stops it.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    /// Starts a server at `address` (port 0 picks a free one). The script is called with the number of the request, from 0,
    /// and with where it came from.
    ///
    /// # Errors
    /// What `bind` says.
    pub fn start(
        address: SocketAddr,
        script: impl Fn(u64, SocketAddr) -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let other = UdpSocket::bind(SocketAddr::new(address.ip(), 0))?;
        let address = socket.local_addr()?;
        // Often enough to see that it is to stop.
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let number = counter.fetch_add(1, Ordering::Relaxed);
                answer(&socket, &other, &buffer[..len], from, &script(number, from));
            }
        });
        Ok(Self { address, stop, requests, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests received so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(socket: &UdpSocket, other: &UdpSocket, request: &[u8], from: SocketAddr, answer: &Answer) {
    let Some(request) = message::request(request) else { return };
    let seen = if let Answer::Mapped(address) = answer { *address } else { from };
    let attributes = vec![XorMappedAddress::from(seen).into()];
    let mut bytes = message::answer(MessageClass::SuccessResponse, *request.transaction_id(), attributes);
    let (mut times, mut via) = (1, socket);
    match answer {
        Answer::True | Answer::Mapped(_) => {}
        Answer::Repeat(count) => times = *count,
        Answer::Nothing => times = 0,
        Answer::Bytes(other) => bytes.clone_from(other),
        Answer::Cut(len) => bytes.truncate(*len),
        Answer::WrongId(at) => bytes[8 + at % 12] ^= 0x55,
        Answer::OtherPort => via = other,
    }
    for _ in 0..times {
        // A client that is gone is no fault of the server.
        let _ = via.send_to(&bytes, from);
    }
}
