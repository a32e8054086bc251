//! A plugin's process: started by a shell, ended with all that it has started.
//!
//! 1. It has a process group of its own: a signal to the relay's terminal does not end it before the
//!    relay does, and the group can be ended as one, the shell and what runs in it.
//! 2. The end is its standard input's end, a moment to finish, then SIGKILL.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::lines::{Line, Lines};

/// How long a plugin may take to end by itself.
const FINISH: Duration = Duration::from_secs(1);

/// Bytes of one line of its standard error.
const LOG_LINE_BYTES_MAX: usize = 4096;

/// A plugin that runs.
pub(super) struct Process {
    child: Child,
    /// `None` once it is to end.
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: ChildStdout,
    log: JoinHandle<()>,
}

impl Process {
    /// Starts `command`; it must be called in a runtime.
    ///
    /// # Errors
    /// If there is no shell, or no room for another process.
    pub(super) fn start(command: &str) -> io::Result<Process> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdin, Some(stdout), Some(stderr)) = ends else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Process { child, stdin, stdout, log: tokio::spawn(log(stderr)) })
    }

    /// Waits for its end, and says what that was.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("it ended ({status})"),
            Err(error) => format!("it cannot be waited for ({error})"),
        }
    }

    /// Ends it, in good time if it likes (2).
    pub(super) async fn end(mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            // It is being closed; a plugin that is gone is what is wanted.
            let _closed = stdin.shutdown().await;
        }
        if timeout(FINISH, self.child.wait()).await.is_err() {
            self.kill().await;
        }
        self.log.abort();
    }

    /// Ends it at once, and what it has started.
    pub(super) async fn kill(&mut self) {
        // Gone once it was waited for; then its number may be another's.
        if let Some(pid) = self.child.id() {
            let group = format!("kill -KILL -{pid}");
            let killed =
                Command::new("/bin/sh").args(["-c", &group]).stderr(Stdio::null()).status();
            if let Err(error) = killed.await {
                tracing::warn!(%error, "cannot end the processes of the plugin");
            }
        }
        // What is left of it is the process itself, if anything.
        let _killed = self.child.kill().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.log.abort();
    }
}

/// What it says on standard error, line by line.
async fn log(mut stderr: ChildStderr) {
    let mut lines = Lines::new(LOG_LINE_BYTES_MAX);
    let mut piece = [0; 1024];
    while let Ok(bytes @ 1..) = stderr.read(&mut piece).await {
        lines.take(&piece[..bytes], |line| match line {
            Line::Whole(line) => {
                let line = String::from_utf8_lossy(line);
                tracing::info!(target: "ratite::plugin", "{}", line.escape_debug());
            }
            Line::TooLong => tracing::info!(target: "ratite::plugin", "a line that is too long"),
        });
    }
}

/// When the file of a command last changed, if the command is a path: that is, without a blank.
pub(super) fn changed_at(command: &str) -> Option<SystemTime> {
    match command.contains(char::is_whitespace) {
        true => None,
        false => std::fs::metadata(Path::new(command)).and_then(|data| data.modified()).ok(),
    }
}
