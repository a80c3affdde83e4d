//! What a run noticed, in sentences that say what to do.

use routepool_proto::sweep::{Limit, Reason, Status};

use super::summary::Summary;
use crate::defaults::LIMITS_NAMED;
use crate::discovery::servers::{Origin, Resolved};
use crate::system::local_table::LocalTable;

/// The notes of a run; `local` are the addresses of this machine.
pub(super) fn notes(summary: &Summary, local: &LocalTable, mut notes: Vec<String>) -> Vec<String> {
    let mut note = |text: String| notes.push(text);
    if let Some(text) = within(&summary.servers, local) {
        note(text);
    }
    let reason = |reason: Reason| {
        summary.reasons.iter().filter(|(_, r, _)| *r == reason).map(|(.., n)| n).sum::<u32>()
    };
    if let (Some(rate), Origin::Public) = (summary.rate, summary.origin) {
        note(format!(
            "Public servers were asked, so probes were limited to {rate} a second in all. Run a STUN server of your own and name it to go faster."
        ));
    }
    if summary.servers.len() == 1 && summary.origin == Origin::Named && summary.count(Status::Mapped) > 0 {
        note(
            "Only one server was asked: an external address that it reports was not confirmed by a second."
                .into(),
        );
    }
    let ports = reason(Reason::NatPorts);
    if ports > 0 {
        let external =
            summary.externals.first().map_or(String::new(), |(ip, n)| format!(" ({ip}, {n} sources)"));
        note(format!(
            "Nearly all answers came from behind one external address{external}, and {ports} sources stayed silent. A NAT has \
             at most 64,512 ports for each external address, server address and server port, often far fewer, so these may \
             only have found no port left. Ask again after its mappings have expired, or name more servers or ports."
        ));
    }
    silence_notes(summary, &reason, &mut note);
    let lost = reason(Reason::NetworkLost);
    if lost > 0 {
        note(format!(
            "The network went away during the run and did not come back within 30 s; {lost} sources are unknown. Run again with the \
             same state file to go on."
        ));
    } else if summary.counters.outages > 0 {
        note(format!(
            "The network went away {} during the run; it was waited for, and what had been sent meanwhile was asked again.",
            if summary.counters.outages == 1 {
                "once".to_owned()
            } else {
                format!("{} times", summary.counters.outages)
            }
        ));
    }
    let disagree = reason(Reason::ServersDisagree);
    if disagree > 0 {
        note(format!(
            "For {disagree} sources one server saw the source itself and another a different address: a proxy or a policy \
             route stands before one of the servers."
        ));
    }
    if summary.drops > 0 {
        note(format!(
            "The kernel dropped {} datagrams because a receive buffer was full; the sources were asked again with fewer probes in flight. \
             A larger buffer is faster: sysctl -w net.core.rmem_max=4194304",
            summary.drops
        ));
    }
    let counters = &summary.counters;
    if counters.forged + counters.misdirected + counters.garbage > 0 {
        note(format!(
            "Replies that prove nothing were left out: {} that were not STUN, {} with an id that is not of this run, {} from \
             another server or to another address.",
            counters.garbage, counters.forged, counters.misdirected
        ));
    }
    if !summary.batched {
        note("One socket was opened for each source, which takes ten times as long as one socket for all of them.".into());
    }
    notes
}

/// Why silence could not be believed.
fn silence_notes(summary: &Summary, reason: &dyn Fn(Reason) -> u32, note: &mut dyn FnMut(String)) {
    let loss = reason(Reason::Loss);
    if loss > 0 {
        note(format!(
            "{loss} sources stayed silent, but probes to sources near them that work were lost too, so their silence proves nothing ({:.0} % \
             of the first probes were lost over all). Validate them again with more passes, or when the network is better.",
            summary.loss * 100.0
        ));
    }
    for limit in summary.limits.iter().take(LIMITS_NAMED) {
        note(describe_limit(limit));
    }
    if summary.limits.len() > LIMITS_NAMED {
        note(format!("{} more places are limited in this way.", summary.limits.len() - LIMITS_NAMED));
    }
    let flow_table = reason(Reason::FlowTable);
    if flow_table > 0 {
        note(format!(
            "{flow_table} sources stayed silent while new flows were lost and flows that began earlier passed: a table of flows (connection \
             tracking, a NAT or a firewall) is full. Raise its size, shorten its time-out for UDP, or let these packets pass untracked."
        ));
    }
    let unprotected = reason(Reason::UnprotectedReply);
    if unprotected > 0 {
        note(format!(
            "For {unprotected} sources the server sent MAPPED-ADDRESS and no XOR-MAPPED-ADDRESS. Devices on the way can rewrite that, so it \
             proves nothing. Name a server that speaks RFC 5389 or 8489."
        ));
    }
    let refused = reason(Reason::SometimesRefused);
    if refused > 0 {
        note(format!(
            "This machine refused some probes of {refused} sources and let others pass, which stayed silent. Look at its own packet filter."
        ));
    }
}

/// Where a limit was met, how low it is, and how long the rest would take.
fn describe_limit(limit: &Limit) -> String {
    let Limit { first, last, rate, unknown, needs } = limit;
    let rate = if *rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") };
    let seconds = needs.as_secs();
    let needs = match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3_600),
    };
    format!(
        "From {first} to {last} the network carries about {rate} probes a second; {unknown} sources there are unknown. To settle them would \
         take about {needs}: raise the limit on the way, or validate this part alone."
    )
}

/// What a run proves whose packets never left the machine.
fn within(servers: &[Resolved], local: &LocalTable) -> Option<String> {
    let inside = !servers.is_empty() && servers.iter().all(|s| local.holds(s.address.ip()));
    let which = if servers.len() == 1 { "The server was" } else { "All servers were" };
    inside.then(|| {
        format!(
            "{which} inside this machine, so this proves that the kernel sends and receives with these sources, and nothing about the \
             network beyond. Name a server elsewhere for that."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_proves_nothing_about_the_network() {
        let prefix = |ip: &str, len| (ip.parse().expect("an address"), len);
        let local = LocalTable::from_prefixes(false, [prefix("127.0.0.0", 8), prefix("198.51.100.7", 32)]);
        for (servers, inside, why) in [
            (&["127.0.0.1:3478"][..], true, "loopback"),
            (&["198.51.100.7:3478"], true, "an address of an interface is no further away"),
            (&["198.51.100.7:3478", "127.0.0.1:3478"], true, "all of them"),
            (&["198.51.100.8:3478"], false, "another machine"),
            (&["127.0.0.1:3478", "198.51.100.8:3478"], false, "one of them is elsewhere"),
            (&[], false, "nobody was asked"),
        ] {
            let servers: Vec<_> = servers
                .iter()
                .map(|s| Resolved { name: (*s).into(), address: s.parse().expect("an address") })
                .collect();
            assert_eq!(within(&servers, &local).is_some(), inside, "{why}");
        }
    }
}
