//! Mutated input for tests.

use rand::Rng;

/// How many inputs a test tries: `ROUTEPOOL_FUZZ_ROUNDS`, or as many as take a moment.
pub(crate) fn rounds() -> u64 {
    std::env::var("ROUTEPOOL_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Changes some bytes, in the ways that parsers stumble over: bits, extremes, cuts, copies.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
            3 => bytes.truncate(at),
            4 => {
                let end = random.random_range(at..=bytes.len()).min(at + 32);
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => drop(bytes.drain(at..(at + random.random_range(1..9)).min(bytes.len()))),
        }
    }
}
