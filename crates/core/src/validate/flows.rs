//! The sockets of a worker: one for each flow, so that what is probed again comes from a new port; in the end those of all workers.

use std::io;
use std::time::Duration;

use routepool_udp::{Backend, Options, Received, Socket, errno};

use crate::defaults::{BATCH, LEAST_CHARGE, RETRY_BATCH};

/// A flow, and the worker that opened its port.
pub(super) type Port = (u32, u16);

/// The sockets by their port, oldest first. Flow 0 is the first pass.
pub(super) struct Flows {
    backend: Backend,
    options: Options,
    sockets: Vec<(Port, Socket)>,
    readable: Vec<bool>,
    /// Datagrams dropped at sockets that are closed.
    dropped: u32,
    /// Datagrams read since `since`, without having seen the end of them.
    read: usize,
    since: Duration,
}

impl Flows {
    /// Opens a worker's socket of flow 0.
    pub(super) fn open(worker: u16, backend: Backend, options: Options) -> io::Result<Self> {
        let first = Socket::open(backend, &options)?;
        Ok(Self {
            backend,
            options: Options { batch: RETRY_BATCH, ..options },
            sockets: vec![((0, worker), first)],
            readable: Vec::new(),
            dropped: 0,
            read: 0,
            since: Duration::ZERO,
        })
    }

    /// The socket of a port, opened if need be; then those of flows that `listens` no longer wants are closed.
    pub(super) fn socket(&mut self, port: Port, listens: impl Fn(u32) -> bool) -> io::Result<&mut Socket> {
        if !self.sockets.iter().any(|(open, _)| *open == port) {
            self.close(|number| !listens(number));
            let opened = match Socket::open(self.backend, &self.options) {
                Err(error) if errno::is_out_of_descriptors(&error) => {
                    // Late answers to earlier probes are worth less than the next probe.
                    self.close(|_| true);
                    Socket::open(self.backend, &self.options)
                }
                opened => opened,
            };
            self.sockets.push((port, opened?));
        }
        let found = self.sockets.iter_mut().rev().find(|(open, _)| *open == port);
        found.map(|(_, socket)| socket).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Closes those of these flows that are neither the first nor the newest.
    fn close(&mut self, unwanted: impl Fn(u32) -> bool) {
        let newest = self.sockets.last().map_or(0, |((flow, _), _)| *flow);
        let dropped = &mut self.dropped;
        self.sockets.retain(|((flow, _), socket)| {
            let keep = *flow == 0 || *flow == newest || !unwanted(*flow);
            if !keep {
                *dropped += socket.drops();
            }
            keep
        });
    }

    /// Takes the sockets of another worker; those of its own that were opened last stay the newest.
    pub(super) fn absorb(&mut self, other: Self) {
        self.sockets.splice(0..0, other.sockets);
        self.dropped += other.dropped;
        self.read = 0;
    }

    /// Receives what is there, at most one batch of each socket, without waiting. `now` is the time of the call; gives up to when
    /// all that had arrived has been read.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        mut take: impl FnMut(Port, Received<'_>),
    ) -> io::Result<Option<Duration>> {
        if self.sockets.len() > 1 {
            let sockets = self.sockets.iter_mut().map(|(_, socket)| socket);
            Socket::wait_any(sockets, Duration::ZERO, &mut self.readable)?;
        } else {
            self.readable.clear();
        }
        let (mut count, mut more) = (0, false);
        for (at, (port, socket)) in self.sockets.iter_mut().enumerate() {
            if !self.readable.get(at).is_none_or(|readable| *readable) {
                continue;
            }
            let batch = if port.0 == 0 { BATCH } else { RETRY_BATCH };
            match socket.receive(|datagram| take(*port, datagram)) {
                Ok(received) => {
                    count += received;
                    // A batch that was not full was the last one.
                    more |= received >= batch;
                }
                // It speaks of one earlier probe, and that one will stay silent.
                Err(error) if errno::is_icmp(&error) => (count, more) = (count + 1, true),
                Err(error) => return Err(error),
            }
        }
        Ok(self.note_read(now, count, more))
    }

    /// Up to when everything has been read: to the time of this call if nothing was left over. Where datagrams come faster than
    /// they are read that is never so; but once as many were read as the buffers hold, what had arrived before is among them.
    fn note_read(&mut self, now: Duration, count: usize, more: bool) -> Option<Duration> {
        if !more {
            self.read = 0;
            return Some(now);
        }
        if self.read == 0 {
            self.since = now;
        }
        self.read += count;
        let most = self.receive_buffer() / LEAST_CHARGE * self.sockets.len();
        (self.read > most).then(|| {
            self.read = 0;
            self.since
        })
    }

    /// Waits until something can be received, or the time is over.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let sockets = self.sockets.iter_mut().map(|(_, socket)| socket);
        Socket::wait_any(sockets, timeout, &mut self.readable)
    }

    /// How many sockets there are.
    pub(super) fn count(&self) -> u32 {
        self.sockets.len() as u32
    }

    /// Datagrams that the kernel has dropped because a buffer was full.
    pub(super) fn drops(&self) -> u32 {
        self.dropped + self.sockets.iter().map(|(_, socket)| socket.drops()).sum::<u32>()
    }

    /// The receive buffer that the kernel granted.
    pub(super) fn receive_buffer(&self) -> usize {
        self.sockets.first().map_or(0, |(_, socket)| socket.receive_buffer())
    }

    /// How many probes can be in flight whatever the buffer.
    pub(super) fn most_sources(&self) -> Option<u32> {
        self.sockets.first().and_then(|(_, socket)| socket.most_sources())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

    use super::*;
    use routepool_udp::Transmit;

    fn flows() -> Flows {
        Flows::open(0, Backend::best(), Options::wildcard(false)).expect("a socket")
    }

    #[test]
    fn each_flow_is_a_port_and_answers_to_earlier_ones_are_heard() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a server");
        server.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
        let mut flows = flows();
        let mut ports = std::collections::HashSet::new();
        let mut peers: Vec<SocketAddr> = Vec::new();
        for flow in 0..4 {
            let socket = flows.socket((flow, 0), |_| true).expect("a socket");
            let destination = server.local_addr().expect("bound");
            let transmit =
                Transmit { source: Some(Ipv4Addr::LOCALHOST.into()), destination, bytes: b"question" };
            assert_eq!(socket.send(&[transmit]).0, 1);
            let (_, from) = server.recv_from(&mut [0; 16]).expect("a question");
            assert!(ports.insert(from.port()), "flow {flow} has the port of another");
            peers.push(from);
        }
        for peer in [peers[1], peers[3], peers[0]] {
            server.send_to(b"answer", peer).expect("sent");
        }
        let mut heard = Vec::new();
        for _ in 0..100 {
            flows.wait(Duration::from_millis(50)).expect("waited");
            flows
                .receive(Duration::ZERO, |(flow, _), datagram| heard.push((flow, datagram.port)))
                .expect("read");
            if heard.len() == 3 {
                break;
            }
        }
        heard.sort_unstable();
        assert_eq!(heard, [(0, peers[0].port()), (1, peers[1].port()), (3, peers[3].port())]);
        flows.socket((4, 0), |flow| flow >= 3).expect("a socket");
        let open: Vec<_> = flows.sockets.iter().map(|((flow, _), _)| *flow).collect();
        assert_eq!(open, [0, 3, 4]);
    }

    #[test]
    fn the_ports_of_another_worker_are_kept_and_sent_from() {
        let open = |worker| Flows::open(worker, Backend::best(), Options::wildcard(false)).expect("a socket");
        let (mut flows, other) = (open(0), open(1));
        let theirs = other.sockets[0].1.local_port();
        flows.socket((3, 0), |_| true).expect("a socket");
        flows.absorb(other);
        flows.socket((5, 0), |_| false).expect("a socket");
        let open: Vec<_> = flows.sockets.iter().map(|(port, _)| *port).collect();
        assert_eq!(
            open,
            [(0, 1), (0, 0), (3, 0), (5, 0)],
            "those of the first pass, the newest, and the one that was"
        );
        assert_eq!(flows.socket((0, 1), |_| false).expect("a socket").local_port(), theirs);
        assert_eq!(flows.count(), 4);
    }

    #[test]
    fn what_had_arrived_is_read_also_where_more_comes_all_the_time() {
        let mut flows = flows();
        let at = Duration::from_secs;
        assert_eq!(flows.note_read(at(1), 3, false), Some(at(1)));
        let most = flows.receive_buffer() / LEAST_CHARGE;
        assert_eq!(flows.note_read(at(2), BATCH, true), None);
        assert_eq!(flows.note_read(at(3), most, true), Some(at(2)), "those of 2 s are among them");
        assert_eq!(flows.note_read(at(4), BATCH, true), None);
        assert_eq!(flows.note_read(at(5), 0, false), Some(at(5)));
    }
}
