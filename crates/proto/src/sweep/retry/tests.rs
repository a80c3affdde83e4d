//! Rules that no simulated network shows by itself. What they are for is judged by the networks.

use std::time::Duration;

use super::super::settings::Settings;
use super::super::states::{State, States};
use super::Retry;

/// Four neighbours that have answered at each end of eight that are silent, whose silence is as good as proven.
fn almost_proven() -> (Retry, States) {
    let mut states = States::new(16);
    for index in (0..4).chain(12..16) {
        states.set(index, State::Ok);
    }
    let settings = Settings {
        servers: vec!["203.0.113.1:3478".parse().expect("an address")],
        canary: None,
        passes: None,
        timeout: Duration::from_secs(1),
        rate: None,
        window: 64,
        workers: 1,
        server_per_worker: false,
        batch: 64,
        keep_evidence: false,
        mutant: None,
    };
    let mut retry = Retry::new(&states, 0, 0, 1_000.0, &settings, Duration::ZERO, 7);
    for case in &mut retry.cases {
        (case.probes, case.counted, case.evidence, case.sides) = (20, 20, 200.0, [100.0; 2]);
    }
    assert!(retry.cases.iter().all(|case| retry.is_settled(case, 0)));
    (retry, states)
}

#[test]
fn who_answers_after_all_makes_the_silence_of_its_run_begin_anew() {
    let (mut retry, mut states) = almost_proven();
    // Another silent source has a neighbour that answered between: it is of another run.
    states.set(6, State::Ok);
    retry.cases.retain(|case| case.index != 6);
    states.set(9, State::Ok);
    retry.on_case(9, 3, false, &states, Duration::from_secs(2));
    for case in &retry.cases {
        let silent = 7..12;
        let want = if silent.contains(&case.index) { 0 } else { 20 };
        assert_eq!(case.counted, want, "{}", case.index);
    }
}

#[test]
fn who_answers_before_anything_is_proven_says_nothing_of_others() {
    let (mut retry, mut states) = almost_proven();
    let at = retry.case(9).expect("a case");
    (retry.cases[at].counted, retry.cases[at].evidence) = (1, 0.5);
    states.set(9, State::Ok);
    retry.on_case(9, 3, false, &states, Duration::from_secs(2));
    assert!(retry.cases.iter().filter(|case| case.index != 9).all(|case| case.counted == 20));
}
