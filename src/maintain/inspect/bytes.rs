//! Bytes as bytes: sixteen a line, and the characters among them.

use super::{Line, Printer};
use crate::base::{Error, Result};
use crate::io::{Buf, File};

/// Bytes of one line.
const ROW: u64 = 16;

/// Bytes read at once.
const WINDOW: u64 = 64 << 10;

/// The bytes of `file` from `at` on, `count` of them or to the end.
pub fn dump(file: &dyn File, at: u64, count: Option<u64>, print: Printer<'_>) -> Result<()> {
    let len = file.len();
    let end = count.map_or(len, |count| len.min(at.saturating_add(count)));
    let mut from = at - at % ROW;
    while from < end {
        let bytes = read(file, from, WINDOW.min(end - from))?;
        if bytes.is_empty() {
            break;
        }
        for row in bytes.chunks(ROW as usize) {
            if !print(row_of(from, row))? {
                return Ok(());
            }
            from += ROW;
        }
    }
    Ok(())
}

/// `count` bytes of `file` from `at` on, or those that there are, whatever the file is aligned to.
pub fn read(file: &dyn File, at: u64, count: u64) -> Result<Vec<u8>> {
    let end = at.saturating_add(count).min(file.len());
    let align = file.align() as u64;
    let start = at - at % align;
    if at >= end {
        return Ok(Vec::new());
    }
    let mut buf = Buf::zeroed((end.next_multiple_of(align) - start) as usize, file.align());
    let there = match file.read_at(start, &mut buf) {
        Ok(()) => end,
        // A file that ends inside a unit of alignment: what was read is there.
        Err(Error::Corrupt { offset, .. }) if offset > at => offset.min(end),
        Err(error) => return Err(error),
    };
    Ok(buf.get((at - start) as usize..(there - start) as usize).unwrap_or(&[]).to_vec())
}

fn row_of(at: u64, row: &[u8]) -> Line {
    let pairs: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = |&byte: &u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
    let chars: String = row.iter().map(shown).collect();
    Line::new(at, "bytes").text("hex", pairs.join(" ")).text("text", chars)
}
