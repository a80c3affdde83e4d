//! Windows: the runtime waits for a second handle of the socket, since it takes none that it does not own.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::super::socket::Socket;

/// Says when a socket can be read or written. It ends when it is dropped; the socket cannot be closed before.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Of any kind: the system tells of listeners and datagrams in the same way, and all calls are made by the socket.
    second: TcpStream,
    socket: Arc<Socket>,
    waker: Waker,
}

impl Registration {
    pub(crate) fn new(socket: &Arc<Socket>, waker: Waker, runtime: &Handle) -> io::Result<Self> {
        let second = SockRef::from(&**socket).try_clone()?;
        second.set_nonblocking(true)?;
        let _context = runtime.enter();
        let second = TcpStream::from_std(second.into())?;
        Ok(Self { second, socket: Arc::clone(socket), waker })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether there may be something to read; if not, the waker is called once there is.
    pub(crate) fn poll_read(&self) -> bool {
        matches!(self.second.poll_read_ready(&mut Context::from_waker(&self.waker)), Poll::Ready(Ok(())))
    }

    /// The same for room to write, or the end of connecting.
    pub(crate) fn poll_write(&self) -> bool {
        matches!(self.second.poll_write_ready(&mut Context::from_waker(&self.waker)), Poll::Ready(Ok(())))
    }

    /// Reads with a call that says "would block" when it has found nothing: only then the system is waited for again.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.second.try_io(Interest::READABLE, read)
    }

    /// Nothing tells what a short read stopped at.
    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    pub(crate) fn short_is_all(&self) -> bool {
        false
    }

    /// Forgets that there was room to write: the next time the system has to say it.
    pub(crate) fn forget_room(&self) {
        let _ = self
            .second
            .try_io(Interest::WRITABLE, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
    }
}
