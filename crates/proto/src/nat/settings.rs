//! How often and how long it is asked.

use std::time::Duration;

/// The times of a classification.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Gaps between the sends of a request to a server that has answered something; the last one repeats.
    pub gaps: Vec<Duration>,
    /// The same for a server that has not answered yet.
    pub first_gaps: Vec<Duration>,
    /// An answer may take so long at least, and twice the longest round trip seen at most, before silence is silence.
    pub answer_within: Duration,
    /// Each part of the test ends after this time, with what it has.
    pub give_up: Duration,
    /// A silent server is waited for no longer than this once another one has answered.
    pub patience: Duration,
    /// After how long without an answer the next server is asked.
    pub next_server_after: Duration,
    /// Silence counts if so many losses in a row had a probability below this, given the losses that were seen.
    pub doubt: f64,
    /// Silence counts after so many requests at least.
    pub least_asked: usize,
    /// Sockets of each of the two groups by which the allocation of ports is found out.
    pub sockets: u16,
    /// Whether hairpinning is tested.
    pub hairpin: bool,
    /// Up to which age of a mapping its lifetime is measured; `None`: it is not.
    pub lifetime: Option<Duration>,
}
