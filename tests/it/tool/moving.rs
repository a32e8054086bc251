//! Moving in and out: packed files, what was refused, resuming, filters, deleting, following a relay.

use super::import::{counts, json, note};
use super::serving::Served;
use super::*;
use std::fs;
use std::io::{BufRead, BufReader};
use tungstenite::Message;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn files_are_packed_by_their_names_and_unpacked_by_their_bytes() {
    let store = Store::of(&events(600, 40));
    let whole = store.run("export", &[]).well();
    let dir = tempfile::tempdir().unwrap();
    for name in ["plain.jsonl", "a.jsonl.gz", "b.zst"] {
        let (named, odd) = (dir.path().join(name), dir.path().join("anything"));
        let said = store.run("export", &["--output", text(&named)]);
        assert!(
            said.err.contains(&format!("{} events in ", whole.lines().count())),
            "{}",
            said.err
        );
        assert_eq!(said.well(), "");
        fs::rename(&named, &odd).unwrap();
        let packed = fs::read(&odd).unwrap();
        assert_eq!(packed == whole.as_bytes(), name == "plain.jsonl");
        let by_name = Store::new();
        by_name.import(&["--no-verify", text(&odd)], b"").well();
        assert_eq!(by_name.run("export", &[]).well(), whole, "{name}");
        let by_stdin = Store::new();
        by_stdin.import(&["--no-verify"], &packed).well();
        assert_eq!(by_stdin.run("export", &[]).well(), whole, "{name} by standard input");
        let cut = Store::new().import(&["--no-verify"], &packed[..packed.len() / 2]);
        if name == "plain.jsonl" {
            assert_eq!(counts(&cut)["invalid json"], 1);
        } else {
            assert_eq!(cut.status, Some(1));
            assert!(cut.err.starts_with("ratite: cannot read standard input: "), "{}", cut.err);
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no parts are left");
    let nowhere = store.run("export", &["--output", "/nowhere/x.gz"]).badly();
    assert!(nowhere.contains("/nowhere/x.gz"), "{nowhere}");
}

#[test]
fn files_are_imported_one_after_the_other_and_refusals_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let good = json(&note(1, 100, "hello"));
    let forged = good.replace("hello", "hallo");
    let a = file("a", &format!("{good}\n{forged}\n\n[\"EVENT\",{}]\n", json(&note(1, 101, ""))));
    let b = file("b", &format!("garbage \u{7}\n{}\n", json(&note(20_001, 1, ""))));
    let refused = dir.path().join("refused");
    let store = Store::new();
    let args = [text(&a), text(&b), "-", "--refused", text(&refused), "--show-rejected"];
    let ran = store.import(&args, json(&note(1, 102, "")).as_bytes());
    assert_eq!((ran.status, counts(&ran)["inserted"]), (Some(1), 3), "{}", ran.err);
    assert!(ran.err.contains(&format!("{}: line 2: bad id: ", text(&a))), "{}", ran.err);
    let mut kept = lines(&fs::read_to_string(&refused).unwrap());
    kept.sort_by_key(|line| line["file"].to_string());
    let seen: Vec<_> = kept
        .iter()
        .map(|k| (k["file"].as_str().unwrap(), k["line"].as_u64().unwrap(), &k["reason"]))
        .collect();
    let (bad_id, invalid) = (Value::from("bad id"), Value::from("invalid json"));
    assert_eq!(seen, [(text(&a), 2, &bad_id), (text(&b), 1, &invalid)], "{}", ran.err);
    assert_eq!(
        (kept[0]["text"].as_str(), kept[1]["text"].as_str()),
        (Some(&*forged), Some("garbage \u{7}"))
    );

    // What was refused can be mended and imported again.
    let mended = kept[0]["text"].as_str().unwrap().replace("hallo", "hello");
    let again = store.import(&["--refused", text(&refused)], mended.as_bytes());
    assert_eq!((again.status, counts(&again)["duplicate"]), (Some(0), 1));
    assert_eq!(fs::read_to_string(&refused).unwrap(), "");

    let missing = Store::new();
    let ran = missing.import(&[text(&a), "/nowhere/x"], b"");
    assert!(ran.badly().contains("/nowhere/x"));
    assert!(!missing.dir().join("STORE").exists(), "nothing was begun");
    assert_eq!(store.import(&["-", "-"], b"").status, Some(2));
}

#[test]
fn an_import_that_is_resumed_does_not_check_again_what_is_stored() {
    let signed = run(&["gen", "--count", "200", "--seed", "3"]).well();
    let (first, _rest) = signed.split_at(signed.match_indices('\n').nth(99).unwrap().0 + 1);
    let store = Store::new();
    store.import(&[], first.as_bytes()).well();
    let stored: u64 = store.run("count", &["{}"]).well().trim().parse().unwrap();
    // Had the signatures been looked at again, these would be refused.
    let digit = |line: &str| line.replace("\"sig\":\"", "\"sig\":\"0").replacen('\n', "", 1);
    let wrong: String = first
        .lines()
        .map(|line| {
            let line = digit(line);
            let end = line.rfind("\"sig\":\"").unwrap() + 7 + 128;
            format!("{}{}\n", &line[..end], &line[end + 1..])
        })
        .collect();
    let resumed = store.import(&["--resume"], format!("{wrong}{signed}").as_bytes());
    let counted = counts(&resumed);
    assert!(counted["duplicate"] >= 2 * stored, "{}", resumed.err);
    // Older and ephemeral events are not stored, so theirs are looked at.
    assert_eq!(counted["bad signature"], 100 - stored, "{}", resumed.err);
    assert_eq!(store.run("export", &[]).well(), texts(&kept(&signed)));
    let checked = store.import(&[], wrong.as_bytes());
    assert_eq!(counts(&checked)["bad signature"], 100, "{}", checked.err);
    assert_eq!(store.import(&["--resume", "--no-verify"], b"").status, Some(2));
}

#[test]
fn an_export_has_what_the_filter_says() {
    let store = Store::of(&events(500, 41));
    let whole = lines(&store.run("export", &[]).well());
    let export = |more: &[&str]| lines(&store.run("export", more).well());
    let of = |kinds: &[u64]| -> Vec<Value> {
        let is = |event: &&Value| kinds.contains(&event["kind"].as_u64().unwrap());
        whole.iter().filter(is).cloned().collect()
    };
    assert_eq!(export(&["--filter", "{\"kinds\":[1]}"]), of(&[1]));
    let both = export(&["--filter", "[{\"kinds\":[1]},{\"kinds\":[7]}]", "--reverse"]);
    assert_eq!(both, of(&[1, 7]).into_iter().rev().collect::<Vec<_>>());
    let since = of(&[1])[20]["created_at"].to_string();
    let late = export(&["--filter", "{\"kinds\":[1]}", "--since", &since]);
    assert!(!late.is_empty() && late.len() < of(&[1]).len() && of(&[1]).ends_with(&late));
    assert_eq!(export(&["--filter", "{\"limit\":3}"]), whole[..3]);
    assert!(export(&["--since", "5", "--until", "4"]).is_empty());
    assert!(store.run("export", &["--filter", "{]"]).badly().contains("the filter is refused"));
}

#[test]
fn what_is_deleted_is_what_matches_all_that_was_said_and_a_dry_run_removes_nothing() {
    let now =
        ratite::io::system(ratite::io::Backend::Posix).unwrap().clock.unix_micros() / 1_000_000;
    let day = 86_400;
    let aged: Vec<_> =
        (1..=9).map(|days| note(1, now - days * day - 60, &days.to_string())).collect();
    let mut input: String = aged.iter().map(|event| json(event) + "\n").collect();
    input += &json(&note(7, now - 5 * day, "a reaction"));
    let store = Store::of(&input);
    let left = || {
        let contents = lines(&store.run("scan", &["{}"]).well());
        contents.iter().map(|e| e["content"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let delete = |more: &[&str]| store.run("delete", more);
    let dry = delete(&["--dry-run", "--age", "6d", "--filter", "{\"kinds\":[1]}"]);
    assert!(dry.err.contains("4 events would be removed"), "{}", dry.err);
    assert_eq!((dry.well().as_str(), left().len()), ("4\n", 10));
    assert_eq!(delete(&["--age", "6d", "--filter", "{\"kinds\":[1]}"]).well(), "4\n");
    assert_eq!(left(), ["1", "2", "3", "4", "a reaction", "5"]);
    assert_eq!(delete(&["--age", "6d"]).well(), "0\n");
    assert_eq!(delete(&["--filter", "{\"kinds\":[7]}"]).err, "removed 1 event\n");
    let given = Line::all(&input);
    let ids = [0, 1, 8].map(|n: usize| given[n].text_of("id"));
    let by_id = delete(&["--id", ids[0], "--id", ids[1], "--id", ids[2]]);
    assert_eq!(by_id.well(), "2\n", "one is gone already");
    assert_eq!(delete(&["--id", ids[0], "--filter", "{\"limit\":1}"]).well(), "0\n");
    assert_eq!(delete(&["--filter", "{\"limit\":1}"]).well(), "1\n");
    assert_eq!(left(), ["4", "5"]);
    assert_eq!(delete(&[]).status, Some(2), "everything has to be said: {{}}");
    assert_eq!(delete(&["--id", "12"]).status, Some(2));
    assert_eq!(delete(&["--age", "200y", "--filter", "{}"]).well(), "0\n");
    assert_eq!(delete(&["--filter", "{}"]).well(), "2\n");
    assert!(left().is_empty());
}

#[test]
fn a_monitor_writes_new_events_as_they_come() {
    let store = Store::of(&json(&note(1, 50, "before")));
    let (relay, _out, url) = Served::start(&store, &[]);
    let monitor = |more: &[&str]| {
        let mut command = ratite(&[&["monitor", &*url], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        (child, out)
    };
    // That it has subscribed is seen by what is stored.
    let (mut all, mut all_out) = monitor(&["--stored"]);
    assert_eq!(all_out.next().unwrap(), json(&note(1, 50, "before")));
    let (mut some, mut some_out) = monitor(&["{\"kinds\":[1]}"]);
    let (mut client, _response) = tungstenite::connect(&url).unwrap();
    let challenge = client.read().unwrap().into_text().unwrap();
    assert!(challenge.starts_with("[\"AUTH\","), "{challenge}");
    let mut publish = |event: &ratite::nostr::Event| {
        client.send(Message::text(format!("[\"EVENT\",{}]", json(event)))).unwrap();
        let answer = client.read().unwrap().into_text().unwrap();
        assert!(answer.contains("true"), "{answer}");
    };
    publish(&note(7, 60, "a reaction"));
    assert_eq!(all_out.next().unwrap(), json(&note(7, 60, "a reaction")));
    // The other may not have subscribed yet; sooner or later it has.
    let heard = std::thread::scope(|scope| {
        let heard = scope.spawn(move || some_out.next().unwrap());
        for at in 100.. {
            publish(&note(1, at, "now"));
            if heard.is_finished() {
                break;
            }
        }
        heard.join().unwrap()
    });
    let heard: Value = serde_json::from_str(&heard).unwrap();
    assert_eq!((&heard["content"], &heard["kind"]), (&"now".into(), &1.into()));
    relay.signal("-TERM");
    let mut err = String::new();
    std::io::Read::read_to_string(all.stderr.as_mut().unwrap(), &mut err).unwrap();
    assert_eq!(all.wait().unwrap().code(), Some(1), "{err}");
    assert!(err.contains("has ended the connection") && err.contains("stopping"), "{err}");
    // Nobody reads it any more, which is no failure; or it was told goodbye before it noticed.
    assert!(some.wait().unwrap().code().is_some_and(|code| code <= 1));
    assert_eq!(run(&["monitor", "nonsense"]).status, Some(1));
    assert!(run(&["monitor", &url]).badly().starts_with("ratite: ws://"));
    assert!(run(&["monitor", &url, "{]"]).badly().contains("the filter is refused"));
    assert!(run(&["monitor", "wss://127.0.0.1:1/"]).badly().contains("wss://"));
}
