//! `ratite config`, the file it reads and the file it writes, and docs/operations.md beside it.

use crate::tool::{Ran, ratite, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Runs the program in `dir`, without a word about a file.
fn run_in(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = ratite(args);
    command.current_dir(dir).env_remove("RATITE_CONFIG").envs(variables.iter().copied());
    command.output().unwrap().into()
}

/// The options that `ratite config --json` prints.
fn options(json: &str) -> Vec<Value> {
    let whole: Value = serde_json::from_str(json).unwrap();
    whole["options"].as_array().unwrap().clone()
}

/// What they are, by their names.
fn values(json: &str) -> BTreeMap<String, Value> {
    let pair = |o: &Value| (o["name"].as_str().unwrap().into(), o["value"].clone());
    options(json).iter().map(pair).collect()
}

/// Where they come from, without the defaults.
fn sources(json: &str) -> Vec<(String, String)> {
    let text = |o: &Value, key: &str| o[key].as_str().unwrap().to_string();
    let pair = |o: &Value| (text(o, "name"), text(o, "source"));
    options(json).iter().map(pair).filter(|(_, source)| source != "default").collect()
}

const FILE: &str = "\
[store]
data = \"events\"
memtable = \"2MiB\"

[relay]
name = \"of the file\"
";

#[test]
fn the_file_is_found_read_and_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ratite.toml"), FILE).unwrap();
    fs::create_dir(dir.path().join("below")).unwrap();
    fs::write(dir.path().join("below/other.toml"), FILE).unwrap();
    let json = ["config", "--json"];
    let here = |args: &[&str], variables| run_in(dir.path(), args, variables).well();

    let out = here(&json, &[]);
    let file = |key: &str, line| (key.to_string(), format!("ratite.toml:{line}"));
    let of_file = [file("store.data", 2), file("store.memtable", 3), file("relay.name", 6)];
    assert_eq!(sources(&out), of_file);
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert!(whole["file"].as_str().unwrap().ends_with("/ratite.toml"), "{whole}");
    let path = |name: &str| Value::from(dir.path().join(name).to_str().unwrap());
    assert_eq!(values(&out)["store.data"], path("events"));

    // Named, before and after the verb and by the variable, it is another one.
    let named = [
        here(&["--config", "below/other.toml", "config", "--json"], &[]),
        here(&["config", "--json", "--config", "below/other.toml"], &[]),
        here(&json, &[("RATITE_CONFIG", "below/other.toml")]),
    ];
    for out in named {
        assert_eq!(values(&out)["store.data"], path("below/events"), "{out}");
        assert_eq!(sources(&out)[1].1, "below/other.toml:3");
    }
    let out = here(&["config", "--json", "--memtable", "3 MiB"], &[("RATITE_NAME", "env's")]);
    let of_both = sources(&out);
    assert_eq!(of_both[1], ("store.memtable".into(), "flag --memtable".into()));
    assert_eq!(of_both[2], ("relay.name".into(), "env RATITE_NAME".into()));

    let ran = run_in(dir.path(), &["gen", "-n", "0", "--log", "info"], &[]);
    assert!(ran.err.contains("configuration read from ratite.toml"), "{}", ran.err);
    assert_eq!(run_in(dir.path(), &["gen", "-n", "0"], &[]).err, "");
    let ran = run_in(dir.path(), &["--config", "missing.toml", "config"], &[]);
    assert!(ran.status == Some(2) && ran.out.is_empty(), "{}", ran.err);
    assert!(ran.err.starts_with("ratite: cannot read missing.toml (flag --config): "));
}

/// Flags that leave little as it was.
const CHANGED: [&[&str]; 5] = [
    &[],
    &["--sync", "batch", "--sync-interval", "7 ms", "--sync-bytes", "1000000", "--shards", "4"],
    &[
        "--data",
        "a \"b\" \\ c",
        "--description",
        "two\nlines, a tab\t, \u{7f}, ü and \u{1f426}",
        "--name",
        "",
    ],
    &[
        "--max-event",
        "2 MiB",
        "--default-limit",
        "3",
        "--reject-older",
        "90 min",
        "--log",
        "a=info",
    ],
    &[
        "--retain",
        "protect kinds=0,3",
        "--retain",
        "bytes=5GiB; kinds=7 age=9d",
        "--compaction-compress",
        "always",
        "--retention-interval",
        "10 min",
        "--retention-rate",
        "100",
    ],
];

#[test]
fn what_is_printed_is_a_file_that_means_the_same() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("below")).unwrap();
    let path = dir.path().join("below/printed.toml");
    let whole = |out: &str| {
        let pair = |o: &Value| (o["name"].to_string(), o["value"].clone(), o["counts"].clone());
        options(out).iter().map(pair).collect::<Vec<_>>()
    };
    for flags in CHANGED {
        let printed = run_in(dir.path(), &[&["config"], flags].concat(), &[]).well();
        let meant = run_in(dir.path(), &[&["config", "--json"], flags].concat(), &[]).well();
        fs::write(&path, &printed).unwrap();
        let args = ["config", "--json", "--config", path.to_str().unwrap()];
        let read = run_in(dir.path(), &args, &[]).well();
        assert_eq!(whole(&read), whole(&meant), "{printed}");
        // Every value that counts was in the file.
        let in_file = sources(&read).iter().filter(|(_, source)| source.contains(".toml:")).count();
        let counting = options(&meant).iter().filter(|option| option["counts"] == true).count();
        assert_eq!(in_file, counting, "{printed}");
        let again = run_in(dir.path(), &args[..1], &[("RATITE_CONFIG", args[3])]).well();
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.split("  # ").next().unwrap().trim().to_string()).collect()
        };
        assert_eq!(values(&again), values(&printed));
    }
}

#[test]
fn a_list_is_an_array_of_what_the_flags_say_one_after_the_other() {
    let flags = ["--retain", "age=1d protect-", "--retain", "age=1d"];
    let ran = run(&[&["config"][..], &flags].concat());
    assert_eq!(ran.status, Some(2), "{}", ran.out);
    assert!(ran.err.contains("--retain <WORDS>") && ran.err.contains("protect-: the words are"));
    let flags = ["--retain", "age=1d  kinds=1", "--retain", "bytes=1GiB;protect kinds=0"];
    let rules = ["kinds=1 age=1d", "bytes=1GiB", "kinds=0 protect"];
    let json = run(&[&["config", "--json"][..], &flags].concat()).well();
    assert_eq!(values(&json)["retention.rules"], Value::from(rules.to_vec()));
    let toml = run(&[&["config"][..], &flags].concat()).well();
    let line = "rules = [\"kinds=1 age=1d\",\"bytes=1GiB\",\"kinds=0 protect\"]  # flag --retain; ";
    assert!(toml.contains(line), "{toml}");
    assert_eq!(values(&run(&["config", "--json"]).well())["retention.rules"], Value::Array(vec![]));
}

#[test]
fn each_line_says_from_where_which_values_and_what_for() {
    let printed = run(&["config", "--sync", "never"]).well();
    let printed_json = run(&["config", "--json", "--sync", "never"]).well();
    for option in options(&printed_json) {
        let text = |key: &str| option[key].as_str().unwrap();
        let (_, key) = text("name").split_once('.').unwrap();
        let says = format!("; {}; {}", text("range"), text("effect"));
        let is_its_line = |line: &&str| {
            let line = line.trim_start_matches("# ");
            line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "))
                && line.contains(&says)
        };
        let line = printed.lines().find(is_its_line);
        let line = line.unwrap_or_else(|| panic!("no line of {option} in\n{printed}"));
        assert!(line.contains(&format!("  # {}", text("source"))), "{line}");
        assert_eq!(line.starts_with('#'), option["counts"] == false, "{line}");
    }
}

#[test]
fn a_check_is_its_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        fs::write(dir.path().join("ratite.toml"), text).unwrap();
        run_in(dir.path(), &["config", "--check"], &[])
    };
    let well = check(FILE);
    assert_eq!(well.err, "");
    assert_eq!(well.well(), "");
    let badly = check("[store]\nwings = 2\nmemtable = \"1 MB\"\n");
    assert_eq!((badly.status, badly.out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = badly.err.lines().collect();
    assert!(lines[0].starts_with("ratite: ratite.toml:2: store.wings: "), "{lines:?}");
    assert!(
        lines[1].starts_with("ratite: ratite.toml:3: store.memtable = \"1 MB\": "),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    // No verb goes on with it, also none that needs no store.
    for verb in [&["gen"][..], &["count", "{}"], &["relay"], &["import"]] {
        let ran = run_in(dir.path(), verb, &[]);
        assert_eq!((ran.status, ran.out.as_str(), &ran.err), (Some(2), "", &badly.err), "{verb:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_store_is_made_and_opened_as_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = "[store]\ndata = \"here\"\nshards = 4\npage-size = \"8 KiB\"\nmemory = \"192 MiB\"\n\
                log-file = \"8 MiB\"\nmemtable = \"1 MiB\"\nio = \"posix\"\n";
    fs::write(dir.path().join("ratite.toml"), file).unwrap();
    let ran = run_in(dir.path(), &["import"], &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let stats = |args: &[&str]| -> Value {
        let out = run_in(dir.path(), &[&["stats"], args].concat(), &[("RATITE_SYNC", "never")]);
        serde_json::from_str(&out.well()).unwrap()
    };
    let of_file = stats(&[]);
    assert_eq!(of_file["shards"].as_array().unwrap().len(), 4);
    assert_eq!((&of_file["page_bytes"], &of_file["io"]), (&8192.into(), &"pread/pwrite".into()));
    assert_eq!(of_file["memory"]["budget_bytes"], 192 << 20);
    assert_eq!(stats(&["--memory", "256 MiB"])["memory"]["budget_bytes"], 256 << 20);
    let ran = run_in(dir.path(), &["stats", "--shards", "2"], &[]);
    assert!(ran.status == Some(1) && ran.err.contains("shards"), "{}", ran.err);
}

#[test]
fn help_shows_the_verbs_own_options_first_and_config_shows_all() {
    let all = run(&["help", "config"]).well();
    for option in options(&run(&["config", "--json"]).well()) {
        let text = |key: &str| option[key].as_str().unwrap();
        let flag = format!("{} <", text("flag"));
        for said in [&flag, text("variable"), text("name")] {
            assert!(all.contains(said), "{said} in {all}");
        }
    }
    for verb in ["import", "export", "scan", "count", "explain", "stats"] {
        let help = run(&[verb, "-h"]).well();
        let own = help.find("\nOptions:").unwrap_or_else(|| panic!("{help}"));
        let store = help.find("\nStore (all its options: ratite help config):").expect(verb);
        assert!(own < store && help.lines().count() <= 30, "{help}");
        assert!(help.contains("--data <DIR>") && !help.contains("--memtable"), "{help}");
    }
    let relay = run(&["relay", "-h"]).well();
    assert!(relay.contains("--listen") && !relay.contains("--max-filters"), "{relay}");
    assert!(run(&["relay", "--help"]).well().contains("--max-filters"));
}

/// The table of all options in docs/operations.md.
#[test]
fn the_table_of_options_is_as_the_program_has_them() {
    let cell = |text: &str| text.replace('|', "\\|");
    let row = |option: &Value| {
        let text = |key: &str| cell(option[key].as_str().unwrap());
        let default = match option["default"].as_str().unwrap() {
            "" => "".into(),
            _ => format!("`{}`", text("default")),
        };
        let (name, unit) = (text("name"), text("unit"));
        format!("| `{name}` | {default} | {unit} | {} | {} |", text("range"), text("effect"))
    };
    let rows: Vec<String> = options(&run(&["config", "--json"]).well()).iter().map(row).collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md"));
    let page = page.unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| option | default |")).skip(2);
    let documented: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 40, "{} options", rows.len());
    assert!(documented == rows, "docs/operations.md should have\n{}\n", rows.join("\n"));
}
