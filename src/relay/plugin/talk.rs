//! The conversation with one process of a plugin, from its start to its end.
//!
//! ```text
//!   questions --> out --> stdin          stdout --> lines --> pending --> who asked
//! ```
//!
//! I1. Whatever is waited for here, everything else is waited for too: a plugin that does not read is still
//!     heard, and one that says nothing is still given up.
//! I2. A plugin hangs if it says nothing at all for the time-out with a question in hand. One that is only
//!     slow goes on; what it answers too late is nobody's.

use super::lines::{Line, Lines};
use super::pending::Pending;
use super::process::{Process, changed_at};
use super::protocol::parse;
use super::{Ask, Asks, IN_FLIGHT_MAX};
use crate::relay::policy::PluginConfig;
use crate::relay::stats::Counters;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::time::{Instant, sleep_until};

/// Bytes of a line of a plugin. An answer takes some 150, and its text is cut to 1,024.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Why a conversation is over.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody asks any more.
    Stop,
    /// The plugin's file is another one now.
    Changed,
    /// The plugin is no good any more, and why.
    Failed(String),
}

/// A conversation.
pub(super) struct Talk<'a> {
    config: &'a PluginConfig,
    counters: &'a Counters,
    started_as: Option<SystemTime>,
    pending: Pending,
    /// Lines on their way in, of which `written` bytes are gone.
    out: Vec<u8>,
    written: usize,
    lines: Lines,
    /// When the plugin last answered something.
    pub(super) heard: Option<Instant>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(config: &'a PluginConfig, counters: &'a Counters) -> Talk<'a> {
        Talk {
            config,
            counters,
            started_as: changed_at(&config.command),
            pending: Pending::default(),
            out: Vec::new(),
            written: 0,
            lines: Lines::new(LINE_BYTES_MAX),
            heard: None,
        }
    }

    /// Passes questions and answers on until that is over. `next` is a question that was left over by the
    /// conversation before, and may be one for the conversation after.
    pub(super) async fn run(
        &mut self,
        process: &mut Process,
        asks: &mut Asks,
        next: &mut Option<Ask>,
    ) -> End {
        let mut piece = [0; 8192];
        if let Some(ask) = next.take() {
            self.send(ask);
        }
        loop {
            if next.is_some() && self.pending.len() == 0 {
                return End::Changed;
            }
            let has_room = next.is_none() && self.pending.len() < IN_FLIGHT_MAX;
            let give_up = self.pending.oldest().map(|asked| asked + self.config.timeout);
            tokio::select! { // I1
                ask = asks.0.recv(), if has_room => match ask {
                    None => return End::Stop,
                    Some(ask) => self.take(ask, next),
                },
                written = write(&mut process.stdin, &self.out[self.written..]) => match written {
                    Ok(bytes) => self.wrote(bytes),
                    Err(error) => return End::Failed(format!("it does not read ({error})")),
                },
                read = process.stdout.read(&mut piece) => match read {
                    Ok(0) => return End::Failed("it closed its standard output".into()),
                    Ok(bytes) => self.read(&piece[..bytes]),
                    Err(error) => return End::Failed(format!("it cannot be read ({error})")),
                },
                () = wait(give_up) => {
                    if let Some(hung) = self.give_up(Instant::now()) {
                        return hung;
                    }
                }
            }
        }
    }

    /// Takes a question: for this process, or, if the plugin's file has changed, for the one after it.
    fn take(&mut self, ask: Ask, next: &mut Option<Ask>) {
        if ask.verdict.is_closed() {
            return; // Its time is over, or its client is gone.
        }
        match changed_at(&self.config.command) {
            // While a file is being replaced there may be none.
            Some(now) if Some(now) != self.started_as => *next = Some(ask),
            _ => self.send(ask),
        }
    }

    fn send(&mut self, ask: Ask) {
        self.out.extend_from_slice(&ask.line);
        self.pending.push(ask.id, Instant::now(), ask.verdict);
    }

    fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    fn read(&mut self, piece: &[u8]) {
        let Talk { pending, counters, lines, heard, .. } = self;
        lines.take(piece, |line| {
            let answered = match line {
                Line::TooLong => Err("it is too long".into()),
                Line::Whole(line) => parse(line).map(|(id, verdict)| pending.answer(&id, verdict)),
            };
            let why = match answered {
                Ok(true) => return *heard = Some(Instant::now()),
                Ok(false) => "nobody waits for it".into(),
                Err(why) => why,
            };
            if counters.plugin_stray_lines.add_and_tell() {
                tracing::warn!(why, "a line of the plugin is no answer");
            }
        });
    }

    /// Gives up the questions whose time is over; with them the plugin, if it hangs (I2).
    fn give_up(&mut self, now: Instant) -> Option<End> {
        let last = self.pending.expire(now.checked_sub(self.config.timeout)?)?;
        match self.heard {
            Some(heard) if heard > last => None,
            _ => Some(End::Failed(format!("it gave no answer for {:?}", self.config.timeout))),
        }
    }
}

/// Writes some bytes; waits for ever if there are none.
async fn write(stdin: &mut Option<ChildStdin>, bytes: &[u8]) -> std::io::Result<usize> {
    match (stdin, bytes) {
        (_, []) => std::future::pending().await,
        (None, _) => Err(std::io::ErrorKind::BrokenPipe.into()),
        (Some(stdin), bytes) => stdin.write(bytes).await,
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
