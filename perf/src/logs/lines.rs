//! Lines from the seed: in batches for stores, as plain text for ripgrep, zstd and whoever wants to look.

use crate::Result;
use crate::clock::thread_cpu;
use crate::figure::round;
use ratite::logs::generate::{Config, Generator, SOURCES};
use ratite::logs::{LogRecord, Source};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Lines that are made at a time for a file.
const GROUP: u64 = 8_192;

#[derive(clap::Args)]
pub struct Args {
    /// How many.
    #[arg(long)]
    lines: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file to make.
    #[arg(long)]
    file: PathBuf,
}

/// Makes the file.
pub fn generate(args: &Args) -> Result<()> {
    let started = Instant::now();
    let (bytes, making) = Lines::new(args.seed, args.lines).write(&args.file)?;
    eprintln!(
        "{} lines, {bytes} bytes in {:.1} s, made at {} MB/s: {}",
        args.lines,
        started.elapsed().as_secs_f64(),
        round(bytes as f64 / 1e6 / making),
        args.file.display()
    );
    Ok(())
}

/// The lines of a run.
pub struct Lines {
    pub generator: Generator,
    pub config: Config,
    pub count: u64,
    /// By rank.
    pub sources: Vec<Source>,
}

/// Some lines that follow one another: bytes in one allocation.
#[derive(Default)]
pub struct Batch {
    raw: Vec<u8>,
    /// Time, rank of the source, and where the bytes end.
    lines: Vec<(u64, usize, usize)>,
}

impl Lines {
    /// The first `count` lines of `seed`.
    pub fn new(seed: u64, count: u64) -> Lines {
        let config = Config { seed, ..Config::default() };
        let generator = Generator::new(&config);
        let source = |rank| Source::named(generator.source(rank)).expect("a name that is allowed");
        let sources = (0..SOURCES).map(source).collect();
        Lines { generator, config, count, sources }
    }

    /// Makes `batch` the lines of `range`; returns the CPU nanoseconds that it took.
    pub fn fill(&self, range: Range<u64>, batch: &mut Batch) -> u64 {
        let cpu = thread_cpu();
        batch.raw.clear();
        batch.lines.clear();
        for index in range {
            let line = self.generator.line(index, &mut batch.raw);
            batch.lines.push((line.ts, line.source, batch.raw.len()));
        }
        thread_cpu() - cpu
    }

    /// Calls `f` with batches of `size` lines, one after the other; returns the CPU nanoseconds of making them.
    pub fn batches(&self, size: u64, mut f: impl FnMut(u64, &Batch) -> Result<()>) -> Result<u64> {
        let (mut batch, mut making) = (Batch::default(), 0);
        for start in (0..self.count).step_by(size as usize) {
            making += self.fill(start..self.count.min(start + size), &mut batch);
            f(start, &batch)?;
        }
        Ok(making)
    }

    /// Writes all as text; returns the bytes, and the seconds that making them took.
    pub fn write(&self, file: &Path) -> Result<(u64, f64)> {
        let mut file = File::create(file)?;
        let (mut out, mut bytes) = (Vec::new(), 0);
        let making = self.batches(GROUP, |_, batch| {
            out.clear();
            for (_, _, raw) in batch.iter() {
                out.extend_from_slice(raw);
                out.push(b'\n');
            }
            bytes += out.len() as u64;
            Ok(file.write_all(&out)?)
        })?;
        Ok((bytes, making as f64 / 1e9))
    }

    /// The time at which line `index` is due: it comes within a gap of it, or late.
    pub fn due(&self, index: u64) -> u64 {
        self.config.start_us + self.config.gap_us * index
    }
}

impl Batch {
    /// Time, rank of the source, bytes.
    pub fn iter(&self) -> impl Iterator<Item = (u64, usize, &[u8])> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|(_, _, end)| *end));
        self.lines
            .iter()
            .zip(starts)
            .map(|(&(ts, source, end), start)| (ts, source, &self.raw[start..end]))
    }

    /// As what the store takes.
    pub fn records<'a>(&'a self, sources: &'a [Source]) -> Vec<LogRecord<'a>> {
        self.iter()
            .map(|(ts, source, raw)| LogRecord { ts, source: &sources[source], raw })
            .collect()
    }

    pub fn bytes(&self) -> u64 {
        self.raw.len() as u64
    }
}
