//! What has to hold of what decides who is let in: the files that are read for it, and who a proxy says is there.

use super::lists::{Layer, Listed, Lists, Refusal};
use super::managed::{Managed, TEXT_BYTES_MAX, Told, VERSION};
use super::network::Network;
use super::proxy::{Proxies, parse};
use super::rule::{Rule, Subject, parse_lines};
use crate::base::Error;
use crate::store::texts;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

// --- what is kept of NIP-86 ---

/// Where the file would stand. Nothing is read there.
const FILE: &str = "/store/relay/policy.json";

/// Bytes of the shortest rule.
const RULE_BYTES_MIN: usize = "deny kind 1".len();

/// What is kept is what serde_json says, read by hand, and is the same once it is written and padded. It holds one
/// rule about a subject, and no more bytes than the file; a file that is refused is named. What stands around it is
/// taken with its checksum only.
pub(crate) fn policy_json(bytes: &[u8]) {
    sealed(bytes.trim_ascii_end());
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice(bytes) {
        // Without what stands twice: of that one parser takes nothing, and the other the last.
        let once = Managed::from_bytes(Path::new(FILE), value.to_string().as_bytes());
        match (once, kept(&value)) {
            (Ok(managed), Kept::Holds(told, rules)) => {
                let Told { name, description, icon } = managed.told.clone();
                assert_eq!([name, description, icon], told);
                assert_eq!(spelled(&managed), rules);
            }
            (Err(Error::WrongVersion { found, .. }), Kept::Version(version)) => {
                assert_eq!(u64::from(found), version);
            }
            (Err(Error::Corrupt { .. }), Kept::Nothing) => {}
            (found, twin) => panic!("{found:?}, {twin:?}: {value}"),
        }
    }
    match Managed::from_bytes(Path::new(FILE), bytes) {
        Ok(managed) => {
            let rules = managed.rules().map(|r| RULE_BYTES_MIN + r.reason.len()).sum::<usize>();
            let Told { name, description, icon } = &managed.told;
            let told = [name, description, icon].into_iter().flatten().map(String::len);
            assert!(rules + told.sum::<usize>() <= bytes.len());
            assert!(managed.rules().all(|reasoned| reasoned.reason.len() <= TEXT_BYTES_MAX));
            let subjects: HashSet<String> = managed.rules().map(|r| subject(&r.rule)).collect();
            assert_eq!(subjects.len(), managed.rules().count(), "a subject has one rule");
            let mut written = texts::with_checksum(&managed.to_bytes());
            written.resize(written.len().next_multiple_of(4096), b' ');
            let again = Managed::from_bytes(Path::new(FILE), &written);
            assert!(again.as_ref().is_ok_and(|again| *again == managed), "{again:?}");
        }
        Err(Error::Corrupt { path, offset, .. }) => {
            assert_eq!((path.as_path(), offset), (Path::new(FILE), 0));
        }
        Err(Error::WrongVersion { found, .. }) => assert_ne!(found, VERSION),
        Err(error) => panic!("{error}"),
    }
}

/// With its checksum a text is what it was, whatever blanks follow, and nothing with one bit of it flipped.
fn sealed(json: &[u8]) {
    if json.len() < 2 {
        return;
    }
    let checked = |bytes: &[u8]| texts::checked(Path::new(FILE), bytes).map(<[u8]>::to_vec);
    let mut text = texts::with_checksum(json);
    let padded = [&text[..], &vec![b' '; json.len() % 7]].concat();
    assert!(checked(&padded).is_ok_and(|taken| taken == text));
    let at = usize::from(json[0]) * json.len() % text.len();
    text[at] ^= 1 << (json[1] % 8);
    assert!(matches!(checked(&text), Err(Error::Corrupt { .. })), "byte {at}");
}

/// What a file holds, read by hand.
#[derive(Debug)]
enum Kept {
    /// What the relay is called, and each rule with its reason.
    Holds([Option<String>; 3], Vec<(String, String)>),
    Version(u64),
    Nothing,
}

fn kept(file: &Value) -> Kept {
    match file["version"].as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) if version <= u64::from(u32::MAX) => return Kept::Version(version),
        _ => return Kept::Nothing,
    }
    let told = ["name", "description", "icon"].map(|member| match &file[member] {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        _ => None,
    });
    let rules = match file.get("rules") {
        None => Some(Vec::new()),
        Some(rules) => rules.as_array().and_then(|rules| rules.iter().map(kept_rule).collect()),
    };
    let ([Some(name), Some(description), Some(icon)], Some(rules)) = (told, rules) else {
        return Kept::Nothing;
    };
    // Of the rules about a subject the last counts, in its place.
    let is_last = |at: usize, rule: &Rule| {
        rules[at + 1..].iter().all(|(later, _): &(Rule, String)| later.subject != rule.subject)
    };
    let lasting = (0..).zip(&rules).filter(|(at, (rule, _))| is_last(*at, rule));
    let lasting = lasting.map(|(_, (rule, reason))| (rule.to_string(), reason.clone()));
    Kept::Holds([name, description, icon], lasting.collect())
}

/// A rule and its reason: an object, or an array of the two, which serde takes as well.
fn kept_rule(value: &Value) -> Option<(Rule, String)> {
    let (rule, reason) = match value {
        Value::Object(members) => (members.get("rule"), members.get("reason")),
        Value::Array(two) if two.len() <= 2 => (two.first(), two.get(1)),
        _ => return None,
    };
    let reason = reason.map_or(Some(""), Value::as_str)?;
    let rule = rule?.as_str()?.parse().ok()?;
    (reason.len() <= TEXT_BYTES_MAX).then(|| (rule, reason.into()))
}

fn spelled(managed: &Managed) -> Vec<(String, String)> {
    managed.rules().map(|r| (r.rule.to_string(), r.reason.clone())).collect()
}

fn subject(rule: &Rule) -> String {
    Rule { allow: true, subject: rule.subject.clone() }.to_string()
}

// --- files of rules ---

/// Rules of a file that lists are asked about: one about all kinds is 65,536 of them.
const ASKED_MAX: usize = 6;

/// A file has the rules that its lines spell, read by hand, or is refused by its first line that is none. Rules are
/// the same once they are written, and lists decide as they read.
pub(crate) fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = (1..).zip(text.split('\n'));
    let lines: Vec<(usize, Option<Rule>)> =
        lines.filter_map(|(at, line)| by_hand(line).map(|rule| (at, rule))).collect();
    let rules = match (parse_lines(text), lines.iter().find(|(_, rule)| rule.is_none())) {
        (Ok(rules), None) => rules,
        (Err(why), Some((line, _))) => {
            assert!(why.starts_with(&format!("line {line}: ")), "{why}");
            return assert!(why.len() <= 200 + 10 * text.len());
        }
        (found, line) => panic!("{found:?}, but for {line:?}"),
    };
    let twins: Vec<&Rule> = lines.iter().filter_map(|(_, rule)| rule.as_ref()).collect();
    assert_eq!(rules.iter().collect::<Vec<_>>(), twins);
    let written: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
    assert_eq!(parse_lines(&written).as_ref(), Ok(&rules), "{written}");
    decided(&rules[..rules.len().min(ASKED_MAX)]);
}

/// What a line spells: nothing, no rule, or one.
fn by_hand(line: &str) -> Option<Option<Rule>> {
    let end = line.find('#').unwrap_or(line.len());
    let words: Vec<&str> = line[..end].split_whitespace().collect();
    let rule = |verb: &str, what: &str, value: &str| {
        let allow = ["deny", "allow"].iter().position(|known| *known == verb)? == 1;
        let subject = match what {
            "pubkey" => Subject::Pubkey(key(value)?),
            "event" => Subject::Event(key(value)?),
            "kind" => {
                let (first, last) = value.split_once('-').unwrap_or((value, value));
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Subject::Kinds(first..=last))?
            }
            "address" => Subject::Address(network(value)?),
            _ => return None,
        };
        Some(Rule { allow, subject })
    };
    match words[..] {
        [] => None,
        [verb, what, value] => Some(rule(verb, what, value)),
        _ => Some(None),
    }
}

fn key(hex: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).map(|two| two.iter().fold(0, |n, d| 16 * n + *d as u8)).collect();
    <[u8; 32]>::try_from(bytes).ok().filter(|_| hex.len() == 64)
}

fn number(text: &str) -> Option<u16> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
    let digits = digits.filter(|digits| !digits.is_empty())?;
    u16::try_from(digits.iter().fold(0, |n: u32, d| n.saturating_mul(10).saturating_add(*d))).ok()
}

/// A network, which contains exactly what shares the bits of its prefix.
fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse().ok()?, Some(number(prefix)?)),
        None => (text.parse().ok()?, None),
    };
    let (bits, most) = match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let free = most - prefix.map_or(Some(most), |prefix| (prefix <= most).then_some(prefix))?;
    let network: Network = text.parse().ok()?;
    assert!(network.contains(address), "{text}");
    for bit in 0..128 {
        let beside = IpAddr::V6(Ipv6Addr::from_bits(bits ^ 1 << bit));
        assert_eq!(network.contains(beside), bit < u32::from(free), "{text}: {beside}");
    }
    Some(network)
}

/// An event that is asked about: its id, its author and its kind.
type Asked = ([u8; 32], [u8; 32], u16);

/// Lists of these rules let in what the rules read like.
fn decided(rules: &[Rule]) {
    let lists = Lists { managed: Arc::default(), configured: Arc::new(Layer::new(rules)) };
    let other: Asked = ([0xfe; 32], [0xfe; 32], 1);
    let mut asked = vec![other];
    for rule in rules {
        match &rule.subject {
            Subject::Event(id) => asked.push((*id, other.1, other.2)),
            Subject::Pubkey(key) => asked.push((other.0, *key, other.2)),
            Subject::Kinds(kinds) => {
                let beside = [kinds.start().saturating_sub(1), kinds.end().saturating_add(1)];
                let asks = beside.into_iter().chain([*kinds.start(), *kinds.end()]);
                asked.extend(asks.map(|kind| (other.0, other.1, kind)));
            }
            Subject::Address(network) => {
                let address = IpAddr::V6(Ipv6Addr::from_bits(network.bits()));
                let of = |rule: &Rule| match &rule.subject {
                    Subject::Address(network) => Some(network.contains(address)),
                    _ => None,
                };
                let found = lists.address(address);
                assert_eq!(found.err().map(word), said(rules, of), "{address}");
            }
        }
    }
    for event in asked {
        let found = lists.event(&event.0, &event.1, event.2);
        assert_eq!(found.map_err(word), wanted(rules, &event), "{event:?}, {rules:?}");
    }
}

fn wanted(rules: &[Rule], (id, author, kind): &Asked) -> Result<Listed, &'static str> {
    let by_id = said(rules, |rule| match &rule.subject {
        Subject::Event(other) => Some(other == id),
        _ => None,
    });
    if by_id == Some("blocked") {
        return Err("blocked");
    }
    let allowed = Rule { allow: true, subject: Subject::Event(*id) };
    if rules.contains(&allowed) {
        return Ok(Listed::Exempt);
    }
    let by_author = said(rules, |rule| match &rule.subject {
        Subject::Pubkey(other) => Some(other == author),
        _ => None,
    });
    let by_kind = said(rules, |rule| match &rule.subject {
        Subject::Kinds(kinds) => Some(kinds.contains(kind)),
        _ => None,
    });
    by_author.or(by_kind).map_or(Ok(Listed::Passes), Err)
}

/// What speaks against a subject, if `of` says of which rules of its sort it is one.
fn said(rules: &[Rule], of: impl Fn(&Rule) -> Option<bool>) -> Option<&'static str> {
    let named = |allow| rules.iter().any(|rule| rule.allow == allow && of(rule) == Some(true));
    let others = || rules.iter().any(|rule| rule.allow && of(rule).is_some());
    match (named(false), named(true)) {
        (true, _) => Some("blocked"),
        (false, true) => None,
        (false, false) => others().then_some("restricted"),
    }
}

fn word(Refusal(text): Refusal) -> &'static str {
    text.split(':').next().unwrap_or_default()
}

// --- who a proxy says is there ---

/// Networks of the proxies that are believed.
const TRUSTED: [&str; 4] = ["127.0.0.0/8", "::1", "10.0.0.0/8", "2001:db8::/32"];

/// Who a connection comes from: proxies, and others.
const PEERS: [&str; 8] = [
    "127.0.0.1",
    "::1",
    "10.0.0.7",
    "::ffff:10.1.2.3",
    "198.51.100.1",
    "2001:db9::1",
    "::ffff:192.0.2.1",
    "::",
];

/// What lies, in front of what a proxy wrote.
const LIES: &str = "6.6.6.6, 127.0.0.1";

/// A peer that is not trusted is the client, whatever it says. Of a proxy's addresses, the client is the first from
/// the right that is no proxy, or the last before something that is no address. What stands in front of that changes
/// nothing, nor how all of it is divided into lines.
pub(crate) fn forwarded(bytes: &[u8]) {
    let Some((head, text)) = bytes.split_first() else { return };
    let peer: IpAddr = PEERS[usize::from(head % 8)].parse().expect("an address");
    let header = (head & 8 == 0).then(|| "x-forwarded-for".to_string());
    let trusted: Vec<Network> = TRUSTED.iter().filter_map(|network| network.parse().ok()).collect();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let proxies = Proxies { header, trusted: trusted.clone() };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|l| is_value(l)).collect();
    let client = |lines: &[&[u8]]| proxies.client(peer, &headers(lines));
    let found = client(&lines);
    assert_eq!(proxies.believe(peer), proxies.header.is_some() && is_trusted(peer));
    if !proxies.believe(peer) {
        return assert_eq!(found, peer, "it is not believed");
    }

    let whole = lines.join(&b',');
    let items: Vec<Option<IpAddr>> = match lines[..] {
        [] => Vec::new(),
        _ => whole.split(|byte| *byte == b',').map(address).collect(),
    };
    let proxy = |item: &&Option<IpAddr>| item.is_some_and(is_trusted);
    let brought = items.iter().rev().take_while(proxy).count();
    let others = &items[..items.len() - brought];
    let nearest = items.get(others.len()).copied().flatten().unwrap_or(peer);
    assert_eq!(found, others.last().copied().flatten().unwrap_or(nearest), "{lines:?}");
    if !lines.is_empty() {
        assert_eq!(client(&[&whole]), found, "in one line");
    }
    if !others.is_empty() {
        let lying = [&[LIES.as_bytes()][..], &lines].concat();
        assert_eq!(client(&lying), found, "what stands in front of {lines:?}");
    }
    if found != peer {
        let port = SocketAddr::new(found, 443).to_string();
        for written in [found.to_string(), format!("[{found}]"), port] {
            assert_eq!(parse(written.as_bytes()), Some(found), "{written}");
        }
    }
}

fn is_value(line: &[u8]) -> bool {
    HeaderValue::from_bytes(line).is_ok()
}

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (HeaderName::from_static("x-forwarded-for"), value)).collect()
}

/// What an item is, if it is an address, in brackets or with a port.
fn address(item: &[u8]) -> Option<IpAddr> {
    let text: String = item.iter().copied().map(char::from).collect();
    let text = text.trim_matches([' ', '\t']);
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let bare = inner.unwrap_or(text).parse::<IpAddr>().ok();
    let address = bare.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(Ipv6Addr::from_bits(match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }))
    .map(|v6| v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}
