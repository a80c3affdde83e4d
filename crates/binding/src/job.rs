//! Jobs on threads of their own.

use std::sync::Arc;

use napi::Env;
use routepool_core::job::Job;

/// The environment (the process, or a worker) may end first: then the thread must not go on sending.
pub(crate) fn stop_with_environment<T: Send + Sync + 'static>(
    env: Env,
    job: &Arc<Job<T>>,
) -> napi::Result<()> {
    env.add_env_cleanup_hook(Arc::downgrade(job), |weak| {
        if let Some(job) = weak.upgrade() {
            job.stop();
        }
    })?;
    Ok(())
}
