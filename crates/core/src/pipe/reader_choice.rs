//! Which of the two readers reads the sockets of an environment.

use std::io;

/// The reader that is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReaderChoice {
    /// The direct one, or where there is none the portable one.
    #[default]
    Auto,
    /// The direct one or none.
    Direct,
    /// The portable one.
    Portable,
}

impl ReaderChoice {
    /// The choice of that name: `auto`, `direct` or `portable`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "direct" => Some(Self::Direct),
            "portable" => Some(Self::Portable),
            _ => None,
        }
    }

    /// Opens what the chosen reader reads, and says whether that is the direct one. `direct` gives `None` where there is no
    /// such reader, which is no failure of the system.
    ///
    /// # Errors
    /// That of the reader; [`io::ErrorKind::Unsupported`] where the direct one alone is wanted and there is none.
    pub fn open<T>(
        self,
        direct: impl FnOnce() -> io::Result<Option<T>>,
        portable: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(T, bool)> {
        let opened = if self == Self::Portable { None } else { direct()? };
        match opened {
            Some(opened) => Ok((opened, true)),
            None if self == Self::Direct => Err(io::ErrorKind::Unsupported.into()),
            None => portable().map(|opened| (opened, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_reader_stands_in_where_there_is_no_direct_one_and_never_for_a_failure() {
        let emfile = || io::Error::from(io::ErrorKind::QuotaExceeded);
        for (name, direct, want, why) in [
            ("auto", Ok(Some("direct")), Ok(("direct", true)), "the faster one first"),
            ("auto", Ok(None), Ok(("portable", false)), "no such reader on this system"),
            ("auto", Err(emfile()), Err(io::ErrorKind::QuotaExceeded), "a failure is told"),
            ("direct", Ok(Some("direct")), Ok(("direct", true)), "as asked for"),
            ("direct", Ok(None), Err(io::ErrorKind::Unsupported), "nothing else was asked for"),
            ("portable", Ok(Some("direct")), Ok(("portable", false)), "as asked for"),
        ] {
            let choice = ReaderChoice::from_name(name).expect("a choice");
            let opened = choice.open(|| direct, || Ok("portable"));
            assert_eq!(opened.map_err(|error| error.kind()), want, "{name}: {why}");
        }
        assert_eq!(ReaderChoice::from_name("other"), None);
    }
}
