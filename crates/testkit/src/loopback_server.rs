//! A [`BehaviorServer`] on real sockets of loopback: two addresses, two ports, UDP and TCP.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::behavior_server::{BehaviorServer, Fault};

/// A server with threads of its own; dropping it stops it.
#[derive(Debug)]
pub struct LoopbackServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl LoopbackServer {
    /// Starts a server at two addresses of loopback, on ports that are free at both.
    ///
    /// # Errors
    /// What `bind` says.
    pub fn start(addresses: [&str; 2], fault: Option<Fault>) -> io::Result<Self> {
        let ips: Vec<IpAddr> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        let addresses: [IpAddr; 2] = ips.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut attempts = 0;
        let (ports, udp, tcp) = loop {
            match open(addresses) {
                Ok(open) => break open,
                Err(error) if attempts > 50 => return Err(error),
                Err(_) => attempts += 1,
            }
        };
        let server = Arc::new(BehaviorServer { addresses, ports, fault });
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let udp = Arc::new(udp);
        for at in 0..udp.len() {
            let (udp, server, stop) = (Arc::clone(&udp), Arc::clone(&server), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || serve_udp(&udp, at, &server, &stop)));
        }
        for listener in tcp {
            let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || serve_tcp(&listener, &server, &stop)));
        }
        Ok(Self { address: server.primary(), stop, threads })
    }

    /// Where it is asked first.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Sockets = ([u16; 2], Vec<UdpSocket>, Vec<TcpListener>);

fn open(addresses: [IpAddr; 2]) -> io::Result<Sockets> {
    let first = UdpSocket::bind((addresses[0], 0))?;
    let second = UdpSocket::bind((addresses[0], 0))?;
    let ports = [first.local_addr()?.port(), second.local_addr()?.port()];
    let mut udp = vec![first, second];
    let mut tcp = Vec::new();
    for (at, address) in addresses.into_iter().enumerate() {
        for port in ports {
            if at == 1 {
                udp.push(UdpSocket::bind((address, port))?);
            }
            let listener = TcpListener::bind((address, port))?;
            listener.set_nonblocking(true)?;
            tcp.push(listener);
        }
    }
    for socket in &udp {
        // Often enough to see that it is to stop.
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
    }
    Ok((ports, udp, tcp))
}

fn serve_udp(all: &[UdpSocket], at: usize, server: &BehaviorServer, stop: &AtomicBool) {
    let Ok(own) = all[at].local_addr() else { return };
    let mut buffer = [0; 1_500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = all[at].recv_from(&mut buffer) else { continue };
        for (source, to, bytes) in server.answer(from, own, &buffer[..len]) {
            if let Some(socket) = all.iter().find(|s| s.local_addr().is_ok_and(|a| a == source)) {
                let _ = socket.send_to(&bytes, to);
            }
        }
    }
}

fn serve_tcp(listener: &TcpListener, server: &BehaviorServer, stop: &AtomicBool) {
    let Ok(own) = listener.local_addr() else { return };
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, from)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let mut request = [0; 20];
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        if stream.read_exact(&mut request).is_ok() {
            for (_, _, bytes) in server.answer(from, own, &request) {
                let _ = stream.write_all(&bytes);
            }
        }
    }
}
