//! The properties of a NAT (RFC 4787), each with an answer for "the network did not tell".

use super::names::named;

named! {
    /// Which external address and port an internal one gets (RFC 4787, section 4.1).
    Mapping {
        /// None: packets leave with the address and port that they were sent from.
        None = "none",
        /// The same for all destinations.
        EndpointIndependent = "endpoint-independent",
        /// Another for each destination address.
        AddressDependent = "address-dependent",
        /// Another for each destination address and port.
        AddressAndPortDependent = "address-and-port-dependent",
        /// Not known.
        Unknown = "unknown",
    }
}

named! {
    /// Whose packets are let in to a mapping (RFC 4787, section 5).
    Filtering {
        /// Everybody's.
        EndpointIndependent = "endpoint-independent",
        /// Those of addresses that were sent to.
        AddressDependent = "address-dependent",
        /// Those of addresses and ports that were sent to.
        AddressAndPortDependent = "address-and-port-dependent",
        /// Not known.
        Unknown = "unknown",
    }
}

/// How the port of a new mapping is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// There is no NAT.
    NotApplicable,
    /// The local port, if it is free.
    Equal,
    /// The local port and a constant.
    Preserving,
    /// The last one and this step, whatever the local port.
    Independent(i32),
    /// It moves by this step when the local port moves by one, or with each new destination of a socket.
    Dependent(i32),
    /// None of these.
    Random,
    /// Not known.
    Unknown,
}

impl Allocation {
    /// The name used in texts and dicts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Equal => "equal",
            Self::Preserving => "preserving",
            Self::Independent(_) => "independent",
            Self::Dependent(_) => "dependent",
            Self::Random => "random",
            Self::Unknown => "unknown",
        }
    }

    /// The one of that name and step.
    #[must_use]
    pub fn from_name(name: &str, step: i32) -> Option<Self> {
        Some(match name {
            "not-applicable" => Self::NotApplicable,
            "equal" => Self::Equal,
            "preserving" => Self::Preserving,
            "independent" => Self::Independent(step),
            "dependent" => Self::Dependent(step),
            "random" => Self::Random,
            "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    /// The step of [`Allocation::Independent`] and [`Allocation::Dependent`], else 0.
    #[must_use]
    pub fn step(self) -> i32 {
        match self {
            Self::Independent(step) | Self::Dependent(step) => step,
            _ => 0,
        }
    }
}

named! {
    /// Whether the sockets of a host share an external address (RFC 4787, section 4.1).
    Pooling {
        /// There is no NAT.
        NotApplicable = "not-applicable",
        /// They do.
        Paired = "paired",
        /// They do not.
        Arbitrary = "arbitrary",
        /// Not known.
        Unknown = "unknown",
    }
}

named! {
    /// Whether two sockets have the same external address and port at once (RFC 4787, section 4.2.1).
    Overloading {
        /// They had.
        Yes = "yes",
        /// Not known: it was not seen.
        Unknown = "unknown",
    }
}

named! {
    /// Whether something on the way rewrites addresses inside of packets (RFC 4787, section 7).
    Alg {
        /// MAPPED-ADDRESS and XOR-MAPPED-ADDRESS arrive equal.
        None = "none",
        /// MAPPED-ADDRESS arrives changed.
        Rewrites = "rewrites",
        /// Not known: no server sends both.
        Unknown = "unknown",
    }
}

named! {
    /// Whether hosts behind the NAT reach each other by their external addresses (RFC 4787, section 6).
    Hairpin {
        /// Nobody asked.
        NotAsked = "not-asked",
        /// There is no NAT.
        NotApplicable = "not-applicable",
        /// They do, and see each other's external address.
        Yes = "yes",
        /// They do, but see each other's internal address, which breaks RFC 4787, REQ-9.
        InternalSource = "internal-source",
        /// They do not.
        No = "no",
        /// Not known.
        Unknown = "unknown",
    }
}

named! {
    /// Whether the servers can be reached, and what is in the way.
    Connectivity {
        /// At least one server answered.
        Ok = "ok",
        /// TCP gets through to a server, UDP to the same does not.
        UdpBlocked = "udp-blocked",
        /// No server's name could be resolved.
        DnsFailed = "dns-failed",
        /// The system has no route to any server.
        NoRoute = "no-route",
        /// The check for a captive portal was answered by something else than the server.
        CaptivePortal = "captive-portal",
        /// No server answered.
        NoReply = "no-reply",
        /// No server was asked.
        NoServer = "no-server",
        /// It was stopped before a server answered.
        Stopped = "stopped",
    }
}

named! {
    /// Why something is not known.
    Reason {
        /// Nobody was asked.
        NoServer = "no-server",
        /// No server answered.
        NoAnswer = "no-answer",
        /// No server can run the test.
        CannotTest = "cannot-test",
        /// Silence may have been loss.
        TooMuchLoss = "too-much-loss",
        /// Two servers' verdicts differ.
        ServersDisagree = "servers-disagree",
        /// One plain server alone, with nothing to compare it to.
        OneServer = "one-server",
        /// Answers that fit no kind of NAT.
        Inconsistent = "inconsistent",
        /// The server's other address does not answer at all.
        OtherSilent = "other-silent",
        /// It was stopped.
        Stopped = "stopped",
        /// Too few samples.
        NoSamples = "no-samples",
        /// The system refused a socket or a send.
        Refused = "refused",
        /// The test was not asked for.
        NotAsked = "not-asked",
        /// The server does not follow RESPONSE-PORT.
        NoResponsePort = "no-response-port",
        /// The test means nothing with a mapping that depends on the destination.
        DependentMapping = "dependent-mapping",
        /// It depends on the destination, but how is not known.
        DependsSomehow = "depends-somehow",
        /// It did not show, which proves nothing.
        NotSeen = "not-seen",
        /// No server sends MAPPED-ADDRESS and XOR-MAPPED-ADDRESS both.
        OneForm = "one-form",
        /// The servers refuse: nothing listens there.
        ServerRefused = "server-refused",
        /// One silent server proves nothing.
        OneSilentServer = "one-silent-server",
        /// Names did not resolve.
        DnsFailed = "dns-failed",
        /// There is no route.
        NoRoute = "no-route",
        /// TCP works, UDP does not.
        UdpBlocked = "udp-blocked",
        /// A captive portal answers in place of others.
        CaptivePortal = "captive-portal",
        /// The server takes no TCP connections.
        NoTcp = "no-tcp",
    }
}

impl Reason {
    /// A sentence for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoServer => "there was no server to ask",
            Self::NoAnswer => "no server answered",
            Self::CannotTest => {
                "no server that answered can run this test: it takes one with two addresses and two ports (RFC 5780)"
            }
            Self::TooMuchLoss => "so many packets were lost that silence may have been loss",
            Self::ServersDisagree => "the servers that were asked contradict each other",
            Self::OneServer => "only one server answered, and it has no second address to compare with",
            Self::Inconsistent => {
                "the answers fit no kind of NAT; it may have changed during the test, or a port was still open from earlier"
            }
            Self::OtherSilent => {
                "the server's other address does not answer at all, so its silence says nothing about the NAT"
            }
            Self::Stopped => "the test was stopped",
            Self::NoSamples => "too few ports were seen",
            Self::Refused => "the system refused a socket or a send",
            Self::NotAsked => "nobody asked for it",
            Self::NoResponsePort => "the server does not follow RESPONSE-PORT (RFC 5780, section 7.5)",
            Self::DependentMapping => "the mapping depends on the destination, so the test means nothing",
            Self::DependsSomehow => {
                "the mapping depends on the destination, but without a server of RFC 5780 not whether on its port"
            }
            Self::NotSeen => "it was not seen, which proves nothing",
            Self::OneForm => "no server sent the mapped address in both forms",
            Self::ServerRefused => {
                "every server that was asked refuses: nothing listens at that address and port, or a firewall says so (ICMP port unreachable). Check the port (3478 is usual), or name another server"
            }
            Self::OneSilentServer => {
                "one server did not answer: name a second one to tell a dead server from blocked UDP"
            }
            Self::DnsFailed => "the names of the servers do not resolve",
            Self::NoRoute => "the system has no route to the servers",
            Self::UdpBlocked => "TCP reaches the server, UDP does not",
            Self::CaptivePortal => "a captive portal answers in place of other hosts: sign in with a browser",
            Self::NoTcp => "the server takes no TCP connections at the addresses that the test needs",
        }
    }
}

/// A property, and why it is not known or what else there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding<T> {
    /// The property.
    pub value: T,
    /// Why it is not known.
    pub reason: Option<Reason>,
}

impl<T> Finding<T> {
    /// Known.
    pub const fn known(value: T) -> Self {
        Self { value, reason: None }
    }

    /// With a reason.
    pub const fn because(value: T, reason: Reason) -> Self {
        Self { value, reason: Some(reason) }
    }
}

/// What is known of a NAT, for deriving other names and for comparing two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// The mapping.
    pub mapping: Mapping,
    /// The mapping depends on the destination, though it is not known how.
    pub endpoint_dependent: bool,
    /// The filtering.
    pub filtering: Filtering,
    /// How ports are chosen.
    pub allocation: Allocation,
    /// Hairpinning.
    pub hairpin: Hairpin,
    /// Pooling.
    pub pooling: Pooling,
    /// Nothing comes back from servers that answer others.
    pub blocked: bool,
}

impl Behaviour {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        mapping: Mapping::Unknown,
        endpoint_dependent: false,
        filtering: Filtering::Unknown,
        allocation: Allocation::Unknown,
        hairpin: Hairpin::Unknown,
        pooling: Pooling::Unknown,
        blocked: false,
    };

    /// Whether the mapping depends on the destination; `None` if that is not known.
    #[must_use]
    pub fn depends(&self) -> Option<bool> {
        match self.mapping {
            Mapping::None | Mapping::EndpointIndependent => Some(false),
            Mapping::AddressDependent | Mapping::AddressAndPortDependent => Some(true),
            Mapping::Unknown => self.endpoint_dependent.then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_every_reason_has_a_sentence_of_its_own() {
        let reasons = [
            "no-server no-answer cannot-test too-much-loss servers-disagree one-server inconsistent other-silent stopped",
            "no-samples refused not-asked no-response-port dependent-mapping depends-somehow not-seen one-form",
            "server-refused one-silent-server dns-failed no-route udp-blocked captive-portal no-tcp",
        ];
        let mut sentences = std::collections::HashSet::new();
        for name in reasons.iter().flat_map(|line| line.split(' ')) {
            let reason = Reason::from_name(name).expect(name);
            assert_eq!(reason.as_str(), name);
            assert!(sentences.insert(reason.sentence()), "{name}");
        }
        assert_eq!(sentences.len(), 24);
        for name in ["not-applicable", "equal", "preserving", "independent", "dependent", "random", "unknown"]
        {
            assert_eq!(Allocation::from_name(name, -4).expect(name).as_str(), name);
        }
        assert_eq!(Allocation::from_name("dependent", -4).map(Allocation::step), Some(-4));
        assert_eq!((Allocation::from_name("other", 0), Allocation::Random.step()), (None, 0));
        assert_eq!((Mapping::from_name("cone"), Mapping::None.to_string().as_str()), (None, "none"));
    }
}
