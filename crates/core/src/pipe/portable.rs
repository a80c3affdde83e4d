//! Everywhere: a task of the runtime for each environment reads into a ring.

mod entry;
mod shared;
mod task;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use tokio::task::unconstrained;

use super::open::Settings;
use super::reader::{Reader, Totals, full};
use super::record::{ENDPOINT, Out};
use super::registration::Registration;
use super::ring::Ring;
use super::socket::{Socket, State, unshare};
use super::table::{Slot, Table};
use crate::lock::lock;
use crate::runtime::Lease;
use entry::Entry;
use shared::{Accepted, Command, Shared, SocketWaker};
use task::Task;

#[derive(Debug)]
pub(crate) struct Portable {
    shared: Arc<Shared>,
    runtime: Lease,
}

impl Portable {
    pub(crate) fn new(ring: Arc<Ring>, runtime: Lease) -> Self {
        let shared = Arc::new(Shared::new(ring));
        // Its turns are bounded by the size of a batch, and it gives way after each.
        runtime.spawn(unconstrained(Task::new(Arc::clone(&shared)).run()));
        Self { shared, runtime }
    }

    /// Gives numbers to the connections that the task has accepted; `true` if there is no room to tell of more.
    fn admit(&mut self, table: &mut Table, totals: &mut Totals, out: &mut Out<'_>) -> bool {
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
        &mut self,
        table: &mut Table,
        socket: Socket,
        state: State,
        settings: &Arc<Settings>,
    ) -> io::Result<u32> {
        let id = table.insert(|id| Slot::new(id, socket, state, settings)).ok_or_else(full)?;
        let Some(slot) = table.get_mut(id) else { return Err(full()) };
        let waker = Waker::from(Arc::new(SocketWaker { shared: Arc::clone(&self.shared), id }));
        match Registration::new(&slot.socket, waker, self.runtime.handle()) {
            Ok(registration) => {
                let registration = Arc::new(registration);
                self.shared.leave(Command::Add(Entry::new(slot, &registration)));
                // The task has nothing to do before something happens to the socket.
                let happened = if state == State::Connecting {
                    registration.poll_write()
                } else {
                    registration.poll_read()
                };
                if happened {
                    self.shared.tell(id);
                }
                slot.registration = Some(registration);
                Ok(id)
            }
            Err(error) => {
                table.remove(id);
                Err(error)
            }
        }
    }

    fn watch(&self, slot: &mut Slot) {
        self.shared.command(Command::Watch(slot.watched.id, slot.interest));
    }

    fn remove(&mut self, slot: Slot) {
        self.shared.leave(Command::Remove(slot.watched.id));
        slot.registration.map(unshare);
        Socket::close(slot.socket);
    }

    fn detach(&self, slot: &mut Slot, _: &Ring) {
        self.shared.command(Command::Detach(slot.watched.id));
    }

    fn take(&self, slot: Slot) -> Option<Socket> {
        slot.registration.map(unshare);
        Arc::try_unwrap(slot.socket).ok()
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn drain(&mut self, table: &mut Table, ring: &Ring, totals: &mut Totals, out: &mut Out<'_>) -> bool {
        let more = ring.drain(out) || self.admit(table, totals, out);
        if self.shared.stalled.swap(false, Ordering::AcqRel) {
            self.shared.wake.notify_one();
        }
        more
    }
}

impl Drop for Portable {
    fn drop(&mut self) {
        self.shared.command(Command::Stop);
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use super::super::open::Kind;
    use super::super::record::{Event, HEAD};
    use super::super::sockets::Sockets;
    use super::*;

    #[test]
    fn after_a_panic_of_the_task_its_sockets_are_told_dead_and_the_table_ends_as_usual() {
        let (tell, told) = mpsc::channel();
        let first = AtomicBool::new(true);
        let mut sockets = Sockets::portable(move || {
            let _ = tell.send(());
            assert!(!first.swap(false, Ordering::Relaxed), "as a test");
        })
        .expect("threads");
        let settings = || Settings { local: "127.0.0.1:0".parse().ok(), ..Settings::new(Kind::Udp) };
        let opened = sockets.open(settings()).expect("a socket");
        let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        peer.send_to(b"x", opened.local).expect("sent");
        told.recv().expect("the task has come so far");
        let mut bytes = [0; 1_024];
        let mut at = 0;
        // It is the last that is told.
        while at < HEAD || bytes[at - HEAD + 4] != Event::Error as u8 {
            at = sockets.drain(&mut bytes, at).0;
            std::thread::yield_now();
        }
        let error = &bytes[at - HEAD..at];
        assert_eq!((&error[..4], error[8]), (&opened.id.to_le_bytes()[..], crate::errno::EIO as u8));
        // Nobody reads it; it opens and closes as before.
        let later = sockets.open(settings()).expect("a socket");
        sockets.close(later.id, false);
        UdpSocket::bind(later.local).expect("the port is free");
        drop(sockets);
        UdpSocket::bind(opened.local).expect("the port is free");
    }
}
