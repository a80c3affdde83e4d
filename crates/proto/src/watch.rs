//! What changes at the interfaces of a machine, and when it is told.
//!
//! Changes are differences between two [`Snapshot`]s and never what a single message of the system says: so a lost message, a
//! repeated one, or an overflow costs nothing but one more look.

mod backoff;
mod change;
mod external;
mod interface_id;
mod settle;
mod slept;
mod snapshot;

pub use backoff::Backoff;
pub use change::Change;
pub use external::{ExternalChange, Externals};
pub use interface_id::{DefaultRoute, InterfaceId};
pub use settle::{Settle, Timing};
pub use slept::{Clocks, Slept};
pub use snapshot::{AddressNotice, InterfaceState, Snapshot};
