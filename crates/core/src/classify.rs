//! What kind of NAT is on the way: drives `routepool_proto::nat` over real sockets.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use routepool_proto::ip_block::IpBlock;
use routepool_proto::nat::{
    Classifier, Connectivity, Evidence, Finding, Mapping, Numbers, Reason, Report, Server, Settings, numbers,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Error;
use crate::defaults::{
    NAT_ANSWER_WITHIN, NAT_DOUBT, NAT_FIRST_GAPS, NAT_GAPS, NAT_GIVE_UP, NAT_LEAST_ASKED, NAT_PATIENCE,
    NAT_PATIENT_ANSWER_WITHIN, NAT_PATIENT_GAPS, NAT_PATIENT_LEAST_ASKED, NAT_PATIENT_PATIENCE, NAT_SOCKETS,
    NEXT_SERVER_AFTER,
};
use crate::discovery::servers::Resolved;
use crate::option_bounds;
use crate::runtime::{Cancel, settle};
use crate::system::bind::InterfaceBinding;
use crate::system::local_table::LocalTable;
use crate::system::own_address::unusable;

mod portal;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;

pub use portal::Portal;
use sockets::Sockets;

/// How patient a classification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// No part takes longer than 1.5 s, and TCP is not looked at.
    Fast,
    /// No part takes longer than 5 s.
    #[default]
    Normal,
    /// The whole schedule of RFC 8489 for each silence (39.5 s), and up to two minutes if loss demands it.
    Patient,
}

impl Profile {
    /// The name that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Normal => "normal",
            Self::Patient => "patient",
        }
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`Error::Option`] for another name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        match name {
            "fast" => Ok(Self::Fast),
            "normal" => Ok(Self::Normal),
            "patient" => Ok(Self::Patient),
            _ => Err(Error::option_error(
                "profile",
                format!("expected 'fast', 'normal' or 'patient' for `profile` but received '{name}'"),
            )),
        }
    }

    /// Whether the mapping of TCP connections is looked at unless the user says otherwise: it takes seconds.
    #[must_use]
    pub fn looks_at_tcp(self) -> bool {
        self != Self::Fast
    }

    /// The times that it stands for.
    #[must_use]
    pub fn settings(self) -> Settings {
        let patient = self == Self::Patient;
        Settings {
            gaps: if patient { NAT_PATIENT_GAPS.to_vec() } else { NAT_GAPS.to_vec() },
            first_gaps: if patient { NAT_PATIENT_GAPS.to_vec() } else { NAT_FIRST_GAPS.to_vec() },
            answer_within: if patient { NAT_PATIENT_ANSWER_WITHIN } else { NAT_ANSWER_WITHIN },
            give_up: NAT_GIVE_UP[self as usize],
            patience: if patient { NAT_PATIENT_PATIENCE } else { NAT_PATIENCE },
            next_server_after: NEXT_SERVER_AFTER,
            doubt: NAT_DOUBT,
            least_asked: if patient { NAT_PATIENT_LEAST_ASKED } else { NAT_LEAST_ASKED },
            sockets: NAT_SOCKETS,
            hairpin: false,
            lifetime: None,
        }
    }
}

/// What to find out.
#[derive(Clone, Debug)]
pub struct Classify {
    /// Addresses to ask from: one, or one of each family. Never a wildcard address: what is compared with one is never equal.
    pub locals: Vec<IpAddr>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// How patient.
    pub profile: Profile,
    /// Up to which age the lifetime of a mapping is measured; `None`: it is not.
    pub lifetime: Option<Duration>,
    /// Whether hairpinning is tested.
    pub hairpin: bool,
    /// Whether the mapping of TCP connections is looked at.
    pub tcp: bool,
    /// Servers, of both families.
    pub servers: Vec<Resolved>,
    /// Names of servers that did not resolve.
    pub unresolved: Vec<String>,
    /// Whom to ask for a captive portal, if no server answers.
    pub portal: Option<Portal>,
}

/// What was found of one family.
#[derive(Clone, Debug)]
pub struct FamilyReport {
    /// What the packets said.
    pub report: Report,
    /// P2PD's numbers.
    pub numbers: Numbers,
    /// The mapping of TCP connections; `None` if nobody asked.
    pub tcp: Option<Finding<Mapping>>,
    /// By what.
    pub tcp_evidence: Vec<Evidence>,
    /// How the sockets were bound to the interface.
    pub binding: InterfaceBinding,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Classified {
    /// How patient it was.
    pub profile: Profile,
    /// Each family, IPv4 first.
    pub families: Vec<FamilyReport>,
    /// Since the start.
    pub elapsed: Duration,
}

impl Classify {
    /// Checks what can be checked without sending anything.
    ///
    /// # Errors
    /// [`Error::Option`] with the option to change; [`Error::NotLocal`] for an address that this machine does not hold.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |message: &str| Err(Error::option_error("from", message));
        match self.locals.as_slice() {
            [_] => {}
            [a, b] if a.is_ipv6() != b.is_ipv6() => {}
            [] => return wrong("expected an address to ask from for `from` but received none"),
            _ => return wrong("expected one address, or one of each family, for `from`"),
        }
        for local in &self.locals {
            if local.is_unspecified() || local.is_multicast() {
                let message = format!("expected an address of this machine for `from` but received {local}");
                return Err(Error::option_error("from", message));
            }
            if let Some(what) = unusable(*local) {
                let message = format!("expected an address of this machine for `from` but received {what}");
                return Err(Error::option_error("from", message));
            }
            let system = |source| Error::System { syscall: "netlink", address: None, source };
            let one = IpBlock::from_range(*local, *local).map_err(|e| Error::Block(e.to_string()))?;
            LocalTable::read(local.is_ipv6()).map_err(system)?.check(&one)?;
        }
        if let Some(most) = self.lifetime {
            // Whole milliseconds are all that anybody asks for.
            option_bounds::LIFETIME_MAX_MS.check((most.as_secs_f64() * 1_000.0).round())?;
        }
        Ok(())
    }

    /// Finds it out; both families at once. When `cancel` says so, what is known is given.
    ///
    /// # Errors
    /// As [`Classify::check`]; system errors of opening the first socket.
    pub async fn run(self, cancel: Cancel) -> Result<Classified, Error> {
        self.check()?;
        let began = Instant::now();
        let profile = self.profile;
        let mut locals = self.locals.clone();
        locals.sort_by_key(IpAddr::is_ipv6);
        let own = Arc::new(self);
        let family = |local: Option<IpAddr>| {
            let (own, cancel) = (Arc::clone(&own), cancel.clone());
            async move {
                match local {
                    Some(local) => Some(settle(async move { own.family(local, &cancel).await }).await),
                    None => None,
                }
            }
        };
        // One, or one of each family.
        let (first, second) = tokio::join!(family(locals.first().copied()), family(locals.get(1).copied()));
        let families = [first, second].into_iter().flatten().collect::<Result<_, _>>()?;
        Ok(Classified { profile, families, elapsed: began.elapsed() })
    }

    async fn family(&self, local: IpAddr, cancel: &Cancel) -> Result<FamilyReport, Error> {
        let servers: Vec<Server> = self
            .servers
            .iter()
            .filter(|s| s.address.is_ipv6() == local.is_ipv6())
            .map(|s| Server { address: s.address })
            .collect();
        let settings = Settings { hairpin: self.hairpin, lifetime: self.lifetime, ..self.profile.settings() };
        // Packets of loopback leave by no other interface.
        let interface = self.interface.as_deref().filter(|_| !local.is_loopback());
        let began = Instant::now();
        let mut classifier = Classifier::new(local, &servers, settings, rand::random());
        let mut sockets = Sockets::new(local, interface)?;
        let binding = sockets.binding();
        let bound = interface.filter(|_| binding == InterfaceBinding::Bound);
        let (tell, course) = watch::channel(Course::default());
        let driven = async {
            sockets.drive(&mut classifier, began, cancel, &tell).await;
            tell.send_modify(|course| course.over = true);
        };
        let cause = cancel.unless(self.cause(local, bound, &servers, course));
        let ((), cause) = tokio::join!(driven, cause);
        let mut report = classifier.finish(began.elapsed());
        let (mut tcp, mut tcp_evidence) = (None, Vec::new());
        if self.tcp {
            let unknown = |reason| (Finding::because(Mapping::Unknown, reason), Vec::new());
            let answered = report.connectivity.value == Connectivity::Ok;
            let (finding, evidence) = if cancel.is_cancelled() {
                unknown(Reason::Stopped)
            } else if answered {
                let found = cancel.unless(tcp::mapping(local, bound, &report, began)).await;
                found.unwrap_or_else(|| unknown(Reason::Stopped))
            } else {
                unknown(Reason::NoAnswer)
            };
            (tcp, tcp_evidence) = (Some(finding), evidence);
        }
        self.diagnose(&mut report, cause.flatten());
        let numbers = numbers(&report.behaviour());
        Ok(FamilyReport { report, numbers, tcp, tcp_evidence, binding })
    }

    /// Why no server answers, looked for beside the UDP tests once these have been silent for a while.
    async fn cause(
        &self,
        local: IpAddr,
        bound: Option<&str>,
        servers: &[Server],
        mut course: watch::Receiver<Course>,
    ) -> Option<(Connectivity, Reason)> {
        // A refusal has causes too: a firewall that lets TCP pass, or a portal.
        let told = course.wait_for(|course| course.refused || course.over || course.heard);
        let told = timeout(NAT_PATIENCE, told).await;
        if told.is_ok_and(|told| told.is_ok_and(|course| !course.refused)) {
            return None;
        }
        let portal = self.portal.as_ref().filter(|p| p.address.is_ipv6() == local.is_ipv6());
        let addresses: Vec<SocketAddr> = servers.iter().map(|s| s.address).collect();
        let look = async {
            if bound.is_some() && no_route(local, &addresses) {
                return Some((Connectivity::NoRoute, Reason::NoRoute));
            }
            if let Some(portal) = portal
                && portal.is_captive(local, bound).await
            {
                return Some((Connectivity::CaptivePortal, Reason::CaptivePortal));
            }
            let reached = tcp::reaches_one(local, bound, &addresses).await;
            reached.then_some((Connectivity::UdpBlocked, Reason::UdpBlocked))
        };
        tokio::select! {
            cause = look => cause,
            // Who has answered meanwhile needs no cause.
            Ok(_) = course.wait_for(|course| course.heard) => None,
        }
    }

    fn diagnose(&self, report: &mut Report, cause: Option<(Connectivity, Reason)>) {
        let refused = |e: &Evidence| {
            e.errno.is_some_and(|errno| {
                std::io::Error::from_raw_os_error(errno).kind() == ErrorKind::PermissionDenied
            })
        };
        let why = match report.connectivity.value {
            Connectivity::NoServer if !self.unresolved.is_empty() => {
                Some((Connectivity::DnsFailed, Reason::DnsFailed))
            }
            Connectivity::NoReply if report.connectivity.reason != Some(Reason::CannotTest) => cause,
            // A firewall on this machine.
            Connectivity::NoRoute if report.evidence.iter().any(refused) => {
                Some((Connectivity::NoRoute, Reason::Refused))
            }
            _ => None,
        };
        if let Some((value, reason)) = why {
            report.connectivity = Finding::because(value, reason);
        }
    }
}

/// Whether the system has no route to any of them. A socket that is bound to an interface does not learn of it: without a route
/// Linux takes every address to be a neighbour on that link.
fn no_route(local: IpAddr, servers: &[SocketAddr]) -> bool {
    let unreachable = |to: &SocketAddr| {
        let connected = UdpSocket::bind((local, 0)).and_then(|socket| socket.connect(to));
        connected.is_err_and(|error| error.kind() == ErrorKind::NetworkUnreachable)
    };
    !servers.is_empty() && servers.iter().all(unreachable)
}

/// What the UDP tests tell the search for a cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Course {
    heard: bool,
    /// By all servers.
    refused: bool,
    over: bool,
}
