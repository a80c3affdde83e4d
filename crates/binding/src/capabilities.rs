//! What this machine allows.

use napi_derive::napi;
use routepool_core::capabilities::Capability;

/// Something that routepool can make use of.
#[napi(object, object_from_js = false)]
pub struct CapabilityFacts {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub available: bool,
    /// What was found, or why not.
    pub what: String,
    /// What goes without it, and what to do; empty if it is there.
    pub advice: String,
}

/// Tries what this machine allows. Nothing is sent.
#[napi(catch_unwind)]
pub fn list_capabilities() -> Vec<CapabilityFacts> {
    routepool_core::capabilities::capabilities().into_iter().map(CapabilityFacts::from).collect()
}

impl From<Capability> for CapabilityFacts {
    fn from(capability: Capability) -> Self {
        let Capability { name, available, what, advice } = capability;
        Self { name: name.to_owned(), available, what, advice: advice.to_owned() }
    }
}
