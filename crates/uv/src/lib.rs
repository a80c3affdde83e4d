//! Waits for a descriptor on Node's own event loop.
//!
//! [`watch`] starts one `uv_poll_t` that calls a JavaScript function whenever the descriptor is readable: no thread, no
//! queue, nothing between the kernel and the handler. libuv's functions are looked up in the running program, so the addon
//! also loads where they are missing; then [`watch`] gives `false`, and
//! another way must be taken.
//!
//! Besides `routepool-udp` this is the only crate of routepool with `unsafe` code.
#![cfg(unix)]

mod poll;
mod symbols;

pub use poll::watch;
