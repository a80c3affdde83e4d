//! What is known of the sources that are not simply `ok`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::settings::bounds::EXTERNALS_COUNTED;
use super::verdict::{Reason, Status};

/// Why a probe could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `sendmsg` refused, with this errno.
    Send(u16),
    /// `bind` refused, with this errno.
    Bind(u16),
}

/// One observation: small, since a block behind a NAT has one for each of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub status: Status,
    pub reason: Reason,
    pub code: u16,
    pub port: u16,
    /// Which server was queried.
    pub server: u16,
    /// Number of the external address, or [`NO_ADDRESS`].
    address: u32,
}

const NO_ADDRESS: u32 = u32::MAX;

impl Entry {
    pub(super) fn failure(failure: Failure) -> Self {
        let (status, code) = match failure {
            Failure::Send(errno) => (Status::SendError, errno),
            Failure::Bind(errno) => (Status::BindError, errno),
        };
        Self { status, reason: Reason::None, code, port: 0, server: 0, address: NO_ADDRESS }
    }

    pub(super) fn bad_reply(reason: Reason, code: u16) -> Self {
        Self { status: Status::BadReply, reason, code, port: 0, server: 0, address: NO_ADDRESS }
    }

    pub(super) fn unknown(reason: Reason) -> Self {
        Self { status: Status::Unknown, ..Self::bad_reply(reason, 0) }
    }

    /// Whether the system refused to send: then the source has not answered anything.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, Status::SendError | Status::BindError)
    }
}

/// The entries, and the external addresses they speak of, each stored once.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    entries: HashMap<u32, Entry>,
    addresses: Vec<IpAddr>,
    numbers: HashMap<IpAddr, u32>,
    counts: HashMap<u32, u32>,
}

impl Evidence {
    pub(super) fn mapped_entry(&mut self, external: SocketAddr, server: u16) -> Entry {
        let next = self.addresses.len() as u32;
        let address = *self.numbers.entry(external.ip()).or_insert(next);
        if address == next {
            self.addresses.push(external.ip());
        }
        Entry {
            status: Status::Mapped,
            reason: Reason::None,
            code: 0,
            port: external.port(),
            server,
            address,
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<Entry> {
        if self.entries.is_empty() { None } else { self.entries.get(&index).copied() }
    }

    pub(super) fn put(&mut self, index: u32, entry: Entry) {
        self.entries.insert(index, entry);
    }

    pub(super) fn remove(&mut self, index: u32) {
        if !self.entries.is_empty() {
            self.entries.remove(&index);
        }
    }

    pub(super) fn external(&self, entry: &Entry) -> Option<SocketAddr> {
        Some(SocketAddr::new(*self.addresses.get(entry.address as usize)?, entry.port))
    }

    /// A source was seen behind the entry's external address.
    pub(super) fn count_mapped(&mut self, entry: &Entry) {
        if self.counts.len() < EXTERNALS_COUNTED || self.counts.contains_key(&entry.address) {
            *self.counts.entry(entry.address).or_default() += 1;
        }
    }

    /// The external addresses with the number of sources seen behind each, most first, at most `most`.
    pub(super) fn externals(&self, most: usize) -> Vec<(IpAddr, u32)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .filter_map(|(n, count)| Some((*self.addresses.get(*n as usize)?, *count)))
            .collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(most);
        all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Entry)> + '_ {
        self.entries.iter().map(|(index, entry)| (*index, *entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_sources_behind_each_external_address() {
        let mut evidence = Evidence::default();
        for (index, external) in ["192.0.2.1:1", "192.0.2.2:2", "192.0.2.1:3"].iter().enumerate() {
            let entry = evidence.mapped_entry(external.parse().expect("an address"), 0);
            evidence.count_mapped(&entry);
            evidence.put(index as u32, entry);
        }
        let ips: Vec<_> = evidence.externals(10).into_iter().map(|(ip, n)| (ip.to_string(), n)).collect();
        assert_eq!(ips, [("192.0.2.1".to_owned(), 2), ("192.0.2.2".to_owned(), 1)]);
        let third = evidence.get(2).expect("an entry");
        assert_eq!(evidence.external(&third).map(|e| e.to_string()), Some("192.0.2.1:3".to_owned()));
        assert_eq!(evidence.iter().count(), 3);
        evidence.remove(2);
        assert_eq!(evidence.get(2), None);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 16);
    }
}
