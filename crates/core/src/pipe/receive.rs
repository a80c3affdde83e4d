//! Reads what has arrived at a socket into records: the same for both readers.

use std::io;

#[cfg(target_os = "linux")]
use routepool_udp::DatagramBatch;
use routepool_udp::errno;

use super::record::{Call, Event, Out};
use super::socket::Socket;
use super::table::Watched;
use crate::defaults::PIPE_BATCH;

/// How a read went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There may be more.
    More,
    /// The call could have given more than there was.
    Short,
    /// There is nothing now.
    Empty,
    /// There will never be anything again: the peer's end, or an error. It is in the records.
    Over,
    /// The records are full.
    Full,
}

/// Reads sockets, one after the other.
#[derive(Debug)]
pub(crate) struct Receiver {
    #[cfg(target_os = "linux")]
    batch: DatagramBatch,
    /// Datagrams of the batch that there was no room for: the socket's number, the next one, and how many there are.
    #[cfg(target_os = "linux")]
    left: Option<(u32, usize, usize)>,
    #[cfg(not(target_os = "linux"))]
    buffer: Box<[u8]>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            batch: DatagramBatch::new(PIPE_BATCH),
            #[cfg(target_os = "linux")]
            left: None,
            #[cfg(not(target_os = "linux"))]
            buffer: vec![0; 65_536].into_boxed_slice(),
        }
    }

    /// Reads once: a piece of a stream, or a batch of datagrams.
    pub(crate) fn read(&mut self, watched: &Watched, socket: &Socket, out: &mut Out<'_>) -> Outcome {
        match socket {
            Socket::Stream(_) => read_stream(watched, socket, out),
            Socket::Datagram(_) => self.read_datagrams(watched, socket, out),
            Socket::Listener(_) => Outcome::Empty,
        }
    }

    #[cfg(target_os = "linux")]
    fn read_datagrams(&mut self, watched: &Watched, socket: &Socket, out: &mut Out<'_>) -> Outcome {
        if !self.flush(out) {
            return Outcome::Full;
        }
        match self.batch.receive(socket, watched.names, watched.packet_info) {
            Ok(0) => Outcome::Empty,
            Ok(count) => {
                self.left = Some((watched.id, 0, count));
                let got = if count < PIPE_BATCH { Outcome::Short } else { Outcome::More };
                if self.flush(out) { got } else { Outcome::Full }
            }
            Err(error) => datagram_error(watched.id, &error, out),
        }
    }

    /// Writes out datagrams that were received already; `false` if there was no room for all of them.
    #[cfg(target_os = "linux")]
    pub(crate) fn flush(&mut self, out: &mut Out<'_>) -> bool {
        let Some((id, next, count)) = self.left else { return true };
        for at in next..count {
            let datagram = self.batch.datagram(at);
            let parts = [datagram.head, datagram.tail];
            let written = match (datagram.from, datagram.to) {
                (Some(from), Some(to)) => {
                    let to = std::net::SocketAddr::new(to, 0);
                    out.push(id, Event::Datagram, 0, &[from, to], &parts)
                }
                (Some(from), None) => out.push(id, Event::Datagram, 0, &[from], &parts),
                (None, _) => out.push(id, Event::Data, 0, &[], &parts),
            };
            if !written {
                self.left = Some((id, at, count));
                return false;
            }
        }
        self.left = None;
        true
    }

    /// Forgets datagrams of a socket that was closed.
    #[cfg(target_os = "linux")]
    pub(crate) fn forget(&mut self, id: u32) {
        self.left.take_if(|left| left.0 == id);
    }

    #[cfg(not(target_os = "linux"))]
    fn read_datagrams(&mut self, watched: &Watched, socket: &Socket, out: &mut Out<'_>) -> Outcome {
        let Socket::Datagram(socket) = socket else { return Outcome::Empty };
        for _ in 0..PIPE_BATCH {
            // A datagram that there is no room for must stay in the kernel: it cannot be put back.
            if out.room() < self.buffer.len() + super::record::ENDPOINT {
                return Outcome::Full;
            }
            let received = if watched.names {
                socket.recv_from(&mut self.buffer).map(|(len, from)| (len, Some(from)))
            } else {
                socket.recv(&mut self.buffer).map(|len| (len, None))
            };
            match received {
                Ok((len, Some(from))) => {
                    out.push(watched.id, Event::Datagram, 0, &[from], &[&self.buffer[..len]])
                }
                Ok((len, None)) => out.push(watched.id, Event::Data, 0, &[], &[&self.buffer[..len]]),
                Err(error) => return datagram_error(watched.id, &error, out),
            };
        }
        Outcome::More
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    pub(crate) fn flush(&mut self, _: &mut Out<'_>) -> bool {
        true
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "the same call as on Linux")]
    pub(crate) fn forget(&mut self, _: u32) {}
}

/// An error of a datagram socket speaks of one datagram, most often of one that was sent before (udp(7)): the socket goes on.
fn datagram_error(id: u32, error: &io::Error, out: &mut Out<'_>) -> Outcome {
    match error.kind() {
        io::ErrorKind::WouldBlock => Outcome::Empty,
        io::ErrorKind::Interrupted => Outcome::More,
        _ if !out.error(id, Call::Receive, errno::number(error)) => Outcome::Full,
        _ if errno::is_icmp(error) => Outcome::More,
        // Such as a lack of memory: not again at once.
        _ => Outcome::Empty,
    }
}

fn read_stream(watched: &Watched, socket: &Socket, out: &mut Out<'_>) -> Outcome {
    let body = out.body(watched.largest);
    if body.is_empty() {
        return Outcome::Full;
    }
    let most = body.len();
    match socket.read(body) {
        Ok(0) => {
            out.push(watched.id, Event::End, 0, &[], &[]);
            Outcome::Over
        }
        Ok(len) => {
            out.commit(watched.id, len);
            if len < most { Outcome::Short } else { Outcome::More }
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Outcome::Empty,
            io::ErrorKind::Interrupted => Outcome::More,
            _ => {
                out.error(watched.id, Call::Receive, errno::number(&error));
                Outcome::Over
            }
        },
    }
}
