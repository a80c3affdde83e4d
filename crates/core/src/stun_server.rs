//! A STUN server: what loopback blocks are validated against, and a server for other machines, with one
//! address or with two and all of RFC 5780.
//!
//! What is answered is decided by [`routepool_proto::stun::server`]. A worker is a thread with a socket for each endpoint; with
//! several workers each has sockets of its own at the same ports, and the kernel gives each client's flow to one of them.
//! Connections are served by the process's runtime.

mod config;
mod counters;
mod open;
mod stun_worker;
mod tcp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub use config::Config;
pub use counters::Counters;
use counters::Published;
use open::{Opened, Plan};
pub(crate) use stun_worker::StunWorker;

use crate::Error;
use crate::defaults::RECEIVE_BUFFER;

/// One address and port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is bound.
    pub local: SocketAddr,
    /// What clients see.
    pub seen: SocketAddr,
}

/// A running server. Dropping it stops it as [`StunServer::stop`] does.
#[derive(Debug)]
pub struct StunServer {
    endpoints: Vec<Endpoint>,
    receive_buffer: usize,
    stop: Arc<AtomicBool>,
    tcp: Option<tcp::Server>,
    published: Vec<Arc<Published>>,
    threads: Vec<JoinHandle<()>>,
}

impl StunServer {
    /// Starts a server at one `address` with the shortest answers there are; port 0 picks a free one.
    ///
    /// # Errors
    /// As [`StunServer::listen`].
    pub fn start(address: SocketAddr) -> Result<Self, Error> {
        Self::start_with(address, RECEIVE_BUFFER)
    }

    pub(crate) fn start_with(address: SocketAddr, receive_buffer: usize) -> Result<Self, Error> {
        Self::run(&Plan::minimal(address, receive_buffer)?)
    }

    /// Starts a server.
    ///
    /// # Errors
    /// [`Error::Option`] for options that do not go together or an address that is not that of one host,
    /// [`Error::NotLocal`] for an IPv6 address that this machine does not hold; [`Error::System`] with what `bind` said.
    pub fn listen(config: &Config) -> Result<Self, Error> {
        Self::run(&Plan::new(config)?)
    }

    fn run(plan: &Plan) -> Result<Self, Error> {
        let Opened { workers, listeners, guard, start } = plan.open()?;
        let mut server = Self {
            endpoints: plan.endpoints(&workers[0]),
            receive_buffer: workers[0].receive_buffer(),
            stop: Arc::new(AtomicBool::new(false)),
            tcp: None,
            published: Vec::new(),
            threads: Vec::new(),
        };
        for mut worker in workers {
            let stop = Arc::clone(&server.stop);
            server.spawn(move |published| worker.run(&stop, &published))?;
        }
        if !listeners.is_empty() {
            let published = server.publish();
            server.tcp = Some(tcp::Server::start(listeners, guard, start, published)?);
        }
        Ok(server)
    }

    /// A place where something that serves shows what it has done.
    fn publish(&mut self) -> Arc<Published> {
        let published = Arc::new(Published::default());
        self.published.push(Arc::clone(&published));
        published
    }

    fn spawn(&mut self, work: impl FnOnce(Arc<Published>) + Send + 'static) -> Result<(), Error> {
        let published = self.publish();
        let thread = std::thread::Builder::new().name("routepool-stun".into()).spawn(move || work(published));
        let failed = |source| Error::System { syscall: "pthread_create", address: None, source };
        self.threads.push(thread.map_err(failed)?);
        Ok(())
    }

    /// Where it listens: the primary endpoint of the first family.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.endpoints[0].local
    }

    /// All endpoints: one for a family with one address; for one with two addresses four, in the order of
    /// [`routepool_proto::stun::server::Service::pair`].
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The receive buffer that the kernel granted each socket, in bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.published.iter().fold(Counters::default(), |sum, one| sum + one.read())
    }

    /// Stops it: the threads end, within 20 ms, and sockets and connections are closed. Idempotent.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.threads.len() == 1 {
            // An empty datagram wakes a lone thread; of several the kernel would pick one.
            let _ = wake(self.address());
        }
        for thread in self.threads.drain(..) {
            // A thread cannot panic on a datagram; if it did, there is nothing left to stop.
            let _ = thread.join();
        }
        self.tcp = None;
    }
}

fn wake(server: SocketAddr) -> io::Result<usize> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0))?.send_to(&[], server)
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
