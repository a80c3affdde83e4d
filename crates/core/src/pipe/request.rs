//! How a socket is opened, as packed numbers: an object with sixteen properties takes longer to read than the socket takes to open.
//!
//! | bytes | what |
//! |---|---|
//! | 0-3 | the kind: 0 connection, 1 UDP, 2 listener |
//! | 4-7 | switches, see [`Switch`] |
//! | 8-11 | [`Settings::largest`]; 0 for the default |
//! | 12-15, 16-19 | `SO_SNDBUF`, `SO_RCVBUF`; 0 leaves them to the system |
//! | 20-23 | [`Settings::backlog`]; 0 for the default |
//! | 24-27, 28-31 | milliseconds of `SO_KEEPALIVE` and `SO_LINGER`; negative for none |
//! | 32-55 | the local address; the answer is put there too |
//! | 56-79 | the peer |

use std::net::SocketAddr;
use std::time::Duration;

use super::open::{Kind, Settings};
use super::record::{ENDPOINT, endpoint, parse_endpoint};

/// Bytes of a request.
pub const REQUEST: usize = REMOTE + ENDPOINT;

const LOCAL: usize = 32;
const REMOTE: usize = LOCAL + ENDPOINT;

/// Bits of the switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Switch {
    /// [`Settings::no_delay`]
    NoDelay = 1,
    /// [`Settings::reuse_address`]
    ReuseAddress = 2,
    /// [`Settings::broadcast`]
    Broadcast = 4,
    /// [`Settings::packet_info`]
    PacketInfo = 8,
    /// [`Settings::dual_stack`]
    DualStack = 16,
    /// [`Settings::best_effort`]
    BestEffort = 32,
    /// There is a local address.
    Local = 64,
    /// There is a peer.
    Remote = 128,
}

/// Reads a request; `None` for bytes that are none.
#[must_use]
pub fn parse_request(bytes: &[u8], interface: Option<String>) -> Option<Settings> {
    let bytes = bytes.get(..REQUEST)?;
    let word = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let kind = match word(0) {
        0 => Kind::Tcp,
        1 => Kind::Udp,
        2 => Kind::Listener,
        _ => return None,
    };
    let has = |switch: Switch| word(4).cast_unsigned() & switch as u32 != 0;
    let size = |at: usize| usize::try_from(word(at)).ok().filter(|size| *size > 0);
    let time = |at: usize| u64::try_from(word(at)).ok().map(Duration::from_millis);
    // An address that was promised and is none must not be taken for the system's choice.
    let address = |switch, at: usize| {
        if has(switch) { parse_endpoint(&bytes[at..at + ENDPOINT]).map(Some) } else { Some(None) }
    };
    let defaults = Settings::new(kind);
    Some(Settings {
        local: address(Switch::Local, LOCAL)?,
        interface,
        best_effort: has(Switch::BestEffort),
        remote: address(Switch::Remote, REMOTE)?,
        dual_stack: has(Switch::DualStack),
        no_delay: has(Switch::NoDelay),
        keep_alive: time(24),
        linger: time(28),
        send_buffer: size(12),
        receive_buffer: size(16),
        reuse_address: has(Switch::ReuseAddress),
        broadcast: has(Switch::Broadcast),
        packet_info: has(Switch::PacketInfo),
        backlog: size(20).and_then(|n| i32::try_from(n).ok()).unwrap_or(defaults.backlog),
        largest: size(8).unwrap_or(defaults.largest),
        ..defaults
    })
}

/// Puts the local address of the socket that was opened into its request.
pub fn answer_request(bytes: &mut [u8], local: SocketAddr) {
    if let Some(place) = bytes.get_mut(LOCAL..LOCAL + ENDPOINT) {
        place.copy_from_slice(&endpoint(local));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: [i32; 8]) -> Vec<u8> {
        let mut bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        bytes.resize(REQUEST, 0);
        bytes
    }

    #[test]
    fn zeros_are_the_defaults_and_each_number_has_its_place() {
        let plain = parse_request(&request([1, 0, 0, 0, 0, 0, -1, -1]), None).expect("a request");
        assert_eq!(format!("{plain:?}"), format!("{:?}", Settings::new(Kind::Udp)));
        let mut bytes = request([0, 255, 9, 1_024, 2_048, 7, 90_000, 0]);
        let (local, remote) = ("10.0.0.1:5", "[2001:db8::1]:80");
        answer_request(&mut bytes, local.parse().expect("an address"));
        bytes[REMOTE..].copy_from_slice(&endpoint(remote.parse().expect("an address")));
        let full = parse_request(&bytes, Some("eth0".to_owned())).expect("a request");
        let want = Settings {
            local: local.parse().ok(),
            remote: remote.parse().ok(),
            interface: Some("eth0".to_owned()),
            best_effort: true,
            dual_stack: true,
            no_delay: true,
            reuse_address: true,
            broadcast: true,
            packet_info: true,
            largest: 9,
            send_buffer: Some(1_024),
            receive_buffer: Some(2_048),
            backlog: 7,
            keep_alive: Some(Duration::from_secs(90)),
            linger: Some(Duration::ZERO),
            ..Settings::new(Kind::Tcp)
        };
        assert_eq!(format!("{full:?}"), format!("{want:?}"));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert!(parse_request(&[0; REQUEST - 1], None).is_none(), "too short");
        assert!(parse_request(&request([3, 0, 0, 0, 0, 0, -1, -1]), None).is_none(), "no such kind");
        let promised = request([1, Switch::Remote as i32, 0, 0, 0, 0, -1, -1]);
        assert!(parse_request(&promised, None).is_none(), "an address without a family");
    }
}
