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

/// The most ranges of one place.
const RANGES: usize = 4;

/// Whose packets: those of everybody, or of the sources of a prefix; perhaps only on the way to one server.
///
/// Sources are numbered in address order and blocks are aligned, so a prefix is a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First source and number of sources of each range; `None` is everybody, the canary too.
    ranges: Option<[(u32, u32); RANGES]>,
    server: Option<u8>,
    /// Each sub-prefix of so many sources has a state (bucket, queue, burst) of its own.
    each: Option<u32>,
}

impl Place {
    pub(super) fn everywhere() -> Self {
        Self { ranges: None, server: None, each: None }
    }

    /// The `number`-th prefix of `sources` sources (a power of two).
    pub(super) fn prefix(number: u32, sources: u32) -> Self {
        Self::ranges(&[(number * sources, sources)])
    }

    /// Some ranges, by their first source and their number of sources, which share what happens to them.
    pub(super) fn ranges(some: &[(u32, u32)]) -> Self {
        let mut ranges = [(0, 0); RANGES];
        ranges[..some.len()].copy_from_slice(some);
        Self { ranges: Some(ranges), ..Self::everywhere() }
    }

    pub(super) fn of_server(self, server: u8) -> Self {
        Self { server: Some(server), ..self }
    }

    pub(super) fn each(self, sources: u32) -> Self {
        Self { each: Some(sources), ..self }
    }

    pub(super) fn holds(&self, source: u32, server: u8) -> bool {
        self.ranges.is_none_or(|ranges| ranges.iter().any(|(first, len)| source.wrapping_sub(*first) < *len))
            && self.server.is_none_or(|only| only == server)
    }

    /// How many states there are, in a block of `sources`. The canary has the last one.
    pub(super) fn cells(&self, sources: u32) -> usize {
        let len = self.ranges.map_or(sources, |ranges| ranges[0].1);
        self.each.map_or(1, |each| len.div_ceil(each) as usize + 1)
    }

    /// Which of the states a source has.
    pub(super) fn cell(&self, source: u32, cells: usize) -> usize {
        let Some(each) = self.each else { return 0 };
        if source == CANARY {
            return cells - 1;
        }
        ((source - self.ranges.map_or(0, |ranges| ranges[0].0)) / each) as usize
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ranges {
            None => write!(f, "everywhere")?,
            Some(ranges) => {
                let all = ranges.iter().filter(|(_, len)| *len > 0);
                let all: Vec<_> = all.map(|(first, len)| format!("{first}..{}", first + len)).collect();
                write!(f, "on sources {}", all.join(", "))?;
            }
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
