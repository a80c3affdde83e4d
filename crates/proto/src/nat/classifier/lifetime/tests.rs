//! What follows from the ages, without a network. Whole measurements are in `tests/nat_matrix.rs`.

use super::*;
use crate::nat::classifier::Answer;
use crate::nat::classifier::tests::begun;
use crate::stun::behavior::Addresses;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const MS: fn(u64) -> Duration = Duration::from_millis;

/// How an age came out: still asked for, given up, or alive or gone with so many seconds.
#[derive(Clone, Copy, Debug)]
enum Came {
    Open,
    GaveUp,
    Alive(u64),
    Gone(u64),
}

/// Judges a round of a measurement up to 130 s: ages in seconds, each with what came of it.
fn judged(round: u8, known: (u64, Option<u64>), came: &[(u64, Came)]) -> Ages {
    let (mut classifier, _) = begun();
    let age = |(age, came): &(u64, Came)| Age {
        age: SECONDS(*age),
        opens: 0,
        used: None,
        pair: Some(Pair { plain: 0, change: 1, standing: Standing::Open }),
        shown: match came {
            Came::Open => Shown::Open,
            Came::GaveUp => Shown::GaveUp,
            Came::Alive(least) => Shown::Alive(SECONDS(*least)),
            Came::Gone(most) => Shown::Gone(SECONDS(*most)),
        },
    };
    let known = (SECONDS(known.0), known.1.map(SECONDS));
    let most = SECONDS(130);
    classifier.extras.ages =
        Ages { round, known, ages: came.iter().map(age).collect(), ..Ages::new(Some(most)) };
    classifier.judge_round(0, most, SECONDS(200));
    classifier.extras.ages
}

#[test]
#[rustfmt::skip]
fn what_a_round_says() {
    use Came::{Alive, GaveUp, Gone, Open};
    let measured = |alive, gone| Some(Lifetime::Measured { alive: SECONDS(alive), gone: SECONDS(gone) });
    let unknown = |why| Some(Lifetime::Unknown(why));
    for (name, round, known, came, want) in [
        ("the control is gone", 1, (0, None), &[(0, Gone(0)), (5, Gone(5))][..], unknown(Reason::NoResponsePort)),
        ("the control gave up", 1, (0, None), &[(0, GaveUp), (5, Alive(5))], unknown(Reason::NoResponsePort)),
        ("the control is open", 1, (0, None), &[(0, Open), (5, Gone(5))], None),
        ("a younger one is open", 1, (0, None), &[(0, Alive(0)), (5, Open), (10, Gone(10))], None),
        ("all gave up", 1, (0, None), &[(0, Alive(0)), (5, GaveUp)], unknown(Reason::TooMuchLoss)),
        ("none is gone", 1, (0, None), &[(0, Alive(0)), (9, Alive(9)), (5, Alive(5))], Some(Lifetime::AtLeast(SECONDS(9)))),
        ("little is left open", 1, (0, None), &[(0, Alive(0)), (28, Alive(28)), (29, Gone(29))], measured(28, 29)),
        ("5 % are little", 1, (0, None), &[(0, Alive(0)), (95, Alive(95)), (100, Gone(100)), (120, Open)], measured(95, 100)),
        ("gone before another was alive", 1, (0, None), &[(0, Alive(0)), (5, Alive(7)), (6, Gone(6))], measured(6, 7)),
        ("alive, though older ones are gone", 2, (20, Some(60)), &[(30, Alive(30)), (40, Gone(40)), (50, Alive(50))], measured(30, 40)),
        ("nothing new in the second round", 2, (20, Some(60)), &[(30, GaveUp)], measured(20, 60)),
        ("none is gone in the second round", 2, (20, Some(60)), &[(30, Alive(30)), (40, Alive(40))], measured(40, 60)),
        ("all are gone in the second round", 2, (20, Some(60)), &[(30, Gone(31))], measured(20, 31)),
        ("a second round is the last", 2, (10, Some(60)), &[(20, Alive(20)), (30, Gone(30))], measured(20, 30)),
    ] {
        assert_eq!(judged(round, known, came).result, want, "{name}");
    }
}

/// A classifier that begins to measure up to so many seconds, 10 ms after its start.
fn begins(most: u64) -> Classifier {
    let (mut classifier, _) = begun();
    classifier.lead = Some(0);
    classifier.extras.ages = Ages::new(Some(SECONDS(most)));
    classifier.lifetime_tests(MS(10));
    classifier
}

/// Its plain requests: that of the socket that asks, then those that open mappings.
fn plain(classifier: &Classifier) -> Vec<usize> {
    let is_plain = |at: &usize| classifier.probes[*at].test == Test::LifetimePlain;
    (0..classifier.probes.len()).filter(is_plain).collect()
}

/// It was sent after 10 ms and answered after 11.
fn answered(classifier: &mut Classifier, at: usize, external: [u8; 4]) {
    let probe = &mut classifier.probes[at];
    probe.sends = vec![MS(10)];
    let (mapped, addresses) = ((external, 40_000).into(), Addresses::default());
    assert!(probe.answer(0, Answer { at: MS(11), from: probe.to, mapped, addresses }));
    probe.closed = true;
}

#[test]
fn all_ages_below_the_greatest_are_tested_at_once() {
    for (most, want) in [(3, &[0, 3][..]), (20, &[0, 5, 10, 15, 20]), (21, &[0, 5, 10, 15, 20, 21])] {
        let mut classifier = begins(most);
        for again in 0..2 {
            let ages: Vec<_> = classifier.extras.ages.ages.iter().map(|age| age.age.as_secs()).collect();
            assert_eq!((&ages[..], classifier.extras.ages.round), (want, 1), "{most} s, {again}");
            classifier.lifetime_tests(MS(11));
        }
    }
}

#[test]
fn a_mapping_is_asked_for_when_it_has_its_age_and_given_up_if_it_was_never_seen() {
    let mut classifier = begins(20);
    let plain = plain(&classifier);
    assert_eq!(plain.len(), 1 + 5, "the socket that asks, and one for each age");
    for at in &plain[..5] {
        answered(&mut classifier, *at, [203, 0, 113, 7]);
    }
    for (now, asked, given_up) in [
        (11, [true, false, false, false, false], false),
        (1_009, [true, false, false, false, false], false),
        (1_010, [true, false, false, false, false], true),
        (5_010, [true, false, false, false, false], true),
        (5_011, [true, true, false, false, false], true),
        (10_010, [true, true, false, false, false], true),
        (10_011, [true, true, true, false, false], true),
    ] {
        // What became of the younger ones does not matter here.
        classifier.extras.ages.result = None;
        classifier.lifetime_tests(MS(now));
        let ages = &classifier.extras.ages.ages;
        let found: Vec<_> = ages.iter().map(|age| age.pair.is_some()).collect();
        assert_eq!((&found[..], ages[4].shown == Shown::GaveUp), (&asked[..], given_up), "after {now} ms");
    }
}

/// RESPONSE-PORT names a port of the address that asks: of a pool it may be another one than that of the mapping.
#[test]
fn only_a_socket_with_the_same_external_address_can_ask() {
    let own = [203, 0, 113, 7];
    for (name, asks, closed, from, asked, given_up) in [
        ("the same", Some(own), false, 11, true, false),
        ("another", Some([203, 0, 113, 8]), false, 11, false, true),
        ("not known yet", None, false, 1_010, false, false),
        ("never known", None, false, 1_011, false, true),
        ("its socket was refused", None, true, 11, false, true),
    ] {
        let mut classifier = begins(3);
        let plain = plain(&classifier);
        for at in &plain[1..] {
            answered(&mut classifier, *at, own);
        }
        if let Some(asks) = asks {
            answered(&mut classifier, plain[0], asks);
        }
        classifier.probes[plain[0]].closed |= closed;
        let mut control = classifier.extras.ages.ages[0];
        control.used = Some([MS(10), MS(11)]);
        classifier.test_age(0, &mut control, MS(from));
        assert_eq!((control.pair.is_some(), control.shown == Shown::GaveUp), (asked, given_up), "{name}");
    }
}

#[test]
fn what_becomes_of_a_request_to_answer_to_a_mapping() {
    type Row<'a> = (&'a str, &'a dyn Fn(&mut Probe, &mut Probe), u64, Shown);
    let own = [203, 0, 113, 7];
    let answer = |probe: &mut Probe, external: [u8; 4]| {
        let (mapped, addresses) = ((external, 50_000).into(), Addresses::default());
        assert!(probe.answer(0, Answer { at: MS(31), from: probe.to, mapped, addresses }));
    };
    let rows: [Row; 7] = [
        ("nothing yet", &|_, _| (), 1_010, Shown::Open),
        ("nothing at all", &|_, _| (), 1_011, Shown::GaveUp),
        ("the server answers", &|plain, _| answer(plain, own), 31, Shown::Open),
        ("another address asks", &|plain, _| answer(plain, [203, 0, 113, 8]), 31, Shown::GaveUp),
        ("an error", &|_, change| change.error = Some(420), 31, Shown::GaveUp),
        ("an answer", &|_, change| answer(change, own), 31, Shown::Alive(MS(0))),
        (
            "an answer to a later one",
            &|_, change| {
                change.sends[0] = MS(25);
                answer(change, own);
            },
            31,
            Shown::Alive(MS(14)),
        ),
    ];
    for (name, happens, now, want) in rows {
        let mut classifier = begins(3);
        for at in plain(&classifier) {
            answered(&mut classifier, at, own);
        }
        let mut control = classifier.extras.ages.ages[0];
        classifier.test_age(0, &mut control, MS(11));
        let pair = control.pair.expect("it is asked for");
        let opens = classifier.probes[usize::from(control.opens)].socket;
        let [mut plain, mut change] =
            [pair.plain, pair.change].map(|p| classifier.probes[usize::from(p)].clone());
        assert_eq!((change.answers_at, change.change_request.response_port), (opens, Some(40_000)));
        assert!(!plain.by_itself && !change.by_itself);
        happens(&mut plain, &mut change);
        classifier.probes[usize::from(pair.plain)] = plain;
        classifier.probes[usize::from(pair.change)] = change;
        classifier.test_age(0, &mut control, MS(now));
        assert_eq!(control.shown, want, "{name}");
    }
}

/// Sends, which of them were answered, when an answer arrived last; then between when and when the mapping was used last.
#[test]
fn a_send_that_was_not_answered_may_have_passed_as_late_as_an_answer_could_come() {
    for (sends, answered, heard, want) in [
        (&[10][..], 0, 30, [10, 30]),
        (&[10, 90], 1, 100, [90, 100]),
        (&[10, 90], 0, 95, [10, 170]),
        (&[10, 90], 0, 200, [10, 200]),
    ] {
        let (mut classifier, _) = begun();
        let opens = &mut classifier.probes[0];
        opens.sends = sends.iter().copied().map(MS).collect();
        let (from, addresses) = (opens.to, Addresses::default());
        assert!(opens.answer(answered, Answer { at: MS(heard), from, mapped: from, addresses }));
        let found = classifier.last_used(&classifier.probes[0]);
        assert_eq!(found, want.map(MS), "{sends:?}, {answered} answered");
    }
}

#[test]
fn the_next_age_is_that_of_a_mapping_whose_time_has_not_come() {
    let pair = Pair { plain: 0, change: 1, standing: Standing::Open };
    let age = |age, latest: Option<u64>, pair, shown| {
        let used = latest.map(|at| [SECONDS(0), SECONDS(at)]);
        Age { age: SECONDS(age), opens: 0, used, pair, shown }
    };
    let list = vec![
        age(1, None, None, Shown::Open),
        age(5, Some(1), Some(pair), Shown::GaveUp),
        age(10, Some(1), Some(pair), Shown::Open),
        age(12, Some(1), Some(pair), Shown::Alive(SECONDS(12))),
        age(20, Some(5), None, Shown::Open),
        age(30, Some(2), None, Shown::Open),
    ];
    let mut ages = Ages { ages: list, ..Ages::new(Some(SECONDS(130))) };
    assert_eq!((ages.next(), ages.pairs().len()), (Some(SECONDS(25)), 1));
    ages.result = Some(Lifetime::AtLeast(SECONDS(12)));
    assert_eq!(ages.next(), None, "it is over");
}

#[test]
fn a_control_that_was_never_asked_for_says_nothing_about_the_server() {
    let (mut classifier, _) = begun();
    let control = Age { age: SECONDS(0), opens: 0, used: None, pair: None, shown: Shown::GaveUp };
    classifier.extras.ages = Ages { round: 1, ages: vec![control], ..Ages::new(Some(SECONDS(130))) };
    classifier.judge_round(0, SECONDS(130), SECONDS(5));
    assert_eq!(classifier.extras.ages.result, Some(Lifetime::Unknown(Reason::Inconsistent)));
}

#[test]
fn a_second_round_divides_what_is_left_open() {
    use Came::{Alive, Gone, Open};
    let ages = judged(1, (0, None), &[(0, Alive(0)), (60, Alive(60)), (90, Gone(87)), (120, Open)]);
    assert_eq!((ages.round, ages.known, ages.result), (2, (SECONDS(60), Some(SECONDS(87))), None));
    let between: Vec<_> = ages.ages.iter().map(|age| age.age.as_secs()).collect();
    assert_eq!(between, [63, 66, 69, 72, 75, 78, 81, 84]);
    // None is older than what was asked for, though the last answer came late.
    let ages = judged(1, (0, None), &[(0, Alive(0)), (120, Alive(120)), (130, Gone(138))]);
    let between: Vec<_> = ages.ages.iter().map(|age| age.age.as_secs()).collect();
    assert_eq!(between, [122, 124, 126, 128]);
}

#[test]
fn what_is_known_when_it_is_stopped() {
    let seconds = Duration::from_secs;
    for (known, want, why) in [
        ((0, None), Lifetime::Unknown(Reason::Stopped), "at least no time says nothing"),
        ((0, Some(30)), Lifetime::Measured { alive: seconds(0), gone: seconds(30) }, "gone at the first age"),
        ((30, None), Lifetime::AtLeast(seconds(30)), "gone at none"),
        ((30, Some(60)), Lifetime::Measured { alive: seconds(30), gone: seconds(60) }, "between two ages"),
        ((60, Some(60)), Lifetime::Unknown(Reason::Stopped), "there and gone"),
        ((90, Some(60)), Lifetime::Unknown(Reason::Stopped), "gone before it was there"),
    ] {
        let (alive, gone) = known;
        let ages = Ages { known: (seconds(alive), gone.map(seconds)), ..Ages::new(Some(seconds(150))) };
        assert_eq!(ages.so_far(), want, "{why}");
    }
}
