//! The one tokio runtime of this process, and how work on it is told to end.
//!
//! All that waits for the network runs here, except the two hot paths: a sweep has threads of its own, which make system calls
//! for 64 probes at a time, and the direct reader of pipes works within the loop of the program that reads (`pipe/direct.rs`).

mod cancel;
mod readable;

use std::future::Future;
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::Error;
use crate::defaults::{RUNTIME_BLOCKING_THREADS, RUNTIME_ENDS_WITHIN, RUNTIME_THREADS};
use crate::lock::lock;

pub use cancel::Cancel;
pub(crate) use readable::{Readable, receive_or_error};

/// A share of the runtime. The first one starts it, and it ends with the last: tasks that are left are dropped then, so who needs
/// the end of a task waits for it before.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    /// The process that made it: a fork has none of its threads.
    process: u32,
}

static CURRENT: Mutex<Weak<Owned>> = Mutex::new(Weak::new());

impl Lease {
    /// Takes a share, and starts the runtime if nobody has one.
    ///
    /// # Errors
    /// [`Error::System`] when the system has no thread or descriptor left.
    pub fn take() -> Result<Self, Error> {
        let mut current = lock(&CURRENT);
        if let Some(owned) = current.upgrade()
            && owned.process == std::process::id()
        {
            return Ok(Self(owned));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .max_blocking_threads(RUNTIME_BLOCKING_THREADS)
            .thread_name("routepool")
            .enable_all()
            .build()
            .map_err(|source| Error::System { syscall: "pthread_create", address: None, source })?;
        let handle = runtime.handle().clone();
        let owned = Arc::new(Owned { runtime: Some(runtime), handle, process: std::process::id() });
        *current = Arc::downgrade(&owned);
        Ok(Self(owned))
    }

    /// Starts a task. It does not keep the runtime: that is for whoever waits for it.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.handle.spawn(work)
    }

    /// Runs a future to its end on this thread, which must not be one of the runtime's.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.handle.block_on(work)
    }

    /// For what must be made within the runtime, such as a socket of tokio's.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process != std::process::id() {
            // There are no threads to wait for in a fork.
            std::mem::forget(runtime);
        } else if Handle::try_current().is_ok() {
            // One of its own threads cannot wait for itself.
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
        }
    }
}

/// Work that may panic, as a result: a panic becomes [`Error::Internal`], as does the end of the runtime.
///
/// # Errors
/// Those of the work.
pub async fn settle<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        let what =
            if error.is_panic() { "a task of routepool has panicked" } else { "the process is ending" };
        Err(Error::Internal(what.to_owned()))
    })
}

#[cfg(test)]
mod tests;
