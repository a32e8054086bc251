//! The options of what a relay says of itself in NIP-11, beside its name and description.

use super::kind::{Built, Kind};
use super::table::{Section, Setting, list, text};

const fn about(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::About, key, kind, default, effect).flag(flag)
}

/// A URL of a page or a picture, or nothing.
fn url(text: &str) -> Result<Option<String>, String> {
    match text.starts_with("https://") || text.starts_with("http://") {
        true => Ok(Some(text.into())),
        false => Err("it is not a URL like https://relay.example/icon.png".into()),
    }
}

macro_rules! url_row {
    ($key:literal, $flag:literal, $field:ident, $effect:literal) => {
        about(
            $key,
            $flag,
            text("URL", "a URL that begins with https:// or http://", |b: &mut Built, t| {
                b.relay.about.$field = url(t)?;
                Ok(t.into())
            }),
            "",
            $effect,
        )
        .word()
    };
}

macro_rules! list_row {
    ($key:literal, $flag:literal, $name:literal, $range:literal, $field:ident, $effect:literal) => {
        about(
            $key,
            $flag,
            list(
                $name,
                "texts",
                $range,
                |b| b.relay.about.$field.clear(),
                |b, t| {
                    b.relay.about.$field.push(t.into());
                    Ok(t.into())
                },
            ),
            "",
            $effect,
        )
    };
}

/// `[about]`.
pub static ABOUT: &[Setting] = &[
    url_row!("icon", "about-icon", icon, "Small square picture of the relay; empty: none"),
    url_row!("banner", "about-banner", banner, "Wide picture of the relay; empty: none"),
    url_row!(
        "posting-policy",
        "about-posting-policy",
        posting_policy,
        "Page that says what may be posted; empty: none"
    ),
    url_row!(
        "privacy-policy",
        "about-privacy-policy",
        privacy_policy,
        "Page that says what is done with data about people; empty: none"
    ),
    url_row!(
        "terms-of-service",
        "about-terms-of-service",
        terms_of_service,
        "Page with the terms of service; empty: none"
    ),
    list_row!(
        "countries",
        "about-countries",
        "CODE",
        "ISO 3166 codes like IS",
        countries,
        "Countries whose laws count for the relay"
    ),
    list_row!(
        "languages",
        "about-languages",
        "TAG",
        "IETF tags like en or de-AT",
        languages,
        "Languages that are spoken on the relay"
    ),
    list_row!(
        "tags",
        "about-tags",
        "TAG",
        "any texts",
        tags,
        "What the relay is about or leaves out, like sfw-only"
    ),
];
