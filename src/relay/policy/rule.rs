//! One line of an allow or deny list, in words.
//!
//! ```text
//!   allow pubkey <64 hex>          deny address 192.0.2.0/24
//!   allow kind 0-9                 deny event <64 hex>            # a remark ends the line
//! ```

use super::network::Network;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Whom or what a rule lets in or keeps out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whether it lets in; else it keeps out.
    pub allow: bool,
    /// Whom or what.
    pub subject: Subject,
}

/// What a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Subject {
    /// Events of this author.
    Pubkey([u8; 32]),
    /// Events of these kinds.
    Kinds(RangeInclusive<u16>),
    /// Clients from there.
    Address(Network),
    /// The event with this id.
    Event([u8; 32]),
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let mut words = text.split_whitespace();
        let (Some(verb), Some(what), Some(value), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("a rule is three words, like `deny kind 4`".into());
        };
        let allow = match verb {
            "allow" => true,
            "deny" => false,
            _ => return Err(format!("a rule begins with allow or deny, not {verb:?}")),
        };
        let subject = match what {
            "pubkey" => Subject::Pubkey(hex(value)?),
            "event" => Subject::Event(hex(value)?),
            "kind" => Subject::Kinds(kinds(value)?),
            "address" => Subject::Address(value.parse()?),
            _ => {
                return Err(format!(
                    "a rule is about a pubkey, kind, address or event, not {what:?}"
                ));
            }
        };
        Ok(Rule { allow, subject })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allow { "allow " } else { "deny " })?;
        match &self.subject {
            Subject::Pubkey(key) => write!(f, "pubkey {}", const_hex::encode(key)),
            Subject::Event(id) => write!(f, "event {}", const_hex::encode(id)),
            Subject::Address(network) => write!(f, "address {network}"),
            Subject::Kinds(kinds) if kinds.start() == kinds.end() => {
                write!(f, "kind {}", kinds.start())
            }
            Subject::Kinds(kinds) => write!(f, "kind {}-{}", kinds.start(), kinds.end()),
        }
    }
}

/// The rules of a file: one a line, blank lines and remarks aside.
///
/// # Errors
/// The number of the first line that is none, and why.
pub(super) fn parse_lines(text: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            rules.push(line.parse().map_err(|why| format!("line {}: {why}", at + 1))?);
        }
    }
    Ok(rules)
}

/// 32 bytes in hex.
///
/// # Errors
/// What it should be.
pub(in crate::relay) fn hex(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    match text.len() == 64 && const_hex::decode_to_slice(text, &mut bytes).is_ok() {
        true => Ok(bytes),
        false => Err(format!("{text:?} is not 64 hex characters")),
    }
}

fn kinds(text: &str) -> Result<RangeInclusive<u16>, String> {
    let kind = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (kind(first), kind(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(format!("{text:?} is neither a kind, 0 to 65535, nor a range like 0-9")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_printed_in_one_spelling() {
        let hex = "0a".repeat(32);
        for text in
            ["allow kind 1", "deny kind 0-9", "deny address 10.0.0.0/8", "allow address ::1"]
        {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for text in [format!("allow pubkey {hex}"), format!("deny event {hex}")] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!("  deny\tkind 7-7 ".parse::<Rule>().unwrap().to_string(), "deny kind 7");
        for bad in [
            "",
            "deny",
            "deny kind",
            "deny kind 1 2",
            "ban kind 1",
            "deny word x",
            "deny kind 9-1",
            "deny kind 65536",
            "deny kind +1",
            "deny kind -",
            "deny pubkey 0a",
            "deny address x",
        ] {
            bad.parse::<Rule>().unwrap_err();
        }
    }

    #[test]
    fn a_file_is_one_rule_a_line_and_says_where_it_is_wrong() {
        let rules = parse_lines("# who\n\nallow kind 1 # notes\r\n  deny kind 4\n").unwrap();
        let printed: Vec<String> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(printed, ["allow kind 1", "deny kind 4"]);
        assert!(parse_lines("allow kind 1\n\nallow kind x").unwrap_err().starts_with("line 3: "));
    }
}
