//! Write-policy plugins: a program that is asked about every event, in strfry's JSON lines.
//!
//! ```text
//!   publish --ask--> [ queue ] --> talk --stdin---> plugin      one process for the whole relay, so that
//!           <-- verdict -- pending <--stdout------              what it counts, it counts once
//!                                      stderr ----> log
//!   protocol (what a line says)  lines (where it ends)  pending (who waits)  process (the child)
//!   talk (one process)  serve (one after the other)
//! ```
//!
//! All of it runs on a thread of its own. Who asks waits in a future, so that neither a front-end thread
//! nor the store ever waits for a plugin.
//!
//! I1. Every question has its verdict within the time-out, whatever the plugin does: answer late, never,
//!     nonsense, or end.
//! I2. What waits is bounded: [`QUEUE_MAX`] questions and [`IN_FLIGHT_MAX`] lines here; beyond, who asks
//!     waits for room, within the same time-out, and a connection asks about `Limits::writes` events at
//!     most.

#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;
mod lines;
mod pending;
mod process;
mod protocol;
mod serve;
mod talk;
#[cfg(test)]
mod tests;

pub(super) use protocol::Question;
pub(super) use serve::serve;

use super::policy::PluginConfig;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Questions that wait for their turn. Enough to keep a plugin busy while its thread is not running.
const QUEUE_MAX: usize = 256;

/// Questions that the plugin has and has not answered. A plugin that reads one after the other keeps them
/// in its pipe; one that asks others in turn can have so many under way.
const IN_FLIGHT_MAX: usize = 64;

/// What a plugin says of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Accept,
    /// Refuse it, with this text.
    Reject(String),
    /// Say that it was stored, and do not store it.
    ShadowReject,
    /// There is no answer.
    Failed,
}

/// Where events are asked about; shared by the relay's threads.
pub(super) struct Plugin {
    asks: mpsc::Sender<Ask>,
    timeout: Duration,
    pub(super) accepts_on_failure: bool,
}

/// A question on its way.
struct Ask {
    id: [u8; 32],
    line: Vec<u8>,
    verdict: oneshot::Sender<Verdict>,
}

/// Questions, for who serves them.
pub(super) struct Asks(mpsc::Receiver<Ask>);

impl Plugin {
    /// A plugin, and the end at which it is served.
    pub(super) fn new(config: &PluginConfig) -> (Plugin, Asks) {
        let (asks, served) = mpsc::channel(QUEUE_MAX);
        let accepts_on_failure = config.accepts_on_failure;
        (Plugin { asks, timeout: config.timeout, accepts_on_failure }, Asks(served))
    }

    /// Asks about an event (I1).
    pub(super) async fn ask(&self, question: &Question<'_>) -> Verdict {
        let answered = async {
            let place = self.asks.reserve().await.ok()?;
            let (verdict, answer) = oneshot::channel();
            place.send(Ask { id: *question.event.id(), line: question.to_line(), verdict });
            answer.await.ok()
        };
        timeout(self.timeout, answered).await.ok().flatten().unwrap_or(Verdict::Failed)
    }
}
