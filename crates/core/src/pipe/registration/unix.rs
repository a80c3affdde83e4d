//! Unix: the runtime waits for the descriptor of the socket itself.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::super::socket::Socket;

/// Says when a socket can be read or written. It ends when it is dropped; the socket cannot be closed before.
#[derive(Debug)]
pub(crate) struct Registration {
    descriptor: AsyncFd<Arc<Socket>>,
    waker: Waker,
}

impl Registration {
    pub(crate) fn new(socket: &Arc<Socket>, waker: Waker, runtime: &Handle) -> io::Result<Self> {
        let interest = match &**socket {
            // Both: a stream that is never full is never told writable, so this costs nothing.
            Socket::Stream(_) => Interest::READABLE | Interest::WRITABLE,
            // Only reading: a socket for datagrams would be told writable after each one that was sent.
            Socket::Datagram(_) | Socket::Listener(_) => Interest::READABLE,
        };
        let interest = exceptions(socket, interest);
        let _context = runtime.enter();
        #[allow(
            deprecated,
            reason = "its successor is `unsafe` because the descriptor must stay open: it does, it is owned by what is handed over"
        )]
        let descriptor = AsyncFd::with_interest(Arc::clone(socket), interest)?;
        Ok(Self { descriptor, waker })
    }

    pub(crate) fn socket(&self) -> &Socket {
        self.descriptor.get_ref()
    }

    /// Whether there may be something to read; if not, the waker is called once there is.
    pub(crate) fn poll_read(&self) -> bool {
        matches!(self.descriptor.poll_read_ready(&mut Context::from_waker(&self.waker)), Poll::Ready(Ok(_)))
    }

    /// The same for room to write, or the end of connecting.
    pub(crate) fn poll_write(&self) -> bool {
        matches!(self.descriptor.poll_write_ready(&mut Context::from_waker(&self.waker)), Poll::Ready(Ok(_)))
    }

    /// Reads with a call that says "would block" when it has found nothing: only then the system is waited for again.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.descriptor.try_io(Interest::READABLE, |_| read())
    }

    /// Whether a read that gave less than it asked for has left nothing: unless it stopped at something that was told of apart.
    #[cfg(target_os = "linux")]
    pub(crate) fn short_is_all(&self) -> bool {
        let mut told = false;
        let _ = self.descriptor.try_io(Interest::PRIORITY, |_| {
            told = true;
            io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
        });
        !told
    }

    /// Nothing tells what a short read stopped at.
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    pub(crate) fn short_is_all(&self) -> bool {
        false
    }

    /// Forgets that there was room to write: the next time the system has to say it.
    pub(crate) fn forget_room(&self) {
        let _ = self
            .descriptor
            .try_io(Interest::WRITABLE, |_| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
    }
}

/// Linux tells apart what a read stops at: urgent data of a stream (tcp(7)), the error of a datagram that was sent. Where the system
/// cannot be asked to wake for such an error it is told with the next datagram.
#[cfg(target_os = "linux")]
fn exceptions(socket: &Socket, interest: Interest) -> Interest {
    if let Socket::Datagram(socket) = socket {
        let _ = routepool_udp::option::errors_wake(socket);
    }
    interest | Interest::PRIORITY
}

/// Elsewhere an error of a datagram that was sent is told as something to read.
#[cfg(not(target_os = "linux"))]
fn exceptions(_: &Socket, interest: Interest) -> Interest {
    interest
}
