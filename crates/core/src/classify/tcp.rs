//! The mapping of TCP connections: several of them from one local port (RFC 5382, REQ-1), each asked by STUN over TCP
//! (RFC 8489, section 6.2.2) what it leaves as.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use routepool_proto::nat::{Evidence, Finding, Mapping, Reason, Report, Test};
use routepool_proto::stun::behavior::{self, ChangeRequest};
use routepool_proto::stun::{self, ReplyBody};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::defaults::NAT_TCP_WITHIN;
use crate::system::bind::{BindRequest, prepare};

const HEADER_LEN: usize = 20;

/// Connects to the addresses of the first server that can test, all from one local port.
pub(super) async fn mapping(
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
    let mut asking = JoinSet::new();
    for (at, (socket, to)) in sockets.into_iter().zip(to).enumerate() {
        asking.spawn(async move {
            let sent_at = began.elapsed();
            let answer =
                timeout(NAT_TCP_WITHIN, ask(socket, to)).await.unwrap_or_else(|late| Err(late.into()));
            (at, (sent_at, answer, began.elapsed()))
        });
    }
    let mut asked = asking.join_all().await;
    asked.sort_unstable_by_key(|(at, _)| *at);
    let tests = [Test::Tcp1, Test::Tcp2, Test::Tcp3];
    let mut evidence = Vec::new();
    let mut seen = Vec::new();
    for ((test, to), (sent_at, answer, received_at)) in
        tests.into_iter().zip(to).zip(asked.into_iter().map(|(_, asked)| asked))
    {
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
fn open_all(local: IpAddr, interface: Option<&str>) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    let mut own = SocketAddr::new(local, 0);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let socket = bound(own, interface, true)?;
        own = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok((own, sockets))
}

/// A socket to connect from an address by an interface.
pub(super) fn open(local: IpAddr, interface: Option<&str>) -> io::Result<TcpSocket> {
    bound(SocketAddr::new(local, 0), interface, false)
}

fn bound(own: SocketAddr, interface: Option<&str>, shared: bool) -> io::Result<TcpSocket> {
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if shared {
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    prepare(&socket, &BindRequest { local: own, interface, best_effort: true })?;
    socket.bind(&own.into())?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

async fn ask(socket: TcpSocket, to: SocketAddr) -> io::Result<SocketAddr> {
    let mut stream = socket.connect(to).await?;
    let id = rand::random();
    stream.write_all(&behavior::request(&id, ChangeRequest::default())).await?;
    let mut message = vec![0; HEADER_LEN];
    stream.read_exact(&mut message).await?;
    let body = usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(HEADER_LEN + body, 0);
    stream.read_exact(&mut message[HEADER_LEN..]).await?;
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

/// Whether TCP gets through to one of the servers, be it only to be refused: something answers there.
pub(super) async fn reaches_one(local: IpAddr, interface: Option<&str>, servers: &[SocketAddr]) -> bool {
    let mut asking = JoinSet::new();
    for to in servers.iter().copied() {
        let socket = open(local, interface);
        asking.spawn(async move { timeout(NAT_TCP_WITHIN, socket?.connect(to)).await?.map(drop) });
    }
    while let Some(reached) = asking.join_next().await {
        if matches!(reached, Ok(Ok(()))) {
            return true;
        }
    }
    false
}
