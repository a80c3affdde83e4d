//! The table of all sockets of one environment, for one thread.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use routepool_udp::Interest;

use super::connection_limit::ConnectionLimit;
use super::open::{Settings, open};
use super::portable::Portable;
use super::reader::{Reader, Totals};
use super::record::Out;
use super::relay::{Relay, RelayCounters};
use super::ring::Ring;
use super::socket::Socket;
use super::table::Table;
use crate::Error;
use crate::runtime::Lease;
use crate::system::bind::InterfaceBinding;
use crate::waker::Waker;

/// Sockets, and one reader for all of them.
#[derive(Debug)]
pub struct Sockets {
    table: Table,
    reader: Box<dyn Reader>,
    ring: Arc<Ring>,
    relays: HashMap<u32, Relay>,
    next_relay: u32,
    limits: HashMap<u32, Arc<ConnectionLimit>>,
    next_limit: u32,
    totals: Totals,
    /// From the first time that something needs it. Last: what runs there is told to end before.
    runtime: Option<Lease>,
}

/// A socket that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its number.
    pub id: u32,
    /// Its local address, as far as it is known: a connection that leaves it to the system has it once it is made.
    pub local: SocketAddr,
    /// How it was bound to the interface.
    pub interface: InterfaceBinding,
}

impl Sockets {
    /// Sockets that are read in the thread that drains (Linux). It must wait for [`Sockets::descriptor`] and then drain.
    ///
    /// # Errors
    /// When the system has no descriptor left; [`io::ErrorKind::Unsupported`] on other systems.
    pub fn direct() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            let (reader, waker) = super::direct::Direct::new()?;
            Ok(Self::new(Box::new(reader), Arc::new(Ring::new(waker)), None))
        }
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sockets that a task of the process's runtime reads. `waker` is called, from a thread of that, when there is something to drain.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub fn portable(waker: impl Waker + 'static) -> io::Result<Self> {
        let ring = Arc::new(Ring::new(Box::new(waker)));
        let runtime = Lease::take().map_err(|error| match error {
            Error::System { source, .. } => source,
            other => io::Error::other(other),
        })?;
        let reader = Portable::new(Arc::clone(&ring), runtime.clone());
        Ok(Self::new(Box::new(reader), ring, Some(runtime)))
    }

    fn new(reader: Box<dyn Reader>, ring: Arc<Ring>, runtime: Option<Lease>) -> Self {
        Self {
            table: Table::default(),
            reader,
            ring,
            relays: HashMap::new(),
            next_relay: 0,
            limits: HashMap::new(),
            next_limit: 0,
            totals: Totals::default(),
            runtime,
        }
    }

    /// What to wait for, with the direct reader.
    #[cfg(unix)]
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.reader.descriptor()
    }

    /// Opens a socket and begins to read it. A TCP connection is told made, or failed, by a record.
    ///
    /// # Errors
    /// [`Error::System`] with the call that failed: `bind`, `setsockopt`, `connect`, `listen`.
    pub fn open(&mut self, settings: Settings) -> Result<Opened, Error> {
        let new = open(&settings)?;
        let id = self
            .reader
            .adopt(&mut self.table, new.socket, new.state, &Arc::new(settings))
            .map_err(|source| Error::System { syscall: "epoll_ctl", address: Some(new.local), source })?;
        self.totals.opened += 1;
        Ok(Opened { id, local: new.local, interface: new.interface })
    }

    /// Makes a limit of so many connections for several listeners together; gives its number.
    pub fn open_limit(&mut self, places: usize) -> u32 {
        let id = self.next_limit;
        self.next_limit = self.next_limit.wrapping_add(1);
        self.limits.insert(id, Arc::new(ConnectionLimit::new(places)));
        id
    }

    /// Opens a listener that accepts no more than a limit allows. A connection keeps its place until [`Sockets::release`], even
    /// when it is closed.
    ///
    /// # Errors
    /// As for [`Sockets::open`].
    pub fn listen(&mut self, mut settings: Settings, limit: u32) -> Result<Opened, Error> {
        settings.limit = self.limits.get(&limit).cloned();
        self.open(settings)
    }

    /// A connection that was accepted under a limit needs its place no more. Nothing for one that has none.
    pub fn release(&mut self, id: u32) {
        if let Some(limit) = self.table.take_place(id) {
            self.reader.left(&mut self.table, &limit);
        }
    }

    /// Takes a place for what no listener accepts; `false` if there is none.
    pub fn acquire_place(&mut self, limit: u32) -> bool {
        self.limits.get(&limit).is_some_and(|limit| limit.acquire())
    }

    /// Gives such a place back.
    pub fn release_place(&mut self, limit: u32) {
        if let Some(limit) = self.limits.get(&limit) {
            self.reader.left(&mut self.table, &Arc::clone(limit));
        }
    }

    /// Forgets a limit; its listeners and connections keep theirs.
    pub fn close_limit(&mut self, limit: u32) {
        self.limits.remove(&limit);
    }

    /// Writes whole records of what has happened to `out`, from `at` on; gives where they end, and whether there is more.
    pub fn drain(&mut self, out: &mut [u8], at: usize) -> (usize, bool) {
        let mut out = Out::new(out, at.next_multiple_of(8));
        let more = self.reader.drain(&mut self.table, &self.ring, &mut self.totals, &mut out);
        (out.at(), more)
    }

    /// Sends to the connected peer, without waiting; gives the number of bytes that the kernel took.
    ///
    /// # Errors
    /// What the system says, "would block" included; [`io::ErrorKind::NotConnected`] for a number that is none (any more).
    pub fn send(&self, id: u32, bytes: &[u8]) -> io::Result<usize> {
        self.socket(id)?.write(bytes)
    }

    /// Sends a datagram, without waiting; from `source` where it is given (the socket must be bound to a wildcard, Linux).
    ///
    /// # Errors
    /// As for [`Sockets::send`].
    pub fn send_to(
        &self,
        id: u32,
        bytes: &[u8],
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> io::Result<usize> {
        self.socket(id)?.send_to(bytes, to, source)
    }

    /// Changes what is told of a socket: what arrives, and once when there is room to write. Nothing for a number that is none.
    pub fn watch(&mut self, id: u32, interest: Interest) {
        let Some(slot) = self.table.get_mut(id) else { return };
        // Room to write is told once for each time that it is asked for.
        if slot.interest != interest || interest.write {
            slot.interest = interest;
            self.reader.watch(slot);
        }
    }

    /// Ends the sending side of a connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn shutdown(&self, id: u32) -> io::Result<()> {
        self.socket(id)?.shutdown()
    }

    /// Switches `TCP_NODELAY` of a connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_no_delay(&self, id: u32, on: bool) -> io::Result<()> {
        self.socket(id)?.set_no_delay(on)
    }

    /// Switches `SO_KEEPALIVE` of a connection; `after` that long without traffic, if it is given.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_keep_alive(&self, id: u32, on: bool, after: Option<Duration>) -> io::Result<()> {
        self.socket(id)?.set_keep_alive(on, after)
    }

    /// Closes a socket; `reset` ends a connection with a reset instead of in order. No record of it follows. Idempotent.
    pub fn close(&mut self, id: u32, reset: bool) {
        let Some(slot) = self.table.remove(id) else { return };
        if reset {
            slot.socket.reset_on_close();
        } else {
            slot.socket.discard();
        }
        self.reader.remove(slot);
    }

    /// Closes all of them, and ends all relays.
    pub fn close_all(&mut self) {
        for id in self.table.ids() {
            self.close(id, false);
        }
        self.relays.clear();
    }

    /// Datagrams of a socket that the kernel dropped because nobody read them in time; 0 where it does not tell.
    #[must_use]
    pub fn drops(&self, id: u32) -> u32 {
        self.table.get(id).map_or(0, |slot| slot.socket.drops())
    }

    /// Stops reading a socket for good; [`super::record::Event::Detached`] follows the last that was read. Then it can be taken.
    pub fn detach(&mut self, id: u32) {
        if let Some(slot) = self.table.get_mut(id) {
            slot.interest = Interest::NONE;
            self.reader.detach(slot, &self.ring);
        }
    }

    /// Hands out the descriptor of a detached socket.
    #[cfg(unix)]
    pub fn take(&mut self, id: u32) -> Option<OwnedFd> {
        let slot = self.table.remove(id)?;
        Some(match self.reader.take(slot)? {
            Socket::Stream(stream) => stream.into(),
            Socket::Datagram(socket) => socket.into(),
            Socket::Listener(listener) => listener.into(),
        })
    }

    /// Sends what arrives at one detached socket to the peer of the other, both ways, on the process's runtime. The end comes as
    /// [`super::record::Event::Relayed`] with the number that is given here. Both sockets are closed by then.
    ///
    /// # Errors
    /// [`Error::Internal`] if one is not detached; [`Error::System`] if there is no thread.
    pub fn relay(&mut self, a: u32, b: u32) -> Result<u32, Error> {
        let runtime = match &self.runtime {
            Some(runtime) => runtime.clone(),
            None => self.runtime.insert(Lease::take()?).clone(),
        };
        let mut take = |id| {
            let slot = self.table.remove(id)?;
            self.reader.take(slot)
        };
        let (Some(a), Some(b)) = (take(a), take(b)) else {
            return Err(Error::Internal("a relay needs two detached sockets".to_owned()));
        };
        let id = self.next_relay;
        let relay = Relay::start(id, a, b, Arc::clone(&self.ring), &runtime);
        self.next_relay = self.next_relay.wrapping_add(1);
        self.relays.insert(id, relay);
        self.totals.relayed += 1;
        Ok(id)
    }

    /// What a relay has moved so far.
    #[must_use]
    pub fn relayed(&self, id: u32) -> Option<RelayCounters> {
        self.relays.get(&id).map(Relay::counters)
    }

    /// Ends a relay and closes its sockets, or forgets one that is over. No record follows.
    pub fn end_relay(&mut self, id: u32) {
        self.relays.remove(&id);
    }

    /// Sockets that are open now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sums since the beginning.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn socket(&self, id: u32) -> io::Result<&Socket> {
        let slot = self.table.get(id).ok_or(io::ErrorKind::NotConnected)?;
        Ok(&slot.socket)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.close_all();
    }
}
