//! Every option is set in every way, and what it decides is looked at.

use super::super::kind::{Built, Kind, items};
use super::super::units;
use super::*;

/// A value for an option, and what then is to be seen.
struct Effect {
    name: &'static str,
    text: &'static str,
    seen: &'static str,
    look: fn(&Built) -> String,
}

/// One line for each option. `look` is given what the options decide.
macro_rules! effects {
    ($($name:literal = $text:literal => $seen:literal, |$b:ident| $look:expr;)+) => {
        [$(Effect {
            name: $name,
            text: $text,
            seen: $seen,
            look: |$b: &Built| format!("{:?}", $look),
        }),+]
    };
}

#[rustfmt::skip]
fn effects() -> Vec<Effect> {
    effects! {
        "store.data" = "/srv/events" => "\"/srv/events\"", |b| b.data;
        "store.sync" = "never" => "Never", |b| b.store.sync;
        "store.sync-interval" = "250 ms" => "Batch { interval: 250ms, bytes: 8388608 }", |b| b.store.sync;
        "store.sync-bytes" = "1 MiB" => "Batch { interval: 100ms, bytes: 1048576 }", |b| b.store.sync;
        "store.shards" = "16" => "Some(16)", |b| b.store.shards;
        "store.page-size" = "16 KiB" => "Some(16384)", |b| b.store.page.map(|page| page.bytes());
        "store.search" = "1,30023" => "Some(SearchKinds(1,30023))", |b| b.search;
        "store.memory" = "3 GiB" => "3221225472", |b| b.store.memory_bytes;
        "store.memtable" = "5 MiB" => "5242880", |b| b.store.memtable_bytes.unwrap_or(0);
        "store.ring" = "16 MiB" => "16777216", |b| b.store.ring_bytes;
        "store.in-flight" = "77" => "77", |b| b.store.in_flight;
        "store.readers" = "33" => "33", |b| b.store.readers;
        "store.log-file" = "8 MiB" => "8388608", |b| b.store.log_file_bytes;
        "store.disk-reserve" = "1 GiB" => "Some(1073741824)", |b| b.store.disk_reserve_bytes;
        "store.io" = "posix" => "Posix", |b| b.io;
        "compaction.max-records" = "5000" => "5000", |b| b.store.compaction.records_max;
        "compaction.fan-in" = "7" => "7", |b| b.store.compaction.fan_in;
        "compaction.garbage" = "35" => "35", |b| b.store.compaction.garbage_percent;
        "compaction.bandwidth" = "10 MiB" => "10485760", |b| b.store.compaction_bytes_per_second;
        "compaction.compress" = "never" => "Never", |b| b.store.compaction.compress;
        "retention.rules" = "kinds=1,7 age=30d; kinds=0,3 protect" => "[\"kinds=1,7 age=30d\", \"kinds=0,3 protect\"]", |b| b.retention.rules.iter().map(|rule| rule.to_string()).collect::<Vec<_>>();
        "retention.interval" = "5 min" => "300s", |b| b.retention.interval;
        "retention.rate" = "70" => "Some(70)", |b| b.retention.limits.records_per_second;
        "relay.listen" = "[::1]:80" => "[::1]:80", |b| b.relay.listen;
        "relay.threads" = "9" => "9", |b| b.relay.threads;
        "relay.name" = "a \"name\"" => "\"a \\\"name\\\"\"", |b| b.relay.name;
        "relay.description" = "what it is" => "\"what it is\"", |b| b.relay.description;
        "relay.contact" = "mailto:a@b" => "Some(\"mailto:a@b\")", |b| b.relay.contact;
        "relay.pubkey" = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" => "Some(10)", |b| b.relay.pubkey.map(|key| key[31]);
        "relay.auth" = "required" => "Required", |b| b.relay.auth;
        "relay.private-kinds" = "4,1059" => "[4, 1059]", |b| b.relay.private_kinds;
        "relay.compression" = "off" => "false", |b| b.relay.compression;
        "relay.metrics-listen" = "127.0.0.1:9100" => "At(127.0.0.1:9100)", |b| b.relay.metrics;
        "relay.relay-url" = "wss://a.example; ws://b.example/x" => "[\"wss://a.example\", \"ws://b.example/x\"]", |b| b.relay_urls;
        "relay.max-event" = "1 MiB" => "(1048576, 983040, 2097152, 8388608)", |b| (b.relay.limits.event.json_bytes, b.relay.limits.event.content_bytes, b.relay.limits.message_bytes, b.relay.limits.outbound_bytes);
        "relay.max-event-tags" = "5" => "5", |b| b.relay.limits.event.tags;
        "relay.max-tag-items" = "6" => "6", |b| b.relay.limits.event.items;
        "relay.max-tag-item" = "1 KiB" => "1024", |b| b.relay.limits.event.item_bytes;
        "relay.reject-newer" = "1 h" => "3600", |b| b.relay.limits.future_seconds;
        "relay.reject-older" = "7 d" => "Some(604800)", |b| b.relay.limits.past_seconds;
        "relay.max-message" = "2 MiB" => "(2097152, 8388608)", |b| (b.relay.limits.message_bytes, b.relay.limits.outbound_bytes);
        "relay.max-queue" = "1 MiB" => "1048576", |b| b.relay.limits.outbound_bytes;
        "relay.max-queue-total" = "1 GiB" => "1073741824", |b| b.relay.limits.outbound_total_bytes;
        "relay.max-limit" = "20" => "(20, 20)", |b| (b.relay.limits.limit_max, b.relay.limits.limit_default);
        "relay.default-limit" = "30" => "30", |b| b.relay.limits.limit_default;
        "relay.max-subscriptions" = "11" => "11", |b| b.relay.limits.subscriptions;
        "relay.max-filters" = "12" => "12", |b| b.relay.limits.filters;
        "relay.max-filter-values" = "13" => "13", |b| b.relay.limits.filter_values;
        "relay.max-connection-values" = "14" => "14", |b| b.relay.limits.connection_values;
        "relay.max-total-values" = "140" => "140", |b| b.relay.limits.total_values;
        "relay.max-writes" = "15" => "15", |b| b.relay.limits.writes;
        "relay.max-count-hll" = "24" => "24", |b| b.relay.limits.hll_events;
        "relay.max-negentropy-sessions" = "25" => "25", |b| b.relay.limits.negentropy_sessions;
        "relay.max-negentropy-events" = "5000000" => "(5000000, 5000000)", |b| (b.relay.limits.negentropy_items, b.relay.limits.negentropy_items_total);
        "relay.max-negentropy-total" = "6000000" => "6000000", |b| b.relay.limits.negentropy_items_total;
        "relay.negentropy-idle" = "26 s" => "26s", |b| b.relay.limits.negentropy_idle;
        "relay.max-connections" = "16" => "16", |b| b.relay.limits.connections;
        "relay.max-connections-per-address" = "17" => "17", |b| b.relay.limits.connections_per_address;
        "relay.ping" = "18 s" => "18s", |b| b.relay.limits.ping;
        "relay.pong" = "19 s" => "19s", |b| b.relay.limits.pong;
        "relay.head-timeout" = "21 s" => "21s", |b| b.relay.limits.head;
        "relay.http-timeout" = "22 s" => "22s", |b| b.relay.limits.http;
        "relay.close-timeout" = "23 s" => "23s", |b| b.relay.limits.closing;
        "policy.rules" = "deny kind 4; allow address 10.0.0.0/8" => "[\"deny kind 4\", \"allow address 10.0.0.0/8\"]", |b| b.relay.policy.rules.iter().map(|rule| rule.to_string()).collect::<Vec<_>>();
        "policy.files" = "/etc/a.rules; b.rules" => "[\"/etc/a.rules\", \"b.rules\"]", |b| b.relay.policy.files;
        "policy.pow" = "20" => "20", |b| b.relay.policy.pow_bits;
        "policy.plugin" = "/opt/plugin.py --x" => "\"/opt/plugin.py --x\"", |b| b.relay.policy.plugin.command;
        "policy.plugin-timeout" = "7 s" => "7s", |b| b.relay.policy.plugin.timeout;
        "policy.plugin-failure" = "accept" => "true", |b| b.relay.policy.plugin.accepts_on_failure;
        "policy.admins" = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" => "[10]", |b| b.relay.policy.admins.iter().map(|key| key[31]).collect::<Vec<_>>();
        "policy.real-ip-header" = "x-real-ip" => "Some(\"x-real-ip\")", |b| b.relay.policy.proxies.header;
        "policy.trusted-proxies" = "10.0.0.0/8" => "[\"10.0.0.0/8\"]", |b| b.relay.policy.proxies.trusted.iter().map(|net| net.to_string()).collect::<Vec<_>>();
        "policy.events" = "10/s burst 20" => "Some((10, 20))", |b| b.relay.limits.rates.connection.events.map(|rate| (rate.count, rate.burst));
        "policy.bytes" = "1 KiB/s" => "Some((1024, 1024))", |b| b.relay.limits.rates.connection.bytes.map(|rate| (rate.count, rate.burst));
        "policy.requests" = "60/min" => "Some((60, 60))", |b| b.relay.limits.rates.connection.requests.map(|rate| (rate.count, rate.burst));
        "policy.address-events" = "10/s burst 20" => "Some((10, 20))", |b| b.relay.limits.rates.address.events.map(|rate| (rate.count, rate.burst));
        "policy.address-bytes" = "1 KiB/s" => "Some((1024, 1024))", |b| b.relay.limits.rates.address.bytes.map(|rate| (rate.count, rate.burst));
        "policy.address-requests" = "60/min" => "Some((60, 60))", |b| b.relay.limits.rates.address.requests.map(|rate| (rate.count, rate.burst));
        "policy.total-events" = "10/s burst 20" => "Some((10, 20))", |b| b.relay.limits.rates.total.events.map(|rate| (rate.count, rate.burst));
        "policy.total-bytes" = "1 KiB/s" => "Some((1024, 1024))", |b| b.relay.limits.rates.total.bytes.map(|rate| (rate.count, rate.burst));
        "policy.total-requests" = "60/min" => "Some((60, 60))", |b| b.relay.limits.rates.total.requests.map(|rate| (rate.count, rate.burst));
        "policy.addresses" = "100" => "100", |b| b.relay.limits.rates.addresses;
        "policy.loopback" = "limited" => "true", |b| b.relay.limits.rates.loopback;
        "about.icon" = "https://a.example/i.png" => "Some(\"https://a.example/i.png\")", |b| b.relay.about.icon;
        "about.banner" = "https://a.example/b.png" => "Some(\"https://a.example/b.png\")", |b| b.relay.about.banner;
        "about.posting-policy" = "https://a.example/p" => "Some(\"https://a.example/p\")", |b| b.relay.about.posting_policy;
        "about.privacy-policy" = "https://a.example/y" => "Some(\"https://a.example/y\")", |b| b.relay.about.privacy_policy;
        "about.terms-of-service" = "https://a.example/t" => "Some(\"https://a.example/t\")", |b| b.relay.about.terms_of_service;
        "about.countries" = "IS; AT" => "[\"IS\", \"AT\"]", |b| b.relay.about.countries;
        "about.languages" = "en; de-AT" => "[\"en\", \"de-AT\"]", |b| b.relay.about.languages;
        "about.tags" = "birds; sfw-only" => "[\"birds\", \"sfw-only\"]", |b| b.relay.about.tags;
        "log.level" = "ratite::shard=trace" => "Some(\"ratite::shard=trace\")", |b| b.log;
        "log.format" = "json" => "Json", |b| b.log_format;
        "logs.data" = "/srv/own" => "Some(\"/srv/own\")", |b| b.own_log.data;
        "logs.retain-age" = "7 d" => "Some(604800s)", |b| b.own_log.retain.age;
        "logs.retain-bytes" = "1 GiB" => "Some(1073741824)", |b| b.own_log.retain.bytes;
    }.into()
}

fn in_file(setting: &Setting, text: &str) -> String {
    let quoted = match setting.kind {
        Kind::Count { .. } => text.into(),
        Kind::List { .. } => format!("{:?}", items(text).collect::<Vec<_>>()),
        _ => format!("{text:?}"),
    };
    format!("[{}]\n{} = {quoted}\n", setting.section.name(), setting.key)
}

#[test]
fn every_option_has_its_effect_by_file_environment_and_flag() {
    let effects = effects();
    let names: Vec<&str> = effects.iter().map(|effect| effect.name).collect();
    let table: Vec<String> = all().map(Setting::name).collect();
    assert_eq!(names, table, "a line in `effects` for each option, in the order of the table");
    for Effect { name, text, seen, look } in effects {
        let setting = named(name);
        // What it needs is given along.
        let section = setting.section.name();
        let needs = setting.needs.map(|(key, value)| (named(&format!("{section}.{key}")), value));
        let beside = needs.map_or_else(String::new, |(needed, value)| in_file(needed, value));
        let before = configured(&beside, &[], &[]).unwrap();
        assert_ne!(look(&before.built), seen, "{name}: the test would not see a change");

        let own = in_file(setting, text);
        let own = own.split_once('\n').filter(|_| needs.is_some()).map_or(&*own, |(_, own)| own);
        let variable = setting.variable();
        let ways = [
            configured(&format!("{beside}{own}"), &[], &[]),
            configured(&beside, &[(&variable, text)], &[]),
            configured(&beside, &[], &[(setting.flag, text)]),
        ];
        for settings in ways {
            let settings = settings.unwrap();
            let effective = settings.named(name).unwrap();
            assert_eq!(look(&settings.built), seen, "{name} by {}", effective.origin);
            assert_eq!((effective.text.as_str(), effective.is_idle), (text, false), "{name}");
        }
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_library() {
    let built = configured("", &[], &[]).unwrap().built;
    let library = Built { data: PathBuf::from("./data"), ..Built::default() };
    assert_eq!(format!("{built:?}"), format!("{library:?}"));
    for setting in all() {
        let why = |why| panic!("{}: {why}", setting.name());
        let printed = setting.check(setting.default).unwrap_or_else(why);
        assert_eq!(printed, setting.default, "{} is printed in another way", setting.name());
    }
}

#[test]
fn the_ends_of_every_range_are_in_it_and_what_is_beyond_is_not() {
    for setting in all() {
        let (least, most): (String, String) = match &setting.kind {
            Kind::Size { least, most, .. } => (units::size(*least), units::size(*most)),
            Kind::Time { least, most, .. } => (units::time(*least), units::time(*most)),
            Kind::Count { least, most, .. } => (least.to_string(), most.to_string()),
            Kind::Word { .. } | Kind::Dir { .. } | Kind::Text { .. } | Kind::List { .. } => {
                continue;
            }
        };
        let name = setting.name();
        assert_eq!(setting.check(&least), Ok(least.clone()), "{name}");
        assert_eq!(setting.check(&most), Ok(most.clone()), "{name}");
        let twice = |text: &str| {
            let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
            format!("{} {unit}", number.parse::<u64>().unwrap() * 2).trim().to_string()
        };
        assert!(setting.check(&twice(&most)).is_err(), "{name} = {}", twice(&most));
        let under = match &setting.kind {
            Kind::Size { least, .. } => units::size(least - 1),
            Kind::Count { least: 1, .. } => "0".into(),
            Kind::Time { least, step, .. } if !least.is_zero() => units::time(*least - *step),
            _ => continue,
        };
        assert!(setting.check(&under).is_err(), "{name} = {under}");
    }
}
