//! What a sweep is of: a saved state is proof for the same question only.

use std::fmt;

use routepool_proto::ip_block::IpBlock;
use routepool_proto::targets::Sample;

use crate::discovery::servers::{Choice, Origin};

/// Which sources were probed, at which servers, and through which interface. A verdict holds for exactly this: of other servers, or through another
/// interface, the same source may leave as another address.
///
/// As text, in the state file, it has a line for each part: its name, a space, its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SweepIdentity {
    parts: Vec<(String, String)>,
}

impl SweepIdentity {
    pub(super) fn new(
        blocks: &[IpBlock],
        sample: Option<Sample>,
        choice: &Choice,
        interface: Option<&str>,
    ) -> Self {
        let blocks: Vec<_> = blocks.iter().map(|b| format!("{b} ({})", b.hosts())).collect();
        let sample = sample.map_or("none".into(), |s| format!("{} per /{}", s.hosts, s.per_prefix));
        // In the order that they were given in: the evidence in the state names servers by their number.
        let servers: Vec<_> =
            choice.servers.iter().map(|(_, s)| s.to_string().to_ascii_lowercase()).collect();
        let servers = if choice.origin == Origin::Embedded { "embedded".into() } else { servers.join(", ") };
        let part = |name: &str, value: String| (name.to_owned(), value);
        Self {
            parts: vec![
                part("blocks", blocks.join(", ")),
                part("sample", sample),
                part("servers", servers),
                part("interface", interface.unwrap_or("not set").to_owned()),
            ],
        }
    }

    /// Reads what `Display` wrote.
    pub(super) fn parse(text: &str) -> Self {
        let part = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        };
        Self { parts: text.lines().map(part).collect() }
    }

    /// What differs from a saved identity, in words; nothing if they are the same.
    pub(super) fn difference(&self, saved: &Self) -> Option<String> {
        let differs: Vec<_> = self
            .parts
            .iter()
            .filter_map(|(name, asked)| {
                let found = saved.get(name).unwrap_or("not known");
                (found != asked).then(|| format!("its `{name}` is {found}, asked for was {asked}"))
            })
            .collect();
        (!differs.is_empty()).then(|| differs.join("; "))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for SweepIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::servers::choose;

    fn identity(
        block: &str,
        per_prefix: Option<u8>,
        servers: &[&str],
        interface: Option<&str>,
    ) -> SweepIdentity {
        let servers: Vec<_> = servers.iter().map(|s| (*s).to_owned()).collect();
        let sample = per_prefix.map(|per_prefix| Sample { per_prefix, hosts: 1 });
        let blocks = [block.parse().expect("a block")];
        SweepIdentity::new(&blocks, sample, &choose(&servers, true).expect("servers"), interface)
    }

    #[test]
    fn a_state_is_of_the_same_question_only() {
        let plain = || identity("127.0.0.0/24", None, &[], None);
        let named = || identity("127.0.0.0/24", None, &["192.0.2.1"], None);
        for (saved, asked, differs, why) in [
            (plain(), plain(), "", "the same"),
            (named(), identity("127.0.0.0/24", None, &["stun:192.0.2.1:3478"], None), "", "the same server"),
            (plain(), identity("127.0.1.0/24", None, &[], None), "`blocks`", "other sources"),
            (plain(), identity("127.0.0.0/24", Some(28), &[], None), "`sample`", "other sources"),
            (plain(), named(), "`servers` is embedded, asked for was 192.0.2.1:3478", "nobody asked it"),
            (
                named(),
                identity("127.0.0.0/24", None, &["192.0.2.1", "192.0.2.2"], None),
                "`servers`",
                "a second server was never asked",
            ),
            (
                identity("127.0.0.0/24", None, &["192.0.2.2", "192.0.2.1"], None),
                identity("127.0.0.0/24", None, &["192.0.2.1", "192.0.2.2"], None),
                "`servers`",
                "the evidence tells them by number",
            ),
            (
                plain(),
                identity("127.0.0.0/24", None, &[], Some("eth0")),
                "`interface` is not set",
                "another way out",
            ),
            (
                SweepIdentity::parse("127.0.0.0/24 (all)"),
                plain(),
                "`servers` is not known",
                "of an earlier version",
            ),
        ] {
            let saved = SweepIdentity::parse(&saved.to_string());
            let difference = asked.difference(&saved);
            assert_eq!(difference.is_some(), !differs.is_empty(), "{why}: {difference:?}");
            assert!(difference.as_deref().unwrap_or("").contains(differs), "{why}: {difference:?}");
        }
    }
}
