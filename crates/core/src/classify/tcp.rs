//! The mapping of TCP connections: several of them from one local port (RFC 5382, REQ-1), each asked by STUN over TCP
//! (RFC 8489, section 6.2.2) what it leaves as.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use routepool_proto::nat::{Evidence, Finding, Mapping, Reason, Report, Test};
use routepool_proto::stun::behavior::{self, ChangeRequest};
use routepool_proto::stun::{self, ReplyBody};
use socket2::{Domain, Protocol, Socket, Type};

use crate::defaults::NAT_TCP_WITHIN;
use crate::system::bind::{BindRequest, prepare};

const HEADER_LEN: usize = 20;

/// Connects to the addresses of the first server that can test, all from one local port.
pub(super) fn mapping(
    local: IpAddr,
    interface: Option<&str>,
    report: &Report,
    began: Instant,
) -> (Finding<Mapping>, Vec<Evidence>) {
    let able = report.servers.iter().find(|s| s.cannot_test.is_none() && s.other.is_some());
    let Some((first, other)) = able.and_then(|s| Some((s.address, s.other?))) else {
        return (Finding::because(Mapping::Unknown, Reason::CannotTest), Vec::new());
    };
    let to = [first, SocketAddr::new(other.ip(), first.port()), other];
    let sockets = open_all(local, interface);
    let Ok((own, sockets)) = sockets else {
        return (Finding::because(Mapping::Unknown, Reason::Refused), Vec::new());
    };
    // At once: one that is not answered costs its time only once.
    let asked: Vec<_> = std::thread::scope(|scope| {
        let each = sockets.into_iter().zip(to).map(|(socket, to)| {
            scope.spawn(move || {
                let sent_at = began.elapsed();
                (sent_at, ask(&socket, to), began.elapsed())
            })
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let tests = [Test::Tcp1, Test::Tcp2, Test::Tcp3];
    let mut evidence = Vec::new();
    let mut seen = Vec::new();
    for ((test, to), (sent_at, answer, received_at)) in tests.into_iter().zip(to).zip(asked) {
        let mapped = answer.as_ref().ok().copied();
        seen.push(mapped);
        evidence.push(Evidence {
            test,
            server: to,
            from: mapped.map(|_| to),
            local: Some(own),
            mapped,
            error_code: None,
            errno: answer.as_ref().err().and_then(io::Error::raw_os_error),
            sent_at: Some(sent_at),
            received_at: mapped.map(|_| received_at),
            attempts: 1,
            answers: u32::from(mapped.is_some()),
            silent: false,
        });
    }
    (judge(own, &seen), evidence)
}

fn judge(own: SocketAddr, seen: &[Option<SocketAddr>]) -> Finding<Mapping> {
    let [Some(first), Some(second), Some(third)] = *seen else {
        return Finding::because(Mapping::Unknown, Reason::NoTcp);
    };
    match (second == first, third == second) {
        (true, true) if first == own => Finding::known(Mapping::None),
        (true, true) => Finding::known(Mapping::EndpointIndependent),
        (false, true) => Finding::known(Mapping::AddressDependent),
        (false, false) if third != first => Finding::known(Mapping::AddressAndPortDependent),
        _ => Finding::because(Mapping::Unknown, Reason::Inconsistent),
    }
}

/// Three sockets on one port, which all must allow before the first is bound.
fn open_all(local: IpAddr, interface: Option<&str>) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let mut own = SocketAddr::new(local, 0);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let socket = Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
        prepare(&socket, &BindRequest { local: own, interface, best_effort: true })?;
        socket.bind(&own.into())?;
        own = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        sockets.push(socket);
    }
    Ok((own, sockets))
}

fn ask(socket: &Socket, to: SocketAddr) -> io::Result<SocketAddr> {
    let deadline = Instant::now() + NAT_TCP_WITHIN;
    socket.connect_timeout(&to.into(), NAT_TCP_WITHIN)?;
    let mut stream: TcpStream = socket.try_clone()?.into();
    stream.set_write_timeout(Some(NAT_TCP_WITHIN))?;
    let id = rand::random();
    stream.write_all(&behavior::request(&id, ChangeRequest::default()))?;
    let mut message = vec![0; HEADER_LEN];
    read_until(&mut stream, &mut message, deadline)?;
    let body = usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(HEADER_LEN + body, 0);
    read_until(&mut stream, &mut message[HEADER_LEN..], deadline)?;
    if stun::response_id(&message) != Some(id) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    match behavior::read(&message) {
        Ok(response) => match response.reply.body {
            ReplyBody::Mapped(mapped) => Ok(mapped),
            _ => Err(io::ErrorKind::InvalidData.into()),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A server that sends a byte now and then must not hold the test.
fn read_until(stream: &mut TcpStream, mut into: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !into.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(into)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => into = &mut into[len..],
        }
    }
    Ok(())
}

/// Whether TCP gets through to one of the servers, be it only to be refused: something answers there.
pub(super) fn reaches_one(local: IpAddr, interface: Option<&str>, servers: &[SocketAddr]) -> bool {
    let reaches = |to: &SocketAddr| {
        let own = SocketAddr::new(local, 0);
        let connected =
            Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP)).and_then(|socket| {
                prepare(&socket, &BindRequest { local: own, interface, best_effort: true })?;
                socket.bind(&own.into())?;
                socket.connect_timeout(&(*to).into(), NAT_TCP_WITHIN)
            });
        connected.is_ok()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = servers.iter().map(|to| scope.spawn(move || reaches(to))).collect();
        threads.into_iter().any(|thread| thread.join().unwrap_or(false))
    })
}
