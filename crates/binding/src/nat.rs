//! What kind of NAT is on the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Either, Function};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::classify::{Classified, Classify, FamilyReport, Portal, Profile};
use routepool_core::defaults::NAT_LIFETIME;
use routepool_core::job::Job;
use routepool_proto::nat::{
    self, Allocation, Behaviour, Filtering, Finding, Hairpin, Lifetime, Mapping, Pooling,
};

use crate::bell::NodeBell;
use crate::convert::{ResolvedServer, ms};
use crate::failure::Failure;
use crate::load::{refused, stop_with_environment};

/// A page that answers 204, to tell a captive portal.
#[napi(object, object_to_js = false)]
pub struct NatPortal {
    /// Its IP address.
    pub address: String,
    /// Its port.
    pub port: u32,
    /// Its name.
    pub host: String,
    /// The path of the page.
    pub path: String,
}

/// What to find out.
#[napi(object, object_to_js = false)]
pub struct NatOptions {
    /// Addresses of this machine to ask from: one, or one of each family.
    pub locals: Vec<String>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// `fast`, `normal` or `patient`.
    pub profile: Option<String>,
    /// Measure how long mappings live.
    pub lifetime: Option<bool>,
    /// Up to which age.
    pub lifetime_max_ms: Option<f64>,
    /// Test hairpinning.
    pub hairpin: Option<bool>,
    /// Look at the mapping of TCP connections.
    pub tcp: Option<bool>,
    /// Names of servers that did not resolve.
    pub unresolved: Option<Vec<String>>,
    /// Whom to ask for a captive portal if no server answers.
    pub portal: Option<NatPortal>,
}

impl NatOptions {
    fn into_classify(self, servers: Vec<ResolvedServer>) -> Result<Classify, Error> {
        let wrong = |option, message: String| Error::Option { option, message };
        let local = |text: &String| {
            text.parse().map_err(|_| {
                wrong("locals", format!("expected an IP address for `locals` but received '{text}'"))
            })
        };
        let profile = self.profile.as_deref().map(Profile::from_name).transpose()?.unwrap_or_default();
        let most = match self.lifetime_max_ms {
            None => NAT_LIFETIME,
            Some(ms) => Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX),
        };
        let portal = self.portal.map(|portal| {
            let wrong =
                || wrong("portal", format!("'{}' port {} is not an address", portal.address, portal.port));
            let ip = portal.address.parse().map_err(|_| wrong())?;
            let port = u16::try_from(portal.port).map_err(|_| wrong())?;
            Ok::<_, Error>(Portal {
                address: SocketAddr::new(ip, port),
                host: portal.host,
                path: portal.path,
            })
        });
        let classify = Classify {
            locals: self.locals.iter().map(local).collect::<Result<_, _>>()?,
            interface: self.interface,
            profile,
            lifetime: self.lifetime.unwrap_or(false).then_some(most),
            hairpin: self.hairpin.unwrap_or(false),
            tcp: self.tcp.unwrap_or(profile != Profile::Fast),
            servers: servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<_, _>>()?,
            unresolved: self.unresolved.unwrap_or_default(),
            portal: portal.transpose()?,
        };
        classify.check()?;
        Ok(classify)
    }
}

/// Finds it out, on a thread of its own; `bell` as in `LoadPlan.start`.
#[napi(catch_unwind)]
pub fn classify_nat(
    env: Env,
    options: NatOptions,
    servers: Vec<ResolvedServer>,
    bell: Function<'_, (), ()>,
) -> napi::Result<Either<NatJob, Failure>> {
    let bell = NodeBell::new(bell)?;
    let started = options.into_classify(servers).and_then(|classify| {
        let names = classify.servers.iter().map(|s| (s.address, s.name.clone())).collect();
        let job = Job::start(Arc::new(bell), move |stop| classify.run(stop))?;
        Ok((job, names))
    });
    Ok(match started {
        Ok((job, names)) => {
            stop_with_environment(env, &job)?;
            Either::A(NatJob { job, names })
        }
        Err(error) => Either::B(Failure::from(&error)),
    })
}

/// A classification under way.
#[napi]
pub struct NatJob {
    job: Arc<Job<Classified>>,
    names: Vec<(SocketAddr, String)>,
}

#[napi]
impl NatJob {
    /// Ends it soon, with what is known. Twice is fine.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.job.stop();
    }

    /// What was found, once it is over.
    #[napi(catch_unwind)]
    pub fn result(&self) -> Option<Either<NatReport, Failure>> {
        self.job.result().map(|result| match &*result {
            Ok(found) => Either::A(report_of(found, &self.names)),
            Err(error) => Either::B(Failure::from(error)),
        })
    }
}

/// The axes of a NAT.
#[napi(object)]
pub struct NatBehaviour {
    /// `none`, `endpoint-independent`, `address-dependent`, `address-and-port-dependent` or `unknown`.
    pub mapping: String,
    /// The last four of these.
    pub filtering: String,
    /// The mapping depends on the destination, though it may not be known how.
    pub endpoint_dependent: Option<bool>,
    /// Nothing comes back from servers that should answer.
    pub blocked: Option<bool>,
    /// `not-applicable`, `equal`, `preserving`, `independent`, `dependent`, `random` or `unknown`.
    pub allocation: Option<String>,
    /// The step of `independent` and `dependent`.
    pub step: Option<i32>,
    /// `yes`, `internal-source`, `no`, `not-applicable`, `not-asked` or `unknown`.
    pub hairpin: Option<String>,
    /// `paired`, `arbitrary`, `not-applicable` or `unknown`.
    pub pooling: Option<String>,
}

impl NatBehaviour {
    fn into_behaviour(self) -> Behaviour {
        let step = self.step.unwrap_or(0);
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        Behaviour {
            mapping: Mapping::from_name(&self.mapping).unwrap_or(Mapping::Unknown),
            endpoint_dependent: self.endpoint_dependent.unwrap_or(false),
            filtering: Filtering::from_name(&self.filtering).unwrap_or(Filtering::Unknown),
            allocation: Allocation::from_name(&name(&self.allocation), step).unwrap_or(Allocation::Unknown),
            hairpin: Hairpin::from_name(&name(&self.hairpin)).unwrap_or(Hairpin::Unknown),
            pooling: Pooling::from_name(&name(&self.pooling)).unwrap_or(Pooling::Unknown),
            blocked: self.blocked.unwrap_or(false),
        }
    }
}

impl From<Behaviour> for NatBehaviour {
    fn from(b: Behaviour) -> Self {
        Self {
            mapping: b.mapping.as_str().to_owned(),
            filtering: b.filtering.as_str().to_owned(),
            endpoint_dependent: b.depends(),
            blocked: Some(b.blocked),
            allocation: Some(b.allocation.as_str().to_owned()),
            step: Some(b.allocation.step()),
            hairpin: Some(b.hairpin.as_str().to_owned()),
            pooling: Some(b.pooling.as_str().to_owned()),
        }
    }
}

/// P2PD's numbers and RFC 3489's name.
#[napi(object, object_from_js = false)]
pub struct NatNumbers {
    /// 1 to 7.
    #[napi(js_name = "type")]
    pub nat_type: u32,
    /// The name of RFC 3489.
    pub rfc3489: String,
    /// Something that the type needs is not known.
    pub assumed: bool,
    /// 1 to 6.
    pub delta_type: u32,
    /// The step of delta types 4 and 5.
    pub delta_value: i32,
}

impl From<nat::Numbers> for NatNumbers {
    fn from(n: nat::Numbers) -> Self {
        Self {
            nat_type: n.nat_type.into(),
            rfc3489: n.rfc3489.to_owned(),
            assumed: n.assumed,
            delta_type: n.delta_type.into(),
            delta_value: n.delta_value,
        }
    }
}

/// Derives P2PD's numbers from the axes.
#[napi(catch_unwind)]
pub fn nat_numbers(behaviour: NatBehaviour) -> NatNumbers {
    nat::numbers(&behaviour.into_behaviour()).into()
}

/// The axes that P2PD's numbers stand for; those of an unknown NAT for numbers that it does not have.
#[napi(catch_unwind)]
pub fn behaviour_of_type(nat_type: u32, delta_type: u32, delta_value: i32) -> NatBehaviour {
    let small = |n: u32| u8::try_from(n).unwrap_or(0);
    nat::behaviour_of(small(nat_type), small(delta_type), delta_value).unwrap_or(Behaviour::UNKNOWN).into()
}

/// A way to connect two hosts.
#[napi(object, object_from_js = false)]
pub struct NatTechnique {
    /// `direct`, `reverse`, `punch`, `predict` or `relay`.
    pub name: String,
    /// `yes`, `no` or `maybe`.
    pub works: String,
    /// Why.
    pub why: String,
}

/// What works between two NATs.
#[napi(object, object_from_js = false)]
pub struct NatMatch {
    /// `direct`, `punch`, `predict`, `relay` or `unknown`.
    pub verdict: String,
    /// Each way.
    pub techniques: Vec<NatTechnique>,
}

/// Compares two NATs.
#[napi(catch_unwind)]
pub fn can_connect(a: NatBehaviour, b: NatBehaviour) -> NatMatch {
    let found = nat::can_connect(&a.into_behaviour(), &b.into_behaviour());
    let technique = |(name, works, why): &(nat::Technique, nat::Works, &str)| NatTechnique {
        name: name.as_str().to_owned(),
        works: works.as_str().to_owned(),
        why: (*why).to_owned(),
    };
    NatMatch {
        verdict: found.verdict.as_str().to_owned(),
        techniques: found.techniques.iter().map(technique).collect(),
    }
}

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
    /// Why sockets could not be tied to the interface.
    pub interface_refused: Option<String>,
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

fn report_of(found: &Classified, names: &[(SocketAddr, String)]) -> NatReport {
    let numbers = found.families.first().map_or_else(|| nat::numbers(&Behaviour::UNKNOWN), |f| f.numbers);
    NatReport {
        profile: found.profile.as_str().to_owned(),
        elapsed_ms: ms(found.elapsed),
        families: found.families.iter().map(|f| family_of(f, names)).collect(),
        numbers: numbers.into(),
    }
}

fn family_of(family: &FamilyReport, names: &[(SocketAddr, String)]) -> NatFamily {
    let report = &family.report;
    let not_asked = Finding::known(Mapping::Unknown);
    let mut tcp_mapping = finding(family.tcp.unwrap_or(not_asked), Mapping::as_str);
    if family.tcp.is_none() {
        "not-asked".clone_into(&mut tcp_mapping.value);
    }
    let ignored = report.ignored;
    NatFamily {
        family: if report.local.is_ipv6() { 6 } else { 4 },
        local: report.local.to_string(),
        interface_refused: refused(&family.binding),
        behaviour: report.behaviour().into(),
        numbers: family.numbers.into(),
        external: report.externals.first().map(ToString::to_string),
        externals: report.externals.iter().map(ToString::to_string).collect(),
        connectivity: finding(report.connectivity, nat::Connectivity::as_str),
        mapping: finding(report.mapping, Mapping::as_str),
        filtering: finding(report.filtering, Filtering::as_str),
        allocation: allocation_of(&report.allocation),
        pooling: finding(report.pooling, Pooling::as_str),
        overloading: finding(report.overloading, nat::Overloading::as_str),
        alg: finding(report.alg, nat::Alg::as_str),
        hairpin: finding(report.hairpin, Hairpin::as_str),
        lifetime: lifetime_of(report.lifetime),
        tcp_mapping,
        servers: report.servers.iter().map(|s| server_of(s, names)).collect(),
        disagree: report.disagree,
        loss: NatLoss { sent: report.loss.sent, answered: report.loss.answered },
        evidence: report.evidence.iter().chain(&family.tcp_evidence).map(evidence_of).collect(),
        ignored: NatIgnored {
            garbage: ignored.garbage,
            forged: ignored.forged,
            misdirected: ignored.misdirected,
            duplicates: ignored.duplicates,
            other_family: ignored.other_family,
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
    let name = names.iter().find(|(address, _)| *address == verdict.address).map(|(_, name)| name.clone());
    NatServerVerdict {
        server: verdict.address.to_string(),
        name: name.unwrap_or_else(|| verdict.address.to_string()),
        other: verdict.other.map(|o| o.to_string()),
        can_test: verdict.cannot_test.is_none(),
        cannot_test: verdict.cannot_test.clone(),
        answered: verdict.answered,
        mapping: finding(verdict.mapping, Mapping::as_str),
        filtering: finding(verdict.filtering, Filtering::as_str),
    }
}

fn evidence_of(e: &nat::Evidence) -> NatEvidence {
    NatEvidence {
        test: e.test.as_str().to_owned(),
        server: e.server.to_string(),
        from: e.from.map(|a| a.to_string()),
        local: e.local.map(|a| a.to_string()),
        mapped: e.mapped.map(|a| a.to_string()),
        error_code: e.error_code.map(u32::from),
        errno: e.errno.map(|n| -n),
        sent_at: e.sent_at.map(ms),
        received_at: e.received_at.map(ms),
        attempts: e.attempts,
        answers: e.answers,
        silent: e.silent,
    }
}
