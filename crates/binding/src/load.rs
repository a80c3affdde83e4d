//! Loading an interface.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Either, Unknown};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::defaults::DISCOVERY_TIMEOUT;
use routepool_core::discovery::load::{Load, Loaded, choose};
use routepool_core::interface::Facts;
use routepool_core::option_bounds::TIMEOUT_MS;

use crate::failure::Failure;
use crate::interface::{InterfaceFacts, interfaces};
use crate::loaded::LoadedInterface;
use crate::promise::{CancelWork, promise};
use crate::servers::ResolvedServer;
use crate::units::duration;

/// What to load, and how.
#[napi(object, object_to_js = false)]
pub struct LoadOptions {
    /// Name of the interface, or an address that it holds; the default one if missing.
    pub interface: Option<String>,
    /// When a server is given up.
    pub timeout_ms: Option<f64>,
}

/// A chosen interface, before its servers are resolved.
#[napi]
pub struct LoadPlan {
    facts: Facts,
    timeout: Duration,
}

/// Chooses the interface. Nothing is sent.
#[napi(catch_unwind)]
pub fn plan_load(options: LoadOptions) -> Either<LoadPlan, Failure> {
    match plan(&options) {
        Ok(plan) => Either::A(plan),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn plan(options: &LoadOptions) -> Result<LoadPlan, Error> {
    let facts = choose(&interfaces()?, options.interface.as_deref())?.clone();
    let timeout = options.timeout_ms.map(|ms| TIMEOUT_MS.check(ms)).transpose()?.and_then(duration);
    Ok(LoadPlan { facts, timeout: timeout.unwrap_or(DISCOVERY_TIMEOUT) })
}

/// What a load is about to do.
#[napi(object, object_from_js = false)]
pub struct LoadFacts {
    /// The interface.
    pub interface: InterfaceFacts,
    /// Whether it has IPv4 addresses that can be asked for what they leave as.
    pub asks_ipv4: bool,
    /// The same for IPv6.
    pub asks_ipv6: bool,
}

#[napi]
impl LoadPlan {
    /// What it is about to do.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> LoadFacts {
        LoadFacts {
            interface: InterfaceFacts::from(&self.facts),
            asks_ipv4: !self.facts.held(false).is_empty(),
            asks_ipv6: !self.facts.held(true).is_empty(),
        }
    }

    /// Asks the servers.
    #[napi(catch_unwind, ts_return_type = "Promise<InterfaceLoad | Failure>")]
    pub fn load(
        &self,
        env: Env,
        servers: Vec<ResolvedServer>,
        public: bool,
        cancel: &CancelWork,
    ) -> napi::Result<Unknown<'static>> {
        let (facts, timeout) = (self.facts.clone(), self.timeout);
        let cancel = cancel.inner();
        promise(env, cancel.clone(), async move {
            let all =
                servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<Vec<_>, _>>()?;
            let (servers_ipv6, servers_ipv4) = all.into_iter().partition(|s| s.address.is_ipv6());
            let load = Load { facts, servers_ipv4, servers_ipv6, timeout, public };
            Ok(InterfaceLoad { loaded: load.run(cancel).await? })
        })
    }
}

/// A load that is over.
#[napi]
pub struct InterfaceLoad {
    loaded: Loaded,
}

#[napi]
impl InterfaceLoad {
    /// What was found.
    #[napi(catch_unwind)]
    pub fn found(&self) -> LoadedInterface {
        LoadedInterface::from(&self.loaded)
    }
}

impl InterfaceLoad {
    /// What was found.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }
}
