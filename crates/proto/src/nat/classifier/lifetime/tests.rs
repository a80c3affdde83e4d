//! What follows from the ages, without a network. Whole measurements are in `tests/nat_matrix.rs`.

use super::*;
use crate::nat::classifier::Answer;
use crate::nat::classifier::tests::begun;
use crate::stun::behavior::Addresses;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

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

/// Sends, which of them were answered, when an answer arrived last; then between when and when the mapping was used last.
#[test]
fn a_send_that_was_not_answered_may_have_passed_as_late_as_an_answer_could_come() {
    let ms = Duration::from_millis;
    for (sends, answered, heard, want) in [
        (&[10][..], 0, 30, [10, 30]),
        (&[10, 90], 1, 100, [90, 100]),
        (&[10, 90], 0, 95, [10, 170]),
        (&[10, 90], 0, 200, [10, 200]),
    ] {
        let (mut classifier, _) = begun();
        let opens = &mut classifier.probes[0];
        opens.sends = sends.iter().copied().map(ms).collect();
        let (from, addresses) = (opens.to, Addresses::default());
        assert!(opens.answer(answered, Answer { at: ms(heard), from, mapped: from, addresses }));
        let found = classifier.last_used(&classifier.probes[0]);
        assert_eq!(found, want.map(ms), "{sends:?}, {answered} answered");
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
        age(5, Some(1), None, Shown::GaveUp),
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
