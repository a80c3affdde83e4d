//! Loads an interface: its addresses, asked for what they leave as, grouped into routes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use routepool_proto::discovery::{Ignored, Observation};
use routepool_proto::ip_block::IpBlock;
use routepool_proto::routes::{self, Route};

use crate::Error;
use crate::discovery::discover::{Question, Seen, discover};
use crate::discovery::servers::Resolved;
use crate::interface::{Facts, Kind, default_of};
use crate::runtime::{Cancel, settle};
use crate::system::bind::InterfaceBinding;
use crate::system::local_table::LocalTable;

/// Chooses an interface: by name, by an address that it holds, or the default one for `None`.
///
/// # Errors
/// [`Error::NoInterface`], with the names that there are.
pub fn choose<'a>(interfaces: &'a [Facts], wanted: Option<&str>) -> Result<&'a Facts, Error> {
    let found = match (wanted, wanted.and_then(|text| text.parse::<IpAddr>().ok())) {
        (None, _) => default_of(interfaces),
        (Some(_), Some(ip)) => interfaces.iter().find(|f| f.holds(ip)),
        (Some(name), None) => interfaces.iter().find(|f| f.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = interfaces.iter().map(|f| f.name.as_str()).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Error::NoInterface(match wanted {
            Some(text) if text.parse::<IpAddr>().is_ok() => {
                format!("No interface of this machine holds the address {text}. The interfaces are: {known}")
            }
            Some(text) => format!("There is no interface '{text}'. The interfaces are: {known}"),
            None => "This machine has no network interface".to_owned(),
        })
    })
}

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// The interface.
    pub facts: Facts,
    /// IPv4 servers.
    pub servers_ipv4: Vec<Resolved>,
    /// IPv6 servers.
    pub servers_ipv6: Vec<Resolved>,
    /// When a server is given up.
    pub timeout: Duration,
    /// Whether the servers are public ones.
    pub public: bool,
}

/// What was found of one family.
#[derive(Clone, Debug)]
pub struct Family {
    /// The routes, those with an external address first.
    pub routes: Vec<Route>,
    /// What was seen of each address that was asked.
    pub observations: Vec<Observation>,
    /// Datagrams that were ignored.
    pub ignored: Ignored,
    /// How the socket was bound to the interface.
    pub binding: InterfaceBinding,
    /// Why there is no route with an external address, in words; `None` if there is one.
    pub no_route_reason: Option<String>,
}

/// A loaded interface.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the system says of it.
    pub facts: Facts,
    /// IPv4.
    pub ipv4: Family,
    /// IPv6.
    pub ipv6: Family,
    /// How long it took.
    pub elapsed: Duration,
}

impl Load {
    /// Asks for both families at once, until all is found or `cancel` says so.
    ///
    /// # Errors
    /// System errors of opening or reading a socket.
    pub async fn run(self, cancel: Cancel) -> Result<Loaded, Error> {
        let began = Instant::now();
        let own = Arc::new(self);
        let family = |ipv6| {
            let (own, cancel) = (Arc::clone(&own), cancel.clone());
            settle(async move { own.family(ipv6, &cancel).await })
        };
        let (ipv4, ipv6) = tokio::join!(family(false), family(true));
        Ok(Loaded { facts: own.facts.clone(), ipv4: ipv4?, ipv6: ipv6?, elapsed: began.elapsed() })
    }

    async fn family(&self, ipv6: bool, cancel: &Cancel) -> Result<Family, Error> {
        let mut held = Vec::new();
        for block in self.facts.held(ipv6) {
            held.push((block, routes::sample(&block, rand::random)));
        }
        let servers = if ipv6 { &self.servers_ipv6 } else { &self.servers_ipv4 };
        let interface = (self.facts.kind != Kind::Loopback).then_some(self.facts.name.as_str());
        let question = Question {
            sources: held.iter().flat_map(|(_, hosts)| hosts).copied().collect(),
            servers,
            interface,
            timeout: self.timeout,
            public: self.public,
        };
        let seen = if servers.is_empty() || held.is_empty() {
            let observations = Vec::new();
            Seen {
                observations,
                ignored: Ignored::default(),
                binding: InterfaceBinding::NotAsked,
                elapsed: Duration::ZERO,
            }
        } else {
            discover(&question, cancel).await.map_err(|source| Error::System {
                syscall: "socket",
                address: None,
                source,
            })?
        };
        let conclusions: HashMap<_, _> = seen.observations.iter().map(|o| (o.source, o.conclusion)).collect();
        let routes = routes::group(&held, &conclusions);
        let no_route_reason = self.no_route_reason(ipv6, &routes, &seen);
        Ok(Family {
            routes,
            observations: seen.observations,
            ignored: seen.ignored,
            binding: seen.binding,
            no_route_reason,
        })
    }

    fn no_route_reason(&self, ipv6: bool, routes: &[Route], seen: &Seen) -> Option<String> {
        if routes.iter().any(|r| r.external.is_some()) {
            return None;
        }
        let family = if ipv6 { "IPv6" } else { "IPv4" };
        let name = &self.facts.name;
        let servers = if ipv6 { &self.servers_ipv6 } else { &self.servers_ipv4 };
        let refused = seen.observations.iter().flat_map(|o| &o.answers).find_map(|a| a.errno);
        Some(if routes.is_empty() {
            format!("{name} has no {family} address that could leave this machine")
        } else if servers.is_empty() {
            format!("no STUN server was asked over {family}: none of those named has an {family} address")
        } else if seen.observations.iter().any(|o| o.answers.iter().any(|a| a.external.is_some())) {
            format!("the STUN servers contradict each other about the {family} addresses of {name}")
        } else if let Some(errno) = refused {
            let error = std::io::Error::from_raw_os_error(errno);
            format!("the system refused to send over {family} from {name}: {error}")
        } else {
            format!("no STUN server answered over {family}: is UDP to them let through?")
        })
    }
}

/// Asks what some addresses of this machine leave as, without making routes of it.
#[derive(Clone, Debug)]
pub struct Observe {
    /// The addresses, of one family.
    pub sources: Vec<IpAddr>,
    /// Servers of that family.
    pub servers: Vec<Resolved>,
    /// The interface that packets must leave by.
    pub interface: Option<String>,
    /// When a server is given up.
    pub timeout: Duration,
    /// Whether the servers are public ones.
    pub public: bool,
}

impl Observe {
    /// Asks, until all is seen or `cancel` says so.
    ///
    /// # Errors
    /// [`Error::NotLocal`] for an address that this machine does not hold; system errors.
    pub async fn run(self, cancel: Cancel) -> Result<Seen, Error> {
        let system = |syscall| move |source| Error::System { syscall, address: None, source };
        let local = LocalTable::read(self.sources.iter().any(IpAddr::is_ipv6)).map_err(system("netlink"))?;
        for ip in &self.sources {
            local.check(&IpBlock::from_range(*ip, *ip).map_err(|e| Error::Block(e.to_string()))?)?;
        }
        let question = Question {
            sources: self.sources,
            servers: &self.servers,
            interface: self.interface.as_deref(),
            timeout: self.timeout,
            public: self.public,
        };
        discover(&question, &cancel).await.map_err(system("socket"))
    }
}

#[cfg(test)]
mod tests {
    use routepool_proto::agree::Certainty;

    use super::*;
    use crate::interface::Address;
    use crate::runtime::Lease;
    use crate::stun_server::StunServer;

    fn facts(addresses: &[&str]) -> Facts {
        let address = |text: &&str| Address {
            ip: text.parse().expect("an address"),
            prefix_len: 32,
            scope_id: 0,
            label: None,
            temporary: false,
            deprecated: false,
            tentative: false,
        };
        Facts {
            name: "test0".into(),
            kind: Kind::Loopback,
            addresses: addresses.iter().map(address).collect(),
            ..Facts::default()
        }
    }

    fn load(facts: Facts, servers: &[&StunServer]) -> Loaded {
        let servers_ipv4 =
            servers.iter().map(|r| Resolved { name: "test".into(), address: r.address() }).collect();
        let timeout = Duration::from_millis(300);
        let load = Load { facts, servers_ipv4, servers_ipv6: Vec::new(), timeout, public: false };
        Lease::take().expect("threads").block_on(load.run(Cancel::new())).expect("loopback")
    }

    #[test]
    fn a_block_is_sampled_and_the_reason_for_no_route_is_told() {
        let server = StunServer::start("127.0.0.1:0".parse().expect("an address")).expect("loopback");
        // A block of loopback stands for one that is routed here.
        let mut with_block = facts(&[]);
        with_block.blocks.push("127.88.0.0/16".parse().expect("a block"));
        let loaded = load(with_block, &[&server]);
        assert_eq!(loaded.ipv4.routes.len(), 1);
        let route = &loaded.ipv4.routes[0];
        assert_eq!(route.external.map(|b| b.to_string()).as_deref(), Some("127.88.0.0/16"));
        assert_eq!((route.certainty, route.assumed, route.asked.len()), (Certainty::SingleServer, true, 5));
        assert!(loaded.ipv4.no_route_reason.is_none());
        assert!(loaded.ipv6.no_route_reason.expect("nothing").contains("has no IPv6 address"));

        let loaded = load(facts(&["10.255.255.7"]), &[]);
        assert!(loaded.ipv4.no_route_reason.expect("not asked").contains("no STUN server was asked"));
        assert_eq!(loaded.ipv4.routes[0].certainty, Certainty::Unverified);
    }

    #[test]
    fn an_unknown_interface_lists_the_known_ones() {
        let all = [facts(&["10.0.0.1"])];
        assert_eq!(choose(&all, Some("10.0.0.1")).expect("held").name, "test0");
        assert_eq!(choose(&all, Some("test0")).expect("named").name, "test0");
        assert_eq!(choose(&all, None).expect("the only one").name, "test0");
        for wanted in ["eth9", "10.0.0.2"] {
            let error = choose(&all, Some(wanted)).expect_err("unknown");
            assert!(error.to_string().contains(wanted) && error.to_string().ends_with(": test0"), "{error}");
            assert_eq!(error.code(), "ERR_ROUTEPOOL_NO_INTERFACE");
        }
    }
}
