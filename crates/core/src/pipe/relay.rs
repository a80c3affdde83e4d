//! Bytes of one flow to the other, both ways, without the program in between.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::AbortHandle;

use super::record::{Call, Event, head};
use super::ring::Ring;
use super::socket::Socket;
use crate::defaults::RELAY_BUFFER;
use crate::errno;
use crate::runtime::Lease;

/// Largest payload of a datagram.
const DATAGRAM: usize = 65_535;

/// What a relay has moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounters {
    /// Bytes from the first socket's peer to the second's.
    pub forward: u64,
    /// Bytes the other way.
    pub back: u64,
}

/// A relay under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    task: AbortHandle,
    moved: Arc<Moved>,
}

#[derive(Debug, Default)]
struct Moved {
    forward: AtomicU64,
    back: AtomicU64,
}

impl Relay {
    pub(crate) fn start(id: u32, a: Socket, b: Socket, ring: Arc<Ring>, runtime: &Lease) -> Self {
        let moved = Arc::new(Moved::default());
        let own = Arc::clone(&moved);
        let copy = runtime.spawn(async move { copy(a, b, &own).await });
        let task = copy.abort_handle();
        runtime.spawn(async move {
            let number = match copy.await {
                Ok(Ok(())) => 0,
                Ok(Err(error)) => errno::number(&error),
                // Ended by its owner, who hears nothing of it.
                Err(error) if error.is_cancelled() => return,
                Err(_) => errno::EIO,
            };
            ring.push(&head(id, Event::Relayed, 0, number.into(), Call::Relay as u32));
        });
        Self { task, moved }
    }

    pub(crate) fn counters(&self) -> RelayCounters {
        RelayCounters {
            forward: self.moved.forward.load(Ordering::Relaxed),
            back: self.moved.back.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Side {
    Stream(TcpStream),
    Datagram(UdpSocket),
}

impl Side {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Stream(stream) => TcpStream::from_std(stream).map(Self::Stream),
            Socket::Datagram(socket) => UdpSocket::from_std(socket).map(Self::Datagram),
            Socket::Listener(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

async fn copy(a: Socket, b: Socket, moved: &Moved) -> io::Result<()> {
    match (Side::new(a)?, Side::new(b)?) {
        (Side::Stream(a), Side::Stream(b)) => {
            let mut a = Counted { stream: a, read: &moved.forward };
            let mut b = Counted { stream: b, read: &moved.back };
            copy_bidirectional_with_sizes(&mut a, &mut b, RELAY_BUFFER, RELAY_BUFFER).await.map(drop)
        }
        (Side::Datagram(a), Side::Datagram(b)) => {
            tokio::try_join!(datagrams(&a, &b, &moved.forward), datagrams(&b, &a, &moved.back)).map(drop)
        }
        (Side::Stream(a), Side::Datagram(b)) => mixed(a, b, &moved.forward, &moved.back).await,
        (Side::Datagram(a), Side::Stream(b)) => mixed(b, a, &moved.back, &moved.forward).await,
    }
}

/// A stream that counts what is read from it.
struct Counted<'a> {
    stream: TcpStream,
    read: &'a AtomicU64,
}

impl AsyncRead for Counted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for Counted<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Datagrams one way, until the task is dropped. One that the other side refuses is lost, as on any network.
async fn datagrams(from: &UdpSocket, to: &UdpSocket, moved: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM].into_boxed_slice();
    loop {
        let len = receive(from, &mut buffer).await?;
        moved.fetch_add(len as u64, Ordering::Relaxed);
        let _ = to.send(&buffer[..len]).await;
    }
}

/// The next datagram; errors about earlier ones are passed over.
async fn receive(from: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.recv(buffer).await {
            Err(error) if errno::is_icmp(&error) => {}
            result => return result,
        }
    }
}

/// Pieces of a stream as datagrams, and datagrams as bytes of the stream, until the stream ends.
async fn mixed(
    stream: TcpStream,
    socket: UdpSocket,
    from_stream: &AtomicU64,
    from_socket: &AtomicU64,
) -> io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let out = async {
        // As much as a datagram over IPv4 can have (RFC 768, less the headers).
        let mut buffer = vec![0; DATAGRAM - 28].into_boxed_slice();
        loop {
            let len = read.read(&mut buffer).await?;
            if len == 0 {
                return io::Result::Ok(());
            }
            from_stream.fetch_add(len as u64, Ordering::Relaxed);
            let _ = socket.send(&buffer[..len]).await;
        }
    };
    let back = async {
        let mut buffer = vec![0; DATAGRAM].into_boxed_slice();
        loop {
            let len = receive(&socket, &mut buffer).await?;
            from_socket.fetch_add(len as u64, Ordering::Relaxed);
            write.write_all(&buffer[..len]).await?;
        }
    };
    tokio::select! {
        result = out => result,
        result = back => result,
    }
}
