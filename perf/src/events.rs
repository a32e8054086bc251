//! Files of events: generated and signed once, read by every run and every peer.
//!
//! ```text
//!   | u32 length | u64 created_at | id (32) | body (length) | u32 length | ...       all little-endian
//! ```

use crate::Result;
use ratite::base::{Key, hash64};
use ratite::bench::events::finish;
use ratite::nostr::format::{KIND_AT, SIG_AT};
use ratite::nostr::generate::{Config, Generator};
use ratite::nostr::{Event, EventRef};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// Events handed from thread to thread at a time.
const BATCH: usize = 1024;

/// What stands before a body: length, time, id.
const HEAD_BYTES: usize = 44;

#[derive(clap::Args)]
pub struct Args {
    /// How many.
    #[arg(long)]
    events: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `created_at` of the first, which the others follow a second apart: to go on where another file ends.
    #[arg(long, default_value_t = Config::default().start)]
    start: u64,
    /// The file to make.
    #[arg(long)]
    file: PathBuf,
    /// Sign on so many threads; default: all cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Put noise where signatures stand: for stores that do not check them. It compresses as little.
    #[arg(long)]
    unsigned: bool,
}

/// Makes the file: one thread chooses, the others sign, this one writes in order.
pub fn generate(args: &Args) -> Result<()> {
    let threads =
        args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let started = Instant::now();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&args.file)?);
    let config = Config { events: args.events, start: args.start };
    let mut generator = Generator::new(args.seed, &config);
    let mut left = args.events;
    while left > 0 {
        let count = left.min((8 * BATCH * threads) as u64);
        left -= count;
        let batch = (0..count).map(|_| generator.next_unsigned()).collect();
        for event in finish(batch, threads, !args.unsigned)? {
            write(&mut out, &event, args.unsigned)?;
        }
    }
    out.flush()?;
    eprintln!(
        "{} events in {:.1} s: {}",
        args.events,
        started.elapsed().as_secs_f64(),
        args.file.display()
    );
    Ok(())
}

fn write(out: &mut impl Write, event: &Event, noise: bool) -> Result<()> {
    out.write_all(&(event.body().len() as u32).to_le_bytes())?;
    out.write_all(&event.key().time.to_le_bytes())?;
    out.write_all(&event.key().id)?;
    if !noise {
        return Ok(out.write_all(event.body())?);
    }
    let mut body = event.body().to_vec();
    let mut hash = hash64(&event.key().id);
    for word in body[SIG_AT..KIND_AT].chunks_exact_mut(8) {
        hash = hash64(&hash.to_le_bytes());
        word.copy_from_slice(&hash.to_le_bytes());
    }
    Ok(out.write_all(&body)?)
}

/// Reads an events file from its start.
pub struct Events {
    file: BufReader<File>,
    left: u64,
}

/// Some events: keys, and bodies in one allocation.
#[derive(Default)]
pub struct Batch {
    keys: Vec<(Key, usize)>,
    bodies: Vec<u8>,
}

impl Events {
    /// The first `limit` events of a file.
    pub fn open(path: &Path, limit: Option<u64>) -> Result<Events> {
        let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(Events { file, left: limit.unwrap_or(u64::MAX) })
    }

    /// No more than `limit` of what follows.
    pub fn first(self, limit: u64) -> Events {
        Events { left: limit, ..self }
    }

    /// Passes over `count` events; returns how many there were.
    pub fn skip(&mut self, count: u64) -> Result<u64> {
        for passed in 0..count {
            let mut length = [0; 4];
            match self.file.read_exact(&mut length) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(passed),
                read => read?,
            }
            self.file
                .seek_relative(HEAD_BYTES as i64 - 4 + i64::from(u32::from_le_bytes(length)))?;
        }
        Ok(count)
    }

    /// Goes on where `other` stands.
    pub fn follow(&mut self, other: &mut Events) -> Result<()> {
        self.file.seek(SeekFrom::Start(other.file.stream_position()?))?;
        Ok(())
    }

    /// Fills `batch` with the next events; false at the end.
    pub fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.keys.clear();
        batch.bodies.clear();
        while batch.keys.len() < BATCH && self.left > 0 {
            let mut head = [0; HEAD_BYTES];
            match self.file.read_exact(&mut head) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let (length, rest) = head.split_at(4);
            let length = u32::from_le_bytes(length.try_into()?) as usize;
            let (time, id) = rest.split_at(8);
            let key = Key { time: u64::from_le_bytes(time.try_into()?), id: id.try_into()? };
            let start = batch.bodies.len();
            batch.bodies.resize(start + length, 0);
            self.file.read_exact(&mut batch.bodies[start..])?;
            batch.keys.push((key, start));
            self.left -= 1;
        }
        Ok(!batch.keys.is_empty())
    }

    /// Gives every event to `f`, one after the other.
    pub fn for_each(mut self, mut f: impl FnMut(EventRef<'_>) -> Result<()>) -> Result<()> {
        // Read by another thread, so that who measures CPU of this one does not measure reading.
        let (full, next) = sync_channel::<Result<Batch>>(4);
        let reader = std::thread::spawn(move || {
            loop {
                let mut batch = Batch::default();
                let read = self.next(&mut batch);
                let end = !matches!(read, Ok(true));
                if matches!(read, Ok(false)) || full.send(read.map(|_| batch)).is_err() || end {
                    return;
                }
            }
        });
        for batch in next {
            batch?.events().try_for_each(|event| f(event?))?;
        }
        reader.join().map_err(|_| "the reader panicked".into())
    }
}

impl Batch {
    /// The events.
    pub fn events(&self) -> impl Iterator<Item = Result<EventRef<'_>>> {
        let ends = self.keys.iter().skip(1).map(|(_, start)| *start);
        let ends = ends.chain(std::iter::once(self.bodies.len()));
        self.keys.iter().zip(ends).map(|((key, start), end)| {
            EventRef::new(*key, &self.bodies[*start..end]).map_err(|e| e.to_string().into())
        })
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of the bodies.
    pub fn bytes(&self) -> usize {
        self.bodies.len()
    }
}
