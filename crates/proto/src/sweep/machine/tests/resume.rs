//! Going on from a saved state.

use super::*;
use crate::sweep::saved::sealed;

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
        let (reason, verdicts) = run(&mut second, &mut Net::new(mixed));
        assert_eq!((reason, verdicts.len()), (EndReason::Complete, 4_096), "stopped at {stop_at}");
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
    odd.states = States::new(255);
    assert!(!sweep("10.0.0.0/24", settings()).restore(odd));
    assert!(sweep("10.0.0.0/24", settings()).restore(saved));
}

/// Whatever a file says under a right checksum: it is refused, or the sweep goes on from it to its end. `ROUTEPOOL_FUZZ_ROUNDS` says
/// how often.
#[test]
fn a_saved_state_with_any_content_is_refused_or_gone_on_with() {
    let mut half = sweep("10.0.0.0/25", settings());
    run_until(&mut half, &mut Net::new(mixed), &mut Vec::new(), Duration::ZERO, |s| s.untested() < 60);
    let bytes = half.save().to_bytes();
    let content = &bytes[..bytes.len() - 8];
    let mut random = StdRng::seed_from_u64(77);
    let (mut refused, mut gone_on) = (0, 0);
    for round in 0..crate::fuzz::rounds() {
        let mut changed = content.to_vec();
        crate::fuzz::mutate(&mut changed, &mut random);
        let Ok(saved) = Saved::from_bytes(&sealed(changed)) else {
            refused += 1;
            continue;
        };
        assert_eq!(Saved::from_bytes(&saved.to_bytes()).as_ref(), Ok(&saved), "round {round}");
        let mut next = sweep("10.0.0.0/25", settings());
        if next.restore(saved) {
            gone_on += 1;
            let mut verdicts = Vec::new();
            run_until(&mut next, &mut Net::new(mixed), &mut verdicts, Duration::ZERO, |_| false);
            assert!(verdicts.len() <= 128, "round {round}");
        } else {
            refused += 1;
        }
    }
    assert!(refused > 0 && gone_on > 0, "{refused} {gone_on}");
}
