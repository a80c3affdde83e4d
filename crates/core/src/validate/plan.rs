//! What is to be done, checked before anything is sent.

use std::path::PathBuf;
use std::time::Duration;

use routepool_proto::ip_block::{HostPolicy, IpBlock};
use routepool_proto::server_addr::ServerAddr;
use routepool_proto::sweep::{Saved, bounds};
use routepool_proto::targets::{Sample, Targets};
use routepool_udp::Backend;

use super::state_file::StateFile;
use super::sweep_identity::SweepIdentity;
use crate::Error;
use crate::defaults::{PUBLIC_RATE, RECEIVE_BUFFER};
use crate::discovery::servers::{self, Choice, Origin};
use crate::interface::{self, Kind};
use crate::option_bounds;
use crate::system::local_table::LocalTable;

/// What a user asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Blocks: CIDR, range or single address.
    pub blocks: Vec<String>,
    /// Which addresses of a block are meant; by default all of a block held by a route, else those of a subnet.
    pub hosts: Option<HostPolicy>,
    /// Ask only some hosts of each sub-prefix.
    pub sample: Option<Sample>,
    /// Servers; see [`servers::choose`].
    pub servers: Vec<String>,
    /// Probes a second.
    pub rate: Option<f64>,
    /// How many times a silent source is probed; by default as often as the measured loss demands.
    pub passes: Option<u8>,
    /// How long a reply may take; 2 s by default.
    pub timeout: Option<Duration>,
    /// Only send and receive through this interface.
    pub interface: Option<String>,
    /// Seed of the order; random by default.
    pub seed: Option<u64>,
    /// A file to go on from and to write the state to.
    pub state: Option<PathBuf>,
    /// Bytes of receive buffer to ask the kernel for; 4 MiB by default. The window follows what is granted.
    pub receive_buffer: Option<usize>,
    /// How to send; the best of the platform by default.
    pub backend: Option<Backend>,
}

/// The way to send that the option `sockets` names: `one` socket for all sources, or one `per-source`.
///
/// # Errors
/// [`Error::Option`] for another name.
pub fn backend_of(sockets: &str) -> Result<Backend, Error> {
    match sockets {
        "one" => Ok(Backend::one_socket()),
        "per-source" => Ok(Backend::PerSource),
        other => Err(Error::option_error(
            "sockets",
            format!("expected 'one' or 'per-source' for `sockets` but received '{other}'"),
        )),
    }
}

/// A checked request. Nothing has been sent yet.
#[derive(Debug)]
pub struct Plan {
    pub(super) targets: Targets,
    pub(super) choice: Choice,
    pub(super) local: LocalTable,
    pub(super) rate: Option<f64>,
    pub(super) passes: Option<u8>,
    pub(super) timeout: Duration,
    pub(super) interface: Option<String>,
    pub(super) seed: u64,
    pub(super) saved: Option<Saved>,
    pub(super) state_file: Option<StateFile>,
    pub(super) identity: SweepIdentity,
    pub(super) receive_buffer: usize,
    pub(super) backend: Backend,
}

impl Plan {
    /// Checks a request: blocks, ownership, servers, numbers, state file.
    ///
    /// # Errors
    /// Says which option is wrong and what was expected; [`Error::NotLocal`] for a block that this machine does not hold.
    pub fn new(request: Request) -> Result<Self, Error> {
        check_numbers(&request)?;
        let blocks =
            request.blocks.iter().map(|b| b.parse::<IpBlock>().map_err(|e| Error::Block(e.to_string())));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        if let (Some(policy), Some(block)) =
            (request.hosts, blocks.iter().find(|b| request.hosts.is_some_and(|p| !b.supports(p))))
        {
            return Err(Error::option_error(
                "hosts",
                format!(
                    "expected `all` or `subnet` for `hosts` of the IPv6 block {block} but received '{policy}'"
                ),
            ));
        }
        let ipv6 = blocks.first().is_some_and(IpBlock::is_ipv6);
        let loopback = blocks.iter().all(IpBlock::is_loopback) && !blocks.is_empty();
        let choice = servers::choose(&request.servers, loopback)?;
        if choice.origin == Origin::Embedded {
            loopback_is_up()?;
        }
        let local = LocalTable::read(ipv6).map_err(|source| Error::System {
            syscall: "netlink",
            address: None,
            source,
        })?;
        let blocks: Vec<_> = blocks.into_iter().map(|b| local.with_policy(b, request.hosts)).collect();
        let identity = SweepIdentity::new(&blocks, request.sample, &choice, request.interface.as_deref());
        let state_file = request.state.map(StateFile::open).transpose()?;
        let saved = state_file.as_ref().map(|f| f.load(&identity)).transpose()?.flatten();
        if let (Some(saved), Some(seed)) = (&saved, request.seed)
            && saved.seed != seed
        {
            return Err(Error::option_error(
                "seed",
                format!(
                    "the saved state goes on with seed {}: leave out `seed`, or begin with another state file",
                    saved.seed
                ),
            ));
        }
        let seed = saved.as_ref().map(|s| s.seed).or(request.seed).unwrap_or_else(rand::random);
        let targets = Targets::new(blocks, request.sample, seed).map_err(|e| Error::Block(e.to_string()))?;
        for block in targets.blocks() {
            // Local routes by an interface that is down are gone.
            local.check(block).or_else(|missing| loopback_is_up().and(Err(missing)))?;
        }
        let rate = match (request.rate, choice.origin) {
            (None, Origin::Public) => Some(PUBLIC_RATE),
            (rate, _) => rate,
        };
        Ok(Self {
            targets,
            choice,
            local,
            rate,
            passes: request.passes,
            timeout: request.timeout.unwrap_or(bounds::DEFAULT_TIMEOUT),
            interface: request.interface,
            seed,
            saved,
            state_file,
            identity,
            receive_buffer: request.receive_buffer.unwrap_or(RECEIVE_BUFFER),
            backend: request.backend.unwrap_or_else(Backend::best),
        })
    }

    /// The sources.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Where the servers come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.choice.origin
    }

    /// The servers, to be resolved for the family of the blocks; none when the embedded server is used.
    #[must_use]
    pub fn servers(&self) -> &[(String, ServerAddr)] {
        &self.choice.servers
    }

    /// The rate limit that will hold, in probes a second.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// The seed of the order.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether a saved state is gone on with.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.saved.is_some()
    }
}

/// What a machine sends to itself goes by its loopback interface, whatever interface holds the address. Nothing refuses while that
/// is down: on Linux packets are then lost in silence.
fn loopback_is_up() -> Result<(), Error> {
    let all = interface::enumerate().unwrap_or_default();
    let Some(down) = all.iter().find(|facts| facts.kind == Kind::Loopback && !facts.up) else {
        return Ok(());
    };
    let name = &down.name;
    let fix = if cfg!(target_os = "linux") {
        format!("ip link set {name} up")
    } else {
        format!("ifconfig {name} up")
    };
    Err(Error::Unreachable(format!(
        "The loopback interface {name} is down, and this machine reaches its own addresses by no other way. Nothing was sent. Bring \
         it up with: {fix}"
    )))
}

fn check_numbers(request: &Request) -> Result<(), Error> {
    if let Some(rate) = request.rate {
        option_bounds::RATE_PER_SECOND.check(rate)?;
    }
    if let Some(passes) = request.passes {
        option_bounds::PASSES.check(passes.into())?;
    }
    if let Some(timeout) = request.timeout {
        option_bounds::TIMEOUT_MS.check(timeout.as_secs_f64() * 1_000.0)?;
    }
    if let Some(bytes) = request.receive_buffer {
        option_bounds::RECEIVE_BUFFER.check(bytes as f64)?;
    }
    if let Some(sample) = request.sample {
        option_bounds::SAMPLE_PER_PREFIX.check(sample.per_prefix.into())?;
        option_bounds::SAMPLE_HOSTS.check(sample.hosts.into())?;
    }
    if let Some(name) = request.interface.as_ref().filter(|name| !is_interface_name(name)) {
        let message =
            format!("expected the name of a network interface for `interface` but received '{name}'");
        return Err(Error::option_error("interface", message));
    }
    Ok(())
}

/// Whether it could be the name of an interface. Linux: what `dev_valid_name` lets pass. Windows: `IF_MAX_STRING_SIZE`, and
/// names that people give ("Local Area Connection").
fn is_interface_name(name: &str) -> bool {
    let (most, forbidden): (usize, &[char]) =
        if cfg!(windows) { (256, &['\0']) } else { (15, &['/', '\0', ' ']) };
    !name.is_empty() && name.len() <= most && !name.contains(forbidden)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn request(block: &str) -> Request {
        Request { blocks: vec![block.into()], ..Request::default() }
    }

    #[test]
    fn bad_input_is_refused_by_name() {
        let loopback = || request("127.16.0.0/24");
        for (request, code, option, part) in [
            (request("127.16.0.0/33"), "ERR_ROUTEPOOL_BLOCK", "blocks", "0 to 32"),
            (
                request("203.0.113.0/24"),
                "ERR_ROUTEPOOL_NOT_LOCAL",
                "blocks",
                "ip route add local 203.0.113.0/24 dev lo",
            ),
            (Request::default(), "ERR_ROUTEPOOL_BLOCK", "blocks", "block"),
            (
                Request { rate: Some(0.0), ..loopback() },
                "ERR_ROUTEPOOL_OPTION",
                "ratePerSecond",
                "received 0",
            ),
            (Request { passes: Some(0), ..loopback() }, "ERR_ROUTEPOOL_OPTION", "passes", "1 to 32"),
            (
                Request { timeout: Some(Duration::ZERO), ..loopback() },
                "ERR_ROUTEPOOL_OPTION",
                "timeoutMs",
                "600000",
            ),
            (
                Request { interface: Some("a/b".into()), ..loopback() },
                "ERR_ROUTEPOOL_OPTION",
                "interface",
                "'a/b'",
            ),
            (
                Request { servers: vec!["x:http".into()], ..loopback() },
                "ERR_ROUTEPOOL_SERVER",
                "servers",
                "http",
            ),
            (Request { state: Some("/".into()), ..loopback() }, "ERR_ROUTEPOOL_STATE", "state", "/"),
            (
                Request { hosts: Some(HostPolicy::No0And255), ..request("::1") },
                "ERR_ROUTEPOOL_OPTION",
                "hosts",
                "IPv6",
            ),
        ] {
            let error = Plan::new(request.clone()).expect_err("must be refused");
            assert_eq!((error.code(), error.option()), (code, Some(option)), "{request:?}: {error}");
            assert!(error.to_string().contains(part), "{request:?}: {error}");
        }
    }

    #[test]
    fn public_servers_are_asked_gently_and_the_embedded_one_is_not() {
        let plan = Plan::new(request("127.16.0.0/24")).expect("a plan");
        assert_eq!((plan.origin(), plan.rate(), plan.targets().len()), (Origin::Embedded, None, 256));
        let public = Request { servers: vec!["stun.cloudflare.com".into()], ..request("127.16.0.0/24") };
        assert_eq!(Plan::new(public.clone()).expect("a plan").rate(), Some(PUBLIC_RATE));
        let own_rate = Request { rate: Some(500.0), ..public };
        assert_eq!(Plan::new(own_rate).expect("a plan").rate(), Some(500.0));
    }
}
