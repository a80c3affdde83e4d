//! Sockets of pipes and servers: one table for each environment.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Either, Either3, Function};
use napi_derive::napi;
use routepool_core::pipe::record::parse_endpoint;
use routepool_core::pipe::{
    Interest, Opened, ReaderChoice, Settings, Sockets as Inner, answer_request, parse_request,
};
use routepool_core::{Error, errno};

use crate::failure::Failure;
use crate::node_waker::NodeWaker;
use crate::units::duration;

/// Makes the table of this environment. `reader`: `direct` (Linux, on Node's own loop), `portable`, or `auto` for the first that
/// there is. `waker` is called on the JavaScript thread when there is something to drain; it does not keep the process alive.
#[napi(catch_unwind)]
pub fn open_sockets(
    env: Env,
    reader: String,
    waker: Function<'_, (), ()>,
) -> napi::Result<Either<Sockets, Failure>> {
    let choice = ReaderChoice::from_name(&reader).unwrap_or_default();
    let portable = || Inner::portable(NodeWaker::new(waker).map_err(io::Error::other)?);
    let (inner, direct) = match choice.open(|| direct(env, &waker), portable) {
        Ok(inner) => inner,
        Err(source) => {
            let error = Error::System { syscall: "epoll_create", address: None, source };
            return Ok(Either::B(Failure::from(&error)));
        }
    };
    let inner = Rc::new(RefCell::new(inner));
    // The environment (the process, or a worker) may end before the object is collected.
    env.add_env_cleanup_hook(Rc::downgrade(&inner), |weak| {
        if let Some(inner) = weak.upgrade()
            && let Ok(mut inner) = inner.try_borrow_mut()
        {
            inner.close_all();
        }
    })?;
    let table = TABLES.with_borrow_mut(|tables| {
        tables.push(Some(Rc::clone(&inner)));
        tables.len() as u32 - 1
    });
    Ok(Either::A(Sockets { inner, table, direct }))
}

/// `None` where there is no direct reader.
#[cfg(unix)]
fn direct(env: Env, waker: &Function<'_, (), ()>) -> io::Result<Option<Inner>> {
    let inner = match Inner::direct() {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
        result => result?,
    };
    let Some(descriptor) = inner.descriptor() else { return Ok(None) };
    let own = descriptor.try_clone_to_owned()?;
    let watched = routepool_uv::watch(&env, own, waker).map_err(io::Error::other)?;
    Ok(watched.then_some(inner))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same call as on Unix")]
fn direct(_: Env, _: &Function<'_, (), ()>) -> io::Result<Option<Inner>> {
    Ok(None)
}

/// A socket that was opened without being bound to its interface.
#[napi(object, object_from_js = false)]
pub struct UnboundSocket {
    /// Its number.
    pub id: u32,
    /// Why it could not be bound to the interface.
    pub interface_bind_error: String,
}

/// What a relay has moved.
#[napi(object, object_from_js = false)]
pub struct RelayMoved {
    /// Bytes from the first peer to the second.
    pub forward: f64,
    /// Bytes the other way.
    pub back: f64,
}

/// Sums of a table.
#[napi(object, object_from_js = false)]
pub struct SocketTotals {
    /// Sockets that are open now.
    pub open: f64,
    /// Sockets opened.
    pub opened: f64,
    /// Connections accepted.
    pub accepted: f64,
    /// Connections closed at once for want of a place.
    pub refused: f64,
    /// Relays started.
    pub relayed: f64,
}

/// The sockets of one environment.
#[napi]
pub struct Sockets {
    inner: Rc<RefCell<Inner>>,
    table: u32,
    direct: bool,
}

/// Bit of [`socket_drain`]'s result: there is more.
const MORE: u32 = 1 << 31;

thread_local! {
    /// The tables of this thread, by their numbers. An environment has one thread.
    static TABLES: RefCell<Vec<Option<Rc<RefCell<Inner>>>>> = const { RefCell::new(Vec::new()) };
}

/// What is called for every message takes the table's number in place of its object: to find out whether an object is a table
/// costs three times as much as the rest of a call.
fn with<T>(table: u32, run: impl FnOnce(&mut Inner) -> T) -> Option<T> {
    TABLES.with_borrow(|tables| {
        let inner = tables.get(table as usize)?.as_ref()?;
        Some(run(&mut inner.borrow_mut()))
    })
}

/// Copies whole records of a table into `out`, from `at` on. Gives where they end; the highest bit says that there is more.
#[napi(catch_unwind)]
pub fn socket_drain(table: u32, mut out: BufferSlice<'_>, at: u32) -> u32 {
    let (end, more) = with(table, |inner| inner.drain(&mut out, at as usize)).unwrap_or((at as usize, false));
    end as u32 | if more { MORE } else { 0 }
}

/// Opens a socket and begins to read it. The request is packed (`REQUEST_BYTES`); its local address is then the socket's. Gives
/// the socket's number.
#[napi(catch_unwind)]
pub fn socket_open(
    table: u32,
    mut request: BufferSlice<'_>,
    interface: Option<String>,
) -> Either3<u32, UnboundSocket, Failure> {
    let opened = settings(&request, interface).and_then(|settings| {
        with(table, |inner| inner.open(settings))
            .unwrap_or_else(|| Err(Error::Internal("there is no such table".to_owned())))
    });
    answer(&mut request, opened)
}

fn settings(request: &[u8], interface: Option<String>) -> Result<Settings, Error> {
    parse_request(request, interface)
        .ok_or_else(|| Error::Internal("a socket was asked for with something that is no request".to_owned()))
}

fn answer(request: &mut [u8], opened: Result<Opened, Error>) -> Either3<u32, UnboundSocket, Failure> {
    match opened {
        Ok(opened) => {
            answer_request(request, opened.local);
            match opened.interface.refusal() {
                None => Either3::A(opened.id),
                Some(refusal) => {
                    Either3::B(UnboundSocket { id: opened.id, interface_bind_error: refusal.to_owned() })
                }
            }
        }
        Err(error) => Either3::C(Failure::from(&error)),
    }
}

/// Closes a socket, or resets its connection. Idempotent.
#[napi(catch_unwind)]
pub fn socket_close(table: u32, id: u32, reset: bool) {
    with(table, |inner| inner.close(id, reset));
}

/// Sends to the connected peer: the number of bytes taken, or a negative error number.
#[napi(catch_unwind)]
pub fn socket_send(table: u32, id: u32, data: &[u8]) -> i32 {
    taken(with(table, |inner| inner.send(id, data)).unwrap_or(Err(io::ErrorKind::NotConnected.into())))
}

/// Sends a datagram to a packed address, from a packed address where it is given: as `socketSend`.
#[napi(catch_unwind)]
pub fn socket_send_to(table: u32, id: u32, data: &[u8], to: &[u8], source: Option<&[u8]>) -> i32 {
    let (to, source) = (parse_endpoint(to), source.map(parse_endpoint));
    let (Some(to), true) = (to, source != Some(None)) else {
        return taken(Err(io::ErrorKind::InvalidInput.into()));
    };
    let source = source.flatten().map(|source: SocketAddr| source.ip());
    let sent = with(table, |inner| inner.send_to(id, data, to, source));
    taken(sent.unwrap_or(Err(io::ErrorKind::NotConnected.into())))
}

/// Whether arriving data of a socket is told of, and, once, room to write.
#[napi(catch_unwind)]
pub fn socket_watch(table: u32, id: u32, read: bool, write: bool) {
    with(table, |inner| inner.watch(id, Interest { read, write }));
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // At the end of a thread there are no tables any more either.
        let _ = TABLES.try_with(|tables| {
            if let Some(place) = tables.borrow_mut().get_mut(self.table as usize) {
                *place = None;
            }
        });
    }
}

#[napi]
impl Sockets {
    /// The number of the table, for the calls of each message.
    #[napi(catch_unwind)]
    pub fn table(&self) -> u32 {
        self.table
    }

    /// Whether the direct reader is at work.
    #[napi(catch_unwind)]
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Makes a limit: listeners opened with it have together so many connections at most. Gives its number.
    #[napi(catch_unwind)]
    pub fn open_limit(&self, places: u32) -> u32 {
        self.inner.borrow_mut().open_limit(places as usize)
    }

    /// Opens a listener as `socketOpen` opens sockets, under a limit. Its connections keep their places until `release`.
    #[napi(catch_unwind)]
    pub fn listen(
        &self,
        mut request: BufferSlice<'_>,
        interface: Option<String>,
        limit: u32,
    ) -> Either3<u32, UnboundSocket, Failure> {
        let opened = settings(&request, interface)
            .and_then(|settings| self.inner.borrow_mut().listen(settings, limit));
        answer(&mut request, opened)
    }

    /// A connection that was accepted under a limit is gone.
    #[napi(catch_unwind)]
    pub fn release(&self, id: u32) {
        self.inner.borrow_mut().release(id);
    }

    /// Takes a place of a limit for something else; `false` if there is none.
    #[napi(catch_unwind)]
    pub fn acquire_place(&self, limit: u32) -> bool {
        self.inner.borrow_mut().acquire_place(limit)
    }

    /// Gives such a place back.
    #[napi(catch_unwind)]
    pub fn release_place(&self, limit: u32) {
        self.inner.borrow_mut().release_place(limit);
    }

    /// Forgets a limit.
    #[napi(catch_unwind)]
    pub fn close_limit(&self, limit: u32) {
        self.inner.borrow_mut().close_limit(limit);
    }

    /// Ends the sending side: 0, or a negative error number.
    #[napi(catch_unwind)]
    pub fn shutdown(&self, id: u32) -> i32 {
        taken(self.inner.borrow().shutdown(id).map(|()| 0))
    }

    /// Switches `TCP_NODELAY`. A connection that is over already refuses it, and does not need it.
    #[napi(catch_unwind)]
    pub fn set_no_delay(&self, id: u32, on: bool) {
        let _ = self.inner.borrow().set_no_delay(id, on);
    }

    /// Switches `SO_KEEPALIVE`; as `setNoDelay`.
    #[napi(catch_unwind)]
    pub fn set_keep_alive(&self, id: u32, on: bool, after_ms: f64) {
        let after = duration(after_ms).filter(|after| !after.is_zero());
        let _ = self.inner.borrow().set_keep_alive(id, on, after);
    }

    /// Datagrams that the kernel dropped because nobody read them in time.
    #[napi(catch_unwind)]
    pub fn drops(&self, id: u32) -> u32 {
        self.inner.borrow().drops(id)
    }

    /// Stops reading for good; a record says when all is drained.
    #[napi(catch_unwind)]
    pub fn detach(&self, id: u32) {
        self.inner.borrow_mut().detach(id);
    }

    /// The descriptor of a detached socket, which is the caller's to close; -1 if there is none.
    #[napi(catch_unwind)]
    #[cfg_attr(not(unix), allow(clippy::unused_self, reason = "only Unix has descriptors to hand on"))]
    pub fn take(&self, id: u32) -> i32 {
        #[cfg(unix)]
        {
            use std::os::fd::IntoRawFd;
            self.inner.borrow_mut().take(id).map_or(-1, IntoRawFd::into_raw_fd)
        }
        #[cfg(not(unix))]
        {
            let _ = id;
            -1
        }
    }

    /// Relays between two detached sockets; gives the relay's number.
    #[napi(catch_unwind)]
    pub fn relay(&self, a: u32, b: u32) -> Either<u32, Failure> {
        match self.inner.borrow_mut().relay(a, b) {
            Ok(id) => Either::A(id),
            Err(error) => Either::B(Failure::from(&error)),
        }
    }

    /// What a relay has moved so far.
    #[napi(catch_unwind)]
    pub fn relayed(&self, id: u32) -> Option<RelayMoved> {
        let counters = self.inner.borrow().relayed(id)?;
        Some(RelayMoved { forward: counters.forward as f64, back: counters.back as f64 })
    }

    /// Ends a relay, or forgets one that is over.
    #[napi(catch_unwind)]
    pub fn end_relay(&self, id: u32) {
        self.inner.borrow_mut().end_relay(id);
    }

    /// Sums since the beginning.
    #[napi(catch_unwind)]
    pub fn totals(&self) -> SocketTotals {
        let inner = self.inner.borrow();
        let totals = inner.totals();
        SocketTotals {
            open: inner.len() as f64,
            opened: totals.opened as f64,
            accepted: totals.accepted as f64,
            refused: totals.refused as f64,
            relayed: totals.relayed as f64,
        }
    }
}

fn taken(result: io::Result<usize>) -> i32 {
    match result {
        Ok(bytes) => i32::try_from(bytes).unwrap_or(i32::MAX),
        Err(error) => -i32::from(errno::number(&error)),
    }
}
