//! Figures as they come: rows of an aligned table for a person, an object a line for everyone else.
//!
//! ```text
//!   queries, warm                             rows  CPU us p50  CPU us p99 ...
//!   get by id                                 1.00        1.90        4.30      goal 2.15
//! ```

use crate::failure::Outcome;
use crate::output::{is_for_person, print};
use crate::progress::Progress;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Characters of a row's name, and of a column at least.
const ROW_WIDTH: usize = 40;
const COLUMN_WIDTH: usize = 11;

/// One figure.
pub struct Figure<'a> {
    /// The part of the run that it is of; rows of one have the same columns.
    pub section: &'static str,
    /// What was measured.
    pub row: &'a str,
    /// What a person is shown: columns, and numbers where there are some.
    pub cells: Vec<(&'static str, Option<f64>)>,
    /// What stands beside it: a limit, a goal.
    pub note: String,
    /// All there is, for programs.
    pub values: Value,
}

/// Where figures go.
pub struct Table {
    for_person: bool,
    common: Map<String, Value>,
    section: &'static str,
    progress: Progress,
}

impl Table {
    /// A table on standard output, whose figures have `common` in common.
    pub fn open(json: bool, common: &Value) -> Outcome<Table> {
        let for_person = is_for_person(json);
        if for_person {
            print(&head(common))?;
        }
        let common = common.as_object().cloned().unwrap_or_default();
        Ok(Table { for_person, common, section: "", progress: Progress::of_bytes(None) })
    }

    /// What is shown while no figure comes.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes a figure.
    pub fn add(&mut self, figure: Figure<'_>) -> Outcome<()> {
        let text = match self.for_person {
            true => lines(&figure, self.section != figure.section),
            false => format!("{}\n", object(&figure, &self.common)),
        };
        self.section = figure.section;
        let mut printed = Ok(());
        self.progress.aside(|| printed = print(&text));
        printed
    }

    /// There are no more.
    pub fn end(&self) {
        self.progress.clear();
    }
}

/// What a person has to know of all figures.
fn head(common: &Value) -> String {
    let (host, options) = (&common["host"], &common["options"]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!(
        "ratite {}; {} cores of {}, {} MiB, Linux {}, load {}\n{}, by {}\n{} events, sync {}, {} MiB of memory, {} shards\n",
        text(&common["version"]),
        host["cores"],
        text(&host["cpu"]),
        host["memory_mib"],
        text(&host["kernel"]),
        text(&host["load"]),
        text(&common["file_system"]),
        text(&options["io"]),
        common["events"],
        text(&options["sync"]),
        options["memory_mib"],
        options["shards"],
    )
}

fn object(figure: &Figure<'_>, common: &Map<String, Value>) -> Value {
    let mut object = Map::new();
    object.insert("section".into(), figure.section.into());
    object.insert("row".into(), figure.row.into());
    object.extend(figure.values.as_object().cloned().unwrap_or_default());
    object.extend(common.clone());
    Value::Object(object)
}

/// The figure's line, below a line that names its columns if it is the first of them.
fn lines(figure: &Figure<'_>, is_first: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    if is_first {
        let _written = write!(out, "\n{:<ROW_WIDTH$}", figure.section);
        for (name, _) in &figure.cells {
            let _written = write!(out, " {name:>0$}", width(name));
        }
        out.push('\n');
    }
    let _written = write!(out, "{:<ROW_WIDTH$}", figure.row);
    for (name, value) in &figure.cells {
        let value = value.map_or_else(|| "-".into(), number);
        let _written = write!(out, " {value:>0$}", width(name));
    }
    if !figure.note.is_empty() {
        let _written = write!(out, "  {}", figure.note);
    }
    out.push('\n');
    out
}

fn width(name: &str) -> usize {
    name.len().max(COLUMN_WIDTH)
}

/// Three digits that say something, and groups of three before the point.
fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => {
            let digits = format!("{value:.0}");
            let mut out = String::new();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i).is_multiple_of(3) {
                    out.push(',');
                }
                out.push(digit);
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_three_digits_and_groups_of_them() {
        let cases = [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (9.9, "9.90"),
            (12.34, "12.3"),
            (123.4, "123"),
            (999.6, "1,000"),
            (12_345.0, "12,345"),
            (1_234_567.0, "1,234,567"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    fn figure(row: &str) -> Figure<'_> {
        let cells =
            vec![("us p50", Some(41.25)), ("a second, or more", Some(20_000.0)), ("x", None)];
        let values = json!({ "row": "not this", "us": 41.25 });
        Figure { section: "device", row, cells, note: "goal 40".into(), values }
    }

    #[test]
    fn columns_stand_under_their_names() {
        let first = lines(&figure("synced write"), true);
        let [empty, names, row] = first.lines().collect::<Vec<_>>()[..] else { panic!("{first}") };
        assert_eq!(empty, "");
        let end = |line: &str, part: &str| line.find(part).map(|at| at + part.len());
        for (name, value) in [("us p50", "41.2"), ("a second, or more", "20,000"), ("  x", "  -")] {
            assert!(end(names, name).is_some(), "{first}");
            assert_eq!(end(names, name), end(row, value), "{first}");
        }
        assert!(row.ends_with("-  goal 40"));
        assert_eq!(lines(&figure("synced write"), false), format!("{row}\n"));
    }

    #[test]
    fn an_object_has_its_own_values_and_the_common_ones() {
        let common = json!({ "version": "1", "host": { "cores": 2 } });
        let object = object(&figure("synced write"), common.as_object().unwrap());
        assert_eq!(object["section"], "device");
        assert_eq!((&object["us"], &object["version"]), (&json!(41.25), &json!("1")));
        assert_eq!(object["host"]["cores"], 2);
    }

    #[test]
    fn the_head_names_the_machine() {
        let head = head(&json!({
            "version": "1.2", "host": { "cores": 2, "cpu": "a processor", "memory_mib": 5, "kernel": "6.1", "load": "0.5" },
            "file_system": "ext4 on /dev/x (rw)", "events": 7,
            "options": { "sync": "always", "memory_mib": 64, "shards": 2, "io": "io_uring" },
        }));
        assert_eq!(
            head,
            "ratite 1.2; 2 cores of a processor, 5 MiB, Linux 6.1, load 0.5\next4 on /dev/x (rw), by io_uring\n\
             7 events, sync always, 64 MiB of memory, 2 shards\n"
        );
    }
}
