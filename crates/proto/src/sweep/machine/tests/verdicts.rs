//! What is found out of each source, and with how many probes.

use super::*;

#[test]
fn every_verdict_is_the_truth() {
    for (name, change) in [
        ("a clean network", (|_| ()) as fn(&mut Net)),
        ("1 in 5 lost each way", |net| net.loss = 0.2),
        ("every reply twice", |net| net.duplicate = true),
        ("a slow path", |net| net.latency = 150 * MS),
        ("both", |net| (net.loss, net.latency) = (0.1, 40 * MS)),
    ] {
        let mut net = Net::new(mixed);
        change(&mut net);
        let mut sweep = sweep("10.0.0.0/20", settings());
        let (reason, verdicts) = run(&mut sweep, &mut net);
        assert_eq!((reason, verdicts.len()), (EndReason::Complete, 4_096), "{name}");
        check_mixed(&verdicts);
        assert_eq!(sweep.untested(), 0);
        assert_eq!(sweep.states().ok(), 4_096 / 16 * 13, "{name}");
    }
}

#[test]
fn a_working_block_takes_one_probe_each() {
    let mut net = Net::new(|_| Path::Works);
    let mut sweep = sweep("10.0.0.0/16", settings());
    let (_, verdicts) = run(&mut sweep, &mut net);
    assert!(verdicts.values().all(|v| v.status == Status::Ok && v.asked == 1 && v.rtt_us > 0));
    assert_eq!((sweep.counters().probes, sweep.pass()), (65_536, 1));
}

#[test]
fn the_rate_is_kept() {
    for rate in [50.0, 2_000.0] {
        let mut net = Net::new(mixed);
        let mut sweep = sweep("10.0.0.0/25", Settings { rate: Some(rate), ..settings() });
        let mut verdicts = Vec::new();
        let (reason, took) = run_until(&mut sweep, &mut net, &mut verdicts, Duration::ZERO, |_| false);
        assert_eq!(reason, Some(EndReason::Complete));
        check_mixed(&by_source(verdicts));
        let most = took.as_secs_f64() * rate + 16.0;
        assert!((sweep.counters().probes as f64) < most, "{} probes in {took:?}", sweep.counters().probes);
    }
}

#[test]
fn too_few_passes_for_the_loss_give_unknown() {
    let mut net = Net::new(|_| Path::Works);
    net.loss = 0.3;
    let mut sweep = sweep("10.0.0.0/20", Settings { passes: Some(2), ..settings() });
    let (_, verdicts) = run(&mut sweep, &mut net);
    let count =
        |wanted: (Status, Reason)| verdicts.values().filter(|v| (v.status, v.reason) == wanted).count();
    assert_eq!(count((Status::NoReply, Reason::None)), 0);
    assert!(count((Status::Unknown, Reason::Loss)) > 500);
    assert!((0.4..0.65).contains(&sweep.loss()), "51 % of the round trips are lost: {}", sweep.loss());
}

#[test]
fn few_passes_are_enough_where_nothing_is_lost() {
    for (passes, status) in [(1, Status::Unknown), (2, Status::NoReply), (3, Status::NoReply)] {
        let mut net = Net::new(|s| if last_octet(s) == 2 { Path::Dead } else { Path::Works });
        let mut sweep = sweep("10.0.0.0/30", Settings { passes: Some(passes), ..settings() });
        let (_, verdicts) = run(&mut sweep, &mut net);
        assert_eq!(verdicts[&ip("10.0.0.2")].status, status, "{passes} passes");
        assert_eq!(verdicts[&ip("10.0.0.2")].asked, passes);
    }
}

#[test]
fn a_nat_without_ports_leaves_unknown() {
    let mut net = Net::new(|_| Path::Mapped("198.51.100.1"));
    net.nat_ports = 2_000;
    let mut sweep = sweep("10.0.0.0/20", settings());
    let (_, verdicts) = run(&mut sweep, &mut net);
    let count = |wanted: Status| verdicts.values().filter(|v| v.status == wanted).count();
    assert_eq!((count(Status::Mapped), count(Status::NoReply)), (2_000, 0));
    assert!(verdicts.values().all(|v| v.status == Status::Mapped || v.reason == Reason::NatPorts));
    assert_eq!(sweep.externals(9), [(ip("198.51.100.1"), 2_000)]);
}

#[test]
fn a_mapped_address_needs_a_second_witness() {
    let mut net = Net::new(|s| match last_octet(s) % 4 {
        0 => Path::Mapped("198.51.100.1"),
        1 => Path::ProxyAtSecond,
        _ => Path::Works,
    });
    let mut sweep = sweep("10.0.0.0/24", two_servers());
    let (_, verdicts) = run(&mut sweep, &mut net);
    let mut doubted = 0;
    for (source, v) in &verdicts {
        assert!(!v.single_server, "{v:?}");
        match last_octet(*source) % 4 {
            0 => {
                assert_eq!(
                    (v.status, v.external.map(|e| e.ip())),
                    (Status::Mapped, Some(ip("198.51.100.1")))
                );
            }
            // Asked at the honest server first, it is proven; at the other first, the two disagree.
            1 => {
                assert!(
                    matches!(
                        (v.status, v.reason),
                        (Status::Ok, _) | (Status::Unknown, Reason::ServersDisagree)
                    ),
                    "{v:?}"
                );
                doubted += usize::from(v.status == Status::Unknown);
            }
            _ => assert_eq!(v.status, Status::Ok),
        }
    }
    assert!(doubted > 10, "{doubted}");
}

#[test]
fn a_slow_receiver_holds_the_sweep_back() {
    let mut net = Net::new(|_| Path::Works);
    let mut sweep = sweep("10.0.0.0/20", settings());
    let (mut verdicts, mut probes) = (Vec::new(), Vec::new());
    for n in 0..10_000 {
        let now = MS * n;
        while let Some(entry) = net.queue.first_entry() {
            let (from, to, (flow, _), bytes) = entry.remove();
            let datagram = Datagram { from, to, port: PORT, flow, worker: 0, bytes: &bytes };
            sweep.on_datagram(now, &datagram, &mut verdicts);
        }
        sweep.on_drained(now);
        let room = 100_usize.saturating_sub(verdicts.len());
        if sweep.step(0, now, room, &mut probes, &mut verdicts) == Next::Send {
            for probe in probes.drain(..) {
                let server = sweep.server(probe.server);
                net.send(now, &probe, server).expect("sent");
            }
        }
    }
    assert!(verdicts.len() <= 100 && verdicts.len() > 30, "{} verdicts for room of 100", verdicts.len());
}

#[test]
fn who_is_silent_since_it_was_probed_late_is_not_dead() {
    for (what, is_silent, status, reason) in [
        (
            "a table that 700 found room in",
            (|at, _| at >= 700) as fn(u32, u32) -> bool,
            Status::Unknown,
            Reason::FlowTable,
        ),
        ("as many anywhere", |_, index| index % 3 == 0, Status::NoReply, Reason::None),
    ] {
        let mut sweep = sweep("10.0.0.0/22", settings());
        let silent: std::collections::HashSet<IpAddr> = (0..1_024)
            .filter(|index| is_silent(sweep.order.position(*index), *index))
            .filter_map(|index| sweep.targets.source(index))
            .collect();
        let (count, known) = (silent.len(), silent.clone());
        let mut net = Net::new(move |source| if silent.contains(&source) { Path::Dead } else { Path::Works });
        let (_, verdicts) = run(&mut sweep, &mut net);
        let same = known.iter().filter(|ip| (verdicts[*ip].status, verdicts[*ip].reason) == (status, reason));
        assert_eq!(same.count(), count, "{what}");
        assert_eq!(sweep.states().ok(), 1_024 - count as u32, "{what}");
    }
}

#[test]
fn who_answers_the_second_packet_of_a_flow_only_is_found() {
    let path = |source| match last_octet(source) % 16 {
        5 => Path::DropsFirst,
        9 => Path::Dead,
        _ => Path::Works,
    };
    let mut net = Net::new(path);
    let mut sweep = sweep("10.0.0.0/23", settings());
    let (_, verdicts) = run(&mut sweep, &mut net);
    for (source, verdict) in &verdicts {
        match path(*source) {
            Path::Dead => assert_ne!(verdict.status, Status::Ok),
            _ => assert_eq!(verdict.status, Status::Ok, "{source}"),
        }
    }
}
