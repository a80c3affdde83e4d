//! What kind of NAT is on the way.

use std::net::SocketAddr;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::classify::{Classify, Portal, Profile};
use routepool_core::defaults::NAT_LIFETIME;
use routepool_core::system::own_address::read_address;
use routepool_proto::nat::{self, Allocation, Behaviour, Filtering, Hairpin, Mapping, Pooling};

use crate::promise::{CancelWork, promise};
use crate::servers::ResolvedServer;
use crate::units::duration;

mod report;

use report::report_of;

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
            read_address(text).ok_or_else(|| {
                wrong("from", format!("expected an IP address for `from` but received '{text}'"))
            })
        };
        let profile = self.profile.as_deref().map(Profile::from_name).transpose()?.unwrap_or_default();
        let most = match self.lifetime_max_ms {
            None => NAT_LIFETIME,
            Some(ms) => duration(ms).unwrap_or(Duration::MAX),
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
            tcp: self.tcp.unwrap_or(profile.looks_at_tcp()),
            servers: servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<_, _>>()?,
            unresolved: self.unresolved.unwrap_or_default(),
            portal: portal.transpose()?,
        };
        classify.check()?;
        Ok(classify)
    }
}

/// Finds it out. When `cancel` is told, the promise comes with what is known by then.
#[napi(catch_unwind, ts_return_type = "Promise<NatReport | Failure>")]
pub fn classify_nat(
    env: Env,
    options: NatOptions,
    servers: Vec<ResolvedServer>,
    cancel: &CancelWork,
) -> napi::Result<Unknown<'static>> {
    let cancel = cancel.inner();
    promise(env, cancel.clone(), async move {
        let classify = options.into_classify(servers)?;
        let names: Vec<_> = classify.servers.iter().map(|s| (s.address, s.name.clone())).collect();
        Ok(report_of(&classify.run(cancel).await?, &names))
    })
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
