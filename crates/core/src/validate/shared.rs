//! What a run and its threads share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::pool::Pool;
use super::ring::Ring;
use super::summary::Summary;
use crate::Error;
use crate::runtime::Cancel;
use crate::waker::Waker;

/// Figures of a sweep under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// All sources.
    pub sources: u32,
    /// Sources with a verdict.
    pub decided: u32,
    /// Of these, `ok`.
    pub ok: u32,
    /// Probes sent.
    pub probes: u64,
    /// The pass, from 1.
    pub pass: u8,
    /// Probes a second, over the last second or so.
    pub rate: f64,
    /// Since the start.
    pub elapsed: Duration,
    /// Time left, if it can be estimated.
    pub eta: Option<Duration>,
    /// Whether the network is lost and waited for.
    pub paused: bool,
    /// What the sweep is doing: `preflight`, `pass`, `waiting`, `done`.
    pub phase: &'static str,
}

/// What a run and its thread share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) ring: Ring,
    pub(super) woken: AtomicBool,
    stop: AtomicBool,
    /// Tells tasks the same that `stop` tells the sweep's threads, which look at it before each batch.
    pub(super) cancel: Cancel,
    pub(super) progress: Mutex<Progress>,
    pub(super) result: Mutex<Option<Result<Outcome, Arc<Error>>>>,
}

/// What is there in the end.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) summary: Arc<Summary>,
    pub(super) pool: Arc<Pool>,
}

impl Shared {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.cancel.cancel();
    }

    pub(super) fn wake(&self, waker: &dyn Waker) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            waker.wake();
        }
    }
}
