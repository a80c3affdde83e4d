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
    sweep.step(Duration::ZERO, 1_000, &mut probes, &mut verdicts);
    let server = sweep.server(0);
    let mut dice = StdRng::seed_from_u64(9);
    for round in 0..20_000_u32 {
        // Right positions, right sources, right server; only the proof is guessed.
        let probe = &probes[round as usize % probes.len()];
        let mut id = probe.id;
        dice.fill(&mut id[5..]);
        let mut out = [0; MAX_RESPONSE_LEN];
        let seen = SocketAddr::new(probe.source, PORT);
        let len = stun::respond(&stun::binding_request(&id), seen, &mut out).expect("a request");
        sweep.on_datagram(
            MS,
            &Datagram { from: server, to: probe.source, port: PORT, flow: 0, bytes: &out[..len] },
            &mut verdicts,
        );
    }
    assert!(verdicts.is_empty());
    assert_eq!(sweep.counters().forged, 20_000);
}
