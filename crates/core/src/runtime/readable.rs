//! When sockets can be read: those of `routepool-udp`, which tokio does not know, and connected ones that learn of ICMP errors.

use std::io::{self, Read};
use std::time::Duration;

use routepool_udp::Socket;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::defaults::IDLE_WAIT;

/// Waits for a socket to be readable.
#[derive(Debug)]
pub(crate) enum Readable {
    /// The runtime is told, of a descriptor of its own for the same socket.
    Told(UdpSocket),
    /// With a socket for each source there is no one descriptor.
    Asked,
}

impl Readable {
    /// Must be called within the runtime.
    ///
    /// # Errors
    /// What the system says of one more descriptor.
    pub(crate) fn new(socket: &Socket) -> io::Result<Self> {
        match socket.try_clone()? {
            Some(own) => UdpSocket::from_std(own).map(Self::Told),
            None => Ok(Self::Asked),
        }
    }

    /// Waits until there may be something to read, or `most` is over. All that is there must be read then: it is told once. Where
    /// the runtime is not told, the wait cannot be left before its end, and is never long.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn wait(&self, socket: &mut Socket, most: Duration) -> io::Result<()> {
        match self {
            Self::Told(told) => {
                if let Ok(ready) = tokio::time::timeout(most, told.readable()).await {
                    ready?;
                    // The runtime forgets that it was ready only when it is told so.
                    let _ =
                        told.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                }
                Ok(())
            }
            Self::Asked => tokio::task::block_in_place(|| socket.wait(false, most.min(IDLE_WAIT))).map(drop),
        }
    }
}

/// Receives from a connected socket, also the ICMP error of what was sent before: that alone does not make it readable.
///
/// # Errors
/// What the system says.
pub(crate) async fn receive_or_error(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        let what = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
        match socket.try_io(what, || (&*SockRef::from(socket)).read(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}
