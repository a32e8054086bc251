//! Reads ahead: what `PagedFile::prefetch` hands to a shard's ring, and what comes back.
//!
//! ```text
//!   prefetch --FetchRead { op, token }--> Fetch --op--> ring --Done { result, buf }--> token.complete
//! ```
//!
//! R1. The token is the claim on the page: while it lives, others wait for it; when it goes, completed
//!     or not, they are woken and read for themselves what is not there.
//! R2. The operation's buffer is the frame (M3 of `frames`): whichever of token and buffer goes last
//!     frees the frame, so that a ring may drop tokens while the kernel still writes.
//! R3. Bytes are published only after their checksum held, and only if the page was not read
//!     otherwise in the meantime.
//!
//! A failed read ahead is silent: who needs the page reads it, and gets the error.

use super::file::PagedFile;
use super::frames::{Leased, Taken};
use crate::base::Result;
use crate::io::{Buf, Op};
use std::fmt;
use std::sync::Arc;

/// Reads pages on behalf of `prefetch`; a shard does it with its ring.
pub trait Fetch: Send + Sync {
    /// Starts `reads` and returns; called by any thread. Reads may be dropped, which gives them up.
    fn fetch(&self, reads: Vec<FetchRead>);

    /// Whether the calling thread is the one that completes the reads. It never waits for them then: a
    /// page that is on its way is read once more, by the thread itself.
    fn completes_here(&self) -> bool {
        false
    }
}

/// One page to be read ahead.
pub struct FetchRead {
    op: Op,
    token: FetchToken,
}

impl FetchRead {
    pub(super) fn new(
        file: Arc<PagedFile>,
        number: u32,
        taken: Taken,
        was_ghost: bool,
    ) -> FetchRead {
        let frame = taken.frame();
        let (buf, leased) = taken.lease();
        let op = Op::Read { file: Arc::clone(file.file()), offset: file.offset(number), buf };
        FetchRead { op, token: FetchToken { leased: Some(leased), file, number, frame, was_ghost } }
    }

    /// The operation, always an `Op::Read` of one page, and the token to complete with its buffer.
    pub fn into_parts(self) -> (Op, FetchToken) {
        (self.op, self.token)
    }
}

impl fmt::Debug for FetchRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchRead({:?})", self.token)
    }
}

/// The claim on a page that is being read ahead.
pub struct FetchToken {
    leased: Option<Arc<Leased>>,
    file: Arc<PagedFile>,
    number: u32,
    frame: u32,
    was_ghost: bool,
}

impl FetchToken {
    /// Ends the read: checks the page, publishes it, wakes who waits for it. After a failure, or with
    /// a buffer that is not the operation's, the claim is released.
    pub fn complete(mut self, result: Result<()>, buf: Buf) {
        let lent = self.leased.as_ref().is_some_and(|l| l.lent(&buf));
        let good = result.is_ok() && lent && self.file.check(&buf, self.number).is_ok();
        drop(buf); // the other share of the lease
        if !good {
            return; // the claim goes with `self`
        }
        match self.leased.take().map(Arc::try_unwrap) {
            Some(Ok(leased)) => {
                self.file.publish_ahead(leased.into_taken(), self.number, self.was_ghost);
            }
            Some(Err(shared)) => self.leased = Some(shared),
            None => {}
        }
    }
}

impl Drop for FetchToken {
    fn drop(&mut self) {
        // The claim goes before the lease does, which is a field: once the frame is free it may be
        // claimed for this very page again, and that claim is not ours to release.
        if self.leased.is_some() {
            self.file.release(self.number, self.frame);
        }
    }
}

impl fmt::Debug for FetchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {} of {}", self.number, self.file.path().display())
    }
}
