//! The runtime of one front-end thread: tokio-uring's where the system allows it, else tokio's.
//!
//! Sockets, timers and tasks only. Storage never runs here: the shards have rings of their own.

use std::future::Future;
use std::io;
use tokio::task::LocalSet;

/// Entries of the runtime's ring. No operation of ours goes through it so far, so it is small: it is
/// counted against the memory that a user may lock.
const RING_ENTRIES: u32 = 8;

/// A runtime for tasks that stay on their thread.
pub(super) enum Runtime {
    Uring(tokio_uring::Runtime),
    Plain(tokio::runtime::Runtime, LocalSet),
}

impl Runtime {
    /// Makes the runtime of the calling thread.
    ///
    /// # Errors
    /// If the system gives neither a ring nor an epoll.
    pub(super) fn new() -> io::Result<Runtime> {
        match tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES)) {
            Ok(runtime) => Ok(Runtime::Uring(runtime)),
            Err(error) => {
                tracing::warn!(%error, "no io_uring for the relay's tasks; they run on epoll alone");
                Runtime::plain()
            }
        }
    }

    fn plain() -> io::Result<Runtime> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Runtime::Plain(runtime, LocalSet::new()))
    }

    /// Runs `task`, and what it spawns on this thread, until `task` ends.
    pub(super) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        match self {
            Runtime::Uring(runtime) => runtime.block_on(task),
            Runtime::Plain(runtime, local) => local.block_on(runtime, task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runtimes_run_tasks_of_their_thread() {
        for runtime in [Runtime::new().unwrap(), Runtime::plain().unwrap()] {
            let here = std::rc::Rc::new(7);
            let there = here.clone();
            let sum = runtime.run(async move {
                let task = tokio::task::spawn_local(async move {
                    tokio::task::yield_now().await;
                    *there
                });
                task.await.unwrap() + *here
            });
            assert_eq!(sum, 14);
        }
    }
}
