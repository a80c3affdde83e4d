//! Attempts in stepped time.

use proptest::prelude::*;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn addresses(text: &str) -> Vec<SocketAddr> {
    text.split_whitespace().map(|a| a.parse().expect("an address")).collect()
}

/// What an address does: it is connected or fails after so many milliseconds, or stays silent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Connects(u64),
    Fails(u64),
    Silent,
}

/// Runs to the end, or until a minute has passed. Gives when each attempt began, how it ended and when.
fn run(attempts: &mut Attempts, fates: &[Fate]) -> (Vec<u64>, Step, Duration) {
    let (mut now, mut begun) = (Duration::ZERO, Vec::new());
    let mut ends: Vec<(Duration, Attempt, bool)> = Vec::new();
    loop {
        match attempts.poll(now) {
            Step::Start(attempt, address) => {
                assert_eq!(address, attempts.destinations()[attempt]);
                assert_eq!(attempt, begun.len(), "in order, each once");
                begun.push(now.as_millis() as u64);
                match fates[attempt] {
                    Fate::Connects(after) => ends.push((now + MS(after), attempt, true)),
                    Fate::Fails(after) => ends.push((now + MS(after), attempt, false)),
                    Fate::Silent => {}
                }
            }
            Step::Wait(until) => {
                ends.sort_unstable();
                let end = ends.first().map(|e| e.0);
                let Some(next) = until.into_iter().chain(end).min() else {
                    return (begun, Step::Wait(None), now);
                };
                assert!(next > now || end == Some(now), "time goes on");
                now = next;
                if end.is_some_and(|end| end <= now) {
                    let (_, attempt, connected) = ends.remove(0);
                    if connected {
                        assert!(attempts.on_connected(attempt));
                    } else {
                        attempts.on_failed(attempt);
                    }
                }
            }
            step => return (begun, step, now),
        }
    }
}

#[test]
fn families_take_turns_and_the_resolver_chooses_the_first() {
    for (name, given, want) in [
        ("nothing", "", ""),
        ("one family keeps its order", "10.0.0.1:80 10.0.0.2:80", "10.0.0.1:80 10.0.0.2:80"),
        (
            "IPv6 first where the resolver says so",
            "[2001:db8::1]:80 [2001:db8::2]:80 [2001:db8::3]:80 10.0.0.1:80 10.0.0.2:80",
            "[2001:db8::1]:80 10.0.0.1:80 [2001:db8::2]:80 10.0.0.2:80 [2001:db8::3]:80",
        ),
        (
            "IPv4 first where the resolver says so",
            "10.0.0.1:80 [2001:db8::1]:80",
            "10.0.0.1:80 [2001:db8::1]:80",
        ),
        ("an address once", "10.0.0.1:80 10.0.0.1:80 [::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ("ports tell addresses apart", "10.0.0.1:80 10.0.0.1:81", "10.0.0.1:80 10.0.0.1:81"),
    ] {
        assert_eq!(Attempts::new(&addresses(given), ATTEMPT_DELAY).destinations(), addresses(want), "{name}");
    }
}

#[test]
fn attempts_begin_when_they_should() {
    use Fate::{Connects, Fails, Silent};
    let three = "[2001:db8::1]:80 10.0.0.1:80 [2001:db8::2]:80";
    for (name, fates, begun, end, at) in [
        (
            "a quick first one is the only one",
            vec![Connects(30), Silent, Silent],
            vec![0],
            Step::Connected(0),
            30,
        ),
        (
            "a slow first one meets a second, and wins",
            vec![Connects(260), Connects(900), Silent],
            vec![0, 250],
            Step::Connected(0),
            260,
        ),
        (
            "a silent first one costs 250 ms",
            vec![Silent, Connects(20), Silent],
            vec![0, 250],
            Step::Connected(1),
            270,
        ),
        (
            "a refusal is followed at once",
            vec![Fails(1), Connects(20), Silent],
            vec![0, 1],
            Step::Connected(1),
            21,
        ),
        (
            "the next after a refusal is 250 ms from that",
            vec![Fails(100), Silent, Connects(5)],
            vec![0, 100, 350],
            Step::Connected(2),
            355,
        ),
        ("all refused", vec![Fails(1), Fails(2), Fails(3)], vec![0, 1, 3], Step::Failed, 6),
        (
            "a refusal of an earlier one starts the next",
            vec![Fails(300), Silent, Connects(7)],
            vec![0, 250, 300],
            Step::Connected(2),
            307,
        ),
        (
            "all silent: nothing left to begin",
            vec![Silent, Silent, Silent],
            vec![0, 250, 500],
            Step::Wait(None),
            500,
        ),
    ] {
        let mut attempts = Attempts::new(&addresses(three), ATTEMPT_DELAY);
        assert_eq!(run(&mut attempts, &fates), (begun, end, MS(at)), "{name}");
    }
    assert_eq!(Attempts::new(&[], ATTEMPT_DELAY).poll(Duration::ZERO), Step::Failed);
}

#[test]
fn the_delay_stays_within_the_bounds_of_the_rfc() {
    for (asked, kept) in [(0, 100), (50, 100), (400, 400), (60_000, 2_000)] {
        let mut attempts = Attempts::new(&addresses("10.0.0.1:80 10.0.0.2:80"), MS(asked));
        attempts.poll(MS(7));
        assert_eq!(attempts.poll(MS(7)), Step::Wait(Some(MS(7 + kept))), "{asked}");
    }
}

#[test]
fn only_the_first_connection_is_kept_and_late_news_change_nothing() {
    let mut attempts = Attempts::new(&addresses("10.0.0.1:80 10.0.0.2:80"), ATTEMPT_DELAY);
    assert!(!attempts.on_connected(1), "it was never begun");
    attempts.on_failed(7);
    attempts.poll(MS(0));
    attempts.poll(MS(250));
    assert!(attempts.on_connected(1));
    assert!(!attempts.on_connected(0));
    attempts.on_failed(1);
    assert_eq!(attempts.poll(MS(300)), Step::Connected(1));
}

proptest! {
    /// Whatever the addresses do: each is tried at most once, in order, none before its time; the end is a connection if one
    /// that was begun connects, and a failure only if all have failed.
    #[test]
    fn any_network_ends_as_it_must(
        fates in proptest::collection::vec(
            prop_oneof![
                (0..2_000_u64).prop_map(Fate::Connects),
                (0..2_000_u64).prop_map(Fate::Fails),
                Just(Fate::Silent),
            ],
            1..12,
        ),
        ipv6 in proptest::collection::vec(any::<bool>(), 12),
    ) {
        let given: Vec<SocketAddr> = fates.iter().enumerate().map(|(k, _)| {
            let text = if ipv6[k] { format!("[2001:db8::{k:x}]:80") } else { format!("10.0.0.{k}:80") };
            text.parse().expect("an address")
        }).collect();
        let mut attempts = Attempts::new(&given, ATTEMPT_DELAY);
        let mut sorted = attempts.destinations().to_vec();
        sorted.sort();
        let mut want = given;
        want.sort();
        prop_assert_eq!(sorted, want, "nothing is lost");
        let (begun, end, at) = run(&mut attempts, &fates);
        for (k, pair) in begun.windows(2).enumerate() {
            let apart = pair[1] - pair[0];
            let failed_at = |n: usize| match fates[n] { Fate::Fails(after) => Some(begun[n] + after), _ => None };
            let after_failure = (0..=k).any(|n| failed_at(n) == Some(pair[1]));
            prop_assert!(apart == 250 || (apart < 250 && after_failure), "{} then {}", pair[0], pair[1]);
        }
        match end {
            Step::Connected(winner) => {
                let Fate::Connects(after) = fates[winner] else { panic!("{winner} does not connect") };
                prop_assert_eq!(at, MS(begun[winner] + after));
                for (n, begun) in begun.iter().enumerate() {
                    if let Fate::Connects(after) = fates[n] { prop_assert!(MS(begun + after) >= at); }
                }
            }
            Step::Failed => prop_assert!(fates.iter().all(|f| matches!(f, Fate::Fails(_)))),
            Step::Wait(None) => prop_assert!(fates.iter().all(|f| !matches!(f, Fate::Connects(_)))),
            Step::Wait(Some(_)) | Step::Start(..) => panic!("not an end"),
        }
    }
}
