//! Going on from a saved state.

use super::*;

#[test]
fn going_on_from_any_moment_gives_the_same_table() {
    let keep = || Settings { keep_evidence: true, ..settings() };
    let table = |verdicts: &BTreeMap<IpAddr, Verdict>| {
        verdicts
            .iter()
            .map(|(ip, v)| (*ip, v.status, v.reason, v.external, v.code))
            .filter(|t| t.1 != Status::Ok)
            .collect::<Vec<_>>()
    };
    let (_, whole) = run(&mut sweep("10.0.0.0/20", keep()), &mut Net::new(mixed));
    for stop_at in [0, 1, 100, 1_000, 3_000, 3_700, 4_095] {
        let mut first = sweep("10.0.0.0/20", keep());
        let mut seen = Vec::new();
        let mut net = Net::new(mixed);
        run_until(&mut first, &mut net, &mut seen, Duration::ZERO, |s| 4_096 - s.untested() >= stop_at);
        let bytes = first.save().to_bytes();
        let mut second = sweep("10.0.0.0/20", keep());
        assert!(second.restore(Saved::from_bytes(&bytes).expect("whole")));
        let (why, verdicts) = run(&mut second, &mut Net::new(mixed));
        assert_eq!((why, verdicts.len()), (Why::Complete, 4_096), "stopped at {stop_at}");
        assert_eq!(table(&verdicts), table(&whole), "stopped at {stop_at}");
        check_mixed(&verdicts);
        let kept = verdicts.values().filter(|v| v.resumed).count();
        assert!(
            kept >= seen.iter().filter(|v| v.status == Status::Ok).count(),
            "nothing that was proven is asked again"
        );
    }
}

#[test]
fn a_saved_state_of_something_else_is_refused() {
    let saved = sweep("10.0.0.0/24", settings()).save();
    assert!(!sweep("10.0.1.0/24", settings()).restore(saved.clone()), "another block");
    let mut odd = saved.clone();
    odd.pass = 0;
    assert!(!sweep("10.0.0.0/24", settings()).restore(odd));
    assert!(sweep("10.0.0.0/24", settings()).restore(saved));
}
