//! The mapping and the allocation tests.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Classifier, Command, Local, Probe, SampleKind, Test};

impl Classifier {
    /// Sockets one after the other to the first server that answered: first on scattered ports, then on consecutive ones.
    /// Never more at once than RFC 8489, section 6.2, allows to one server (10, with what else is under way).
    pub(super) fn allocation_tests(&mut self, now: Duration) {
        let Some(lead) = self.lead.or_else(|| self.targets.iter().position(|t| t.answered)) else { return };
        self.lead = Some(lead);
        let count = self.settings.sockets;
        if self.groups[0].is_none() {
            let sockets: Vec<u16> = (0..count).map(|_| self.open()).collect();
            self.begin_group(0, &sockets, now);
        } else if self.groups[1].is_none() && self.group_is_over(0, now) {
            let first = self.sockets.len() as u16;
            self.sockets.extend((0..count).map(|_| Local::default()));
            self.commands.push(Command::OpenRun { first, count });
            let sockets: Vec<u16> = (first..first + count).collect();
            self.begin_group(1, &sockets, now);
        }
    }

    fn begin_group(&mut self, group: usize, sockets: &[u16], now: Duration) {
        let Some(lead) = self.lead else { return };
        let to = self.targets[lead].address;
        let kind = [SampleKind::Scattered, SampleKind::Consecutive][group];
        for socket in sockets {
            let probe = self.add(Probe::new(Test::Allocation, lead, *socket, to, now));
            self.allocation.push((kind, probe));
            self.send(probe, now);
        }
        self.groups[group] = Some(now);
    }

    fn group_is_over(&self, group: usize, now: Duration) -> bool {
        let Some(began) = self.groups[group] else { return false };
        let kind = [SampleKind::Scattered, SampleKind::Consecutive][group];
        let mut probes = self.allocation.iter().filter(|(k, _)| *k == kind);
        now >= began + self.settings.give_up / 2 || probes.all(|(_, p)| self.probes[usize::from(*p)].closed)
    }

    pub(super) fn allocation_is_over(&self, now: Duration) -> bool {
        self.group_is_over(1, now)
    }

    /// From one socket to all that is known to answer.
    pub(super) fn mapping_tests(&mut self, now: Duration) {
        if self.mapping_began.is_none()
            && self.targets.iter().any(|t| t.answered)
            && self.filtering_is_over(now)
        {
            self.mapping_began = Some(now);
            let socket = self.open();
            for server in 0..self.targets.len() {
                let target = &self.targets[server];
                if !target.answered {
                    continue;
                }
                let mut tests = vec![(Test::Mapping1, target.address)];
                if let Some(other) = target.other.filter(|_| target.can_test()) {
                    let at = |ip: SocketAddr, port: SocketAddr| SocketAddr::new(ip.ip(), port.port());
                    tests.push((Test::Mapping2, at(other, target.address)));
                    tests.push((Test::Mapping3, other));
                    tests.push((Test::Mapping4, at(target.address, other)));
                }
                for (test, to) in tests {
                    let probe = self.add(Probe::new(test, server, socket, to, now));
                    self.mapping.push(probe);
                }
            }
        }
        self.close_silent(now);
    }

    /// An address that does not answer is not waited for longer than loss could explain.
    fn close_silent(&mut self, now: Duration) {
        for at in 0..self.mapping.len() {
            let index = usize::from(self.mapping[at]);
            let probe = &self.probes[index];
            let (server, asked) = (probe.server, probe.sends.len());
            let over = probe.sends.last().is_some_and(|last| now >= *last + self.wait());
            let hopeless =
                asked >= self.settings.least_asked && self.doubt(server, asked, now) <= self.settings.doubt;
            if !probe.closed && over && hopeless {
                self.probes[index].closed = true;
            }
        }
    }

    pub(super) fn mapping_is_over(&self, now: Duration) -> bool {
        self.mapping_began.is_some_and(|began| {
            now >= began + self.settings.give_up
                || self.mapping.iter().all(|p| self.probes[usize::from(*p)].closed)
        })
    }
}
