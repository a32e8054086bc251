//! Bugs that are planted on purpose, to judge the tests: each has to be found, or the tests are not good enough.
//!
//! ```text
//!   test: plant::with(Bug::AckBeforeSync, || hunt(..)) ---> a choice of this thread
//!   code: if planted!(AckBeforeSync) { .. }            <--- false, and gone, outside of tests
//! ```
//!
//! P1. One bug at a time, on one thread: what others do meanwhile is as it should be.

use std::cell::Cell;

/// A bug, named after what goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A group of `Always` is answered when it is written, not synced.
    AckBeforeSync,
    /// The directory is not synced behind a new log file.
    LogNameNotSynced,
    /// A block of an earlier round of a recycled log file is taken for one of this round.
    RecycledWithoutGeneration,
    /// The log goes on in the file with the torn tail.
    TornTailNotEnded,
    /// Replay looks for whole blocks behind a torn one.
    TornTailReadOn,
    /// Entries of a block are taken without a look at the checksum.
    NoCrcOnEntries,
    /// A segment is named by a manifest before it is synced.
    SegmentNotSynced,
    /// The same of its name.
    SegmentNameNotSynced,
    /// A manifest counts before it is synced.
    ManifestNotSynced,
    /// The same of its name.
    ManifestNameNotSynced,
    /// A manifest that is found whole is not made durable before what it does without goes; it stays where its sync
    /// failed, as it does if the process ends just then.
    ManifestNotSettled,
    /// The older manifest goes before the newer one is there.
    ManifestSwappedTooSoon,
    /// STORE is renamed, and the directory not synced.
    StoreNameNotSynced,
    /// Log files are given up before the manifest that does without them is durable.
    LogRecycledBeforeManifest,
    /// A merge takes the dead for alive.
    CompactionDropsTombstones,
    /// A merge forgets who died while it ran.
    CompactionLosesLateDeaths,
    /// A manifest forgets the dead.
    CheckpointDropsTombstones,
    /// A sync that failed is tried again, and its success believed.
    FailedSyncRetried,
    /// Replay steps over an entry.
    ReplaySkipsEntry,
    /// What recovery shows is not made durable.
    RecoveryNotSynced,
    /// An input of a merge goes before the manifest without it is durable.
    InputRemovedBeforeManifest,
    /// The same, while the older of the two manifests that are kept names it.
    InputRemovedWhileNamed,
    /// A batch lies in two blocks of the log.
    BatchInTwoBlocks,
    /// A drop of segments is answered before a manifest does without them.
    DropComesBack,
    /// What a record kills is not in its log entry.
    KillsNotLogged,
    /// A flush leaves out what dies by a record that is not committed yet.
    FlushBelievesUncommittedDeaths,
    /// A request of an author is stored before the gift wraps that it reaches are gone.
    RequestBeforeWraps,
    /// Where the log ends, nobody looks for a block behind it that proves that it went on.
    ProofNotLookedAt,
    /// Nor for a manifest that does.
    LogEndNotLookedAt,
    /// COUNT counts what the client may not see.
    CountOfTheHidden,
    /// Who publishes a private event that is none of his hears that it was there.
    DuplicateToldToStrangers,
    /// A request to delete is refused for a private event of others, as it is for a public one.
    DeletionRefusedByTheHidden,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 32] = [
        Bug::AckBeforeSync,
        Bug::LogNameNotSynced,
        Bug::RecycledWithoutGeneration,
        Bug::TornTailNotEnded,
        Bug::TornTailReadOn,
        Bug::NoCrcOnEntries,
        Bug::SegmentNotSynced,
        Bug::SegmentNameNotSynced,
        Bug::ManifestNotSynced,
        Bug::ManifestNameNotSynced,
        Bug::ManifestNotSettled,
        Bug::ManifestSwappedTooSoon,
        Bug::StoreNameNotSynced,
        Bug::LogRecycledBeforeManifest,
        Bug::CompactionDropsTombstones,
        Bug::CompactionLosesLateDeaths,
        Bug::CheckpointDropsTombstones,
        Bug::FailedSyncRetried,
        Bug::ReplaySkipsEntry,
        Bug::RecoveryNotSynced,
        Bug::InputRemovedBeforeManifest,
        Bug::InputRemovedWhileNamed,
        Bug::BatchInTwoBlocks,
        Bug::DropComesBack,
        Bug::KillsNotLogged,
        Bug::FlushBelievesUncommittedDeaths,
        Bug::RequestBeforeWraps,
        Bug::ProofNotLookedAt,
        Bug::LogEndNotLookedAt,
        Bug::CountOfTheHidden,
        Bug::DuplicateToldToStrangers,
        Bug::DeletionRefusedByTheHidden,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether this bug is planted on this thread.
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Calls `run` with the bug planted, also if it panics.
pub fn with<T>(bug: Bug, run: impl FnOnce() -> T) -> T {
    struct Pull;
    impl Drop for Pull {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(Some(bug));
    let _pull = Pull;
    run()
}
