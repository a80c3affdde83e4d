//! Before the sweep: do the servers answer this machine at all?

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use routepool_proto::stun;
use routepool_proto::stun::behavior::{self, ChangeRequest};
use socket2::{Domain, Protocol, Type};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::Error;
use crate::defaults::{PREFLIGHT_SENDS, PREFLIGHT_WAIT};
use crate::discovery::servers::Resolved;
use crate::runtime::{Cancel, receive_or_error};

/// What was found.
#[derive(Debug)]
pub(super) struct Preflight {
    /// The servers to query.
    pub(super) servers: Vec<Resolved>,
    /// An address of this machine that gets answers: the one the system chooses by itself.
    pub(super) canary: Option<IpAddr>,
    /// Servers left out, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
enum Answer {
    Yes(IpAddr),
    /// An ICMP error: nothing listens there, or a router knows no way.
    Refused(io::Error),
    /// The system knows no way.
    NoRoute(io::Error),
    Silent,
}

struct Query {
    server: Resolved,
    answer: Answer,
}

/// Asks each server from the machine's own address, with retransmissions, all at the same time, until each has answered, time is
/// over or `cancel` says so. A connected socket is used, because only there the system reports ICMP errors: a closed port then
/// differs from a silent server.
pub(super) async fn preflight(
    servers: Vec<Resolved>,
    interface: Option<&str>,
    first_source: Option<IpAddr>,
    cancel: &Cancel,
) -> Result<Preflight, Error> {
    let began = Instant::now();
    let mut asking = JoinSet::new();
    let mut queries = Vec::new();
    for (number, server) in servers.into_iter().enumerate() {
        let answer = match connect(server.address, interface, None) {
            Ok(socket) => {
                asking.spawn(async move {
                    let answer = timeout_at(began + PREFLIGHT_WAIT, ask(socket, began)).await;
                    (number, answer.unwrap_or(Answer::Silent))
                });
                Answer::Silent
            }
            Err(error) => Answer::NoRoute(error),
        };
        queries.push(Query { server, answer });
    }
    while let Some(Some(Ok((number, answer)))) = cancel.unless(asking.join_next()).await {
        queries[number].answer = answer;
    }
    conclude(queries, interface, first_source)
}

async fn ask(socket: UdpSocket, began: Instant) -> Answer {
    let socket = match tokio::net::UdpSocket::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return Answer::NoRoute(error),
    };
    let id = rand::random();
    let request = behavior::request(&id, ChangeRequest::default());
    let send = async {
        for at in PREFLIGHT_SENDS {
            sleep_until(began + at).await;
            match socket.send(&request).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Answer::Refused(error);
                }
                Err(error) => return Answer::NoRoute(error),
                Ok(_) => {}
            }
        }
        pending().await
    };
    let receive = async {
        let mut buffer = [0; 600];
        loop {
            match receive_or_error(&socket, &mut buffer).await {
                // Any genuine response will do, also an error response: the server is there and answers.
                Ok(len) => {
                    if stun::response_id(&buffer[..len]) == Some(id)
                        && behavior::read(&buffer[..len]).is_ok()
                        && let Ok(local) = socket.local_addr()
                    {
                        return Answer::Yes(local.ip());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Answer::Refused(error),
            }
        }
    };
    tokio::select! {
        answer = receive => answer,
        answer = send => answer,
    }
}

fn connect(to: SocketAddr, interface: Option<&str>, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = interface {
        routepool_udp::bind_device(&socket, to.is_ipv6(), interface)?;
    }
    #[cfg(target_os = "linux")]
    if to.is_ipv6() && source.is_some() {
        socket.set_freebind_v6(true)?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn conclude(
    queries: Vec<Query>,
    interface: Option<&str>,
    first_source: Option<IpAddr>,
) -> Result<Preflight, Error> {
    let canary = queries.iter().find_map(|a| if let Answer::Yes(ip) = a.answer { Some(ip) } else { None });
    let mut notes = Vec::new();
    if canary.is_some() {
        let mut servers = Vec::new();
        for a in queries {
            let name = describe(&a.server);
            match a.answer {
                Answer::Yes(_) => servers.push(a.server),
                Answer::Silent => notes.push(format!("The server {name} did not answer and was left out.")),
                Answer::Refused(e) | Answer::NoRoute(e) => {
                    notes.push(format!("The server {name} could not be reached ({e}) and was left out."));
                }
            }
        }
        return Ok(Preflight { servers, canary, notes });
    }
    let names: Vec<_> = queries.iter().map(|a| describe(&a.server)).collect();
    let names = names.join(", ");
    if queries.iter().all(|a| matches!(a.answer, Answer::Refused(_))) {
        let error =
            queries.into_iter().find_map(|a| if let Answer::Refused(e) = a.answer { Some(e) } else { None });
        let error = error.map_or(String::new(), |e| format!(" ({e})"));
        return Err(Error::ServerRefused(format!(
            "The server {names} refused the probe{error}: no STUN server listens at that address and port. Nothing is known of \
             the sources. Check the port (3478 is usual), or start a server there."
        )));
    }
    let no_route = |a: &Query| {
        // The machine's own address may have no way where the sources have one (policy routing by source).
        matches!(a.answer, Answer::NoRoute(_))
            && first_source.is_none_or(|source| connect(a.server.address, interface, Some(source)).is_err())
    };
    if queries.iter().all(no_route) {
        let error = queries
            .iter()
            .find_map(|a| if let Answer::NoRoute(e) = &a.answer { Some(e.to_string()) } else { None });
        return Err(Error::Unreachable(format!(
            "There is no way from this machine to the server {names} ({}). Nothing is known of the sources. Check the routes with: \
             ip route get {}",
            error.unwrap_or_default(),
            queries.first().map(|a| a.server.address.ip().to_string()).unwrap_or_default()
        )));
    }
    let servers =
        queries.into_iter().filter(|a| !matches!(a.answer, Answer::Refused(_))).map(|a| a.server).collect();
    notes.push(format!(
        "The machine's own address got no answer from {names}; the sources were asked all the same."
    ));
    Ok(Preflight { servers, canary: None, notes })
}

/// A server for people: its text, and its address where the text is a name.
pub(super) fn describe(server: &Resolved) -> String {
    let address = server.address.to_string();
    let plain = server.name.trim_start_matches("stun:");
    if plain == address || plain == server.address.ip().to_string() {
        address
    } else {
        format!("{} ({address})", server.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Lease;
    use crate::stun_server::StunServer;

    fn server(address: SocketAddr) -> Resolved {
        Resolved { name: address.to_string(), address }
    }

    fn run(servers: Vec<Resolved>) -> Result<Preflight, Error> {
        let cancel = Cancel::new();
        let asked = preflight(servers, None, "127.0.0.9".parse().ok(), &cancel);
        Lease::take().expect("threads").block_on(asked)
    }

    #[test]
    fn a_server_that_answers_gives_the_canary_and_others_are_left_out() {
        let running = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let found = run(vec![server(silent.local_addr().expect("bound")), server(running.address())])
            .expect("one answers");
        assert_eq!(found.servers, [server(running.address())]);
        assert_eq!(found.canary, "127.0.0.1".parse().ok());
        assert!(found.notes[0].contains("did not answer"), "{:?}", found.notes);
    }

    #[test]
    fn a_closed_port_and_a_silent_server_are_told_apart() {
        let free = UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound"); // closed again
        assert!(matches!(run(vec![server(free)]), Err(Error::ServerRefused(_))));
        let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let found =
            run(vec![server(silent.local_addr().expect("bound"))]).expect("perhaps it answers the sources");
        assert!(found.canary.is_none() && found.servers.len() == 1);
    }

    /// The broadcast address of the loopback network: the system lets nobody connect to it without `SO_BROADCAST` (connect(2),
    /// EACCES), so that it stands for a server to which there is no way, and nothing is ever sent.
    #[cfg(target_os = "linux")]
    const NO_WAY: &str = "127.255.255.255:3478";

    #[test]
    #[cfg(target_os = "linux")]
    fn no_way_from_the_machine_and_from_the_sources_is_an_error() {
        let found = run(vec![server(NO_WAY.parse().expect("an address"))]);
        let Err(Error::Unreachable(text)) = found else { panic!("{found:?}") };
        assert!(text.contains(NO_WAY) && text.contains("ip route get 127.255.255.255"), "{text}");
        assert!(text.contains("Permission denied"), "it says what the system says: {text}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_server_to_which_there_is_no_way_is_left_out_where_another_answers() {
        let running = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        let found = run(vec![server(NO_WAY.parse().expect("an address")), server(running.address())])
            .expect("one answers");
        assert_eq!(found.servers, [server(running.address())]);
        assert!(found.notes[0].contains("could not be reached"), "{:?}", found.notes);
    }

    /// Policy routing by source: the machine's own address has no way, and the sources have one.
    #[test]
    fn a_way_from_the_sources_is_enough() {
        let there = UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
        let query = |answer| Query { server: server(there), answer };
        let no_route = || Answer::NoRoute(io::ErrorKind::NetworkUnreachable.into());
        let source = "127.0.0.1".parse().ok();
        let found = conclude(vec![query(no_route())], None, source).expect("the sources have a way");
        assert_eq!((found.servers, found.canary), (vec![server(there)], None));
        assert!(found.notes[0].contains("asked all the same"), "{:?}", found.notes);
        // Without a source there is nothing to try; one silent server among them may yet answer.
        let ended = conclude(vec![query(no_route())], None, None);
        assert!(matches!(ended, Err(Error::Unreachable(_))), "{ended:?}");
        let found = conclude(vec![query(no_route()), query(Answer::Silent)], None, None);
        assert_eq!(found.expect("one is only silent").servers.len(), 2);
    }
}
