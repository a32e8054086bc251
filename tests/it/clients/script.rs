//! Scripts of `tests/clients`, which drive a relay with libraries of others and count their checks.
//!
//! ```text
//!   missing: what is not installed --> SKIPPED, a line past the test runner's capture
//!   run:     script URL --> "N passed, 0 failed", or the test fails with all that it said
//! ```

use super::Relay;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What runs a script.
#[derive(Clone, Copy)]
pub enum Runner {
    /// node, with this package of `npm ci`.
    Node(&'static str),
    /// Python of `tests/clients/.venv`.
    Python,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

impl Runner {
    /// The command that runs `script`.
    pub fn command(self, script: &str) -> Command {
        let mut command = match self {
            Runner::Node(_) => Command::new("node"),
            Runner::Python => Command::new(directory().join(".venv/bin/python")),
        };
        command.arg(script).current_dir(directory()).stdin(Stdio::null());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Why no script can be run, if none can.
    fn missing(self) -> Option<String> {
        let works = |command: &mut Command| {
            let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        match self {
            Runner::Node(_) if !works(Command::new("node").arg("--version")) => {
                Some("node is not there; install Node.js 20 or newer".into())
            }
            Runner::Node(package) => {
                let installed = directory().join("node_modules").join(package).exists();
                (!installed)
                    .then(|| format!("{package} is not there; run `npm ci` in tests/clients"))
            }
            Runner::Python => {
                let imports = works(self.command("-c").arg("import nostr_sdk, opentelemetry.exporter.otlp.proto.http"));
                (!imports).then(|| {
                    "the packages for Python are not all there; in tests/clients run `python3 -m venv .venv` and \
                     `.venv/bin/pip install -r requirements.txt`"
                        .into()
                })
            }
        }
    }

    /// Whether scripts can be run; says that `test` is left out, if not.
    pub fn is_there(self, test: &str) -> bool {
        let missing = self.missing();
        if let Some(why) = &missing {
            // Past the test runner's capture: a test that did not run is worth a line.
            let mut past_capture = std::io::stderr();
            writeln!(past_capture, "SKIPPED {test}: {why}").unwrap();
        }
        missing.is_none()
    }

    /// Runs `script` on the relay; all its checks have to pass, and more than `least`.
    #[track_caller]
    pub fn run(self, script: &str, relay: &mut Relay, least: u32) {
        let script = self.command(script).arg(&relay.url).output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&script.stdout), String::from_utf8_lossy(&script.stderr));
        assert!(script.status.success(), "{err}{out}{}", relay.said());
        let passed = out.lines().last().and_then(|line| line.strip_suffix(" passed, 0 failed"));
        let passed: u32 = passed.expect(&out).parse().unwrap();
        assert!(passed > least, "{passed} checks only");
    }
}

/// A script on an empty relay of its own.
fn drive(runner: Runner, script: &str, test: &str, least: u32) {
    if !runner.is_there(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(dir.path(), &[]);
    runner.run(script, &mut relay, least);
    relay.stop();
}

#[test]
fn nostr_tools_syncs_searches_deletes_and_keeps_secrets() {
    let test = "nostr_tools_syncs_searches_deletes_and_keeps_secrets";
    drive(Runner::Node("nostr-tools"), "nips.mjs", test, 28);
}

#[test]
fn ndk_finds_what_it_expects() {
    drive(Runner::Node("@nostr-dev-kit/ndk"), "ndk.mjs", "ndk_finds_what_it_expects", 22);
}

#[test]
fn nostr_sdk_of_python_finds_what_it_expects() {
    let test = "nostr_sdk_of_python_finds_what_it_expects";
    drive(Runner::Python, "python-sdk.py", test, 18);
}
