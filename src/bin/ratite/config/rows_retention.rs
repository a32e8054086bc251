//! The options of retention: which rules, how often and how fast.

use super::kind::{Built, Kind};
use super::table::{DAY, SECOND, Section, Setting, count, list, time};
use ratite::base::Error;
use ratite::nostr::retention::RuleConfig;

const fn retention(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::Retention, key, kind, default, effect)
}

fn rule(built: &mut Built, words: &str) -> Result<String, String> {
    let rule = RuleConfig::parse(words).map_err(|error| match error {
        Error::Invalid { why, .. } => why,
        error => error.to_string(),
    })?;
    let printed = rule.to_string();
    built.retention.rules.push(rule);
    Ok(printed)
}

/// `[retention]`.
pub static RETENTION: &[Setting] = &[
    retention(
        "rules",
        list(
            "WORDS",
            "rules",
            "kinds=, authors=, age=, count=, bytes=, each=author, protect; several rules: an array in a \
             file, the flag repeated, with ; between them in the environment",
            |b| b.retention.rules.clear(),
            rule,
        ),
        "",
        "What goes, besides what has expired: while a relay serves, and by `ratite retain`",
    )
    .flag("retain")
    .common(),
    retention(
        "interval",
        time(SECOND, DAY, SECOND, |b, interval| b.retention.interval = interval),
        "1 min",
        "Time between two runs of a relay; sooner where a rule on bytes is exceeded",
    )
    .flag("retention-interval"),
    retention(
        "rate",
        count("records", 1, 1_000_000, |b, n| {
            b.retention.limits.records_per_second = Some(n);
        }),
        "5000",
        "Records that a relay removes in a second; twice what is stored meanwhile if that is more",
    )
    .flag("retention-rate"),
];
