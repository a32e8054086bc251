//! Streams: live events of one side, passed to the other as they come, through any number of connections.
//!
//! ```text
//!   connect --> REQ (since the last connection) --> EVENT in, checked --> EVENT out | insert
//!      ^ wait: 1 s, 2 s .. 60 s <-- any failure of either side
//! ```
//!
//! S1. What was committed while there was no connection is asked for again by time, with [`OVERLAP_SECONDS`]: events
//!     that come late with an older time are for a sync to find.
//! S2. What just came from one side is not offered to it again.

use super::party::{checked, event_message, insert};
use super::socket::{Heard, Socket};
use super::{Direction, Failed, Patience, Report};
use crate::io::Clock;
use crate::nostr::{Event, EventStore, Filter, write_filter};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Seconds before the end of the last connection from which on events are asked for again.
const OVERLAP_SECONDS: u64 = 120;

/// Waits between connections: the first, and the longest.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Silence after which a side is asked for a sign of life, and after which it is given up.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(90);

/// Ids that are remembered, so that their events are not sent back (S2).
const RECENT_MAX: usize = 8_192;

/// The side that is here.
pub enum Local {
    /// A store of this process, which takes events and, since nobody else writes to it, has none to give.
    Store(Arc<EventStore>),
    /// A relay at this URL.
    Relay(String),
}

/// What is streamed.
pub struct Stream {
    /// The side that is here.
    pub local: Local,
    /// The other side's URL.
    pub remote: String,
    /// Which events.
    pub filter: Filter,
    /// Which way.
    pub direction: Direction,
    /// How long the sides may take.
    pub patience: Patience,
    /// For the time from which on events are asked for.
    pub clock: Arc<dyn Clock>,
}

/// What happens to a stream.
#[derive(Debug)]
pub enum Happened<'a> {
    /// Both sides are connected, and give what comes from now on.
    Connected,
    /// An event was passed, or answered.
    Passed(&'a Report),
    /// A side failed; there is a new try after so long.
    Interrupted(&'a Failed, Duration),
}

/// Passes events until the future is dropped, or the store fails. `tell` hears what happens.
///
/// # Errors
/// [`Failed::Store`]: everything else is tried again.
pub async fn stream(
    stream: &Stream,
    report: &mut Report,
    tell: &mut (dyn FnMut(Happened<'_>) + Send),
) -> Result<(), Failed> {
    let (mut since, mut wait) = (None, WAIT_MIN);
    loop {
        let failed = match Passing::connect(stream, since).await {
            Ok(mut passing) => {
                wait = WAIT_MIN;
                let failed = passing.run(stream, report, tell).await;
                let now = stream.clock.unix_micros() / 1_000_000;
                since = Some(now.saturating_sub(OVERLAP_SECONDS));
                failed
            }
            Err(failed) => failed,
        };
        if matches!(failed, Failed::Store(_)) {
            return Err(failed);
        }
        tell(Happened::Interrupted(&failed, wait));
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// One connection of a stream.
struct Passing {
    remote: Socket,
    local: Option<Socket>,
    recent: Recent,
    /// Requests whose stored events are still coming.
    behind: u32,
}

/// What a message was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// Nothing that counts.
    Nothing,
    /// Something that the report counts.
    Counted,
    /// The end of what was stored.
    Eose,
}

impl Passing {
    async fn connect(stream: &Stream, since: Option<u64>) -> Result<Passing, Failed> {
        let mut remote = Socket::connect(&stream.remote, stream.patience).await?;
        let mut local = match &stream.local {
            Local::Store(_) => None,
            Local::Relay(url) => Some(Socket::connect(url, stream.patience).await?),
        };
        let request = request(&stream.filter, since);
        let mut behind = 0;
        if stream.direction.is_down() {
            remote.send(request.clone()).await?;
            behind += 1;
        }
        if stream.direction.is_up()
            && let Some(local) = &mut local
        {
            local.send(request).await?;
            behind += 1;
        }
        Ok(Passing { remote, local, recent: Recent::default(), behind })
    }

    /// Passes events until a side fails; gives how.
    async fn run(
        &mut self,
        stream: &Stream,
        report: &mut Report,
        tell: &mut (dyn FnMut(Happened<'_>) + Send),
    ) -> Failed {
        let mut beat = Instant::now() + PING;
        loop {
            let Passing { remote, local, recent, behind } = self;
            let passed = tokio::select! {
                heard = remote.next() => match heard {
                    Ok(heard) => down(stream, (remote, local), recent, heard, report).await,
                    Err(failed) => Err(failed),
                },
                heard = next_of(local) => match heard {
                    Ok(heard) => up((remote, local), recent, heard, report).await,
                    Err(failed) => Err(failed),
                },
                () = sleep_until(beat) => {
                    beat += PING;
                    pulse(remote, local).await.map(|()| Passed::Nothing)
                }
            };
            match passed {
                Ok(Passed::Counted) => tell(Happened::Passed(report)),
                Ok(Passed::Eose) => {
                    *behind = behind.saturating_sub(1);
                    if *behind == 0 {
                        tell(Happened::Connected);
                    }
                }
                Ok(Passed::Nothing) => {}
                Err(failed) => return failed,
            }
        }
    }
}

/// What the local relay says; never, if there is none.
async fn next_of(local: &mut Option<Socket>) -> Result<Heard, Failed> {
    match local {
        Some(local) => local.next().await,
        None => std::future::pending().await,
    }
}

/// Asks for signs of life, and gives up who gave none.
async fn pulse(remote: &mut Socket, local: &mut Option<Socket>) -> Result<(), Failed> {
    for socket in std::iter::once(remote).chain(local) {
        if socket.heard() + PONG < Instant::now() {
            return Err(socket.silent());
        }
        socket.ping().await?;
    }
    Ok(())
}

/// Takes what the remote side says.
async fn down(
    stream: &Stream,
    (remote, local): (&mut Socket, &mut Option<Socket>),
    recent: &mut Recent,
    heard: Heard,
    report: &mut Report,
) -> Result<Passed, Failed> {
    match heard {
        Heard::Event(_, json) => match checked(&json) {
            Some(event) if recent.add(&event) => {
                report.down.found += 1;
                match (&stream.local, local) {
                    (Local::Store(store), _) => insert(store, &[event], &mut report.down).await?,
                    (_, Some(local)) => local.send(event_message(&event)).await?,
                    (_, None) => {}
                }
            }
            Some(_) => return Ok(Passed::Nothing),
            None => report.down.missing += 1,
        },
        Heard::Ok { accepted, text } => report.up.answered(accepted, &text),
        Heard::Closed(_, why) => return Err(remote.refused(why)),
        Heard::Eose(_) => return Ok(Passed::Eose),
        _ => return Ok(Passed::Nothing),
    }
    Ok(Passed::Counted)
}

/// Takes what the local relay says.
async fn up(
    (remote, local): (&mut Socket, &mut Option<Socket>),
    recent: &mut Recent,
    heard: Heard,
    report: &mut Report,
) -> Result<Passed, Failed> {
    match heard {
        Heard::Event(_, json) => match checked(&json) {
            Some(event) if recent.add(&event) => {
                report.up.found += 1;
                remote.send(event_message(&event)).await?;
            }
            Some(_) => return Ok(Passed::Nothing),
            None => report.up.missing += 1,
        },
        Heard::Ok { accepted, text } => report.down.answered(accepted, &text),
        Heard::Closed(_, why) => {
            return Err(local.as_ref().map_or_else(|| remote.refused(&why), |l| l.refused(&why)));
        }
        Heard::Eose(_) => return Ok(Passed::Eose),
        _ => return Ok(Passed::Nothing),
    }
    Ok(Passed::Counted)
}

/// The REQ of a stream: what comes, and what came since.
fn request(filter: &Filter, since: Option<u64>) -> String {
    let filter = match since {
        Some(since) => Filter { since: filter.since.max(since), limit: None, ..filter.clone() },
        None => Filter { limit: Some(0), ..filter.clone() },
    };
    let mut json = Vec::new();
    write_filter(&filter, &mut json);
    format!("[\"REQ\",\"ratite\",{}]", String::from_utf8_lossy(&json))
}

/// The ids of the last events (S2).
#[derive(Default)]
struct Recent {
    ids: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Recent {
    /// Remembers an event; false if it was among the last.
    fn add(&mut self, event: &Event) -> bool {
        if !self.ids.insert(*event.id()) {
            return false;
        }
        self.order.push_back(*event.id());
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
