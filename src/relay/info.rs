//! What the relay says of itself to programs: the document of NIP-11.

use super::config::{AuthMode, Config};
use super::limits::SUBID_CHARS_MAX;
use super::policy::Policy;
use crate::nostr::retention::PublishedRule;
use serde::Serialize;

/// Where this program is from.
const SOFTWARE: &str = "https://crates.io/crates/ratite";

/// NIPs that are always there: the protocol, this document, deletion, expiration, COUNT, vanishing, negentropy.
const ALWAYS: [u16; 7] = [1, 9, 11, 40, 45, 62, 77];

/// NIPs that come with authentication: itself, protected events.
const WITH_AUTH: [u16; 2] = [42, 70];

/// Search: there if the store has words.
const SEARCH_NIP: u16 = 50;

/// Work: there if any is asked for.
const WORK_NIP: u16 = 13;

/// NIPs that come with admins: management, and how they prove who they are.
const WITH_ADMINS: [u16; 2] = [86, 98];

fn supported_nips(config: &Config, searches: bool) -> Vec<u16> {
    let mut nips = ALWAYS.to_vec();
    nips.extend(searches.then_some(SEARCH_NIP));
    nips.extend((config.policy.pow_bits > 0).then_some(WORK_NIP));
    if config.auth != AuthMode::Off {
        nips.extend(WITH_AUTH);
    }
    if !config.policy.admins.is_empty() {
        nips.extend(WITH_ADMINS);
    }
    nips.sort_unstable();
    nips
}

#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a str>,
    #[serde(flatten)]
    about: About<'a>,
    supported_nips: Vec<u16>,
    software: &'a str,
    version: &'a str,
    limitation: Limitation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retention: Vec<Retention>,
}

#[derive(Serialize)]
struct About<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posting_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms_of_service: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    relay_countries: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    language_tags: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
}

#[derive(Serialize)]
struct Limitation {
    max_message_length: usize,
    max_subscriptions: usize,
    max_filters: usize,
    max_limit: u64,
    default_limit: u64,
    max_subid_length: usize,
    max_event_tags: usize,
    max_content_length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at_lower_limit: Option<u64>,
    created_at_upper_limit: u64,
    min_pow_difficulty: u8,
    auth_required: bool,
    payment_required: bool,
    restricted_writes: bool,
}

/// What is kept, and for how long: `time` in seconds, `null` for ever.
#[derive(Serialize)]
struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<Kinds>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Kinds {
    One(u16),
    Range(u16, u16),
}

impl From<PublishedRule> for Retention {
    fn from(rule: PublishedRule) -> Retention {
        let protects = rule.seconds.is_none() && rule.count.is_none();
        let time = if protects { Some(None) } else { rule.seconds.map(Some) };
        Retention { kinds: rule.kinds.map(ranges), time, count: rule.count }
    }
}

/// Kinds in ascending order, those in a row as a range.
fn ranges(mut kinds: Vec<u16>) -> Vec<Kinds> {
    kinds.sort_unstable();
    kinds.dedup();
    let rows = kinds.chunk_by(|a, b| a + 1 == *b);
    rows.map(|row| match row {
        [one] => Kinds::One(*one),
        row => Kinds::Range(row[0], row[row.len() - 1]),
    })
    .collect()
}

/// The document of NIP-11, as JSON; `searches` says whether the store does.
pub(super) fn document(config: &Config, policy: &Policy, searches: bool) -> Vec<u8> {
    let (about, told) = (&config.about, policy.told());
    let document = Document {
        name: told.name.as_deref().unwrap_or(&config.name),
        description: told.description.as_deref().unwrap_or(&config.description),
        pubkey: config.pubkey.map(const_hex::encode),
        contact: config.contact.as_deref(),
        about: About {
            icon: told.icon.as_deref().or(about.icon.as_deref()),
            banner: about.banner.as_deref(),
            posting_policy: about.posting_policy.as_deref(),
            privacy_policy: about.privacy_policy.as_deref(),
            terms_of_service: about.terms_of_service.as_deref(),
            relay_countries: &about.countries,
            language_tags: &about.languages,
            tags: &about.tags,
        },
        supported_nips: supported_nips(config, searches),
        software: SOFTWARE,
        version: env!("CARGO_PKG_VERSION"),
        limitation: limitation(config, policy),
        retention: config.retention.iter().filter_map(|r| r.published()).map(Into::into).collect(),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

fn limitation(config: &Config, policy: &Policy) -> Limitation {
    let limits = &config.limits;
    let auth_required = config.auth == AuthMode::Required;
    let is_decided = policy.restricts_writes() || config.policy.plugin.is_there();
    Limitation {
        max_message_length: limits.message_bytes,
        max_subscriptions: limits.subscriptions,
        max_filters: limits.filters,
        max_limit: limits.limit_max,
        default_limit: limits.limit_default,
        max_subid_length: SUBID_CHARS_MAX,
        max_event_tags: limits.event.tags,
        max_content_length: limits.event.content_bytes,
        created_at_lower_limit: limits.past_seconds,
        created_at_upper_limit: limits.future_seconds,
        min_pow_difficulty: config.policy.pow_bits,
        auth_required,
        payment_required: false,
        // Who has to authenticate first has a condition to fulfil.
        restricted_writes: auth_required || is_decided,
    }
}

/// Where the document is found without an `Accept` header, which a link cannot carry.
pub(super) const DOCUMENT_PATH: &str = "/nip11";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Backend, system};
    use crate::nostr::retention::RuleConfig;
    use serde_json::json;

    /// The document of a relay with this configuration.
    fn said(config: &Config, searches: bool) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let env = system(Backend::Posix).unwrap();
        let (policy, rates) = (&config.policy, &config.limits.rates);
        document(config, &Policy::open(policy, rates, &env, dir.path()).unwrap(), searches)
    }

    #[test]
    fn the_document_says_what_is_on_and_what_is_kept() {
        let mut config = Config::default();
        let json = |config: &Config| -> serde_json::Value {
            serde_json::from_slice(&said(config, false)).unwrap()
        };
        config.about.icon = Some("https://x/i.png".into());
        config.about.countries = vec!["IS".into()];
        config.auth = AuthMode::Required;
        let rules = [
            "kinds=1,5-7,30000-39999 age=2d",
            "kinds=0,3 protect",
            "count=9",
            "bytes=9GiB",
            "kinds=1 each=author count=7",
        ];
        config.retention = rules.iter().map(|rule| RuleConfig::parse(rule).unwrap()).collect();
        let said = json(&config);
        assert_eq!(
            (&said["icon"], &said["relay_countries"]),
            (&json!("https://x/i.png"), &json!(["IS"]))
        );
        let retention = json!([
            {"kinds": [1, [5, 7], [30000, 39999]], "time": 172_800},
            {"kinds": [0, 3], "time": null},
            {"count": 9},
        ]);
        assert_eq!(said["retention"], retention);
        let limitation = &said["limitation"];
        assert_eq!(
            (&limitation["auth_required"], &limitation["restricted_writes"]),
            (&json!(true), &json!(true))
        );
        config.auth = AuthMode::Off;
        assert_eq!(json(&config)["supported_nips"], json!([1, 9, 11, 40, 45, 62, 77]));
        assert_eq!(json(&config)["limitation"]["auth_required"], false);
    }

    #[test]
    fn the_document_says_what_the_limits_say() {
        let mut config = Config { pubkey: Some([0xab; 32]), ..Config::default() };
        let json = |config: &Config| -> serde_json::Value {
            serde_json::from_slice(&said(config, false)).unwrap()
        };
        let document = json(&config);
        assert_eq!(document["name"], "ratite");
        assert_eq!(document["pubkey"], "ab".repeat(32));
        assert_eq!(document["supported_nips"], json!([1, 9, 11, 40, 42, 45, 62, 70, 77]));
        assert!(document["software"].as_str().unwrap().starts_with("https://"));
        assert_eq!(document["limitation"]["max_message_length"], 131_072);
        assert_eq!(document["limitation"]["created_at_lower_limit"], serde_json::Value::Null);
        for optional in ["contact", "icon", "relay_countries", "tags", "retention"] {
            assert!(document.get(optional).is_none(), "{optional}");
        }
        let searching: serde_json::Value = serde_json::from_slice(&said(&config, true)).unwrap();
        assert_eq!(searching["supported_nips"], json!([1, 9, 11, 40, 42, 45, 50, 62, 70, 77]));
        config.limits.past_seconds = Some(7);
        assert_eq!(json(&config)["limitation"]["created_at_lower_limit"], 7);
        assert_eq!(json(&config)["limitation"]["restricted_writes"], false);
        (config.policy.pow_bits, config.policy.admins) = (20, vec![[1; 32]]);
        let document = json(&config);
        assert_eq!(
            document["supported_nips"],
            json!([1, 9, 11, 13, 40, 42, 45, 62, 70, 77, 86, 98])
        );
        assert_eq!(document["limitation"]["min_pow_difficulty"], 20);
        assert_eq!(document["limitation"]["restricted_writes"], true);
    }
}
