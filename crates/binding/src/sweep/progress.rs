//! Figures of a sweep under way.

use napi_derive::napi;
use routepool_core::validate::Progress;

use crate::units::ms;

/// Figures of a sweep under way.
#[napi(object, object_from_js = false)]
pub struct SweepProgress {
    /// All sources.
    pub sources: u32,
    /// Sources with a verdict.
    pub decided: u32,
    /// Of these, `ok`.
    pub ok: u32,
    /// Probes sent.
    pub probes_sent: f64,
    /// The pass, from 1.
    pub pass: u32,
    /// Probes a second, over the last second or so.
    pub rate_per_second: f64,
    /// Since the start.
    pub elapsed_ms: f64,
    /// Time left, if it can be estimated.
    pub eta_ms: Option<f64>,
    /// Whether the network is lost and waited for.
    pub paused: bool,
    /// `preflight`, `pass`, `waiting` or `done`.
    pub phase: String,
}

impl From<Progress> for SweepProgress {
    fn from(p: Progress) -> Self {
        Self {
            sources: p.sources,
            decided: p.decided,
            ok: p.ok,
            probes_sent: p.probes as f64,
            pass: p.pass.into(),
            rate_per_second: p.rate,
            elapsed_ms: ms(p.elapsed),
            eta_ms: p.eta.map(ms),
            paused: p.paused,
            phase: p.phase.to_owned(),
        }
    }
}
