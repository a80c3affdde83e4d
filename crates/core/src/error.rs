//! What can go wrong, as data: a stable code, the option or address concerned, and a sentence that says what to do.

use std::io;
use std::net::SocketAddr;

/// An error of the engine. Messages are read by users; programs match on [`Error::code`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A block that is none, or blocks that do not go together.
    #[error("{0}")]
    Block(String),
    /// A block with addresses that this machine does not hold.
    #[error("{0}")]
    NotLocal(String),
    /// A server that is none.
    #[error("{0}")]
    Server(String),
    /// Another option with a value that cannot be used.
    #[error("{message}")]
    Option {
        /// The option's name, as users write it.
        option: &'static str,
        /// What was expected and what came.
        message: String,
    },
    /// The state file.
    #[error("{0}")]
    State(String),
    /// No server ever answered.
    #[error("{0}")]
    ServerSilent(String),
    /// Nothing listens at the server's port.
    #[error("{0}")]
    ServerRefused(String),
    /// There is no route to the servers.
    #[error("{0}")]
    Unreachable(String),
    /// An interface that there is not.
    #[error("{0}")]
    NoInterface(String),
    /// A system call failed.
    #[error("{syscall} failed{}: {source}", address.map(|a| format!(" for {a}")).unwrap_or_default())]
    System {
        /// The call.
        syscall: &'static str,
        /// The address it was for.
        address: Option<SocketAddr>,
        /// What the system said.
        source: io::Error,
    },
    /// A defect of routepool itself.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The stable code. `SYSTEM` stands for a system error, which carries its own (`EACCES` and the like).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Block(_) => "ERR_ROUTEPOOL_BLOCK",
            Self::NotLocal(_) => "ERR_ROUTEPOOL_NOT_LOCAL",
            Self::Server(_) => "ERR_ROUTEPOOL_SERVER",
            Self::Option { .. } => "ERR_ROUTEPOOL_OPTION",
            Self::State(_) => "ERR_ROUTEPOOL_STATE",
            Self::ServerSilent(_) => "ERR_ROUTEPOOL_SERVER_SILENT",
            Self::ServerRefused(_) => "ERR_ROUTEPOOL_SERVER_REFUSED",
            Self::Unreachable(_) => "ERR_ROUTEPOOL_UNREACHABLE",
            Self::NoInterface(_) => "ERR_ROUTEPOOL_NO_INTERFACE",
            Self::System { .. } => "SYSTEM",
            Self::Internal(_) => "ERR_ROUTEPOOL_INTERNAL",
        }
    }

    /// The option that the user has to change, if there is one.
    #[must_use]
    pub fn option(&self) -> Option<&'static str> {
        match self {
            Self::Block(_) | Self::NotLocal(_) => Some("blocks"),
            Self::Server(_) => Some("servers"),
            Self::State(_) => Some("state"),
            Self::NoInterface(_) => Some("interface"),
            Self::Option { option, .. } => Some(option),
            _ => None,
        }
    }

    pub(crate) fn option_error(option: &'static str, message: impl Into<String>) -> Self {
        Self::Option { option, message: message.into() }
    }
}
