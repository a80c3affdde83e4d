//! The server over TCP (RFC 8489, section 6.2.2): connections are read message by message, on one thread of their own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use routepool_proto::stun::guard::Guard;
use routepool_proto::stun::server::{Ignored, IncomingRequest, MAX_ANSWER_LEN, Service, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::counters::{Counters, Published};
use crate::defaults::{TCP_BACKLOG, TCP_CONNECTIONS, TCP_IDLE, TCP_MESSAGE, TCP_PER_ADDRESS, TCP_WRITE};

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

/// What all connections share. They live on one thread.
struct Shared {
    guard: Option<Arc<Guard>>,
    start: Instant,
    published: Arc<Published>,
    counters: Cell<Counters>,
    open: Cell<usize>,
    by_address: RefCell<HashMap<IpAddr, usize>>,
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.published.write(&counters);
        self.counters.set(counters);
    }
}

/// The server, ready to run.
pub(super) struct Server {
    runtime: Runtime,
    listeners: Vec<(TcpListener, Service, usize)>,
    guard: Option<Arc<Guard>>,
    start: Instant,
}

impl Server {
    pub(super) fn new(
        listeners: Vec<Listener>,
        guard: Option<Arc<Guard>>,
        start: Instant,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let into_tokio =
            |l: Listener| Ok::<_, io::Error>((TcpListener::from_std(l.socket.into())?, l.service, l.at));
        let listeners = listeners.into_iter().map(into_tokio).collect::<Result<_, _>>()?;
        drop(context);
        Ok(Self { runtime, listeners, guard, start })
    }

    /// Serves until it is told to stop; then every connection is closed.
    pub(super) fn run(self, stop: &Notify, published: Arc<Published>) {
        let Self { runtime, listeners, guard, start } = self;
        let shared = Rc::new(Shared {
            guard,
            start,
            published,
            counters: Cell::default(),
            open: Cell::default(),
            by_address: RefCell::default(),
        });
        let local = LocalSet::new();
        for (socket, service, at) in listeners {
            let shared = Rc::clone(&shared);
            local.spawn_local(async move { accept(&socket, &Rc::new(service), at, &shared).await });
        }
        local.block_on(&runtime, stop.notified());
    }
}

async fn accept(socket: &TcpListener, service: &Rc<Service>, at: usize, shared: &Rc<Shared>) {
    loop {
        let Ok((stream, from)) = socket.accept().await else {
            // Out of descriptors, or the connection is gone already: a moment later it may do.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Some(place) = Place::take(shared, from) else {
            shared.count(|counters| counters.refused += 1);
            continue;
        };
        shared.count(|counters| counters.connections += 1);
        let service = Rc::clone(service);
        tokio::task::spawn_local(async move {
            // How a connection ended is its client's business.
            let _ = converse(stream, from, &service, at, &place.shared).await;
        });
    }
}

/// A place among the connections, given back when it is dropped.
struct Place {
    shared: Rc<Shared>,
    ip: IpAddr,
}

impl Place {
    fn take(shared: &Rc<Shared>, from: SocketAddr) -> Option<Self> {
        let allowed = shared.guard.as_ref().is_none_or(|guard| guard.admit(from).is_ok());
        if !allowed || shared.open.get() >= TCP_CONNECTIONS {
            return None;
        }
        let mut by_address = shared.by_address.borrow_mut();
        let count = by_address.entry(from.ip()).or_default();
        if *count >= TCP_PER_ADDRESS {
            return None;
        }
        *count += 1;
        shared.open.set(shared.open.get() + 1);
        Some(Self { shared: Rc::clone(shared), ip: from.ip() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.open.set(self.shared.open.get() - 1);
        let mut by_address = self.shared.by_address.borrow_mut();
        if let Some(count) = by_address.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.ip);
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
