//! What the relay says of itself: the document of NIP-11, and a page for people.

use super::config::Config;
use super::limits::SUBID_CHARS_MAX;
use serde::Serialize;

/// NIPs that are there: the protocol, this document, COUNT, negentropy.
const SUPPORTED_NIPS: [u16; 4] = [1, 11, 45, 77];

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

/// The document of NIP-11, as JSON.
pub(super) fn document(config: &Config) -> Vec<u8> {
    let limits = &config.limits;
    let document = Document {
        name: &config.name,
        description: &config.description,
        pubkey: config.pubkey.map(const_hex::encode),
        contact: config.contact.as_deref(),
        supported_nips: &SUPPORTED_NIPS,
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

    #[test]
    fn the_document_says_what_the_limits_say() {
        let mut config = Config { pubkey: Some([0xab; 32]), ..Config::default() };
        let json = |config: &Config| -> serde_json::Value {
            serde_json::from_slice(&document(config)).unwrap()
        };
        let document = json(&config);
        assert_eq!(document["name"], "ratite");
        assert_eq!(document["pubkey"], "ab".repeat(32));
        assert_eq!(document["supported_nips"], serde_json::json!([1, 11, 45, 77]));
        assert_eq!(document["limitation"]["max_message_length"], 131_072);
        assert_eq!(document["limitation"]["created_at_lower_limit"], serde_json::Value::Null);
        assert!(document.get("contact").is_none());
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
