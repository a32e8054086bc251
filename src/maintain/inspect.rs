//! One file as it lies there: fields, blocks, pages, records, terms; as lines that a program prints.
//!
//! ```text
//!   a path --magic, word, name--> STORE | manifest | log file | segment | text | anything else, as bytes
//!                                  \-> Line, Line, Line ... until the printer has had enough
//! ```
//!
//! What a file is, its first bytes say, or what else is sure to be in it; then whoever asks; its name last. So a file may
//! lie anywhere under any name.
//!
//! I1. No store is opened and no lock taken: any file, damaged or in use, alone or in its place.
//! I2. What is damaged is said where it is, and the walk goes on behind it as far as that is possible.
//! I3. Lines are made as they are asked for; memory is a window of the file and the pool of a segment.

mod bytes;
mod kind;
mod layout;
mod log;
mod page;
mod segment;
mod small;

pub use kind::Kind;

use super::readonly::ReadOnly;
use crate::base::{PageSize, Result};
use crate::io::{Disk, Env};
use crate::model::Record;
use std::path::Path;
use std::sync::Arc;

/// A field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
    /// Numbers.
    List(Vec<u64>),
}

/// One line of what is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Byte of the file at which it stands.
    pub at: Option<u64>,
    /// What it is: `header`, `region`, `block`, `entry`, `page`, `record`, `term` ...
    pub what: &'static str,
    /// What it says.
    pub fields: Vec<(&'static str, Value)>,
    /// What does not hold.
    pub damage: Option<String>,
}

impl Line {
    fn new(at: impl Into<Option<u64>>, what: &'static str) -> Line {
        Line { at: at.into(), what, fields: Vec::new(), damage: None }
    }

    fn number(mut self, name: &'static str, value: impl Into<u64>) -> Line {
        self.fields.push((name, Value::Number(value.into())));
        self
    }

    fn text(mut self, name: &'static str, value: impl ToString) -> Line {
        self.fields.push((name, Value::Text(value.to_string())));
        self
    }

    fn list(mut self, name: &'static str, value: Vec<u64>) -> Line {
        self.fields.push((name, Value::List(value)));
        self
    }

    fn damaged(mut self, what: impl ToString) -> Line {
        self.damage = Some(what.to_string());
        self
    }
}

/// Prints a record's body.
pub type Show<'a> = &'a dyn Fn(Record<'_>) -> String;

/// What of a file is asked for.
#[derive(Clone, Copy, Default)]
pub struct Ask<'a> {
    /// What the file is, where its own bytes do not tell.
    pub kind: Option<Kind>,
    /// The bytes from here on, as bytes.
    pub at: Option<u64>,
    /// This page of a segment: what stands in it, and its bytes.
    pub page: Option<u32>,
    /// The size of a segment's pages, where the file does not tell.
    pub page_size: Option<PageSize>,
    /// The blocks of a log file from this byte on.
    pub block: Option<u32>,
    /// The records of a segment.
    pub records: bool,
    /// The terms of a segment, and their posting lists.
    pub terms: bool,
    /// Bodies too, printed by this.
    pub show: Option<Show<'a>>,
}

/// What a printer says: whether it wants more.
pub type Printed = Result<bool>;

/// Takes lines.
pub type Printer<'a> = &'a mut dyn FnMut(Line) -> Printed;

/// What the bytes of the file `path` say that it is; `None` if they do not tell.
///
/// # Errors
/// `Io`.
pub fn kind_of(env: &Env, path: &Path) -> Result<Option<Kind>> {
    kind::by_bytes(&*ReadOnly(env.disk.clone()).open_read(path)?)
}

/// Inspects `path` and hands lines to `print` until that has had enough.
///
/// # Errors
/// `Io`; `Invalid` if there is no such page; what `print` says.
pub fn file(env: &Env, path: &Path, ask: &Ask<'_>, print: Printer<'_>) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(ReadOnly(env.disk.clone()));
    let file = disk.open_read(path)?;
    if let Some(at) = ask.at {
        return bytes::dump(&*file, at, None, print);
    }
    if let Some(number) = ask.page {
        return page::show(&file, path, number, ask, print);
    }
    match kind::by_bytes(&*file)?.or(ask.kind).or_else(|| kind::by_name(path)) {
        Some(Kind::Store) => small::store(&*file, print),
        Some(Kind::Manifest) => small::manifest(&*file, print),
        Some(Kind::Log) => log::file(&*disk, path, ask, print),
        Some(Kind::Segment) => segment::file(&file, path, ask, print),
        Some(Kind::Text) => small::text(&*file, path, print),
        None => bytes::dump(&*file, 0, None, print),
    }
}
