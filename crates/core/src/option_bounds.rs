//! Which numbers options may have, in the units that users write. It is the only table of them: the engine checks by it, and
//! TypeScript asks for it, since a wrong option is refused before anything else is done, and with the stack of the caller.

use routepool_proto::sweep::bounds;

use crate::Error;

/// The numbers that an option may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionBounds {
    /// The option, as users write it; the same wherever an option of that name is taken by the engine.
    pub option: &'static str,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// Whether only integers are taken.
    pub integer: bool,
}

impl OptionBounds {
    const fn number(option: &'static str, min: f64, max: f64) -> Self {
        Self { option, min, max, integer: false }
    }

    const fn integer(option: &'static str, min: u32, max: u32) -> Self {
        Self { option, min: min as f64, max: max as f64, integer: true }
    }

    /// The value, if the option may have it.
    ///
    /// # Errors
    /// [`Error::Option`] with the bounds.
    pub fn check(&self, value: f64) -> Result<f64, Error> {
        let Self { option, min, max, integer } = *self;
        if value >= min && value <= max && (!integer || value.fract() == 0.0) {
            return Ok(value);
        }
        let kind = if integer { "an integer" } else { "a number" };
        Err(Error::option_error(
            option,
            format!("expected {kind} from {min} to {max} for `{option}` but received {value}"),
        ))
    }
}

/// Probes a second: from one in a minute and a half to more than any machine sends.
pub const RATE_PER_SECOND: OptionBounds = OptionBounds::number("ratePerSecond", 0.01, 1e8);

/// How many times a silent source is asked.
pub const PASSES: OptionBounds = OptionBounds::integer("passes", 1, bounds::MAX_PASSES as u32);

/// How long an answer may take, in milliseconds: ten minutes at most, which no network needs.
pub const TIMEOUT_MS: OptionBounds = OptionBounds::number("timeoutMs", 1.0, 600_000.0);

/// Bytes of receive buffer: from what one datagram takes to more than any system grants.
pub const RECEIVE_BUFFER: OptionBounds = OptionBounds::integer("receiveBuffer", 1_024, 1 << 30);

/// Length of the sub-prefixes of a sample; how long it may be depends on the block as well.
pub const SAMPLE_PER_PREFIX: OptionBounds = OptionBounds::integer("sample.perPrefix", 0, 128);

/// Hosts of each sub-prefix: as many as there can be sources in a run.
pub const SAMPLE_HOSTS: OptionBounds = OptionBounds::integer("sample.hosts", 1, 1 << 28);

/// A local port; 0 leaves the choice to the system.
pub const PORT: OptionBounds = OptionBounds::integer("port", 0, u16::MAX as u32);

/// The other port of a STUN server (RFC 5780); 0 as for [`PORT`].
pub const OTHER_PORT: OptionBounds = OptionBounds::integer("otherPort", 0, u16::MAX as u32);

/// Replies a second for each prefix of sources.
pub const RATE_PER_PREFIX: OptionBounds = OptionBounds::number("ratePerPrefix", 0.01, 1e6);

/// Threads of a STUN server.
pub const WORKERS: OptionBounds = OptionBounds::integer("workers", 1, 64);

/// The greatest age of a mapping that is measured, in milliseconds: each probe of it takes as long, and an hour is what a person
/// waits for at most.
pub const LIFETIME_MAX_MS: OptionBounds = OptionBounds::integer("lifetimeMaxMs", 1_000, 3_600_000);

/// How often interfaces are scanned where the system does not report changes, in milliseconds: a day at most.
pub const POLL_MS: OptionBounds = OptionBounds::number("pollMs", 10.0, 86_400_000.0);

/// All of them.
pub const ALL: [OptionBounds; 12] = [
    RATE_PER_SECOND,
    PASSES,
    TIMEOUT_MS,
    RECEIVE_BUFFER,
    SAMPLE_PER_PREFIX,
    SAMPLE_HOSTS,
    PORT,
    OTHER_PORT,
    RATE_PER_PREFIX,
    WORKERS,
    LIFETIME_MAX_MS,
    POLL_MS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_refused_by_name_and_with_the_bounds() {
        for (bounds, value, want) in [
            (PASSES, 1.0, None),
            (PASSES, 32.0, None),
            (PASSES, 33.0, Some("expected an integer from 1 to 32 for `passes` but received 33")),
            (PASSES, 1.5, Some("expected an integer from 1 to 32 for `passes` but received 1.5")),
            (TIMEOUT_MS, 1.5, None),
            (TIMEOUT_MS, 0.0, Some("expected a number from 1 to 600000 for `timeoutMs` but received 0")),
            (RATE_PER_SECOND, f64::NAN, Some("received NaN")),
            (RATE_PER_SECOND, f64::INFINITY, Some("received inf")),
            (PORT, 65_535.0, None),
            (PORT, -1.0, Some("from 0 to 65535 for `port` but received -1")),
        ] {
            let checked = bounds.check(value);
            match want {
                None => assert_eq!(checked.ok(), Some(value), "{bounds:?}"),
                Some(text) => {
                    let error = checked.expect_err(text);
                    assert_eq!(error.option(), Some(bounds.option));
                    assert!(error.to_string().contains(text), "{error}");
                }
            }
        }
    }

    #[test]
    fn an_option_has_one_row() {
        for (at, bounds) in ALL.iter().enumerate() {
            assert!(bounds.min <= bounds.max, "{bounds:?}");
            assert!(ALL[..at].iter().all(|other| other.option != bounds.option), "{bounds:?}");
        }
    }
}
