//! A damaged log written anew: its whole blocks, before and behind the damage, in new files.
//!
//! ```text
//!   old  [block][ damage ][block][block] torn        new  [block][block][block]
//!                                                         ^ where the next manifest says that replay begins
//! ```
//!
//! I1. The new files continue no log: the first says that the log ended in itself before, so that they are
//!     void until a manifest begins there.
//! I2. Their blocks prove nothing, so that what an interrupted repair leaves of them is none of the log. That they were
//!     durable is said by the manifest.

use super::{Bench, Lost};
use crate::base::{Lsn, Result};
use crate::io::{DISK_BLOCK_BYTES, Disk, File, Op};
use crate::maintain::log::Log;
use crate::shard::Config;
use crate::shard::format::{Entry, EntryKind, read_entry};
use crate::wal::{Files, Group, Writer};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Smallest log file that is written: the largest group fits.
const FILE_BYTES_MIN: u32 = 8 << 20;

/// Names what the log has lost.
pub fn name_losses(bench: &mut Bench<'_>, log: &Log) {
    for gap in log.gaps.iter().filter(|gap| gap.damage) {
        // A file's header holds no records.
        if gap.to.is_none() && gap.from.offset() == 0 {
            continue;
        }
        let to = gap.to.map_or("its end".into(), |to| to.to_string());
        bench.done.lost.push(Lost {
            path: gap.path.clone(),
            offset: Some(u64::from(gap.from.offset())),
            records: 0,
            ordinal: None,
            time: None,
            id: None,
            dead: false,
            what: format!("the log from {} to {to}: {}", gap.from, gap.what),
        });
    }
}

/// Writes the entries of `log` without those that store an id of `skip`, and gives where replay of them
/// begins and ends, and how many entries say nothing that the model knows.
pub fn rewrite(
    bench: &mut Bench<'_>,
    config: &Config,
    log: &Log,
    skip: &HashSet<[u8; 32]>,
) -> Result<(Range<Lsn>, u64)> {
    let disk: Arc<dyn Disk> = bench.env.disk.clone();
    let bytes = log.file_bytes.max(FILE_BYTES_MIN).next_multiple_of(DISK_BLOCK_BYTES as u32);
    let files = bench.scene.site.files(&disk, config.shard, bytes);
    let first = files.list()?.last().map_or(1, |last| last + 1);
    let path = files.path(first);
    if bench.dry_run {
        bench.act(&path, "would hold the whole blocks of the log");
        let nowhere = Lsn::new(first, 0);
        return Ok((nowhere..nowhere, 0));
    }
    let file = files.prepare(first, None)?;
    let align = file.align();
    // I1: its own start is where the log ended before.
    let start = Writer::new(&files, file.clone(), first, Lsn(0)).position();
    let writer = Writer::new(&files, file.clone(), first, start);
    let mut tail = Tail { files, writer, file, number: first };
    let (mut entries, mut unknown) = (0u64, 0u64);
    let scene = &bench.scene;
    log.visit(&mut |_, block| {
        let block = block.unwrap_or_default();
        let bytes: usize = block.iter().map(|entry| entry.len() + 16).sum();
        let mut group = Group::new(bytes, align);
        for bytes in block {
            let known = |entry: &Entry<'_>| {
                entry.kind == EntryKind::Remove || scene.check_record(config, entry.record).is_ok()
            };
            match read_entry(bytes).ok().filter(known) {
                Some(e) if e.kind == EntryKind::Put && skip.contains(&e.record.key.id) => {}
                Some(_) => {
                    group.push(&[bytes]);
                    entries += 1;
                }
                None => unknown += 1,
            }
        }
        if group.is_empty() { Ok(()) } else { tail.write(group) }
    })?;
    tail.file.sync()?;
    disk.sync_dir(&config.dir)?;
    bench.act(&path, format!("written: {entries} entries of the log"));
    Ok((start..tail.writer.end(), unknown))
}

/// The log being written.
struct Tail {
    files: Files,
    writer: Writer,
    file: Arc<dyn File>,
    number: u32,
}

impl Tail {
    fn write(&mut self, group: Group) -> Result<()> {
        if !self.writer.fits(&group) {
            self.file.sync()?;
            self.number += 1;
            self.file = self.files.prepare(self.number, None)?;
            // All of it is synced, whatever the writer thinks.
            let _sync = self.writer.rotate(self.file.clone(), self.number);
        }
        // I2
        self.writer.prove_nothing();
        let placed = self.writer.place(group, false);
        match placed.op {
            // Synced as a whole before a manifest begins here.
            Op::Write { file, offset, buf, .. } => file.write_at(offset, &buf),
            _ => Ok(()),
        }
    }
}
