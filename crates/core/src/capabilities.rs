//! What this machine allows, and where it does not, why and what to do.

use std::io;
use std::net::UdpSocket;

use routepool_udp::{Backend, Options, Socket};

use crate::defaults::{OPEN_FILES, RECEIVE_BUFFER};
use crate::interface::enumerate;
use crate::system::local_table::LocalTable;
use crate::watch;

/// Something that routepool can make use of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub available: bool,
    /// What was found, or why not.
    pub what: String,
    /// What goes without it, and what to do; empty if it is there.
    pub advice: &'static str,
}

/// Tries each thing. Nothing is sent.
#[must_use]
pub fn capabilities() -> Vec<Capability> {
    vec![
        found(
            "ipv4",
            UdpSocket::bind("0.0.0.0:0").map(|_| "UDP sockets can be made".to_owned()),
            "Without IPv4 sockets nothing of IPv4 works.",
        ),
        found(
            "ipv6",
            UdpSocket::bind("[::]:0").map(|_| "UDP sockets can be made".to_owned()),
            "Without IPv6 sockets nothing of IPv6 works. Linux: sysctl net.ipv6.conf.all.disable_ipv6.",
        ),
        found(
            "interfaces",
            enumerate().map(|all| format!("{} interfaces", all.len())),
            "Interfaces, addresses and gateways cannot be read.",
        ),
        found(
            "local-blocks",
            local_blocks(),
            "Blocks that a local route holds cannot be seen, and IPv6 blocks not be used. They are a feature of Linux.",
        ),
        found(
            "one-socket",
            one_socket(),
            "A socket is made for each source: the same verdicts at a tenth of the speed.",
        ),
        found(
            "interface-binding",
            interface_binding(),
            "Sockets of a route are bound by their address alone, and the routing table chooses the interface. Linux before 5.7: CAP_NET_RAW.",
        ),
        found(
            "change-events",
            change_events(),
            "watch() looks at the interfaces every two seconds instead of being told. Being told is a feature of Linux, which some sandboxes refuse.",
        ),
        found(
            "sleep-detection",
            sleep_detection(),
            "watch() does not tell that the machine was asleep; what has changed meanwhile is told all the same.",
        ),
        receive_buffer(),
        open_files(),
    ]
}

fn found(name: &'static str, tried: io::Result<String>, advice: &'static str) -> Capability {
    match tried {
        Ok(what) => Capability { name, available: true, what, advice: "" },
        Err(error) => Capability { name, available: false, what: error.to_string(), advice },
    }
}

fn local_blocks() -> io::Result<String> {
    if cfg!(target_os = "linux") {
        LocalTable::read(false).map(|_| "the local routing table can be read".to_owned())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn one_socket() -> io::Result<String> {
    Socket::open(Backend::one_socket(), &Options::wildcard(false))
        .map(|_| match Backend::best() {
            Backend::PerSource => "one socket can send from all sources; used only when asked for",
            _ => "one socket sends from all sources",
        })
        .map(str::to_owned)
}

fn interface_binding() -> io::Result<String> {
    let all = enumerate()?;
    let name = all.iter().find(|f| f.kind == crate::interface::Kind::Loopback).map(|f| f.name.clone());
    let options = Options { interface: name, ..Options::wildcard(false) };
    Socket::open(Backend::best(), &options).map(|_| "sockets can be bound to an interface".to_owned())
}

fn change_events() -> io::Result<String> {
    watch::reports_changes().map(|()| "the system tells of changes by netlink".to_owned())
}

fn sleep_detection() -> io::Result<String> {
    if watch::detects_sleep() {
        Ok("one clock stops while the machine sleeps and another does not".to_owned())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Sockets and files that this process may have open at once: with a socket for each source it is what limits a sweep.
fn open_files() -> Capability {
    let (name, advice) = (
        "open-files",
        "Sweeps with a socket for each source, and programs with many pipes, run out of descriptors: ulimit -n.",
    );
    match open_file_limit() {
        Some(limit) => {
            let available = limit >= OPEN_FILES;
            let what = format!("{limit} at once, {OPEN_FILES} are good to have");
            Capability { name, available, what, advice: if available { "" } else { advice } }
        }
        None => Capability { name, available: true, what: "no limit is known".to_owned(), advice: "" },
    }
}

#[cfg(unix)]
fn open_file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_file_limit() -> Option<u64> {
    None
}

fn receive_buffer() -> Capability {
    let name = "receive-buffer";
    match Socket::open(Backend::best(), &Options::wildcard(false)).map(|socket| socket.receive_buffer()) {
        // The kernel of Linux counts its own overhead: it doubles what it grants (socket(7), SO_RCVBUF).
        Ok(counted) => {
            let granted = if cfg!(target_os = "linux") { counted / 2 } else { counted };
            let available = granted >= RECEIVE_BUFFER;
            let advice = if available {
                ""
            } else {
                "Sweeps keep fewer probes in flight. Linux: sysctl -w net.core.rmem_max=4194304."
            };
            Capability {
                name,
                available,
                what: format!("{granted} bytes granted of {RECEIVE_BUFFER}"),
                advice,
            }
        }
        Err(error) => found(name, Err(error), "Nothing can be received."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_was_found_or_what_to_do() {
        let all = capabilities();
        assert!(all.iter().any(|c| c.name == "ipv4" && c.available));
        for capability in &all {
            assert!(!capability.what.is_empty(), "{capability:?}");
            assert_eq!(capability.advice.is_empty(), capability.available, "{capability:?}");
        }
        #[cfg(target_os = "linux")]
        for name in ["interfaces", "local-blocks", "one-socket", "change-events", "sleep-detection"] {
            assert!(all.iter().any(|c| c.name == name && c.available), "{name}: {all:?}");
        }
    }
}
