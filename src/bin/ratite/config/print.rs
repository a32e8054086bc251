//! `ratite config`: the effective configuration, as a configuration file or as JSON.

use super::AllFlags;
use super::kind::items;
use super::resolve::{Effective, Settings};
use super::table::Section;
use crate::failure::{Failure, Outcome};
use crate::output::print;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Options of `ratite config`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// One JSON object, which also has defaults, units, ranges and the names of flags and variables
    #[arg(long)]
    json: bool,

    /// Print nothing; the exit status is 0 if the configuration is right and the store opens with it, else 2
    #[arg(long, conflicts_with = "json")]
    check: bool,

    #[command(flatten)]
    _flags: AllFlags,
}

pub fn run(args: &Args, settings: &Settings) -> Outcome<()> {
    match (args.check, args.json) {
        (true, _) => settings.check_store().map_err(Failure::Usage),
        (_, true) => print(&format!("{}\n", settings.json()?)),
        _ => print(&settings.toml()?),
    }
}

/// A directory as it is from everywhere.
fn absolute(path: &Path) -> Outcome<String> {
    let whole = std::path::absolute(path)
        .map_err(|error| Failure::Sentence(format!("where {} is: {error}", path.display())))?;
    let text = whole.to_str().map(String::from);
    text.ok_or_else(|| Failure::Sentence(format!("{} is not UTF-8", whole.display())))
}

impl Settings {
    /// As a configuration file: `key = value  # from where; range; what it does`.
    pub(super) fn toml(&self) -> Outcome<String> {
        let file = match &self.file {
            Some(path) => absolute(path)?,
            None => "none".into(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let mut out = format!(
            "# The effective configuration of ratite {version}; file: {file}.\n\
             # Each line ends in: where the value comes from; which values are taken; what it does.\n"
        );
        for section in Section::ALL {
            // Writing to a String cannot fail.
            let _written = writeln!(out, "\n[{}]", section.name());
            let of_section = self.effective.iter().filter(|e| e.setting.section == section);
            let lines: Vec<(String, &Effective)> =
                of_section.map(|e| Ok((self.assignment(e)?, e))).collect::<Outcome<_>>()?;
            let width = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
            // Long texts would push all comments out of sight.
            let width = width.min(48);
            for (text, effective) in lines {
                let comment = comment(effective);
                let _written = writeln!(out, "{text:width$}  # {comment}");
            }
        }
        Ok(out)
    }

    /// `key = value`; one that is idle is a comment, since it would be refused.
    fn assignment(&self, effective: &Effective) -> Outcome<String> {
        // A string of JSON is one of TOML but for one character, which JSON leaves as it is.
        let value = self.value(effective)?.to_string().replace('\u{7f}', "\\u007F");
        let idle = if effective.is_idle { "# " } else { "" };
        Ok(format!("{idle}{} = {value}", effective.setting.key))
    }

    fn value(&self, effective: &Effective) -> Outcome<Value> {
        let (kind, text) = (&effective.setting.kind, &effective.text);
        let is_dir = matches!(kind, super::kind::Kind::Dir { .. });
        if is_dir && !effective.setting.is_default_word(text) {
            return absolute(Path::new(text)).map(Value::from);
        }
        if kind.is_list() {
            return Ok(items(text).collect());
        }
        let number = text.parse::<u64>().ok().filter(|_| kind.is_number());
        Ok(number.map_or_else(|| text.clone().into(), Value::from))
    }

    fn json(&self) -> Outcome<Value> {
        let file = self.file.as_deref().map(absolute).transpose()?;
        let options = self.effective.iter().map(|effective| {
            let setting = effective.setting;
            Ok(json!({
                "name": setting.name(),
                "value": self.value(effective)?,
                "source": effective.origin.to_string(),
                "counts": !effective.is_idle,
                "default": setting.default,
                "unit": setting.kind.unit(),
                "range": setting.range(),
                "effect": setting.does(),
                "flag": format!("--{}", setting.flag),
                "variable": setting.variable(),
            }))
        });
        let options = options.collect::<Outcome<Vec<Value>>>()?;
        Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "file": file, "options": options }))
    }
}

fn comment(effective: &Effective) -> String {
    let Effective { setting, origin, .. } = effective;
    let idle = if effective.is_idle { ", idle" } else { "" };
    format!("{origin}{idle}; {}; {}", setting.range(), setting.does())
}
