//! What a run noticed, in sentences that say what to do.

use routepool_proto::sweep::{Limit, Reason, Status};

use super::summary::Summary;
use crate::defaults::LIMITS_NAMED;
use crate::discovery::servers::{Origin, Resolved};
use crate::system::local_table::LocalTable;

/// The notes of a run; `local` are the addresses of this machine, `passes` as many as the user has asked for.
pub(super) fn notes(
    summary: &Summary,
    local: &LocalTable,
    passes: Option<u8>,
    mut notes: Vec<String>,
) -> Vec<String> {
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
    silence_notes(summary, passes, &reason, &mut note);
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
fn silence_notes(
    summary: &Summary,
    passes: Option<u8>,
    reason: &dyn Fn(Reason) -> u32,
    note: &mut dyn FnMut(String),
) {
    let loss = reason(Reason::Loss);
    if loss > 0 {
        note(describe_loss(loss, summary.loss, passes));
    }
    for limit in summary.limits.iter().take(LIMITS_NAMED) {
        note(describe_limit(limit, summary.stopped));
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

/// Why so many sources that stayed silent are unknown: what was lost, of the first probes, or too few passes.
fn describe_loss(silent: u32, loss: f64, passes: Option<u8>) -> String {
    if passes == Some(1) {
        return format!(
            "{silent} sources did not answer the one probe that each got: one pass proves nothing about silence. Validate them again \
             without `--passes`, or with more of them."
        );
    }
    let share = if loss < 0.005 {
        String::new()
    } else {
        format!(" ({:.0} % of the first probes were lost in all)", loss * 100.0)
    };
    let remedy = if passes.is_some() { "without `--passes` or with more of them, or " } else { "" };
    format!(
        "{silent} sources stayed silent, but probes to sources near them that work were lost too, so their silence proves \
         nothing{share}. Validate them again {remedy}when the network is better."
    )
}

/// Where a limit was met, how low it is, and how long the rest would take.
fn describe_limit(limit: &Limit, stopped: bool) -> String {
    let Limit { first, last, rate, unknown, needs } = limit;
    let rate = if *rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") };
    let seconds = needs.as_secs();
    let needs = match seconds {
        0..=9 => String::new(),
        10..=119 => format!(" To settle them would take about {seconds} s."),
        120..=7_199 => format!(" To settle them would take about {} minutes.", seconds / 60),
        _ => format!(" To settle them would take about {} hours.", seconds / 3_600),
    };
    let open = match (*unknown, stopped) {
        (1, true) => "1 source there was still without a verdict when the run was stopped".to_owned(),
        (1, false) => "1 source there is unknown".to_owned(),
        (n, true) => format!("{n} sources there were still without a verdict when the run was stopped"),
        (n, false) => format!("{n} sources there are unknown"),
    };
    format!(
        "From {first} to {last} the network carries about {rate} probes a second; {open}.{needs} A policer, a NAT \
         out of ports or a full flow table on the way can be the cause: look for it, or validate this part alone."
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_limit_is_told_with_its_causes_and_a_time_only_where_it_is_long() {
        let (first, last) =
            ("198.18.0.0".parse().expect("an address"), "198.18.0.255".parse().expect("an address"));
        for (seconds, stopped, open, time) in [
            (0, false, "250 sources there are unknown. A policer", ""),
            (
                9,
                true,
                "250 sources there were still without a verdict when the run was stopped. A policer",
                "",
            ),
            (10, false, "250 sources there are unknown. To settle", "about 10 s. A policer"),
            (119, false, "250 sources there are unknown. To settle", "about 119 s. A policer"),
            (120, true, "when the run was stopped. To settle", "about 2 minutes. A policer"),
            (7_200, false, "are unknown. To settle", "about 2 hours. A policer"),
        ] {
            let needs = Duration::from_secs(seconds);
            let text = describe_limit(&Limit { first, last, rate: 4.96, unknown: 250, needs }, stopped);
            assert!(text.starts_with(
                "From 198.18.0.0 to 198.18.0.255 the network carries about 5.0 probes a second; "
            ));
            assert!(text.contains(open) && text.contains(time), "{text}");
        }
        for (stopped, open) in [
            (false, "second; 1 source there is unknown. A policer"),
            (true, "second; 1 source there was still without"),
        ] {
            let one = Limit { first, last, rate: 4.96, unknown: 1, needs: Duration::ZERO };
            let text = describe_limit(&one, stopped);
            assert!(text.contains(open), "{text}");
        }
    }

    #[test]
    fn silence_is_put_down_to_loss_only_where_loss_was_seen() {
        for (loss, passes, words, not) in [
            (0.0, Some(1), "one pass proves nothing about silence", "lost"),
            (0.12, None, "(12 % of the first probes were lost in all). Validate them again when", "--passes"),
            (
                0.12,
                Some(8),
                "Validate them again without `--passes` or with more of them, or when",
                "one pass",
            ),
            (0.004, None, "proves nothing. Validate them again when", "%"),
        ] {
            let text = describe_loss(7, loss, passes);
            assert!(text.contains(words) && !text.contains(not), "{text}");
        }
    }

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
