//! What the relay says of itself to programs: the document of NIP-11.

use super::config::Config;
use super::limits::SUBID_CHARS_MAX;
use serde::Serialize;

/// NIPs that are there: the protocol, this document, COUNT.
const SUPPORTED_NIPS: [u16; 5] = [1, 9, 11, 45, 62];

/// Search: there if the store has words.
const SEARCH_NIP: u16 = 50;

#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a str>,
    supported_nips: &'a [u16],
    software: &'a str,
    version: &'a str,
    limitation: Limitation,
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

/// The document of NIP-11, as JSON; `searches` says whether the store does.
pub(super) fn document(config: &Config, searches: bool) -> Vec<u8> {
    let limits = &config.limits;
    let mut nips = SUPPORTED_NIPS.to_vec();
    nips.extend(searches.then_some(SEARCH_NIP));
    let document = Document {
        name: &config.name,
        description: &config.description,
        pubkey: config.pubkey.map(const_hex::encode),
        contact: config.contact.as_deref(),
        supported_nips: &nips,
        software: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        limitation: Limitation {
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
            min_pow_difficulty: 0,
            auth_required: false,
            payment_required: false,
            restricted_writes: false,
        },
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// Where the document is found without an `Accept` header, which a link cannot carry.
pub(super) const DOCUMENT_PATH: &str = "/nip11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_the_limits_say() {
        let mut config = Config { pubkey: Some([0xab; 32]), ..Config::default() };
        let json = |config: &Config| -> serde_json::Value {
            serde_json::from_slice(&document(config, false)).unwrap()
        };
        let document = json(&config);
        assert_eq!(document["name"], "ratite");
        assert_eq!(document["pubkey"], "ab".repeat(32));
        assert_eq!(document["supported_nips"], serde_json::json!([1, 11, 45]));
        assert_eq!(document["limitation"]["max_message_length"], 131_072);
        assert_eq!(document["limitation"]["created_at_lower_limit"], serde_json::Value::Null);
        assert!(document.get("contact").is_none());
        let searching =
            serde_json::from_slice::<serde_json::Value>(&super::document(&config, true));
        assert_eq!(searching.unwrap()["supported_nips"], serde_json::json!([1, 11, 45, 50]));
        config.limits.past_seconds = Some(7);
        assert_eq!(json(&config)["limitation"]["created_at_lower_limit"], 7);
    }
}
