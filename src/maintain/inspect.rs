//! One file as it lies there: fields, blocks, pages, records, terms; as lines that a program prints.
//!
//! ```text
//!   a path --magic, or name--> STORE | manifest | log file | segment | text | anything else, as bytes
//!                               \-> Line, Line, Line ... until the printer has had enough
//! ```
//!
//! I1. No store is opened and no lock taken: any file, damaged or in use, alone or in its place.
//! I2. What is damaged is said where it is, and the walk goes on behind it as far as that is possible.
//! I3. Lines are made as they are asked for; memory is a window of the file and the pool of a segment.

mod bytes;
mod log;
mod segment;
mod small;

use super::readonly::ReadOnly;
use super::site::whole_header;
use crate::base::{Error, Result};
use crate::io::{Buf, Disk, Env};
use crate::model::Record;
use crate::store::texts;
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
    /// The bytes from here on, as bytes.
    pub at: Option<u64>,
    /// This page of a segment, as bytes.
    pub page: Option<u32>,
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

/// Inspects `path` and hands lines to `print` until that has had enough.
///
/// # Errors
/// `Io`; what `print` says.
pub fn file(env: &Env, path: &Path, ask: &Ask<'_>, print: Printer<'_>) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(ReadOnly(env.disk.clone()));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let file = disk.open_read(path)?;
    let mut start = Buf::zeroed(file.align().max(512), file.align());
    let magic = match file.read_at(0, &mut start) {
        Ok(()) => start.first_chunk::<8>().copied().unwrap_or_default(),
        // Shorter than that: its name is left.
        Err(Error::Corrupt { .. }) => [0; 8],
        Err(error) => return Err(error),
    };
    let id = crate::segment::parse_file_name(name);
    let is = |magic_of: &[u8; 8], by_name: bool| magic == *magic_of || by_name;
    let among_texts = path.parent().is_some_and(|dir| dir.ends_with(texts::DIR));
    let is_segment = is(&crate::segment::format::MAGIC, id.is_some());
    if let Some(at) = ask.at {
        return bytes::dump(&*file, at, None, print);
    }
    if let Some(page) = ask.page {
        let size =
            id.and_then(|id| whole_header(&*disk, path, id)).map_or(4096, |(_, page)| page.bytes());
        return segment::page(&*file, id, page, size, print);
    }
    if is(b"RATSTOR1", name == "STORE") {
        small::store(&*disk, path, print)
    } else if is(&crate::shard::format::MANIFEST_MAGIC, name.starts_with("manifest-")) {
        small::manifest(&*disk, path, print)
    } else if is(b"ratitlog", crate::wal::survey::number_of(path).is_some()) {
        log::file(&*disk, path, ask, print)
    } else if is_segment {
        segment::file(&disk, path, ask, print)
    } else if is(&texts::MAGIC, among_texts && texts::is_text(name)) {
        small::text(&*disk, path, print)
    } else {
        bytes::dump(&*file, 0, None, print)
    }
}
