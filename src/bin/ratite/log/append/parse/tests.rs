//! What `fuzz` says of any lines, over a kept corpus and over mutations of it.

use super::fuzz::log_append;
use crate::mutants;

/// Mutants in each run of the tests.
const MUTANTS: u64 = 10_000;

/// What the flags of a seed are: the formats with a file's name, with --source, with --multiline, with fields that are named.
const FLAGS: [u8; 5] = [0x82, 0x40, 0x93, 0xa3, 0xab];

/// The last line of a page of ours.
pub const RESUME: &str = "{\"resume\":\"EsEP9FZJlWnwORhXAAAAAAAAAAAAAAAAAAAAAAAGYPJNw0X0AAZg8k2-R58ABmDyTb5GGu7c3Dd6Z3v1\"}";

/// Lines of every form.
const LINES: [&str; 7] = [
    RESUME,
    "\u{feff}Nov 22 14:00:00 host su: it failed\r\n\n  by a foot\n\tand a hand\n2023-11-14T22:13:20Z x\n",
    "{\"ts\":\"2023-11-14T22:13:20.5Z\",\"source\":\"web\",\"source_id\":\"x\",\"raw\":\"a\\nb \\u00e9\",\"context\":true}\n",
    "{\"ts\":\"@18446744073709551615us\",\"source\":\"1726f5e8-8351-5863-bd13-1a0f30f31375\",\"raw\":\"\\ufffd\",\"raw_base64\":\"/w==\"}\n",
    "{\"ts\":\"soon\",\"raw\":\"\",\"raw_base64\":\"Zh==\"}\n{\"a.b\":5}\n{\"raw\":[1]}\n",
    "{\"a\":{\"b\":\"web\"},\"m\":\"x\",\"t\":1700000000.25}\n{\"a.b\":[],\"m\":{\"k\":1e5},\"t\":\"1700000000000\"}\n{\"a\":{}}",
    "{\"time\":-5}\n{\"@timestamp\":1e300}\n  {\"timestamp\":1700000000000000000}\n{\n",
];

fn seeds() -> Vec<Vec<u8>> {
    let with = |lines: &'static str| FLAGS.map(|flags| [&[flags, 6], lines.as_bytes()].concat());
    LINES.into_iter().flat_map(with).collect()
}

fn words() -> Vec<Vec<u8>> {
    let words = [
        "\"ts\":\"",
        "\"source\":\"",
        "\"raw\":\"",
        "\"raw_base64\":\"",
        RESUME,
        "\"context\":true",
        "\"a\":{\"b\":\"",
        "\"a.b\":",
        "\"m\":",
        "\"t\":",
        "\"@timestamp\":",
        "2023-11-14T22:13:20Z",
        "@5us",
        "1700000000000",
        "/w==",
        "1726f5e8-8351-5863-bd13-1a0f30f31375",
        "\n",
        "\r\n",
        "\n\t",
        "\n {",
        "}",
        "{",
        ",",
        "\u{feff}",
        "null",
    ];
    words.map(|word| word.as_bytes().to_vec()).into()
}

#[test]
fn any_lines_are_the_records_that_they_are_by_hand() {
    mutants::hold("log_append", log_append, &words(), MUTANTS);
}

#[test]
#[ignore = "writes into fuzz/corpus and fuzz/dictionaries"]
fn seeds_of_lines_are_written() {
    mutants::write("log_append", &seeds(), &words());
}
