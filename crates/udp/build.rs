//! Names for groups of platforms, so that each stands in one place.
fn main() {
    cfg_aliases::cfg_aliases! {
        // One socket, many sources, a system call each: where control messages name the source of a datagram.
        per_datagram: { any(target_os = "linux", target_os = "macos", target_os = "freebsd", windows) },
        // The systems that are asked for their interfaces by `adapters`; Linux is asked by netlink.
        bsd_adapters: { any(target_os = "macos", target_os = "freebsd") },
        native_adapters: { any(bsd_adapters, windows) },
    }
}
