//! What becomes of the records of one request: those that are taken, and how many are not.
//!
//! ```text
//!   resource --> Origin: source, members    record --> Draft --> raw --> Batch
//!   service.name, else host.name, else "otlp" is the source
//! ```
//!
//! I1. The records of a request are at most [`RECORDS_MAX`], of [`BYTES_MAX`] in all: a resource is written into each of
//!     its records, so that a small request could have large ones.

use super::line::{Draft, Shared, push_name, push_text};
use crate::collect::batch::Batch;
use crate::collect::names::{Sources, fit, push_printable};
use crate::logs::{RAW_BYTES_MAX, Source};
use std::sync::Arc;

/// Records of one request: four times what a collector puts into one by default.
pub(super) const RECORDS_MAX: usize = 32_768;

/// Bytes of the records of one request: 8,192 with 1 KiB of resource and 3 KiB of their own.
pub(super) const BYTES_MAX: usize = 32 << 20;

/// What a source is called whose resource does not say it.
const NAMELESS: &str = "otlp";

/// Why a request cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not what it says that it is; sending it again is of no use.
    Malformed(String),
    /// It has too much in it, of this.
    TooLarge(&'static str),
}

impl From<super::wire::Malformed> for Refused {
    fn from(_: super::wire::Malformed) -> Refused {
        Refused::Malformed("it is no ExportLogsServiceRequest in protocol buffers".into())
    }
}

/// Collects the records of one request.
pub(crate) struct Intake<'a> {
    sources: &'a mut Sources,
    now: u64,
    batch: Batch,
    rejected: u64,
}

/// What a resource says.
#[derive(Default)]
pub(super) struct Origin {
    service: String,
    host: String,
    /// Members of an object.
    members: Vec<u8>,
}

/// A resource, ready for its records.
pub(super) struct Place {
    source: Arc<Source>,
    members: Vec<u8>,
}

impl Origin {
    /// Takes an attribute: its name, its value if that is text, and as JSON.
    pub(super) fn attribute(&mut self, name: &[u8], text: Option<&[u8]>, json: &[u8]) {
        let kept = match name {
            b"service.name" => &mut self.service,
            b"host.name" => &mut self.host,
            _ if name.starts_with(b"telemetry.sdk.") => return,
            _ => {
                push_name(name, &mut self.members);
                return self.members.extend_from_slice(json);
            }
        };
        kept.clear();
        push_printable(text.unwrap_or(json), kept);
    }
}

impl<'a> Intake<'a> {
    /// Begins a request that came at `now`, in microseconds.
    pub(crate) fn new(now: u64, sources: &'a mut Sources) -> Intake<'a> {
        Intake { sources, now, batch: Batch::default(), rejected: 0 }
    }

    /// The records that were taken, and how many were not, being too long.
    pub(crate) fn end(self) -> (Batch, u64) {
        (self.batch, self.rejected)
    }

    pub(super) fn place(&mut self, origin: Origin) -> Place {
        let Origin { service, host, mut members } = origin;
        let mut name = match (service.is_empty(), host.is_empty()) {
            (true, true) => NAMELESS.into(),
            (true, false) => host,
            (false, true) => service,
            (false, false) => {
                push_name(b"host.name", &mut members);
                push_text(host.as_bytes(), &mut members);
                service
            }
        };
        fit(&mut name);
        Place { source: self.sources.named(&name), members }
    }

    pub(super) fn record(
        &mut self,
        place: &Place,
        scope: &[u8],
        draft: &Draft<'_>,
    ) -> Result<(), Refused> {
        if self.batch.len() as u64 + self.rejected >= RECORDS_MAX as u64 {
            return Err(Refused::TooLarge("records"));
        }
        let shared = Shared { resource: &place.members, scope };
        let write = |out: &mut Vec<u8>| draft.write(shared, out);
        let ts = draft.micros(self.now);
        if !self.batch.push_with(ts, &place.source, RAW_BYTES_MAX, write) {
            self.rejected += 1;
        }
        match self.batch.raw_bytes() > BYTES_MAX {
            true => Err(Refused::TooLarge("bytes of records with their resources")),
            false => Ok(()),
        }
    }
}
