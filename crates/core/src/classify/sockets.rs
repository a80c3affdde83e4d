//! The sockets of a classification, all on one thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use routepool_proto::nat::{Classifier, Command};
use routepool_udp::errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::Course;
use crate::Error;
use crate::defaults::{IDLE_WAIT, NAT_RUN_ATTEMPTS};
use crate::system::bind::InterfaceBinding;
use crate::system::bind::{BindRequest, prepare};

pub(super) struct Sockets<'a> {
    local: IpAddr,
    interface: Option<&'a str>,
    poll: Poll,
    sockets: Vec<Option<UdpSocket>>,
    /// Connected ones, which learn of refusals.
    connected: Vec<(SocketAddr, UdpSocket)>,
    binding: InterfaceBinding,
}

/// Where the tokens of connected sockets begin.
const KNOCKERS: usize = 1 << 20;

/// Larger than any answer that is read.
const DATAGRAM: usize = 1_500;

impl<'a> Sockets<'a> {
    /// Opens one socket and closes it again, to see the system's refusal before anything is sent.
    pub(super) fn new(local: IpAddr, interface: Option<&'a str>) -> Result<Self, Error> {
        let system = |source| Error::System { syscall: "poll", address: None, source };
        let mut sockets = Self {
            local,
            interface,
            poll: Poll::new().map_err(system)?,
            sockets: Vec::new(),
            connected: Vec::new(),
            binding: InterfaceBinding::NotAsked,
        };
        let local = SocketAddr::new(local, 0);
        sockets.bind(0).map_err(|source| Error::System { syscall: "bind", address: Some(local), source })?;
        Ok(sockets)
    }

    pub(super) fn binding(&self) -> InterfaceBinding {
        self.binding.clone()
    }

    /// Runs the classifier to its end, or until `stop` says so.
    pub(super) fn drive(
        &mut self,
        classifier: &mut Classifier,
        began: Instant,
        stop: &impl Fn() -> bool,
        course: &Course,
    ) -> Result<(), Error> {
        let system = |source| Error::System { syscall: "poll", address: None, source };
        let (mut commands, mut events) = (Vec::new(), Events::with_capacity(64));
        while !stop() {
            classifier.poll(began.elapsed(), &mut commands);
            for command in commands.drain(..) {
                self.command(classifier, command);
            }
            if classifier.is_done() {
                break;
            }
            let now = began.elapsed();
            let wake =
                classifier.next_wake(now).map_or(IDLE_WAIT, |at| at.saturating_sub(now)).min(IDLE_WAIT);
            match self.poll.poll(&mut events, Some(wake.max(Duration::from_micros(100)))) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(system(error)),
            }
            for event in &events {
                match event.token().0.checked_sub(KNOCKERS) {
                    Some(number) => self.read_refusal(classifier, number),
                    None => self.receive(classifier, event.token().0, began),
                }
            }
            course.heard.store(classifier.has_heard(), Ordering::Relaxed);
            course.refused.store(classifier.is_refused(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn command(&mut self, classifier: &mut Classifier, command: Command) {
        match command {
            Command::Open { socket } => {
                let opened = self.bind(0);
                self.keep(classifier, socket, opened);
            }
            Command::OpenRun { first, count } => {
                for (socket, opened) in (first..).zip(self.bind_run(count)) {
                    self.keep(classifier, socket, opened);
                }
            }
            Command::Send { socket, to, bytes, probe } => {
                let Some(Some(from)) = self.sockets.get(usize::from(socket)) else { return };
                if let Err(error) = from.send_to(&bytes, to)
                    && !errno::is_transient(&error)
                {
                    classifier.on_send_error(probe, error.raw_os_error().unwrap_or(0));
                }
            }
            Command::ConnectedProbe { to, bytes } => self.send_connected_probe(classifier, to, &bytes),
        }
    }

    /// What fails here for another reason than a refusal shows at the other sockets as well.
    fn send_connected_probe(&mut self, classifier: &mut Classifier, to: SocketAddr, bytes: &[u8]) {
        let at = self.connected.iter().position(|(server, _)| *server == to);
        let Some(at) = at.or_else(|| self.connect(to).ok()) else { return };
        if self.connected[at].1.send(bytes).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            classifier.on_refused(to);
        }
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<usize> {
        let mut socket = self.bind(0)?;
        socket.connect(to)?;
        let at = self.connected.len();
        self.poll.registry().register(&mut socket, Token(KNOCKERS + at), Interest::READABLE)?;
        self.connected.push((to, socket));
        Ok(at)
    }

    fn read_refusal(&mut self, classifier: &mut Classifier, at: usize) {
        let Some((to, socket)) = self.connected.get(at) else { return };
        let mut buffer = [0; DATAGRAM];
        loop {
            match socket.recv(&mut buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => classifier.on_refused(*to),
                Err(_) => return,
            }
        }
    }

    fn keep(&mut self, classifier: &mut Classifier, socket: u16, opened: io::Result<UdpSocket>) {
        let at = usize::from(socket);
        let registered = opened.and_then(|mut opened| {
            self.poll.registry().register(&mut opened, Token(at), Interest::READABLE)?;
            let local = opened.local_addr()?;
            Ok((opened, local))
        });
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, || None);
        }
        match registered {
            Ok((opened, local)) => {
                self.sockets[at] = Some(opened);
                classifier.on_open(socket, Ok(local));
            }
            Err(error) => classifier.on_open(socket, Err(error.raw_os_error().unwrap_or(0))),
        }
    }

    fn receive(&mut self, classifier: &mut Classifier, at: usize, began: Instant) {
        let Some(Some(socket)) = self.sockets.get(at) else { return };
        let mut buffer = [0; DATAGRAM];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((len, from)) => classifier.on_receive(began.elapsed(), at as u16, from, &buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Empty, or an ICMP error of an earlier send, which says nothing that silence does not.
                Err(_) => return,
            }
        }
    }

    fn bind(&mut self, port: u16) -> io::Result<UdpSocket> {
        let local = SocketAddr::new(self.local, port);
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        self.binding =
            prepare(&socket, &BindRequest { local, interface: self.interface, best_effort: true })?;
        socket.bind(&local.into())?;
        Ok(UdpSocket::from_std(socket.into()))
    }

    /// Sockets on consecutive ports, beside one that the system chose; if that fails too often, on whatever ports.
    fn bind_run(&mut self, count: u16) -> Vec<io::Result<UdpSocket>> {
        for _ in 0..NAT_RUN_ATTEMPTS {
            let Ok(first) = self.bind(0) else { break };
            let Ok(port) = first.local_addr().map(|a| a.port()) else { break };
            let mut run = vec![Ok(first)];
            for next in 1..count {
                let Some(opened) = port.checked_add(next).map(|port| self.bind(port)) else { break };
                if opened.is_err() {
                    break;
                }
                run.push(opened);
            }
            if run.len() == usize::from(count) {
                return run;
            }
        }
        (0..count).map(|_| self.bind(0)).collect()
    }
}
