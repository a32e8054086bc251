//! What the relay says of itself: the document of NIP-11, and a page for people.

use super::config::{AuthMode, Config};
use super::limits::SUBID_CHARS_MAX;
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

fn supported_nips(config: &Config, searches: bool) -> Vec<u16> {
    let mut nips = ALWAYS.to_vec();
    nips.extend(searches.then_some(SEARCH_NIP));
    if config.auth != AuthMode::Off {
        nips.extend(WITH_AUTH);
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
pub(super) fn document(config: &Config, searches: bool) -> Vec<u8> {
    let about = &config.about;
    let document = Document {
        name: &config.name,
        description: &config.description,
        pubkey: config.pubkey.map(const_hex::encode),
        contact: config.contact.as_deref(),
        about: About {
            icon: about.icon.as_deref(),
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
        limitation: limitation(config),
        retention: config.retention.iter().filter_map(|r| r.published()).map(Into::into).collect(),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

fn limitation(config: &Config) -> Limitation {
    let limits = &config.limits;
    let auth_required = config.auth == AuthMode::Required;
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
        min_pow_difficulty: 0,
        auth_required,
        payment_required: false,
        // Who has to authenticate first has a condition to fulfil.
        restricted_writes: auth_required,
    }
}

/// The page at `/`. `host` is the client's word for this relay, `secure` whether a proxy says that
/// it came by TLS, `events` how many records the store holds.
pub(super) fn page(config: &Config, host: &str, secure: bool, events: u64) -> String {
    let (name, description) = (escaped(&config.name), escaped(&config.description));
    let (host, scheme) = (escaped(host), if secure { "wss" } else { "ws" });
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:38em;margin:4em auto;\
         padding:0 1em;color:#222;background:#fff}}code{{background:#f2f2f2;padding:.15em .4em}}\
         small{{color:#666}}</style>\n</head>\n<body>\n<h1>{name}</h1>\n<p>{description}</p>\n\
         <p>This is a Nostr relay. Point a client at <code>{scheme}://{host}/</code></p>\n\
         <p>{events} events stored. <a href=\"{DOCUMENT_PATH}\">What this relay supports</a> \
         (NIP-11).</p>\n<p><small>Ratite {version}</small></p>\n</body>\n</html>\n"
    )
}

/// Where the document is found without an `Accept` header, which a link cannot carry.
pub(super) const DOCUMENT_PATH: &str = "/nip11";

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nostr::retention::RuleConfig;
    use serde_json::json;

    #[test]
    fn the_document_says_what_is_on_and_what_is_kept() {
        let mut config = Config::default();
        let json = |config: &Config| -> serde_json::Value {
            serde_json::from_slice(&document(config, false)).unwrap()
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
            serde_json::from_slice(&document(config, false)).unwrap()
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
        let searching: serde_json::Value =
            serde_json::from_slice(&super::document(&config, true)).unwrap();
        assert_eq!(searching["supported_nips"], json!([1, 9, 11, 40, 42, 45, 50, 62, 70, 77]));
        config.limits.past_seconds = Some(7);
        assert_eq!(json(&config)["limitation"]["created_at_lower_limit"], 7);
    }

    #[test]
    fn the_page_holds_nobody_elses_markup() {
        let config = Config { name: "<b>&".into(), ..Config::default() };
        let page = page(&config, "x\"><script>", true, 12);
        assert!(page.contains("<h1>&lt;b&gt;&amp;</h1>"), "{page}");
        assert!(page.contains("wss://x&quot;&gt;&lt;script&gt;/") && page.contains("12 events"));
        assert!(!page.contains("<script"));
    }
}
