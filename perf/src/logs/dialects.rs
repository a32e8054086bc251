//! DuckDB without an index, and ClickHouse with its text index.
//!
//! A token ends where a byte of ASCII that is no letter and no digit begins, whatever its case. ClickHouse's tokenizer
//! `splitByNonAlpha` has this rule, on the line in lower case (words of one byte, which it keeps, are not asked for).
//! DuckDB has no tokens: it looks for the letters first, and at what stands around them where it finds them.

use super::sql::Dialect;

pub static DUCKDB: Dialect = Dialect {
    engine: "duckdb",
    name: "duckdb",
    settings: &["SET threads = {threads}"],
    schema: &["CREATE TABLE lines (ts UBIGINT, source VARCHAR, raw VARCHAR)"],
    fill: r"INSERT INTO lines SELECT * FROM read_csv('{file}', delim = '\t', quote = '', escape = '', header = false,
        auto_detect = false, columns = {'ts': 'UBIGINT', 'source': 'VARCHAR', 'raw': 'VARCHAR'})",
    settle: &["CHECKPOINT"],
    token: |token| {
        let part = "[0-9A-Za-z\\x{80}-\\x{10FFFF}]";
        let not = part.replacen('[', "[^", 1);
        // Letter by letter: what RE2 takes for the same letter in another case is more than ASCII's.
        let any_case: String = token
            .chars()
            .map(|c| match c.to_ascii_uppercase() {
                upper if upper == c => c.to_string(),
                upper => format!("[{c}{upper}]"),
            })
            .collect();
        format!(
            "contains(lower(raw), '{token}') AND regexp_matches(raw, '(^|{not}){any_case}({not}|$)')"
        )
    },
    bucket: |us| format!("ts // {us}"),
    calls_max: 15,
};

pub static CLICKHOUSE: Dialect = Dialect {
    engine: "clickhouse",
    name: "clickhouse text index",
    settings: &["SET max_threads = {threads}"],
    schema: &["CREATE TABLE lines (
            ts UInt64 CODEC(Delta, ZSTD), source LowCardinality(String), raw String CODEC(ZSTD(3)),
            INDEX words raw TYPE text(tokenizer = splitByNonAlpha, preprocessor = lower(raw))
        ) ENGINE = MergeTree ORDER BY ts"],
    fill: "INSERT INTO lines
        SELECT * FROM file('{file}', TSVRaw, 'ts UInt64, source String, raw String')",
    settle: &["OPTIMIZE TABLE lines FINAL"],
    token: |token| format!("hasAllTokens(raw, ['{token}'])"),
    bucket: |us| format!("intDiv(ts, {us})"),
    calls_max: 50,
};
