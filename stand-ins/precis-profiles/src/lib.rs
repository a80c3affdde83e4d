//! What `stun-rs` uses of `precis-profiles`.

use std::borrow::Cow;

use precis_core::Error;
use precis_core::profile::PrecisFastInvocation;

/// RFC 8265, section 4.2, for printable ASCII, which it leaves as it is. Anything else is refused: unprepared it would be another
/// name or password.
#[derive(Debug)]
pub struct OpaqueString;

impl PrecisFastInvocation for OpaqueString {
    fn prepare<'a, S: Into<Cow<'a, str>>>(s: S) -> Result<Cow<'a, str>, Error> {
        let s = s.into();
        let known = !s.is_empty() && s.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if known { Ok(s) } else { Err(Error) }
    }

    fn enforce<'a, S: Into<Cow<'a, str>>>(s: S) -> Result<Cow<'a, str>, Error> {
        Self::prepare(s)
    }

    fn compare<A: AsRef<str>, B: AsRef<str>>(s1: A, s2: B) -> Result<bool, Error> {
        Ok(Self::prepare(s1.as_ref())? == Self::prepare(s2.as_ref())?)
    }
}
