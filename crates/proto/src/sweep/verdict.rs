//! The verdict on one source, and its packed form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What was found for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// A server saw the source as itself, and its reply reached the source.
    Ok = 1,
    /// A server saw another address.
    Mapped = 2,
    /// Never replied, although enough probes were sent over a working network.
    NoReply = 3,
    /// The system refused to send from the source.
    SendError = 4,
    /// The system refused to bind the source.
    BindError = 5,
    /// A reply came, but not one that proves anything.
    BadReply = 6,
    /// It could not be found out.
    Unknown = 7,
}

impl Status {
    /// Each of them, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Mapped,
        Self::NoReply,
        Self::SendError,
        Self::BindError,
        Self::BadReply,
        Self::Unknown,
    ];

    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mapped => "mapped",
            Self::NoReply => "no-reply",
            Self::SendError => "send-error",
            Self::BindError => "bind-error",
            Self::BadReply => "bad-reply",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a reply was bad, or why nothing could be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The status says it all.
    None = 0,
    /// The reply was delivered to another address than the one probed: the way back is not the way out.
    WrongDestination = 1,
    /// The server answered with a STUN error (its code is in the verdict).
    ErrorResponse = 2,
    /// A success response without a mapped address.
    NoMappedAddress = 3,
    /// The server's address sent this source something that is not a STUN response.
    NotStun = 4,
    /// The reply came from another address or port than the one queried.
    WrongServer = 5,
    /// So many probes are lost that silence proves nothing.
    Loss = 10,
    /// All answers came from behind one external address, whose ports have run out.
    NatPorts = 11,
    /// The network went away and did not come back.
    NetworkLost = 12,
    /// One server saw the source as itself, another did not.
    ServersDisagree = 13,
    /// Two servers saw two external addresses, neither of them the source.
    ExternalVaries = 14,
    /// The path carries so few probes in this place that silence proves nothing.
    RateLimited = 15,
    /// New flows are lost where those that began earlier pass: a table of flows on the way is full.
    FlowTable = 16,
    /// The server reported the address in MAPPED-ADDRESS alone, which devices on the way rewrite (RFC 8489, section 14.2).
    UnprotectedReply = 17,
    /// The system refused some probes and let others pass, which stayed silent.
    SometimesRefused = 18,
}

impl Reason {
    /// The name users see; empty for [`Reason::None`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::WrongDestination => "wrong-destination",
            Self::ErrorResponse => "error-response",
            Self::NoMappedAddress => "no-mapped-address",
            Self::NotStun => "not-stun",
            Self::WrongServer => "wrong-server",
            Self::Loss => "loss",
            Self::NatPorts => "nat-ports",
            Self::NetworkLost => "network-lost",
            Self::ServersDisagree => "servers-disagree",
            Self::ExternalVaries => "external-varies",
            Self::RateLimited => "rate-limited",
            Self::FlowTable => "flow-table",
            Self::UnprotectedReply => "unprotected-reply",
            Self::SometimesRefused => "sometimes-refused",
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        [
            Self::None,
            Self::WrongDestination,
            Self::ErrorResponse,
            Self::NoMappedAddress,
            Self::NotStun,
            Self::WrongServer,
            Self::Loss,
            Self::NatPorts,
            Self::NetworkLost,
            Self::ServersDisagree,
            Self::ExternalVaries,
            Self::RateLimited,
            Self::FlowTable,
            Self::UnprotectedReply,
            Self::SometimesRefused,
        ]
        .into_iter()
        .find(|r| *r as u8 == code)
    }
}

/// The verdict on one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the source among the targets.
    pub index: u32,
    /// The source.
    pub source: IpAddr,
    /// What was found.
    pub status: Status,
    /// Why, where the status does not say it all.
    pub reason: Reason,
    /// The address and port that a server saw.
    pub external: Option<SocketAddr>,
    /// errno of a send or bind error, or the STUN error code.
    pub code: u16,
    /// The source is `ok`, but the server saw another port than the one sent from.
    pub port_rewritten: bool,
    /// Only one server address had a say.
    pub single_server: bool,
    /// The verdict comes from a saved state.
    pub resumed: bool,
    /// How many times the source was probed.
    pub asked: u8,
    /// Round-trip time in microseconds; 0 if it was not measured.
    pub rtt_us: u32,
}

/// Length of a packed verdict.
pub const RECORD_LEN: usize = 48;

impl Verdict {
    /// The packed form, little endian: source (16, IPv4 in the first 4), external address (16), index u32, status,
    /// flags (1 source is IPv6, 2 external is IPv6, 4 port rewritten, 8 single server, 16 resumed), reason, asked,
    /// external port u16, code u16, round-trip time u32.
    #[must_use]
    pub fn to_record(&self) -> [u8; RECORD_LEN] {
        let mut record = [0; RECORD_LEN];
        let mut flags = put_address(&mut record[..16], self.source);
        if let Some(external) = self.external {
            flags |= put_address(&mut record[16..32], external.ip()) << 1;
            record[40..42].copy_from_slice(&external.port().to_le_bytes());
        }
        flags |= u8::from(self.port_rewritten) << 2
            | u8::from(self.single_server) << 3
            | u8::from(self.resumed) << 4;
        record[32..36].copy_from_slice(&self.index.to_le_bytes());
        record[36] = self.status as u8;
        record[37] = flags;
        record[38] = self.reason as u8;
        record[39] = self.asked;
        record[42..44].copy_from_slice(&self.code.to_le_bytes());
        record[44..48].copy_from_slice(&self.rtt_us.to_le_bytes());
        record
    }
}

/// Writes an address; gives 1 for IPv6.
fn put_address(out: &mut [u8], ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => {
            out[..4].copy_from_slice(&ip.octets());
            0
        }
        IpAddr::V6(ip) => {
            out.copy_from_slice(&ip.octets());
            1
        }
    }
}

/// Reads an address that [`Verdict::to_record`] wrote.
pub(super) fn read_address(bytes: [u8; 16], ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::from(bytes).into()
    } else {
        Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
    }
}

/// Where verdicts go.
pub trait VerdictSink {
    /// Takes a verdict. Called once for each source that is judged.
    fn verdict(&mut self, verdict: &Verdict);
}

impl VerdictSink for Vec<Verdict> {
    fn verdict(&mut self, verdict: &Verdict) {
        self.push(*verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_laid_out_as_documented() {
        let verdict = Verdict {
            index: 0x0102_0304,
            source: "10.1.2.3".parse().expect("an address"),
            status: Status::Mapped,
            reason: Reason::ExternalVaries,
            external: Some("[2001:db8::1]:4660".parse().expect("an address")),
            code: 400,
            port_rewritten: true,
            single_server: true,
            resumed: true,
            asked: 3,
            rtt_us: 70_000,
        };
        let record = verdict.to_record();
        assert_eq!(record[..16], [10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record[16..32], [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(record[32..36], [4, 3, 2, 1]);
        assert_eq!(record[36..40], [2, 2 | 4 | 8 | 16, 14, 3]);
        assert_eq!(record[40..44], [0x34, 0x12, 0x90, 0x01]);
        assert_eq!(record[44..], 70_000_u32.to_le_bytes());
    }

    #[test]
    fn codes_read_back() {
        for code in 0..=255 {
            if let Some(reason) = Reason::from_code(code) {
                assert_eq!(reason as u8, code);
                assert_eq!(reason.as_str().is_empty(), reason == Reason::None);
            }
        }
        assert_eq!(Reason::from_code(14), Some(Reason::ExternalVaries));
        assert_eq!(Reason::from_code(19), None);
        let v6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(read_address(v6, true), "2001:db8::1".parse::<IpAddr>().expect("an address"));
        assert_eq!(read_address(v6, false), "32.1.13.184".parse::<IpAddr>().expect("an address"));
    }
}
