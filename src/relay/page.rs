//! The page at `/`: what the relay is, for people with a browser.
//!
//! ```text
//!   page/page.html   {{name}} {{description}} {{url}} {{version}}  filled in here, escaped
//!   page/page.css, page/page.js                                    put into it as they are
//! ```
//!
//! 1. The browser runs and loads nothing but what carries the page's nonce, and talks to nobody but the relay.
//! 2. The script puts what it is told into the page as text, so that an event cannot be markup.

use super::config::Config;
use super::policy::Told;
use crate::nostr::EventStore;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What only this answer's style and script carry.
pub(super) fn nonce(store: &EventStore) -> String {
    let mut bytes = [0; 16];
    store.engine().env().entropy.fill(&mut bytes);
    const_hex::encode(bytes)
}

/// The page. `host` is the client's word for this relay, `secure` whether a proxy says that it came by TLS.
/// What an administrator has `told` counts before the configuration.
pub(super) fn html(
    config: &Config,
    told: &Told,
    (host, secure): (&str, bool),
    nonce: &str,
) -> String {
    let scheme = if secure { "wss" } else { "ws" };
    let url = escaped(&format!("{scheme}://{host}/"));
    let name = escaped(told.name.as_deref().unwrap_or(&config.name));
    let description = escaped(told.description.as_deref().unwrap_or(&config.description));
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + 1024);
    // In one walk, so that nothing that is filled in is itself looked at for more.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (hole, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(match hole {
            "name" => &name,
            "description" => &description,
            "url" => &url,
            "version" => env!("CARGO_PKG_VERSION"),
            "nonce" => nonce,
            "style" => STYLE,
            "script" => SCRIPT,
            _ => "",
        });
        rest = after;
    }
    page.push_str(rest);
    page
}

/// The content security policy of a page with this nonce.
pub(super) fn policy(host: &str, nonce: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".:-[]".contains(&b);
    // Browsers differ in whether 'self' means websockets too.
    let sockets = match !host.is_empty() && host.bytes().all(plain) {
        true => format!(" ws://{host} wss://{host}"),
        false => String::new(),
    };
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

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
    fn the_page_holds_nobody_elses_markup() {
        let config = Config {
            name: "<b>&{{script}}".into(),
            description: "</p><script>x</script>".into(),
            ..Config::default()
        };
        let page = html(&config, &Told::default(), ("x\"><script>", true), "abc");
        assert!(page.contains("<h1>&lt;b&gt;&amp;{{script}}</h1>"), "{page}");
        assert!(page.contains("wss://x&quot;&gt;&lt;script&gt;/"), "{page}");
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("nonce=\"abc\"").count(), 2);
        let holes = page.replace("{{script}}</", "");
        assert!(!holes.contains("{{"), "every hole is filled");
    }

    #[test]
    fn the_policy_lets_nothing_in_and_a_host_cannot_change_it() {
        let policy = |host| policy(host, "abc");
        assert!(policy("relay.test:80").contains("connect-src 'self' ws://relay.test:80 wss://"));
        assert!(policy("[::1]:7").contains("ws://[::1]:7"));
        for host in ["a; script-src *", "a b", "a,b", "", "é"] {
            assert!(policy(host).contains("connect-src 'self'; base-uri"), "{host}");
        }
        assert!(!policy("x").contains("unsafe") && !policy("x").contains('*'));
    }

    #[test]
    fn the_script_makes_no_markup_and_reaches_nobody_else() {
        for way in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "://www"]
        {
            assert!(!SCRIPT.contains(way), "{way}");
        }
        for text in [PAGE, STYLE, SCRIPT] {
            assert!(!text.contains("http://") && !text.contains("https://"));
        }
        // A page that contains its own end would be cut off there.
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    }
}
