//! One change.

use std::net::IpAddr;
use std::time::Duration;

use super::interface_id::{DefaultRoute, InterfaceId};
use crate::ip_block::IpBlock;

/// Something is otherwise than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// There is a new interface.
    InterfaceAdded(InterfaceId),
    /// An interface is gone. Its addresses have been told as removed before.
    InterfaceRemoved(InterfaceId),
    /// An interface has another name.
    InterfaceRenamed {
        /// The interface, with its new name.
        interface: InterfaceId,
        /// Its name before.
        previous: String,
    },
    /// An interface is switched on and has a link.
    InterfaceUp(InterfaceId),
    /// An interface is switched off or has lost its link.
    InterfaceDown(InterfaceId),
    /// An interface has a new address that can be used.
    AddressAdded {
        /// The interface.
        interface: InterfaceId,
        /// The address.
        ip: IpAddr,
        /// Length of its subnet's prefix.
        prefix_len: u8,
    },
    /// An address of an interface is gone, or can be used no more.
    AddressRemoved {
        /// The interface.
        interface: InterfaceId,
        /// The address.
        ip: IpAddr,
        /// Length of its subnet's prefix.
        prefix_len: u8,
    },
    /// A local route holds a new block.
    BlockAdded {
        /// The interface that its packets leave by.
        interface: InterfaceId,
        /// The block.
        block: IpBlock,
    },
    /// No local route holds the block any more.
    BlockRemoved {
        /// The interface that its packets left by.
        interface: InterfaceId,
        /// The block.
        block: IpBlock,
    },
    /// Traffic that no other route takes leaves by another way.
    DefaultChanged {
        /// Of which family.
        ipv6: bool,
        /// The way before; `None` if there was none.
        previous: Option<DefaultRoute>,
        /// The way now; `None` if there is none.
        now: Option<DefaultRoute>,
    },
    /// The machine was asleep.
    Resumed {
        /// For how long.
        slept: Duration,
    },
}
