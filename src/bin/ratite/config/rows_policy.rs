//! The options of the relay's policy: who may publish what, how fast, and who decides.

use super::kind::{Built, Kind, Word};
use super::table::{DAY, MS, Section, Setting, count, list, text, time, word, words};
use super::units::{parse_size, size};
use ratite::relay::{POW_BITS_MAX, Rate, Speeds};
use std::time::Duration;

const fn policy(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    default: &'static str,
    effect: &'static str,
) -> Setting {
    Setting::new(Section::Policy, key, kind, default, effect).flag(flag)
}

const RULES: Kind = list(
    "RULE",
    "rules",
    "allow or deny; pubkey, kind, address or event; which: deny kind 4, allow address 10.0.0.0/8",
    |b| b.relay.policy.rules.clear(),
    |b, text| {
        let rule: ratite::relay::Rule = text.parse()?;
        let printed = rule.to_string();
        b.relay.policy.rules.push(rule);
        Ok(printed)
    },
);

const FILES: Kind = list(
    "FILE",
    "paths",
    "files with a rule a line; # begins a remark",
    |b| b.relay.policy.files.clear(),
    |b, text| {
        b.relay.policy.files.push(text.into());
        Ok(text.into())
    },
);

const ADMINS: Kind = list(
    "HEX",
    "pubkeys",
    "public keys, each 64 hex characters",
    |b| b.relay.policy.admins.clear(),
    |b, text| {
        let mut key = [0; 32];
        match text.len() == 64 && const_hex::decode_to_slice(text, &mut key).is_ok() {
            true => b.relay.policy.admins.push(key),
            false => return Err("it is not 64 hex characters".into()),
        }
        Ok(text.to_ascii_lowercase())
    },
);

const TRUSTED: Kind = list(
    "NET",
    "networks",
    "addresses and networks",
    |b| b.relay.policy.proxies.trusted.clear(),
    |b, text| {
        let network: ratite::relay::Network = text.parse()?;
        b.relay.policy.proxies.trusted.push(network);
        Ok(network.to_string())
    },
);

const FAILURES: &[Word] = &[
    word("refuse", "It is refused, and may be sent again", |b| {
        b.relay.policy.plugin.accepts_on_failure = false;
    }),
    word("accept", "It is stored", |b| b.relay.policy.plugin.accepts_on_failure = true),
];

const LOOPBACKS: &[Word] = &[
    word("exempt", "They are not limited", |b| b.relay.limits.rates.loopback = false),
    word("limited", "They are limited as all others", |b| b.relay.limits.rates.loopback = true),
];

fn header(built: &mut Built, text: &str) -> Result<String, String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match !text.is_empty() && text.bytes().all(is_token) {
        true => built.relay.policy.proxies.header = Some(text.to_ascii_lowercase()),
        false => return Err("it is not the name of a header".into()),
    }
    Ok(text.to_ascii_lowercase())
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];

/// A rate in words, and as it is printed: `10/s`, `60/min burst 100`. The burst is the count if not said.
fn rate(text: &str, bytes: bool) -> Result<(Rate, String), String> {
    let number = |text: &str| match bytes {
        true => parse_size(text.trim()),
        false => {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| "it is not a whole number".into())
        }
    };
    let printed = |count: u64| if bytes { size(count) } else { count.to_string() };
    let (amount, rest) = text.split_once('/').ok_or("it is not so many in a time, like 10/s")?;
    let (unit, burst) = rest.split_once(" burst ").map_or((rest, None), |(u, b)| (u, Some(b)));
    let known = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (unit, seconds) = known.ok_or("its time is none of s, min, h, d")?;
    let amount = number(amount.trim())?;
    let burst = burst.map(|burst| number(burst.trim())).transpose()?.unwrap_or(amount);
    if amount == 0 || burst == 0 {
        return Err("it is 0; none is no limit".into());
    }
    let rate = Rate::new(amount, Duration::from_secs(*seconds), burst);
    let more = if burst == amount { String::new() } else { format!(" burst {}", printed(burst)) };
    Ok((rate, format!("{}/{unit}{more}", printed(amount))))
}

const COUNTED: &str = "so many in s, min, h or d, and how many at once: 10/s, 60/min burst 100";
const SIZED: &str = "a size in s, min, h or d, and how much at once: 64 KiB/s burst 1 MiB";

/// A rate of something that is counted or, by its size, measured.
macro_rules! rated {
    ($whose:ident $what:ident $bytes:literal) => {
        text("RATE", if $bytes { SIZED } else { COUNTED }, |b, text| {
            let (rate, printed) = rate(text, $bytes)?;
            let speeds: &mut Speeds = &mut b.relay.limits.rates.$whose;
            speeds.$what = Some(rate);
            Ok(printed)
        })
    };
}

/// `[policy]`.
pub static POLICY: &[Setting] = &[
    policy("rules", "policy-rules", RULES, "", "Allow and deny lists").common(),
    policy(
        "files",
        "policy-files",
        FILES,
        "",
        "Files with more of them; read again when they change",
    ),
    policy(
        "pow",
        "policy-pow",
        count("bits", 0, POW_BITS_MAX as u64, |b, n| {
            b.relay.policy.pow_bits = u8::try_from(n).unwrap_or(POW_BITS_MAX);
        }),
        "0",
        "Zero bits that the id of an event must begin with (NIP-13)",
    ),
    policy(
        "plugin",
        "policy-plugin",
        text("COMMAND", "a path, or a command for a shell", |b, text| {
            b.relay.policy.plugin.command = text.into();
            Ok(text.into())
        }),
        "",
        "A program that is asked about each event, as strfry's plugins are; empty: none",
    )
    .word()
    .common(),
    policy(
        "plugin-timeout",
        "policy-plugin-timeout",
        time(MS, DAY, MS, |b, t| b.relay.policy.plugin.timeout = t),
        "5 s",
        "Time in which the plugin must have answered",
    ),
    policy(
        "plugin-failure",
        "policy-plugin-failure",
        words(FAILURES),
        "refuse",
        "What becomes of an event about which it gives no answer",
    ),
    policy("admins", "policy-admins", ADMINS, "", "Who may manage the relay over NIP-86").common(),
    policy(
        "real-ip-header",
        "policy-real-ip-header",
        text("NAME", "the name of a header", header),
        "",
        "Header in which a trusted proxy says where a client comes from; empty: none",
    )
    .word(),
    policy(
        "trusted-proxies",
        "policy-trusted-proxies",
        TRUSTED,
        "127.0.0.0/8; ::1",
        "Proxies whose header is believed",
    ),
    policy(
        "events",
        "policy-events",
        rated!(connection events false),
        "none",
        "Events of a connection",
    )
    .word(),
    policy(
        "bytes",
        "policy-bytes",
        rated!(connection bytes true),
        "none",
        "Bytes of EVENT, REQ, COUNT and NEG- of a connection",
    )
    .word(),
    policy(
        "requests",
        "policy-requests",
        rated!(connection requests false),
        "none",
        "REQ, COUNT and NEG-OPEN of a connection",
    )
    .word(),
    policy(
        "address-events",
        "policy-address-events",
        rated!(address events false),
        "none",
        "Events of an IPv4 address or IPv6 /64",
    )
    .word(),
    policy(
        "address-bytes",
        "policy-address-bytes",
        rated!(address bytes true),
        "none",
        "Bytes of an address",
    )
    .word(),
    policy(
        "address-requests",
        "policy-address-requests",
        rated!(address requests false),
        "none",
        "REQ, COUNT and NEG-OPEN of an address",
    )
    .word(),
    policy(
        "total-events",
        "policy-total-events",
        rated!(total events false),
        "none",
        "Events of all clients",
    )
    .word(),
    policy(
        "total-bytes",
        "policy-total-bytes",
        rated!(total bytes true),
        "none",
        "Bytes of all clients",
    )
    .word(),
    policy(
        "total-requests",
        "policy-total-requests",
        rated!(total requests false),
        "none",
        "REQ, COUNT and NEG-OPEN of all clients",
    )
    .word(),
    policy(
        "addresses",
        "policy-addresses",
        count("addresses", 8, 100_000_000, |b, n| b.relay.limits.rates.addresses = n as usize),
        "65536",
        "Addresses whose rates are remembered; each takes 64 bytes",
    ),
    policy(
        "loopback",
        "policy-loopback",
        words(LOOPBACKS),
        "exempt",
        "Whether rates are those of clients on this machine, too",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::table::SECOND;
    use super::*;

    #[test]
    fn rates_are_read_and_printed_in_one_spelling() {
        for (text, bytes, printed) in [
            ("10/s", false, "10/s"),
            ("60/min burst 60", false, "60/min"),
            ("60 / min burst 100", false, "60/min burst 100"),
            ("64 KiB/s burst 1 MiB", true, "64 KiB/s burst 1 MiB"),
            ("1024/h", true, "1 KiB/h"),
        ] {
            let (first, printed_first) = rate(text, bytes).unwrap();
            assert_eq!(printed_first, printed);
            assert_eq!(rate(printed, bytes).unwrap().0, first);
        }
        for bad in [
            "",
            "10",
            "10/",
            "10/week",
            "/s",
            "0/s",
            "+1/s",
            "10/s burst 0",
            "10/s burst",
            "1 KiB/s",
        ] {
            assert!(rate(bad, false).is_err(), "{bad}");
        }
        let (rate, _) = rate("60/min burst 100", false).unwrap();
        assert_eq!((rate.count, rate.per, rate.burst), (60, SECOND * 60, 100));
    }
}
