//! Runs tests in a process of their own, bounded in processor time, memory and what they write.
//!
//! P1. No clock on the wall decides: a machine that has other things to do makes no mutant late. A process that no
//!     thread of wants to run for some seconds stands still for good.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// How often a process is looked at, and after how many looks at which nothing of it ran it is taken for hung.
const LOOK: Duration = Duration::from_millis(20);
const IDLE_LOOKS: u32 = 300;

/// Bytes of memory, and of one file, that a test may take.
const MEMORY_BYTES: u64 = 4 << 30;
const FILE_BYTES: u64 = 2 << 30;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Passed,
    Failed,
    /// It took more processor time than it may, or stood still.
    Late,
}

/// Runs `tests` of `bin` one after another with `RATITE_MUTANT` as `mutant`, for `cpu_seconds` at most; what they
/// print goes to `work/log`, their files to `work/tmp`. Returns the processor time in milliseconds.
pub fn run(
    bin: &Path,
    tests: &[&str],
    mutant: &str,
    cpu_seconds: u64,
    work: &Path,
) -> std::io::Result<(End, u64)> {
    let tmp = work.join("tmp");
    let _none = fs::remove_dir_all(&tmp);
    fs::create_dir_all(&tmp)?;
    let log = File::create(work.join("log"))?;
    let limits = [
        format!("--cpu={cpu_seconds}"),
        format!("--as={MEMORY_BYTES}"),
        format!("--fsize={FILE_BYTES}"),
        "--core=0".to_owned(),
    ];
    let mut command = Command::new("prlimit");
    command.args(limits).arg(bin).args(["--exact", "--test-threads", "1"]).args(tests);
    command.env("RATITE_MUTANT", mutant).env("TMPDIR", &tmp).stdin(std::process::Stdio::null());
    let mut child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    let (mut cpu, mut idle) = (0, 0);
    loop {
        if let Some(status) = child.try_wait()? {
            let late = !status.success() && cpu + 1000 > cpu_seconds * 1000;
            let end = if late { End::Late } else { End::Failed };
            return Ok((if status.success() { End::Passed } else { end }, cpu));
        }
        std::thread::sleep(LOOK);
        let (now, waits) = look(&child);
        idle = if waits && now == cpu { idle + 1 } else { 0 };
        cpu = now.max(cpu);
        if idle > IDLE_LOOKS {
            child.kill()?;
            child.wait()?;
            return Ok((End::Late, cpu));
        }
    }
}

/// The processor time of a process in milliseconds, and whether none of its threads wants to run.
fn look(child: &Child) -> (u64, bool) {
    let (mut ticks, mut waits) = (0, true);
    let threads = fs::read_dir(format!("/proc/{}/task", child.id()));
    for thread in threads.into_iter().flatten().flatten() {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let fields: Vec<&str> = fields.collect();
        waits &= fields.first() == Some(&"S");
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    for field in fields.skip(11).take(2) {
        ticks += field.parse::<u64>().unwrap_or_default();
    }
    (ticks * 10, waits)
}
