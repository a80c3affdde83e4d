//! Discovery against simulated servers, in stepped time.

use super::*;
use crate::stun::{MAX_RESPONSE_LEN, respond};

fn schedule() -> Schedule {
    let ms = Duration::from_millis;
    Schedule {
        sends: vec![ms(0), ms(500), ms(1_500), ms(3_500)],
        give_up: ms(5_000),
        servers_at_once: 3,
        next_server_after: ms(200),
        outstanding: 10,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn servers(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|n| SocketAddr::new(ip(&format!("192.0.2.{n}")), 3478)).collect()
}

const PORT: u16 = 40_000;

/// Runs to the end over a network with a round trip of 20 ms; `answer` says what a server sees, `None` for a lost packet.
/// Gives the observations, the time it took and every send.
fn run(
    mut discovery: Discovery,
    mut answer: impl FnMut(&Request, u32) -> Option<SocketAddr>,
) -> (Vec<Observation>, Duration, Vec<(Duration, Request)>) {
    let (mut now, mut sends, mut requests) = (Duration::ZERO, Vec::new(), Vec::new());
    let mut flying: Vec<(Duration, Request, [u8; MAX_RESPONSE_LEN], usize)> = Vec::new();
    while !discovery.is_done() {
        assert!(now < Duration::from_secs(60), "it must end");
        discovery.poll(now, &mut requests);
        for request in requests.drain(..) {
            let nth =
                sends.iter().filter(|(_, r): &&(_, Request)| r.transaction == request.transaction).count();
            sends.push((now, request));
            if let Some(seen) = answer(&request, nth as u32) {
                let mut out = [0; MAX_RESPONSE_LEN];
                let len = respond(&request.bytes, seen, &mut out).expect("a request");
                flying.push((now + Duration::from_millis(20), request, out, len));
            }
        }
        if discovery.is_done() {
            break;
        }
        let wake = discovery.next_wake(now).unwrap_or(Duration::MAX);
        now = flying.iter().map(|f| f.0).min().unwrap_or(Duration::MAX).min(wake).max(now);
        let (arrived, rest) = flying.into_iter().partition::<Vec<_>, _>(|f| f.0 <= now);
        flying = rest;
        for (_, request, out, len) in arrived {
            discovery.on_receive(now, request.server, request.source, PORT, &out[..len]);
        }
    }
    (discovery.finish().0, now, sends)
}

fn itself(request: &Request) -> SocketAddr {
    SocketAddr::new(request.source, PORT)
}

#[test]
fn one_round_trip_when_all_is_well() {
    let sources = vec![ip("10.0.0.1"), ip("10.0.0.2")];
    for (count, certainty) in [(1, Certainty::SingleServer), (2, Certainty::Agreed), (3, Certainty::Agreed)] {
        let discovery = Discovery::new(sources.clone(), servers(count), schedule(), [7; 16]);
        let (found, took, sends) = run(discovery, |r, _| Some(itself(r)));
        assert_eq!(took, Duration::from_millis(20), "{count} servers: one round trip, not a sum");
        assert_eq!(sends.len(), usize::from(count) * 2, "each pair is asked once");
        for (observation, source) in found.iter().zip(&sources) {
            assert_eq!(observation.conclusion.external, Some(*source));
            assert_eq!(observation.conclusion.certainty, certainty);
            assert_eq!(observation.conclusion.port_preserved, Some(true));
        }
    }
}

#[test]
fn requests_are_repeated_at_the_times_of_the_rfc() {
    let discovery = Discovery::new(vec![ip("10.0.0.1")], servers(1), schedule(), [7; 16]);
    let (found, took, sends) = run(discovery, |_, _| None);
    let times: Vec<_> = sends.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!((times, took.as_millis()), (vec![0, 500, 1_500, 3_500], 5_000));
    assert_eq!(found[0].conclusion.certainty, Certainty::Unverified);
    assert_eq!(found[0].answers[0].attempts, 4);
}

#[test]
fn a_lost_packet_changes_nothing() {
    for lost in 1..=3 {
        let discovery = Discovery::new(vec![ip("10.0.0.1")], servers(2), schedule(), [7; 16]);
        let (found, ..) = run(discovery, |r, nth| (nth >= lost).then(|| itself(r)));
        assert_eq!(found[0].conclusion.certainty, Certainty::Agreed, "{lost} lost");
        let round_trip = found[0].answers[0].round_trip;
        assert_eq!(round_trip, Some(Duration::from_millis(20)), "of the request that was answered (Karn)");
    }
}

#[test]
fn a_dead_server_of_three_costs_no_time_and_a_liar_is_outvoted() {
    let all = servers(3);
    let discovery = Discovery::new(vec![ip("10.0.0.1")], all.clone(), schedule(), [7; 16]);
    let (found, took, _) = run(discovery, |r, _| (r.server != all[0]).then(|| itself(r)));
    assert_eq!((found[0].conclusion.certainty, took.as_millis()), (Certainty::Agreed, 20));
    let liar = SocketAddr::new(ip("198.51.100.66"), 1);
    let discovery = Discovery::new(vec![ip("10.0.0.1")], all.clone(), schedule(), [7; 16]);
    let (found, took, _) = run(discovery, |r, _| Some(if r.server == all[0] { liar } else { itself(r) }));
    assert_eq!((found[0].conclusion.external, took.as_millis()), (Some(ip("10.0.0.1")), 20));
    assert_eq!(found[0].answers[0].external, Some(liar), "its word stays in the evidence");
}

#[test]
fn further_servers_are_asked_only_while_there_is_no_agreement() {
    let five = servers(5);
    let discovery = Discovery::new(vec![ip("10.0.0.1")], five.clone(), schedule(), [7; 16]);
    let (found, _, sends) = run(discovery, |r, _| Some(itself(r)));
    assert_eq!(sends.len(), 3, "three agree, the others are left in peace");
    assert_eq!(found[0].answers.len(), 3, "who was not asked has not been silent");
    let discovery = Discovery::new(vec![ip("10.0.0.1")], five.clone(), schedule(), [7; 16]);
    let (found, took, sends) =
        run(discovery, |r, _| (r.server == five[2] || r.server == five[4]).then(|| itself(r)));
    assert_eq!((found[0].conclusion.certainty, took.as_millis()), (Certainty::Agreed, 420));
    let fourth = sends.iter().find(|(_, r)| r.server == five[3]).expect("asked").0;
    assert_eq!(fourth.as_millis(), 200);
}

#[test]
fn servers_that_disagree_are_unsure_with_both_words() {
    let two = servers(2);
    let other = SocketAddr::new(ip("1.3.3.7"), 1);
    let discovery = Discovery::new(vec![ip("10.0.0.1")], two.clone(), schedule(), [7; 16]);
    let (found, took, _) = run(discovery, |r, _| Some(if r.server == two[0] { other } else { itself(r) }));
    assert_eq!((found[0].conclusion.certainty, found[0].conclusion.external), (Certainty::Unsure, None));
    assert_eq!(found[0].answers.iter().filter_map(|a| a.external).count(), 2);
    assert_eq!(took.as_millis(), 20, "all have spoken: nothing is left to wait for");
}

#[test]
fn not_more_than_ten_transactions_to_a_server_at_once() {
    let sources: Vec<_> = (1..=35).map(|n| ip(&format!("10.0.0.{n}"))).collect();
    let discovery = Discovery::new(sources, servers(1), schedule(), [7; 16]);
    let (found, took, sends) = run(discovery, |r, _| Some(itself(r)));
    for window in [0, 20, 40] {
        assert_eq!(sends.iter().filter(|(at, _)| at.as_millis() == window).count(), 10, "at {window} ms");
    }
    assert_eq!((took.as_millis(), found.len()), (80, 35));
    assert!(found.iter().all(|o| o.conclusion.external == Some(o.source)));
}

#[test]
fn hostile_datagrams_change_nothing_and_are_counted() {
    let two = servers(2);
    let mut discovery = Discovery::new(vec![ip("10.0.0.1")], two.clone(), schedule(), [7; 16]);
    let mut requests = Vec::new();
    discovery.poll(Duration::ZERO, &mut requests);
    let request = requests[0];
    let reply = |bytes: &[u8], seen: &str| {
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = respond(bytes, SocketAddr::new(ip(seen), 9), &mut out).expect("a request");
        out[..len].to_vec()
    };
    let now = Duration::from_millis(1);
    discovery.on_receive(now, two[0], request.source, PORT, b"noise");
    let mut wrong_id = request.bytes;
    wrong_id[19] ^= 1;
    discovery.on_receive(now, two[0], request.source, PORT, &reply(&wrong_id, "6.6.6.6"));
    let mut beyond = request.bytes;
    beyond[8] = 0xff;
    discovery.on_receive(now, two[0], request.source, PORT, &reply(&beyond, "6.6.6.6"));
    discovery.on_receive(now, two[1], request.source, PORT, &reply(&request.bytes, "6.6.6.6"));
    discovery.on_receive(now, two[0], ip("10.0.0.2"), PORT, &reply(&request.bytes, "6.6.6.6"));
    discovery.on_receive(now, two[0], request.source, PORT, &reply(&request.bytes, "10.0.0.1"));
    discovery.on_receive(now, two[0], request.source, PORT, &reply(&request.bytes, "6.6.6.6"));
    let (found, ignored) = discovery.finish();
    assert_eq!(found[0].conclusion.external, Some(ip("10.0.0.1")));
    assert_eq!(ignored, Ignored { garbage: 1, forged: 2, misdirected: 2, duplicates: 1 });
}

#[test]
fn a_refused_send_is_told_apart_from_silence() {
    let mut discovery = Discovery::new(vec![ip("10.0.0.1")], servers(1), schedule(), [7; 16]);
    let mut requests = Vec::new();
    discovery.poll(Duration::ZERO, &mut requests);
    discovery.on_send_error(requests[0].transaction, 101);
    let (found, _) = discovery.finish();
    assert_eq!(found[0].answers[0].errno, Some(101));
    assert_eq!(found[0].conclusion.certainty, Certainty::Unverified);
}

#[test]
fn nothing_to_ask_is_done_at_once() {
    assert!(Discovery::new(vec![], servers(2), schedule(), [7; 16]).is_done());
    assert!(Discovery::new(vec![ip("10.0.0.1")], vec![], schedule(), [7; 16]).is_done());
}

#[test]
fn an_error_is_an_answer_that_nobody_waits_for_any_longer() {
    let two = servers(2);
    let mut discovery = Discovery::new(vec![ip("10.0.0.1")], two.clone(), schedule(), [7; 16]);
    let mut requests = Vec::new();
    discovery.poll(Duration::ZERO, &mut requests);
    let mut out = [0; MAX_RESPONSE_LEN];
    let len = respond(&requests[0].bytes, itself(&requests[0]), &mut out).expect("a request");
    let error = [&[1, 0x11, 0, 8], &requests[1].bytes[4..20], &[0, 9, 0, 4, 0, 0, 4, 20]].concat();
    let now = Duration::from_millis(20);
    discovery.on_receive(now, two[0], requests[0].source, PORT, &out[..len]);
    assert!(!discovery.is_done());
    discovery.on_receive(now, two[1], requests[1].source, PORT, &error);
    assert!(discovery.is_done());
    let (found, _) = discovery.finish();
    assert_eq!(found[0].conclusion.certainty, Certainty::SingleServer);
    assert_eq!(found[0].answers[1].error_code, Some(420));
}
