//! The sockets of a classification, all in one task.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use routepool_proto::nat::{Classifier, Command};
use routepool_udp::errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Course;
use crate::Error;
use crate::defaults::NAT_RUN_ATTEMPTS;
use crate::runtime::{Cancel, receive_or_error};
use crate::system::bind::InterfaceBinding;
use crate::system::bind::{BindRequest, prepare};

pub(super) struct Sockets<'a> {
    local: IpAddr,
    interface: Option<&'a str>,
    sockets: Vec<Option<UdpSocket>>,
    /// Connected ones, which learn of refusals.
    connected: Vec<(SocketAddr, Arc<UdpSocket>)>,
    /// What waits for their refusals, and how these are told.
    listeners: JoinSet<()>,
    refused: mpsc::UnboundedSender<SocketAddr>,
    refusals: mpsc::UnboundedReceiver<SocketAddr>,
    binding: InterfaceBinding,
}

/// Larger than any answer that is read.
const DATAGRAM: usize = 1_500;

impl<'a> Sockets<'a> {
    /// Opens one socket and closes it again, to see the system's refusal before anything is sent.
    pub(super) fn new(local: IpAddr, interface: Option<&'a str>) -> Result<Self, Error> {
        let (refused, refusals) = mpsc::unbounded_channel();
        let mut sockets = Self {
            local,
            interface,
            sockets: Vec::new(),
            connected: Vec::new(),
            listeners: JoinSet::new(),
            refused,
            refusals,
            binding: InterfaceBinding::NotAsked,
        };
        let local = SocketAddr::new(local, 0);
        sockets.bind(0).map_err(|source| Error::System { syscall: "bind", address: Some(local), source })?;
        Ok(sockets)
    }

    pub(super) fn binding(&self) -> InterfaceBinding {
        self.binding.clone()
    }

    /// Runs the classifier to its end, or until `cancel` says so.
    pub(super) async fn drive(
        &mut self,
        classifier: &mut Classifier,
        began: Instant,
        cancel: &Cancel,
        course: &watch::Sender<Course>,
    ) {
        let mut commands = Vec::new();
        let mut cancelled = pin!(cancel.cancelled());
        while !cancel.is_cancelled() {
            loop {
                classifier.poll(began.elapsed(), &mut commands);
                if commands.is_empty() {
                    break;
                }
                // What comes of these, such as a refusal, may call for others at once.
                for command in commands.drain(..) {
                    self.command(classifier, command);
                }
            }
            if classifier.is_done() {
                break;
            }
            let now = began.elapsed();
            let wake = classifier.next_wake(now).map_or(Duration::MAX, |at| at.saturating_sub(now));
            let sockets = &self.sockets;
            tokio::select! {
                () = &mut cancelled => break,
                Some(server) = self.refusals.recv() => classifier.on_refused(server),
                () = readable(sockets) => {}
                () = tokio::time::sleep(wake) => {}
            }
            // The runtime remembers which of them have something; the others cost no call.
            for at in 0..self.sockets.len() {
                self.receive(classifier, at, began);
            }
            let (heard, refused) = (classifier.has_heard(), classifier.is_refused());
            course.send_if_modified(|course| {
                let before = *course;
                (course.heard, course.refused) = (heard, refused);
                before != *course
            });
        }
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
                if let Err(error) = send_now(from, &bytes, Some(to))
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
        let sent = send_now(&self.connected[at].1, bytes, None);
        if sent.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            classifier.on_refused(to);
        }
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<usize> {
        let socket = self.bind(0)?;
        socket.connect(&to.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        self.listeners.spawn(listen_for_refusals(Arc::clone(&socket), to, self.refused.clone()));
        self.connected.push((to, socket));
        Ok(self.connected.len() - 1)
    }

    fn keep(&mut self, classifier: &mut Classifier, socket: u16, opened: io::Result<Socket>) {
        let at = usize::from(socket);
        let registered = opened.and_then(|opened| {
            let opened = UdpSocket::from_std(opened.into())?;
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
            match socket.try_recv_from(&mut buffer) {
                Ok((len, from)) => classifier.on_receive(began.elapsed(), at as u16, from, &buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Empty, or an ICMP error of an earlier send, which says nothing that silence does not.
                Err(_) => return,
            }
        }
    }

    fn bind(&mut self, port: u16) -> io::Result<Socket> {
        let local = SocketAddr::new(self.local, port);
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        self.binding =
            prepare(&socket, &BindRequest { local, interface: self.interface, best_effort: true })?;
        socket.bind(&local.into())?;
        Ok(socket)
    }

    /// Sockets on consecutive ports, beside one that the system chose; if that fails too often, on whatever ports.
    fn bind_run(&mut self, count: u16) -> Vec<io::Result<Socket>> {
        for _ in 0..NAT_RUN_ATTEMPTS {
            let Ok(first) = self.bind(0) else { break };
            let port = first.local_addr().ok().and_then(|local| local.as_socket()).map(|local| local.port());
            let Some(port) = port else { break };
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

/// Waits until one of them can be read.
async fn readable(sockets: &[Option<UdpSocket>]) {
    poll_fn(|context| {
        // Each is asked, since only who was asked wakes this task.
        let asked = sockets.iter().flatten().map(|socket| socket.poll_recv_ready(context));
        if asked.filter(Poll::is_ready).count() > 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Tells of each refusal at a connected socket, until the task is dropped.
async fn listen_for_refusals(
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    tell: mpsc::UnboundedSender<SocketAddr>,
) {
    let mut buffer = [0; DATAGRAM];
    loop {
        match receive_or_error(&socket, &mut buffer).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && tell.send(to).is_err() => {
                return;
            }
            _ => tokio::task::consume_budget().await,
        }
    }
}

/// Sends without asking whether there is room first: a socket that was just made is not known to have any.
fn send_now(socket: &UdpSocket, bytes: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
    let raw = SockRef::from(socket);
    match to {
        Some(to) => raw.send_to(bytes, &to.into()),
        None => raw.send(bytes),
    }
}
