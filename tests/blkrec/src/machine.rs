//! A machine with the recorded device: mounts, the writer on it, and the checker on disks that are made of its log.

use crate::Task;
use crate::device::{Device, Entry, Log, NAME};
use fuser::{BackgroundSession, Config};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Errors are for people.
pub type Fallible<T> = Result<T, String>;

/// The recorded device with ext4 on it.
pub struct Machine {
    device: Device,
    room: PathBuf,
    session: Option<BackgroundSession>,
    looped: Option<String>,
}

/// How a run went.
pub struct Run {
    pub answers: usize,
    /// Where its entries begin in the log.
    pub begin: usize,
    /// The last that the writer said besides answers.
    pub said: String,
}

impl Machine {
    /// Makes the device and mounts ext4 on it.
    pub fn start(bytes: usize) -> Fallible<Machine> {
        let room = std::env::temp_dir().join(format!("blkrec-{}", std::process::id()));
        let device = Device::new(bytes);
        let mut machine = Machine { device, room, session: None, looped: None };
        for dir in ["fuse", "mounted"] {
            fs::create_dir_all(machine.room.join(dir)).map_err(|error| error.to_string())?;
        }
        let skipped = |why| format!("SKIPPED blkrec: {why}");
        let session = fuser::spawn_mount(
            machine.device.clone(),
            machine.room.join("fuse"),
            &Config::default(),
        );
        machine.session = Some(session.map_err(|error| skipped(format!("no FUSE here: {error}")))?);
        let file = machine.room.join("fuse").join(NAME);
        let looped = output(Command::new("losetup").args(["-f", "--show"]).arg(file));
        machine.looped = Some(looped.map_err(skipped)?.trim().into());
        let device = machine.looped.clone().unwrap_or_default();
        output(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", &device]))?;
        output(Command::new("mount").arg(&device).arg(machine.mounted())).map_err(skipped)?;
        output(&mut Command::new("sync"))?;
        Ok(machine)
    }

    fn mounted(&self) -> PathBuf {
        self.room.join("mounted")
    }

    /// Runs a writer until it has so many answers or, on a device that fails, has met that.
    pub fn record(
        &mut self,
        task: &Task,
        answers: usize,
        fails_after: Option<usize>,
    ) -> Fallible<Run> {
        let begin = {
            let mut state = self.device.state();
            state.fails_after = fails_after;
            state.log.len()
        };
        let mut writer = Command::new(&task.tests)
            .args([&format!("real::{}::writer", task.kind), "--exact", "--ignored", "--nocapture"])
            .env("RATITE_WRITER_DIR", self.mounted().join("store"))
            .env("RATITE_WRITER_SYNC", &task.sync)
            .env("RATITE_WRITER_LARGE", "0")
            .env("RATITE_WRITER_FROM", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", task.tests.display()))?;
        let (mut run, mut said) = (Run { answers: 0, begin, said: String::new() }, Vec::new());
        let lines = BufReader::new(writer.stderr.take().ok_or("no pipe")?).lines();
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("ack ") {
                Some(answer) => {
                    run.answers += 1;
                    self.device.state().log.0.push(Entry::Answer(answer.into()));
                }
                None if line.contains("panicked") => return Err(line),
                None => said.push(line),
            }
            if run.answers == answers {
                writer.kill().map_err(|error| error.to_string())?;
            }
        }
        writer.wait().map_err(|error| error.to_string())?;
        run.said = said.iter().skip(1).cloned().collect::<Vec<_>>().join("; ");
        Ok(run)
    }

    /// Takes everything down; the log, also of what unmounting wrote.
    pub fn stop(mut self) -> Fallible<Log> {
        self.take_down();
        Ok(std::mem::take(&mut self.device.state().log))
    }

    fn take_down(&mut self) {
        // In the order in which they hold each other; what is not there any more need not be taken down.
        // The ring of a writer that was killed may hold its files for a moment.
        let gone = (0..500).any(|_| output(Command::new("umount").arg(self.mounted())).is_ok());
        if !gone {
            let _later = output(Command::new("umount").arg("-l").arg(self.mounted()));
        }
        if let Some(looped) = self.looped.take() {
            let _gone = output(Command::new("losetup").args(["-d", &looped]));
        }
        if let Some(session) = self.session.take() {
            let _ended = session.umount_and_join();
        }
        let _removed = fs::remove_dir_all(&self.room);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// Mounts a disk and has the test binary compare its store with the answers; `last` is the last of the run.
pub fn check(task: &Task, disk: Vec<u8>, acks: &[&str], last: &str) -> Fallible<String> {
    let room = std::env::temp_dir().join(format!("blkrec-state-{}", std::process::id()));
    let mounted = room.join("mounted");
    let failed = |error: std::io::Error| error.to_string();
    fs::create_dir_all(&mounted).map_err(failed)?;
    fs::write(room.join("image"), disk).map_err(failed)?;
    fs::write(room.join("acks"), acks.join("\n")).map_err(failed)?;
    output(Command::new("mount").args(["-o", "loop"]).arg(room.join("image")).arg(&mounted))?;
    let checked = checker(task, &mounted, &room.join("acks"), last);
    output(Command::new("umount").arg(&mounted))?;
    checked
}

fn checker(task: &Task, mounted: &Path, acks: &Path, last: &str) -> Fallible<String> {
    let ran = Command::new(&task.tests)
        .args([&format!("real::{}::checker", task.kind), "--exact", "--ignored", "--nocapture"])
        .env("RATITE_CHECK_DIR", mounted.join("store"))
        .env("RATITE_CHECK_ACKS", acks)
        .env("RATITE_CHECK_LAST", last)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    match ran.status.success() && said.contains("checked ") {
        true => Ok(said),
        false => Err(said.lines().take(6).collect::<Vec<_>>().join(" | ")),
    }
}

/// Runs a command; what it wrote, or why it did not go well.
fn output(command: &mut Command) -> Fallible<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
