//! A sweep: one probe for each source address, judged by what comes back.
//!
//! The state machine is [`Sweep`]; the other modules are the parts it is made of. A driver (in `routepool-core`) owns the
//! socket and the clock: it asks for the next probes, reports what was received and what could not be sent, and hands
//! the verdicts on.

mod evidence;
mod flight;
mod loss;
mod machine;
#[cfg(test)]
mod networks;
mod order;
mod pace;
mod pacing;
mod probe_id;
mod proven;
mod retry;
mod rng;
mod saved;
mod settings;
mod states;
mod verdict;
mod window;
mod workers;

pub use evidence::Failure;
pub use flight::RoundTrips;
pub use machine::{Counters, Datagram, EndReason, Next, Phase, Probe, Sweep};
pub use order::Order;
pub use pace::Pace;
pub use probe_id::{CANARY_POSITIONS, ProbeId, ProbeIds};
pub use proven::Proven;
pub use retry::Limit;
pub use saved::{Saved, SavedError, SavedEvidence};
#[cfg(test)]
pub use settings::Mutant;
pub use settings::{Settings, bounds};
pub use states::{State, States};
pub use verdict::{RECORD_LEN, Reason, Status, Verdict, VerdictSink};
pub use window::Window;
