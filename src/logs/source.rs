//! Where a record comes from: a UUID, or a name whose UUID follows from it.
//!
//! ```text
//!   name --UUIDv5 (RFC 9562) in NAMESPACE--> UUID
//! ```
//!
//! I1. A source is its UUID: two with the same UUID are equal, whether a name is known or not.
//! I2. `Display` writes what `FromStr` reads; so a name that looks like a UUID is none.

use crate::base::{Error, Result, hash64};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use uuid::Uuid;

/// Bytes of a name: it stands in every record, behind one byte for its length.
pub const NAME_BYTES_MAX: usize = 255;

/// The namespace of the UUIDs of names. It never changes: sources are found by what follows from it.
pub const NAMESPACE: [u8; 16] = [
    0x5b, 0x0c, 0x3b, 0x52, 0x9c, 0x6e, 0x4e, 0x0b, 0x8f, 0x0d, 0x72, 0x61, 0x74, 0x69, 0x74, 0x65,
];

/// Bytes of a UUID's text, the only form that is taken for one.
const UUID_TEXT_BYTES: usize = 36;

/// A source of records.
#[derive(Clone)]
pub struct Source {
    uuid: [u8; 16],
    name: Option<Box<str>>,
}

/// A source, lent by a record.
#[derive(Clone, Copy)]
pub enum SourceRef<'a> {
    /// A source without a name.
    Uuid([u8; 16]),
    /// The source of this name.
    Name(&'a str),
}

impl Source {
    /// The source with this UUID.
    pub fn of(uuid: [u8; 16]) -> Source {
        Source { uuid, name: None }
    }

    /// The source with this name, of 1 to [`NAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// `Invalid` if it is empty, longer, or a UUID's text (I2).
    pub fn named(name: &str) -> Result<Source> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let why = format!("a name has 1 to {NAME_BYTES_MAX} bytes, not {}", name.len());
            return Err(Error::invalid("source", why));
        }
        if parse_uuid(name).is_some() {
            return Err(Error::invalid("source", format!("{name} is a UUID, not a name")));
        }
        Ok(Source { uuid: uuid_of(name), name: Some(name.into()) })
    }

    /// Its UUID.
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// Its name, if it was given by one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same, lent.
    pub fn as_ref(&self) -> SourceRef<'_> {
        self.name().map_or(SourceRef::Uuid(self.uuid), SourceRef::Name)
    }
}

impl<'a> SourceRef<'a> {
    /// Its UUID; of a name, that is looked up, and computed at first.
    pub fn uuid(&self) -> [u8; 16] {
        match self {
            SourceRef::Uuid(uuid) => *uuid,
            SourceRef::Name(name) => uuid_of(name),
        }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        match self {
            SourceRef::Uuid(_) => None,
            SourceRef::Name(name) => Some(name),
        }
    }

    /// The same, owned.
    pub fn to_source(&self) -> Source {
        Source { uuid: self.uuid(), name: self.name().map(Box::from) }
    }
}

/// Names whose UUIDs a thread remembers: a power of two.
const REMEMBERED: usize = 64;

thread_local! {
    /// Names and their UUIDs, each in the place that a hash says: a record asks three times on its way, and SHA-1 takes
    /// longer than the rest of it.
    static UUIDS: RefCell<Vec<(Box<str>, [u8; 16])>> = const { RefCell::new(Vec::new()) };
}

fn uuid_of(name: &str) -> [u8; 16] {
    UUIDS.with_borrow_mut(|uuids| {
        if uuids.is_empty() {
            uuids.resize(REMEMBERED, (Box::from(""), [0; 16])); // no name is empty
        }
        let place = &mut uuids[hash64(name.as_bytes()) as usize % REMEMBERED];
        if &*place.0 != name {
            *place = (name.into(), computed(name));
        }
        place.1
    })
}

fn computed(name: &str) -> [u8; 16] {
    Uuid::new_v5(&Uuid::from_bytes(NAMESPACE), name.as_bytes()).into_bytes()
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let uuid = (text.len() == UUID_TEXT_BYTES).then(|| Uuid::try_parse(text).ok()).flatten();
    uuid.map(Uuid::into_bytes)
}

impl FromStr for Source {
    type Err = Error;

    /// A UUID's text is that UUID, everything else a name.
    fn from_str(text: &str) -> Result<Source> {
        parse_uuid(text).map_or_else(|| Source::named(text), |uuid| Ok(Source::of(uuid)))
    }
}

impl fmt::Display for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceRef::Uuid(uuid) => write!(f, "{}", Uuid::from_bytes(*uuid)),
            SourceRef::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_ref())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        self.uuid == other.uuid
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl Ord for Source {
    fn cmp(&self, other: &Source) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl PartialOrd for Source {
    fn partial_cmp(&self, other: &Source) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_writes_what_from_str_reads() {
        let text = "0191c2f0-7a3b-7cc1-9d3e-0123456789ab";
        let by_uuid: Source = text.parse().unwrap();
        assert_eq!((by_uuid.to_string().as_str(), by_uuid.name()), (text, None));
        assert_eq!(text.to_uppercase().parse::<Source>().unwrap(), by_uuid);
        let named: Source = "nginx".parse().unwrap();
        assert_eq!((named.to_string().as_str(), named.name()), ("nginx", Some("nginx")));
        assert_eq!(named, Source::of(named.uuid()), "I1");
        assert_eq!(named.as_ref().to_source().uuid(), named.uuid());
    }

    #[test]
    fn a_name_has_the_uuid_it_always_had() {
        let uuid = SourceRef::Uuid(Source::named("nginx").unwrap().uuid()).to_string();
        assert_eq!(uuid, "1726f5e8-8351-5863-bd13-1a0f30f31375");
        let other = Source::named("nginx2").unwrap();
        assert_ne!(SourceRef::Uuid(other.uuid()).to_string(), uuid);
    }

    #[test]
    fn names_that_share_a_place_keep_their_uuids() {
        for round in 0..2 {
            for i in 0..500 {
                let name = format!("source {i}");
                assert_eq!(uuid_of(&name), computed(&name), "round {round}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "x".repeat(NAME_BYTES_MAX);
        assert!(Source::named(&long).is_ok());
        for bad in ["", &format!("{long}x"), "0191c2f0-7a3b-7cc1-9d3e-0123456789ab"] {
            assert_eq!(Source::named(bad).unwrap_err().code(), "ERR_INVALID", "{bad}");
        }
    }
}
