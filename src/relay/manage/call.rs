//! The methods of NIP-86: what each asks for, and what it answers.
//!
//! ```text
//!   {"method":"banpubkey","params":["<hex>","<reason>"]} -> Call::Set(deny pubkey <hex>, reason) -> true
//!   {"method":"listbannedpubkeys","params":[]}           -> Call::List(deny, pubkey) -> [{"pubkey":..,"reason":..}]
//! ```
//!
//! Lists hold what was decided here, not what the configuration and its files say.

use crate::relay::policy::{Managed, Network, Rule, Subject, TEXT_BYTES_MAX, Told, hex, rule};
use serde::Deserialize;
use serde_json::{Value, json};

/// What rules are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Pubkey,
    Event,
    Kind,
    Address,
}

/// What the relay is told to say of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Name,
    Description,
    Icon,
}

/// What a method does; the flag is whether it is about what is allowed.
#[derive(Clone, Copy)]
enum Verb {
    Set(bool, Sort),
    Unset(bool, Sort),
    List(bool, Sort),
    Tell(Field),
    /// Events that await a decision: none ever does.
    Awaiting,
    Methods,
}

use Field::{Description, Icon, Name};
use Sort::{Address, Event, Kind, Pubkey};
use Verb::{Awaiting, List, Methods, Set, Tell, Unset};

const METHODS: [(&str, Verb); 26] = [
    ("supportedmethods", Methods),
    ("banpubkey", Set(false, Pubkey)),
    ("unbanpubkey", Unset(false, Pubkey)),
    ("listbannedpubkeys", List(false, Pubkey)),
    ("allowpubkey", Set(true, Pubkey)),
    ("unallowpubkey", Unset(true, Pubkey)),
    ("listallowedpubkeys", List(true, Pubkey)),
    ("listeventsneedingmoderation", Awaiting),
    ("allowevent", Set(true, Event)),
    ("unallowevent", Unset(true, Event)),
    ("listallowedevents", List(true, Event)),
    ("banevent", Set(false, Event)),
    ("unbanevent", Unset(false, Event)),
    ("listbannedevents", List(false, Event)),
    ("changerelayname", Tell(Name)),
    ("changerelaydescription", Tell(Description)),
    ("changerelayicon", Tell(Icon)),
    ("allowkind", Set(true, Kind)),
    ("unallowkind", Unset(true, Kind)),
    ("disallowkind", Set(false, Kind)),
    ("undisallowkind", Unset(false, Kind)),
    ("listallowedkinds", List(true, Kind)),
    ("listdisallowedkinds", List(false, Kind)),
    ("blockip", Set(false, Address)),
    ("unblockip", Unset(false, Address)),
    ("listblockedips", List(false, Address)),
];

/// A call, checked.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Call {
    /// Make this rule, for this reason.
    Set(Rule, String),
    /// Take this rule back.
    Unset(Rule),
    /// Which rules are there?
    List(bool, Sort),
    /// Say this of the relay; nothing: what its configuration says.
    Tell(Field, Option<String>),
    /// Which events await a decision?
    Awaiting,
    /// Which methods are there?
    Methods,
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

impl Call {
    /// The call that a body makes, and its method.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(body: &[u8]) -> Result<(&'static str, Call), String> {
        let asked: Asked =
            serde_json::from_slice(body).map_err(|error| format!("this is no call: {error}"))?;
        let known = METHODS.iter().find(|(name, _)| *name == asked.method);
        let (name, verb) = known.ok_or("this method is not supported")?;
        let first = asked.params.first();
        let call = match *verb {
            Set(allow, sort) => {
                Call::Set(rule(allow, subject(sort, first)?), reason(&asked.params))
            }
            Unset(allow, sort) => Call::Unset(rule(allow, subject(sort, first)?)),
            List(allow, sort) => Call::List(allow, sort),
            Tell(field) => Call::Tell(field, told(first)?),
            Awaiting => Call::Awaiting,
            Methods => Call::Methods,
        };
        Ok((name, call))
    }

    /// What it changes; `None` for one that only asks.
    pub(super) fn change(&self, managed: &mut Managed) -> Option<Result<(), String>> {
        match self {
            Call::Set(rule, reason) => Some(managed.set(rule.clone(), reason.clone())),
            Call::Unset(rule) => {
                managed.unset(rule);
                Some(Ok(()))
            }
            Call::Tell(field, text) => {
                *self::field(&mut managed.told, *field) = text.clone();
                Some(Ok(()))
            }
            Call::List(..) | Call::Awaiting | Call::Methods => None,
        }
    }

    /// What it answers, once it has changed what it changes.
    pub(super) fn answer(&self, managed: &Managed) -> Value {
        match self {
            Call::Set(..) | Call::Unset(_) | Call::Tell(..) => Value::Bool(true),
            Call::Awaiting => json!([]),
            Call::Methods => {
                METHODS.iter().map(|(name, _)| *name).filter(|n| *n != "supportedmethods").collect()
            }
            Call::List(allow, sort) => {
                let rules = managed.rules();
                let rules = rules.filter(|r| r.rule.allow == *allow && is(&r.rule, *sort));
                rules.filter_map(|r| listed(&r.rule.subject, &r.reason)).collect()
            }
        }
    }
}

fn is(rule: &Rule, sort: Sort) -> bool {
    match rule.subject {
        Subject::Pubkey(_) => sort == Pubkey,
        Subject::Event(_) => sort == Event,
        Subject::Kinds(_) => sort == Kind,
        Subject::Address(_) => sort == Address,
    }
}

fn listed(subject: &Subject, reason: &str) -> Option<Value> {
    Some(match subject {
        Subject::Pubkey(key) => json!({ "pubkey": const_hex::encode(key), "reason": reason }),
        Subject::Event(id) => json!({ "id": const_hex::encode(id), "reason": reason }),
        Subject::Address(network) => json!({ "ip": network.to_string(), "reason": reason }),
        Subject::Kinds(kinds) => json!(kinds.start()),
    })
}

fn field(told: &mut Told, field: Field) -> &mut Option<String> {
    match field {
        Name => &mut told.name,
        Description => &mut told.description,
        Icon => &mut told.icon,
    }
}

fn subject(sort: Sort, param: Option<&Value>) -> Result<Subject, String> {
    let text = || param.and_then(Value::as_str).ok_or("the first parameter is not a string");
    Ok(match sort {
        Pubkey => Subject::Pubkey(hex(text()?)?),
        Event => Subject::Event(hex(text()?)?),
        Address => Subject::Address(text()?.parse::<Network>()?),
        Kind => {
            let kind = param.and_then(Value::as_u64).and_then(|kind| u16::try_from(kind).ok());
            let kind = kind.ok_or("the first parameter is not a kind, 0 to 65535")?;
            Subject::Kinds(kind..=kind)
        }
    })
}

fn reason(params: &[Value]) -> String {
    params.get(1).and_then(Value::as_str).unwrap_or_default().into()
}

/// What the relay is to say of itself; nothing if it is empty.
fn told(param: Option<&Value>) -> Result<Option<String>, String> {
    match param.and_then(Value::as_str) {
        None => Err("the first parameter is not a string".into()),
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"))
        }
        Some(text) => Ok(Some(text.to_string()).filter(|text| !text.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &str) -> Result<Call, String> {
        Call::parse(body.as_bytes()).map(|(_, call)| call)
    }

    fn of(method: &str, params: Value) -> Call {
        call(&json!({ "method": method, "params": params }).to_string()).unwrap()
    }

    #[test]
    fn every_method_is_one_call() {
        let hex = "0a".repeat(32);
        let set = |text: String, reason: &str| Call::Set(text.parse().unwrap(), reason.into());
        let unset = |text: String| Call::Unset(text.parse().unwrap());
        for (method, subject) in [
            ("banpubkey", format!("deny pubkey {hex}")),
            ("allowpubkey", format!("allow pubkey {hex}")),
            ("banevent", format!("deny event {hex}")),
            ("allowevent", format!("allow event {hex}")),
        ] {
            assert_eq!(of(method, json!([hex, "why"])), set(subject.clone(), "why"));
            assert_eq!(of(method, json!([hex])), set(subject.clone(), ""));
            assert_eq!(of(&format!("un{method}"), json!([hex])), unset(subject));
        }
        assert_eq!(of("allowkind", json!([1])), set("allow kind 1".into(), ""));
        assert_eq!(of("disallowkind", json!([4])), set("deny kind 4".into(), ""));
        let ip = "192.0.2.1";
        assert_eq!(of("blockip", json!([ip, "x"])), set(format!("deny address {ip}"), "x"));
        assert_eq!(of("unblockip", json!([ip])), unset(format!("deny address {ip}")));
        assert_eq!(of("changerelayname", json!(["Bird"])), Call::Tell(Name, Some("Bird".into())));
        assert_eq!(of("changerelayicon", json!([""])), Call::Tell(Icon, None));
        assert_eq!(call(r#"{"method":"supportedmethods"}"#), Ok(Call::Methods));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let long =
            json!({ "method": "changerelayname", "params": ["x".repeat(5_000)] }).to_string();
        for (body, why) in [
            ("", "no call"),
            ("[]", "no call"),
            (r#"{"method":1}"#, "no call"),
            (r#"{"method":"createrole","params":[]}"#, "not supported"),
            (r#"{"method":"banpubkey","params":[]}"#, "not a string"),
            (r#"{"method":"banpubkey","params":["0a"]}"#, "64 hex"),
            (r#"{"method":"allowkind","params":[65536]}"#, "not a kind"),
            (r#"{"method":"allowkind","params":["1"]}"#, "not a kind"),
            (r#"{"method":"blockip","params":["here"]}"#, "neither an address"),
            (r#"{"method":"changerelayname","params":[7]}"#, "not a string"),
            (&long, "longer than"),
        ] {
            let refused = call(body).unwrap_err();
            assert!(refused.contains(why), "{body}: {refused}");
        }
    }

    #[test]
    fn lists_hold_what_was_set_and_not_what_was_taken_back() {
        let mut managed = Managed::default();
        let hex = "0a".repeat(32);
        let mut make = |method: &str, params: Value| {
            let call = of(method, params);
            call.change(&mut managed).map(Result::unwrap);
            call.answer(&managed)
        };
        assert_eq!(make("banpubkey", json!([hex, "spam"])), json!(true));
        assert_eq!(
            make("listbannedpubkeys", json!([])),
            json!([{ "pubkey": hex, "reason": "spam" }])
        );
        make("allowpubkey", json!([hex]));
        assert_eq!(make("listbannedpubkeys", json!([])), json!([]));
        assert_eq!(make("listallowedpubkeys", json!([])), json!([{ "pubkey": hex, "reason": "" }]));
        make("unbanpubkey", json!([hex]));
        assert_eq!(make("listallowedpubkeys", json!([])).as_array().unwrap().len(), 1);
        make("allowkind", json!([1]));
        make("disallowkind", json!([4]));
        assert_eq!(make("listallowedkinds", json!([])), json!([1]));
        assert_eq!(make("listdisallowedkinds", json!([])), json!([4]));
        make("blockip", json!(["10.0.0.1", "flood"]));
        assert_eq!(
            make("listblockedips", json!([])),
            json!([{ "ip": "10.0.0.1", "reason": "flood" }])
        );
        make("banevent", json!([hex]));
        assert_eq!(make("listbannedevents", json!([])), json!([{ "id": hex, "reason": "" }]));
        assert_eq!(make("listeventsneedingmoderation", json!([])), json!([]));
        let methods = make("supportedmethods", json!([]));
        assert_eq!(methods.as_array().unwrap().len(), METHODS.len() - 1);
        make("changerelaydescription", json!(["about"]));
        assert_eq!(managed.told.description.as_deref(), Some("about"));
    }
}
