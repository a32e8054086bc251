//! What was decided over NIP-86: rules with their reasons, and what the relay is called.
//!
//! ```text
//!   {"crc64":"..","version":2,"name":..,"description":..,"icon":..,
//!    "rules":[{"rule":"deny pubkey <hex>","reason":".."}, ..]}          the bytes: docs/formats.md
//! ```
//!
//! I1. A subject has one rule at most: to ban it is to take it off the allow list, and the other way round.
//! I2. It is bounded, since each change writes all of it anew; long lists belong into files of rules.

use super::rule::{Rule, Subject};
use crate::base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the format. The first had no checksum.
pub(super) const VERSION: u32 = 2;

/// Rules, at most: some 3 MiB to write.
pub(in crate::relay) const RULES_MAX: usize = 10_000;

/// Bytes of a reason, or of what the relay is called, at most.
pub(in crate::relay) const TEXT_BYTES_MAX: usize = 4_096;

/// A rule and why it is there.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::relay) struct Reasoned {
    pub(in crate::relay) rule: Rule,
    pub(in crate::relay) reason: String,
}

/// What the relay says of itself instead of what its configuration says.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::relay) struct Told {
    pub(in crate::relay) name: Option<String>,
    pub(in crate::relay) description: Option<String>,
    pub(in crate::relay) icon: Option<String>,
}

/// All of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::relay) struct Managed {
    rules: Vec<Reasoned>,
    pub(in crate::relay) told: Told,
}

/// What every version says first.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(default)]
    rules: Vec<StoredRule>,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    rule: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl Managed {
    /// Every rule, in the order in which they were made.
    pub(in crate::relay) fn rules(&self) -> impl Iterator<Item = &Reasoned> {
        self.rules.iter()
    }

    /// Makes a rule, in place of any other about its subject (I1).
    ///
    /// # Errors
    /// What there is too much of (I2).
    pub(in crate::relay) fn set(
        &mut self,
        rule: Rule,
        reason: String,
    ) -> std::result::Result<(), String> {
        if reason.len() > TEXT_BYTES_MAX {
            return Err(format!("the reason is longer than {TEXT_BYTES_MAX} bytes"));
        }
        self.rules.retain(|other| other.rule.subject != rule.subject);
        if self.rules.len() >= RULES_MAX {
            return Err(format!(
                "there are {RULES_MAX} rules already; put more into a file of rules"
            ));
        }
        self.rules.push(Reasoned { rule, reason });
        Ok(())
    }

    /// Takes back a rule; nothing happens if there is none like it.
    pub(in crate::relay) fn unset(&mut self, rule: &Rule) {
        self.rules.retain(|other| other.rule != *rule);
    }

    /// What is kept, but for its checksum (`store::texts`).
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let stored = |Reasoned { rule, reason }: &Reasoned| StoredRule {
            rule: rule.to_string(),
            reason: reason.clone(),
        };
        let Told { name, description, icon } = self.told.clone();
        let rules = self.rules.iter().map(stored).collect();
        let stored = Stored { version: VERSION, name, description, icon, rules };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// What was kept in the file `path` as these bytes, whose checksum is right.
    ///
    /// # Errors
    /// `Corrupt`, `WrongVersion`.
    pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Managed> {
        let corrupt = |why: String| Error::corrupt(path, 0, why);
        let malformed = |error: serde_json::Error| corrupt(error.to_string());
        let Versioned { version: found } = serde_json::from_slice(bytes).map_err(malformed)?;
        if found != VERSION {
            return Err(Error::WrongVersion { path: path.into(), found, supported: VERSION });
        }
        let stored: Stored = serde_json::from_slice(bytes).map_err(malformed)?;
        let Stored { name, description, icon, rules, .. } = stored;
        let mut managed = Managed { told: Told { name, description, icon }, rules: Vec::new() };
        for StoredRule { rule, reason } in rules {
            managed.set(rule.parse().map_err(corrupt)?, reason).map_err(corrupt)?;
        }
        Ok(managed)
    }
}

/// The rule that lets a subject in or keeps it out.
pub(in crate::relay) fn rule(allow: bool, subject: Subject) -> Rule {
    Rule { allow, subject }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(managed: &Managed) -> Vec<String> {
        managed.rules().map(|r| format!("{}: {}", r.rule, r.reason)).collect()
    }

    #[test]
    fn a_subject_has_one_rule_and_all_survives_its_bytes() {
        let mut managed = Managed::default();
        let mut set = |text: &str, reason: &str| {
            managed.set(text.parse().unwrap(), reason.into()).unwrap();
        };
        set("deny kind 4", "old");
        set("deny address 10.0.0.0/8", "\"quoted\"\n");
        set("allow kind 4", "");
        managed.told.name = Some("Bird".into());
        managed.unset(&"deny kind 4".parse().unwrap());
        assert_eq!(printed(&managed), ["deny address 10.0.0.0/8: \"quoted\"\n", "allow kind 4: "]);
        let bytes = managed.to_bytes();
        assert_eq!(Managed::from_bytes(Path::new("p"), &bytes).unwrap(), managed);
        managed.unset(&"allow kind 4".parse().unwrap());
        assert_eq!(managed.rules().count(), 1);
    }

    #[test]
    fn what_is_no_state_is_refused_and_what_is_too_much_too() {
        let from = |text: &str| Managed::from_bytes(Path::new("p"), text.as_bytes());
        assert!(matches!(from("{\"version\":1}"), Err(Error::WrongVersion { found: 1, .. })));
        // Of another version, nobody knows what else is in it.
        let later = r#"{"version":3,"rules":{"deny":["kind 4"]}}"#;
        assert!(matches!(from(later), Err(Error::WrongVersion { found: 3, .. })));
        for bad in ["", "{", "[]", "{}", r#"{"version":2,"rules":[{"rule":"deny x"}]}"#] {
            assert!(matches!(from(bad), Err(Error::Corrupt { .. })), "{bad}");
        }
        assert_eq!(from("{\"crc64\":\"\",\"version\":2}  \n").unwrap(), Managed::default());
        let mut managed = Managed::default();
        let kind = |kind: usize| format!("deny kind {kind}").parse().unwrap();
        assert!(managed.set(kind(1), "x".repeat(TEXT_BYTES_MAX + 1)).is_err());
        (0..RULES_MAX).for_each(|n| managed.set(kind(n), String::new()).unwrap());
        assert!(managed.set(kind(RULES_MAX), String::new()).is_err());
        managed.set(kind(7), "again".into()).unwrap();
    }
}
