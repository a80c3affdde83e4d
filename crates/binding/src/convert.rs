//! Plain objects of JavaScript and the types of the engine.

use std::path::PathBuf;
use std::time::Duration;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::validate::{Progress, Request, Summary};
use routepool_proto::ip_block::HostPolicy;
use routepool_proto::sweep::Status;
use routepool_proto::targets::Sample;

use crate::servers::ResolvedServer;

/// How many hosts of each sub-prefix are asked.
#[napi(object)]
pub struct SampleOptions {
    /// Length of the sub-prefixes.
    pub per_prefix: u32,
    /// Hosts asked in each.
    pub hosts: u32,
}

/// What to validate, and how.
#[napi(object, object_to_js = false)]
pub struct SweepOptions {
    /// Blocks: CIDR, range or single address.
    pub blocks: Vec<String>,
    /// `all`, `subnet` or `no-0-255`.
    pub hosts: Option<String>,
    /// Ask only some hosts of each sub-prefix.
    pub sample: Option<SampleOptions>,
    /// Servers as the user wrote them, or `embedded`.
    pub servers: Option<Vec<String>>,
    /// Probes a second.
    pub rate_per_second: Option<f64>,
    /// How many times a silent source is asked.
    pub passes: Option<u32>,
    /// How long a reply may take.
    pub timeout_ms: Option<f64>,
    /// Only send and receive through this interface.
    pub interface: Option<String>,
    /// Seed of the order.
    pub seed: Option<BigInt>,
    /// File to go on from and to write the state to.
    pub state: Option<String>,
    /// Bytes of receive buffer to ask the kernel for.
    pub receive_buffer: Option<u32>,
    /// `one` socket for all sources, or one `per-source`.
    pub sockets: Option<String>,
}

impl SweepOptions {
    /// The request; numbers outside their range are left to the plan to refuse, by name.
    pub(crate) fn into_request(self) -> Result<Request, Error> {
        let wrong = |option, message: String| Error::Option { option, message };
        let hosts = self.hosts.map(|h| h.parse::<HostPolicy>()).transpose();
        let backend = match self.sockets.as_deref() {
            None => None,
            Some("one") => Some(routepool_core::validate::Backend::one_socket()),
            Some("per-source") => Some(routepool_core::validate::Backend::PerSource),
            Some(other) => {
                let message = format!("expected 'one' or 'per-source' for `sockets` but received '{other}'");
                return Err(wrong("sockets", message));
            }
        };
        Ok(Request {
            blocks: self.blocks,
            hosts: hosts.map_err(|e| wrong("hosts", e.to_string()))?,
            sample: self.sample.map(|s| Sample { per_prefix: s.per_prefix.min(255) as u8, hosts: s.hosts }),
            servers: self.servers.unwrap_or_default(),
            rate: self.rate_per_second,
            passes: self.passes.map(|p| p.min(255) as u8),
            timeout: self
                .timeout_ms
                .map(|ms| Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX)),
            interface: self.interface,
            seed: self.seed.map(|s| s.get_u64().1),
            state: self.state.map(PathBuf::from),
            receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
            backend,
        })
    }
}

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

/// An external address and the number of sources behind it.
#[napi(object, object_from_js = false)]
pub struct ExternalCount {
    /// The address.
    pub address: String,
    /// Sources behind it.
    pub count: u32,
}

/// A refused system call.
#[napi(object, object_from_js = false)]
pub struct ErrorCount {
    /// The call.
    pub syscall: String,
    /// Negative error number.
    pub errno: i32,
    /// How often.
    pub count: u32,
}

/// Verdicts with a reason.
#[napi(object, object_from_js = false)]
pub struct ReasonCount {
    /// The status.
    pub status: String,
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u32,
}

/// What a run found, counted. Times in the unit of their name.
#[napi(object, object_from_js = false)]
pub struct SweepResult {
    /// The blocks, in canonical form.
    pub blocks: Vec<String>,
    /// 4 or 6.
    pub family: u32,
    /// Sources that were to be asked.
    pub sources: u32,
    /// Addresses in the blocks, sampled or not, as a decimal number.
    pub total_addresses: String,
    /// How the sources were chosen among them.
    pub sample: Option<SampleOptions>,
    /// Verdicts `ok`.
    pub ok: u32,
    /// Verdicts `mapped`.
    pub mapped: u32,
    /// Verdicts `no-reply`.
    pub no_reply: u32,
    /// Verdicts `send-error`.
    pub send_error: u32,
    /// Verdicts `bind-error`.
    pub bind_error: u32,
    /// Verdicts `bad-reply`.
    pub bad_reply: u32,
    /// Verdicts `unknown`.
    pub unknown: u32,
    /// Sources without a verdict, because the run was stopped.
    pub untested: u32,
    /// Proven sources whose port was rewritten on the way.
    pub port_rewritten: u32,
    /// Whether the run was stopped.
    pub stopped: bool,
    /// Whether it went on from a saved state.
    pub resumed: bool,
    /// How many times a silent source was asked.
    pub passes: u32,
    /// Seed of the order.
    pub seed: BigInt,
    /// From the first probe to the last verdict.
    pub elapsed_ms: f64,
    /// `embedded`, `named` or `public`.
    pub server_origin: String,
    /// The servers that were asked.
    pub servers: Vec<ResolvedServer>,
    /// The rate limit.
    pub rate_per_second: Option<f64>,
    /// Probes sent.
    pub probes_sent: f64,
    /// Datagrams received.
    pub replies_received: f64,
    /// Second and late replies.
    pub duplicates: f64,
    /// Datagrams that are not STUN responses.
    pub garbage: f64,
    /// Responses with an id that is not of this run.
    pub forged: f64,
    /// Genuine responses from the wrong server or to the wrong address.
    pub misdirected: f64,
    /// Datagrams that the kernel dropped because a receive buffer was full.
    pub receive_drops: u32,
    /// Measured loss per probe, 0 to 1.
    pub loss_estimate: f64,
    /// Median round-trip time.
    pub rtt_p50_us: f64,
    /// Round-trip time of 99 in 100.
    pub rtt_p99_us: f64,
    /// Longest round-trip time.
    pub rtt_max_us: f64,
    /// The receive buffer that the kernel granted, in bytes.
    pub receive_buffer: u32,
    /// Probes in flight at most, at the end.
    pub window: u32,
    /// The smallest window.
    pub window_min: u32,
    /// One socket for all sources, or one each.
    pub batched: bool,
    /// External addresses other than the source, most sources first.
    pub externals: Vec<ExternalCount>,
    /// Refused sends and binds.
    pub errors: Vec<ErrorCount>,
    /// Verdicts by reason.
    pub reasons: Vec<ReasonCount>,
    /// What the run noticed, in sentences.
    pub notes: Vec<String>,
}

impl From<&Summary> for SweepResult {
    fn from(s: &Summary) -> Self {
        let us = |d: Option<Duration>| d.map_or(0.0, |d| d.as_secs_f64() * 1e6);
        let errors = s.errors.iter();
        let reasons = s.reasons.iter();
        Self {
            blocks: s.blocks.clone(),
            family: if s.ipv6 { 6 } else { 4 },
            sources: s.sources,
            total_addresses: s.total_addresses.to_string(),
            sample: s.sample.map(|s| SampleOptions { per_prefix: s.per_prefix.into(), hosts: s.hosts }),
            ok: s.count(Status::Ok),
            mapped: s.count(Status::Mapped),
            no_reply: s.count(Status::NoReply),
            send_error: s.count(Status::SendError),
            bind_error: s.count(Status::BindError),
            bad_reply: s.count(Status::BadReply),
            unknown: s.count(Status::Unknown),
            untested: s.untested,
            port_rewritten: s.port_rewritten,
            stopped: s.stopped,
            resumed: s.resumed,
            passes: s.passes.into(),
            seed: s.seed.into(),
            elapsed_ms: ms(s.elapsed),
            server_origin: s.origin.as_str().to_owned(),
            servers: s.servers.iter().map(ResolvedServer::from).collect(),
            rate_per_second: s.rate,
            probes_sent: s.counters.probes as f64,
            replies_received: s.counters.received as f64,
            duplicates: s.counters.duplicates as f64,
            garbage: s.counters.garbage as f64,
            forged: s.counters.forged as f64,
            misdirected: s.counters.misdirected as f64,
            receive_drops: s.drops,
            loss_estimate: s.loss,
            rtt_p50_us: us(s.round_trips[0]),
            rtt_p99_us: us(s.round_trips[1]),
            rtt_max_us: us(s.round_trips[2]),
            receive_buffer: u32::try_from(s.receive_buffer).unwrap_or(u32::MAX),
            window: s.window.0,
            window_min: s.window.1,
            batched: s.batched,
            externals: s
                .externals
                .iter()
                .map(|(ip, n)| ExternalCount { address: ip.to_string(), count: *n })
                .collect(),
            errors: errors
                .map(|(call, n, count)| ErrorCount {
                    syscall: (*call).to_owned(),
                    errno: -i32::from(*n),
                    count: *count,
                })
                .collect(),
            reasons: reasons
                .map(|(status, reason, count)| ReasonCount {
                    status: status.as_str().to_owned(),
                    reason: reason.as_str().to_owned(),
                    count: *count,
                })
                .collect(),
            notes: s.notes.clone(),
        }
    }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
