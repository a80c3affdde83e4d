//! What `stun-rs` uses of `quoted-string-parser`.

/// What of the grammar is meant.
#[derive(Debug)]
pub enum QuotedStringParseLevel {
    /// With the quotes.
    QuotedString,
    /// What stands between them.
    QuotedText,
}

/// RFC 3261, section 25.1, for printable ASCII without escapes; anything else is refused.
#[derive(Debug)]
pub struct QuotedStringParser;

impl QuotedStringParser {
    /// Whether the text is one.
    #[must_use]
    pub fn validate(level: QuotedStringParseLevel, input: &str) -> bool {
        let text = match level {
            QuotedStringParseLevel::QuotedText => Some(input),
            QuotedStringParseLevel::QuotedString => {
                input.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
            }
        };
        text.is_some_and(|text| {
            text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte))
        })
    }
}
