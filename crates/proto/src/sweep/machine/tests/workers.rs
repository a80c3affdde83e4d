//! Several workers send the first pass of one sweep.

use super::*;

fn of_workers(workers: u16, settings: Settings) -> Settings {
    Settings { workers, ..settings }
}

#[test]
fn order_and_verdicts_are_those_of_one_worker() {
    let runs = [1, 3].map(|workers| {
        let mut net = Net::new(mixed);
        let mut sweep = sweep("10.0.0.0/20", of_workers(workers, two_servers()));
        let (reason, verdicts) = run(&mut sweep, &mut net);
        assert_eq!(reason, EndReason::Complete);
        check_mixed(&verdicts);
        (net.sent, verdicts.len(), sweep.port_rewritten())
    });
    let [one, three] = &runs;
    let first_pass = |sent: &[(IpAddr, u32, u16, u16)]| -> Vec<_> {
        sent.iter()
            .filter(|(_, flow, ..)| *flow == 0)
            .map(|(source, .., server)| (*source, *server))
            .take(4_096)
            .collect()
    };
    assert_eq!(first_pass(&one.0), first_pass(&three.0));
    assert_eq!((one.1, one.2), (three.1, three.2));
    for worker in 0..3 {
        let share = three.0.iter().filter(|(_, flow, by, _)| (*flow, *by) == (0, worker)).count();
        assert!(share > 800, "worker {worker} has sent {share} of 4,096");
    }
}

#[test]
fn each_worker_has_its_share_of_the_window() {
    let mut sweep = sweep("10.0.0.0/20", of_workers(4, settings()));
    let (mut probes, mut verdicts) = (Vec::new(), Vec::new());
    let mut by_worker = Vec::new();
    for worker in [0, 0, 0, 2, 1, 1, 3, 0] {
        let before = probes.len();
        let _ = sweep.step(worker, Duration::ZERO, 1_000, &mut probes, &mut verdicts);
        assert!(probes[before..].iter().all(|probe| probe.worker == worker));
        by_worker.push(probes.len() - before);
    }
    assert_eq!(by_worker, [64, 0, 0, 64, 64, 0, 64, 0], "a window of 256 among four");
}

#[test]
fn an_answer_makes_room_for_the_worker_that_sent_and_a_loss_does_too() {
    let mut sweep = sweep("10.0.0.0/20", of_workers(2, settings()));
    let (mut probes, mut verdicts) = (Vec::new(), Vec::new());
    let count = |sweep: &mut Sweep, worker, now| {
        let (mut count, mut probes) = (0, Vec::new());
        while sweep.step(worker, now, 1_000, &mut probes, &mut Vec::new()) == Next::Send {
            count += probes.drain(..).len();
        }
        count
    };
    let _ = sweep.step(0, Duration::ZERO, 1_000, &mut probes, &mut verdicts);
    assert_eq!((count(&mut sweep, 0, Duration::ZERO), count(&mut sweep, 1, Duration::ZERO)), (64, 128));
    for probe in &probes {
        let seen = SocketAddr::new(probe.source, PORT);
        let mut out = [0; MAX_RESPONSE_LEN];
        let len = stun::respond(&stun::binding_request(&probe.id), seen, &mut out).expect("a request");
        let (from, to) = (sweep.server(probe.server), probe.source);
        let datagram = Datagram { from, to, port: PORT, flow: 0, worker: 0, bytes: &out[..len] };
        sweep.on_datagram(MS, &datagram, &mut verdicts);
    }
    assert_eq!(verdicts.len(), 64);
    assert_eq!((count(&mut sweep, 1, MS), count(&mut sweep, 0, MS)), (0, 64));
    // Nothing was read meanwhile that could have been the answers.
    sweep.on_drained(100 * MS);
    assert_eq!((count(&mut sweep, 1, 100 * MS), count(&mut sweep, 0, 100 * MS)), (128, 128));
}

#[test]
fn each_worker_queries_its_own_server_where_there_is_one() {
    let servers = ["127.0.0.1:3478", "127.0.0.1:3479"].map(|s| s.parse().expect("an address")).to_vec();
    let settings = Settings { servers, server_per_worker: true, ..of_workers(2, settings()) };
    let mut net = Net::new(mixed);
    let mut sweep = sweep("10.0.0.0/20", settings);
    let (reason, verdicts) = run(&mut sweep, &mut net);
    assert_eq!(reason, EndReason::Complete);
    check_mixed(&verdicts);
    assert!(net.sent.iter().all(|(_, flow, worker, server)| *flow > 0 || worker == server));
    assert!(verdicts.values().all(|v| v.single_server), "both are one address");
}

#[test]
fn an_outage_and_a_full_table_are_told_also_with_workers() {
    // Heartbeats, and controls by the flow of the first pass: the network above checks whose port they leave from.
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((10 * MS, 1_010 * MS));
    let mut outage = sweep("10.0.0.0/18", of_workers(3, settings()));
    let (reason, verdicts) = run(&mut outage, &mut net);
    assert_eq!((reason, outage.counters().outages), (EndReason::Complete, 1));
    assert!(verdicts.values().all(|v| v.status == Status::Ok));

    let mut net = Net::new(|_| Path::Mapped("198.51.100.1"));
    net.nat_ports = 1_000;
    let mut full = sweep("10.0.0.0/21", of_workers(3, settings()));
    let (_, verdicts) = run(&mut full, &mut net);
    assert!(verdicts.values().all(|v| matches!(v.status, Status::Mapped | Status::Unknown)));
}

#[test]
fn a_saved_state_is_gone_on_with_by_any_number_of_workers() {
    let keep = |workers| of_workers(workers, Settings { keep_evidence: true, ..settings() });
    for (before, after) in [(3, 1), (1, 3), (3, 2)] {
        let mut net = Net::new(mixed);
        let mut verdicts = Vec::new();
        let mut stopped = sweep("10.0.0.0/20", keep(before));
        run_until(&mut stopped, &mut net, &mut verdicts, Duration::ZERO, |s| s.judged(Status::Ok) > 1_000);
        let mut resumed = sweep("10.0.0.0/20", keep(after));
        assert!(resumed.restore(stopped.save()));
        let (reason, verdicts) = run(&mut resumed, &mut Net::new(mixed));
        assert_eq!((reason, verdicts.len()), (EndReason::Complete, 4_096));
        check_mixed(&verdicts);
    }
}
