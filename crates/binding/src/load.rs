//! Loading an interface.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Either, Function};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::defaults::DISCOVERY_TIMEOUT;
use routepool_core::discovery::load::{Load, Loaded, choose};
use routepool_core::interface::Facts;
use routepool_core::job::Job;
use routepool_core::option_bounds::TIMEOUT_MS;

use crate::failure::Failure;
use crate::interface::{InterfaceFacts, interfaces};
use crate::job::stop_with_environment;
use crate::loaded::LoadedInterface;
use crate::node_waker::NodeWaker;
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

    /// Asks the servers, on a thread of its own; `waker` is called once, when the result is there, and does not keep the process
    /// alive.
    #[napi(catch_unwind)]
    pub fn start(
        &self,
        env: Env,
        servers: Vec<ResolvedServer>,
        public: bool,
        waker: Function<'_, (), ()>,
    ) -> napi::Result<Either<InterfaceLoad, Failure>> {
        let waker = NodeWaker::new(waker)?;
        let resolved = servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<Vec<_>, _>>();
        let started = resolved.and_then(|all| {
            let (servers_ipv6, servers_ipv4) = all.into_iter().partition(|s| s.address.is_ipv6());
            let load =
                Load { facts: self.facts.clone(), servers_ipv4, servers_ipv6, timeout: self.timeout, public };
            Job::start(Arc::new(waker), move |stop| load.run(stop))
        });
        Ok(match started {
            Ok(job) => {
                stop_with_environment(env, &job)?;
                Either::A(InterfaceLoad { job })
            }
            Err(error) => Either::B(Failure::from(&error)),
        })
    }
}

/// A load under way.
#[napi]
pub struct InterfaceLoad {
    job: Arc<Job<Loaded>>,
}

#[napi]
impl InterfaceLoad {
    /// Ends it soon. Idempotent.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.job.stop();
    }

    /// What was found, once it is over.
    #[napi(catch_unwind)]
    pub fn result(&self) -> Option<Either<LoadedInterface, Failure>> {
        self.job.result().map(|result| match &*result {
            Ok(loaded) => Either::A(LoadedInterface::from(loaded)),
            Err(error) => Either::B(Failure::from(error)),
        })
    }
}

impl InterfaceLoad {
    /// What was found, once it is over.
    pub(crate) fn loaded(&self) -> Option<Arc<Result<Loaded, Error>>> {
        self.job.result()
    }
}
