//! The server over TCP (RFC 8489, section 6.2.2): connections are read message by message, each in a task of the process's
//! runtime.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use routepool_proto::stun::guard::Guard;
use routepool_proto::stun::server::{Ignored, IncomingRequest, MAX_ANSWER_LEN, Service, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::select;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::counters::{Counters, Published};
use crate::Error;
use crate::defaults::{TCP_BACKLOG, TCP_CONNECTIONS, TCP_IDLE, TCP_MESSAGE, TCP_PER_ADDRESS, TCP_WRITE};
use crate::lock::lock;
use crate::runtime::{Cancel, Lease};

/// A bound listener and what is answered there.
pub(super) struct Listener {
    socket: Socket,
    service: Service,
    /// The number of the endpoint within its service.
    at: usize,
}

impl Listener {
    pub(super) fn bind(local: SocketAddr, service: Service, at: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // A server that is started again must not wait for the connections of the one before (tcp(7), TIME_WAIT).
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
            #[cfg(target_os = "linux")]
            socket.set_freebind_v6(true)?;
        }
        socket.bind(&local.into())?;
        socket.listen(TCP_BACKLOG)?;
        Ok(Self { socket, service, at })
    }
}

/// What all connections share.
struct Shared {
    guard: Option<Arc<Guard>>,
    start: Instant,
    published: Arc<Published>,
    counters: Mutex<Counters>,
    open: Mutex<Open>,
}

/// Connections that are open.
#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = lock(&self.counters);
        change(&mut counters);
        // Under the lock: what is published has one writer.
        self.published.write(&counters);
    }
}

/// The server at work. It serves until it is told to stop, or dropped.
#[derive(Debug)]
pub(super) struct Server {
    stop: Cancel,
    /// One for each listener.
    tasks: Vec<JoinHandle<()>>,
    runtime: Lease,
}

impl Server {
    pub(super) fn start(
        listeners: Vec<Listener>,
        guard: Option<Arc<Guard>>,
        start: Instant,
        published: Arc<Published>,
    ) -> Result<Self, Error> {
        let (counters, open) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { guard, start, published, counters, open });
        let mut server = Self { stop: Cancel::new(), tasks: Vec::new(), runtime: Lease::take()? };
        for Listener { socket, service, at } in listeners {
            let socket = {
                let _context = server.runtime.handle().enter();
                let failed = |source| Error::System { syscall: "epoll_ctl", address: None, source };
                TcpListener::from_std(socket.into()).map_err(failed)?
            };
            let (stop, service, shared) = (server.stop.clone(), Arc::new(service), Arc::clone(&shared));
            let serve = async move { serve(socket, &service, at, &shared, &stop).await };
            server.tasks.push(server.runtime.spawn(serve));
        }
        Ok(server)
    }

    /// Closes listeners and connections, and waits for that; a thread of the runtime, which cannot wait, finds them closed soon.
    pub(super) fn stop(&mut self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut self.tasks);
        if Handle::try_current().is_err() {
            self.runtime.block_on(async {
                for task in tasks {
                    // Without a panic of its own, it fails only with the runtime.
                    let _ = task.await;
                }
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves one listener until it is told to stop; then all its connections are closed.
async fn serve(socket: TcpListener, service: &Arc<Service>, at: usize, shared: &Arc<Shared>, stop: &Cancel) {
    let mut connections = JoinSet::new();
    let mut stopped = pin!(stop.cancelled());
    loop {
        let (stream, from) = select! {
            () = &mut stopped => break,
            accepted = accept(&socket) => accepted,
            // How a connection ended is its client's business.
            Some(_) = connections.join_next() => continue,
        };
        let Some(place) = Place::take(shared, from) else {
            shared.count(|counters| counters.refused += 1);
            continue;
        };
        shared.count(|counters| counters.connections += 1);
        let service = Arc::clone(service);
        connections.spawn(async move { converse(stream, from, &service, at, &place.shared).await });
    }
    drop(socket);
    connections.shutdown().await;
}

async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        if let Ok(accepted) = socket.accept().await {
            return accepted;
        }
        // Out of descriptors, or the connection is gone already: a moment later it may do.
        sleep(Duration::from_millis(10)).await;
    }
}

/// A place among the connections, given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    ip: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, from: SocketAddr) -> Option<Self> {
        let allowed = shared.guard.as_ref().is_none_or(|guard| guard.admit(from).is_ok());
        let mut open = lock(&shared.open);
        if !allowed || open.all >= TCP_CONNECTIONS {
            return None;
        }
        let count = open.by_address.entry(from.ip()).or_default();
        if *count >= TCP_PER_ADDRESS {
            return None;
        }
        *count += 1;
        open.all += 1;
        Some(Self { shared: Arc::clone(shared), ip: from.ip() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.shared.open);
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.ip);
            }
        }
    }
}

/// Answers request after request. What cannot be answered ends the connection: where a message ends is then unknown, or the
/// other side is no client.
async fn converse(
    mut stream: TcpStream,
    from: SocketAddr,
    service: &Service,
    at: usize,
    shared: &Shared,
) -> io::Result<()> {
    let mut message = [0; TCP_MESSAGE];
    let mut out = [0; if MAX_ANSWER_LEN > TCP_MESSAGE { MAX_ANSWER_LEN } else { TCP_MESSAGE }];
    loop {
        let len = match timeout(TCP_IDLE, read_message(&mut stream, &mut message)).await? {
            Ok(Some(len)) => len,
            Ok(None) => return Ok(()),
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    shared.count(|counters| counters.ignore(Ignored::NotStun, 1));
                }
                return Err(error);
            }
        };
        let asked = IncomingRequest { bytes: &message[..len], from, at, transport: Transport::Tcp };
        let answered = service.answer(&asked, &mut out).and_then(|answer| {
            let spent = shared.guard.as_ref().map(|guard| guard.spend(from.ip(), shared.start.elapsed()));
            spent.unwrap_or(Ok(())).map(|()| answer)
        });
        shared.count(|counters| counters.requests += 1);
        match answered {
            Ok(answer) => {
                // Before it is written: who has the answer finds it counted.
                shared.count(|counters| {
                    counters.replies += 1;
                    counters.errors += u64::from(answer.error);
                });
                timeout(TCP_WRITE, stream.write_all(&out[..answer.len])).await??;
            }
            Err(why) => {
                shared.count(|counters| counters.ignore(why, 1));
                return Ok(());
            }
        }
    }
}

/// One message: a header, and as many bytes as it says. `None` when the other side has ended in order.
async fn read_message(stream: &mut TcpStream, message: &mut [u8; TCP_MESSAGE]) -> io::Result<Option<usize>> {
    const HEADER: usize = 20;
    if stream.read(&mut message[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut message[1..HEADER]).await?;
    let len = HEADER + usize::from(u16::from_be_bytes([message[2], message[3]]));
    // The two first bits are checked here as well, so that a text is not waited for to its "end".
    if message[0] & 0xc0 != 0 || len > TCP_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.read_exact(&mut message[HEADER..len]).await?;
    Ok(Some(len))
}
