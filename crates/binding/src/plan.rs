//! A checked request, to be started once its servers are resolved.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Either, Function};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::validate::{Plan, Run};

use crate::failure::Failure;
use crate::node_waker::NodeWaker;
use crate::servers::{ResolvedServer, ServerTarget};
use crate::sweep::Sweep;
use crate::sweep::options::SweepOptions;
use crate::units::family;

/// Parses and checks everything that needs no network: blocks, ownership, servers, numbers, state file. Nothing is sent.
#[napi(catch_unwind)]
pub fn plan_sweep(options: SweepOptions) -> Either<SweepPlan, Failure> {
    match options.into_request().and_then(Plan::new) {
        Ok(plan) => Either::A(SweepPlan { plan: Some(plan) }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

/// A checked request.
#[napi]
pub struct SweepPlan {
    plan: Option<Plan>,
}

/// What a plan is about to do.
#[napi(object, object_from_js = false)]
pub struct PlanFacts {
    /// The blocks, in canonical form.
    pub blocks: Vec<String>,
    /// 4 or 6.
    pub family: u32,
    /// How many sources will be asked.
    pub sources: u32,
    /// The host policy of each block.
    pub hosts: Vec<String>,
    /// `embedded`, `named` or `public`.
    pub server_origin: String,
    /// Servers to resolve for the family.
    pub servers: Vec<ServerTarget>,
    /// The rate limit that will hold.
    pub rate_per_second: Option<f64>,
    /// Seed of the order.
    pub seed: BigInt,
    /// Whether a saved state is gone on with.
    pub resumed: bool,
}

#[napi]
impl SweepPlan {
    /// What the plan is about to do; empty after `start`.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> Option<PlanFacts> {
        let plan = self.plan.as_ref()?;
        let targets = plan.targets();
        let servers = plan.servers().iter().map(ServerTarget::from);
        Some(PlanFacts {
            blocks: targets.blocks().iter().map(ToString::to_string).collect(),
            family: family(targets.is_ipv6()),
            sources: targets.len(),
            hosts: targets.blocks().iter().map(|b| b.hosts().to_string()).collect(),
            server_origin: plan.origin().as_str().to_owned(),
            servers: servers.collect(),
            rate_per_second: plan.rate(),
            seed: plan.seed().into(),
            resumed: plan.is_resumed(),
        })
    }

    /// Starts the sweep on its own thread. `servers` are the resolved ones; `waker` is called, at most once between two
    /// drains, when verdicts or the result can be fetched, and does not keep the process alive.
    #[napi(catch_unwind)]
    pub fn start(
        &mut self,
        env: Env,
        servers: Vec<ResolvedServer>,
        waker: Function<'_, (), ()>,
    ) -> napi::Result<Either<Sweep, Failure>> {
        let waker = NodeWaker::new(waker)?;
        let run = self.take().and_then(|plan| {
            let servers =
                servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<Vec<_>, _>>()?;
            plan.start(servers, Arc::new(waker))
        });
        sweep(env, run)
    }

    /// As `start`, for a plan that was stopped before its servers were resolved.
    #[napi(catch_unwind)]
    pub fn start_stopped(
        &mut self,
        env: Env,
        waker: Function<'_, (), ()>,
    ) -> napi::Result<Either<Sweep, Failure>> {
        let waker = NodeWaker::new(waker)?;
        sweep(env, self.take().and_then(|plan| plan.start_stopped(Arc::new(waker))))
    }

    /// Gives up what the plan holds, such as its state file; for a plan that will not be started.
    #[napi(catch_unwind)]
    pub fn discard(&mut self) {
        self.plan = None;
    }

    fn take(&mut self) -> Result<Plan, Error> {
        self.plan.take().ok_or_else(|| Error::Internal("the plan was started before".into()))
    }
}

fn sweep(env: Env, run: Result<Run, Error>) -> napi::Result<Either<Sweep, Failure>> {
    Ok(match run {
        Ok(run) => Either::A(Sweep::new(env, run)?),
        Err(error) => Either::B(Failure::from(&error)),
    })
}
