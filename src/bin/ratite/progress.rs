//! How far a long verb is, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratite::maintain::Step;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How often figures are refreshed.
pub const TICK: Duration = Duration::from_millis(200);

/// A progress bar, or nothing at all if standard error is no terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// Of so many bytes, if known.
    pub fn of_bytes(total: Option<u64>) -> Progress {
        match total {
            Some(total) => Progress::new(Some(total), "{bar:30} {percent:>3}%  {msg}, {eta} left"),
            None => Progress::new(None, "{msg}, {elapsed}"),
        }
    }

    /// Of so many things.
    pub fn of_items(total: u64) -> Progress {
        Progress::new(Some(total), "{bar:30} {percent:>3}%  {msg}, {eta} left")
    }

    /// Of bytes that `show` tells.
    pub fn of_size() -> Progress {
        let done = "{bytes} of {total_bytes}, {bytes_per_sec}";
        Progress::new(Some(0), &format!("{{bar:30}} {{percent:>3}}%  {done}, {{eta}} left"))
    }

    /// Of records that `show` tells, each counted for every time that it is read.
    pub fn of_records() -> Progress {
        Progress::new(Some(0), "{bar:30} {percent:>3}%  {per_sec}, {eta} left")
    }

    /// So far it is.
    pub fn show(&self, step: Step) {
        self.0.set_length(step.total);
        self.0.set_position(step.done);
    }

    fn new(total: Option<u64>, template: &str) -> Progress {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(total, target);
        // A template that does not parse would be ours; the default style is no worse than an error.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(bar)
    }

    /// So much of the total is done; `events` is what a person counts.
    pub fn set(&self, position: u64, events: u64) {
        self.set_of(position, events, "events");
    }

    /// The same, of what is called so.
    pub fn set_of(&self, position: u64, count: u64, things: &str) {
        if self.0.is_hidden() {
            return;
        }
        let rate = count as f64 / self.0.elapsed().as_secs_f64().max(0.001);
        self.0.set_message(format!("{count} {things}, {rate:.0} a second"));
        self.0.set_position(position);
    }

    /// Whether nobody sees it.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Of what has no total, this is done.
    pub fn say(&self, done: String) {
        self.0.set_message(done);
    }

    /// Runs `write`, which writes lines to standard error, with the bar out of the way.
    pub fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
