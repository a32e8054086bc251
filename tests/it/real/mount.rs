//! A small file system of its own for a test, on a loop device or in memory. Only root can mount; others leave the test
//! out and say so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fs {
    Ext4,
    Xfs,
    Tmpfs,
}

/// A mounted file system; it is gone with the test.
pub struct Mounted {
    fs: Fs,
    room: TempDir,
    options: String,
}

impl Mounted {
    /// Makes and mounts one of so many MiB; nothing if that cannot be done here.
    pub fn make(fs: Fs, mib: u64, options: &str, test: &str) -> Option<Mounted> {
        let room = tempfile::tempdir().unwrap();
        let options = match fs {
            Fs::Tmpfs => format!("size={mib}m{options}"),
            _ => format!("loop{options}"),
        };
        let mounted = Mounted { fs, room, options };
        fs::create_dir(mounted.path()).unwrap();
        let made = match fs {
            Fs::Tmpfs => Ok(()),
            Fs::Ext4 => mounted.format(mib, &["mkfs.ext4", "-q", "-F", "-b", "4096"]),
            Fs::Xfs => mounted.format(mib.max(300), &["mkfs.xfs", "-q", "-f"]),
        };
        match made.and_then(|()| mounted.mount()) {
            Ok(()) => Some(mounted),
            Err(why) => {
                skipped(test, &why);
                None
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.room.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.room.path().join("image")
    }

    fn format(&self, mib: u64, command: &[&str]) -> Result<(), String> {
        File::create(self.image()).unwrap().set_len(mib << 20).unwrap();
        ran(Command::new(command[0]).args(&command[1..]).arg(self.image()))
    }

    fn mount(&self) -> Result<(), String> {
        let mut command = Command::new("mount");
        match self.fs {
            Fs::Tmpfs => command.args(["-t", "tmpfs", "-o", &self.options, "tmpfs"]),
            _ => command.args(["-o", &self.options]).arg(self.image()),
        };
        ran(command.arg(self.path()))
    }

    /// Unmounts and mounts it.
    pub fn again(&self) {
        ran(Command::new("umount").arg(self.path())).unwrap();
        self.mount().unwrap();
    }

    /// Cuts the file system off at once, as if its power had failed: nothing that is not on the disk will be.
    pub fn shut_down(&self) {
        ran(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(self.path())).unwrap();
    }

    /// Has the file system find an error of its own, after which it is read-only.
    pub fn break_ext4(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let path = self.path();
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == path.to_str()).unwrap();
        let device = Path::new(line.split(' ').next().unwrap()).file_name().unwrap();
        let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
        fs::write(trigger, "a test").unwrap();
    }

    /// What is left of its space, less what is kept for root.
    pub fn free_mib(&self) -> usize {
        let told = Command::new("df").args(["--output=avail", "-B1M"]).arg(self.path()).output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        told.lines().last().unwrap().trim().parse().unwrap()
    }

    /// Takes so much of its space.
    pub fn take(&self, name: &str, mib: usize) {
        fs::write(self.path().join(name), vec![1; mib << 20]).unwrap();
        ran(Command::new("sync").arg(self.path().join(name))).unwrap();
    }

    /// Gives it back.
    pub fn free(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
        // ext4 frees blocks with the next commit of its journal.
        ran(Command::new("sync").arg("-f").arg(self.path())).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: after a failure a process may still be in it.
        let _gone = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Runs a command; why it did not go well.
fn ran(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Whether a program is there; says that a test is left out, if not.
pub fn is_there(program: &str, test: &str) -> bool {
    let there = ran(Command::new(program).arg("-V"));
    there.map_err(|why| skipped(test, &why)).is_ok()
}

/// Says past what captures the output of tests that one is left out.
pub fn skipped(test: &str, why: &str) {
    use std::io::Write;
    let mut past_capture = std::io::stderr();
    writeln!(past_capture, "SKIPPED {test}: {why}").unwrap();
}
