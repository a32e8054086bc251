//! What a look at a store finds: findings, one a place, and counts.
//!
//! A problem is damage, or something that contradicts what another file says. A note is worth a line and
//! no more: left-overs of a crash, which the next opening removes, and the torn tail of a log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Findings that a report keeps; all are counted, and all are handed to the witness.
const FINDINGS_MAX: usize = 10_000;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Damage.
    Problem,
    /// Nothing is lost by it.
    Note,
}

/// One place that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// The byte at which the damaged page, block or header begins; `None` if the file as a whole is meant.
    pub offset: Option<u64>,
    /// A word for programs: `page`, `header`, `record`, `posting`, `filter`, `id-index`, `count`, `manifest`,
    /// `store`, `log`, `text`, `missing`, `padding`; of notes `torn`, `orphan`, `unknown`.
    pub kind: &'static str,
    /// What does not hold.
    pub what: String,
}

/// How much was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Files.
    pub files: u64,
    /// Bytes of them, each once.
    pub bytes: u64,
    /// Pages of segments.
    pub pages: u64,
    /// Segments.
    pub segments: u64,
    /// Records in segments, the dead included.
    pub records: u64,
    /// The dead among them.
    pub dead: u64,
    /// Terms of all segments.
    pub terms: u64,
    /// Postings of all terms.
    pub postings: u64,
    /// Blocks of the logs, from where replay begins.
    pub blocks: u64,
    /// Entries in them.
    pub entries: u64,
}

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The first 10,000 findings.
    pub findings: Vec<Finding>,
    /// All files with problems.
    pub damaged: BTreeSet<PathBuf>,
    /// How many problems there are.
    pub problems: u64,
    /// How many notes there are.
    pub notes: u64,
    /// How much was looked at.
    pub counts: Counts,
    /// How long it took.
    pub nanos: u64,
}

impl Report {
    /// Whether there is no problem.
    pub fn is_healthy(&self) -> bool {
        self.problems == 0
    }

    /// The problems among what is kept.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Problem)
    }

    /// Whether `path` has a problem.
    pub fn is_damaged(&self, path: &Path) -> bool {
        self.damaged.contains(path)
    }
}

/// Who is told while it goes on.
pub trait Witness {
    /// Something was found.
    fn finding(&mut self, finding: &Finding) {
        let _unheard = finding;
    }

    /// So much was looked at by now, of files that have `total` bytes.
    fn progress(&mut self, counts: &Counts, total: u64) {
        let _unseen = (counts, total);
    }
}

/// Nobody.
impl Witness for () {}

/// A report in the making, and who is told of it.
pub(super) struct Notebook<'a> {
    pub(super) report: Report,
    pub(super) witness: &'a mut dyn Witness,
    /// Bytes of all files, as far as they are known by now.
    pub(super) total: u64,
}

impl Notebook<'_> {
    pub(super) fn add(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Problem => {
                self.report.problems += 1;
                if !self.report.is_damaged(&finding.path) {
                    self.report.damaged.insert(finding.path.clone());
                }
            }
            Severity::Note => self.report.notes += 1,
        }
        self.witness.finding(&finding);
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }

    pub(super) fn problem(
        &mut self,
        path: &Path,
        offset: impl Into<Option<u64>>,
        kind: &'static str,
        what: impl Into<String>,
    ) {
        let (path, offset, what) = (path.to_path_buf(), offset.into(), what.into());
        self.add(Finding { severity: Severity::Problem, path, offset, kind, what });
    }

    pub(super) fn note(
        &mut self,
        path: &Path,
        offset: impl Into<Option<u64>>,
        kind: &'static str,
        what: impl Into<String>,
    ) {
        let (path, offset, what) = (path.to_path_buf(), offset.into(), what.into());
        self.add(Finding { severity: Severity::Note, path, offset, kind, what });
    }

    /// Takes note of so many more bytes.
    pub(super) fn read(&mut self, bytes: u64) {
        self.report.counts.bytes += bytes;
        self.witness.progress(&self.report.counts, self.total);
    }
}
