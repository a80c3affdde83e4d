//! What the addresses of all watched interfaces leave as.

use std::collections::HashMap;

use routepool_proto::watch::{ExternalChange, Externals};

use crate::discovery::load::Loaded;

/// Addresses of an interface that leave as something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Whether they are IPv6 addresses; the number of the route is one of that family.
    pub ipv6: bool,
    /// What has changed.
    pub change: ExternalChange,
}

/// By the name of the interface: IPv4 and IPv6.
#[derive(Debug, Default)]
pub(super) struct KnownExternals(HashMap<String, [Externals; 2]>);

impl KnownExternals {
    pub(super) fn compare(&mut self, loaded: &Loaded) -> Vec<External> {
        let known = self.0.entry(loaded.facts.name.clone()).or_default();
        let families = [(false, &loaded.ipv4.routes), (true, &loaded.ipv6.routes)];
        let mut changes = Vec::new();
        for (externals, (ipv6, routes)) in known.iter_mut().zip(families) {
            changes.extend(externals.compare(routes).into_iter().map(|change| External { ipv6, change }));
        }
        changes
    }

    pub(super) fn forget(&mut self, interface: &str) {
        self.0.remove(interface);
    }
}
