//! Transaction ids that authenticate themselves: what they encode is keyed, so that nothing is kept for each probe.

use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use crate::stun::TransactionId;

/// The highest positions stand for the canary, the machine's default source address, not for a source of the block.
pub const CANARY_POSITIONS: u32 = 1 << 16;

const CONTROL: u8 = 0x80;

/// The contents of a transaction id: which probe it was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeId {
    /// Position in the permuted order, later the index of the source; or a canary position (from `u32::MAX` downwards).
    pub position: u32,
    /// The attempt, or the lower bits of the flow that it left by.
    pub pass: u8,
    /// A repeat to a source that is already known to answer, to measure loss.
    pub control: bool,
}

impl ProbeId {
    /// Decodes an id without checking it: compare the whole id with [`ProbeIds::encode`] before believing it.
    #[must_use]
    pub fn decode(id: &TransactionId) -> Self {
        Self {
            position: u32::from_be_bytes([id[0], id[1], id[2], id[3]]),
            pass: id[4] & !CONTROL,
            control: id[4] & CONTROL != 0,
        }
    }
}

/// What an id carries of the number of a flow. The port that a reply arrives at says the rest.
pub(super) fn pass_of(flow: u32) -> u8 {
    flow as u8 & !CONTROL
}

/// The keyed generator of transaction ids; it keeps none of them. (As SYN cookies do for TCP, RFC 4987; no relation to the
/// magic cookie of STUN.)
///
/// The 96 bits are: position (32), control flag and pass (8), and the upper 56 bits of SipHash-2-4, keyed per run, over
/// these, the source and the server. A reply that was forged, or meant for another probe, passes with probability 2^-56.
#[derive(Clone)]
pub struct ProbeIds {
    hasher: SipHasher24,
    key: [u8; 16],
}

impl std::fmt::Debug for ProbeIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProbeIds { .. }") // the key must not reach a log
    }
}

impl ProbeIds {
    /// A generator with the run's key.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { hasher: SipHasher24::new_with_key(&key), key }
    }

    /// The key, for the saved state.
    #[must_use]
    pub fn key(&self) -> [u8; 16] {
        self.key
    }

    /// The transaction id of a probe from `source` to `server`.
    #[must_use]
    pub fn encode(&self, probe: ProbeId, source: IpAddr, server: SocketAddr) -> TransactionId {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&probe.position.to_be_bytes());
        id[4] = probe.pass | if probe.control { CONTROL } else { 0 };
        let mut message = [0; 5 + 16 + 16 + 2];
        message[..5].copy_from_slice(&id[..5]);
        message[5..21].copy_from_slice(&address_bytes(source));
        message[21..37].copy_from_slice(&address_bytes(server.ip()));
        message[37..].copy_from_slice(&server.port().to_be_bytes());
        id[5..].copy_from_slice(&self.hasher.hash(&message).to_be_bytes()[..7]);
        id
    }
}

/// IPv4 in the mapped range, so that one layout serves both families.
fn address_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_flow_leaves_the_flag_of_controls_free() {
        for (flow, pass) in [(0, 0), (0x7f, 0x7f), (0x80, 0), (0x185, 5), (u32::MAX, 0x7f)] {
            assert_eq!(pass_of(flow), pass, "{flow}");
        }
    }

    #[test]
    fn every_part_is_bound_into_the_id() {
        let ids = ProbeIds::new([1; 16]);
        let probe = ProbeId { position: 77, pass: 2, control: false };
        let source: IpAddr = "10.0.0.1".parse().expect("an address");
        let server: SocketAddr = "192.0.2.1:3478".parse().expect("an address");
        let id = ids.encode(probe, source, server);
        assert_eq!(ProbeId::decode(&id), probe);
        let others = [
            ("position", ProbeId { position: 78, ..probe }, source, server),
            ("pass", ProbeId { pass: 3, ..probe }, source, server),
            ("control", ProbeId { control: true, ..probe }, source, server),
            ("source", probe, "10.0.0.2".parse().expect("an address"), server),
            ("server address", probe, source, "192.0.2.2:3478".parse().expect("an address")),
            ("server port", probe, source, "192.0.2.1:3479".parse().expect("an address")),
        ];
        for (part, probe, source, server) in others {
            assert_ne!(ids.encode(probe, source, server)[5..], id[5..], "{part} is not part of the proof");
        }
        assert_ne!(ProbeIds::new([2; 16]).encode(probe, source, server), id, "the key is part of the proof");
        assert_eq!(format!("{ids:?}"), "ProbeIds { .. }");
        assert_eq!(ProbeIds::new([2; 16]).key(), [2; 16], "as it is saved");
    }
}
