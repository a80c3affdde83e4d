//! What happens to sockets and requests: answers, errors and refusals, and what is believed of them.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Answer, Classifier, Incapable, Target, Test};
use crate::scope::{Scope, scope};
use crate::stun::behavior;
use crate::stun::{self, ReplyBody};

impl Classifier {
    /// A socket is open at this address, or was refused with this error number.
    pub fn on_open(&mut self, socket: u16, opened: Result<SocketAddr, i32>) {
        if let Some(local) = self.sockets.get_mut(usize::from(socket)) {
            match opened {
                Ok(address) => local.address = Some(address),
                Err(errno) => local.errno = Some(errno),
            }
        }
    }

    /// The system refused a send.
    pub fn on_send_error(&mut self, probe: u16, errno: i32) {
        let Some(probe) = self.probes.get_mut(usize::from(probe)) else { return };
        probe.errno = Some(errno);
        let target = &mut self.targets[probe.server];
        if probe.to == target.address && !target.answered {
            target.cannot.get_or_insert(Incapable::Refused);
        }
    }

    /// An ICMP message says that nothing listens at the address of a server. One that has answered is believed more.
    pub fn on_refused(&mut self, server: SocketAddr) {
        let asked = self.targets.iter_mut().filter(|t| t.address == server && !t.answered);
        for target in asked.filter(|t| t.started.is_some()) {
            target.cannot.get_or_insert(Incapable::NothingListens);
        }
    }

    /// Whether all servers refuse.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let refuses = |t: &Target| matches!(t.cannot, Some(Incapable::NothingListens | Incapable::Refused));
        self.targets.iter().all(|t| refuses(t) && !t.answered)
            && self.targets.iter().any(|t| t.cannot == Some(Incapable::NothingListens))
    }

    /// A datagram arrived at a socket. What is no answer to a request of this run only counts.
    pub fn on_receive(&mut self, now: Duration, socket: u16, from: SocketAddr, bytes: &[u8]) {
        if self.done {
            return;
        }
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if self.hairpin_arrived(now, socket, from, bytes) {
            return;
        }
        let Some(id) = stun::response_id(bytes) else {
            self.ignored.garbage += 1;
            return;
        };
        let Some((index, attempt)) = self.sent_with(&id) else {
            self.ignored.forged += 1;
            return;
        };
        let Ok(response) = behavior::read(bytes) else {
            self.ignored.garbage += 1;
            return;
        };
        let probe = &self.probes[index];
        if probe.was_answered(attempt) {
            self.ignored.duplicates += 1;
            self.probes[index].heard = Some(now);
            return;
        }
        let server = probe.server;
        let moved = probe.change_request.change_ip || probe.change_request.change_port;
        let from_where_asked = from == probe.to;
        let expected = if moved {
            self.changed(server, probe.change_request).is_none_or(|e| e == from)
        } else {
            from_where_asked
        };
        if probe.answers_at != socket || !(expected || (moved && from_where_asked)) {
            self.ignored.misdirected += 1;
            return;
        }
        let mapped = match response.reply.body {
            ReplyBody::Mapped(mapped) => mapped,
            ReplyBody::Error(code) => {
                self.on_error(index, code);
                return;
            }
            ReplyBody::NoMappedAddress => {
                self.ignored.garbage += 1;
                return;
            }
        };
        // Behind NAT64 an IPv6 socket is seen as IPv4.
        if mapped.is_ipv6() != self.local.is_ipv6() && scope(probe.to.ip()) != Scope::Translation {
            self.ignored.other_family += 1;
            return;
        }
        if moved && from_where_asked {
            self.targets[server].cannot.get_or_insert(Incapable::IgnoresChange);
            return;
        }
        let addresses = response.addresses;
        let probe = &mut self.probes[index];
        probe.answer(attempt, Answer { at: now, from, mapped, addresses });
        if probe.by_itself {
            probe.closed = true;
        }
        self.longest = self.longest.max(now.saturating_sub(probe.sends[attempt]));
        if probe.is_plain() && probe.to == self.targets[server].address {
            self.targets[server].answered = true;
            self.on_other(server, addresses.other);
        }
    }

    fn on_error(&mut self, index: usize, code: u16) {
        let probe = &mut self.probes[index];
        probe.error = Some(code);
        let server = probe.server;
        if probe.test == Test::Lifetime {
            return;
        }
        if probe.by_itself {
            probe.closed = true;
        }
        self.targets[server].cannot.get_or_insert(Incapable::Error(code));
    }

    /// The other address must be another one in both halves, or the tests would test nothing; and as global as the server.
    pub(super) fn on_other(&mut self, server: usize, other: Option<SocketAddr>) {
        let target = &mut self.targets[server];
        let own = target.address;
        let cannot = match (other, target.other) {
            (None, None) => Some(Incapable::NoOther),
            (None, Some(_)) => Some(Incapable::OtherVaries),
            (Some(now), Some(before)) if now != before => Some(Incapable::OtherVaries),
            (Some(other), _) if other.is_ipv6() != own.is_ipv6() => Some(Incapable::OtherFamily),
            (Some(other), _) if other.ip() == own.ip() || other.port() == own.port() => {
                Some(Incapable::OtherHalfEqual)
            }
            (Some(other), _) => {
                let (theirs, ours) = (scope(other.ip()), scope(own.ip()));
                (!theirs.is_global() && theirs != ours).then_some(Incapable::OtherNotGlobal)
            }
        };
        target.other = target.other.or(other);
        target.cannot = target.cannot.or(cannot);
    }
}
