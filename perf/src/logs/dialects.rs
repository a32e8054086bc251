//! DuckDB without an index, and ClickHouse with its text index.
//!
//! A token ends where a byte of ASCII that is no letter and no digit begins, whatever its case. ClickHouse's tokenizer
//! `splitByNonAlpha` has this rule, on the line in lower case (words of one byte, which it keeps, are not asked for).
//! DuckDB has no tokens: it looks for the letters first, and at what stands around them where it finds them.

use super::sql::Dialect;

pub static DUCKDB: Dialect = Dialect {
    engine: "duckdb",
    settings: &["SET threads = {threads}", "SET enable_progress_bar = false"],
    schema: &["CREATE TABLE lines (ts UBIGINT, source VARCHAR, raw VARCHAR)"],
    fill: r"INSERT INTO lines SELECT * FROM read_csv('{file}', delim = '\t', quote = '', escape = '', header = false,
        auto_detect = false, columns = {'ts': 'UBIGINT', 'source': 'VARCHAR', 'raw': 'VARCHAR'})",
    settle: &["CHECKPOINT"],
    words: |words| {
        let conditions: Vec<String> = words.iter().map(|word| stands_alone(word)).collect();
        conditions.join(" AND ")
    },
    bytes: None,
    bucket: |us| format!("ts // {us}"),
    calls_max: 15,
};

/// That a word is in the line, with neither letter nor digit before and behind.
fn stands_alone(word: &str) -> String {
    let not = "[^0-9A-Za-z\\x{80}-\\x{10FFFF}]";
    // Letter by letter: what RE2 takes for the same letter in another case is more than ASCII's.
    let either = |c: char| match c.to_ascii_uppercase() {
        upper if upper == c => c.to_string(),
        upper => format!("[{c}{upper}]"),
    };
    let letters: String = word.chars().map(either).collect();
    format!("raw ILIKE '%{word}%' AND regexp_matches(raw, '(^|{not}){letters}({not}|$)')")
}

pub static CLICKHOUSE: Dialect = Dialect {
    engine: "clickhouse",
    settings: &["SET max_threads = {threads}"],
    schema: &["CREATE TABLE lines (
            ts UInt64 CODEC(Delta, ZSTD), source LowCardinality(String), raw String CODEC(ZSTD(3)),
            INDEX words raw TYPE text(tokenizer = splitByNonAlpha, preprocessor = lower(raw))
        ) ENGINE = MergeTree ORDER BY ts SETTINGS old_parts_lifetime = 1"],
    fill: "INSERT INTO lines
        SELECT * FROM file('{file}', TSVRaw, 'ts UInt64, source String, raw String')",
    settle: &["OPTIMIZE TABLE lines FINAL"],
    words: |words| format!("hasAllTokens(raw, ['{}'])", words.join("', '")),
    // Parts that were merged away stay for a while.
    bytes: Some("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'lines'"),
    bucket: |us| format!("intDiv(ts, {us})"),
    calls_max: 50,
};
