//! Replies that prove nothing.

use super::*;

#[test]
fn replies_that_prove_nothing_are_counted_and_never_ok() {
    type Check = fn(&Counters) -> u64;
    let error = {
        // 420 for an attribute that nobody knows; with the id of another probe it is forged.
        let mut request = stun::binding_request(&[1; 12]).to_vec();
        request.extend([0x7f, 0xff, 0, 0]);
        request[3] = 4;
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = stun::respond(&request, "10.0.0.1:1".parse().expect("an address"), &mut out)
            .expect("an error response");
        out[..len].to_vec()
    };
    for (path, status, reason, counted) in [
        (Path::Raw(b"HTTP/1.0 200 OK".to_vec()), Status::BadReply, Reason::NotStun, (|c| c.garbage) as Check),
        (Path::Raw(vec![]), Status::BadReply, Reason::NotStun, |c| c.garbage),
        (Path::Raw(error), Status::NoReply, Reason::None, |c| c.forged),
        (Path::WrongWayBack, Status::BadReply, Reason::WrongDestination, |c| c.misdirected),
        (Path::ForeignServer, Status::BadReply, Reason::WrongServer, |c| c.misdirected),
    ] {
        let theirs = path.clone();
        let mut net = Net::new(move |s| if last_octet(s) == 9 { theirs.clone() } else { Path::Works });
        let mut sweep = sweep("10.0.0.0/27", settings());
        let (_, verdicts) = run(&mut sweep, &mut net);
        let bad = verdicts[&ip("10.0.0.9")];
        assert_eq!((bad.status, bad.reason), (status, reason), "{path:?}");
        assert!(counted(sweep.counters()) >= 3, "{path:?}: {:?}", sweep.counters());
        assert_eq!(verdicts.values().filter(|v| v.status == Status::Ok).count(), 31, "{path:?}");
    }
}

#[test]
fn a_forger_who_does_not_see_the_probes_achieves_nothing() {
    let mut sweep = sweep("10.0.0.0/24", settings());
    let mut verdicts = Vec::new();
    let mut probes = Vec::new();
    sweep.step(0, Duration::ZERO, 1_000, &mut probes, &mut verdicts);
    let server = sweep.server(0);
    let mut rng = StdRng::seed_from_u64(9);
    for round in 0..20_000_u32 {
        // Right positions, right sources, right server; only the proof is guessed.
        let probe = &probes[round as usize % probes.len()];
        let mut id = probe.id;
        rng.fill(&mut id[5..]);
        let mut out = [0; MAX_RESPONSE_LEN];
        let seen = SocketAddr::new(probe.source, PORT);
        let len = stun::respond(&stun::binding_request(&id), seen, &mut out).expect("a request");
        sweep.on_datagram(
            MS,
            &Datagram { from: server, to: probe.source, port: PORT, flow: 0, worker: 0, bytes: &out[..len] },
            &mut verdicts,
        );
    }
    assert!(verdicts.is_empty());
    assert_eq!(sweep.counters().forged, 20_000);
}

/// MAPPED-ADDRESS alone (RFC 3489), which a gateway that rewrites addresses in payloads rewrites too.
fn unprotected(id: &TransactionId, seen: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(seen) = seen else { return Vec::new() };
    let mut bytes = stun::binding_request(id).to_vec();
    bytes[..4].copy_from_slice(&[1, 1, 0, 12]);
    bytes.extend([0, 1, 0, 8, 0, 1]);
    bytes.extend(seen.port().to_be_bytes());
    bytes.extend(seen.ip().octets());
    bytes
}

#[test]
fn an_address_that_is_not_protected_proves_nothing() {
    // One server alone, and two of which the second protects its replies.
    for (settings, status, reason) in
        [(settings(), Status::Unknown, Reason::UnprotectedReply), (two_servers(), Status::Ok, Reason::None)]
    {
        let mut sweep = sweep("10.0.0.0/28", settings);
        let (mut verdicts, mut probes) = (Vec::new(), Vec::new());
        let mut now = Duration::ZERO;
        let mut end = None;
        while end.is_none() {
            match sweep.step(0, now, 10_000, &mut probes, &mut verdicts) {
                Next::Send => {
                    for probe in std::mem::take(&mut probes) {
                        let from = sweep.server(probe.server);
                        let port = PORT + probe.flow as u16;
                        let seen = SocketAddr::new(probe.source, port);
                        let mut out = [0; MAX_RESPONSE_LEN];
                        let bytes = if probe.server == 0 {
                            unprotected(&probe.id, seen)
                        } else {
                            let request = stun::binding_request(&probe.id);
                            let len = stun::respond(&request, seen, &mut out).expect("a request");
                            out[..len].to_vec()
                        };
                        let (to, flow) = (probe.source, probe.flow);
                        let datagram = Datagram { from, to, port, flow, worker: 0, bytes: &bytes };
                        sweep.on_datagram(now, &datagram, &mut verdicts);
                    }
                }
                Next::Wait(until) => now = until,
                Next::Full => now += MS,
                Next::Done(reason) => end = Some(reason),
            }
            sweep.on_drained(now);
        }
        assert_eq!((end, verdicts.len()), (Some(EndReason::Complete), 16));
        assert!(verdicts.iter().all(|v| (v.status, v.reason) == (status, reason)), "{verdicts:?}");
        assert!(verdicts.iter().all(|v| v.external.map(|e| e.ip()) == Some(v.source)));
    }
}
