//! The policy as a whole: layers, files that change, decisions that last.

use super::*;
use crate::io::{Backend, system};
use crate::nostr::Event;
use std::fs;

fn open(config: &PolicyConfig, dir: &Path) -> Result<Policy> {
    Policy::open(config, &Rates::default(), &system(Backend::Posix).unwrap(), dir)
}

fn admits(policy: &Policy, kind: u16) -> bool {
    policy.admit(&Event::from_parts::<[&str; 0], &str>([1; 32], 5, kind, &[], "").as_ref()).is_ok()
}

#[test]
fn files_of_rules_are_read_again_when_they_change_and_a_bad_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules");
    let config = PolicyConfig {
        rules: vec!["deny kind 9".parse().unwrap()],
        files: vec![file.clone()],
        ..PolicyConfig::default()
    };
    assert!(matches!(open(&config, dir.path()), Err(Error::Io { .. })), "the file is not there");
    fs::write(&file, "deny kind 4\n").unwrap();
    let policy = open(&config, dir.path()).unwrap();
    assert!(!admits(&policy, 4) && !admits(&policy, 9) && admits(&policy, 40));
    assert!(!policy.refresh().unwrap());
    fs::write(&file, "deny kind 40\n").unwrap();
    assert!(policy.refresh().unwrap());
    assert!(admits(&policy, 4) && !admits(&policy, 9) && !admits(&policy, 40));
    fs::write(&file, "deny kind 40\ndeny kinds 5\n").unwrap();
    let why = policy.refresh().unwrap_err().to_string();
    assert!(why.contains("line 2") && why.contains("rules"), "{why}");
    assert!(!policy.refresh().unwrap(), "it is said once");
    assert!(!admits(&policy, 40) && policy.reload(&config).is_err());
    policy.reload(&PolicyConfig::default()).unwrap();
    assert!(admits(&policy, 40) && admits(&policy, 9));
}

#[test]
fn decisions_outlive_the_relay_and_outrank_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        PolicyConfig { rules: vec!["deny kind 4".parse().unwrap()], ..PolicyConfig::default() };
    let policy = open(&config, dir.path()).unwrap();
    policy.manage(|managed| managed.set("allow kind 4-4".parse().unwrap(), String::new())).unwrap();
    assert!(policy.manage(|_| Err("no".into())).is_err());
    assert!(admits(&policy, 4) && !admits(&policy, 5) && policy.restricts_writes());
    policy
        .manage(|managed| {
            managed.told.name = Some("Bird".into());
            Ok(())
        })
        .unwrap();
    let again = open(&config, dir.path()).unwrap();
    assert!(admits(&again, 4) && !admits(&again, 5));
    assert_eq!((again.told().name.as_deref(), again.managed()), (Some("Bird"), policy.managed()));
    // A change that cannot be kept does not count.
    fs::remove_dir_all(dir.path().join("relay")).unwrap();
    fs::write(dir.path().join("relay"), "in the way").unwrap();
    let deny = |managed: &mut Managed| managed.set("deny kind 4".parse().unwrap(), String::new());
    assert!(again.manage(deny).unwrap_err().contains("kept") && admits(&again, 4));
}

/// Deny beats allow: no byte of what was decided can be lost without a word.
#[test]
fn every_flipped_byte_of_what_was_decided_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = PolicyConfig::default();
    let policy = open(&config, dir.path()).unwrap();
    for n in [4, 40] {
        let rule = format!("deny kind {n}").parse().unwrap();
        policy.manage(|managed| managed.set(rule, "spam".into())).unwrap();
    }
    let path = dir.path().join("relay/policy.json");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 7);
        fs::write(&path, flipped).unwrap();
        let Err(Error::Corrupt { path: named, .. }) = open(&config, dir.path()) else {
            panic!("byte {at} is taken")
        };
        assert_eq!(named, path);
    }
    // Nor is what an editor leaves, or an earlier version did.
    for edited in ["", "{}", "{\"version\":1,\"rules\":[]}\n", "{\"version\":2,\"rules\":[]}"] {
        fs::write(&path, edited).unwrap();
        assert!(matches!(open(&config, dir.path()), Err(Error::Corrupt { .. })), "{edited}");
    }
    fs::write(&path, bytes).unwrap();
    let again = open(&config, dir.path()).unwrap();
    assert!(!admits(&again, 4) && !admits(&again, 40) && admits(&again, 5));
}

#[test]
fn work_is_asked_of_whatever_is_not_allowed_by_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let config = PolicyConfig { pow_bits: 4, ..PolicyConfig::default() };
    let policy = open(&config, dir.path()).unwrap();
    let event = |n: u64| Event::from_parts::<[&str; 0], &str>([1; 32], n, 1, &[], "");
    let with = |worked: bool| (0..).map(event).find(|e| (e.id()[0] < 16) == worked).unwrap();
    let (worked, idle) = (with(true), with(false));
    assert_eq!(policy.admit(&worked.as_ref()), Ok(()));
    let bits = idle.id()[0].leading_zeros();
    assert_eq!(policy.admit(&idle.as_ref()), Err(Unwanted::Work(4, bits)));
    let allow = rule(true, Subject::Event(*idle.id()));
    policy.manage(|managed| managed.set(allow, String::new())).unwrap();
    assert_eq!(policy.admit(&idle.as_ref()), Ok(()));
}
