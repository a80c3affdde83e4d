//! Networks that go away and servers that are silent: no source is called dead for them.

use super::*;

#[test]
fn an_outage_kills_no_source() {
    // The network is gone from 20 % on, for 3 seconds.
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((30 * MS, 3_030 * MS));
    let mut sweep = sweep("10.0.0.0/18", settings());
    let (reason, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((reason, sweep.counters().outages), (EndReason::Complete, 1));
    assert!(verdicts.values().all(|v| v.status == Status::Ok));
    assert!(sweep.counters().probes < 16_384 * 2, "it waited instead of sending into nothing");
}

#[test]
fn a_network_that_does_not_come_back_leaves_unknown_and_no_dead() {
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((30 * MS, Duration::MAX));
    let mut sweep = sweep("10.0.0.0/18", settings());
    let (reason, verdicts) = run(&mut sweep, &mut net);
    assert_eq!(reason, EndReason::Complete);
    assert!(verdicts.values().all(|v| v.status == Status::Ok || (v.status, v.reason) == (Status::Unknown, Reason::NetworkLost)));
    assert!(verdicts.values().any(|v| v.status == Status::Unknown));
}

#[test]
fn a_dead_block_is_no_outage() {
    for source_works in [false, true] {
        // A lone living source, or the canary alone.
        let mut net =
            Net::new(move |s| if source_works && s == ip("10.0.3.3") { Path::Works } else { Path::Dead });
        let mut sweep = sweep("10.0.0.0/22", settings());
        let (reason, verdicts) = run(&mut sweep, &mut net);
        assert_eq!((reason, sweep.counters().outages), (EndReason::Complete, 0));
        let dead = verdicts.values().filter(|v| v.status == Status::NoReply).count();
        assert_eq!(dead, 1_024 - usize::from(source_works));
        assert!(verdicts.values().all(|v| v.status == Status::Ok || v.asked >= 3));
    }
}

#[test]
fn a_silent_server_is_told_from_dead_sources() {
    let mut net = Net::new(|_| Path::Dead);
    net.canary_works = false;
    let mut sweep = sweep("10.0.0.0/16", Settings { canary: None, ..settings() });
    let (reason, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((reason, verdicts.len()), (EndReason::Silent, 0));
    assert!(sweep.counters().probes <= 3 * 256, "a few are enough to see it: {}", sweep.counters().probes);
}

#[test]
fn without_a_canary_a_late_first_answer_opens_the_block() {
    let mut net = Net::new(|_| Path::Works);
    net.outage = Some((Duration::ZERO, 900 * MS));
    let mut sweep = sweep("10.0.0.0/20", Settings { canary: None, ..settings() });
    let (reason, verdicts) = run(&mut sweep, &mut net);
    assert_eq!((reason, verdicts.len()), (EndReason::Complete, 4_096));
    assert!(verdicts.values().all(|v| v.status == Status::Ok));
}
