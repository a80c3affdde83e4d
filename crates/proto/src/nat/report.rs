//! What was found, and by what.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::allocation::Sample;
use super::behaviour::{
    Alg, Allocation, Behaviour, Connectivity, Filtering, Finding, Hairpin, Mapping, Overloading, Pooling,
    Reason,
};
use super::names::named;

named! {
    /// A sub-test.
    Test {
        /// To the server's first address and port (RFC 5780, section 4.3, test I).
        Mapping1 = "mapping-1",
        /// To its other address, first port (test II).
        Mapping2 = "mapping-2",
        /// To its other address, other port (test III).
        Mapping3 = "mapping-3",
        /// To its first address, other port: the control of the others.
        Mapping4 = "mapping-4",
        /// Beside a filtering test, to know that the server answers (section 4.4, test I).
        FilteringPlain = "filtering-plain",
        /// Answer from the other address and port (test II).
        Filtering2 = "filtering-2",
        /// Answer from the other port (test III).
        Filtering3 = "filtering-3",
        /// From one of many sockets.
        Allocation = "allocation",
        /// From each of two sockets, to know their mapped addresses.
        HairpinPlain = "hairpin-plain",
        /// From one of them to the mapped address of the other.
        Hairpin = "hairpin",
        /// Opens a mapping, or shows that the server answers.
        LifetimePlain = "lifetime-plain",
        /// Answer to a mapping of some age.
        Lifetime = "lifetime",
        /// Over TCP, as mapping-1.
        Tcp1 = "tcp-1",
        /// Over TCP, as mapping-2.
        Tcp2 = "tcp-2",
        /// Over TCP, as mapping-3.
        Tcp3 = "tcp-3",
    }
}

/// One sub-test with what came of it. Times from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which.
    pub test: Test,
    /// Where the request went.
    pub server: SocketAddr,
    /// Where the answer came from.
    pub from: Option<SocketAddr>,
    /// Where it was sent from.
    pub local: Option<SocketAddr>,
    /// What the answer said that the request came from.
    pub mapped: Option<SocketAddr>,
    /// An error response.
    pub error_code: Option<u16>,
    /// A refused send or socket.
    pub errno: Option<i32>,
    /// The last send.
    pub sent_at: Option<Duration>,
    /// The first answer.
    pub received_at: Option<Duration>,
    /// How often it was sent.
    pub attempts: u32,
    /// How many of the sends were answered.
    pub answers: u32,
    /// Its silence counted.
    pub silent: bool,
}

/// Datagrams without effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// No STUN responses, or broken ones.
    pub garbage: u32,
    /// Ids that were not sent.
    pub forged: u32,
    /// From an address that was not asked, or at a socket that did not ask.
    pub misdirected: u32,
    /// Second answers to one send.
    pub duplicates: u32,
    /// With a mapped address of the other family.
    pub other_family: u32,
}

/// How many plain requests were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Sent.
    pub sent: u32,
    /// Answered.
    pub answered: u32,
}

/// What one server's tests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVerdict {
    /// The server.
    pub address: SocketAddr,
    /// Its other address.
    pub other: Option<SocketAddr>,
    /// Whether it answered at all.
    pub answered: bool,
    /// Why it cannot run the tests of RFC 5780, in words.
    pub cannot_test: Option<String>,
    /// The mapping.
    pub mapping: Finding<Mapping>,
    /// The filtering.
    pub filtering: Finding<Filtering>,
}

/// How ports are chosen, and by which samples.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocationFinding {
    /// How.
    pub finding: Finding<Allocation>,
    /// The share of the samples that fit, 0 to 1.
    pub confidence: f64,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// How long a mapping without traffic lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Nobody asked.
    NotAsked,
    /// Alive at one age, gone at another.
    Measured {
        /// Alive.
        alive: Duration,
        /// Gone.
        gone: Duration,
    },
    /// Alive at the greatest age that was tested.
    AtLeast(Duration),
    /// Not known.
    Unknown(Reason),
}

/// What was found for one local address.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The local address.
    pub local: IpAddr,
    /// External addresses, the most frequent first.
    pub externals: Vec<IpAddr>,
    /// Whether servers can be reached.
    pub connectivity: Finding<Connectivity>,
    /// The mapping.
    pub mapping: Finding<Mapping>,
    /// It depends on the destination, though it may not be known how.
    pub endpoint_dependent: bool,
    /// The filtering.
    pub filtering: Finding<Filtering>,
    /// How ports are chosen.
    pub allocation: AllocationFinding,
    /// Whether sockets share an address.
    pub pooling: Finding<Pooling>,
    /// Whether sockets share a port.
    pub overloading: Finding<Overloading>,
    /// Whether packets are rewritten inside.
    pub alg: Finding<Alg>,
    /// Hairpinning.
    pub hairpin: Finding<Hairpin>,
    /// How long mappings live.
    pub lifetime: Lifetime,
    /// Each server.
    pub servers: Vec<ServerVerdict>,
    /// Two servers' verdicts differ.
    pub disagree: bool,
    /// The loss of the path.
    pub loss: Loss,
    /// All sub-tests.
    pub evidence: Vec<Evidence>,
    /// Datagrams without effect.
    pub ignored: Ignored,
}

impl Report {
    /// The axes alone.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        Behaviour {
            mapping: self.mapping.value,
            endpoint_dependent: self.endpoint_dependent,
            filtering: self.filtering.value,
            allocation: self.allocation.finding.value,
            hairpin: self.hairpin.value,
            pooling: self.pooling.value,
            blocked: self.connectivity.value == Connectivity::UdpBlocked
                || (self.connectivity.value == Connectivity::NoReply && self.connectivity.reason.is_none()),
        }
    }
}
