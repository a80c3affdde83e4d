//! From options to bound sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use routepool_proto::ip_block::IpBlock;
use routepool_proto::stun::guard::{Guard, Limit};
use routepool_proto::stun::server::Service;
use routepool_udp::{Backend, Endpoints, Options};

use super::stun_worker::StunWorker;
use super::tcp::Listener;
use super::{Config, Endpoint};
use crate::Error;
use crate::defaults::{BATCH, PORT_ATTEMPTS, STUN_DATAGRAM};
use crate::option_bounds;
use crate::system::local_table::LocalTable;
use crate::system::own_address::unusable;

/// What to bind: for each family one or two addresses.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    families: Vec<Family>,
    port: u16,
    other_port: Option<u16>,
    workers: usize,
    tcp: bool,
    allow: Vec<IpBlock>,
    rate_per_prefix: Option<f64>,
    receive_buffer: usize,
    datagram: usize,
    minimal: bool,
    rfc3489: bool,
    software: String,
}

/// The addresses of one family with what clients see; the second is there for RFC 5780.
#[derive(Clone, Debug)]
struct Family {
    primary: (IpAddr, IpAddr),
    other: Option<(IpAddr, IpAddr)>,
}

/// What was opened.
pub(super) struct Opened {
    pub(super) workers: Vec<StunWorker>,
    pub(super) listeners: Vec<Listener>,
    pub(super) guard: Option<Arc<Guard>>,
    pub(super) start: Instant,
}

impl Family {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [Some(self.primary.0), self.other.map(|o| o.0)].into_iter().flatten()
    }
}

impl Plan {
    /// The server of a validation: one address, the shortest answers.
    pub(super) fn minimal(address: SocketAddr, receive_buffer: usize) -> Result<Self, Error> {
        check_address(address.ip())?;
        Ok(Self {
            families: vec![Family { primary: (address.ip(), address.ip()), other: None }],
            port: address.port(),
            other_port: None,
            workers: 1,
            tcp: false,
            allow: Vec::new(),
            rate_per_prefix: None,
            receive_buffer,
            datagram: routepool_udp::DATAGRAM,
            minimal: true,
            rfc3489: false,
            software: String::new(),
        })
    }

    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let Config { addresses, advertise, port, other_port, workers, .. } = config;
        let wrong = |option, message: String| Err(Error::option_error(option, message));
        if addresses.is_empty() {
            return wrong(
                "address",
                "expected an address of this machine for `address` but received none".into(),
            );
        }
        if !advertise.is_empty() && advertise.len() != addresses.len() {
            let (want, got) = (addresses.len(), advertise.len());
            let message = format!(
                "expected as many addresses for `advertise` as for `address`, in the same order: {want}, but received {got}"
            );
            return wrong("advertise", message);
        }
        let mut families: Vec<Family> = Vec::new();
        for (at, ip) in addresses.iter().enumerate() {
            check_address(*ip)?;
            let seen = advertise.get(at).copied().unwrap_or(*ip);
            if seen.is_ipv6() != ip.is_ipv6() {
                let message =
                    format!("expected an address of the family of {ip} for `advertise` but received {seen}");
                return wrong("advertise", message);
            }
            check_one_host("advertise", "an address that clients can send to", seen)?;
            match families.iter_mut().find(|f| f.primary.0.is_ipv6() == ip.is_ipv6()) {
                None => families.push(Family { primary: (*ip, seen), other: None }),
                Some(family) if family.primary.0 == *ip => {
                    return wrong(
                        "address",
                        format!("expected two different addresses for `address` but received {ip} twice"),
                    );
                }
                Some(family) if family.primary.1 == seen => {
                    let message = format!(
                        "expected two different addresses for `advertise` but received {seen} twice: clients could not tell them apart"
                    );
                    return wrong("advertise", message);
                }
                Some(family) if family.other.is_none() => family.other = Some((*ip, seen)),
                Some(_) => {
                    let message = format!(
                        "expected at most two addresses of a family for `address`; {ip} is the third"
                    );
                    return wrong("address", message);
                }
            }
        }
        let paired = families.iter().any(|f| f.other.is_some());
        if *other_port == Some(*port) && *port != 0 {
            let message =
                format!("expected another port than {port} for `otherPort`: it must differ from `port`");
            return wrong("otherPort", message);
        }
        if paired && *port == u16::MAX && other_port.is_none() {
            return wrong("otherPort", "expected a port for `otherPort`: there is none after 65535".into());
        }
        option_bounds::WORKERS.check(*workers as f64)?;
        if *workers > 1 && Backend::best() != Backend::Batched {
            let message = format!(
                "expected 1 for `workers` but received {workers}: sharing a port among threads is offered on Linux only"
            );
            return wrong("workers", message);
        }
        if let Some(rate) = config.rate_per_prefix {
            option_bounds::RATE_PER_PREFIX.check(rate)?;
        }
        option_bounds::RECEIVE_BUFFER.check(config.receive_buffer as f64)?;
        Ok(Self {
            families,
            port: *port,
            other_port: if *port == 0 { Some(other_port.unwrap_or(0)) } else { *other_port },
            workers: *workers,
            tcp: config.tcp,
            allow: config.allow.clone(),
            rate_per_prefix: config.rate_per_prefix,
            receive_buffer: config.receive_buffer,
            datagram: STUN_DATAGRAM,
            minimal: false,
            rfc3489: config.rfc3489,
            software: config.software.clone(),
        })
    }

    /// Opens the sockets of every worker, and the listeners.
    pub(super) fn open(&self) -> Result<Opened, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.open_once() {
                // A free port of one address may be taken at another, or for TCP.
                Err(Error::System { source, .. })
                    if self.picks_ports()
                        && source.kind() == io::ErrorKind::AddrInUse
                        && attempt < PORT_ATTEMPTS => {}
                result => return result,
            }
        }
    }

    fn picks_ports(&self) -> bool {
        self.port == 0 || self.other_port == Some(0)
    }

    fn open_once(&self) -> Result<Opened, Error> {
        let first = self.families[0].primary.0;
        // One socket picks its port itself, whether or not there is an other port.
        let single = self.families.len() == 1 && self.families[0].other.is_none() && self.workers == 1;
        let port = if self.port == 0 && !single { free_port(first)? } else { self.port };
        let other_port = match self.other_port {
            None => port.wrapping_add(1),
            Some(0) if !single => free_port(first)?,
            Some(port) => port,
        };
        if port == other_port && !single {
            return Err(in_use(SocketAddr::new(first, port)));
        }
        let start = Instant::now();
        let mut opened = Opened { workers: Vec::new(), listeners: Vec::new(), guard: None, start };
        // A shared port could be shared with somebody else of the same user: first it must be ours alone.
        let alone = self.sockets(port, other_port, false)?;
        let (locals, services) = (
            self.locals(alone.local(0).port(), other_port),
            self.services(alone.local(0).port(), other_port),
        );
        if !self.minimal {
            let own = locals.iter().map(|(local, ..)| *local).collect();
            let limit = self.rate_per_prefix.map(|rate| Limit::new(rate, rand::random()));
            opened.guard = Some(Arc::new(Guard::new(own).with_allowed(&self.allow).with_limit(limit)));
        }
        let worker = |sockets| StunWorker::new(sockets, services.clone(), opened.guard.clone(), start);
        let mut workers = Vec::with_capacity(self.workers);
        if self.workers == 1 {
            workers.push(worker(alone));
        } else {
            drop(alone);
            for _ in 0..self.workers {
                workers.push(worker(self.sockets(port, other_port, true)?));
            }
        }
        opened.workers = workers;
        if self.tcp {
            for (local, family, at) in locals {
                let bound = Listener::bind(local, services[family].clone(), at);
                let failed = |source| Error::System { syscall: "listen", address: Some(local), source };
                opened.listeners.push(bound.map_err(failed)?);
            }
        }
        Ok(opened)
    }

    /// Every local endpoint, with the number of its family and its number within that.
    fn locals(&self, port: u16, other_port: u16) -> Vec<(SocketAddr, usize, usize)> {
        let mut locals = Vec::new();
        for (number, family) in self.families.iter().enumerate() {
            let ports: &[u16] = if family.other.is_some() { &[port, other_port] } else { &[port] };
            let all =
                family.addresses().flat_map(|ip| ports.iter().map(move |port| SocketAddr::new(ip, *port)));
            locals.extend(all.enumerate().map(|(at, local)| (local, number, at)));
        }
        locals
    }

    fn services(&self, port: u16, other_port: u16) -> Vec<Service> {
        let families = self.families.iter();
        families
            .map(|family| {
                let service = match family.other {
                    Some((_, seen)) => Service::pair(
                        SocketAddr::new(family.primary.1, port),
                        SocketAddr::new(seen, other_port),
                    ),
                    None if self.minimal => Service::minimal(),
                    None => Service::plain(),
                };
                service.with_rfc3489(self.rfc3489).with_software(&self.software)
            })
            .collect()
    }

    fn sockets(&self, port: u16, other_port: u16, share_port: bool) -> Result<Endpoints, Error> {
        let locals = self.locals(port, other_port);
        let options: Vec<_> = locals
            .iter()
            .map(|(local, ..)| Options {
                freebind: local.is_ipv6(),
                receive_buffer: self.receive_buffer,
                batch: BATCH,
                datagram: self.datagram,
                share_port,
                ..Options::bound(*local)
            })
            .collect();
        Endpoints::open(Backend::best(), &options).map_err(|(number, source)| Error::System {
            syscall: "bind",
            address: Some(locals[number].0),
            source,
        })
    }

    /// The endpoints that a worker has bound.
    pub(super) fn endpoints(&self, worker: &StunWorker) -> Vec<Endpoint> {
        let mut all = Vec::new();
        for family in &self.families {
            let ports = if family.other.is_some() { 2 } else { 1 };
            for (_, seen) in [Some(family.primary), family.other].into_iter().flatten() {
                for _ in 0..ports {
                    let local = worker.local(all.len());
                    all.push(Endpoint { local, seen: SocketAddr::new(seen, local.port()) });
                }
            }
        }
        all
    }
}

impl StunWorker {
    /// The server of a validation, at one address.
    pub(crate) fn minimal(address: SocketAddr, receive_buffer: usize) -> Result<Self, Error> {
        let opened = Plan::minimal(address, receive_buffer)?.open()?;
        opened
            .workers
            .into_iter()
            .next()
            .ok_or_else(|| Error::Internal("a server without a worker".to_owned()))
    }
}

fn in_use(address: SocketAddr) -> Error {
    Error::System { syscall: "bind", address: Some(address), source: io::ErrorKind::AddrInUse.into() }
}

fn free_port(ip: IpAddr) -> Result<u16, Error> {
    let address = SocketAddr::new(ip, 0);
    let options = Options { freebind: ip.is_ipv6(), ..Options::bound(address) };
    let opened = Endpoints::open(Backend::best(), &[options]);
    let endpoints =
        opened.map_err(|(_, source)| Error::System { syscall: "bind", address: Some(address), source })?;
    Ok(endpoints.local(0).port())
}

/// One address of this machine. IPv6 is bound with freebind, with which the kernel binds an address that is not ours as well.
fn check_address(ip: IpAddr) -> Result<(), Error> {
    check_one_host("address", "one address of this machine", ip)?;
    if ip.is_ipv6() {
        let system =
            |source| Error::System { syscall: "bind", address: Some(SocketAddr::new(ip, 0)), source };
        let block = IpBlock::from_range(ip, ip).map_err(|e| Error::Block(e.to_string()))?;
        LocalTable::read(true).map_err(system)?.check(&block)?;
    }
    Ok(())
}

/// Replies leave from the address that is bound, so it must be that of one host. The kernel binds others as well.
fn check_one_host(option: &'static str, expected: &str, ip: IpAddr) -> Result<(), Error> {
    if let Some(what) = unusable(ip) {
        let message = format!("expected {expected} for `{option}` but received {what}");
        return Err(Error::option_error(option, message));
    }
    let kind = if ip.is_unspecified() {
        "wildcard"
    } else if ip.is_multicast() {
        "multicast address"
    } else if is_broadcast(ip) {
        "broadcast address"
    } else {
        return Ok(());
    };
    let message = format!("expected {expected} for `{option}` but received the {kind} {ip}");
    Err(Error::option_error(option, message))
}

/// Only the kernel knows the broadcast addresses of the interfaces. It refuses to connect to one (connect(2): EACCES), and
/// connecting a UDP socket sends nothing.
fn is_broadcast(ip: IpAddr) -> bool {
    let IpAddr::V4(v4) = ip else { return false };
    let connect = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.connect((v4, 9));
    v4.is_broadcast() || connect().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}
