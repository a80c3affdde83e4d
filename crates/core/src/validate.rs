//! Validating blocks: proves for each source that it leaves as itself.
//!
//! A [`Plan`] checks everything that can be checked without sending; [`Plan::start`] runs the sweep on a thread of its own
//! and gives a [`Run`] to follow it by.

mod driver;
mod flows;
mod notes;
mod plan;
mod pool;
mod preflight;
mod ring;
mod run;
mod shared;
mod shared_sweep;
mod state_file;
mod state_lock;
mod summary;
mod sweep_identity;
mod sweep_worker;
mod verdict_buffer;

pub use plan::{Plan, Request, backend_of};
pub use pool::Pool;
pub use routepool_udp::Backend;
pub use run::Run;
pub use shared::Progress;
pub use summary::Summary;
