//! What kind of NAT is on the way: RFC 5780's tests as a plan that is driven from outside, and what follows from the answers.
//!
//! [`Classifier`] says which sockets to open and what to send, is told what arrives and when, and ends with a [`Report`].

mod allocation;
mod behaviour;
mod classifier;
mod connect;
mod names;
mod numbers;
mod probe;
mod report;
mod settings;

pub use allocation::{Sample, SampleKind};
pub use behaviour::{
    Alg, Allocation, Behaviour, Connectivity, Filtering, Finding, Hairpin, Mapping, Overloading, Pooling,
    Reason,
};
pub use classifier::{Classifier, Command, Server};
pub use connect::{Match, Technique, Verdict, Works, can_connect};
pub use numbers::{Numbers, behaviour_of, numbers};
pub use report::{AllocationFinding, Evidence, Ignored, Lifetime, Loss, Report, ServerVerdict, Test};
pub use settings::Settings;
