//! Texts: small files of JSON that whoever serves a store keeps in its directory, each with a checksum inside.
//!
//! ```text
//!   DIR/relay/NAME.json   {"crc64":"<16 hex digits>",  the members that count}  blanks to whole blocks
//!                                                      '--- CRC64 of this ---'       the bytes: docs/formats.md
//! ```
//!
//! What they say is not known on this floor. That they are whole, and in every copy of the store, is seen to here and
//! by `maintain`.
//!
//! I1. The checksum has one place and one form and covers all behind it, the blanks at the end aside: a flipped byte
//!     makes neither another text nor one without a checksum. Without a right one a text is damaged, whoever wrote it.
//! I2. A text is written whole under another name, synced, renamed, and the directory synced: a crash leaves the old
//!     one or the new one.
//! I3. How many blanks there are says nothing: a copy has what its own disk asks for.

use crate::base::{Error, Result, crc64};
use crate::io::{Buf, Disk};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory of texts, in the store's. So far only the relay keeps any.
pub(crate) const DIR: &str = "relay";

/// What a text begins with.
pub(crate) const MAGIC: [u8; 8] = *b"{\"crc64\"";

/// Bytes before what the checksum covers: `{"crc64":"0123456789abcdef",`.
pub(crate) const HEAD_BYTES: usize = 28;

/// Bytes of a text, at most. Ten thousand rules with the longest reasons, escaped, stay below.
pub(crate) const BYTES_MAX: u64 = 128 << 20;

/// Ends of names: of a text; of one that is being written.
const TEXT: &str = ".json";
const NEW: &str = ".new";

/// The directory of the texts of the store in `store`.
pub(crate) fn dir(store: &Path) -> PathBuf {
    store.join(DIR)
}

/// Whether a file of that name is a text.
pub(crate) fn is_text(name: &str) -> bool {
    name.ends_with(TEXT)
}

/// The names of all files in the directory of texts of the store in `store`.
///
/// # Errors
/// `Io`; that there is no such directory is none.
pub(crate) fn names(disk: &dyn Disk, store: &Path) -> Result<Vec<String>> {
    match disk.list(&dir(store)) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

/// The text `name` as it was written, without blanks at its end; `None` if it is not there.
///
/// # Errors
/// `Corrupt` if it is not what was written; `Io`.
pub(crate) fn read(disk: &dyn Disk, store: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    if !names(disk, store)?.iter().any(|there| there == name) {
        return Ok(None);
    }
    let path = dir(store).join(name);
    let file = disk.open_read(&path)?;
    let bytes = file.len();
    if bytes == 0 || bytes > BYTES_MAX || !bytes.is_multiple_of(file.align() as u64) {
        let what =
            format!("{bytes} bytes are not what was written: whole blocks, {BYTES_MAX} at most");
        return Err(Error::corrupt(path, bytes, what));
    }
    let mut buf = Buf::zeroed(bytes as usize, file.align());
    file.read_at(0, &mut buf[..bytes as usize])?;
    checked(&path, &buf[..bytes as usize]).map(|text| Some(text.to_vec()))
}

/// Keeps `json`, an object with a member or more, as the text `name`, in place of the one before: durable on return.
///
/// # Errors
/// `Io`; then the one before is still there, or, if the directory could not be synced, either of them.
#[cfg(any(feature = "relay", test))]
pub(crate) fn write(disk: &dyn Disk, store: &Path, name: &str, json: &[u8]) -> Result<()> {
    put(disk, store, name, &with_checksum(json))
}

/// The same, of a text that has its checksum: what [`read`] gave.
///
/// # Errors
/// As [`write`].
pub(crate) fn put(disk: &dyn Disk, store: &Path, name: &str, text: &[u8]) -> Result<()> {
    let dir = dir(store);
    disk.create_dir(&dir)?;
    let new_name = format!("{name}{NEW}");
    let new = dir.join(&new_name);
    if names(disk, store)?.contains(&new_name) {
        disk.remove(&new)?;
    }
    let file = disk.create(&new, 0)?;
    let mut buf = Buf::padded(text, file.align());
    buf[text.len()..].fill(b' ');
    file.write_at(0, &buf)?;
    file.sync()?;
    disk.rename(&new, &dir.join(name))?; // I2
    disk.sync_dir(&dir)
}

/// What of the file `path`, which has these bytes, is its text, if its checksum is right (I1).
///
/// # Errors
/// `Corrupt`.
pub(crate) fn checked<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let end = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let text = &bytes[..end];
    match text.split_at_checked(HEAD_BYTES) {
        Some((head, covered)) if head == head_of(covered).as_bytes() => Ok(text),
        Some((head, _)) if head.starts_with(&MAGIC) => {
            let what = "its checksum does not match: it is damaged, or was edited";
            Err(Error::corrupt(path, HEAD_BYTES as u64, what))
        }
        _ => Err(Error::corrupt(path, 0, "it does not begin with its checksum")),
    }
}

/// `json`, an object with a member or more, as a text.
#[cfg(any(feature = "relay", test))]
pub(crate) fn with_checksum(json: &[u8]) -> Vec<u8> {
    let covered = json.get(1..).unwrap_or_default();
    [head_of(covered).as_bytes(), covered].concat()
}

/// The beginning of a text, of which this is the rest.
fn head_of(covered: &[u8]) -> String {
    format!("{{\"crc64\":\"{:016x}\",", crc64(covered))
}

#[cfg(test)]
#[path = "tests/texts.rs"]
mod tests;
