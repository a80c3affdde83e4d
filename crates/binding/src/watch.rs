//! Watching interfaces.

use std::net::IpAddr;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Either, Function};
use napi_derive::napi;
use routepool_core::watch::{Counters, Drained, External, Options, Watch};
use routepool_proto::ip_block::IpBlock;
use routepool_proto::scope::scope;
use routepool_proto::watch::{Change, DefaultRoute, InterfaceId};

use crate::failure::Failure;
use crate::interface::Prefix;
use crate::load::InterfaceLoad;
use crate::node_waker::NodeWaker;
use crate::units::{duration, family, ms};

/// Where traffic goes that no other route takes.
#[napi(object, object_from_js = false)]
pub struct DefaultRouteFacts {
    /// The interface.
    pub interface: String,
    /// The router.
    pub gateway: Option<String>,
}

/// One change; which fields there are depends on `kind`.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct ChangeFacts {
    /// `address-added` and so on.
    pub kind: String,
    /// Name of the interface.
    pub interface: Option<String>,
    /// Its number.
    pub index: Option<u32>,
    /// The address, or the first one of a block.
    pub ip: Option<String>,
    /// Length of its prefix.
    pub prefix_length: Option<u32>,
    /// 4 or 6.
    pub family: Option<u32>,
    /// Kind of the address.
    pub scope: Option<String>,
    /// Name of the interface before.
    pub previous_name: Option<String>,
    /// The default route before.
    pub previous: Option<DefaultRouteFacts>,
    /// The default route now.
    pub now: Option<DefaultRouteFacts>,
    /// For how long the machine was asleep.
    pub slept_ms: Option<f64>,
}

/// What was fetched.
#[napi(object, object_from_js = false)]
pub struct DrainedChanges {
    /// Changes, oldest first.
    pub changes: Vec<ChangeFacts>,
    /// Whether ways through the network may have changed otherwise.
    pub paths: bool,
}

/// Addresses that leave as something else.
#[napi(object, object_from_js = false)]
pub struct ExternalFacts {
    /// 4 or 6.
    pub family: u32,
    /// Number of the route among those of its family.
    pub route: u32,
    /// The local side.
    pub locals: Vec<Prefix>,
    /// What they left as, if that was known.
    pub previous: Option<Prefix>,
    /// What they leave as now.
    pub external: Prefix,
    /// How sure that is.
    pub certainty: String,
}

/// What a watch has done so far.
#[napi(object, object_from_js = false)]
pub struct WatchCounters {
    /// `netlink` or `polling`.
    pub method: String,
    /// Looks at all interfaces.
    pub scans: f64,
    /// Messages of the system that could mean a change.
    pub events: f64,
    /// Messages that said what was known.
    pub repeated: f64,
    /// Overflows of the system's buffer.
    pub overflows: f64,
    /// Lost connections to the system.
    pub disconnects: f64,
    /// Looks that failed.
    pub failures: f64,
    /// Looks whose changes were merged.
    pub coalesced: f64,
}

/// A watch on its own thread.
#[napi]
pub struct InterfaceWatch {
    watch: Arc<Watch>,
}

/// Begins to watch. `waker` is called when changes wait, once until they are drained, and does not keep the process alive.
#[napi(catch_unwind)]
pub fn start_watch(
    env: Env,
    every_ms: Option<f64>,
    waker: Function<'_, (), ()>,
) -> napi::Result<Either<InterfaceWatch, Failure>> {
    let waker = NodeWaker::new(waker)?;
    let every = every_ms.and_then(duration);
    Ok(match Watch::start(Arc::new(waker), Options { every }) {
        Ok(watch) => {
            let watch = Arc::new(watch);
            // The environment (the process, or a worker) may end first.
            env.add_env_cleanup_hook(Arc::downgrade(&watch), |weak| {
                if let Some(watch) = weak.upgrade() {
                    watch.stop();
                }
            })?;
            Either::A(InterfaceWatch { watch })
        }
        Err(error) => Either::B(Failure::from(&error)),
    })
}

#[napi]
impl InterfaceWatch {
    /// At most `most` changes; none means that the waker is called for the next.
    #[napi(catch_unwind)]
    pub fn drain(&self, most: u32) -> DrainedChanges {
        let Drained { changes, paths } = self.watch.drain(most as usize);
        DrainedChanges { changes: changes.iter().map(ChangeFacts::from).collect(), paths }
    }

    /// Compares what a loaded interface leaves as with what was known, and learns. Nothing if the load is not over.
    #[napi(catch_unwind)]
    pub fn externals(&self, load: &InterfaceLoad) -> Vec<ExternalFacts> {
        self.watch.externals(load.loaded()).iter().map(ExternalFacts::from).collect()
    }

    /// What it has done so far.
    #[napi(catch_unwind)]
    pub fn counters(&self) -> WatchCounters {
        self.watch.counters().into()
    }

    /// Why it has ended by itself, if it has.
    #[napi(catch_unwind)]
    pub fn failed(&self) -> Option<Failure> {
        self.watch.failed().map(|error| Failure::from(&*error))
    }

    /// Ends it. Idempotent.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.watch.stop();
    }
}

impl From<Counters> for WatchCounters {
    fn from(counters: Counters) -> Self {
        Self {
            method: counters.method.as_str().to_owned(),
            scans: counters.scans as f64,
            events: counters.events as f64,
            repeated: counters.repeated as f64,
            overflows: counters.overflows as f64,
            disconnects: counters.disconnects as f64,
            failures: counters.failures as f64,
            coalesced: counters.coalesced as f64,
        }
    }
}

impl From<&External> for ExternalFacts {
    fn from(external: &External) -> Self {
        let External { ipv6, change } = external;
        Self {
            family: family(*ipv6),
            route: change.route as u32,
            locals: change.locals.iter().map(Prefix::from).collect(),
            previous: change.previous.as_ref().map(Prefix::from),
            external: Prefix::from(&change.external),
            certainty: change.certainty.as_str().to_owned(),
        }
    }
}

impl From<&DefaultRoute> for DefaultRouteFacts {
    fn from(route: &DefaultRoute) -> Self {
        Self { interface: route.interface.name.clone(), gateway: route.gateway.map(|ip| ip.to_string()) }
    }
}

impl From<&Change> for ChangeFacts {
    fn from(change: &Change) -> Self {
        match change {
            Change::InterfaceAdded(interface) => of("interface-added", interface),
            Change::InterfaceRemoved(interface) => of("interface-removed", interface),
            Change::InterfaceUp(interface) => of("interface-up", interface),
            Change::InterfaceDown(interface) => of("interface-down", interface),
            Change::InterfaceRenamed { interface, previous } => {
                Self { previous_name: Some(previous.clone()), ..of("interface-renamed", interface) }
            }
            Change::AddressAdded { interface, ip, prefix_len } => {
                address("address-added", interface, *ip, *prefix_len)
            }
            Change::AddressRemoved { interface, ip, prefix_len } => {
                address("address-removed", interface, *ip, *prefix_len)
            }
            Change::BlockAdded { interface, block } => of_block("block-added", interface, block),
            Change::BlockRemoved { interface, block } => of_block("block-removed", interface, block),
            Change::DefaultChanged { ipv6, previous, now } => Self {
                kind: "default-changed".to_owned(),
                family: Some(family(*ipv6)),
                previous: previous.as_ref().map(DefaultRouteFacts::from),
                now: now.as_ref().map(DefaultRouteFacts::from),
                ..Self::default()
            },
            Change::Resumed { slept } => {
                Self { kind: "resumed".to_owned(), slept_ms: Some(ms(*slept)), ..Self::default() }
            }
            // Kinds that a later version of the engine may know.
            _ => Self::default(),
        }
    }
}

fn of(kind: &str, interface: &InterfaceId) -> ChangeFacts {
    ChangeFacts {
        kind: kind.to_owned(),
        interface: Some(interface.name.clone()),
        index: Some(interface.index),
        ..ChangeFacts::default()
    }
}

fn address(kind: &str, interface: &InterfaceId, ip: IpAddr, prefix_len: u8) -> ChangeFacts {
    ChangeFacts {
        ip: Some(ip.to_string()),
        prefix_length: Some(prefix_len.into()),
        family: Some(family(ip.is_ipv6())),
        scope: Some(scope(ip).as_str().to_owned()),
        ..of(kind, interface)
    }
}

fn of_block(kind: &str, interface: &InterfaceId, block: &IpBlock) -> ChangeFacts {
    let Prefix { ip, cidr } = Prefix::from(block);
    ChangeFacts {
        ip: Some(ip),
        prefix_length: Some(cidr),
        family: Some(family(block.is_ipv6())),
        ..of(kind, interface)
    }
}
