//! Where values come from: the command line, the environment, and the file between them and the
//! defaults.
//!
//! 1. A variable that is empty counts as not set.
//! 2. A variable that begins with `RATITE_` and is no option is refused, as a misspelled flag is.
//!    What container orchestrators set for a service of that name is not meant by it.

use super::nearest::nearest;
use super::table::{Setting, all};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "RATITE_CONFIG";

/// Where a value comes from; what is greater counts before what is less.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// The table of options.
    Default,
    /// The configuration file, at this line.
    File(PathBuf, usize),
    /// The variable of this name.
    Variable(String),
    /// The flag of this name, with its dashes.
    Flag(String),
}

impl Origin {
    /// Whether this counts before `other`, or as much.
    pub fn outranks(&self, other: &Origin) -> bool {
        let rank = |origin: &Origin| match origin {
            Origin::Default => 0,
            Origin::File(..) => 1,
            Origin::Variable(_) => 2,
            Origin::Flag(_) => 3,
        };
        rank(self) >= rank(other)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "env {name}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value that somebody gave, checked, as it is printed.
#[derive(Debug)]
pub struct Given {
    /// Of this option.
    pub name: String,
    /// The value.
    pub text: String,
    /// From here.
    pub origin: Origin,
}

/// What is wrong, all of it: a sentence each, with the place and the name.
pub type Problems = Vec<String>;

/// What the system has to say before anything is read.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The environment.
    pub variables: Vec<(String, OsString)>,
    /// Where a file is looked for if none is named; the first that is there counts.
    pub files: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_the_process() -> Surroundings {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("RATITE_"))
            .collect();
        let files = ["ratite.toml", "/etc/ratite/ratite.toml"].map(PathBuf::from).into();
        Surroundings { variables, files }
    }

    /// The file to be read, and who named it; nobody did if it is one of those looked for.
    pub fn file(&self, flag: Option<&Path>) -> Option<(PathBuf, Option<Origin>)> {
        if let Some(path) = flag {
            return Some((path.into(), Some(Origin::Flag("--config".into()))));
        }
        let variable = self.variables.iter().find(|(name, value)| {
            name == FILE_VARIABLE && !value.is_empty() // 1.
        });
        if let Some((name, path)) = variable {
            return Some((path.into(), Some(Origin::Variable(name.clone()))));
        }
        // One that is there and cannot be read is an error, not a file that is not there.
        let found = self.files.iter().find(|path| path.symlink_metadata().is_ok());
        found.map(|path| (path.clone(), None))
    }

    /// The values of the environment.
    pub fn given(&self, problems: &mut Problems) -> Vec<Given> {
        let mut given = Vec::new();
        for (name, value) in self.variables.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(setting) = all().find(|setting| setting.variable() == *name) else {
                if !is_foreign(name) {
                    problems.push(unknown(name));
                }
                continue;
            };
            let checked = value.to_str().ok_or_else(|| "it is not UTF-8".to_string());
            match checked.and_then(|text| setting.check(text)) {
                Ok(text) => {
                    let origin = Origin::Variable(name.clone());
                    given.push(Given { name: setting.name(), text, origin });
                }
                Err(why) => problems.push(format!("env {name} = {value:?}: {why}")),
            }
        }
        given
    }
}

/// Variables that mean something else.
fn is_foreign(name: &str) -> bool {
    let orchestrated = |rest: &str| {
        let rest = rest.trim_start_matches("RATITE_");
        rest == "PORT" || rest.starts_with("PORT_") || rest.contains("SERVICE_")
    };
    name == FILE_VARIABLE || orchestrated(name) // 2.
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = all().map(Setting::variable).collect();
    let hint = nearest(name, known.iter().map(String::as_str).chain([FILE_VARIABLE]));
    format!("env {name}: there is no such option{hint}")
}
