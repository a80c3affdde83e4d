//! What changes at the interfaces of a machine, and when it is told.
//!
//! Changes are differences between two [`Snapshot`]s and never what a single message of the system says: so a lost message, a
//! repeated one, or an overflow costs nothing but one more look.

mod backoff;
mod change;
mod debouncer;
mod external;
mod interface_id;
mod sleep_detector;
mod snapshot;

pub use backoff::Backoff;
pub use change::Change;
pub use debouncer::{Debouncer, Timing};
pub use external::{ExternalChange, Externals};
pub use interface_id::{DefaultRoute, InterfaceId};
pub use sleep_detector::{Clocks, SleepDetector};
pub use snapshot::{AddressNotice, InterfaceState, Snapshot};
