//! What a run found, as users of JavaScript see it: the types here are those of `ValidationSummary`, whose compiler refuses any
//! difference. Each field of the engine's summary is named below; one that is added there is refused until it is added here.

use std::time::Duration;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use routepool_core::validate::Summary;
use routepool_proto::sweep::{Counters, Limit, Status};

use super::options::SampleOptions;
use crate::servers::ResolvedServer;
use crate::units::{family, ms};

/// Verdicts by status.
#[napi(object, object_from_js = false)]
pub struct StatusCounts {
    /// Verdicts `ok`.
    pub ok: u32,
    /// Verdicts `mapped`.
    pub mapped: u32,
    /// Verdicts `no-reply`.
    #[napi(js_name = "no-reply")]
    pub no_reply: u32,
    /// Verdicts `send-error`.
    #[napi(js_name = "send-error")]
    pub send_error: u32,
    /// Verdicts `bind-error`.
    #[napi(js_name = "bind-error")]
    pub bind_error: u32,
    /// Verdicts `bad-reply`.
    #[napi(js_name = "bad-reply")]
    pub bad_reply: u32,
    /// Verdicts `unknown`.
    pub unknown: u32,
}

/// Probes sent and datagrams received.
#[napi(object, object_from_js = false)]
pub struct SweepTraffic {
    /// Probes sent.
    pub probes_sent: f64,
    /// Datagrams received.
    pub received: f64,
    /// Second and late replies.
    pub duplicates: f64,
    /// Datagrams that are not STUN responses.
    pub garbage: f64,
    /// Responses with an id that is not of this run.
    pub forged: f64,
    /// Genuine responses from the wrong server or to the wrong address.
    pub misdirected: f64,
    /// Dropped by the kernel because a receive buffer was full.
    pub drops: u32,
    /// Measured loss per probe, 0 to 1.
    pub loss: f64,
}

/// Round-trip times in milliseconds; 0 if there are none.
#[napi(object, object_from_js = false)]
pub struct RoundTrips {
    /// Half of them were shorter.
    pub median: f64,
    /// 99 in 100 were shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// How many probes were in flight at most.
#[napi(object, object_from_js = false)]
pub struct SweepWindow {
    /// The receive buffer that the kernel granted, in bytes.
    pub receive_buffer: u32,
    /// At the end.
    pub last: u32,
    /// At least.
    pub smallest: u32,
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

/// A place that could only be asked slowly.
#[napi(object, object_from_js = false)]
pub struct RateLimit {
    /// Its first source.
    pub first: String,
    /// Its last source.
    pub last: String,
    /// Probes a second that came through, about.
    pub rate_per_second: f64,
    /// Its sources that are unknown.
    pub unknown: u32,
    /// How long asking these would take, about.
    pub needed_ms: f64,
}

/// What a run found, counted. Times in the unit of their name.
#[napi(object, object_from_js = false)]
pub struct SweepSummary {
    /// The blocks, in canonical form.
    pub blocks: Vec<String>,
    /// 4 or 6.
    #[napi(ts_type = "4 | 6")]
    pub family: u32,
    /// Sources that were to be asked.
    pub sources: u32,
    /// Verdicts by status.
    pub counts: StatusCounts,
    /// Sources without a verdict, because the run was stopped.
    pub untested: u32,
    /// Whether every source is `ok`.
    pub all_ok: bool,
    /// Whether the run was stopped.
    pub stopped: bool,
    /// Whether it went on from a saved state.
    pub resumed: bool,
    /// How the sources were chosen among the addresses of the blocks.
    pub sample: Option<SampleOptions>,
    /// Addresses in the blocks, sampled or not.
    pub total_addresses: BigInt,
    /// Proven sources whose port was rewritten on the way.
    pub port_rewritten: u32,
    /// How many times a silent source was asked.
    pub passes: u32,
    /// Seed of the order.
    pub seed: BigInt,
    /// From the first probe to the last verdict.
    pub elapsed_ms: f64,
    /// Where the servers come from.
    #[napi(ts_type = "'embedded' | 'named' | 'public'")]
    pub server_origin: String,
    /// The servers that were asked.
    pub servers: Vec<ResolvedServer>,
    /// The rate limit.
    pub rate_per_second: Option<f64>,
    /// Probes and replies.
    pub traffic: SweepTraffic,
    /// Round-trip times.
    pub rtt_ms: RoundTrips,
    /// Probes in flight at most.
    pub window: SweepWindow,
    /// External addresses other than the source, most sources first.
    pub externals: Vec<ExternalCount>,
    /// Refused sends and binds.
    pub errors: Vec<ErrorCount>,
    /// Verdicts by reason.
    pub reasons: Vec<ReasonCount>,
    /// Places that could only be asked slowly, with sources that are unknown therefore.
    pub limits: Vec<RateLimit>,
    /// What the run noticed, in sentences.
    pub notes: Vec<String>,
}

impl From<&Summary> for SweepSummary {
    fn from(summary: &Summary) -> Self {
        // Without `..`: each field is handed on, or said to be only for the notes.
        let Summary {
            blocks,
            ipv6,
            sources,
            total_addresses,
            sample,
            counts: _,
            untested,
            port_rewritten,
            stopped,
            resumed,
            passes,
            seed,
            elapsed,
            origin,
            servers,
            rate,
            counters,
            drops,
            loss,
            round_trips: [median, p99, max],
            receive_buffer,
            window: (last, smallest),
            // A note says it where it matters.
            batched: _,
            externals,
            errors,
            reasons,
            limits,
            notes,
        } = summary;
        let counts = StatusCounts {
            ok: summary.count(Status::Ok),
            mapped: summary.count(Status::Mapped),
            no_reply: summary.count(Status::NoReply),
            send_error: summary.count(Status::SendError),
            bind_error: summary.count(Status::BindError),
            bad_reply: summary.count(Status::BadReply),
            unknown: summary.count(Status::Unknown),
        };
        let round_trip = |time: &Option<Duration>| time.map_or(0.0, ms);
        Self {
            blocks: blocks.clone(),
            family: family(*ipv6),
            sources: *sources,
            all_ok: counts.ok == *sources,
            counts,
            untested: *untested,
            stopped: *stopped,
            resumed: *resumed,
            sample: sample.map(|s| SampleOptions { per_prefix: s.per_prefix.into(), hosts: s.hosts }),
            total_addresses: (*total_addresses).into(),
            port_rewritten: *port_rewritten,
            passes: (*passes).into(),
            seed: (*seed).into(),
            elapsed_ms: ms(*elapsed),
            server_origin: origin.as_str().to_owned(),
            servers: servers.iter().map(ResolvedServer::from).collect(),
            rate_per_second: *rate,
            traffic: traffic(counters, *drops, *loss),
            rtt_ms: RoundTrips { median: round_trip(median), p99: round_trip(p99), max: round_trip(max) },
            window: SweepWindow {
                receive_buffer: u32::try_from(*receive_buffer).unwrap_or(u32::MAX),
                last: *last,
                smallest: *smallest,
            },
            externals: externals
                .iter()
                .map(|(ip, count)| ExternalCount { address: ip.to_string(), count: *count })
                .collect(),
            errors: errors
                .iter()
                .map(|(syscall, number, count)| ErrorCount {
                    syscall: (*syscall).to_owned(),
                    errno: -i32::from(*number),
                    count: *count,
                })
                .collect(),
            reasons: reasons
                .iter()
                .map(|(status, reason, count)| ReasonCount {
                    status: status.as_str().to_owned(),
                    reason: reason.as_str().to_owned(),
                    count: *count,
                })
                .collect(),
            limits: limits.iter().map(RateLimit::from).collect(),
            notes: notes.clone(),
        }
    }
}

fn traffic(counters: &Counters, drops: u32, loss: f64) -> SweepTraffic {
    SweepTraffic {
        probes_sent: counters.probes as f64,
        received: counters.received as f64,
        duplicates: counters.duplicates as f64,
        garbage: counters.garbage as f64,
        forged: counters.forged as f64,
        misdirected: counters.misdirected as f64,
        drops,
        loss,
    }
}

impl From<&Limit> for RateLimit {
    fn from(limit: &Limit) -> Self {
        let Limit { first, last, rate, unknown, needs } = limit;
        Self {
            first: first.to_string(),
            last: last.to_string(),
            rate_per_second: *rate,
            unknown: *unknown,
            needed_ms: ms(*needs),
        }
    }
}
