//! Asks STUN servers what they see of the addresses of an interface: `routepool_proto::discovery` over one socket.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use routepool_proto::discovery::{Discovery, Ignored, Observation, Request, Schedule};
use routepool_udp::{Backend, Options, Socket, Transmit, errno};

use crate::defaults::{DISCOVERY_SENDS, NEXT_SERVER_AFTER, OUTSTANDING, OUTSTANDING_PUBLIC, SERVERS_AT_ONCE};
use crate::discovery::servers::Resolved;
use crate::runtime::{Cancel, Readable};
use crate::system::bind::InterfaceBinding;

/// What to ask.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The addresses, all local, all of one family.
    pub sources: Vec<IpAddr>,
    /// Whom to ask; all of that family.
    pub servers: &'a [Resolved],
    /// Send and receive only by this interface.
    pub interface: Option<&'a str>,
    /// When a server is given up.
    pub timeout: Duration,
    /// Whether the servers are public ones, which are asked gently.
    pub public: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// For each address what was seen of it.
    pub observations: Vec<Observation>,
    /// What was ignored.
    pub ignored: Ignored,
    /// How the socket was bound to the interface.
    pub binding: InterfaceBinding,
    /// How long it took.
    pub elapsed: Duration,
}

/// Asks until every address has its conclusion, time is over or `cancel` says so.
///
/// # Errors
/// What the system says of opening or reading the socket. A refused send is part of the evidence.
pub async fn discover(question: &Question<'_>, cancel: &Cancel) -> io::Result<Seen> {
    let began = Instant::now();
    let ipv6 = question.servers.first().is_some_and(|s| s.address.is_ipv6());
    let schedule = Schedule {
        sends: DISCOVERY_SENDS.iter().copied().filter(|at| *at < question.timeout).collect(),
        give_up: question.timeout,
        servers_at_once: SERVERS_AT_ONCE,
        next_server_after: NEXT_SERVER_AFTER,
        outstanding: if question.public { OUTSTANDING_PUBLIC } else { OUTSTANDING },
    };
    let servers = question.servers.iter().map(|s| s.address).collect();
    let mut discovery = Discovery::new(question.sources.clone(), servers, schedule, rand::random());
    let mut binding = InterfaceBinding::NotAsked;
    if !discovery.is_done() {
        let (mut socket, bound) = open(ipv6, question.interface)?;
        binding = bound;
        exchange(&mut discovery, &mut socket, began, cancel).await?;
    }
    let (observations, ignored) = discovery.finish();
    Ok(Seen { observations, ignored, binding, elapsed: began.elapsed() })
}

/// The socket, bound to the interface if the system allows it.
fn open(ipv6: bool, interface: Option<&str>) -> io::Result<(Socket, InterfaceBinding)> {
    let mut options = Options::wildcard(ipv6);
    options.freebind = ipv6;
    options.interface = interface.map(str::to_owned);
    match Socket::open(Backend::best(), &options) {
        Ok(socket) if interface.is_some() => Ok((socket, InterfaceBinding::Bound)),
        Ok(socket) => Ok((socket, InterfaceBinding::NotAsked)),
        // Before Linux 5.7 it takes CAP_NET_RAW (socket(7), SO_BINDTODEVICE).
        Err(error) if interface.is_some() && error.kind() == io::ErrorKind::PermissionDenied => {
            options.interface = None;
            Ok((Socket::open(Backend::best(), &options)?, InterfaceBinding::Refused(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

async fn exchange(
    discovery: &mut Discovery,
    socket: &mut Socket,
    began: Instant,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut requests: Vec<Request> = Vec::new();
    let readable = Readable::new(socket)?;
    let mut cancelled = pin!(cancel.cancelled());
    while !cancel.is_cancelled() {
        discovery.poll(began.elapsed(), &mut requests);
        send(discovery, socket, &mut requests);
        // The last of them may have been given up or refused just now.
        if discovery.is_done() {
            break;
        }
        let now = began.elapsed();
        let wake = discovery.next_wake(now).map_or(Duration::MAX, |at| at.saturating_sub(now));
        let wait = if requests.is_empty() { wake } else { Duration::from_millis(1) };
        tokio::select! {
            () = &mut cancelled => return Ok(()),
            waited = readable.wait(socket, wait.max(Duration::from_millis(1))) => waited?,
        }
        while socket.receive(|datagram| {
            discovery.on_receive(began.elapsed(), datagram.from, datagram.to, datagram.port, datagram.bytes);
        })? > 0
        {}
    }
    Ok(())
}

/// Hands over what the system takes; what must wait stays in the list.
fn send(discovery: &mut Discovery, socket: &mut Socket, requests: &mut Vec<Request>) {
    let mut done = 0;
    while done < requests.len() {
        let transmits: Vec<_> = requests[done..]
            .iter()
            .map(|r| Transmit { source: Some(r.source), destination: r.server, bytes: &r.bytes })
            .collect();
        let (sent, refused) = socket.send(&transmits);
        done += sent;
        let Some(refused) = refused else { break };
        if errno::is_transient(&refused.error) {
            break;
        }
        discovery.on_send_error(requests[done].transaction, refused.error.raw_os_error().unwrap_or(0));
        done += 1;
    }
    requests.drain(..done);
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use routepool_proto::agree::Certainty;

    use super::*;
    use crate::runtime::Lease;
    use crate::stun_server::StunServer;

    fn ask(question: &Question<'_>, cancel: &Cancel) -> Seen {
        Lease::take().expect("threads").block_on(discover(question, cancel)).expect("loopback")
    }

    fn question(servers: &[Resolved], hosts: u8) -> Question<'_> {
        let sources = (1..=hosts).map(|n| IpAddr::from([127, 77, 0, n])).collect();
        Question { sources, servers, interface: None, timeout: Duration::from_millis(600), public: false }
    }

    fn named(address: std::net::SocketAddr) -> Resolved {
        Resolved { name: address.to_string(), address }
    }

    #[test]
    fn each_address_is_seen_by_two_servers() {
        let start =
            |ip: &str| StunServer::start(format!("{ip}:0").parse().expect("an address")).expect("loopback");
        let (one, two) = (start("127.0.0.2"), start("127.0.0.3"));
        let servers = [named(one.address()), named(two.address())];
        let seen = ask(&question(&servers, 100), &Cancel::new());
        assert_eq!(seen.observations.len(), 100);
        for observation in &seen.observations {
            assert_eq!(observation.conclusion.external, Some(observation.source));
            assert_eq!(observation.conclusion.certainty, Certainty::Agreed);
            assert_eq!(observation.conclusion.port_preserved, Some(true));
        }
    }

    #[test]
    fn silence_ends_at_the_time_given_and_a_stop_before() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let servers = [named(silent.local_addr().expect("bound"))];
        let seen = ask(&question(&servers, 2), &Cancel::new());
        assert!(seen.observations.iter().all(|o| o.conclusion.certainty == Certainty::Unverified));
        assert!(seen.elapsed >= Duration::from_millis(600) && seen.observations[0].answers[0].attempts == 2);
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(ask(&question(&servers, 2), &cancel).elapsed < Duration::from_millis(500));
        // In the middle, when nothing else happens.
        let cancel = Cancel::new();
        let later = cancel.clone();
        Lease::take().expect("threads").spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            later.cancel();
        });
        assert!(ask(&question(&servers, 2), &cancel).elapsed < Duration::from_millis(500));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_address_that_is_not_ours_is_a_refused_send() {
        let server = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let servers = [named(server.address())];
        let mut question = question(&servers, 1);
        question.sources.push(IpAddr::from([203, 0, 113, 77]));
        let seen = ask(&question, &Cancel::new());
        assert_eq!(seen.observations[0].conclusion.certainty, Certainty::SingleServer);
        assert!(seen.observations[1].answers[0].errno.is_some(), "{:?}", seen.observations[1]);
    }
}
