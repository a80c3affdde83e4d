//! The saved state of a sweep, as bytes.

use std::hash::Hasher;
use std::net::SocketAddr;

use siphasher::sip::SipHasher24;

use super::states::States;
use super::verdict::{Reason, Status, read_address};

/// All that a sweep needs to go on after it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// What the sweep is of (sources, servers, interface): a state is used for the same sweep only.
    pub identity: String,
    /// Seed of the order.
    pub seed: u64,
    /// Key of the transaction ids.
    pub key: [u8; 16],
    /// Where to go on within the first pass.
    pub cursor: u32,
    /// Every source was probed: what is open and has no evidence never answered.
    pub concluded: bool,
    /// Sources that answered, but not to their first probe.
    pub late: u32,
    /// Probes sent and replies received.
    pub traffic: [u64; 2],
    /// What was found, two bits a source.
    pub states: States,
    /// What is known of those that are not `ok`.
    pub evidence: Vec<SavedEvidence>,
}

/// One entry of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedEvidence {
    /// Index of the source.
    pub index: u32,
    /// What was found.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// errno or STUN error code.
    pub code: u16,
    /// The address a server saw.
    pub external: Option<SocketAddr>,
    /// Which server.
    pub server: u16,
}

/// Why bytes are not a saved state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// The bytes do not begin as a saved state does.
    #[error("it is not a saved state of routepool")]
    NotASavedState,
    /// Written by another version.
    #[error("it was written by another version of routepool (format {0})")]
    Version(u8),
    /// Cut short or changed.
    #[error("it is damaged (the checksum does not match)")]
    Damaged,
}

const MAGIC: &[u8; 9] = b"routepool";
const VERSION: u8 = 2;

impl Saved {
    /// The bytes: magic, version, fields, and a checksum over all of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.states.words().len() * 8 + self.evidence.len() * 30);
        out.extend(MAGIC);
        out.push(VERSION);
        out.extend((self.identity.len() as u32).to_le_bytes());
        out.extend(self.identity.as_bytes());
        out.extend(self.seed.to_le_bytes());
        out.extend(self.key);
        out.extend(self.cursor.to_le_bytes());
        out.push(u8::from(self.concluded));
        out.extend(self.late.to_le_bytes());
        out.extend(self.traffic.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(self.states.len().to_le_bytes());
        out.extend(self.states.words().iter().flat_map(|w| w.to_le_bytes()));
        out.extend((self.evidence.len() as u32).to_le_bytes());
        for e in &self.evidence {
            out.extend(e.index.to_le_bytes());
            out.extend([e.status as u8, e.reason as u8]);
            out.extend(e.code.to_le_bytes());
            out.extend(e.server.to_le_bytes());
            put_external(&mut out, e.external);
        }
        let sum = checksum(&out);
        out.extend(sum.to_le_bytes());
        out
    }

    /// Reads what [`Saved::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are of something else, of another version, cut short or changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SavedError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SavedError::NotASavedState)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(SavedError::Version(other)),
            None => return Err(SavedError::Damaged),
        }
        let (content, sum) = bytes.split_last_chunk::<8>().ok_or(SavedError::Damaged)?;
        if checksum(content) != u64::from_le_bytes(*sum) {
            return Err(SavedError::Damaged);
        }
        Reader(&content[MAGIC.len() + 1..]).saved().ok_or(SavedError::Damaged)
    }
}

fn put_external(out: &mut Vec<u8>, external: Option<SocketAddr>) {
    match external {
        None => out.push(0),
        Some(SocketAddr::V4(a)) => {
            out.push(4);
            out.extend(a.ip().octets());
            out.extend(a.port().to_le_bytes());
        }
        Some(SocketAddr::V6(a)) => {
            out.push(6);
            out.extend(a.ip().octets());
            out.extend(a.port().to_le_bytes());
        }
    }
}

/// With a right checksum, whatever it says.
#[cfg(test)]
pub(super) fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&content);
    content.extend(sum.to_le_bytes());
    content
}

/// Guards against a torn or changed file, not against an attacker: the key is no secret.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(b"routepool saved!");
    hasher.write(bytes);
    hasher.finish()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn saved(mut self) -> Option<Saved> {
        let identity_len = self.u32()? as usize;
        let identity = String::from_utf8(self.take(identity_len)?.to_vec()).ok()?;
        let seed = u64::from_le_bytes(self.array()?);
        let key = self.array()?;
        let cursor = self.u32()?;
        let [concluded] = self.array()?;
        let late = self.u32()?;
        let traffic = [u64::from_le_bytes(self.array()?), u64::from_le_bytes(self.array()?)];
        let len = self.u32()?;
        let words = self.take((len as usize).div_ceil(32) * 8)?;
        let words =
            words.chunks_exact(8).filter_map(|w| Some(u64::from_le_bytes(w.try_into().ok()?))).collect();
        let states = States::from_words(len, words)?;
        let entries = self.u32()?;
        let evidence = (0..entries).map(|_| self.evidence(len)).collect::<Option<_>>()?;
        self.0.is_empty().then_some(Saved {
            identity,
            seed,
            key,
            cursor,
            concluded: concluded != 0,
            late,
            traffic,
            states,
            evidence,
        })
    }

    fn evidence(&mut self, len: u32) -> Option<SavedEvidence> {
        let index = self.u32().filter(|i| *i < len)?;
        let [status, reason] = self.array()?;
        let code = self.u16()?;
        let server = self.u16()?;
        let external = match self.array()? {
            [0] => None,
            [4] => {
                let octets: [u8; 4] = self.array()?;
                Some(SocketAddr::new(octets.into(), self.u16()?))
            }
            [6] => {
                let ip = read_address(self.array()?, true);
                Some(SocketAddr::new(ip, self.u16()?))
            }
            _ => return None,
        };
        let (status, reason) = (status_from(status)?, Reason::from_code(reason)?);
        Some(SavedEvidence { index, status, reason, code, external, server })
    }

    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.array()?))
    }
}

fn status_from(code: u8) -> Option<Status> {
    Status::ALL.into_iter().find(|s| *s as u8 == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::State;

    fn sample() -> Saved {
        let mut states = States::new(100);
        states.set(3, State::Ok);
        states.set(99, State::Other);
        let entry = |index, external: Option<&str>| SavedEvidence {
            index,
            status: Status::Mapped,
            reason: Reason::ExternalVaries,
            code: 7,
            external: external.map(|e| e.parse().expect("an address")),
            server: 1,
        };
        Saved {
            identity: "10.0.0.0/25 subnet".into(),
            seed: 42,
            key: [9; 16],
            cursor: 17,
            concluded: true,
            late: 6,
            traffic: [10, 9],
            states,
            evidence: vec![entry(99, Some("[2001:db8::1]:5")), entry(4, Some("192.0.2.1:6")), entry(5, None)],
        }
    }

    #[test]
    fn reads_back() {
        let saved = sample();
        assert_eq!(Saved::from_bytes(&saved.to_bytes()), Ok(saved));
    }

    #[test]
    fn anything_torn_or_changed_is_refused() {
        let bytes = sample().to_bytes();
        for len in 0..bytes.len() {
            assert!(Saved::from_bytes(&bytes[..len]).is_err(), "the first {len} bytes");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Saved::from_bytes(&changed).is_err(), "byte {at} changed");
        }
        assert_eq!(Saved::from_bytes(b"ip,status\n"), Err(SavedError::NotASavedState));
        let mut newer = bytes;
        newer[MAGIC.len()] = 3;
        assert_eq!(Saved::from_bytes(&newer), Err(SavedError::Version(3)));
    }

    #[test]
    fn a_right_checksum_over_wrong_content_is_refused_too() {
        let mut bytes = sample().to_bytes();
        bytes.truncate(bytes.len() - 12);
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        assert_eq!(Saved::from_bytes(&bytes), Err(SavedError::Damaged));
        let mut beyond = sample();
        beyond.evidence[0].index = beyond.states.len();
        assert_eq!(Saved::from_bytes(&beyond.to_bytes()), Err(SavedError::Damaged), "evidence of no source");
    }
}
