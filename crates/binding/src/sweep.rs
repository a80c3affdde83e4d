//! A sweep under way.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Either};
use napi_derive::napi;
use routepool_core::validate::Run;

use crate::failure::Failure;
use crate::pool::ProvenPool;

pub(crate) mod options;
mod progress;
mod summary;

use progress::SweepProgress;
use summary::SweepSummary;

/// A sweep on its own thread.
#[napi]
pub struct Sweep {
    run: Arc<Run>,
}

impl Sweep {
    pub(crate) fn new(env: Env, run: Run) -> napi::Result<Self> {
        let run = Arc::new(run);
        // The environment (the process, or a worker) may end first: then the thread must not go on sending.
        let weak = Arc::downgrade(&run);
        env.add_env_cleanup_hook(weak, |weak| {
            if let Some(run) = weak.upgrade() {
                run.stop();
            }
        })?;
        Ok(Self { run })
    }
}

#[napi]
impl Sweep {
    /// Copies whole 48-byte verdict records into `out` and returns the number of bytes. The waker is called again for what comes
    /// after; 0 means that there is nothing now.
    #[napi(catch_unwind)]
    pub fn drain(&self, mut out: BufferSlice<'_>) -> u32 {
        self.run.drain(&mut out) as u32
    }

    /// From now on verdicts are counted and not kept.
    #[napi(catch_unwind)]
    pub fn discard(&self) {
        self.run.discard();
    }

    /// Ends the sweep with what it has found so far. Idempotent.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.run.stop();
    }

    /// Figures of now.
    #[napi(catch_unwind)]
    pub fn progress(&self) -> SweepProgress {
        self.run.progress().into()
    }

    /// What was found, once the sweep is over; all its records can be drained by then.
    #[napi(catch_unwind)]
    pub fn result(&self) -> Option<Either<SweepSummary, Failure>> {
        self.run.result().map(|result| match result {
            Ok(summary) => Either::A(SweepSummary::from(&*summary)),
            Err(error) => Either::B(Failure::from(&*error)),
        })
    }

    /// The proven sources, once the sweep is over.
    #[napi(catch_unwind)]
    pub fn pool(&self) -> Option<ProvenPool> {
        self.run.pool().map(ProvenPool::new)
    }
}
