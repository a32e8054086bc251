//! The configuration file: TOML, a table for each section.
//!
//! 1. What is no section, no option, or not of an option's kind is refused with its line; all of it at
//!    once, not only the first.
//! 2. A relative directory is relative to the file's directory: a file means the same wherever the
//!    program is started.

use super::kind::{ITEM_END, Kind, items};
use super::layers::{Given, Origin, Problems};
use super::nearest::nearest;
use super::table::{Section, Setting, all, find};
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Value<'a> = Spanned<DeValue<'a>>;

/// The most that is read as a file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is read, and of what.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    given: Vec<Given>,
    problems: Vec<(usize, String)>,
}

/// The values of the file at `path`.
pub fn read(path: &Path, named_by: Option<&Origin>, problems: &mut Problems) -> Vec<Given> {
    let mut text = String::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 <= FILE_BYTES_MAX => parse(path, &text, problems),
        Ok(_) => {
            problems.push(format!("{}: it is too large for a configuration", path.display()));
            Vec::new()
        }
        Err(error) => {
            let by = named_by.map_or_else(String::new, |by| format!(" ({by})"));
            problems.push(format!("cannot read {}{by}: {error}", path.display()));
            Vec::new()
        }
    }
}

/// The values in `text`, which stands at `path`.
pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Vec<Given> {
    let mut reading = Reading { path, text, given: Vec::new(), problems: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reading.refuse(at, error.message().trim_end());
    }
    // After a syntax error the rest would be misunderstood.
    if errors.is_empty() {
        reading.sections(root.get_ref());
    }
    reading.problems.sort();
    let place = |line: usize| format!("{}:{line}", path.display());
    problems.extend(reading.problems.iter().map(|(line, why)| format!("{}: {why}", place(*line))));
    reading.given
}

impl Reading<'_> {
    /// The line of a byte of the text.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn refuse(&mut self, at: usize, why: impl Into<String>) {
        self.problems.push((self.line(at), why.into()));
    }

    fn sections(&mut self, root: &DeTable<'_>) {
        for (key, value) in root {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            let section = Section::ALL.into_iter().find(|section| section.name() == name);
            match (section, value.get_ref()) {
                (Some(section), DeValue::Table(table)) => self.options(section, table),
                (Some(_), _) => self.refuse(at, format!("{name} is a section: write [{name}]")),
                (None, value) => {
                    let why = no_section(name, value.is_table());
                    self.refuse(at, why);
                }
            }
        }
    }

    fn options(&mut self, section: Section, table: &DeTable<'_>) {
        for (key, value) in table {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            let Some(setting) = find(section, name) else {
                self.refuse(at, no_option(section, name));
                continue;
            };
            let text = match value.get_ref() {
                DeValue::Array(values) if setting.kind.is_list() => self.items(setting, values),
                other if setting.kind.is_list() => {
                    let (name, of) = (setting.name(), other.type_str());
                    self.refuse(
                        at,
                        format!("{name}: it is of type {of}, and not an array of texts"),
                    );
                    None
                }
                _ => self.value(setting, at, value),
            };
            let Some(text) = text else { continue };
            let origin = Origin::File(self.path.into(), self.line(at));
            let text = self.resolved(setting, text);
            self.given.push(Given { name: setting.name(), text, origin });
        }
    }

    /// A value as it is printed, or it is refused with the line `at` which its key is.
    fn value(&mut self, setting: &Setting, at: usize, value: &Value<'_>) -> Option<String> {
        let text = text_of(setting, value).and_then(|text| setting.check(&text));
        let written = &self.text[value.span()];
        let name = setting.name();
        text.map_err(|why| self.refuse(at, format!("{name} = {written}: {why}"))).ok()
    }

    /// A list as it is printed. Each item that is refused is so with its own line.
    fn items(&mut self, setting: &Setting, values: &[Value<'_>]) -> Option<String> {
        let each: Vec<Option<String>> =
            values.iter().map(|value| self.value(setting, value.span().start, value)).collect();
        let each: Option<Vec<String>> = each.into_iter().collect();
        each.map(|each| each.join(ITEM_END))
    }

    fn resolved(&self, setting: &Setting, text: String) -> String {
        match (&setting.kind, self.path.parent()) {
            (Kind::Dir { .. }, Some(dir)) if !setting.is_default_word(&text) => {
                let whole: PathBuf = dir.join(&text).components().collect(); // 2.
                whole.display().to_string()
            }
            _ => text,
        }
    }
}

/// The value as a flag would have it; of a list, an item.
fn text_of(setting: &Setting, value: &Value<'_>) -> Result<String, String> {
    match (value.get_ref(), &setting.kind) {
        (DeValue::Integer(number), Kind::Count { .. } | Kind::Size { .. } | Kind::Time { .. }) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map(|number| number.to_string()).map_err(|_| "it is too large a number".into())
        }
        (DeValue::String(text), Kind::Count { .. }) if !setting.is_default_word(text) => {
            Err("it is a whole number: write it without quotes".into())
        }
        (DeValue::String(text), Kind::List { .. }) if items(text).count() != 1 => {
            Err("it is not one item: write each as a text of its own".into())
        }
        (DeValue::String(text), _) => Ok(text.as_ref().into()),
        (value, kind) => {
            let wanted = if kind.is_number() { "a whole number" } else { "text in quotes" };
            Err(format!("it is of type {}, and not {wanted}", value.type_str()))
        }
    }
}

fn no_section(name: &str, is_table: bool) -> String {
    let owner = all().find(|setting| setting.key == name && !is_table);
    if let Some(owner) = owner {
        return format!("{name} stands in no section; it belongs in [{}]", owner.section.name());
    }
    let hint = nearest(name, Section::ALL.into_iter().map(Section::name));
    format!("there is no section {name}{hint}")
}

fn no_option(section: Section, name: &str) -> String {
    let section_name = section.name();
    if let Some(owner) = all().find(|setting| setting.key == name) {
        let owner = owner.section.name();
        return format!("{section_name}.{name}: there is no such option; it belongs in [{owner}]");
    }
    let hint = nearest(name, section.settings().iter().map(|setting| setting.key));
    format!("{section_name}.{name}: there is no such option{hint}")
}
