//! What `stun-rs` uses of `precis-core`.

use std::fmt;

/// A text that is not printable ASCII.
#[derive(Debug, PartialEq, Eq)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only printable ASCII is known here")
    }
}

impl std::error::Error for Error {}

/// Profiles of strings.
pub mod profile {
    use std::borrow::Cow;

    use super::Error;

    /// A profile that needs no instance.
    pub trait PrecisFastInvocation {
        /// Checks a string.
        ///
        /// # Errors
        /// It is not allowed.
        fn prepare<'a, S: Into<Cow<'a, str>>>(s: S) -> Result<Cow<'a, str>, Error>;

        /// Checks a string and makes it the one that is compared.
        ///
        /// # Errors
        /// It is not allowed.
        fn enforce<'a, S: Into<Cow<'a, str>>>(s: S) -> Result<Cow<'a, str>, Error>;

        /// Whether two strings are the same.
        ///
        /// # Errors
        /// One is not allowed.
        fn compare<A: AsRef<str>, B: AsRef<str>>(s1: A, s2: B) -> Result<bool, Error>;
    }
}
