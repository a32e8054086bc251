//! The configuration without a process: variables and files that tests make up.

mod effects;
mod fuzzing;
mod refusals;

use super::layers::{Given, Origin, Problems, Surroundings};
use super::resolve::Settings;
use super::table::{Setting, all};
use std::path::PathBuf;

/// Surroundings with these variables and no file.
fn variables(variables: &[(&str, &str)]) -> Surroundings {
    let variables =
        variables.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
    Surroundings { variables, files: Vec::new() }
}

/// The configuration with a file of this text, these variables and these flags.
fn configured(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ratite.toml");
    std::fs::write(&path, text).unwrap();
    let flags = flags.iter().map(|(flag, value)| {
        let setting = all().find(|setting| setting.flag == *flag).expect("a flag");
        let origin = Origin::Flag(format!("--{flag}"));
        Given { name: setting.name(), text: setting.check(value).unwrap(), origin }
    });
    let around = variables(environment);
    let resolved = Settings::resolve(&around, Some(&path), flags.collect());
    let dir = format!("{}/", dir.path().display());
    resolved.map_err(|problems| problems.iter().map(|why| why.replace(&dir, "")).collect())
}

/// The option of this name.
fn named(name: &str) -> &'static Setting {
    all().find(|setting| setting.name() == name).unwrap_or_else(|| panic!("no option {name}"))
}

#[test]
fn names_are_each_the_name_of_one_option() {
    let names: Vec<[String; 3]> =
        all().map(|s| [s.name(), s.flag.to_string(), s.variable()]).collect();
    for (at, name) in names.iter().enumerate() {
        for other in &names[at + 1..] {
            assert!(name.iter().zip(other).all(|(a, b)| a != b), "{name:?} and {other:?}");
        }
    }
}

#[test]
fn a_flag_counts_before_the_environment_before_the_file_before_the_default() {
    let file = "[store]\nmemtable = \"3 MiB\"\n";
    let (variable, flag) = (("RATITE_MEMTABLE", "5 MiB"), ("memtable", "7 MiB"));
    let cases = [
        (configured("", &[], &[]), 0, "default"),
        (configured(file, &[], &[]), 3, "ratite.toml:2"),
        (configured("", &[variable], &[]), 5, "env RATITE_MEMTABLE"),
        (configured(file, &[variable], &[]), 5, "env RATITE_MEMTABLE"),
        (configured(file, &[variable], &[flag]), 7, "flag --memtable"),
        (configured(file, &[], &[flag]), 7, "flag --memtable"),
        (configured(file, &[("RATITE_MEMTABLE", "")], &[]), 3, "ratite.toml:2"),
    ];
    for (settings, mib, origin) in cases {
        let settings = settings.unwrap();
        assert_eq!(settings.built.store.memtable_bytes, (mib > 0).then_some(mib << 20), "{origin}");
        let effective = settings.named("store.memtable").unwrap();
        assert!(effective.origin.to_string().ends_with(origin), "{}", effective.origin);
    }
}

#[test]
fn the_first_file_that_is_there_is_read_unless_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, named] = ["first", "second", "named"].map(|name| dir.path().join(name));
    let listen = |port: u16| format!("[relay]\nlisten = \"127.0.0.1:{port}\"\n");
    let mut around = Surroundings { files: vec![first.clone(), second.clone()], ..variables(&[]) };
    let port = |around: &Surroundings, flag: Option<&PathBuf>| {
        let settings = Settings::resolve(around, flag.map(PathBuf::as_path), Vec::new())?;
        Ok::<u16, Problems>(settings.built.relay.listen.port())
    };
    assert_eq!(port(&around, None), Ok(7777));
    for (path, number, read) in [(&second, 2, 2), (&first, 1, 1), (&named, 3, 1)] {
        std::fs::write(path, listen(number)).unwrap();
        assert_eq!(port(&around, None), Ok(read));
    }
    around.variables = vec![("RATITE_CONFIG".into(), named.clone().into())];
    assert_eq!(port(&around, None), Ok(3));
    assert_eq!(port(&around, Some(&second)), Ok(2));

    let missing = dir.path().join("missing");
    let why = port(&around, Some(&missing)).unwrap_err();
    assert!(why.len() == 1 && why[0].contains("missing (flag --config)"), "{why:?}");
    around.variables = vec![("RATITE_CONFIG".into(), missing.into())];
    let why = port(&around, None).unwrap_err();
    assert!(why.len() == 1 && why[0].contains("missing (env RATITE_CONFIG)"), "{why:?}");
}

#[test]
fn a_directory_in_a_file_is_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ratite.toml");
    let data = |text: &str| {
        std::fs::write(&path, format!("[store]\ndata = {text:?}\n")).unwrap();
        Settings::resolve(&variables(&[]), Some(&path), Vec::new()).unwrap().built.data
    };
    assert_eq!(data("events"), dir.path().join("events"));
    assert_eq!(data("./events"), dir.path().join("events"));
    assert_eq!(data("/var/lib/ratite"), PathBuf::from("/var/lib/ratite"));
    let flag = configured("", &[], &[("data", "events")]).unwrap();
    assert_eq!(flag.built.data, PathBuf::from("events"));
}

#[test]
fn a_list_is_one_thing_and_the_last_that_gives_it_gives_all_of_it() {
    let file = "[retention]\nrules = [\"age=1d  kinds=1\", 'protect kinds=0']\n";
    let rules = |variables: &[(&str, &str)], flags: &[(&str, &str)]| {
        let settings = configured(file, variables, flags)?;
        let rules = settings.built.retention.rules.iter().map(|rule| rule.to_string());
        let rules: Vec<String> = rules.collect();
        assert_eq!(settings.named("retention.rules").unwrap().text, rules.join("; "));
        Ok::<_, Problems>(rules)
    };
    let of_file = ["kinds=1 age=1d", "kinds=0 protect"];
    assert_eq!(rules(&[], &[]).unwrap(), of_file);
    assert_eq!(rules(&[("RATITE_RETAIN", "")], &[]).unwrap(), of_file);
    for text in ["age=2d;count=5", "age=2d\ncount=5\n", " ;age=2d; ;count=5;"] {
        assert_eq!(
            rules(&[("RATITE_RETAIN", text)], &[]).unwrap(),
            ["age=2d", "count=5"],
            "{text}"
        );
    }
    let variable = ("RATITE_RETAIN", "age=2d; count=5");
    assert_eq!(rules(&[variable], &[("retain", "age=3d")]).unwrap(), ["age=3d"]);
    assert!(rules(&[variable], &[("retain", "")]).unwrap().is_empty());
    let why = rules(&[("RATITE_RETAIN", "age=2d; count=x")], &[]).unwrap_err();
    let says = "env RATITE_RETAIN = \"age=2d; count=x\": \"count=x\": count: x is no number";
    assert_eq!(why, [says]);
}

#[test]
fn a_list_that_is_taken_stands_for_the_one_before_and_one_that_is_refused_changes_nothing() {
    let (setting, mut built) = (named("retention.rules"), super::kind::Built::default());
    let mut take = |text: &str| {
        let taken = setting.take(text, &mut built).is_ok();
        (taken, built.retention.rules.iter().map(|rule| rule.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(take("age=1d; age=2d"), (true, vec!["age=1d".into(), "age=2d".into()]));
    assert_eq!(take("age=3d; count=x"), (false, vec!["age=1d".into(), "age=2d".into()]));
    assert_eq!(take("age=3d"), (true, vec!["age=3d".into()]));
    assert_eq!(take(""), (true, vec![]));
}
