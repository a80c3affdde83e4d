//! The sweep's threads: opens what is needed, runs the workers, adds up what they found.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use routepool_proto::sweep::{Counters, EndReason, Phase, Proven, Settings, Status, Sweep, Window, bounds};
use routepool_udp::{Backend, Options};

use super::flows::Flows;
use super::notes;
use super::plan::Plan;
use super::pool::Pool;
use super::preflight::{Preflight, describe, preflight};
use super::shared::{Outcome, Progress, Shared};
use super::summary::Summary;
use super::sweep_worker::{Embedded, SweepWorker};
use super::verdict_buffer::{Meter, VerdictBuffer};
use crate::Error;
use crate::defaults::{BATCH, EXTERNALS_NAMED, MAX_SWEEP_WORKERS, WORKER_SOURCES};
use crate::discovery::servers::{Choice, Origin, Resolved};
use crate::interface;
use crate::lock::lock;
use crate::runtime::Lease;
use crate::stun_server::{StunServer, StunWorker};
use crate::waker::Waker;

/// Everything that the threads will own.
pub(super) struct Driver {
    plan: Plan,
    servers: Vec<Resolved>,
    ends: Vec<(Flows, Embedded)>,
}

impl Driver {
    /// Opens the sockets, so that what the system refuses is reported at once.
    pub(super) fn open(plan: Plan, mut servers: Vec<Resolved>) -> Result<Self, Error> {
        let ipv6 = plan.targets.is_ipv6();
        let options = Options {
            // Every source was found in the local table, so freebind cannot put a foreign address on the wire.
            freebind: ipv6,
            interface: plan.interface.clone(),
            receive_buffer: plan.receive_buffer,
            batch: BATCH,
            ..Options::wildcard(ipv6)
        };
        let workers = workers(&plan);
        let mut ends = Vec::with_capacity(workers);
        for _ in 0..workers {
            let flows = Flows::open(plan.backend, options.clone()).map_err(|source| {
                match (&plan.interface, source.raw_os_error()) {
                    (Some(interface), Some(_)) => refused_interface(interface, &source),
                    _ => Error::System { syscall: "bind", address: Some(options.local), source },
                }
            })?;
            let mut embedded = Embedded::No;
            if plan.choice.origin == Origin::Embedded {
                let ip: IpAddr = if ipv6 {
                    std::net::Ipv6Addr::LOCALHOST.into()
                } else {
                    std::net::Ipv4Addr::LOCALHOST.into()
                };
                let any_port = SocketAddr::new(ip, 0);
                let (address, end) = if workers > 1 {
                    let server = StunWorker::minimal(any_port, plan.receive_buffer)?;
                    (server.local(0), Embedded::Inline(Box::new(server)))
                } else {
                    let server = StunServer::start_with(any_port, plan.receive_buffer)?;
                    (server.address(), Embedded::Thread(server))
                };
                servers.push(Resolved { name: "embedded".into(), address });
                embedded = end;
            }
            ends.push((flows, embedded));
        }
        Ok(Self { plan, servers, ends })
    }

    /// Runs the sweep to its end.
    pub(super) fn run(self, shared: &Shared, waker: &dyn Waker) -> Result<Outcome, Error> {
        let Self { mut plan, servers, ends } = self;
        let found = find_servers(&plan, servers, shared)?;
        let start = Instant::now();
        let count = ends.len();
        // Borders between words of the bitmap, so that the workers' bitmaps can be put together.
        let share = plan.targets.len().div_ceil(count as u32).next_multiple_of(64);
        let part = Progress { sources: share, phase: "preflight", ..Progress::default() };
        *lock(&shared.progress) = vec![part; count];
        let mut workers = Vec::with_capacity(count);
        for (number, (flows, embedded)) in ends.into_iter().enumerate() {
            let own = match &embedded {
                Embedded::No => found.servers.iter().map(|s| s.address).collect(),
                _ => vec![found.servers[number].address],
            };
            let first = share * number as u32;
            let mut sweep = Sweep::new(
                plan.targets.part(first, share),
                plan.seed.wrapping_add(number as u64),
                rand::random(),
                settings(&plan, &own, found.canary, &flows, &embedded),
                plan.identity.to_string(),
            );
            if let Some(saved) = plan.saved.take()
                && !sweep.restore(saved)
            {
                return Err(Error::State(
                    "the state file does not fit these blocks: delete it to begin anew".into(),
                ));
            }
            // Without servers there is nothing to add to the saved state, and its evidence names servers by number.
            let state_file = plan.state_file.take().filter(|_| !own.is_empty());
            workers.push(SweepWorker {
                number,
                sweep,
                flows,
                servers: own,
                embedded,
                shared,
                waker,
                state_file,
                start,
                out: VerdictBuffer::new(first, count),
                refused: Vec::new(),
                drops: 0,
                drops_at: Duration::ZERO,
                progress: Meter::default(),
            });
        }
        if run_all(&mut workers)?.contains(&EndReason::Silent) {
            return Err(silent(&found.servers, plan.targets.len()));
        }
        Ok(outcome(&plan, &workers, found))
    }
}

/// Why sending through an interface was refused: most often there is none of that name.
fn refused_interface(wanted: &str, refusal: &std::io::Error) -> Error {
    let names: Vec<_> = interface::enumerate().unwrap_or_default().into_iter().map(|f| f.name).collect();
    let message = if names.is_empty() || names.iter().any(|name| name == wanted) {
        format!("sending through the interface '{wanted}' was refused: {refusal}")
    } else {
        format!("there is no interface '{wanted}'; the interfaces are: {}", names.join(", "))
    };
    Error::option_error("interface", message)
}

/// How many workers. More than one only where every packet stays on this machine and its processors are the limit: then each
/// worker has a server of its own. A rate limit, a saved state or a server elsewhere is one worker's business.
fn workers(plan: &Plan) -> usize {
    let splits = plan.choice.origin == Origin::Embedded
        && plan.rate.is_none()
        && plan.state_file.is_none()
        && plan.backend == Backend::Batched;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    if splits {
        cores.min(MAX_SWEEP_WORKERS).min((plan.targets.len() / WORKER_SOURCES) as usize).max(1)
    } else {
        1
    }
}

fn find_servers(plan: &Plan, servers: Vec<Resolved>, shared: &Shared) -> Result<Preflight, Error> {
    if plan.choice.origin == Origin::Embedded {
        // They are ours and answer from a thread or inline: there is nothing to find out.
        let canary = servers.first().map(|s| s.address.ip());
        return Ok(Preflight { servers, canary, notes: Vec::new() });
    }
    let is_over = plan.saved.as_ref().is_some_and(|s| s.concluded || s.states.ok() == s.states.len());
    if is_over {
        return Ok(Preflight { servers, canary: None, notes: Vec::new() });
    }
    if servers.is_empty() {
        let note = "The run was stopped before the servers were known: nothing was sent.".to_owned();
        return Ok(Preflight { servers, canary: None, notes: vec![note] });
    }
    let mut notes = unresolved(&plan.choice, &servers);
    let asked = preflight(servers, plan.interface.as_deref(), plan.targets.source(0), &shared.cancel);
    let mut found = Lease::take()?.block_on(asked)?;
    notes.append(&mut found.notes);
    Ok(Preflight { notes, ..found })
}

/// Notes on the servers that were to be queried and have no address.
fn unresolved(choice: &Choice, resolved: &[Resolved]) -> Vec<String> {
    let names = choice.servers.iter().map(|(name, _)| name);
    let missing = names.filter(|name| !resolved.iter().any(|r| r.name == **name));
    missing
        .map(|name| format!("The name of the server {name} could not be resolved, and it was left out."))
        .collect()
}

fn settings(
    plan: &Plan,
    servers: &[SocketAddr],
    canary: Option<IpAddr>,
    flows: &Flows,
    embedded: &Embedded,
) -> Settings {
    let theirs = match embedded {
        Embedded::No => usize::MAX,
        Embedded::Thread(server) => server.receive_buffer(),
        Embedded::Inline(server) => server.receive_buffer(),
    };
    Settings {
        servers: servers.to_vec(),
        canary,
        passes: plan.passes,
        timeout: plan.timeout,
        rate: plan.rate,
        window: Window::limit_for_buffer(theirs.min(flows.receive_buffer()))
            .min(flows.most_sources().unwrap_or(u32::MAX)),
        batch: BATCH,
        keep_evidence: plan.state_file.is_some(),
    }
}

/// Runs the first worker here and the others on threads; the first error stops them all.
fn run_all(workers: &mut [SweepWorker<'_>]) -> Result<Vec<EndReason>, Error> {
    std::thread::scope(|scope| {
        let mut results: Vec<Result<EndReason, Error>> = Vec::with_capacity(workers.len());
        let Some((first, others)) = workers.split_first_mut() else { return Ok(Vec::new()) };
        let mut threads = Vec::with_capacity(others.len());
        for worker in others {
            let name = format!("routepool-swp{}", worker.number);
            let shared = worker.shared;
            let run = move || worker.run().inspect_err(|_| shared.stop());
            match std::thread::Builder::new().name(name).spawn_scoped(scope, run) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    first.shared.stop();
                    results.push(Err(Error::System { syscall: "pthread_create", address: None, source }));
                }
            }
        }
        let shared = first.shared;
        results.push(first.run().inspect_err(|_| shared.stop()));
        for thread in threads {
            results.push(
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::Internal("a worker of the sweep failed inside".into()))),
            );
        }
        results.into_iter().collect()
    })
}

fn silent(servers: &[Resolved], sources: u32) -> Error {
    let names: Vec<_> = servers.iter().map(describe).collect();
    Error::ServerSilent(format!(
        "The server {} never answered: neither this machine's own address nor any of the sources that were asked ({}) got a reply, so a \
         dead server cannot be told from dead sources. Check that the server runs, and that UDP to its port is let through.",
        names.join(", "),
        sources.min(bounds::UNCONFIRMED_BURST)
    ))
}

/// Adds up what the workers found.
fn outcome(plan: &Plan, workers: &[SweepWorker<'_>], found: Preflight) -> Outcome {
    let first = &workers[0];
    let sum = |of: fn(&Sweep) -> u32| workers.iter().map(|worker| of(&worker.sweep)).sum();
    let mut times = first.sweep.round_trips().clone();
    let mut states = first.sweep.states().clone();
    let (mut refused, mut reasons) = (first.refused.clone(), first.sweep.reasons().to_vec());
    let mut externals = first.sweep.externals(EXTERNALS_NAMED);
    for worker in &workers[1..] {
        times.merge(worker.sweep.round_trips());
        states.append(worker.sweep.states());
        for (syscall, number, count) in &worker.refused {
            add(&mut refused, (*syscall, *number, *count), |a, b| (a.0, a.1) == (b.0, b.1), |e| &mut e.2);
        }
        for reason in worker.sweep.reasons() {
            add(&mut reasons, *reason, |a, b| (a.0, a.1) == (b.0, b.1), |e| &mut e.2);
        }
        for external in worker.sweep.externals(EXTERNALS_NAMED) {
            add(&mut externals, external, |a, b| a.0 == b.0, |e| &mut e.1);
        }
    }
    let servers =
        if plan.choice.origin == Origin::Embedded { found.servers[..1].to_vec() } else { found.servers };
    let mut summary = Summary {
        blocks: plan.targets.blocks().iter().map(ToString::to_string).collect(),
        ipv6: plan.targets.is_ipv6(),
        sources: plan.targets.len(),
        total_addresses: plan.targets.total_addresses(),
        sample: plan.targets.sample(),
        counts: Status::ALL.map(|status| workers.iter().map(|worker| worker.sweep.judged(status)).sum()),
        untested: sum(Sweep::untested),
        port_rewritten: sum(Sweep::port_rewritten),
        stopped: workers.iter().any(|worker| worker.sweep.phase() != Phase::Done(EndReason::Complete)),
        resumed: first.sweep.is_resumed(),
        passes: workers.iter().map(|worker| worker.sweep.pass()).max().unwrap_or(0),
        seed: plan.seed,
        elapsed: first.start.elapsed(),
        origin: plan.choice.origin,
        servers,
        rate: plan.rate,
        counters: workers.iter().fold(Counters::default(), |sum, worker| sum.plus(*worker.sweep.counters())),
        drops: workers.iter().map(|worker| worker.drops).sum(),
        loss: workers.iter().map(|worker| worker.sweep.loss()).fold(0.0, f64::max),
        round_trips: [times.quantile(0.5), times.quantile(0.99), times.quantile(1.0)],
        receive_buffer: first.flows.receive_buffer(),
        window: (
            first.sweep.window().0,
            workers.iter().map(|worker| worker.sweep.window().1).min().unwrap_or(0),
        ),
        batched: plan.backend != Backend::PerSource,
        externals,
        errors: refused,
        reasons,
        limits: workers.iter().flat_map(|worker| worker.sweep.limits()).collect(),
        notes: Vec::new(),
    };
    summary.notes = notes::notes(&summary, &plan.local, plan.passes, found.notes);
    for worker in workers {
        worker.report(worker.progress.figures(worker.start.elapsed(), &worker.sweep));
    }
    Outcome {
        summary: Arc::new(summary),
        pool: Arc::new(Pool::new(plan.targets.clone(), Proven::new(&states))),
    }
}

/// Adds the count of an entry to its like, or the entry itself.
fn add<T>(entries: &mut Vec<T>, entry: T, same: impl Fn(&T, &T) -> bool, count: impl Fn(&mut T) -> &mut u32) {
    let mut entry = entry;
    match entries.iter_mut().find(|e| same(e, &entry)) {
        Some(found) => *count(found) += *count(&mut entry),
        None => entries.push(entry),
    }
}
