//! Filters from JSON and back, and every refusal.

use proptest::prelude::*;

use super::*;

const A: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn written(filter: &Filter) -> String {
    let mut out = Vec::new();
    write_filter(filter, &mut out);
    String::from_utf8(out).unwrap()
}

fn parsed(json: &str) -> Result<Filter> {
    parse_filter(json.as_bytes())
}

#[test]
fn reads_and_writes_every_condition() {
    let json = format!(
        r##"{{"ids":["{A}"],"authors":["{A}"],"kinds":[0,65535],"#E":["any"],"#e":["{A}"],"#t":["","a\nb","{A}"],"since":1,"until":18446744073709551614,"limit":0}}"##
    );
    let filter = parsed(&json).unwrap();
    assert_eq!(filter.ids, Some(vec![[10; 32]]));
    assert_eq!(filter.kinds, Some(vec![0, 65535]));
    assert_eq!((filter.since, filter.until, filter.limit), (1, u64::MAX - 1, Some(0)));
    let letters: Vec<u8> = filter.tags.iter().map(|(letter, _)| *letter).collect();
    assert_eq!(letters, b"Eet");
    assert_eq!(written(&filter), json);
    assert_eq!(parsed("{}").unwrap(), Filter::default());
    assert_eq!(written(&Filter::default()), "{}");
    assert_eq!(parsed(&format!("{{\"until\":{}}}", u64::MAX)).unwrap(), Filter::default());
}

#[test]
fn lists_are_sorted_without_repetitions_and_empty_ones_stay() {
    assert_eq!(parsed(r#"{"kinds":[7,1,7,3]}"#).unwrap().kinds, Some(vec![1, 3, 7]));
    for json in [r#"{"ids":[]}"#, r#"{"authors":[]}"#, r#"{"kinds":[]}"#, r##"{"#x":[]}"##] {
        let filter = parsed(json).unwrap();
        assert!(filter.is_empty());
        assert_eq!(written(&filter), json);
    }
    assert!(parsed(r#"{"since":5,"until":4}"#).unwrap().is_empty());
}

#[test]
fn what_nip_01_forbids_is_invalid() {
    let upper = A.to_uppercase();
    let rows = [
        (r#"{"since":-1}"#.into(), "since must be an integer"),
        (r#"{"until":1.5}"#.into(), "until must be an integer"),
        (r#"{"limit":1e3}"#.into(), "limit must be an integer"),
        (r#"{"limit":-0}"#.into(), "limit must be an integer"),
        (r#"{"limit":null}"#.into(), "limit must be an integer"),
        (r#"{"since":18446744073709551616}"#.into(), "since must be an integer"),
        (r#"{"kinds":[65536]}"#.into(), "each of kinds must be an integer from 0 to 65535"),
        (r#"{"kinds":["1"]}"#.into(), "each of kinds"),
        (r#"{"kinds":1}"#.into(), "expected an array"),
        (r#"{"ids":["0a"]}"#.into(), "ids must be 64 lowercase hex"),
        (format!(r#"{{"ids":["{upper}"]}}"#), "ids must be 64 lowercase hex"),
        (format!(r#"{{"authors":["{upper}"]}}"#), "authors must be 64 lowercase hex"),
        (r#"{"authors":["npub1"]}"#.into(), "authors must be 64 lowercase hex"),
        (format!(r##"{{"#e":["{}"]}}"##, &A[..63]), "each of #e must be 64 lowercase hex"),
        (format!(r##"{{"#p":["{A}","{upper}"]}}"##), "each of #p must be 64 lowercase hex"),
        (r##"{"#t":[1]}"##.into(), "expected a string"),
        (r##"{"#t":"x"}"##.into(), "expected an array"),
        (r#"{"kinds":[1],"kinds":[1]}"#.into(), "\"kinds\" stands twice"),
        (r#"{"since":0,"since":0}"#.into(), "\"since\" stands twice"),
        (r#"{"until":0,"unti\u006c":0}"#.into(), "\"until\" stands twice"),
        (r#"{"limit":0,"limit":0}"#.into(), "\"limit\" stands twice"),
        (r#"{"ids":[],"ids":[]}"#.into(), "\"ids\" stands twice"),
        (r#"{"authors":[],"authors":[]}"#.into(), "\"authors\" stands twice"),
        (r##"{"#t":[],"\u0023t":[]}"##.into(), "\"#t\" stands twice"),
        (r#"{"search":"x","since":-1}"#.into(), "since must be an integer"),
        (r#"{"search":7}"#.into(), "expected a string"),
        (r#"{"search":"x","search":""}"#.into(), "\"search\" stands twice"),
        (format!(r#"{{"search":"{}"}}"#, "x".repeat(1025)), "at most 1024 bytes"),
        (
            format!(r#"{{"search":"{}"}}"#, (0..65).map(|n| format!("{n} ")).collect::<String>()),
            "at most 64 different words",
        ),
        (r#"{"x":[[[[[[[[[]]]]]]]]]}"#.into(), "nested too deeply"),
        ("[]".into(), "expected a filter"),
        ("".into(), "expected a filter"),
        ("{} {}".into(), "something follows"),
        ("{\"kinds\":[1,]}".into(), "each of kinds"),
        ("\u{feff}{}".into(), "byte order mark"),
    ];
    for (json, text) in rows {
        let json: String = json;
        match parsed(&json) {
            Err(FilterError::Invalid(told)) => assert!(told.contains(text), "{json}: {told}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    assert!(matches!(parse_filter(b"{\"#t\":[\"\xff\"]}"), Err(FilterError::Invalid(_))));
}

#[test]
fn what_is_not_known_is_unsupported() {
    for (json, text) in [
        (r##"{"#tt":["x"]}"##, "\"#tt\": filters can ask for tags of a single letter only"),
        (r##"{"#":["x"]}"##, "single letter"),
        (r##"{"#1":["x"]}"##, "single letter"),
        (r##"{"#é":["x"]}"##, "single letter"),
        (r##"{"&t":["x"]}"##, "the filter key \"&t\" is unknown"),
        (r#"{"Kinds":[1]}"#, "the filter key \"Kinds\" is unknown"),
        (r#"{"":{"a":[1,2]},"kinds":[1]}"#, "the filter key \"\" is unknown"),
    ] {
        match parsed(json) {
            Err(FilterError::Unsupported(told)) => assert!(told.contains(text), "{json}: {told}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    let long = format!("{{{:?}:1}}", "k".repeat(5_000));
    assert!(parsed(&long).unwrap_err().to_string().len() < 100);
}

#[test]
fn one_filter_or_an_array_of_them() {
    let count = |json: &str| parse_filters(json.as_bytes()).map(|filters| filters.len());
    assert_eq!(count("{}"), Ok(1));
    assert_eq!(count("[]"), Ok(0));
    assert_eq!(count(" [ {} , {\"kinds\":[1]} ] "), Ok(2));
    for bad in ["[{},]", "[{}", "[[]]", "[1]", "{} []", "[{}]{}", ""] {
        assert!(matches!(count(bad), Err(FilterError::Invalid(_))), "{bad}");
    }
    assert!(matches!(count(r#"[{},{"x":1},{}]"#), Err(FilterError::Unsupported(_))));
    assert!(matches!(count(r#"[{"x":1},{"since":"a"}]"#), Err(FilterError::Invalid(_))));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        ids in prop::option::of(prop::collection::vec(any::<[u8; 32]>(), 0..4)),
        kinds in prop::option::of(prop::collection::vec(any::<u16>(), 0..4)),
        values in prop::collection::btree_map(
            "[a-zA-Z]", prop::collection::vec(any::<String>(), 0..4), 0..4),
        since: u64, until: u64, limit: Option<u64>,
        search in prop::option::of("[a-z\"\u{0}é京:. ]{0,40}"),
    ) {
        let value = |letter: u8, text: &String| match letter {
            b'e' | b'p' => TagValue::from([text.len() as u8; 32]),
            _ => TagValue::new(text),
        };
        let tags = values.iter().map(|(letter, values)| {
            let letter = letter.as_bytes()[0];
            (letter, values.iter().map(|v| value(letter, v)).collect())
        });
        let mut filter = Filter {
            authors: ids.clone(), ids, kinds, not_kinds: Vec::new(), tags: tags.collect(), since, until, limit,
            search: search.map(|text| Search::new(&text).unwrap()),
        };
        let json = written(&filter);
        filter.normalize();
        prop_assert_eq!(parsed(&json).unwrap(), filter.clone());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(parsed(&value.to_string()).unwrap(), filter);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse_filters(&bytes);
    }
}
