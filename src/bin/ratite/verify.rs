//! `ratite verify`: proves a store whole, or names what is not, and changes nothing.

use crate::failure::{Failure, Outcome};
use crate::output::{Text, say};
use crate::progress::Progress;
use crate::store::StoreArgs;
use ratite::maintain::{Counts, Finding, Report, Severity, Witness, verify};
use serde_json::json;

/// Options of `ratite verify`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub fn run(args: &Args) -> Outcome<()> {
    let env = args.store.env()?;
    let model = args.store.model(&env)?;
    let mut voice = Voice::new(args.json);
    let report = verify::run(&env, &args.store.data, &model, &mut voice);
    voice.end()?;
    let report = report?;
    say(format_args!("{}", summary(&report)));
    if report.is_healthy() { Ok(()) } else { Err(Failure::Said) }
}

/// Says findings as they come, and shows how far it is.
pub struct Voice {
    json: bool,
    out: Text,
    failed: Option<Failure>,
    progress: Option<Progress>,
}

impl Voice {
    pub fn new(json: bool) -> Voice {
        Voice { json, out: Text::open(), failed: None, progress: None }
    }

    /// Takes the bar away, and says whether all could be said.
    pub fn end(&mut self) -> Outcome<()> {
        if let Some(progress) = self.progress.take() {
            progress.clear();
        }
        self.out.flush()?;
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl Witness for Voice {
    fn finding(&mut self, finding: &Finding) {
        let line = line_of(finding, self.json);
        let mut write = || self.out.line(&line).err();
        let failed = match &self.progress {
            Some(progress) => {
                let mut failed = None;
                progress.aside(|| failed = write());
                failed
            }
            None => write(),
        };
        // A reader who has had enough hears no more; the exit status still tells.
        self.failed = self.failed.take().or(failed);
    }

    fn progress(&mut self, counts: &Counts, total: u64) {
        let bar = self.progress.get_or_insert_with(|| Progress::of_bytes(Some(total)));
        bar.set(counts.bytes.min(total), counts.records + counts.entries);
    }
}

/// A finding as a line.
pub fn line_of(finding: &Finding, as_json: bool) -> String {
    let (path, kind, what) = (finding.path.display(), finding.kind, &finding.what);
    let severity = match finding.severity {
        Severity::Problem => "problem",
        Severity::Note => "note",
    };
    if as_json {
        let path = path.to_string();
        return json!({
            "severity": severity, "file": path, "offset": finding.offset, "kind": kind, "what": what,
        })
        .to_string();
    }
    let offset = finding.offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
    format!("{severity}: {path}{offset}: {kind}: {what}")
}

/// The last line.
pub fn summary(report: &Report) -> String {
    let counts = &report.counts;
    let seconds = (report.nanos as f64 / 1e9).max(1e-9);
    let mib = counts.bytes as f64 / f64::from(1 << 20);
    let verdict = match (report.problems, report.notes) {
        (0, 0) => "healthy".into(),
        (0, notes) => format!("healthy, with {notes} notes"),
        (problems, notes) => format!("{problems} problems, {notes} notes"),
    };
    format!(
        "{verdict}: {} segments with {} records ({} dead), {} terms, {} postings; {} log entries in \
         {} blocks; {mib:.1} MiB in {seconds:.2} s, {:.1} MiB/s",
        counts.segments,
        counts.records,
        counts.dead,
        counts.terms,
        counts.postings,
        counts.entries,
        counts.blocks,
        mib / seconds,
    )
}
