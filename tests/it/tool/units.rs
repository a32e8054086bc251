//! `docs/systemd`, the units that operators copy: what they keep away from the relay is there, what they start is what
//! the program understands, and systemd itself finds nothing in them, where it is on the machine.

#![allow(clippy::print_stderr, reason = "why a part of a test is left out")]

use super::*;
use std::fs;

const SERVICE: &str = include_str!("../../../docs/systemd/ratite.service");
const SOCKET: &str = include_str!("../../../docs/systemd/ratite.socket");

/// Where the units look for the program.
const PROGRAM: &str = "/usr/local/bin/ratite";

/// What the relay is kept from, each with the line that keeps it. A line that goes from the unit goes from here, with
/// a reason.
const SANDBOX: [&str; 33] = [
    "DynamicUser=yes",
    "StateDirectoryMode=0700",
    "UMask=0077",
    "AmbientCapabilities=CAP_SYS_NICE",
    "CapabilityBoundingSet=CAP_SYS_NICE",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @keyring",
    "SystemCallErrorNumber=EPERM",
    "NotifyAccess=main",
    "OOMPolicy=stop",
    "StateDirectory=ratite",
    "ConfigurationDirectory=ratite",
];

/// The exposure that systemd may find at most, in tenths: docs/operations.md says how much it is.
const EXPOSURE_MAX: u32 = 20;

/// What a directive of a unit's section is set to, each time.
fn set<'a>(unit: &'a str, section: &str, name: &str) -> Vec<&'a str> {
    let (_, body) = unit.split_once(&format!("[{section}]\n")).expect("the section");
    let body = body.split("\n[").next().unwrap();
    let pairs = body.lines().filter_map(|line| line.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
}

/// What a directive that stands there once is set to.
fn one<'a>(unit: &'a str, section: &str, name: &str) -> &'a str {
    let values = set(unit, section, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0]
}

/// The words behind the program's name in a command of the service.
fn words(name: &str) -> Vec<&'static str> {
    let mut words = one(SERVICE, "Service", name).split(' ');
    assert_eq!(words.next(), Some(PROGRAM), "{name}");
    words.collect()
}

#[test]
fn the_unit_keeps_the_relay_to_what_it_needs() {
    for line in SANDBOX {
        let (name, value) = line.split_once('=').unwrap();
        assert!(set(SERVICE, "Service", name).contains(&value), "{line} is not in the unit");
    }
    for name in SANDBOX.iter().map(|line| line.split_once('=').unwrap().0) {
        let stated = SANDBOX.iter().filter(|line| line.starts_with(&format!("{name}="))).count();
        let there = set(SERVICE, "Service", name);
        assert_eq!(there.len(), stated, "a second {name} may take the first back: {there:?}");
    }
    for opens in ["User", "ReadWritePaths", "BindPaths", "SupplementaryGroups", "DeviceAllow"] {
        assert!(set(SERVICE, "Service", opens).is_empty(), "{opens}");
    }
}

#[test]
fn what_the_unit_starts_is_what_the_program_understands() {
    let environment = one(SERVICE, "Service", "Environment");
    let (variable, data) = environment.split_once('=').unwrap();
    let in_unit =
        |args: &[&str]| -> Ran { ratite(args).env(variable, data).output().unwrap().into() };
    in_unit(&words("ExecStartPre")).well();
    let start = words("ExecStart");
    let (verb, flags) = start.split_first().unwrap();
    assert_eq!(*verb, "relay");
    in_unit(&[&["config", "--check"], flags].concat()).well();
    // Help is given for a command that is right as far as it goes.
    in_unit(&[&start[..], &["--help"]].concat()).well();
    assert_eq!(in_unit(&[&start[..], &["--no-such-flag", "--help"]].concat()).status, Some(2));
    // What it may write to is where the store is.
    let json: Value = serde_json::from_str(&in_unit(&["config", "--json"]).well()).unwrap();
    let value = |name: &str| {
        let options = json["options"].as_array().unwrap();
        options.iter().find(|option| option["name"] == name).unwrap()["value"].clone()
    };
    let state = format!("/var/lib/{}", one(SERVICE, "Service", "StateDirectory"));
    assert_eq!((data, value("store.data")), (&*state, Value::from(&*state)));
    assert_eq!(one(SERVICE, "Service", "WorkingDirectory"), state);
    assert_eq!(value("relay.listen"), one(SOCKET, "Socket", "ListenStream"));
    assert_eq!(one(SERVICE, "Service", "Type"), "notify");
    assert_eq!(one(SERVICE, "Service", "ExecReload"), "/bin/kill -HUP $MAINPID");
    assert_eq!(one(SERVICE, "Unit", "Requires"), "ratite.socket");
}

/// `systemd-analyze` with these words in `dir`; `None` if it is not here.
fn analyze(dir: &Path, words: &[&str]) -> Option<Ran> {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(words).args(["--no-pager"]).current_dir(dir).output();
    match output {
        Ok(output) => Some(output.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    // Where the program is here, or its absence would be what is found.
    let service = SERVICE.replace(PROGRAM, env!("CARGO_BIN_EXE_ratite"));
    put("ratite.service", &service);
    put("ratite.socket", SOCKET);
    let Some(version) = analyze(dir.path(), &["--version"]) else {
        eprintln!("left out: there is no systemd-analyze here");
        return;
    };
    version.well();
    let verify = |unit: &str| analyze(dir.path(), &["verify", "--man=no", unit]).unwrap();
    for unit in ["./ratite.service", "./ratite.socket"] {
        let ran = verify(unit);
        assert_eq!((ran.status, &*ran.err), (Some(0), ""), "{unit}");
    }
    let exposure = |unit: &str| {
        let ran = analyze(dir.path(), &["security", "--offline=true", unit]).unwrap().well();
        let line = ran.lines().find(|line| line.contains("exposure level")).unwrap().to_string();
        let (_, figure) = line.split_once(": ").unwrap();
        let (whole, tenth) = figure.split(' ').next().unwrap().split_once('.').unwrap();
        10 * whole.parse::<u32>().unwrap() + tenth.parse::<u32>().unwrap()
    };
    let found = exposure("./ratite.service");
    assert!(found <= EXPOSURE_MAX, "an exposure of {found} tenths");
    // A word that it does not know, and a line less, are found.
    put("ratite.service", &service.replace("LockPersonality", "LockPersonalty"));
    assert!(verify("./ratite.service").err.contains("LockPersonalty"));
    put("ratite.service", &service.replace("SystemCallFilter=@system-service\n", ""));
    assert!(exposure("./ratite.service") > found);
}
