//! The sweep's threads: opens what is needed, runs the workers, says what they found.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use routepool_proto::sweep::{EndReason, Phase, Proven, Settings, Status, Sweep, Window, bounds};
use routepool_udp::{Backend, Options};

use super::flows::Flows;
use super::notes;
use super::plan::Plan;
use super::pool::Pool;
use super::preflight::{Preflight, describe, preflight};
use super::shared::{Outcome, Shared};
use super::shared_sweep::SharedSweep;
use super::summary::Summary;
use super::sweep_worker::{Clerk, Embedded, SweepWorker};
use super::verdict_buffer::Meter;
use crate::Error;
use crate::defaults::{BATCH, EXTERNALS_NAMED, MAX_SWEEP_WORKERS, MAX_WINDOW, WORKER_RATE, WORKER_SOURCES};
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
    ends: Vec<End>,
    notes: Vec<String>,
}

/// What a worker sends through, and its server if that is this process.
type End = (Flows, Embedded);

impl Driver {
    /// Opens the sockets, so that what the system refuses is reported at once.
    pub(super) fn open(plan: Plan, mut servers: Vec<Resolved>) -> Result<Self, Error> {
        let wanted = workers(&plan);
        let (ends, notes) = open_ends(wanted, |worker| open_end(&plan, worker, wanted > 1))?;
        for (_, embedded) in &ends {
            let address = match embedded {
                Embedded::No => continue,
                Embedded::Thread(server) => server.address(),
                Embedded::Inline(own) => own[0].local(0),
            };
            servers.push(Resolved { name: "embedded".into(), address });
        }
        Ok(Self { plan, servers, ends, notes })
    }

    /// Runs the sweep to its end.
    pub(super) fn run(self, shared: &Shared, waker: &dyn Waker) -> Result<Outcome, Error> {
        let Self { mut plan, servers, ends, mut notes } = self;
        let mut found = find_servers(&plan, servers, shared)?;
        notes.append(&mut found.notes);
        found.notes = notes;
        let addresses: Vec<_> = found.servers.iter().map(|s| s.address).collect();
        let mut sweep = Sweep::new(
            plan.targets.clone(),
            plan.seed,
            rand::random(),
            settings(&plan, &addresses, found.canary, &ends),
            plan.identity.to_string(),
        );
        if let Some(saved) = plan.saved.take()
            && !sweep.restore(saved)
        {
            return Err(Error::State(
                "the state file does not fit these blocks: delete it to begin anew".into(),
            ));
        }
        let start = Instant::now();
        // Without servers there is nothing to add to the saved state, and its evidence names servers by number.
        let state_file = plan.state_file.take().filter(|_| !addresses.is_empty());
        let mut clerk = Some(Clerk { progress: Meter::default(), state_file });
        let count = ends.len();
        let shared_sweep = Mutex::new(SharedSweep::new(sweep, count));
        let workers = ends.into_iter().enumerate().map(|(number, (flows, embedded))| SweepWorker {
            number: number as u16,
            workers: count,
            sweep: &shared_sweep,
            flows,
            servers: &addresses,
            embedded,
            shared,
            waker,
            start,
            drops_at: Duration::ZERO,
            clerk: clerk.take(),
        });
        let mut workers: Vec<_> = workers.collect();
        let others = workers.split_off(1);
        let mut first = workers.pop().ok_or_else(|| Error::Internal("a sweep without workers".into()))?;
        first.save(false, true)?;
        if !others.is_empty() {
            let others = run_first_pass(&mut first, others)?;
            first.absorb(others);
        }
        if first.run()? == EndReason::Silent {
            return Err(silent(&found.servers, plan.targets.len()));
        }
        let receive_buffer = first.flows.receive_buffer();
        let meter = first.clerk.take().map(|clerk| clerk.progress).unwrap_or_default();
        drop(first);
        let sweep = shared_sweep.into_inner().unwrap_or_else(PoisonError::into_inner);
        *lock(&shared.progress) = meter.figures(start.elapsed(), &sweep.sweep);
        Ok(outcome(&plan, &sweep, start, receive_buffer, found))
    }
}

/// Opens what the workers need. Without the first there is no sweep; without others there are fewer.
fn open_ends(
    count: usize,
    mut open: impl FnMut(u16) -> Result<End, Error>,
) -> Result<(Vec<End>, Vec<String>), Error> {
    let mut ends = vec![open(0)?];
    let mut notes = Vec::new();
    for worker in 1..count {
        match open(worker as u16) {
            Ok(end) => ends.push(end),
            Err(error) => {
                notes.push(format!(
                    "The sweep ran on {} of {count} processors, since no more sockets could be opened: {error}",
                    ends.len()
                ));
                break;
            }
        }
    }
    Ok((ends, notes))
}

/// Opens the socket of a worker, and the embedded server if that is queried: on a thread of its own, or `inline`.
fn open_end(plan: &Plan, worker: u16, inline: bool) -> Result<End, Error> {
    let ipv6 = plan.targets.is_ipv6();
    let options = Options {
        // Every source was found in the local table, so freebind cannot put a foreign address on the wire.
        freebind: ipv6,
        interface: plan.interface.clone(),
        receive_buffer: plan.receive_buffer,
        batch: BATCH,
        ..Options::wildcard(ipv6)
    };
    let flows = Flows::open(worker, plan.backend, options.clone()).map_err(|source| {
        match (&plan.interface, source.raw_os_error()) {
            (Some(interface), Some(_)) => refused_interface(interface, &source),
            _ => Error::System { syscall: "bind", address: Some(options.local), source },
        }
    })?;
    if plan.choice.origin != Origin::Embedded {
        return Ok((flows, Embedded::No));
    }
    let ip: IpAddr =
        if ipv6 { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() };
    let any_port = SocketAddr::new(ip, 0);
    let embedded = if inline {
        Embedded::Inline(vec![StunWorker::minimal(any_port, plan.receive_buffer)?])
    } else {
        Embedded::Thread(StunServer::start_with(any_port, plan.receive_buffer)?)
    };
    Ok((flows, embedded))
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

/// How many workers: as many as there are processors, but only as many as the block and the rate are worth.
fn workers(plan: &Plan) -> usize {
    if plan.backend != Backend::Batched {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let by_rate = plan.rate.map_or(usize::MAX, |rate| (rate / WORKER_RATE).ceil() as usize);
    let by_size = (plan.targets.len() / WORKER_SOURCES) as usize;
    cores.min(MAX_SWEEP_WORKERS).min(by_size).min(by_rate).max(1)
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

fn settings(plan: &Plan, servers: &[SocketAddr], canary: Option<IpAddr>, ends: &[End]) -> Settings {
    let workers = ends.len() as u16;
    let buffers = ends.iter().map(|(flows, embedded)| flows.receive_buffer().min(embedded.receive_buffer()));
    let of_one = Window::limit_for_buffer(buffers.min().unwrap_or(0));
    let most = ends.iter().filter_map(|(flows, _)| flows.most_sources()).min();
    Settings {
        servers: servers.to_vec(),
        canary,
        passes: plan.passes,
        timeout: plan.timeout,
        rate: plan.rate,
        window: (of_one * u32::from(workers)).min(MAX_WINDOW).min(most.unwrap_or(u32::MAX)),
        workers,
        server_per_worker: matches!(ends, [(_, Embedded::Inline(_)), ..]),
        batch: BATCH,
        keep_evidence: plan.state_file.is_some(),
    }
}

/// Runs the first pass on all workers, the first of them here; gives the others back. The first error stops them all.
fn run_first_pass<'a>(
    first: &mut SweepWorker<'a>,
    others: Vec<SweepWorker<'a>>,
) -> Result<Vec<SweepWorker<'a>>, Error> {
    let shared = first.shared;
    std::thread::scope(|scope| {
        let mut failed = Ok(());
        let mut threads = Vec::with_capacity(others.len());
        for mut worker in others {
            let name = format!("routepool-swp{}", worker.number);
            let run = move || worker.run_first_pass().map(|()| worker);
            match std::thread::Builder::new().name(name).spawn_scoped(scope, run) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    shared.stop();
                    failed = Err(Error::System { syscall: "pthread_create", address: None, source });
                    break;
                }
            }
        }
        failed = failed.and(first.run_first_pass());
        let results = threads.into_iter().map(|thread| {
            let failed_inside = || Err(Error::Internal("a worker of the sweep failed inside".into()));
            thread.join().unwrap_or_else(|_| failed_inside())
        });
        let others: Result<Vec<_>, _> = results.collect();
        failed.and(others)
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

fn outcome(
    plan: &Plan,
    shared_sweep: &SharedSweep,
    start: Instant,
    receive_buffer: usize,
    found: Preflight,
) -> Outcome {
    let sweep = &shared_sweep.sweep;
    let times = sweep.round_trips();
    let servers =
        if plan.choice.origin == Origin::Embedded { found.servers[..1].to_vec() } else { found.servers };
    let mut summary = Summary {
        blocks: plan.targets.blocks().iter().map(ToString::to_string).collect(),
        ipv6: plan.targets.is_ipv6(),
        sources: plan.targets.len(),
        total_addresses: plan.targets.total_addresses(),
        sample: plan.targets.sample(),
        counts: Status::ALL.map(|status| sweep.judged(status)),
        untested: sweep.untested(),
        port_rewritten: sweep.port_rewritten(),
        stopped: sweep.phase() != Phase::Done(EndReason::Complete),
        resumed: sweep.is_resumed(),
        passes: sweep.pass(),
        seed: plan.seed,
        elapsed: start.elapsed(),
        origin: plan.choice.origin,
        servers,
        rate: plan.rate,
        counters: *sweep.counters(),
        drops: shared_sweep.drops(),
        loss: sweep.loss(),
        round_trips: [times.quantile(0.5), times.quantile(0.99), times.quantile(1.0)],
        receive_buffer,
        window: sweep.window(),
        batched: plan.backend != Backend::PerSource,
        externals: sweep.externals(EXTERNALS_NAMED),
        errors: shared_sweep.refused.clone(),
        reasons: sweep.reasons().to_vec(),
        limits: sweep.limits(),
        notes: Vec::new(),
    };
    summary.notes = notes::notes(&summary, &plan.local, plan.passes, found.notes);
    Outcome {
        summary: Arc::new(summary),
        pool: Arc::new(Pool::new(plan.targets.clone(), Proven::new(sweep.states()))),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io;

    use super::*;
    use crate::validate::Request;

    fn plan(block: &str, request: Request) -> Plan {
        Plan::new(Request { blocks: vec![block.into()], ..request }).expect("a plan")
    }

    #[test]
    fn workers_follow_processors_and_what_there_is_to_send() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_SWEEP_WORKERS);
        let server = || vec!["127.0.0.1:3478".to_owned()];
        for (block, request, want, why) in [
            ("127.16.0.0/16", Request::default(), cores, "on loopback"),
            (
                "127.16.0.0/16",
                Request { servers: server(), ..Request::default() },
                cores,
                "a server elsewhere",
            ),
            (
                "127.16.0.0/16",
                Request { rate: Some(1e7), ..Request::default() },
                cores,
                "a rate out of reach",
            ),
            (
                "127.16.0.0/16",
                Request { rate: Some(50_000.0), ..Request::default() },
                1,
                "a rate that one keeps",
            ),
            (
                "127.16.0.0/16",
                Request { rate: Some(150_000.0), ..Request::default() },
                cores.min(2),
                "by two",
            ),
            ("127.16.0.0/20", Request::default(), 1, "a small block"),
            (
                "127.16.0.0/16",
                Request { backend: Some(Backend::PerSource), ..Request::default() },
                1,
                "a socket for each source",
            ),
        ] {
            assert_eq!(workers(&plan(block, request)), want, "{why}");
        }
    }

    #[test]
    fn sockets_that_cannot_be_opened_are_done_without_but_for_the_first() {
        let plan = plan("127.16.0.0/16", Request::default());
        let none =
            || Error::System { syscall: "socket", address: None, source: io::Error::from_raw_os_error(24) };
        let (ends, notes) =
            open_ends(4, |worker| if worker < 2 { open_end(&plan, worker, true) } else { Err(none()) })
                .expect("two are enough");
        assert_eq!((ends.len(), notes.len()), (2, 1));
        assert!(notes[0].starts_with("The sweep ran on 2 of 4 processors"), "{}", notes[0]);
        let settings = settings(&plan, &[], None, &ends);
        assert_eq!((settings.workers, settings.server_per_worker), (2, true));
        assert!(open_ends(4, |_| Err(none())).is_err());
    }
}
