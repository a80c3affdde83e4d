//! What one waits for.

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Something can be received, accepted, or the peer has ended.
    pub read: bool,
    /// Something can be sent, or a connection is made.
    pub write: bool,
}

impl Interest {
    /// Nothing: then not even a reset of the peer is told.
    pub const NONE: Self = Self { read: false, write: false };
    /// Reading only.
    pub const READ: Self = Self { read: true, write: false };
    /// Writing only.
    pub const WRITE: Self = Self { read: false, write: true };
}
