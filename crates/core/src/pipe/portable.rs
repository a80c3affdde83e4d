//! Everywhere: one thread for each environment reads into a ring.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Poll, Registry, Token, Waker};
use routepool_udp::Interest;

use super::connection_limit::ConnectionLimit;
use super::open::Settings;
use super::reader::{Reader, Totals, full, retry_later};
use super::receive::{Outcome, Receiver};
use super::record::{Call, ENDPOINT, Event, Out};
use super::ring::Ring;
use super::socket::{Socket, State};
use super::table::{Slot, Table, Watched};
use crate::defaults::{ACCEPTS, PIPE_EVENTS, PIPE_READ, PIPE_RING, UDP_RETRY};
use crate::errno;
use crate::lock::lock;

const WAKE: Token = Token(usize::MAX);

/// Bytes of records that the thread makes before it hands them over.
const BATCH_BYTES: usize = 4 * PIPE_READ;

#[derive(Debug)]
pub(crate) struct Portable {
    shared: Arc<Shared>,
    registry: Registry,
}

#[derive(Debug)]
struct Shared {
    commands: Mutex<Vec<Command>>,
    accepted: Mutex<VecDeque<Accepted>>,
    waker: Waker,
    ring: Arc<Ring>,
    /// The thread has stopped reading until something is drained.
    stalled: AtomicBool,
}

/// A connection that has no number yet.
#[derive(Debug)]
struct Accepted {
    listener: u32,
    stream: TcpStream,
    peer: SocketAddr,
    /// The limit that it has a place of.
    limit: Option<Arc<ConnectionLimit>>,
}

#[derive(Debug)]
enum Command {
    Add(Entry),
    Watch(u32, Interest),
    Remove(u32),
    Detach(u32),
    Stop,
}

impl Portable {
    pub(crate) fn new(ring: Arc<Ring>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            accepted: Mutex::default(),
            waker: Waker::new(poll.registry(), WAKE)?,
            ring,
            stalled: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("routepool-pipes".to_owned()).spawn(move || {
            let mut thread = Thread { shared: own, entries: HashMap::new(), ready: VecDeque::new() };
            let run = AssertUnwindSafe(|| thread.run(poll));
            if !matches!(catch_unwind(run), Ok(Ok(()))) {
                thread.give_up();
            }
        })?;
        Ok(Self { shared, registry })
    }

    fn register(&self, socket: &mut Socket, id: u32) -> io::Result<()> {
        let (token, read) = (Token(id as usize), mio::Interest::READABLE);
        match socket {
            // Both: a stream that is never full is never told writable, so this costs nothing.
            Socket::Stream(stream) => stream.register(&self.registry, token, read | mio::Interest::WRITABLE),
            // Only reading: a socket for datagrams would be told writable after each one that was sent.
            Socket::Datagram(socket) => socket.register(&self.registry, token, read),
            Socket::Listener(listener) => listener.register(&self.registry, token, read),
        }
    }

    fn deregister(&self, socket: &mut Socket) {
        // It is taken off as well when it is closed.
        let _ = match socket {
            Socket::Stream(stream) => stream.deregister(&self.registry),
            Socket::Datagram(socket) => socket.deregister(&self.registry),
            Socket::Listener(listener) => listener.deregister(&self.registry),
        };
    }

    fn command(&self, command: Command) {
        lock(&self.shared.commands).push(command);
        // It fails only where the poll is gone, and with it the thread.
        let _ = self.shared.waker.wake();
    }

    /// Gives numbers to the connections that the thread has accepted; `true` if there is no room to tell of more.
    fn admit(&self, table: &mut Table, totals: &mut Totals, out: &mut Out<'_>) -> bool {
        loop {
            if out.room() < 2 * ENDPOINT {
                return true;
            }
            let Some(accepted) = lock(&self.shared.accepted).pop_front() else {
                return false;
            };
            let Accepted { listener, stream, peer, limit } = accepted;
            let settings = table.get(listener).and_then(|slot| slot.accept.clone());
            // Without: of a listener that was closed meanwhile; its connections are closed as well.
            if let Some(settings) = settings {
                self.accepted(table, totals, (listener, &settings), stream, peer, out);
            } else if let Some(limit) = limit {
                self.left(table, &limit);
            }
        }
    }
}

impl Reader for Portable {
    fn adopt(
        &self,
        table: &mut Table,
        mut socket: Socket,
        state: State,
        settings: &Arc<Settings>,
    ) -> io::Result<u32> {
        let mut registered = Ok(());
        let id = table.insert(|id| {
            registered = self.register(&mut socket, id);
            Slot::new(id, socket, state, settings)
        });
        let id = id.ok_or_else(full)?;
        if let Err(error) = registered {
            table.remove(id);
            return Err(error);
        }
        if let Some(slot) = table.get_mut(id) {
            slot.watching = slot.interest;
            let limit = slot.accept.as_ref().and_then(|settings| settings.limit.clone());
            self.command(Command::Add(Entry::new(&slot.watched, slot.interest, limit)));
        }
        Ok(id)
    }

    fn watch(&self, slot: &mut Slot) {
        slot.watching = slot.interest;
        self.command(Command::Watch(slot.watched.id, slot.interest));
    }

    fn remove(&mut self, slot: Slot) {
        self.command(Command::Remove(slot.watched.id));
        Socket::close(slot.watched.socket);
    }

    fn detach(&self, slot: &mut Slot, _: &Ring) {
        self.command(Command::Detach(slot.watched.id));
    }

    fn take(&self, slot: Slot) -> Option<Socket> {
        let mut socket = Arc::try_unwrap(slot.watched.socket).ok()?;
        self.deregister(&mut socket);
        Some(socket)
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn drain(&mut self, table: &mut Table, ring: &Ring, totals: &mut Totals, out: &mut Out<'_>) -> bool {
        let more = ring.drain(out) || self.admit(table, totals, out);
        if self.shared.stalled.swap(false, Ordering::AcqRel) {
            let _ = self.shared.waker.wake();
        }
        more
    }
}

impl Drop for Portable {
    fn drop(&mut self) {
        self.command(Command::Stop);
    }
}

#[derive(Debug)]
struct Entry {
    /// The socket is its table's alone, so that it is closed at once when it is closed there.
    socket: Weak<Socket>,
    id: u32,
    state: State,
    names: bool,
    packet_info: bool,
    largest: usize,
    interest: Interest,
    /// What the system has told and what was not used up since.
    readable: bool,
    writable: bool,
    /// Whether it is in the queue of those that can go on.
    queued: bool,
    /// What a listener takes a place of before it accepts, and whether it waits for one.
    limit: Option<Arc<ConnectionLimit>>,
    parked: bool,
}

impl Entry {
    /// It was registered before, so what the system has told already may have been missed: it is looked at once in any case.
    fn new(watched: &Watched, interest: Interest, limit: Option<Arc<ConnectionLimit>>) -> Self {
        Self {
            socket: Arc::downgrade(&watched.socket),
            id: watched.id,
            state: watched.state,
            names: watched.names,
            packet_info: watched.packet_info,
            largest: watched.largest,
            interest,
            readable: true,
            writable: true,
            queued: false,
            limit,
            parked: false,
        }
    }

    fn read(&self, receiver: &mut Receiver, out: &mut Out<'_>) -> Outcome {
        let Some(socket) = self.socket.upgrade() else { return Outcome::Over };
        let &Self { id, state, names, packet_info, largest, .. } = self;
        receiver.read(&Watched { id, socket, state, names, packet_info, largest }, out)
    }
}

struct Thread {
    shared: Arc<Shared>,
    entries: HashMap<u32, Entry>,
    ready: VecDeque<u32>,
}

impl Thread {
    fn run(&mut self, mut poll: Poll) -> io::Result<()> {
        let (mut events, mut receiver) = (Events::with_capacity(PIPE_EVENTS), Receiver::new());
        let mut batch = vec![0; BATCH_BYTES].into_boxed_slice();
        let mut retry = Vec::new();
        loop {
            let go_on = !self.ready.is_empty() && !self.shared.stalled.load(Ordering::Acquire);
            let timeout = if go_on {
                Some(std::time::Duration::ZERO)
            } else if retry.is_empty() {
                None
            } else {
                Some(UDP_RETRY)
            };
            match poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                let Some(entry) = self.entries.get_mut(&(event.token().0 as u32)) else { continue };
                entry.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                entry.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                queue(&mut self.ready, entry);
            }
            let mut out = Out::new(&mut batch, 0);
            for id in retry.drain(..) {
                if self.entries.contains_key(&id) {
                    out.push(id, Event::Writable, 0, &[], &[]);
                }
            }
            let commands = std::mem::take(&mut *lock(&self.shared.commands));
            for command in commands {
                if matches!(command, Command::Stop) {
                    return Ok(());
                }
                // Many commands at once: their answers are handed over in between.
                if out.room() < PIPE_READ {
                    self.hand_over(&mut out, &mut receiver);
                    out = Out::new(&mut batch, 0);
                }
                self.obey(command, &mut receiver, &mut retry, &mut out);
            }
            self.work(&mut receiver, &mut out);
            self.hand_over(&mut out, &mut receiver);
        }
    }

    /// Gives the records to the ring, and whatever the receiver still holds.
    fn hand_over(&self, out: &mut Out<'_>, receiver: &mut Receiver) {
        loop {
            let whole = receiver.flush(out);
            let records = out.written();
            if !records.is_empty() && self.shared.ring.push(records) >= PIPE_RING {
                self.shared.stalled.store(true, Ordering::Release);
                // Drained in between: then nobody would wake this thread.
                if self.shared.ring.len() < PIPE_RING {
                    self.shared.stalled.store(false, Ordering::Release);
                }
            }
            out.clear();
            if whole {
                return;
            }
        }
    }

    fn obey(&mut self, command: Command, receiver: &mut Receiver, retry: &mut Vec<u32>, out: &mut Out<'_>) {
        match command {
            Command::Add(entry) => {
                let entry = self.entries.entry(entry.id).insert_entry(entry).into_mut();
                queue(&mut self.ready, entry);
            }
            Command::Watch(id, interest) => {
                let Some(entry) = self.entries.get_mut(&id) else { return };
                entry.interest = interest;
                entry.parked = false;
                if interest.write && entry.socket.upgrade().is_some_and(|s| matches!(*s, Socket::Datagram(_)))
                {
                    entry.interest.write = false;
                    retry.push(id);
                }
                queue(&mut self.ready, entry);
            }
            Command::Remove(id) => {
                self.entries.remove(&id);
                receiver.forget(id);
            }
            Command::Detach(id) => {
                self.entries.remove(&id);
                // What was read goes first.
                while !receiver.flush(out) {
                    self.hand_over(out, receiver);
                }
                if !out.push(id, Event::Detached, 0, &[], &[]) {
                    self.hand_over(out, receiver);
                    out.push(id, Event::Detached, 0, &[], &[]);
                }
            }
            Command::Stop => {}
        }
    }

    /// Goes on with sockets that can, in turn, until the batch is full or none can.
    fn work(&mut self, receiver: &mut Receiver, out: &mut Out<'_>) {
        if self.shared.stalled.load(Ordering::Acquire) {
            return;
        }
        for _ in 0..self.ready.len() {
            if out.room() < PIPE_READ {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.queued = false;
            match entry.state {
                State::Connecting => connected(entry, out),
                State::Listening => self.accept(id, out),
                State::Open => {
                    if entry.readable && entry.interest.read {
                        match entry.read(receiver, out) {
                            Outcome::Empty => entry.readable = false,
                            Outcome::Over => {
                                entry.readable = false;
                                entry.interest.read = false;
                            }
                            Outcome::More | Outcome::Full => {}
                        }
                    }
                    if entry.writable && entry.interest.write {
                        // Not known to be so any more: the next time the system has to say it.
                        entry.writable = false;
                        entry.interest.write = false;
                        out.push(id, Event::Writable, 0, &[], &[]);
                    }
                }
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                queue(&mut self.ready, entry);
            }
        }
    }

    fn accept(&mut self, id: u32, out: &mut Out<'_>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(socket) = entry.socket.upgrade() else { return };
        let Socket::Listener(listener) = &*socket else { return };
        let mut waiting = Vec::new();
        while entry.readable && entry.interest.read {
            let mut accepted = lock(&self.shared.accepted);
            if accepted.len() >= ACCEPTS {
                self.shared.stalled.store(true, Ordering::Release);
                break;
            }
            if entry.limit.as_ref().is_some_and(|limit| !limit.acquire_for(id)) {
                entry.parked = true;
                break;
            }
            let result = listener.accept();
            // The place that it does not need.
            if result.is_err()
                && let Some(limit) = &entry.limit
            {
                waiting.append(&mut limit.release());
            }
            match result {
                Ok((stream, peer)) => {
                    accepted.push_back(Accepted { listener: id, stream, peer, limit: entry.limit.clone() });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => entry.readable = false,
                Err(error) if retry_later(&error) => {
                    entry.interest.read = false;
                    out.error(id, Call::Accept, errno::number(&error));
                }
                // The connection that waited is gone again (accept(2)).
                Err(_) => {}
            }
        }
        for id in waiting {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.parked = false;
                queue(&mut self.ready, entry);
            }
        }
        self.shared.ring.wake();
    }

    /// The thread ends by a defect: its sockets are told dead instead of being silent for ever.
    fn give_up(&self) {
        let mut bytes = vec![0; 2 * super::record::HEAD * (self.entries.len() + 1)];
        let mut out = Out::new(&mut bytes, 0);
        for id in self.entries.keys() {
            out.error(*id, Call::Receive, errno::EIO);
        }
        self.shared.ring.push(out.written());
    }
}

fn queue(ready: &mut VecDeque<u32>, entry: &mut Entry) {
    let can = match entry.state {
        State::Connecting => entry.writable,
        State::Open | State::Listening => {
            (entry.readable && entry.interest.read && !entry.parked)
                || (entry.writable && entry.interest.write)
        }
    };
    if can && !std::mem::replace(&mut entry.queued, true) {
        ready.push_back(entry.id);
    }
}

fn connected(entry: &mut Entry, out: &mut Out<'_>) {
    entry.writable = false;
    let id = entry.id;
    let Some(socket) = entry.socket.upgrade() else { return };
    let Socket::Stream(stream) = &*socket else { return };
    match stream.take_error().unwrap_or_else(Some) {
        Some(error) => {
            out.error(id, Call::Connect, errno::number(&error));
            entry.state = State::Open;
            entry.interest = Interest::NONE;
        }
        None => match (stream.peer_addr(), stream.local_addr()) {
            (Ok(_), Ok(local)) => {
                out.push(id, Event::Connected, 0, &[local], &[]);
                entry.state = State::Open;
                entry.writable = true;
            }
            // Not yet.
            (Err(error), _) if error.kind() == io::ErrorKind::NotConnected => {}
            (Err(error), _) | (_, Err(error)) => {
                out.error(id, Call::Connect, errno::number(&error));
                entry.interest = Interest::NONE;
            }
        },
    }
}
