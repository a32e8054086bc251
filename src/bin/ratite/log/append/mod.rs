//! `ratite log append`: lines from files, directories or standard input into the store.
//!
//! ```text
//!   inputs --lines: read (a thread)--> chunks --parse: times, sources (a thread)--> batches --append--> store
//!     (gzip, zstd)                                        refused lines go along         |
//!                                                                                        v
//!                                                                     tally, and what of each file is done
//! ```
//!
//! 1. Records are appended in the order of their lines, a batch at a time; what was answered is what is counted.
//! 2. A line that is refused is named, and stops nothing.
//! 3. A slow input is not waited for: what is there is appended.

mod done;
mod files;
mod parse;
mod tally;

use crate::failure::{Failure, Outcome, tell};
use crate::import::inputs::{Inputs, is_stdin};
use crate::output::{print, say};
use crate::progress::{Progress, TICK};
use crate::signals::Signals;
use crate::store::StoreArgs;
use crossbeam::channel::{Receiver, after, bounded, select};
use done::Done;
use parse::{Batch, Fields, Format, How, Origin, Parser, TsFrom};
use ratite::io::threads;
use ratite::logs::{LogStore, RAW_BYTES_MAX, Source};
use std::path::PathBuf;
use std::sync::Arc;
use tally::Tally;

/// Bytes of the longest line that is looked at: a record of the largest size that is no text, as NDJSON with its
/// bytes twice, each escaped in six.
const LINE_BYTES_MAX: usize = 8 * RAW_BYTES_MAX;

/// Batches that wait for the store: it works on one while the next is made.
const BATCHES_WAITING: usize = 2;

/// Options of `ratite log append`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and directories, packed with gzip or zstd or not; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The source of all records [default: what the objects say, else the file's name]
    #[arg(long, short, value_name = "NAME|UUID")]
    source: Option<Source>,

    /// What lines are
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Auto)]
    format: Format,

    /// Where a record's time comes from
    #[arg(long, value_name = "FROM", value_enum, default_value_t = TsFrom::Line)]
    ts_from: TsFrom,

    /// The field of an object that is the time; a.b is b within a
    #[arg(long, value_name = "FIELD")]
    ts_field: Option<String>,

    /// The field that is the source
    #[arg(long, value_name = "FIELD")]
    source_field: Option<String>,

    /// The field that is the record, instead of the whole object
    #[arg(long, value_name = "FIELD")]
    raw_field: Option<String>,

    /// Lines that begin with a space or a tab belong to the record before
    #[arg(long)]
    multiline: bool,

    /// Keep in FILE how far each file was stored, and go on from there the next time
    #[arg(long, value_name = "FILE")]
    resume_file: Option<PathBuf>,

    /// One JSON object on standard output at the end, with what became of the lines
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

impl Args {
    /// How lines are read.
    fn how(&self) -> How {
        How {
            format: self.format,
            ts_from: self.ts_from,
            fields: Fields {
                ts: self.ts_field.clone(),
                source: self.source_field.clone(),
                raw: self.raw_field.clone(),
            },
            multiline: self.multiline,
            source: self.source.clone().map(Arc::new),
        }
    }
}

/// What each input says of its records.
fn origins(paths: &[PathBuf], done: &Done) -> Vec<Origin> {
    let origin = |path: &PathBuf| {
        let is_file = !is_stdin(path);
        Origin {
            source: files::source_of(path).filter(|_| is_file).map(Arc::new),
            written: files::written(path).filter(|_| is_file),
            done: done.lines(path),
        }
    };
    paths.iter().map(origin).collect()
}

pub fn run(args: &Args) -> Outcome<()> {
    let signals = Signals::listen()?;
    let inputs = Arc::new(Inputs::new(&files::expanded(&args.files)?, LINE_BYTES_MAX)?);
    let done = Done::read(args.resume_file.as_deref(), inputs.paths())?;
    let log = args.store.open_logs(true)?;
    if inputs.is_typed() {
        say("reading lines from the terminal; Ctrl-D ends");
    }
    let clock = log.engine().env().clock.clone();
    let start = clock.monotonic_nanos();
    let parser = Parser::new(args.how(), origins(inputs.paths(), &done), clock.clone());
    let mut work = Work {
        log: &log,
        progress: Progress::of_bytes(inputs.bytes()),
        tally: Tally::default(),
        done,
        inputs,
    };
    let ended = work.pump(&signals, parser);
    work.progress.clear();
    let kept = work.done.save();
    let closed = log.close();
    let seconds = clock.monotonic_nanos().saturating_sub(start) as f64 / 1e9;
    let tally = &work.tally;
    let whole = tell(&ended, &kept, &closed);
    tally.say(seconds);
    if args.json {
        print(&format!("{}\n", tally.json(seconds, ended.ok().flatten())))?;
    }
    match whole && tally.refused() == 0 {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

struct Work<'a> {
    log: &'a LogStore,
    inputs: Arc<Inputs>,
    progress: Progress,
    tally: Tally,
    done: Done,
}

impl Work<'_> {
    /// Appends everything; gives the name of the signal that stopped it, if one did.
    fn pump(&mut self, signals: &Signals, parser: Parser) -> Outcome<Option<&'static str>> {
        let (chunks_in, chunks) = bounded(BATCHES_WAITING);
        let (batches_in, batches) = bounded(BATCHES_WAITING);
        let reading = self.inputs.clone();
        let reader = threads::spawn("log-read", move || reading.read(&chunks_in));
        let parsing = threads::spawn("log-parse", move || parser.run(&chunks, &batches_in));
        let stopped = match self.take(signals, &batches) {
            Ok(None) => None,
            early => {
                // They may sit in a read that nothing ends but the end of the process.
                std::mem::forget((reader, parsing));
                return early;
            }
        };
        parsing.join()?;
        reader.join()??;
        Ok(stopped)
    }

    fn take(
        &mut self,
        signals: &Signals,
        batches: &Receiver<Batch>,
    ) -> Outcome<Option<&'static str>> {
        loop {
            select! {
                recv(signals.stop()) -> name => return Ok(name.ok()),
                recv(batches) -> batch => match batch {
                    Ok(batch) => self.append(batch)?,
                    Err(_the_end) => return Ok(None),
                },
                recv(after(TICK)) -> _ => {}
            }
            self.progress.set_of(self.inputs.bytes_read(), self.tally.appended(), "records");
        }
    }

    fn append(&mut self, batch: Batch) -> Outcome<()> {
        let records = batch.records();
        if !records.is_empty() {
            self.log.append_batch(&records)?;
        }
        self.tally.add(&records);
        for (place, why) in &batch.refused {
            let name = self.inputs.name(place.input);
            self.tally.refuse(name, place.line, why, &self.progress);
        }
        self.done.note(&batch.until, self.log.engine().env().clock.monotonic_nanos())?;
        batch.given_up.map_or(Ok(()), |why| Err(Failure::Usage(why)))
    }
}
