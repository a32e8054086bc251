//! One process of a plugin after the other, as long as the relay runs.
//!
//! ```text
//!   start -> talk -> the relay stops         -> end
//!     ^       |----> the file has changed    -> end it, start anew at once
//!     |       '----> it ended, hangs ...     -> kill it, wait a little longer each time --+
//!     '----------------------------------------------------------------------------------'
//! ```
//!
//! I1. While it waits, questions are answered with the failure at once: a client is not kept for nothing.

use super::process::{Process, changed_at};
use super::talk::{End, Talk};
use super::{Ask, Asks, Verdict};
use crate::relay::policy::PluginConfig;
use crate::relay::stats::Counters;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// The shortest wait before a plugin that failed is started again, and the longest.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a plugin that has closed its output may take to end, so that its status can be told.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long to wait before the next start.
struct Backoff(Duration);

impl Backoff {
    /// The next wait: twice the last, unless the plugin was of use since.
    fn next(&mut self, was_of_use: bool) -> Duration {
        let wait = if was_of_use { WAIT_MIN } else { self.0 };
        self.0 = (wait * 2).min(WAIT_MAX);
        wait
    }
}

/// Serves a plugin until nobody can ask any more.
pub(in crate::relay) async fn serve(config: &PluginConfig, mut asks: Asks, counters: &Counters) {
    let mut backoff = Backoff(WAIT_MIN);
    let mut next: Option<Ask> = None;
    loop {
        let mut talk = Talk::new(config, counters);
        let why = match Process::start(&config.command) {
            Err(error) => format!("it cannot be started ({error})"),
            Ok(mut process) => match talk.run(&mut process, &mut asks, &mut next).await {
                End::Stop => return process.end().await,
                End::Changed => {
                    tracing::info!("the plugin's file has changed; it is started again");
                    process.end().await;
                    continue;
                }
                End::Failed(why) => {
                    let ended = timeout(LAST_WORDS, process.ended()).await;
                    process.kill().await;
                    ended.map_or_else(|_| why.clone(), |ended| format!("{why}; {ended}"))
                }
            },
        };
        let was_of_use = talk.heard.is_some();
        // Who was to be answered by it is told that there is no answer.
        drop(talk);
        counters.plugin_failures.add();
        let wait = backoff.next(was_of_use);
        tracing::error!(why, retry = ?wait, "the plugin failed");
        if !refuse(&config.command, &mut asks, Instant::now() + wait).await {
            return;
        }
    }
}

/// Answers questions with the failure until then, or until the plugin's file changes (I1); false if nobody can
/// ask any more.
async fn refuse(command: &str, asks: &mut Asks, until: Instant) -> bool {
    let failed_as = changed_at(command);
    loop {
        tokio::select! {
            ask = asks.0.recv() => match ask {
                None => return false,
                Some(ask) => {
                    // Who asked may have gone.
                    let _told = ask.verdict.send(Verdict::Failed);
                    if changed_at(command) != failed_as {
                        return true;
                    }
                }
            },
            () = sleep_until(until) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_start_over_after_use() {
        let mut backoff = Backoff(WAIT_MIN);
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(false).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.next(true).as_millis(), 250);
        assert_eq!(backoff.next(false).as_millis(), 500);
    }
}
