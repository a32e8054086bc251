//! Every refusal, row by row; `differential` compares with serde_json.

mod differential;

use serde_json::Value;

use super::*;
use crate::nostr::Event;

fn parse(json: &[u8]) -> Result<Event, ParseError> {
    Event::from_json(json, &JsonLimits::default())
}

/// A well-formed event in JSON, with `with` in place of what `field` had.
fn event_with(field: &str, with: &str) -> String {
    let fields = [
        ("id", format!("\"{}\"", "1".repeat(64))),
        ("pubkey", format!("\"{}\"", "a".repeat(64))),
        ("created_at", "1700000000".into()),
        ("kind", "1".into()),
        ("tags", r#"[["e","x"],[]]"#.into()),
        ("content", r#""hi""#.into()),
        ("sig", format!("\"{}\"", "f".repeat(128))),
    ];
    let member = |(name, value): &(&str, String)| {
        format!("{name:?}:{}", if *name == field { with } else { value })
    };
    format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(","))
}

fn refusal(json: &str) -> String {
    parse(json.as_bytes()).map(|_| json.to_string()).expect_err("refused").to_string()
}

#[test]
fn values_that_no_event_has_are_refused_by_name() {
    let hex64 = "1".repeat(64);
    let rows: &[(&str, &[&str], &str)] = &[
        (
            "created_at",
            &["1e3", "1.0", "-1", "-0", "01", "00", "\"1\"", "null", "true", "[]", ""],
            "created_at must be an integer from 0 to 18446744073709551615",
        ),
        ("created_at", &["18446744073709551616", "99999999999999999999999"], "created_at must be"),
        (
            "kind",
            &["65536", "-1", "1.0", "1e0", "007", "\"1\"", "{}"],
            "kind must be an integer from 0 to 65535",
        ),
        ("id", &["\"\"", "\"11\"", "\"zz\""], "id must be 64 lowercase hex characters"),
        ("tags", &["null", "\"\"", "{}", "1"], "expected tags, an array of arrays of strings"),
        ("tags", &["[\"e\"]", "[{}]", "[[],1]"], "expected a tag, an array of strings"),
        ("tags", &["[[1]]", "[[null]]", "[[[]]]", "[[\"e\",]]"], "expected a string"),
        ("tags", &["[[],]"], "expected a tag"),
        ("tags", &["[[] []]", "[[\"a\" \"b\"]]"], "expected ',' or ']'"),
        ("content", &["null", "1", "[]"], "expected a string"),
        (
            "content",
            &[
                r#""\ud800""#,
                r#""\udc00""#,
                r#""\ud800\u0041""#,
                r#""\ud800x""#,
                r#""\udc00\ud800""#,
                r#""\ud800\ud800""#,
                r#""\ud83d\n""#,
            ],
            "half of a surrogate pair",
        ),
        (
            "content",
            &[r#""\x41""#, r#""\u12g4""#, r#""\U0041""#, r#""\u00""#, r#""\'""#, r#""\u+041""#],
            "an escape is unknown or cut off",
        ),
        (
            "content",
            &[
                "\"a\nb\"",
                "\"\u{0}\"",
                "\"\u{1f}\"",
                "\"\t\"",
                "\"0123456789abcdef0123456789abcdef0123\u{7}\"",
            ],
            "a control character",
        ),
    ];
    for (field, values, text) in rows {
        for value in *values {
            let told = refusal(&event_with(field, value));
            assert!(told.contains(text), "{field} {value}: {told}");
        }
    }
    for (field, length) in [("id", 64), ("pubkey", 64), ("sig", 128)] {
        for bad in [
            "1".repeat(length - 1),
            "1".repeat(length + 1),
            "A".repeat(length),
            format!("0x{}", "1".repeat(length - 2)),
            format!("{}g", "1".repeat(length - 1)),
        ] {
            let told = refusal(&event_with(field, &format!("\"{bad}\"")));
            assert!(told.starts_with(&format!("{field} must be {length} lowercase hex")), "{told}");
        }
    }
    let good = parse(event_with("id", &format!("\"{hex64}\"")).as_bytes()).unwrap();
    assert_eq!(good.id(), &[0x11; 32]);
    for (field, value) in [
        ("created_at", "18446744073709551615"),
        ("created_at", "0"),
        ("kind", "65535"),
        ("kind", "0"),
        ("tags", "[]"),
        ("content", "\"\""),
    ] {
        assert!(parse(event_with(field, value).as_bytes()).is_ok(), "{field} {value}");
    }
}

#[test]
fn a_refusal_says_where() {
    let json = event_with("kind", "65536");
    let error = parse(json.as_bytes()).unwrap_err();
    assert_eq!(error.offset, json.find("65536").unwrap());
    assert_eq!(
        error.to_string(),
        format!(
            "kind must be an integer from 0 to 65535, without sign, fraction and exponent \
                 (byte {})",
            error.offset
        )
    );
}

#[test]
fn every_field_must_stand_exactly_once() {
    let whole: Value = serde_json::from_str(&event_with("", "")).unwrap();
    for name in ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(refusal(&without.to_string()).starts_with(&format!("{name} is missing")));
        let escaped: String = name.bytes().map(|b| format!("\\u{b:04X}")).collect();
        for again in [name, &escaped] {
            let twice =
                event_with("", "").replacen('{', &format!("{{\"{again}\":{},", whole[name]), 1);
            assert!(refusal(&twice).starts_with(&format!("{name} stands twice")), "{twice}");
        }
        let renamed = event_with("", "").replace(&format!("{name:?}"), &format!("\"{escaped}\""));
        assert_eq!(
            parse(renamed.as_bytes()).unwrap(),
            parse(event_with("", "").as_bytes()).unwrap()
        );
    }
}

#[test]
fn unknown_fields_are_checked_and_dropped() {
    let plain = parse(event_with("", "").as_bytes()).unwrap();
    let with = |members: &str| event_with("", "").replacen('{', &format!("{{{members},"), 1);
    for good in [
        r#""x":1"#,
        r#""x":-0.5e+10"#,
        r#""x":1E400"#,
        r#""x":null"#,
        r#""x":[true,false,{}]"#,
        r#""x":{"x":{"y":[[]]},"z":" "}"#,
        r#""x": [ ] "#,
        r#""":"","a":"\ud83d\ude00""#,
        r#""Id":0"#,
        r#""x":0"#,
        r#""x":[[[[[[[]]]]]]]"#,
        r#""x":{"a":1,"a":2}"#,
        r#""x":[{"a":1},[1,2],{"b":[{},[]]}]"#,
    ] {
        assert_eq!(parse(with(good).as_bytes()).unwrap(), plain, "{good}");
    }
    for bad in [
        r#""x":01"#,
        r#""x":1."#,
        r#""x":.5"#,
        r#""x":+1"#,
        r#""x":1e"#,
        r#""x":-"#,
        r#""x":nul"#,
        r#""x":[1,]"#,
        r#""x":{"a"}"#,
        r#""x":{"a":1,}"#,
        r#""x":{1:1}"#,
        r#""x":[1}"#,
        r#""x":{"a":1]"#,
        r#""x":NaN"#,
        r#""x":'a'"#,
        r#""x":"\ud800""#,
        r#""x":[1 2]"#,
        r#""x":"#,
        r#""x""#,
        r#"x:1"#,
        r#""x":[[[[[[[[]]]]]]]]"#,
        r#""x":1,"x":2"#,
        r#""x":1,"\u0078":2"#,
        r#""x":truefalse"#,
        r#","#,
    ] {
        assert!(parse(with(bad).as_bytes()).is_err(), "{bad}");
    }
    let members = |n| (0..n).map(|i| format!("\"k{i}\":{i}")).collect::<Vec<_>>().join(",");
    assert!(parse(with(&members(UNKNOWN_KEYS_MAX)).as_bytes()).is_ok());
    assert!(refusal(&with(&members(UNKNOWN_KEYS_MAX + 1))).contains("more than 16 unknown fields"));
}

#[test]
fn depth_is_bounded_and_nothing_recurses() {
    let nested = |n: usize| {
        let value = format!("{}{}", "[".repeat(n), "]".repeat(n));
        event_with("", "").replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    let limits = |depth| JsonLimits { depth, json_bytes: 1 << 20, ..JsonLimits::default() };
    for (depth, n) in [(8, 7), (1, 0), (64, 63), (1_000, 64)] {
        let ok = |n| Event::from_json(nested(n).as_bytes(), &limits(depth));
        assert!(n == 0 || ok(n).is_ok(), "{depth} {n}");
        assert_eq!(ok(n + 1).unwrap_err().what, Refused::TooDeep);
    }
    let deep = nested(100_000);
    assert_eq!(Event::from_json(deep.as_bytes(), &limits(8)).unwrap_err().what, Refused::TooDeep);
}

#[test]
fn what_surrounds_the_object_is_strict_too() {
    let json = event_with("", "");
    for ok in [format!(" \n\r\t{json} \n"), json.replace(',', " ,\t").replace(':', "\n: ")] {
        assert!(parse(ok.as_bytes()).is_ok());
    }
    for bad in ["x", "{}", "1", "\"\"", "null", ",", "\u{feff}", "\0", "\u{a0}"] {
        assert_eq!(parse(format!("{json}{bad}").as_bytes()).unwrap_err().what, Refused::Trailing);
    }
    assert_eq!(
        parse(format!("\u{feff}{json}").as_bytes()).unwrap_err().what,
        Refused::ByteOrderMark
    );
    for bad in ["", " ", "[]", "null", "{", "{}", "[{}]", "\u{a0}{}", "{,}", "/**/{}"] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad}");
    }
    for cut in 0..json.len() {
        assert!(parse(&json.as_bytes()[..cut]).is_err(), "{cut}");
    }
    for invalid in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let at = json.find("hi").unwrap();
        let bytes = [&json.as_bytes()[..at], invalid, &json.as_bytes()[at..]].concat();
        assert_eq!(parse(&bytes).unwrap_err(), ParseError { what: Refused::NotUtf8, offset: at });
    }
}

#[test]
fn limits_hold_exactly() {
    type Row = (fn(&mut JsonLimits, usize), &'static str, fn(usize) -> String);
    let rows: [Row; 4] = [
        (|l, n| l.tags = n, "tags", |n| event_with("tags", &format!("{:?}", vec![[""; 0]; n]))),
        (
            |l, n| l.items = n,
            "items in a tag",
            |n| event_with("tags", &format!("{:?}", [vec!["a"; n]])),
        ),
        (
            |l, n| l.item_bytes = n,
            "bytes in a tag item",
            |n| event_with("tags", &format!("{:?}", [["x".repeat(n)]])),
        ),
        (
            |l, n| l.content_bytes = n,
            "bytes of content",
            |n| event_with("content", &format!("{:?}", "x".repeat(n))),
        ),
    ];
    for (set, what, json) in rows {
        for limit in [0, 1, 5, 127, 128, 300] {
            let mut limits = JsonLimits::default();
            set(&mut limits, limit);
            let event = Event::from_json(json(limit).as_bytes(), &limits);
            assert!(event.is_ok(), "{what} {limit}: {event:?}");
            let error = Event::from_json(json(limit + 1).as_bytes(), &limits).unwrap_err();
            assert_eq!(error.what, Refused::TooMany { what, limit });
        }
    }
    // Escapes count as what they spell.
    let limits = JsonLimits { content_bytes: 2, item_bytes: 2, ..JsonLimits::default() };
    for (value, ok) in [(r#""\u0041\u0042""#, true), (r#""\u0041\u0042\u0043""#, false)] {
        let content = event_with("content", value).replace("\"x\"", value);
        assert_eq!(Event::from_json(content.as_bytes(), &limits).is_ok(), ok);
        let item = event_with("tags", &format!("[[{value}]]"));
        assert_eq!(Event::from_json(item.as_bytes(), &limits).is_ok(), ok);
    }
    let json = event_with("", "");
    for (json_bytes, ok) in [(json.len(), true), (json.len() - 1, false)] {
        let limits = JsonLimits { json_bytes, ..JsonLimits::default() };
        assert_eq!(Event::from_json(json.as_bytes(), &limits).is_ok(), ok);
    }
    // What the engine could not store is refused, however wide the other limits are.
    let big = |n| event_with("content", &format!("{:?}", "x".repeat(n)));
    let wide = JsonLimits { content_bytes: usize::MAX, ..JsonLimits::WIDEST };
    assert!(Event::from_json(big(RECORD_BYTES_MAX - 200).as_bytes(), &wide).is_ok());
    assert!(Event::from_json(big(RECORD_BYTES_MAX).as_bytes(), &wide).is_err());
}

#[test]
fn hex_written_with_escapes_is_the_same_event() {
    let id = "ab".repeat(32);
    let escaped = "\\u0061b".repeat(32);
    let plain = event_with("tags", &format!("[[\"e\",\"{id}\"]]"));
    let spelled = event_with("tags", &format!("[[\"\\u0065\",\"{escaped}\"]]"));
    assert_eq!(parse(plain.as_bytes()).unwrap(), parse(spelled.as_bytes()).unwrap());
    let field = event_with("pubkey", &format!("\"{escaped}\""));
    assert_eq!(parse(field.as_bytes()).unwrap().pubkey(), &[0xab; 32]);
}
