//! Where on the way something happens, and to whom.

use std::fmt;

/// The number that stands for the canary, which is no source of the block.
pub(super) const CANARY: u32 = u32::MAX;

/// Which packets a part of the path acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Requests,
    Replies,
    /// Both, and a limit counts them together.
    Both,
}

impl Direction {
    pub(super) fn takes(self, is_reply: bool) -> bool {
        match self {
            Self::Requests => !is_reply,
            Self::Replies => is_reply,
            Self::Both => true,
        }
    }

    /// How many of a request and its reply it acts on.
    pub(super) fn directions(self) -> u32 {
        if self == Self::Both { 2 } else { 1 }
    }
}

/// Whose packets: those of everybody, or of the sources of a prefix; perhaps only on the way to one server.
///
/// Sources are numbered in address order and blocks are aligned, so a prefix is a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First source and number of sources; `None` is everybody, the canary too.
    prefix: Option<(u32, u32)>,
    server: Option<u8>,
    /// Each sub-prefix of so many sources has a state (bucket, queue, burst) of its own.
    each: Option<u32>,
}

impl Place {
    pub(super) fn everywhere() -> Self {
        Self { prefix: None, server: None, each: None }
    }

    /// The `number`-th prefix of `sources` sources (a power of two).
    pub(super) fn prefix(number: u32, sources: u32) -> Self {
        Self { prefix: Some((number * sources, sources)), ..Self::everywhere() }
    }

    pub(super) fn of_server(self, server: u8) -> Self {
        Self { server: Some(server), ..self }
    }

    pub(super) fn each(self, sources: u32) -> Self {
        Self { each: Some(sources), ..self }
    }

    pub(super) fn holds(&self, source: u32, server: u8) -> bool {
        self.prefix.is_none_or(|(first, len)| source.wrapping_sub(first) < len)
            && self.server.is_none_or(|only| only == server)
    }

    /// How many states there are, in a block of `sources`. The canary has the last one.
    pub(super) fn cells(&self, sources: u32) -> usize {
        let len = self.prefix.map_or(sources, |(_, len)| len);
        self.each.map_or(1, |each| len.div_ceil(each) as usize + 1)
    }

    /// Which of the states a source has.
    pub(super) fn cell(&self, source: u32, cells: usize) -> usize {
        let Some(each) = self.each else { return 0 };
        if source == CANARY {
            return cells - 1;
        }
        ((source - self.prefix.map_or(0, |(first, _)| first)) / each) as usize
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            None => write!(f, "everywhere")?,
            Some((first, len)) => write!(f, "on sources {first}..{}", first + len)?,
        }
        if let Some(server) = self.server {
            write!(f, " to server {server}")?;
        }
        match self.each {
            Some(each) => write!(f, ", for each {each} apart"),
            None => Ok(()),
        }
    }
}
