//! What follows from the answers.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::filtering::Standing;
use super::{Classifier, Incapable, Probe, Test};
use crate::nat::allocation::{Between, Sample, SampleKind, fit};
use crate::nat::behaviour::{
    Alg, Allocation, Connectivity, Filtering, Finding, Mapping, Overloading, Pooling, Reason,
};
use crate::nat::report::{AllocationFinding, Evidence, Loss, Report, ServerVerdict};

impl Classifier {
    pub(super) fn conclude(self, now: Duration) -> Report {
        let servers: Vec<ServerVerdict> =
            (0..self.targets.len()).map(|at| self.verdict_of(at, now)).collect();
        let connectivity = self.connectivity();
        let (mapping, endpoint_dependent, mapping_differs) = self.mapping(&servers);
        let (filtering, filtering_differs) =
            merge(servers.iter().map(|s| s.filtering), Filtering::Unknown, self.why_unknown());
        let no_nat = mapping.value == Mapping::None;
        let plain = self.probes.iter().filter(|p| self.measures_loss(p));
        let loss = plain.fold(Loss::default(), |loss, p| {
            let (sent, lost) = p.loss(now, self.wait());
            Loss { sent: loss.sent + sent as u32, answered: loss.answered + (sent - lost) as u32 }
        });
        Report {
            local: self.local,
            externals: self.externals(),
            connectivity,
            mapping,
            endpoint_dependent,
            filtering,
            allocation: self.ports(no_nat, endpoint_dependent),
            pooling: self.pooling(no_nat),
            overloading: self.overloading(),
            alg: self.alg(),
            hairpin: self.hairpin(),
            lifetime: self.lifetime(),
            servers,
            disagree: mapping_differs || filtering_differs,
            loss,
            evidence: self.probes.iter().map(|p| self.evidence(p)).collect(),
            ignored: self.ignored,
        }
    }

    fn connectivity(&self) -> Finding<Connectivity> {
        let unreachable = |p: &Probe| p.errno.is_some();
        let refused = !self.probes.is_empty() && self.probes.iter().all(unreachable);
        let silent = self.targets.iter().filter(|t| t.started.is_some() && t.cannot.is_none());
        let addresses: HashSet<IpAddr> = silent.map(|t| t.address.ip()).collect();
        let came_back = |c: Incapable| !matches!(c, Incapable::Refused | Incapable::NothingListens);
        if self.targets.is_empty() {
            Finding::because(Connectivity::NoServer, Reason::NoServer)
        } else if self.targets.iter().any(|t| t.answered) {
            Finding::known(Connectivity::Ok)
        } else if !self.done {
            Finding::because(Connectivity::Stopped, Reason::Stopped)
        } else if refused {
            Finding::because(Connectivity::NoRoute, Reason::NoRoute)
        } else if self.is_refused() {
            Finding::because(Connectivity::NoReply, Reason::ServerRefused)
        } else if self.targets.iter().any(|t| t.cannot.is_some_and(came_back)) {
            // Something came back, if only an error.
            Finding::because(Connectivity::NoReply, Reason::CannotTest)
        } else if addresses.len() < 2 {
            Finding::because(Connectivity::NoReply, Reason::OneSilentServer)
        } else {
            Finding::known(Connectivity::NoReply)
        }
    }

    /// Why nothing is known where no server says more.
    fn why_unknown(&self) -> Reason {
        if self.targets.is_empty() {
            Reason::NoServer
        } else if !self.done {
            Reason::Stopped
        } else if self.targets.iter().any(|t| t.answered) {
            Reason::CannotTest
        } else {
            Reason::NoAnswer
        }
    }

    pub(super) fn verdict_of(&self, server: usize, now: Duration) -> ServerVerdict {
        let target = &self.targets[server];
        let cannot = if target.answered || target.cannot.is_some() {
            target.cannot.map(sentence)
        } else if target.started.is_some() {
            Some("it does not answer".to_owned())
        } else {
            Some("it was not asked".to_owned())
        };
        let unknown = if target.answered { Reason::CannotTest } else { Reason::NoAnswer };
        let (mapping, filtering) = if target.can_test() {
            (self.mapping_of(server), self.filtering_of(server, now))
        } else {
            (Finding::because(Mapping::Unknown, unknown), Finding::because(Filtering::Unknown, unknown))
        };
        ServerVerdict {
            address: target.address,
            other: target.other,
            answered: target.answered,
            cannot_test: cannot,
            mapping,
            filtering,
        }
    }

    fn filtering_of(&self, server: usize, now: Duration) -> Finding<Filtering> {
        let Some([both, port]) = &self.targets[server].filters else {
            return Finding::because(Filtering::Unknown, Reason::NoAnswer);
        };
        let gave_up = || {
            let reason =
                if self.done || now >= self.settings.give_up { Reason::TooMuchLoss } else { Reason::Stopped };
            Finding::because(Filtering::Unknown, reason)
        };
        // Silence of an address that answers nobody says nothing about the NAT.
        let alive = |test| self.mapped(server, test).is_some();
        match (both.standing(), port.standing()) {
            (Standing::Varies, _) | (_, Standing::Varies) => {
                Finding::because(Filtering::Unknown, Reason::Inconsistent)
            }
            // Whoever lets everybody in lets in another port of the same address too. If not, the filter has changed.
            (Standing::Answered, Standing::Silent) if alive(Test::Mapping4) => {
                Finding::because(Filtering::Unknown, Reason::Inconsistent)
            }
            (Standing::Answered, _) => Finding::known(Filtering::EndpointIndependent),
            (Standing::Silent, _) if !alive(Test::Mapping3) => {
                Finding::because(Filtering::Unknown, Reason::OtherSilent)
            }
            (Standing::Silent, Standing::Answered) => Finding::known(Filtering::AddressDependent),
            (Standing::Silent, Standing::Silent) if !alive(Test::Mapping4) => {
                Finding::because(Filtering::Unknown, Reason::OtherSilent)
            }
            (Standing::Silent, Standing::Silent) => Finding::known(Filtering::AddressAndPortDependent),
            _ => gave_up(),
        }
    }

    fn mapped(&self, server: usize, test: Test) -> Option<SocketAddr> {
        let probes = self.mapping.iter().map(|p| &self.probes[usize::from(*p)]);
        probes.filter(|p| p.server == server && p.test == test).find_map(Probe::mapped)
    }

    fn mapping_local(&self) -> Option<SocketAddr> {
        let probe = &self.probes[usize::from(*self.mapping.first()?)];
        self.sockets[usize::from(probe.socket)].address
    }

    fn mapping_of(&self, server: usize) -> Finding<Mapping> {
        let unknown = |reason| Finding::because(Mapping::Unknown, reason);
        let at = |test| self.mapped(server, test);
        let Some(first) = at(Test::Mapping1) else {
            return unknown(if self.done { Reason::TooMuchLoss } else { Reason::Stopped });
        };
        let (Some(second), Some(third), Some(fourth)) =
            (at(Test::Mapping2), at(Test::Mapping3), at(Test::Mapping4))
        else {
            return unknown(if self.done { Reason::OtherSilent } else { Reason::Stopped });
        };
        let varied = self.mapping.iter().any(|p| self.probes[usize::from(*p)].varied);
        let value = match (second == first, third == second, fourth == first) {
            _ if varied => return unknown(Reason::Inconsistent),
            (true, true, true) if Some(first) == self.mapping_local() => Mapping::None,
            (true, true, true) => Mapping::EndpointIndependent,
            (false, true, true) => Mapping::AddressDependent,
            (false, false, false) => Mapping::AddressAndPortDependent,
            _ => return unknown(Reason::Inconsistent),
        };
        Finding::known(value)
    }

    /// The mapping by all servers, whether it depends on the destination, and whether servers differ.
    pub(super) fn mapping(&self, servers: &[ServerVerdict]) -> (Finding<Mapping>, bool, bool) {
        let (merged, differ) = merge(servers.iter().map(|s| s.mapping), Mapping::Unknown, self.why_unknown());
        let depends = |m: Mapping| matches!(m, Mapping::AddressDependent | Mapping::AddressAndPortDependent);
        // All servers that answered were asked from one socket: what they saw can be compared.
        let mut seen: Vec<(IpAddr, SocketAddr)> = Vec::new();
        for (server, target) in self.targets.iter().enumerate() {
            let Some(mapped) = self.mapped(server, Test::Mapping1) else { continue };
            if !seen.iter().any(|(ip, _)| *ip == target.address.ip()) {
                seen.push((target.address.ip(), mapped));
            }
        }
        let equal = seen.windows(2).all(|pair| pair[0].1 == pair[1].1);
        match merged.value {
            Mapping::None | Mapping::EndpointIndependent if !equal => {
                (Finding::because(Mapping::Unknown, Reason::ServersDisagree), false, true)
            }
            Mapping::Unknown if differ => {
                let all = servers.iter().map(|s| s.mapping.value).filter(|m| *m != Mapping::Unknown);
                (merged, all.into_iter().all(depends), true)
            }
            Mapping::Unknown if !servers.iter().any(|s| s.cannot_test.is_none()) => {
                let (finding, dependent) = self.compared(&seen, equal, merged);
                (finding, dependent, false)
            }
            value => (merged, depends(value), differ),
        }
    }

    /// Without a server that can test: what plain servers at different addresses saw of one socket.
    fn compared(
        &self,
        seen: &[(IpAddr, SocketAddr)],
        equal: bool,
        unknown: Finding<Mapping>,
    ) -> (Finding<Mapping>, bool) {
        let Some((_, first)) = seen.first() else { return (unknown, false) };
        if !equal {
            (Finding::because(Mapping::Unknown, Reason::DependsSomehow), true)
        } else if Some(*first) == self.mapping_local() {
            // No NAT leaves port and address as they are by chance.
            (Finding::known(Mapping::None), false)
        } else if seen.len() < 2 {
            (Finding::because(Mapping::Unknown, Reason::OneServer), false)
        } else {
            (Finding::known(Mapping::EndpointIndependent), false)
        }
    }

    /// Requests to a server's first address, from a socket each: where it was sent from and what was seen.
    fn sockets_seen(&self) -> impl Iterator<Item = (u16, SocketAddr, SocketAddr)> {
        self.probes.iter().filter_map(|p| {
            let local = self.sockets[usize::from(p.socket)].address?;
            (p.is_plain() && Some(p.server) == self.lead && p.to == self.targets[p.server].address)
                .then_some((p.socket, local, p.mapped()?))
        })
    }

    fn externals(&self) -> Vec<IpAddr> {
        let mut counts: Vec<(IpAddr, usize)> = Vec::new();
        for ip in self.probes.iter().filter_map(Probe::mapped).map(|m| m.ip()) {
            match counts.iter_mut().find(|(known, _)| *known == ip) {
                Some((_, count)) => *count += 1,
                None => counts.push((ip, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.into_iter().map(|(ip, _)| ip).collect()
    }

    fn ports(&self, no_nat: bool, dependent: bool) -> AllocationFinding {
        let mut samples = Vec::new();
        let destinations = self.mapping.iter().filter(|_| dependent).map(|p| (SampleKind::Destination, *p));
        for (kind, index) in self.allocation.iter().copied().chain(destinations) {
            let probe = &self.probes[usize::from(index)];
            let local = self.sockets[usize::from(probe.socket)].address;
            if let (Some(local), Some(mapped), Some(sent_at)) = (local, probe.mapped(), probe.sends.first()) {
                samples.push(Sample { kind, local, mapped, sent_at: *sent_at });
            }
        }
        let (finding, confidence) = if no_nat {
            (Finding::known(Allocation::NotApplicable), 1.0)
        } else {
            let known: Vec<_> = self.probes.iter().filter_map(Probe::mapped).collect();
            match fit(&samples, Between { known: &known, unheard: self.unheard() }, dependent) {
                Some((allocation, confidence)) => (Finding::known(allocation), confidence),
                None if !self.done => (Finding::because(Allocation::Unknown, Reason::Stopped), 0.0),
                None if samples.is_empty() => (Finding::because(Allocation::Unknown, self.no_samples()), 0.0),
                None => (Finding::because(Allocation::Unknown, Reason::NoSamples), 0.0),
            }
        };
        AllocationFinding { finding, confidence, samples }
    }

    /// Sockets that were sent from, and got no answer.
    fn unheard(&self) -> usize {
        let of = |probe: &Probe| probe.socket;
        let sent: HashSet<u16> = self.probes.iter().filter(|p| !p.sends.is_empty()).map(of).collect();
        let heard: HashSet<u16> = self.probes.iter().filter(|p| p.mapped().is_some()).map(of).collect();
        sent.difference(&heard).count()
    }

    pub(super) fn no_samples(&self) -> Reason {
        if self.targets.is_empty() { Reason::NoServer } else { Reason::NoAnswer }
    }

    fn pooling(&self, no_nat: bool) -> Finding<Pooling> {
        let mut by_socket: HashMap<u16, IpAddr> = HashMap::new();
        for (socket, _, mapped) in self.sockets_seen() {
            by_socket.insert(socket, mapped.ip());
        }
        let mut ips = by_socket.values();
        let first = ips.next();
        match first {
            _ if no_nat => Finding::known(Pooling::NotApplicable),
            None => Finding::because(Pooling::Unknown, self.no_samples()),
            Some(_) if by_socket.len() < 4 => Finding::because(Pooling::Unknown, Reason::NoSamples),
            Some(first) if ips.all(|ip| ip == first) => Finding::known(Pooling::Paired),
            Some(_) => Finding::known(Pooling::Arbitrary),
        }
    }

    fn overloading(&self) -> Finding<Overloading> {
        let mut owner: HashMap<SocketAddr, u16> = HashMap::new();
        for probe in &self.probes {
            // What a hairpinned packet came from is the other socket's; and a mapping may be gone by the time of a later one.
            if matches!(probe.test, Test::Hairpin | Test::Lifetime | Test::LifetimePlain) {
                continue;
            }
            let Some(mapped) = probe.mapped() else { continue };
            if *owner.entry(mapped).or_insert(probe.answers_at) != probe.answers_at {
                return Finding::known(Overloading::Yes);
            }
        }
        Finding::because(Overloading::Unknown, Reason::NotSeen)
    }

    fn alg(&self) -> Finding<Alg> {
        let both = self
            .probes
            .iter()
            .filter_map(|p| p.first)
            .filter_map(|a| a.addresses.plain.zip(a.addresses.xored));
        let mut seen = false;
        for (plain, xored) in both {
            seen = true;
            if plain != xored {
                return Finding::known(Alg::Rewrites);
            }
        }
        if seen {
            Finding::known(Alg::None)
        } else if self.targets.iter().any(|t| t.answered) {
            Finding::because(Alg::Unknown, Reason::OneForm)
        } else {
            Finding::because(Alg::Unknown, self.no_samples())
        }
    }

    fn evidence(&self, probe: &Probe) -> Evidence {
        Evidence {
            test: probe.test,
            server: probe.to,
            from: probe.first.map(|a| a.from),
            local: self.sockets[usize::from(probe.socket)].address,
            mapped: probe.mapped(),
            error_code: probe.error,
            errno: probe.errno,
            sent_at: probe.sends.last().copied(),
            received_at: probe.first.map(|a| a.at),
            attempts: probe.sends.len() as u32,
            answers: probe.answers(),
            silent: probe.silent,
        }
    }
}

/// What servers say together: the same, or what the only one that knows says, or nothing; and whether they differ.
fn merge<T: Copy + PartialEq>(
    verdicts: impl Iterator<Item = Finding<T>> + Clone,
    unknown: T,
    why: Reason,
) -> (Finding<T>, bool) {
    let mut known = verdicts.clone().map(|f| f.value).filter(|v| *v != unknown);
    match known.next() {
        Some(first) if known.all(|v| v == first) => (Finding::known(first), false),
        Some(_) => (Finding::because(unknown, Reason::ServersDisagree), true),
        None => {
            // A server that tried says more than one that cannot.
            let tried = |r: &Reason| !matches!(r, Reason::CannotTest | Reason::NoAnswer);
            let reason = verdicts.filter_map(|f| f.reason).find(tried).unwrap_or(why);
            (Finding::because(unknown, reason), false)
        }
    }
}

fn sentence(cannot: Incapable) -> String {
    match cannot {
        Incapable::NoOther => "it has no other address (no OTHER-ADDRESS in its answers)".to_owned(),
        Incapable::OtherHalfEqual => "its other address has the same IP address or the same port".to_owned(),
        Incapable::OtherNotGlobal => "its other address cannot be reached from other networks".to_owned(),
        Incapable::OtherFamily => "its other address is of the other family".to_owned(),
        Incapable::OtherVaries => "its answers name different other addresses".to_owned(),
        Incapable::Error(420) => "it does not know the attributes of RFC 5780 (error 420)".to_owned(),
        Incapable::Error(code) => format!("it answers with error {code}"),
        Incapable::IgnoresChange => {
            "asked to answer from elsewhere, it answers from where it was asked".to_owned()
        }
        Incapable::SamePair(other) => format!("it is the other half of {other}, which was asked"),
        Incapable::NotNeeded => "two others were asked".to_owned(),
        Incapable::Refused => "the system refuses to send to it".to_owned(),
        Incapable::NothingListens => {
            "it refuses: nothing listens at that address and port, or a firewall says so (ICMP port unreachable)".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_heard_together() {
        let (open, closed) = (Mapping::EndpointIndependent, Mapping::AddressDependent);
        let not = |reason| Finding::because(Mapping::Unknown, reason);
        for (verdicts, want, differ) in [
            (vec![], not(Reason::NoServer), false),
            (vec![Finding::known(open)], Finding::known(open), false),
            (vec![not(Reason::NoAnswer), Finding::known(open)], Finding::known(open), false),
            (vec![Finding::known(open), Finding::known(open)], Finding::known(open), false),
            (vec![Finding::known(open), Finding::known(closed)], not(Reason::ServersDisagree), true),
            (
                vec![Finding::known(open), not(Reason::NoAnswer), Finding::known(closed)],
                not(Reason::ServersDisagree),
                true,
            ),
            (vec![not(Reason::CannotTest), not(Reason::TooMuchLoss)], not(Reason::TooMuchLoss), false),
            (vec![not(Reason::CannotTest), not(Reason::NoAnswer)], not(Reason::NoServer), false),
        ] {
            let found = merge(verdicts.iter().copied(), Mapping::Unknown, Reason::NoServer);
            assert_eq!(found, (want, differ), "{verdicts:?}");
        }
    }
}
