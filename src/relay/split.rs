//! Takes a JSON array or object apart into the byte ranges of its elements, without building values.
//!
//! ```text
//!   ["REQ", "sub", {"kinds":[1]}, ...]
//!    ^---^  ^---^  ^-----------^         ranges of `text`, quotes and braces included
//! ```
//!
//! I1. A range ends where a strict parser would end it, if it is JSON at all. What it holds is not
//!     looked at here: each range goes to a strict parser, which refuses what is not.
//! I2. One pass, no recursion, no allocation: nesting is a number.

/// The text is not an array, or not an object, of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// The elements of an array.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    First,
    Later,
    Ended,
}

impl<'a> Elements<'a> {
    /// Starts behind the `[`.
    pub(crate) fn new(json: &'a [u8]) -> Result<Elements<'a>> {
        match trim(json) {
            [b'[', rest @ ..] => Ok(Elements { rest, state: State::First }),
            _ => Err(Malformed("a message is a JSON array")),
        }
    }

    /// The next element, or `None` at the end of the array, which is the end of the text.
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>> {
        let rest = match (self.state, trim(self.rest)) {
            (State::Ended, _) => return Ok(None),
            (_, [b']', rest @ ..]) => {
                self.state = State::Ended;
                self.rest = rest;
                return match trim(rest) {
                    [] => Ok(None),
                    _ => Err(Malformed("something follows the message")),
                };
            }
            (State::First, rest) => rest,
            (State::Later, [b',', rest @ ..]) => trim(rest),
            _ => return Err(Malformed("expected ',' or ']'")),
        };
        let (value, rest) = rest.split_at(value_len(rest)?);
        self.rest = rest;
        self.state = State::Later;
        Ok(Some(value))
    }
}

/// The value of the first member called `name` of an object.
pub(super) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let [b'{', rest @ ..] = trim(object) else { return None };
    let mut rest = trim(rest);
    loop {
        let (key, after) = rest.split_at(string_len(rest).ok()?);
        let [b':', after @ ..] = trim(after) else { return None };
        let after = trim(after);
        let (value, after) = after.split_at(value_len(after).ok()?);
        if key.get(1..key.len() - 1) == Some(name.as_bytes()) {
            return Some(value);
        }
        let [b',', after @ ..] = trim(after) else { return None };
        rest = trim(after);
    }
}

/// Bytes of the value that `json` starts with.
fn value_len(json: &[u8]) -> Result<usize> {
    match json.first() {
        Some(b'"') => string_len(json),
        Some(b'{' | b'[') => nested_len(json),
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
            match json.iter().position(ends).unwrap_or(json.len()) {
                0 => Err(Malformed("expected a value")),
                len => Ok(len),
            }
        }
    }
}

/// Bytes of the string that `json` starts with, both quotes included.
fn string_len(json: &[u8]) -> Result<usize> {
    if json.first() != Some(&b'"') {
        return Err(Malformed("expected a string"));
    }
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        at += found;
        match json[at] {
            b'"' => return Ok(at + 1),
            _ => at += 2,
        }
    }
    Err(Malformed("a string does not end"))
}

/// Bytes of the array or object that `json` starts with. That brackets and braces pair up is left to
/// who parses the range (I1).
fn nested_len(json: &[u8]) -> Result<usize> {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => {
                at += string_len(&json[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(Malformed("an array or object does not end"))
}

fn trim(json: &[u8]) -> &[u8] {
    let space = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    &json[json.iter().take_while(space).count()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(json: &str) -> Result<Vec<&str>> {
        let mut elements = Elements::new(json.as_bytes())?;
        let mut all = Vec::new();
        while let Some(element) = elements.next()? {
            all.push(std::str::from_utf8(element).unwrap());
        }
        assert_eq!(elements.next(), Ok(None));
        Ok(all)
    }

    #[test]
    fn elements_are_found_by_hand() {
        assert_eq!(split("[]").unwrap(), Vec::<&str>::new());
        assert_eq!(split(" [ ] ").unwrap(), Vec::<&str>::new());
        assert_eq!(split("[1]").unwrap(), ["1"]);
        let json = r#" [ "a\"]" , {"b":["]}"],"c":{}} ,[[],[1]], null,-1.5e3 ] "#;
        let all = [r#""a\"]""#, r#"{"b":["]}"],"c":{}}"#, "[[],[1]]", "null", "-1.5e3"];
        assert_eq!(split(json).unwrap(), all);
        for bad in [
            "",
            "{}",
            "\"a\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[]]",
            "[] x",
            "[\"a]",
            "[\"a\\\"]",
            "[{]",
            "[\"",
            "[\"\\",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_member_is_found_by_its_plain_name() {
        let id = |json: &'static str| member(json.as_bytes(), "id").map(|v| str::from_utf8(v));
        assert_eq!(id(r#"{"id":"x"}"#), Some(Ok(r#""x""#)));
        assert_eq!(id(r#" { "a" : {"id":1} , "id" : [2] } "#), Some(Ok("[2]")));
        for none in ["{}", "", "[]", r#"{"a":"id"}"#, r#"{"id""#, r#"{"id":}"#, "{1:2}", "{\"a\":1"]
        {
            assert_eq!(id(none), None, "{none}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[\"\\\\\\[\\]{}:, a-z\u{0}\u{e9}]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec(("[\"\\\\\\]}a-c]{0,3}", inner), 0..4).prop_map(|members| {
                    serde_json::Value::Object(members.into_iter().collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_array_splits_as_a_json_parser_splits_it(all in prop::collection::vec(json(), 0..5)) {
            let text = serde_json::to_string_pretty(&all).unwrap();
            let split = split(&text).unwrap();
            let parsed: Vec<serde_json::Value> =
                split.iter().map(|range| serde_json::from_str(range).unwrap()).collect();
            prop_assert_eq!(parsed, all);
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",: \\\\a1]{0,24}") {
            let _ = split(&text);
            let _ = member(text.as_bytes(), "a");
        }
    }
}
