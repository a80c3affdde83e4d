//! The testkit's NAT and STUN server, for programs that test their own code against them: functions without sockets or clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use napi::bindgen_prelude::{BigInt, Buffer, Either};
use napi_derive::napi;
use routepool_core::Error;
use routepool_testkit::{BehaviorServer, Dependence, Fault, Nat, NatKind, Ports};

use crate::failure::Failure;
use crate::units::duration;

/// What kind of NAT to simulate.
#[napi(object, object_to_js = false)]
pub struct SimulationOptions {
    /// `none`, `endpoint-independent`, `address-dependent` or `address-and-port-dependent`.
    pub mapping: String,
    /// The same without `none`.
    pub filtering: String,
    /// `equal`, `preserving`, `independent`, `dependent` or `random`.
    pub allocation: String,
    /// Ports between local and mapped (`preserving`), from one mapping to the next (`independent`), or for each local port
    /// further (`dependent`).
    pub step: u32,
    /// External addresses, at least one.
    pub externals: Vec<String>,
    /// Whether each mapping takes one of them at random.
    pub arbitrary: bool,
    /// How long a mapping is kept without a packet from inside.
    pub lifetime_ms: f64,
    /// Whether hosts inside reach each other by their external addresses.
    pub hairpin: bool,
    /// What is random follows from it.
    pub seed: BigInt,
}

/// Makes a NAT.
#[napi(catch_unwind)]
pub fn simulate_nat(options: SimulationOptions) -> Either<NatRules, Failure> {
    match kind_of(&options) {
        Ok(kind) => Either::A(NatRules { nat: Nat::new(kind, options.seed.get_u64().1) }),
        Err(error) => Either::B(Failure::from(&error)),
    }
}

fn kind_of(options: &SimulationOptions) -> Result<NatKind, Error> {
    let externals: Vec<IpAddr> = options
        .externals
        .iter()
        .map(|text| text.parse().map_err(|_| wrong("externals", "IP addresses", text)))
        .collect::<Result<_, _>>()?;
    let first = *externals.first().ok_or_else(|| wrong("externals", "at least one address", "none"))?;
    let step = u16::try_from(options.step)
        .map_err(|_| wrong("step", "an integer from 0 to 65535", &options.step.to_string()))?;
    Ok(NatKind {
        mapping: match options.mapping.as_str() {
            "none" => None,
            other => Some(dependence("mapping", other)?),
        },
        filtering: dependence("filtering", &options.filtering)?,
        ports: match options.allocation.as_str() {
            "equal" => Ports::Equal,
            "preserving" => Ports::Preserving(step),
            "independent" => Ports::Sequential(step.max(1)),
            "dependent" => Ports::Scaled(step.max(1)),
            "random" => Ports::Random,
            other => {
                let expected = "'equal', 'preserving', 'independent', 'dependent' or 'random'";
                return Err(wrong("allocation", expected, other));
            }
        },
        externals,
        arbitrary: options.arbitrary,
        lifetime: duration(options.lifetime_ms)
            .ok_or_else(|| wrong("lifetimeMs", "milliseconds", &options.lifetime_ms.to_string()))?,
        hairpin: options.hairpin,
        ..NatKind::usual(first)
    })
}

fn dependence(option: &'static str, text: &str) -> Result<Dependence, Error> {
    match text {
        "endpoint-independent" => Ok(Dependence::Endpoint),
        "address-dependent" => Ok(Dependence::Address),
        "address-and-port-dependent" => Ok(Dependence::AddressAndPort),
        other => Err(wrong(
            option,
            "'endpoint-independent', 'address-dependent' or 'address-and-port-dependent'",
            other,
        )),
    }
}

fn wrong(option: &'static str, expected: &str, got: &str) -> Error {
    Error::Option { option, message: format!("expected {expected} for `{option}` but received '{got}'") }
}

/// A NAT at work. Endpoints are `ip:port`; times are in ms and never go back. What is no endpoint is dropped.
#[napi]
pub struct NatRules {
    nat: Nat,
}

/// A packet from inside to an external address of the NAT.
#[napi(object, object_from_js = false)]
pub struct Hairpinned {
    /// From whom it seems to come.
    pub from: String,
    /// The internal endpoint that it goes to.
    pub to: String,
}

#[napi]
impl NatRules {
    /// A packet from inside: its external source.
    #[napi(catch_unwind)]
    pub fn outbound(&mut self, now_ms: f64, from: String, to: String) -> Option<String> {
        let (now, from, to) = (time(now_ms), from.parse().ok()?, to.parse().ok()?);
        Some(self.nat.outbound(now, from, to).to_string())
    }

    /// A packet from outside to an external endpoint: the internal one, if it is let in.
    #[napi(catch_unwind)]
    pub fn inbound(&mut self, now_ms: f64, from: String, to: String) -> Option<String> {
        let (now, from, to) = (time(now_ms), from.parse().ok()?, to.parse().ok()?);
        self.nat.inbound(now, from, to).map(|internal| internal.to_string())
    }

    /// A packet from inside to an external endpoint of this NAT, if such are let back in.
    #[napi(catch_unwind)]
    pub fn hairpin(&mut self, now_ms: f64, from: String, to: String) -> Option<Hairpinned> {
        let (now, from, to) = (time(now_ms), from.parse().ok()?, to.parse().ok()?);
        let (from, to) = self.nat.hairpin(now, from, to)?;
        Some(Hairpinned { from: from.to_string(), to: to.to_string() })
    }
}

fn time(ms: f64) -> Duration {
    duration(ms).unwrap_or_default()
}

/// A datagram of a simulated server.
#[napi(object, object_from_js = false)]
pub struct SimulatedAnswer {
    /// The endpoint of the server that it leaves from.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// What it carries.
    pub bytes: Buffer,
}

/// A STUN server of RFC 5780 as a function, with the faults that it is told to have.
#[napi]
pub struct StunRules {
    server: BehaviorServer,
}

#[napi]
impl StunRules {
    /// A server at two addresses with two ports each.
    #[napi(factory, catch_unwind)]
    pub fn at(addresses: Vec<String>, ports: Vec<u32>) -> napi::Result<Self> {
        let bad = || napi::Error::from_reason("expected two IP addresses and two ports");
        let ip = |i: usize| addresses.get(i).and_then(|text| text.parse().ok()).ok_or_else(bad);
        let port = |i: usize| ports.get(i).and_then(|port| u16::try_from(*port).ok()).ok_or_else(bad);
        let server = BehaviorServer { addresses: [ip(0)?, ip(1)?], ports: [port(0)?, port(1)?], fault: None };
        Ok(Self { server })
    }

    /// What it answers to a datagram, in order. `fault` is one of the testkit's; `value` is the endpoint or number that some have.
    #[napi(catch_unwind)]
    pub fn answer(
        &self,
        from: String,
        to: String,
        request: Buffer,
        fault: Option<String>,
        value: Option<String>,
    ) -> Vec<SimulatedAnswer> {
        let (Ok(from), Ok(to)) = (from.parse::<SocketAddr>(), to.parse::<SocketAddr>()) else {
            return Vec::new();
        };
        let fault = fault.as_deref().and_then(|name| fault_of(name, value.as_deref()));
        let server = BehaviorServer { fault, ..self.server.clone() };
        let answers = server.answer(from, to, &request);
        answers
            .into_iter()
            .map(|(from, to, bytes)| SimulatedAnswer {
                from: from.to_string(),
                to: to.to_string(),
                bytes: bytes.into(),
            })
            .collect()
    }
}

fn fault_of(name: &str, value: Option<&str>) -> Option<Fault> {
    let endpoint = || value?.parse().ok();
    Some(match name {
        "plain" => Fault::Plain,
        "ignores-change" => Fault::IgnoresChange,
        "other-private" => Fault::OtherPrivate(endpoint()?),
        "other-same-ip" => Fault::OtherSameIp,
        "other-dead" => Fault::OtherDead,
        "dead" => Fault::Dead,
        "lies" => Fault::Lies(value?.parse().ok()?),
        "says-address" => Fault::SaysAddress(endpoint()?),
        "wrong-id-first" => Fault::WrongIdFirst,
        "noise" => Fault::Noise,
        "rewritten" => Fault::Rewritten,
        "no-response-port" => Fault::NoResponsePort,
        _ => return None,
    })
}
