//! A log file: its header, its blocks, their entries, and what lies between blocks.

use super::kind::{Kind, by_name, log_number, shard_of};
use super::{Ask, Line, Printer};
use crate::base::Result;
use crate::io::{Buf, Disk};
use crate::maintain::site::small_file;
use crate::shard::format::{EntryKind, belongs_to, read_entry};
use crate::store::birth;
use crate::wal::Identity;
use crate::wal::survey::{Block, Header, Survey, entries};
use std::path::Path;

pub fn file(disk: &dyn Disk, path: &Path, ask: &Ask<'_>, print: Printer<'_>) -> Result<()> {
    let mut survey = Survey::open(disk, path, 0)?;
    let header = survey.header()?;
    let written = header.filter(|header| header.whole).map(|header| header.number);
    let number = match ask.kind {
        // Under whatever name it was put.
        Some(_) => written.or(log_number(path)),
        None => log_number(path).or(written),
    };
    let number = number.or(header.map(|header| header.number)).unwrap_or(0);
    let line = match header {
        Some(header) => header_line(&header, number),
        None if is_blank(disk, path)? => {
            let line = Line::new(0, "header").text("state", "prepared: never written");
            return print(line).map(drop);
        }
        None => Line::new(0, "header").damaged("it does not begin like a log file"),
    };
    if !print(line)? {
        return Ok(());
    }
    let Some(of) = whose(disk, path, header, number)? else {
        return print(Line::new(0, "log").damaged("no block is whole, of any store")).map(drop);
    };
    let mut survey = Survey::open(disk, path, number)?;
    let grain = header.filter(|header| header.whole).map(|header| header.grain);
    let from = ask.block.unwrap_or(0);
    let mut at = grain.unwrap_or(512).max(from);
    let mut end = 0;
    survey.blocks(of, grain, from, &mut |block| {
        if block.lsn.offset() > at {
            let line = Line::new(u64::from(at), "gap").number("to", block.lsn.offset());
            if !print(line.damaged("no whole block begins here"))? {
                return Ok(false);
            }
        }
        at = block.end;
        end = block.end;
        print_block(&block, ask, print)
    })?;
    if end == at && survey.begun(of, end)? {
        let what = "a block was begun here and is not whole: torn, or damaged";
        print(Line::new(u64::from(end), "torn").damaged(what))?;
    }
    Ok(())
}

/// Whether the file begins with nothing but zeros.
fn is_blank(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let file = disk.open_read(path)?;
    let mut start = Buf::zeroed(file.align().max(512), file.align());
    if file.len() < start.len() as u64 {
        return Ok(false);
    }
    file.read_at(0, &mut start)?;
    Ok(start.iter().all(|&byte| byte == 0))
}

fn header_line(header: &Header, number: u32) -> Line {
    let line = Line::new(0, "header").text("store", header.store).number("shard", header.shard);
    let line = line.number("number", header.number).number("version", header.version);
    let line = line.number("grain", header.grain).text("prev_end", header.prev_end);
    match (header.whole, header.number == number) {
        (true, true) => line,
        (true, false) => line.text("state", "prepared: never written under its name"),
        (false, _) => line.damaged("its checksum does not match"),
    }
}

/// Whose log it is: as the header says, a manifest beside it, or the store that it lies in; whoever finds a block.
fn whose(
    disk: &dyn Disk,
    path: &Path,
    header: Option<Header>,
    number: u32,
) -> Result<Option<Identity>> {
    let own = header.map(|header| Identity { store: header.store, shard: header.shard });
    let dir = path.parent().unwrap_or(Path::new("."));
    let names = disk.list(dir).unwrap_or_default();
    let manifests = names.iter().filter(|name| by_name(Path::new(name)) == Some(Kind::Manifest));
    let beside = manifests.filter_map(|name| {
        let bytes = small_file(disk, &dir.join(name), 1 << 32).ok()??;
        belongs_to(&bytes).map(|(store, shard)| Identity { store, shard })
    });
    // In its place and in quarantine, STORE is one directory up.
    let birth = dir.parent().and_then(|dir| birth::read(disk, dir).ok()?);
    let within =
        birth.zip(shard_of(path)).map(|(birth, shard)| Identity { store: birth.id(), shard });
    for of in own.into_iter().chain(beside).chain(within) {
        let mut found = false;
        Survey::open(disk, path, number)?.blocks(of, None, 0, &mut |_| {
            found = true;
            Ok(false)
        })?;
        if found {
            return Ok(Some(of));
        }
    }
    // An empty log has no block to tell.
    Ok(own.filter(|_| header.is_some_and(|header| header.whole)))
}

fn print_block(block: &Block<'_>, ask: &Ask<'_>, print: Printer<'_>) -> Result<bool> {
    let at = block.lsn.offset();
    let line = Line::new(u64::from(at), "block").text("lsn", block.lsn);
    let line = line.number("entries", block.entries).number("bytes", block.end - at);
    let line = line.text("durable_to", block.durable_to);
    let Some(found) = entries(block) else {
        let what = if block.payload.is_some() {
            "its entries do not fill it"
        } else {
            "its checksum does not match"
        };
        return print(line.damaged(what));
    };
    if !print(line)? {
        return Ok(false);
    }
    for bytes in found {
        let line = Line::new(None, "entry");
        let line = match read_entry(bytes) {
            Ok(entry) if entry.kind == EntryKind::Remove => {
                line.number("removes", entry.kills.len() as u64)
            }
            Ok(entry) => {
                let record = entry.record;
                let line = line.number("time", record.key.time).text("id", hex(&record.key.id));
                let line = line.number("kills", entry.kills.len() as u64);
                let line = line.number("body_bytes", record.body.len() as u64);
                match ask.show {
                    Some(show) => line.text("body", show(record)),
                    None => line,
                }
            }
            Err(what) => line.damaged(what),
        };
        if !print(line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Bytes as hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
