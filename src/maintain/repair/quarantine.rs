//! DIR/quarantine: where damaged files are kept, and what could not be saved is written down.
//!
//! ```text
//!   quarantine/shard-00-wal-00000003      the damaged file, as it was
//!   quarantine/report-1767225600.jsonl    a line for each loss and each thing done
//! ```

use super::{Lost, Repaired};
use crate::base::Result;
use crate::io::{Buf, Disk};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory's name below the store's.
const NAME: &str = "quarantine";

/// Bytes of one transfer of a copy.
const COPY_BYTES: u64 = 1 << 20;

/// The directory, made when it is first needed.
pub struct Quarantine {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    dry_run: bool,
}

impl Quarantine {
    pub fn new(disk: Arc<dyn Disk>, store: &Path, dry_run: bool) -> Quarantine {
        Quarantine { disk, dir: store.join(NAME), dry_run }
    }

    /// Gives `path` a name here too. Durable on return.
    pub fn keep(&self, path: &Path) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let shard = text(path.parent().and_then(|dir| dir.file_name()));
        let name = text(path.file_name());
        let name = if shard.starts_with("shard-") { format!("{shard}-{name}") } else { name };
        let kept = self.free(&name)?;
        if self.disk.hard_link(path, &kept).is_err() {
            self.copy(path, &kept)?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// For file systems without links. The end is padded with zeros to what the disk takes.
    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let (source, target) = (self.disk.open_read(from)?, self.disk.create(to, 0)?);
        let align = source.align().max(target.align());
        let mut buf = Buf::zeroed(COPY_BYTES as usize, align);
        // A file that ends inside a unit of alignment cannot be read to its end past the page cache.
        let readable = source.len() - source.len() % source.align() as u64;
        let mut at = 0;
        while at < readable {
            let bytes = COPY_BYTES.min(readable - at) as usize;
            buf.set_len(bytes.next_multiple_of(align));
            buf.fill(0);
            source.read_at(at, &mut buf[..bytes])?;
            target.write_at(at, &buf)?;
            at += bytes as u64;
        }
        target.sync()
    }

    /// The path of `name`, with a number behind it if it is taken.
    fn free(&self, name: &str) -> Result<PathBuf> {
        self.disk.create_dir(&self.dir)?;
        let taken = self.disk.list(&self.dir)?;
        let numbered = (1..).map(|i| format!("{name}.{i}"));
        let mut names = std::iter::once(name.to_string()).chain(numbered);
        let free = names.find(|name| !taken.contains(name));
        Ok(self.dir.join(free.unwrap_or_else(|| unreachable!("numbers do not end"))))
    }

    /// Writes down what was lost and done, durably, and says where.
    pub fn report(&self, stamp: u64, done: &Repaired) -> Result<Option<PathBuf>> {
        let mut text = String::new();
        for lost in &done.lost {
            text.push_str(&line_of(lost));
        }
        for action in &done.actions {
            let (path, what) = (quoted(&action.path.to_string_lossy()), quoted(&action.what));
            let _written = writeln!(text, "{{\"done\":{what},\"file\":{path}}}");
        }
        let path = self.free(&format!("report-{stamp}.jsonl"))?;
        let file = self.disk.create(&path, 0)?;
        let align = file.align();
        let mut buf = Buf::zeroed(text.len().next_multiple_of(align), align);
        // Empty lines, which are none, up to what the disk takes.
        buf.fill(b'\n');
        buf[..text.len()].copy_from_slice(text.as_bytes());
        file.write_at(0, &buf)?;
        file.sync()?;
        self.disk.sync_dir(&self.dir)?;
        Ok(Some(path))
    }
}

/// A loss as a line of JSON.
pub fn line_of(lost: &Lost) -> String {
    let mut out = String::from("{\"lost\":");
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _written = write!(out, ",\"{name}\":{value}");
        }
    };
    field("file", Some(quoted(&lost.path.to_string_lossy())));
    field("offset", lost.offset.map(|offset| offset.to_string()));
    field("records", (lost.records > 0).then(|| lost.records.to_string()));
    field("ordinal", lost.ordinal.map(|ordinal| ordinal.to_string()));
    field("time", lost.time.map(|time| time.to_string()));
    let hex = |id: [u8; 32]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    field("id", lost.id.map(|id| quoted(&hex(id))));
    field("dead", lost.dead.then(|| "true".into()));
    out.insert_str("{\"lost\":".len(), &quoted(&lost.what));
    out.push_str("}\n");
    out
}

/// Text as a JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _written = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32),
            c => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_one_line_of_json() {
        let lost = Lost {
            path: "a\"b".into(),
            offset: Some(4096),
            records: 1,
            ordinal: Some(7),
            time: None,
            id: Some([0xab; 32]),
            dead: true,
            what: "line\nfeed".into(),
        };
        let id = "ab".repeat(32);
        let line = format!(
            "{{\"lost\":\"line\\u000afeed\",\"file\":\"a\\\"b\",\"offset\":4096,\"records\":1,\
             \"ordinal\":7,\"id\":\"{id}\",\"dead\":true}}\n"
        );
        assert_eq!(line_of(&lost), line);
    }
}
