//! Sockets on a route: opened, read, written and relayed for a program that fetches what has arrived in batches.
//!
//! [`Sockets`] is a table of all sockets of one environment. What happens to them comes out of [`Sockets::drain`] as packed
//! [`record`]s, announced by a [`Waker`](crate::waker::Waker). There are two readers: the direct one ([`Sockets::direct`], Linux) makes its system calls in the
//! thread that drains, whose own loop waits for one descriptor; the portable one ([`Sockets::portable`]) has a task of the
//! process's runtime that reads into a ring.

mod connection_limit;
#[cfg(target_os = "linux")]
mod direct;
mod open;
mod portable;
mod reader;
mod reader_choice;
mod receive;
pub mod record;
mod registration;
mod relay;
mod request;
mod ring;
mod socket;
mod sockets;
mod table;

pub use open::{Kind, Settings};
pub use reader::Totals;
pub use reader_choice::ReaderChoice;
pub use relay::RelayCounters;
pub use request::{REQUEST, answer_request, parse_request};
pub use routepool_udp::Interest;
pub use sockets::{Opened, Sockets};
