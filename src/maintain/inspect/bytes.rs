//! Bytes as bytes: sixteen a line, and the characters among them.

use super::{Line, Printer};
use crate::base::Result;
use crate::io::{Buf, File};

/// Bytes of one line.
const ROW: u64 = 16;

/// Bytes read at once.
const WINDOW: u64 = 64 << 10;

/// The bytes of `file` from `at` on, `count` of them or to the end.
pub fn dump(file: &dyn File, at: u64, count: Option<u64>, print: Printer<'_>) -> Result<()> {
    let align = file.align() as u64;
    let len = file.len() - file.len() % align;
    let end = count.map_or(len, |count| len.min(at.saturating_add(count)));
    let mut from = at - at % ROW;
    while from < end {
        let start = from - from % align;
        let bytes = WINDOW.max(align).min(len - start);
        let mut buf = Buf::zeroed(bytes as usize, file.align());
        file.read_at(start, &mut buf)?;
        let rows = buf.get((from - start) as usize..).unwrap_or(&[]);
        for row in rows.chunks(ROW as usize) {
            if from >= end {
                break;
            }
            if !print(row_of(from, row))? {
                return Ok(());
            }
            from += ROW;
        }
    }
    Ok(())
}

fn row_of(at: u64, row: &[u8]) -> Line {
    let pairs: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = |&byte: &u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
    let chars: String = row.iter().map(shown).collect();
    Line::new(at, "bytes").text("hex", pairs.join(" ")).text("text", chars)
}
