//! A loaded interface as plain objects.

use napi_derive::napi;
use routepool_core::discovery::load::{Family, Loaded};
use routepool_proto::routes::Route;

use crate::interface::{InterfaceFacts, Prefix};
use crate::observe::AddressSeen;
use crate::units::ms;

/// Local addresses that leave as the same external ones.
#[napi(object, object_from_js = false)]
pub struct FoundRoute {
    /// Addresses and blocks of the interface.
    pub local: Vec<Prefix>,
    /// What they leave as.
    pub external: Option<Prefix>,
    /// `agreed`, `single-server`, `unsure` or `unverified`.
    pub certainty: String,
    /// Whether a block in it was only sampled.
    pub assumed: bool,
    /// The addresses that were asked.
    pub asked: Vec<String>,
}

/// What was found of one family.
#[napi(object, object_from_js = false)]
pub struct LoadedFamily {
    /// The routes.
    pub routes: Vec<FoundRoute>,
    /// What was seen.
    pub seen: Vec<AddressSeen>,
    /// Datagrams that were ignored: no STUN, forged, misdirected or double.
    pub ignored: u32,
    /// Why the socket could not be bound to the interface.
    pub interface_bind_error: Option<String>,
    /// Why there is no route with an external address.
    pub no_route_reason: Option<String>,
}

/// A loaded interface.
#[napi(object, object_from_js = false)]
pub struct LoadedInterface {
    /// What the system says of it.
    pub facts: InterfaceFacts,
    /// IPv4.
    pub ipv4: LoadedFamily,
    /// IPv6.
    pub ipv6: LoadedFamily,
    /// Link-local IPv6 addresses.
    pub link_local: Vec<String>,
    /// How long it took.
    pub elapsed_ms: f64,
}

impl From<&Loaded> for LoadedInterface {
    fn from(loaded: &Loaded) -> Self {
        Self {
            facts: InterfaceFacts::from(&loaded.facts),
            ipv4: LoadedFamily::from(&loaded.ipv4),
            ipv6: LoadedFamily::from(&loaded.ipv6),
            link_local: loaded.facts.link_local().iter().map(ToString::to_string).collect(),
            elapsed_ms: ms(loaded.elapsed),
        }
    }
}

impl From<&Family> for LoadedFamily {
    fn from(family: &Family) -> Self {
        let ignored = &family.ignored;
        Self {
            routes: family.routes.iter().map(FoundRoute::from).collect(),
            seen: family.observations.iter().map(AddressSeen::from).collect(),
            ignored: ignored.garbage + ignored.forged + ignored.misdirected + ignored.duplicates,
            interface_bind_error: family.binding.refusal().map(str::to_owned),
            no_route_reason: family.no_route_reason.clone(),
        }
    }
}

impl From<&Route> for FoundRoute {
    fn from(route: &Route) -> Self {
        Self {
            local: route.local.iter().map(Prefix::from).collect(),
            external: route.external.as_ref().map(Prefix::from),
            certainty: route.certainty.as_str().to_owned(),
            assumed: route.assumed,
            asked: route.asked.iter().map(ToString::to_string).collect(),
        }
    }
}
