//! The relay's work that belongs to no client: the plugin is served, files of rules are watched.
//!
//! I1. It ends when it is told to; a plugin that does not is killed.

use super::plugin::{self, Asks};
use super::policy::{PluginConfig, Policy};
use super::stats::Counters;
use crate::base::{Error, Result};
use crate::io::threads;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{interval, timeout};

/// How often files of rules are looked at: soon enough for who has just changed one, and some system calls.
const LOOK: Duration = Duration::from_secs(1);

/// Time for the plugin's end: its own moment, and a kill.
const STOP: Duration = Duration::from_secs(3);

/// The thread of all this. Dropping it stops it; where questions can still be asked, they are not answered.
pub(super) struct Background {
    stop: watch::Sender<bool>,
    thread: Option<threads::Thread<()>>,
}

impl Background {
    /// Starts the thread, if there is anything to do.
    ///
    /// # Errors
    /// `Io` if the system gives it no runtime.
    pub(super) fn start(
        policy: &Arc<Policy>,
        plugin: Option<(PluginConfig, Asks)>,
        counters: Arc<Counters>,
    ) -> Result<Background> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Error::io("start the runtime of", "the policy", error))?;
        let policy = policy.clone();
        let thread = threads::spawn("ratite-policy", move || {
            runtime.block_on(async {
                let serve = async {
                    if let Some((config, asks)) = plugin {
                        plugin::serve(&config, asks, &counters).await;
                    }
                };
                tokio::join!(stoppable(serve, stopped.clone()), watch_files(policy, stopped));
            });
        });
        Ok(Background { stop, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        drop(self.thread.take());
    }
}

/// Runs `task`, which ends by itself soon after the stop, until it has (I1).
async fn stoppable(task: impl Future<Output = ()>, mut stop: watch::Receiver<bool>) {
    let overdue = async {
        // Whoever could stop it is gone: as good as a stop.
        let _stopped = stop.wait_for(|stop| *stop).await;
        timeout(STOP, std::future::pending::<()>()).await
    };
    tokio::select! {
        () = task => {}
        _ = overdue => tracing::warn!("the plugin does not end and is killed"),
    }
}

/// Reads files of rules again when they change.
async fn watch_files(policy: Arc<Policy>, mut stop: watch::Receiver<bool>) {
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = look.tick() => {}
        }
        if !policy.has_files() {
            continue;
        }
        let reading = policy.clone();
        // Large files take their time, which the plugin shall not wait for.
        let read = tokio::task::spawn_blocking(move || reading.refresh()).await;
        match read {
            Ok(Ok(true)) => tracing::info!("the files of rules were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the rules stay as they were"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}
