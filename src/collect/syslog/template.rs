//! How the source of a syslog message is called: a text with the message's fields in it.
//!
//! ```text
//!   {host}/{app}   the host and the program; what the message does not say: its sender's address, and "-"
//!   {address} {facility} {severity}   may be used as well
//! ```
//!
//! Whatever was sent, the name is one that a source may have ([`names`](super::super::names)).

use super::message::Head;
use crate::base::{Error, Result};
use crate::collect::names::{fit, push_printable};
use crate::logs::NAME_BYTES_MAX;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::str::FromStr;

/// Severities of RFC 5424, 6.2.1, by number.
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Facilities of RFC 5424, 6.2.1, by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// What RFC 5424 writes where there is nothing to say.
const NIL: &str = "-";

/// The name of a message's source, with places for the message's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Host,
    App,
    Address,
    Facility,
    Severity,
}

const FIELDS: [(&str, Field); 5] = [
    ("host", Field::Host),
    ("app", Field::App),
    ("address", Field::Address),
    ("facility", Field::Facility),
    ("severity", Field::Severity),
];

impl Default for Template {
    /// `{host}/{app}`.
    fn default() -> Template {
        let text = Part::Text("/".into());
        Template(vec![Part::Field(Field::Host), text, Part::Field(Field::App)])
    }
}

impl FromStr for Template {
    type Err = Error;

    /// # Errors
    /// `Invalid` if it is empty, or names a field that there is not.
    fn from_str(text: &str) -> Result<Template> {
        let wrong = |why: String| Err(Error::invalid("source template", why));
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return wrong(format!("it has {} bytes, not 1 to {NAME_BYTES_MAX}", text.len()));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else {
                return wrong(format!("{text:?} has a {{ without its }}"));
            };
            let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
                let known = FIELDS.map(|(name, _)| name).join(", ");
                return wrong(format!("there is no field {name:?}; there are {known}"));
            };
            parts.extend((!before.is_empty()).then(|| Part::Text(before.into())));
            parts.push(Part::Field(*field));
            rest = behind;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.into())));
        Ok(Template(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => to.write_str(text),
            Part::Field(field) => {
                let name =
                    FIELDS.iter().find(|(_, known)| known == field).map_or("", |(name, _)| name);
                write!(to, "{{{name}}}")
            }
        })
    }
}

impl Template {
    /// Writes the name of the source of a message that came from there, in place of what `name` held.
    pub(crate) fn write(&self, head: &Head<'_>, from: IpAddr, name: &mut String) {
        name.clear();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Field(field) => write_field(*field, head, from, name),
            }
        }
        fit(name);
    }
}

fn write_field(field: Field, head: &Head<'_>, from: IpAddr, name: &mut String) {
    let address = |name: &mut String| {
        // Writing to a String cannot fail.
        let _written = write!(name, "{}", from.to_canonical());
    };
    let of_pri = |text: fn(u8) -> &'static str| head.pri.map_or(NIL, text);
    match (field, head.host, head.app) {
        (Field::Host, Some(host), _) => push_printable(host, name),
        (Field::Host | Field::Address, ..) => address(name),
        (Field::App, _, Some(app)) => push_printable(app, name),
        (Field::App, ..) => name.push_str(NIL),
        (Field::Facility, ..) => name.push_str(of_pri(|pri| FACILITIES[usize::from(pri / 8) % 24])),
        (Field::Severity, ..) => name.push_str(of_pri(|pri| SEVERITIES[usize::from(pri % 8)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(template: &str, message: &[u8]) -> String {
        let mut name = "left over".into();
        let from = "::ffff:192.0.2.7".parse().unwrap();
        template.parse::<Template>().unwrap().write(&Head::of(message), from, &mut name);
        name
    }

    #[test]
    fn fields_are_filled_in_and_what_is_missing_is_said() {
        let full = b"<34>1 - box su - - - text";
        assert_eq!(name("{host}/{app}", full), "box/su");
        assert_eq!(name("a {severity}.{facility} {address}", full), "a crit.auth 192.0.2.7");
        assert_eq!(name("{host}/{app}/{severity}", b"text"), "192.0.2.7/-/-");
        assert_eq!(name("one", full), "one");
        assert_eq!(name("{app}", b"<191>\x1b[1m\xff: x"), "-");
        assert_eq!(name("{app}", b"<191>a\xffb\x7f: x"), "a\u{fffd}b\u{fffd}");
        assert_eq!(Template::default(), "{host}/{app}".parse().unwrap());
        assert_eq!("a{host}b{app}".parse::<Template>().unwrap().to_string(), "a{host}b{app}");
    }

    #[test]
    fn wrong_templates_are_refused_with_the_reason() {
        let why = |text: &str| text.parse::<Template>().unwrap_err().to_string();
        assert!(why("").contains("0 bytes"));
        assert!(why("{host").contains("without its }"));
        assert!(why("{hostname}").contains("host, app, address"));
        assert!(why(&"x".repeat(256)).contains("256 bytes"));
    }

    proptest! {
        #[test]
        fn any_message_has_a_name_that_a_source_may_have(
            message in "<1[0-9]>1 - \\PC{1,300} \\PC{1,300} - - -", raw in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            for message in [message.as_bytes(), &raw] {
                let name = name("{host}/{app}", message);
                prop_assert!((1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control));
            }
        }
    }
}
