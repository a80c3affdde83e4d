//! What was found, as plain objects of JavaScript.

use std::net::SocketAddr;

use napi_derive::napi;
use routepool_core::classify::{Classified, FamilyReport};
use routepool_proto::nat::{
    self, Allocation, Behaviour, Filtering, Finding, Hairpin, Ignored, Lifetime, Loss, Mapping, Pooling,
    Report,
};

use super::{NatBehaviour, NatNumbers};
use crate::units::{family, ms};

/// A property, and why it is not known.
#[napi(object, object_from_js = false)]
pub struct NatFinding {
    /// The property.
    pub value: String,
    /// Why it is not known: a code.
    pub reason: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
}

fn finding<T: Copy>(found: Finding<T>, name: impl Fn(T) -> &'static str) -> NatFinding {
    NatFinding {
        value: name(found.value).to_owned(),
        reason: found.reason.map(|r| r.as_str().to_owned()),
        why: found.reason.map(|r| r.sentence().to_owned()),
    }
}

/// The port that was given to a socket.
#[napi(object, object_from_js = false)]
pub struct NatSample {
    /// `scattered`, `consecutive` or `destinations`.
    pub kind: String,
    /// Local port.
    pub local_port: u32,
    /// Mapped address and port.
    pub mapped: String,
    /// When it was first sent, in ms from the start.
    pub sent_at: f64,
}

/// How ports are chosen.
#[napi(object, object_from_js = false)]
pub struct NatAllocation {
    /// How.
    pub value: String,
    /// Why it is not known: a code.
    pub reason: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
    /// The step of `independent` and `dependent`.
    pub step: i32,
    /// The share of the samples that fit.
    pub confidence: f64,
    /// The samples.
    pub samples: Vec<NatSample>,
}

/// How long a mapping without traffic lives.
#[napi(object, object_from_js = false)]
pub struct NatLifetime {
    /// `not-asked`, `measured`, `at-least` or `unknown`.
    pub value: String,
    /// Why it is not known: a code.
    pub reason: Option<String>,
    /// The same as a sentence.
    pub why: Option<String>,
    /// It was alive after so long.
    pub alive_ms: Option<f64>,
    /// It was gone after so long.
    pub dead_ms: Option<f64>,
}

/// What one server's tests say.
#[napi(object, object_from_js = false)]
pub struct NatServerVerdict {
    /// Its address and port.
    pub server: String,
    /// The text it was given by.
    pub name: String,
    /// Its other address and port.
    pub other: Option<String>,
    /// Whether it can run the tests of RFC 5780.
    pub can_test: bool,
    /// Why not.
    pub cannot_test: Option<String>,
    /// Whether it answered.
    pub answered: bool,
    /// The mapping.
    pub mapping: NatFinding,
    /// The filtering.
    pub filtering: NatFinding,
}

/// One sub-test with what came of it. Times in ms from the start.
#[napi(object, object_from_js = false)]
pub struct NatEvidence {
    /// Which.
    pub test: String,
    /// Where the request went.
    pub server: String,
    /// Where the answer came from.
    pub from: Option<String>,
    /// Where it was sent from.
    pub local: Option<String>,
    /// The address in the answer.
    pub mapped: Option<String>,
    /// An error response.
    pub error_code: Option<u32>,
    /// Negative error number of a refused send.
    pub errno: Option<i32>,
    /// The last send.
    pub sent_at: Option<f64>,
    /// The first answer.
    pub received_at: Option<f64>,
    /// Requests sent.
    pub attempts: u32,
    /// How many were answered.
    pub answers: u32,
    /// Its silence counted.
    pub silent: bool,
}

/// Plain requests and how many were answered.
#[napi(object, object_from_js = false)]
pub struct NatLoss {
    /// Sent.
    pub sent: u32,
    /// Answered.
    pub answered: u32,
}

/// Datagrams without effect.
#[napi(object, object_from_js = false)]
pub struct NatIgnored {
    /// No STUN responses.
    pub garbage: u32,
    /// Ids that were not sent.
    pub forged: u32,
    /// From an address that was not asked, or at a socket that did not ask.
    pub misdirected: u32,
    /// Second answers.
    pub duplicates: u32,
    /// With an address of the other family.
    pub other_family: u32,
}

/// What was found of one family.
#[napi(object, object_from_js = false)]
pub struct NatFamily {
    /// 4 or 6.
    pub family: u32,
    /// The address it was asked from.
    pub local: String,
    /// Why sockets could not be bound to the interface.
    pub interface_bind_error: Option<String>,
    /// The axes.
    pub behaviour: NatBehaviour,
    /// P2PD's numbers.
    pub numbers: NatNumbers,
    /// The external address seen most.
    pub external: Option<String>,
    /// All of them.
    pub externals: Vec<String>,
    /// Whether servers can be reached.
    pub connectivity: NatFinding,
    /// The mapping.
    pub mapping: NatFinding,
    /// The filtering.
    pub filtering: NatFinding,
    /// How ports are chosen.
    pub allocation: NatAllocation,
    /// Whether sockets share an address.
    pub pooling: NatFinding,
    /// Whether sockets share a port.
    pub overloading: NatFinding,
    /// Whether addresses inside of packets are rewritten.
    pub alg: NatFinding,
    /// Hairpinning.
    pub hairpin: NatFinding,
    /// How long mappings live.
    pub lifetime: NatLifetime,
    /// The mapping of TCP connections.
    pub tcp_mapping: NatFinding,
    /// Each server.
    pub servers: Vec<NatServerVerdict>,
    /// Two servers' verdicts differ.
    pub disagree: bool,
    /// The loss of the path.
    pub loss: NatLoss,
    /// All sub-tests.
    pub evidence: Vec<NatEvidence>,
    /// Datagrams without effect.
    pub ignored: NatIgnored,
}

/// What was found.
#[napi(object, object_from_js = false)]
pub struct NatReport {
    /// `fast`, `normal` or `patient`.
    pub profile: String,
    /// How long it took.
    pub elapsed_ms: f64,
    /// Each family, IPv4 first.
    pub families: Vec<NatFamily>,
    /// P2PD's numbers, of IPv4 if there is one.
    pub numbers: NatNumbers,
}

pub(super) fn report_of(found: &Classified, names: &[(SocketAddr, String)]) -> NatReport {
    let numbers = found.families.first().map_or_else(|| nat::numbers(&Behaviour::UNKNOWN), |f| f.numbers);
    NatReport {
        profile: found.profile.as_str().to_owned(),
        elapsed_ms: ms(found.elapsed),
        families: found.families.iter().map(|f| family_of(f, names)).collect(),
        numbers: numbers.into(),
    }
}

fn family_of(found: &FamilyReport, names: &[(SocketAddr, String)]) -> NatFamily {
    // Without `..`, here and below: what is found is handed on, or the compiler asks why not.
    let FamilyReport { report, numbers, tcp, tcp_evidence, binding } = found;
    let Report {
        local,
        externals,
        connectivity,
        mapping,
        endpoint_dependent: _, // a part of the behaviour
        filtering,
        allocation,
        pooling,
        overloading,
        alg,
        hairpin,
        lifetime,
        servers,
        disagree,
        loss: Loss { sent, answered },
        evidence,
        ignored: Ignored { garbage, forged, misdirected, duplicates, other_family },
    } = report;
    let mut tcp_mapping = finding(tcp.unwrap_or(Finding::known(Mapping::Unknown)), Mapping::as_str);
    if tcp.is_none() {
        "not-asked".clone_into(&mut tcp_mapping.value);
    }
    NatFamily {
        family: family(local.is_ipv6()),
        local: local.to_string(),
        interface_bind_error: binding.refusal().map(str::to_owned),
        behaviour: report.behaviour().into(),
        numbers: (*numbers).into(),
        external: externals.first().map(ToString::to_string),
        externals: externals.iter().map(ToString::to_string).collect(),
        connectivity: finding(*connectivity, nat::Connectivity::as_str),
        mapping: finding(*mapping, Mapping::as_str),
        filtering: finding(*filtering, Filtering::as_str),
        allocation: allocation_of(allocation),
        pooling: finding(*pooling, Pooling::as_str),
        overloading: finding(*overloading, nat::Overloading::as_str),
        alg: finding(*alg, nat::Alg::as_str),
        hairpin: finding(*hairpin, Hairpin::as_str),
        lifetime: lifetime_of(*lifetime),
        tcp_mapping,
        servers: servers.iter().map(|s| server_of(s, names)).collect(),
        disagree: *disagree,
        loss: NatLoss { sent: *sent, answered: *answered },
        evidence: evidence.iter().chain(tcp_evidence).map(evidence_of).collect(),
        ignored: NatIgnored {
            garbage: *garbage,
            forged: *forged,
            misdirected: *misdirected,
            duplicates: *duplicates,
            other_family: *other_family,
        },
    }
}

fn allocation_of(found: &nat::AllocationFinding) -> NatAllocation {
    let NatFinding { value, reason, why } = finding(found.finding, Allocation::as_str);
    let sample = |s: &nat::Sample| NatSample {
        kind: s.kind.as_str().to_owned(),
        local_port: s.local.port().into(),
        mapped: s.mapped.to_string(),
        sent_at: ms(s.sent_at),
    };
    NatAllocation {
        value,
        reason,
        why,
        step: found.finding.value.step(),
        confidence: found.confidence,
        samples: found.samples.iter().map(sample).collect(),
    }
}

fn lifetime_of(lifetime: Lifetime) -> NatLifetime {
    let (value, alive, dead, reason) = match lifetime {
        Lifetime::NotAsked => ("not-asked", None, None, None),
        Lifetime::Measured { alive, gone } => ("measured", Some(alive), Some(gone), None),
        Lifetime::AtLeast(alive) => ("at-least", Some(alive), None, None),
        Lifetime::Unknown(reason) => ("unknown", None, None, Some(reason)),
    };
    NatLifetime {
        value: value.to_owned(),
        reason: reason.map(|r| r.as_str().to_owned()),
        why: reason.map(|r| r.sentence().to_owned()),
        alive_ms: alive.map(ms),
        dead_ms: dead.map(ms),
    }
}

fn server_of(verdict: &nat::ServerVerdict, names: &[(SocketAddr, String)]) -> NatServerVerdict {
    let nat::ServerVerdict { address, other, answered, cannot_test, mapping, filtering } = verdict;
    let name = names.iter().find(|(known, _)| known == address).map(|(_, name)| name.clone());
    NatServerVerdict {
        server: address.to_string(),
        name: name.unwrap_or_else(|| address.to_string()),
        other: other.map(|o| o.to_string()),
        can_test: cannot_test.is_none(),
        cannot_test: cannot_test.clone(),
        answered: *answered,
        mapping: finding(*mapping, Mapping::as_str),
        filtering: finding(*filtering, Filtering::as_str),
    }
}

fn evidence_of(evidence: &nat::Evidence) -> NatEvidence {
    let nat::Evidence {
        test,
        server,
        from,
        local,
        mapped,
        error_code,
        errno,
        sent_at,
        received_at,
        attempts,
        answers,
        silent,
    } = evidence;
    NatEvidence {
        test: test.as_str().to_owned(),
        server: server.to_string(),
        from: from.map(|a| a.to_string()),
        local: local.map(|a| a.to_string()),
        mapped: mapped.map(|a| a.to_string()),
        error_code: error_code.map(u32::from),
        errno: errno.map(|n| -n),
        sent_at: sent_at.map(ms),
        received_at: received_at.map(ms),
        attempts: *attempts,
        answers: *answers,
        silent: *silent,
    }
}
