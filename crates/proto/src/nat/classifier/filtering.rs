//! Which servers are asked, and the filtering tests.

use std::time::Duration;

use super::{ChangeRequest, Classifier, Command, Incapable, Probe, Target, Test, behavior};

/// A filtering test: a request to answer from elsewhere, and a plain one beside it, both from one socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) plain: u16,
    pub(super) change: u16,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Open,
    Answered,
    Silent,
    GaveUp,
    /// One port says this, another one that.
    Varies,
}

/// One question about the filter, asked from one fresh port after the other until two agree.
///
/// A port that the system has given to somebody before may still be open at the NAT for all whom that one has sent to, so an answer
/// to one port alone does not prove that a filter is open. Silence does prove that it is not.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    test: Test,
    change_request: ChangeRequest,
    pub(super) ports: Vec<Pair>,
}

impl Filter {
    pub(super) fn standing(&self) -> Standing {
        use Standing::{Answered, GaveUp, Open, Silent, Varies};
        let each: Vec<_> = self.ports.iter().map(|port| port.standing).collect();
        match each[..] {
            [Silent, ..] | [Answered, Silent, Silent] => Silent,
            [Answered, Answered, ..] => Answered,
            [Answered, Silent, Answered] => Varies,
            [.., GaveUp] => GaveUp,
            _ => Open,
        }
    }

    fn needs_another_port(&self) -> bool {
        self.standing() == Standing::Open && self.ports.iter().all(|port| port.standing != Standing::Open)
    }
}

/// Servers that can test, whose verdicts are compared.
const ENOUGH: usize = 2;

impl Classifier {
    /// The next server is asked once those before it have said what they can do, so that no address of a pair under test is
    /// sent to from elsewhere.
    pub(super) fn start_servers(&mut self, now: Duration) {
        for index in 0..self.targets.len() {
            if self.targets[index].started.is_some() || self.targets[index].cannot.is_some() {
                continue;
            }
            if self.mapping_began.is_some() {
                return;
            }
            let before = &self.targets[..index];
            let can_test = before.iter().filter(|t| t.can_test()).count();
            if can_test >= ENOUGH {
                self.targets[index].cannot = Some(Incapable::NotNeeded);
                continue;
            }
            let patient = |t: &Target| {
                t.is_known() || t.started.is_none_or(|at| now >= at + self.settings.next_server_after)
            };
            if !before.iter().all(patient) {
                return;
            }
            let ip = self.targets[index].address.ip();
            let pair = before.iter().find(|t| t.address.ip() == ip || t.other.is_some_and(|o| o.ip() == ip));
            if let Some(pair) = pair.filter(|t| t.can_test()) {
                self.targets[index].cannot = Some(Incapable::SamePair(pair.address));
                continue;
            }
            self.start(index, now);
        }
    }

    fn start(&mut self, server: usize, now: Duration) {
        let both = ChangeRequest { change_ip: true, change_port: true, response_port: None };
        let port = ChangeRequest { change_port: true, ..ChangeRequest::default() };
        let filters = [(Test::Filtering2, both), (Test::Filtering3, port)].map(|(test, change_request)| {
            let ports = vec![self.ask_from_a_fresh_port(server, test, change_request, now)];
            Filter { test, change_request, ports }
        });
        self.targets[server].started = Some(now);
        self.targets[server].filters = Some(filters);
    }

    /// A server that is silent at first is asked from a connected socket too, again and again at growing distances.
    pub(super) fn send_connected_probe(&mut self, now: Duration) {
        for server in 0..self.targets.len() {
            if self.connected_probe_due(&self.targets[server]).is_none_or(|at| now < at) {
                continue;
            }
            let target = &mut self.targets[server];
            let to = target.address;
            target.connected_probes += 1;
            // No request of the classification has this number: what answers it counts for nothing.
            let id = self.id(u16::MAX, server);
            self.commands.push(Command::ConnectedProbe {
                to,
                bytes: behavior::request(&id, ChangeRequest::default()),
            });
        }
    }

    pub(super) fn connected_probe_due(&self, target: &Target) -> Option<Duration> {
        let started = target.started.filter(|_| !target.answered && target.cannot.is_none())?;
        let first = self.settings.first_gaps.first()?;
        Some(started + *first * 2_u32.saturating_pow(target.connected_probes))
            .filter(|at| *at < started + self.settings.give_up)
    }

    fn ask_from_a_fresh_port(
        &mut self,
        server: usize,
        test: Test,
        change_request: ChangeRequest,
        now: Duration,
    ) -> Pair {
        let to = self.targets[server].address;
        let socket = self.open();
        let pair = |probe: Probe| Probe { by_itself: false, ..probe };
        let plain = self.add(pair(Probe::new(Test::FilteringPlain, server, socket, to, now)));
        let change = self.add(Probe { change_request, ..pair(Probe::new(test, server, socket, to, now)) });
        self.send(plain, now);
        self.send(change, now);
        Pair { plain, change, standing: Standing::Open }
    }

    /// Judges the filtering tests, and repeats what is open.
    pub(super) fn filter_tests(&mut self, now: Duration) {
        for server in 0..self.targets.len() {
            let Some(mut filters) = self.targets[server].filters.take() else { continue };
            for filter in &mut filters {
                for pair in &mut filter.ports {
                    if pair.standing == Standing::Open {
                        pair.standing = self.judge(server, *pair, now);
                    }
                    if pair.standing == Standing::Open {
                        self.repeat(*pair, now);
                    }
                }
                if filter.needs_another_port() {
                    filter.ports.push(self.ask_from_a_fresh_port(
                        server,
                        filter.test,
                        filter.change_request,
                        now,
                    ));
                }
            }
            self.targets[server].filters = Some(filters);
        }
    }

    fn judge(&mut self, server: usize, pair: Pair, now: Duration) -> Standing {
        let target = &self.targets[server];
        let change = &self.probes[usize::from(pair.change)];
        let from = self.changed(server, change.change_request);
        if from.is_some_and(|from| change.sources.contains(&from)) {
            return Standing::Answered;
        }
        let started = target.started.unwrap_or_default();
        if target.cannot.is_some() || now >= started + self.settings.give_up || change.errno.is_some() {
            return Standing::GaveUp;
        }
        let over = change.sends.last().is_some_and(|last| now >= *last + self.wait());
        if over && target.can_test() && self.is_enough(pair, now) {
            self.probes[usize::from(pair.change)].silent = true;
            return Standing::Silent;
        }
        Standing::Open
    }

    /// Whether the request was sent so often, and was the plain one beside the last of them answered.
    pub(super) fn is_enough(&self, pair: Pair, now: Duration) -> bool {
        let change = &self.probes[usize::from(pair.change)];
        let plain = &self.probes[usize::from(pair.plain)];
        let asked = change.sends.len();
        asked >= self.settings.least_asked
            && plain.was_answered(asked - 1)
            && self.doubt(change.server, asked, now) <= self.settings.doubt
    }

    pub(super) fn repeat(&mut self, pair: Pair, now: Duration) {
        let change = &self.probes[usize::from(pair.change)];
        let due = change.due(self.gaps(change.server)).is_some_and(|at| now >= at);
        if due && !(self.targets[change.server].can_test() && self.is_enough(pair, now)) {
            // The plain one comes last: its answer then closes the silence.
            self.send(pair.change, now);
            self.send(pair.plain, now);
        }
    }

    /// Whether the filtering tests of all servers are over, or not worth waiting for.
    pub(super) fn filtering_is_over(&self, now: Duration) -> bool {
        let someone = self.targets.iter().any(|t| t.answered);
        self.targets.iter().all(|target| match (target.started, &target.filters) {
            (Some(started), Some(filters)) => {
                let decided = filters.iter().all(|f| f.standing() != Standing::Open);
                let hopeless = someone && !target.answered && now >= started + self.settings.patience;
                decided || hopeless
            }
            _ => target.cannot.is_some(),
        })
    }

    /// Whether nobody has answered, and nobody will.
    pub(super) fn all_silent(&self, now: Duration) -> bool {
        self.targets.iter().all(|target| {
            !target.answered
                && match target.started {
                    Some(started) => now >= started + self.settings.give_up || target.cannot.is_some(),
                    None => target.cannot.is_some(),
                }
        })
    }
}
