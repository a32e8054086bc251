//! What is refused, in which words, and from where.

use super::*;

/// What is wrong with a file of this text.
#[track_caller]
fn refused(text: &str) -> Problems {
    configured(text, &[], &[]).map(|settings| settings.file).unwrap_err()
}

#[test]
fn a_file_is_refused_by_name_and_line() {
    let cases: &[(&str, &str)] = &[
        (
            "[store]\nsnyc = \"always\"",
            "ratite.toml:2: store.snyc: there is no such option; did you mean sync?",
        ),
        (
            "\n[stores]\nsync = \"always\"",
            "ratite.toml:2: there is no section stores; did you mean store?",
        ),
        ("wings = 2", "ratite.toml:1: there is no section wings"),
        ("data = \"x\"", "ratite.toml:1: data stands in no section; it belongs in [store]"),
        ("store = 3", "ratite.toml:1: store is a section: write [store]"),
        (
            "[store]\nlisten = \"127.0.0.1:1\"",
            "ratite.toml:2: store.listen: there is no such option; it belongs in [relay]",
        ),
        (
            "[store]\nmemory = 1",
            "ratite.toml:2: store.memory = 1: it is not in the range 1 MiB to 16 TiB",
        ),
        ("[store]\nmemory = \"1 GB\"", "write GiB"),
        (
            "[store]\nmemory = true",
            "ratite.toml:2: store.memory = true: it is of type boolean, and not text in quotes",
        ),
        ("[store]\nmemory = 1.5", "of type float"),
        ("[store]\nmemory = -1", "store.memory = -1: it is not a whole number and a unit"),
        (
            "[store]\nsync = \"batch\"\nsync-interval = 100",
            "ratite.toml:3: store.sync-interval = 100: it has no unit",
        ),
        (
            "[store]\nsync = \"batch\"\nsync-interval = \"100 us\"",
            "it is not in the range 1 ms to 1 min",
        ),
        ("[store]\nsync = \"batch\"\nsync-interval = \"1001 us\"", "it is not a multiple of 1 ms"),
        ("[store]\nsync = \"Always\"", "it is none of always, batch, never"),
        (
            "[store]\nshards = \"2\"",
            "ratite.toml:2: store.shards = \"2\": it is a whole number: write it without quotes",
        ),
        ("[store]\nshards = 3", "store.shards = 3: it is not a power of two"),
        ("[store]\npage-size = 5000", "it is not a power of two"),
        ("[store]\ndata = \"\"", "store.data = \"\": it is empty"),
        (
            "[relay]\nlisten = \"here\"",
            "relay.listen = \"here\": it is not an IP address and a port",
        ),
        ("[relay]\npubkey = \"npub1\"", "it is not 64 hex characters"),
        ("[relay]\nname = 7", "relay.name = 7: it is of type integer, and not text in quotes"),
        (
            "[retention]\nrules = [\n  \"kinds=1 age=1d\",\n  \"kinds=x age=1d\",\n]",
            "ratite.toml:4: retention.rules = \"kinds=x age=1d\": kinds: x is no kind",
        ),
        (
            "[retention]\nrules = [\"kinds=1\"]",
            "ratite.toml:2: retention.rules = \"kinds=1\": age: ",
        ),
        (
            "[retention]\nrules = \"age=1d\"",
            "ratite.toml:2: retention.rules: it is of type string, and not an array of texts",
        ),
        ("[retention]\nrules = [7]", "retention.rules = 7: it is of type integer, and not text in"),
        ("[retention]\nrules = [[\"age=1d\"]]", "it is of type array, and not text in quotes"),
        ("[retention]\nrules = [\"age=1d; age=2d\"]", "it is not one item"),
        ("[retention]\nrules = [\"\"]", "it is not one item"),
        ("[store]\nmemory = [1]", "ratite.toml:2: store.memory = [1]: it is of type array"),
        ("[retention]\ninterval = \"500 ms\"", "it is not in the range 1 s to 1 d"),
        ("[log]\nlevel = \"a=b=c\"", "log.level = \"a=b=c\""),
        ("[store]\nsync = \"never\"\nsync = \"always\"", "ratite.toml:3: duplicate key"),
        ("[store\nsync = \"never\"", "ratite.toml:1: "),
    ];
    for (text, says) in cases {
        let problems = refused(text);
        assert!(problems.len() == 1 && problems[0].contains(says), "{text}: {problems:?}");
        assert!(problems[0].lines().count() == 1, "{problems:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "[store]\nmemory = 1\nwings = 2\n[relay]\nping = 3\n";
    let problems = configured(text, &[("RATITE_SNYC", "batch"), ("RATITE_RING", "x")], &[]);
    let problems = problems.map(|settings| settings.file).unwrap_err();
    let starts: Vec<&str> = problems.iter().map(|why| why.split(": ").next().unwrap()).collect();
    let places = ["ratite.toml:2", "ratite.toml:3", "ratite.toml:5", "env RATITE_SNYC"];
    assert_eq!(starts[..4], places, "{problems:?}");
    assert!(problems[3].ends_with("did you mean RATITE_SYNC?"), "{problems:?}");
    assert!(problems[4].starts_with("env RATITE_RING = \"x\": ") && problems.len() == 5);
}

#[test]
fn what_an_orchestrator_sets_is_no_option() {
    let set = [
        ("RATITE_SERVICE_HOST", "10.0.0.1"),
        ("RATITE_SERVICE_PORT_WS", "7777"),
        ("RATITE_PORT", "tcp://10.0.0.1:7777"),
        ("RATITE_PORT_7777_TCP_ADDR", "10.0.0.1"),
        ("RATITE_CONFIG", ""),
        ("RATITE_UNKNOWN", ""),
    ];
    assert!(configured("", &set, &[]).is_ok());
    let problems = configured("", &[("RATITE_PORTS", "1")], &[]).map(|_| ()).unwrap_err();
    assert!(problems[0].contains("env RATITE_PORTS: there is no such option"), "{problems:?}");
}

#[test]
fn an_option_that_says_nothing_is_refused_unless_it_was_overridden() {
    let idle = ["sync-interval = \"5 ms\"", "sync-bytes = \"1 MiB\""];
    for (line, key) in idle.into_iter().zip(["sync-interval", "sync-bytes"]) {
        let file = format!("[store]\n{line}\n");
        let problems = refused(&file);
        assert!(problems.len() == 1, "{problems:?}");
        for says in [key, "ratite.toml:2", "store.sync = \"batch\"", "\"always\" (default)"] {
            assert!(problems[0].contains(says), "{problems:?}");
        }
        let batch = format!("[store]\n{line}\nsync = \"batch\"\n");
        assert!(configured(&batch, &[], &[]).is_ok());
        // A later word about the sync mode stands, and makes the line idle.
        for settings in [
            configured(&batch, &[], &[("sync", "never")]),
            configured(&batch, &[("RATITE_SYNC", "never")], &[]),
        ] {
            let settings = settings.unwrap();
            assert!(settings.named(&format!("store.{key}")).unwrap().is_idle);
        }
        // A later word about the interval does not.
        let text = line.split('"').nth(1).unwrap();
        assert!(configured("[store]\nsync = \"never\"", &[], &[(key, text)]).is_err());
        assert!(configured("[store]\nsync = \"batch\"", &[], &[(key, text)]).is_ok());
    }
    let plain = configured("", &[], &[]).unwrap();
    let idle = plain.effective.iter().filter(|effective| effective.is_idle);
    let idle: Vec<String> = idle.map(|effective| effective.setting.name()).collect();
    assert_eq!(idle, ["store.sync-interval", "store.sync-bytes"]);
}

#[test]
fn limits_that_contradict_each_other_are_refused_by_name() {
    type Flags<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(Flags<'_>, &str, &str)] = &[
        (&[("max-limit", "10"), ("default-limit", "11")], "relay.default-limit", "relay.max-limit"),
        (&[("default-limit", "1001")], "relay.default-limit", "relay.max-limit"),
        (
            &[("max-event", "2 KiB"), ("max-message", "1 KiB")],
            "relay.max-event",
            "relay.max-message",
        ),
        (
            &[("max-message", "2 MiB"), ("max-queue", "1 MiB")],
            "relay.max-message",
            "relay.max-queue",
        ),
    ];
    for (flags, less, more) in cases {
        let problems = configured("", &[], flags).map(|_| ()).unwrap_err();
        assert!(problems.len() == 1, "{problems:?}");
        let (left, right) = problems[0].split_once(" is over ").expect("a comparison");
        assert!(left.starts_with(less) && right.starts_with(more), "{problems:?}");
        assert!(problems[0].contains(&format!("flag --{}", flags[0].0)), "{problems:?}");
    }
    for agreed in [
        &[("max-limit", "10")][..],
        &[("max-limit", "10"), ("default-limit", "10")],
        &[("max-event", "2 MiB")],
        &[("max-message", "16 MiB")],
    ] {
        assert!(configured("", &[], agreed).is_ok(), "{agreed:?}");
    }
}

#[test]
fn memory_that_no_store_opens_with_is_refused_by_name() {
    for (text, name) in [
        ("[store]\nmemory = \"1 MiB\"\n", "store.memory = \"1 MiB\" ("),
        ("[store]\nmemory = \"64 MiB\"\nshards = 64\n", "store.memory = \"64 MiB\" ("),
        ("[store]\nmemtable = \"4 GiB\"\nmemory = \"1 GiB\"\n", "store.memory = \"1 GiB\" ("),
        ("[store]\nring = \"1 GiB\"\nmemory = \"512 MiB\"\n", "store.memory = \"512 MiB\" ("),
        ("[store]\nin-flight = 1048576\nmemory = \"64 MiB\"\n", "store.memory = \"64 MiB\" ("),
    ] {
        let problems = refused(text);
        assert!(problems.len() == 1 && problems[0].starts_with(name), "{text}: {problems:?}");
        assert!(problems[0].contains("the least for"), "{problems:?}");
    }
    assert!(configured("[store]\nmemory = \"96 MiB\"\nshards = 2\n", &[], &[]).is_ok());
}

#[test]
fn what_opening_refuses_a_check_refuses_and_nothing_else() {
    use ratite::io::{self, Backend};
    use ratite::nostr::{EventOptions, EventStore};
    let dir = tempfile::tempdir().unwrap();
    let data = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let small = "memory = \"96 MiB\"\nlog-file = \"8 MiB\"\n";
    // An existing store, and each time a new one.
    let text = |data: &str, more: &str| format!("[store]\ndata = {data:?}\n{more}");
    let open = |settings: &Settings| {
        let env = io::system(Backend::Posix).unwrap();
        let options = EventOptions::from(&settings.built.store);
        EventStore::open_with(&settings.built.data, &options, env).map(|store| store.close())
    };
    let two = configured(&text(&data("two"), &format!("shards = 2\n{small}")), &[], &[]).unwrap();
    open(&two).unwrap().unwrap();
    let cases = [
        ("two", small.to_string(), None),
        ("two", format!("shards = 2\n{small}"), None),
        (
            "two",
            small.replace("96 MiB", "192 MiB") + "shards = 4\n",
            Some("store.shards = \"4\" ("),
        ),
        ("two", format!("page-size = 8192\n{small}"), Some("store.page-size = \"8 KiB\" (")),
        ("two", "memory = \"40 MiB\"\n".to_string(), Some("store.memory = \"40 MiB\" (")),
        ("new", format!("shards = 1\npage-size = 16384\n{small}"), None),
        ("none", "shards = 8\nmemory = \"64 MiB\"\n".into(), Some("store.memory = \"64 MiB\" (")),
    ];
    for (name, more, refused) in cases {
        let resolved = configured(&text(&data(name), &more), &[], &[]);
        let checked = match &resolved {
            Ok(settings) => settings.check_store(),
            Err(problems) => Err(problems.join("\n")),
        };
        assert_eq!(checked.as_ref().err().map(|_| ()), refused.map(|_| ()), "{more}: {checked:?}");
        if let Some(says) = refused {
            let why = checked.unwrap_err();
            assert!(why.starts_with(says), "{more}: {why}");
        }
        // What the configuration refuses is not asked of the store.
        if let Ok(settings) = &resolved {
            assert_eq!(open(settings).is_err(), refused.is_some(), "{more}");
        }
    }
    assert!(!dir.path().join("none").exists(), "a check makes nothing");
}
