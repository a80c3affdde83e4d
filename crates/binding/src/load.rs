//! Loading an interface.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Either, Function};
use napi_derive::napi;
use routepool_core::Error;
use routepool_core::defaults::DISCOVERY_TIMEOUT;
use routepool_core::discovery::discover::Seen;
use routepool_core::discovery::load::{Family, Load, Loaded, Observe, choose};
use routepool_core::discovery::servers::{self, Origin};
use routepool_core::errno;
use routepool_core::interface::Facts;
use routepool_core::job::Job;
use routepool_core::system::bind::InterfaceBinding;
use routepool_core::system::bind::{self, Wish};
use routepool_proto::discovery::{Answer, Observation as Observed};
use routepool_proto::routes::Route;

use crate::bell::NodeBell;
use crate::convert::ResolvedServer;
use crate::failure::Failure;
use crate::interface::{InterfaceFacts, Prefix, interfaces};
use crate::plan::ServerTarget;

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
    let timeout = options.timeout_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
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

    /// Asks the servers, on a thread of its own; `bell` is called once, when the result is there, and does not keep the process
    /// alive.
    #[napi(catch_unwind)]
    pub fn start(
        &self,
        env: Env,
        servers: Vec<ResolvedServer>,
        public: bool,
        bell: Function<'_, (), ()>,
    ) -> napi::Result<Either<InterfaceLoad, Failure>> {
        let bell = NodeBell::new(bell)?;
        let resolved = servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<Vec<_>, _>>();
        let started = resolved.and_then(|all| {
            let (servers_ipv6, servers_ipv4) = all.into_iter().partition(|s| s.address.is_ipv6());
            let load =
                Load { facts: self.facts.clone(), servers_ipv4, servers_ipv6, timeout: self.timeout, public };
            Job::start(Arc::new(bell), move |stop| load.run(stop))
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
    /// Ends it soon. Twice is fine.
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

/// Which servers are asked: the named ones, or public ones.
#[napi(object, object_from_js = false)]
pub struct ServerChoice {
    /// `named` or `public`.
    pub origin: String,
    /// Servers to resolve.
    pub servers: Vec<ServerTarget>,
}

/// Reads the names of servers; without any, the public ones.
#[napi(catch_unwind)]
pub fn choose_servers(named: Vec<String>) -> Either<ServerChoice, Failure> {
    match servers::choose(&named, false) {
        Ok(choice) if choice.origin == Origin::Embedded => Either::B(Failure::from(&Error::Server(
            "the embedded responder is inside this machine and cannot say what addresses leave as: name a server elsewhere"
                .to_owned(),
        ))),
        Ok(choice) => Either::A(ServerChoice {
            origin: choice.origin.as_str().to_owned(),
            servers: choice.servers.iter().map(ServerTarget::from).collect(),
        }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

/// What to ask some addresses for.
#[napi(object, object_to_js = false)]
pub struct ObserveOptions {
    /// Addresses of this machine, of one family.
    pub addresses: Vec<String>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// When a server is given up.
    pub timeout_ms: Option<f64>,
    /// Whether the servers are public ones.
    pub public: bool,
}

/// Asks what addresses leave as, on a thread of its own; `bell` as in `LoadPlan.start`.
#[napi(catch_unwind)]
pub fn observe(
    env: Env,
    options: ObserveOptions,
    servers: Vec<ResolvedServer>,
    bell: Function<'_, (), ()>,
) -> napi::Result<Either<Observation, Failure>> {
    let bell = NodeBell::new(bell)?;
    let started =
        start_observe(options, servers).and_then(|ask| Job::start(Arc::new(bell), move |stop| ask.run(stop)));
    Ok(match started {
        Ok(job) => {
            stop_with_environment(env, &job)?;
            Either::A(Observation { job })
        }
        Err(error) => Either::B(Failure::from(&error)),
    })
}

fn start_observe(options: ObserveOptions, servers: Vec<ResolvedServer>) -> Result<Observe, Error> {
    let address =
        |text: &String| text.parse().map_err(|_| Error::Block(format!("'{text}' is not an IP address")));
    let timeout = options.timeout_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
    Ok(Observe {
        sources: options.addresses.iter().map(address).collect::<Result<_, _>>()?,
        servers: servers.into_iter().map(ResolvedServer::into_resolved).collect::<Result<_, _>>()?,
        interface: options.interface,
        timeout: timeout.unwrap_or(DISCOVERY_TIMEOUT),
        public: options.public,
    })
}

/// The environment (the process, or a worker) may end first: then the thread must not go on sending.
pub(crate) fn stop_with_environment<T: Send + Sync + 'static>(
    env: Env,
    job: &Arc<Job<T>>,
) -> napi::Result<()> {
    env.add_env_cleanup_hook(Arc::downgrade(job), |weak| {
        if let Some(job) = weak.upgrade() {
            job.stop();
        }
    })?;
    Ok(())
}

/// Addresses being asked for.
#[napi]
pub struct Observation {
    job: Arc<Job<Seen>>,
}

#[napi]
impl Observation {
    /// Ends it soon. Twice is fine.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.job.stop();
    }

    /// What was seen, once it is over.
    #[napi(catch_unwind)]
    pub fn result(&self) -> Option<Either<Vec<AddressSeen>, Failure>> {
        self.job.result().map(|result| match &*result {
            Ok(seen) => Either::A(seen.observations.iter().map(AddressSeen::from).collect()),
            Err(error) => Either::B(Failure::from(error)),
        })
    }
}

/// What to bind.
#[napi(object, object_to_js = false)]
pub struct BindOptions {
    /// Local address.
    pub ip: String,
    /// Local port; 0 leaves the choice to the system.
    pub port: u32,
    /// Number of the interface, for link-local IPv6 addresses.
    pub scope_id: Option<u32>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// Go on without the interface where the system refuses it.
    pub best_effort: bool,
}

/// What a socket was bound to.
#[napi(object, object_from_js = false)]
pub struct BoundAddress {
    /// Local address.
    pub ip: String,
    /// Local port.
    pub port: u32,
    /// Why the socket could not be tied to the interface.
    pub interface_bind_error: Option<String>,
}

/// Binds a UDP socket to an address of this machine, looks at it and closes it again.
#[napi(catch_unwind)]
pub fn check_bind(options: BindOptions) -> Either<BoundAddress, Failure> {
    let bound = wished(&options).and_then(|local| {
        bind::check(&Wish {
            local,
            interface: options.interface.as_deref(),
            best_effort: options.best_effort,
        })
    });
    match bound {
        Ok(bound) => Either::A(BoundAddress {
            ip: bound.local.ip().to_string(),
            port: bound.local.port().into(),
            interface_bind_error: refused(&bound.interface),
        }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn wished(options: &BindOptions) -> Result<SocketAddr, Error> {
    let ip: IpAddr =
        options.ip.parse().map_err(|_| Error::Block(format!("'{}' is not an IP address", options.ip)))?;
    let port = u16::try_from(options.port).map_err(|_| Error::Option {
        option: "port",
        message: format!("expected an integer from 0 to 65535 for `port` but received {}", options.port),
    })?;
    Ok(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, options.scope_id.unwrap_or(0)).into(),
    })
}

pub(crate) fn refused(binding: &InterfaceBinding) -> Option<String> {
    match binding {
        InterfaceBinding::Refused(why) => Some(why.clone()),
        InterfaceBinding::Bound | InterfaceBinding::NotAsked => None,
    }
}

/// What one server did with the requests of one address.
#[napi(object, object_from_js = false)]
pub struct ServerAnswer {
    /// The server, by its number among those of its family.
    pub server: u32,
    /// The address that it saw.
    pub external: Option<String>,
    /// The port that it saw.
    pub external_port: Option<u32>,
    /// From the request that was answered to the answer.
    pub round_trip_ms: Option<f64>,
    /// How often it was asked.
    pub attempts: u32,
    /// Negative error number of a refused send.
    pub errno: Option<i32>,
    /// Error response.
    pub error_code: Option<u32>,
}

/// All that was seen of one address.
#[napi(object, object_from_js = false)]
pub struct AddressSeen {
    /// The address.
    pub ip: String,
    /// The port it was asked from.
    pub port: u32,
    /// What it leaves as.
    pub external: Option<String>,
    /// `agreed`, `single-server`, `unsure` or `unverified`.
    pub certainty: String,
    /// Whether all servers saw the port that was sent from.
    pub port_preserved: Option<bool>,
    /// What each server did.
    pub answers: Vec<ServerAnswer>,
}

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
    /// Why the socket could not be tied to the interface.
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
            elapsed_ms: loaded.elapsed.as_secs_f64() * 1_000.0,
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
            interface_bind_error: refused(&family.binding),
            no_route_reason: family.why_none.clone(),
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

impl From<&Observed> for AddressSeen {
    fn from(seen: &Observed) -> Self {
        Self {
            ip: seen.source.to_string(),
            port: seen.local_port.into(),
            external: seen.conclusion.external.map(|ip| ip.to_string()),
            certainty: seen.conclusion.certainty.as_str().to_owned(),
            port_preserved: seen.conclusion.port_preserved,
            answers: seen.answers.iter().map(ServerAnswer::from).collect(),
        }
    }
}

impl From<&Answer> for ServerAnswer {
    fn from(answer: &Answer) -> Self {
        Self {
            server: answer.server as u32,
            external: answer.external.map(|e| e.ip().to_string()),
            external_port: answer.external.map(|e| e.port().into()),
            round_trip_ms: answer.round_trip.map(|d| d.as_secs_f64() * 1_000.0),
            attempts: answer.attempts.into(),
            errno: answer.errno.map(|n| -i32::from(errno::node_number(n))),
            error_code: answer.error_code.map(u32::from),
        }
    }
}
