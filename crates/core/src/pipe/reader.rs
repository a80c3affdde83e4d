//! What a reader does for the table of sockets.

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::connection_limit::ConnectionLimit;
use super::open::{Settings, apply_accepted};
use super::record::{Event, Out};
use super::ring::Ring;
use super::socket::{Socket, State};
use super::table::{Slot, Table};

/// Sums since the table was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Sockets opened.
    pub opened: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that were closed at once, since there was no place or memory for them.
    pub refused: u64,
    /// Relays started.
    pub relayed: u64,
}

/// One way of learning what happens to sockets.
pub(crate) trait Reader: Debug {
    /// Takes a socket into the table and begins to read it.
    fn adopt(
        &mut self,
        table: &mut Table,
        socket: Socket,
        state: State,
        settings: &Arc<Settings>,
    ) -> io::Result<u32>;

    /// The slot's interest has changed, or there may be a place for it.
    fn watch(&self, slot: &mut Slot);

    /// The socket is closed.
    fn remove(&mut self, slot: Slot);

    /// The socket goes elsewhere: [`Event::Detached`] follows all that was read of it.
    fn detach(&self, slot: &mut Slot, ring: &Ring);

    /// The socket, once it is detached.
    fn take(&self, slot: Slot) -> Option<Socket>;

    /// What to wait for, if the draining thread has to.
    #[cfg(unix)]
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Makes records of what has happened; `true` if there is more than there was room for.
    fn drain(&mut self, table: &mut Table, ring: &Ring, totals: &mut Totals, out: &mut Out<'_>) -> bool;

    /// A listener (its number and settings) has a new connection, for which a place was taken if it has a limit.
    fn accepted(
        &mut self,
        table: &mut Table,
        totals: &mut Totals,
        (listener, settings): (u32, &Arc<Settings>),
        stream: TcpStream,
        peer: SocketAddr,
        out: &mut Out<'_>,
    ) {
        apply_accepted(&stream, settings);
        let socket = Socket::Stream(stream);
        // A connection without an address is gone already.
        let adopted = socket.local().map(|local| (local, self.adopt(table, socket, State::Open, settings)));
        if let Ok((local, Ok(id))) = adopted {
            totals.accepted += 1;
            if let Some(limit) = &settings.limit {
                table.hold_place(id, limit);
            }
            out.push(listener, Event::Accepted, id, &[local, peer], &[]);
            return;
        }
        totals.refused += u64::from(adopted.is_ok());
        if let Some(limit) = &settings.limit {
            self.left(table, limit);
        }
    }

    /// A place of a limit is free: the listeners that wait for one look again.
    fn left(&self, table: &mut Table, limit: &ConnectionLimit) {
        for id in limit.release() {
            if let Some(slot) = table.get_mut(id) {
                self.watch(slot);
            }
        }
    }
}

/// Whether accepting fails for want of something that others may give back: descriptors, memory. The kernel keeps telling of
/// the waiting connection, so the listener must look away for a while.
pub(crate) fn retry_later(error: &io::Error) -> bool {
    #[cfg(unix)]
    return routepool_udp::errno::is_exhausted(error);
    #[cfg(not(unix))]
    return error.kind() != io::ErrorKind::ConnectionReset
        && error.kind() != io::ErrorKind::ConnectionAborted;
}

/// The table has no place left.
pub(crate) fn full() -> io::Error {
    io::Error::other("a million sockets are open")
}
