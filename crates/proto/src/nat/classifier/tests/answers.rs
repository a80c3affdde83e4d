//! What is believed of what arrives.

use super::*;

#[test]
fn an_answer_from_a_third_address_is_none() {
    let (mut classifier, sent) = begun();
    let other = Some("192.0.2.2:3479");
    classifier.on_receive(MS(1), 0, address(SERVER), &answer(&sent[0].1, MAPPED, other));
    for (from, misdirected) in [("192.0.2.2:3478", 1), ("192.0.2.9:3479", 2), ("192.0.2.2:3479", 2)] {
        classifier.on_receive(MS(1), 0, address(from), &answer(&sent[1].1, MAPPED, other));
        assert_eq!(classifier.ignored.misdirected, misdirected, "{from}");
    }
}

#[test]
fn a_server_that_answers_with_an_error_cannot_test() {
    for (code, want) in [(420, "error 420"), (500, "error 500")] {
        let (mut classifier, sent) = begun();
        let error = [0, 9, 0, 4, 0, 0, (code / 100) as u8, (code % 100) as u8];
        let bytes = [&[1, 0x11, 0, 8], &sent[0].1[4..20], &error].concat();
        classifier.on_receive(MS(1), 0, address(SERVER), &bytes);
        let report = classifier.finish(MS(2));
        assert_eq!(report.evidence[0].error_code, Some(code));
        assert!(report.servers[0].cannot_test.as_ref().is_some_and(|why| why.contains(want)), "{code}");
    }
}

/// Each row: what the answers name one after the other.
#[test]
fn the_other_address_must_differ_in_both_halves_and_be_reached_as_the_server_is() {
    use Incapable::{NoOther, OtherFamily, OtherHalfEqual, OtherNotGlobal, OtherVaries};
    let good = Some("192.0.2.2:3479");
    for (named, want) in [
        (&[good, good][..], None),
        (&[Some("8.8.8.8:3479")], None),
        (&[None], Some(NoOther)),
        (&[Some("192.0.2.1:3479")], Some(OtherHalfEqual)),
        (&[Some("192.0.2.2:3478")], Some(OtherHalfEqual)),
        (&[Some("[2001:db8::2]:3479")], Some(OtherFamily)),
        (&[Some("10.0.0.2:3479")], Some(OtherNotGlobal)),
        (&[good, None], Some(OtherVaries)),
        (&[good, Some("192.0.2.3:3479")], Some(OtherVaries)),
        // What was wrong once stays wrong.
        (&[None, good], Some(NoOther)),
    ] {
        let (mut classifier, _) = begun();
        for other in named {
            classifier.on_other(0, other.map(address));
        }
        assert_eq!(classifier.targets[0].cannot, want, "{named:?}");
    }
}
