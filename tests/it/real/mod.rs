//! Stores of events and of log records in real processes on real files: killed, cut off, full, read-only.
//!
//! ```text
//!   test:   start a writer -> read what it says -> kill -9, shut the file system down, fill it ... -> open, compare
//!   writer: open, write without end, say each answer on standard error; after an error read, and wait to be told
//!   events, records   what is written and what has to be there     kill            kill -9 in a row
//!   mount             a file system of its own                     full, severed   what happens to it
//!   blocks            crash states of ext4, by a program of their own
//!   injected          failing system calls                         soak            for minutes, memory as well
//! ```
//!
//! 1. A writer says an answer when it has it, and in one write: what was said before it died can be read afterwards.
//! 2. It names what it wrote by numbers, of which everything else follows.
#![allow(clippy::print_stderr, reason = "what was counted, and why a test is left out")]

mod blocks;
mod events;
mod full;
mod injected;
mod kill;
pub mod mount;
#[cfg(feature = "logs")]
mod records;
mod severed;
mod soak;

use ratite::base::{Error, Result};
use ratite::shard::SyncMode;
use ratite::store::Options;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

/// The sync modes by the names that the environment has for them.
const SYNC_MODES: [(&str, SyncMode); 3] =
    [("always", SyncMode::Always), ("batch", SyncMode::BATCH), ("never", SyncMode::Never)];

/// What is written, and how it is compared.
pub trait Kind {
    /// What it is called.
    const NAME: &'static str;
    /// The test that is the writer, as it is named on a command line.
    const WRITER: &'static str;
    type Store;
    /// All answers that a store has given.
    type Told: Default;

    fn open(dir: &Path, options: Options) -> Result<Self::Store>;

    /// Writes from number `from` on until it fails; where to go on, and why it ended.
    fn write(store: &Self::Store, from: u64, say: &mut dyn FnMut(String)) -> (u64, Error);

    /// Reads everything; how much that is.
    fn read(store: &Self::Store) -> Result<u64>;

    /// Segments that the store has.
    fn segments(store: &Self::Store) -> u64;

    fn close(store: Self::Store) -> Result<()>;

    /// Keeps an answer.
    fn tell(told: &mut Self::Told, answer: &str);

    /// Keeps that a later answer was on its way, so that its write may be there.
    fn submitted(_told: &mut Self::Told, _answer: &str) {}

    /// Everything that was answered is there, and nothing that was not written.
    fn check(store: &Self::Store, told: &Self::Told) -> Checked;
}

/// What a comparison found.
pub struct Checked {
    /// Records that are there.
    pub found: u64,
    /// The number from which a writer may go on.
    pub next: u64,
}

/// Small files, so that little is needed for flushes and merges; or larger ones.
fn options(sync: SyncMode, large: bool) -> Options {
    let mut options = Options::tiny();
    options.threads = true;
    options.sync = sync;
    if large {
        (options.memtable_bytes, options.log_file_bytes) = (Some(8 << 20), 16 << 20);
        (options.memory_bytes, options.ring_bytes) = (192 << 20, 4 << 20);
    }
    options
}

/// Something that a writer says.
#[derive(Debug)]
pub enum Said {
    /// This was answered.
    Ack(String),
    /// A write failed with this.
    Failed(String),
    /// After that so much was read.
    Read(u64),
    /// Or that failed too.
    Unread(String),
    /// It has closed the store, or could not after a failure.
    Closed,
}

/// A process that writes to a store; it ends with the test.
pub struct Writer {
    child: Child,
    pid: String,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Writer {
    /// Starts one on the store in `dir`, from number `from` on.
    pub fn start<K: Kind>(dir: &Path, sync: SyncMode, large: bool, from: u64) -> Writer {
        Writer::start_under::<K>(&[], dir, sync, large, from)
    }

    /// The same, as an argument of another program, which runs it.
    pub fn start_under<K: Kind>(
        runner: &[&str],
        dir: &Path,
        sync: SyncMode,
        large: bool,
        from: u64,
    ) -> Writer {
        let started = Writer::try_start_under::<K>(runner, dir, sync, large, from);
        started.expect("it says who it is")
    }

    /// The same; nothing if it ends before it says who it is.
    pub fn try_start_under<K: Kind>(
        runner: &[&str],
        dir: &Path,
        sync: SyncMode,
        large: bool,
        from: u64,
    ) -> Option<Writer> {
        let (name, _) = SYNC_MODES.iter().find(|(_, mode)| *mode == sync).unwrap();
        let itself = std::env::current_exe().unwrap();
        let mut command = match runner {
            [] => Command::new(itself),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(itself);
                command
            }
        };
        let mut child = command
            .args([K::WRITER, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env("RATITE_WRITER_DIR", dir)
            .env("RATITE_WRITER_SYNC", name)
            .env("RATITE_WRITER_LARGE", if large { "1" } else { "0" })
            .env("RATITE_WRITER_FROM", from.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, err) = (child.stdin.take(), child.stderr.take().unwrap());
        let mut lines = BufReader::new(err).lines();
        let Some(first) = lines.next() else {
            child.wait().unwrap();
            return None;
        };
        let first = first.unwrap();
        let pid = first.strip_prefix("pid ").unwrap_or_else(|| panic!("{first}")).into();
        Some(Writer { child, pid, input, lines })
    }

    /// What it says next; nothing if it has ended.
    pub fn next(&mut self) -> Option<Said> {
        let line = self.lines.next()?.ok()?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        Some(match word {
            "unread" => Said::Unread(rest.into()),
            "ack" => Said::Ack(rest.into()),
            "failed" => Said::Failed(rest.into()),
            "read" => Said::Read(rest.parse().unwrap()),
            "closed" => Said::Closed,
            _ => panic!("the writer says: {line}"),
        })
    }

    /// kill -9; what it had said can be read still.
    pub fn kill(&mut self) {
        let killed = Command::new("kill").args(["-KILL", &self.pid]).status();
        assert!(killed.unwrap().success());
    }

    /// Has one that failed write again.
    pub fn go_on(&mut self) {
        writeln!(self.input.as_mut().unwrap(), "on").unwrap();
    }

    /// Has one that failed close its store and end.
    pub fn end(&mut self) {
        self.input = None;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It has ended already if the test went well; otherwise what runs it ends with it.
        if std::thread::panicking() {
            let _killed = Command::new("kill").args(["-KILL", &self.pid]).status();
        }
        self.input = None;
        let _waited = self.child.wait();
    }
}

/// A variable that says what a process that is no test by itself has to do.
fn said_to(name: &str) -> Option<String> {
    std::env::var(format!("RATITE_{name}")).ok()
}

fn sync_mode(name: &str) -> SyncMode {
    let mode = SYNC_MODES.iter().find(|(known, _)| *known == name);
    mode.unwrap_or_else(|| panic!("{name} is no sync mode")).1
}

/// The writer, if the environment says that this process is one.
fn be_writer<K: Kind>() {
    let Some(dir) = said_to("WRITER_DIR") else { return };
    let word = |name| said_to(name).unwrap();
    // One write, so that a kill cannot cut a line in two; no lock is held, so that others can panic.
    let say = |line: String| std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
    say(format!("pid {}", std::process::id()));
    let options = options(sync_mode(&word("WRITER_SYNC")), word("WRITER_LARGE") == "1");
    let store = match K::open(Path::new(&dir), options) {
        Ok(store) => store,
        Err(error) => return say(format!("failed {} {error}", error.code())),
    };
    let mut next = word("WRITER_FROM").parse().unwrap();
    loop {
        let (then, error) = K::write(&store, next, &mut |ack| say(format!("ack {ack}")));
        say(format!("failed {} {error}", error.code()));
        say(match K::read(&store) {
            Ok(count) => format!("read {count}"),
            Err(error) => format!("unread {} {error}", error.code()),
        });
        next = then;
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).unwrap() == 0 {
            break;
        }
    }
    match K::close(store) {
        Ok(()) => say("closed".into()),
        Err(error) => say(format!("closed {} {error}", error.code())),
    }
}

/// Opens the store in `dir` and compares it with what a writer was answered.
fn reopened<K: Kind>(dir: &Path, sync: SyncMode, large: bool, told: &K::Told) -> (Checked, u64) {
    let store = K::open(dir, options(sync, large)).unwrap();
    let (checked, segments) = (K::check(&store, told), K::segments(&store));
    K::close(store).unwrap();
    (checked, segments)
}

/// Compares the store in a directory with a file of answers, for programs that make their own disks
/// (tests/blkrec).
fn be_checker<K: Kind>() {
    let Some(dir) = said_to("CHECK_DIR") else { return };
    let mut told = K::Told::default();
    let acks = std::fs::read_to_string(said_to("CHECK_ACKS").unwrap()).unwrap();
    acks.lines().for_each(|ack| K::tell(&mut told, ack));
    K::submitted(&mut told, &said_to("CHECK_LAST").unwrap());
    let (checked, segments) = reopened::<K>(Path::new(&dir), SyncMode::Always, false, &told);
    eprintln!("checked {} {segments}", checked.found);
}
