//! System calls of a writer that fail or kill it, by strace: whatever was answered before is there.

use super::events::Events;
use super::mount::is_there;
#[cfg(feature = "logs")]
use super::records::Records;
use super::{Kind, Said, Writer, reopened};
use ratite::shard::SyncMode;

/// Answers after which a writer whom nothing happened to is killed.
const ENOUGH: u64 = 500;

/// How the writer of a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// By the kill that was injected, or by ours.
    Killed { acks: u64 },
    /// A write failed, and the store was closed.
    Failed,
    /// Nothing of it was possible.
    Unopened,
}

/// Runs a writer of its own store under these injections, and compares the store without them.
fn run<K: Kind>(injections: &[&str]) -> End {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = vec!["strace", "-f", "-qq", "-o", "/dev/null"];
    // Only calls that are traced can be injected.
    runner.extend(["-e", "trace=io_uring_setup,io_uring_enter,fdatasync,fsync,pwrite64,fallocate"]);
    injections.iter().for_each(|injection| runner.extend(["-e", injection]));
    let mut writer = Writer::start_under::<K>(&runner, dir.path(), SyncMode::Always, false, 0);
    let (mut told, mut acks, mut failed, mut opened) = (K::Told::default(), 0, false, false);
    while let Some(said) = writer.next() {
        match said {
            Said::Ack(ack) => {
                assert!(!failed, "answered after a failure: {ack}");
                (opened, acks) = (true, acks + 1);
                K::tell(&mut told, &ack);
                if acks == ENOUGH {
                    writer.kill();
                }
            }
            Said::Failed(error) => {
                let code = error.split(' ').next().unwrap();
                assert!(["ERR_DISK_FULL", "ERR_IO", "ERR_POISONED"].contains(&code), "{error}");
                failed = true;
                writer.end();
            }
            Said::Read(_) | Said::Closed => opened = true,
            Said::Unread(error) => assert!(error.starts_with("ERR_IO"), "{error}"),
        }
    }
    drop(writer);
    reopened::<K>(dir.path(), SyncMode::Always, false, &told);
    match (failed, opened) {
        (false, _) => End::Killed { acks },
        (true, true) => End::Failed,
        (true, false) => End::Unopened,
    }
}

const NO_RING: &str = "inject=io_uring_setup:error=ENOSYS";

fn calls_fail<K: Kind>() {
    let lives = |end| matches!(end, End::Killed { acks } if acks >= ENOUGH);
    assert!(lives(run::<K>(&[])), "strace alone");
    // Without io_uring the store works by pread and pwrite.
    assert!(lives(run::<K>(&[NO_RING])));
    let mut early = 0;
    for when in [1, 2, 5, 20, 60] {
        let kill = format!("inject=io_uring_enter:signal=KILL:when={when}");
        let End::Killed { acks } = run::<K>(&[&kill]) else { panic!("{kill}") };
        early += u32::from(acks < ENOUGH);
        for fault in [
            &[&*format!("inject=io_uring_enter:error=EIO:when={when}")][..],
            &[NO_RING, &format!("inject=fdatasync:error=EIO:when={when}")],
            &[NO_RING, &format!("inject=pwrite64:error=ENOSPC:when={when}")],
        ] {
            // Some calls are not that many in a thread, and then nothing happens.
            let end = run::<K>(fault);
            eprintln!("{}: {fault:?}: {end:?}", K::NAME);
        }
    }
    assert!(early > 2, "the kills came before the end");
}

#[test]
fn system_calls_that_fail_cost_no_answered_event() {
    if is_there("strace", "system_calls_that_fail_cost_no_answered_event") {
        calls_fail::<Events>();
    }
}

#[cfg(feature = "logs")]
#[test]
fn system_calls_that_fail_cost_no_answered_log_record() {
    if is_there("strace", "system_calls_that_fail_cost_no_answered_log_record") {
        calls_fail::<Records>();
    }
}
