//! Names for groups of platforms, so that each stands in one place.
fn main() {
    cfg_aliases::cfg_aliases! {
        // The systems whose interfaces `routepool_udp::adapters` tells.
        native_adapters: { any(target_os = "macos", target_os = "freebsd", windows) },
    }
}
