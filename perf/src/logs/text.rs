//! The lines as text: ripgrep on it, ripgrep on what zstd made of it, and how small zstd makes it.

use super::lines::Lines;
use super::peer::Peer;
use super::questions::{Answer, Digest, Question};
use crate::Result;
use crate::clock::children_cpu;
use crate::figure::{Figures, round};
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Bytes that zstd gets to compress as well as it can, which takes a second a megabyte.
const BEST_BYTES: u64 = 16_000_000;

/// ripgrep and a file.
struct Text {
    name: &'static str,
    file: PathBuf,
    /// The file is compressed.
    is_packed: bool,
}

/// Writes and compresses the text, unless it is there.
pub fn load(dir: &Path, lines: &Lines, figures: &mut Figures) -> Result<Vec<Box<dyn Peer>>> {
    let (plain, packed) = (dir.join("lines.txt"), dir.join("lines.txt.zst"));
    if !packed.exists() {
        lines.write(&plain)?;
        pack(&plain, &["-3", "-T1"], &packed, lines.count, figures)?;
        let some = dir.join("some.txt");
        let mut part = std::io::Read::take(std::fs::File::open(&plain)?, BEST_BYTES);
        std::io::copy(&mut part, &mut std::fs::File::create(&some)?)?;
        for level in [&["-3", "-T1"][..], &["-19", "--long", "-T1"]] {
            pack(&some, level, &dir.join("some.txt.zst"), 0, figures)?;
        }
        std::fs::remove_file(&some)?;
        std::fs::remove_file(dir.join("some.txt.zst"))?;
    }
    Ok(vec![
        Box::new(Text { name: "ripgrep", file: plain, is_packed: false }),
        Box::new(Text { name: "ripgrep -z on zstd -3", file: packed, is_packed: true }),
    ])
}

/// Compresses a file, and adds the figure of it. No `lines`: only the beginning.
fn pack(from: &Path, options: &[&str], to: &Path, lines: u64, figures: &mut Figures) -> Result<()> {
    let (started, cpu) = (Instant::now(), children_cpu());
    let words = [OsStr::new("-qf"), from.as_os_str(), OsStr::new("-o"), to.as_os_str()];
    run(Command::new("zstd").args(options).args(words))?;
    let (raw, bytes) = (from.metadata()?.len(), to.metadata()?.len());
    let values = json!({
        "lines": lines, "raw_bytes": raw, "bytes": bytes,
        "ratio": round(raw as f64 / bytes as f64),
        "seconds": round(started.elapsed().as_secs_f64()),
        "cpu_seconds": round((children_cpu() - cpu) as f64 / 1e9),
    });
    let what = if lines > 0 { "the text" } else { "16 MB of the text" };
    let row = format!("zstd {}, {what}", options[..options.len() - 1].join(" "));
    eprintln!("{row}: {values}");
    figures.add("logs", "zstd", &row, values)
}

/// Unpacks the text, if it is there, to nowhere.
pub fn unpack(dir: &Path, figures: &mut Figures) -> Result<()> {
    let (plain, packed) = (dir.join("lines.txt"), dir.join("lines.txt.zst"));
    if !packed.exists() {
        return Ok(());
    }
    let (started, cpu) = (Instant::now(), children_cpu());
    run(Command::new("zstd").arg("-dcq").arg(&packed).stdout(Stdio::null()))?;
    let cpu = (children_cpu() - cpu) as f64 / 1e9;
    let raw = plain.metadata()?.len() as f64;
    let values = json!({
        "raw_bytes": raw, "seconds": round(started.elapsed().as_secs_f64()),
        "cpu_seconds": round(cpu), "mb_per_cpu_second": round(raw / 1e6 / cpu),
    });
    eprintln!("zstd -d: {values}");
    figures.add("logs", "zstd", "scan of all, oldest first", values)
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let out = command.stderr(Stdio::inherit()).output()?;
    // ripgrep says by 1 that there is nothing.
    match out.status.code() {
        Some(0 | 1) => Ok(out.stdout),
        code => Err(format!("{command:?} ended with {code:?}").into()),
    }
}

impl Peer for Text {
    fn name(&self) -> &str {
        self.name
    }

    /// It knows neither times nor sources.
    fn answers(&self, question: &Question) -> bool {
        let bounded = question.from.is_some() || question.to.is_some();
        let rows = question.answer == Answer::Rows && !question.newest;
        !bounded
            && question.source.is_none()
            && question.tokens.len() == 1
            && (rows || question.answer == Answer::Count)
    }

    fn ask(&mut self, lines: &Lines, question: &Question) -> Result<Digest> {
        let mut rg = Command::new("rg");
        rg.args(["--no-config", "-N", "-i", "-w", "-F"]);
        if self.is_packed {
            rg.arg("-z");
        }
        if question.answer == Answer::Count {
            rg.arg("-c");
        }
        let out = run(rg.arg("--").arg(&question.tokens[0]).arg(&self.file))?;
        if question.answer == Answer::Count {
            return Ok(Digest::count(String::from_utf8(out)?.trim().parse().unwrap_or(0)));
        }
        // The text has no times beside the lines; of a line that is known it is known.
        let ts = question.known.map_or(0, |known| lines.generator.about(known).ts);
        let mut digest = Digest::default();
        out.split(|b| *b == b'\n').filter(|line| !line.is_empty()).for_each(|l| digest.row(ts, l));
        Ok(digest)
    }

    fn calls_max(&self) -> usize {
        if self.is_packed { 5 } else { 15 }
    }

    fn clock(&self) -> fn() -> u64 {
        children_cpu
    }

    fn files(&self) -> PathBuf {
        self.file.clone()
    }

    fn reopen(&mut self) -> Result<()> {
        Ok(())
    }
}
