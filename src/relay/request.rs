//! REQ and COUNT: from the client's filters to the store's answer.
//!
//! ```text
//!   parse, clamp -> Request (waits its turn) -> Running: slice, slice ... -> EOSE | COUNT | CLOSED
//! ```
//!
//! I1. A connection runs one request at a time, a slice of stored events between its other work, and
//!     only while its outbox has room: so a large answer costs little memory and delays nobody.
//! I2. A step that is given up half-way did nothing; it can be tried again.

use super::front::Front;
use super::limits::Limits;
use super::live::Live;
use super::message::SubId;
use super::outbox::Outbox;
use super::reply;
use crate::base::{Error, Result};
use crate::nostr::hll::Hll;
use crate::nostr::{Events, Filter, FilterError, parse_filter};
use crate::query::Order;
use crate::store::StoreSnapshot;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// Stored events in a row before other tasks have their turn: some 100 us.
const SLICE_EVENTS: usize = 64;

/// A request that waits for its turn.
pub(super) struct Request {
    pub(super) id: SubId,
    pub(super) filters: Vec<Filter>,
    pub(super) kind: Kind,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The events.
    Events,
    /// Their number.
    Count,
}

/// Parses the filters of a request and holds them against the limits.
///
/// # Errors
/// The text of the CLOSED to answer with.
pub(super) fn filters(limits: &Limits, json: &[&[u8]]) -> std::result::Result<Vec<Filter>, String> {
    let parse = |json: &&[u8]| {
        let mut filter = parse_filter(json).map_err(|error| match error {
            FilterError::Invalid(why) => format!("invalid: {why}"),
            FilterError::Unsupported(why) => format!("unsupported: {why}"),
        })?;
        if values(&filter) > limits.filter_values {
            return Err(format!("invalid: a filter has at most {} values", limits.filter_values));
        }
        let limit = filter.limit.unwrap_or(limits.limit_default);
        filter.limit = Some(limit.min(limits.limit_max));
        Ok(filter)
    };
    json.iter().map(parse).collect()
}

/// The values of a filter's lists.
pub(super) fn values(filter: &Filter) -> usize {
    filter.ids.as_ref().map_or(0, Vec::len)
        + filter.authors.as_ref().map_or(0, Vec::len)
        + filter.kinds.as_ref().map_or(0, Vec::len)
        + filter.tags.iter().map(|(_, values)| values.len()).sum::<usize>()
}

/// A request whose turn it is.
pub(super) enum Running {
    /// Stored events are being sent.
    Events(Stored),
    /// Events are being counted.
    Count(Counting),
}

impl Running {
    /// Goes on for a while; says whether the request is finished (I2).
    pub(super) async fn step(&mut self, front: &Front, outbox: &Outbox) -> Result<bool> {
        match self {
            Running::Events(stored) => {
                tokio::task::yield_now().await;
                stored.slice(front, outbox)
            }
            Running::Count(counting) => {
                let (count, hll) = counting.answer.as_mut().await?;
                outbox.push(reply::count(&counting.id, count, hll.as_ref()));
                Ok(true)
            }
        }
    }

    pub(super) fn id(&self) -> &SubId {
        match self {
            Running::Events(stored) => stored.live.id(),
            Running::Count(counting) => &counting.id,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Running::Events(_) => Kind::Events,
            Running::Count(_) => Kind::Count,
        }
    }
}

/// The stored half of a subscription.
pub(super) struct Stored {
    live: Rc<Live>,
    state: State,
}

enum State {
    Planned(StoreSnapshot, Vec<Filter>),
    Open(Events),
}

impl Stored {
    pub(super) fn new(live: Rc<Live>, snapshot: StoreSnapshot, mut filters: Vec<Filter>) -> Stored {
        filters.retain(|filter| filter.limit != Some(0) && !filter.is_empty());
        Stored { live, state: State::Planned(snapshot, filters) }
    }

    /// Sends some events, as far as there is room; says whether it was the last of them.
    fn slice(&mut self, front: &Front, outbox: &Outbox) -> Result<bool> {
        if let State::Planned(snapshot, filters) = &self.state {
            let events = front.store.query_at(snapshot, filters, Order::Newest)?;
            self.state = State::Open(events);
        }
        let State::Open(events) = &mut self.state else { return Ok(false) };
        for _ in 0..SLICE_EVENTS {
            if outbox.is_full() {
                break;
            }
            let Some(event) = events.next()? else {
                self.live.stored_is_over();
                return Ok(true);
            };
            outbox.push(reply::event(self.live.id(), &event));
            front.counters.sent_stored.add();
        }
        Ok(false)
    }
}

/// A COUNT under way.
pub(super) struct Counting {
    id: SubId,
    answer: Pin<Box<dyn Future<Output = Result<(u64, Option<Hll>)>>>>,
}

impl Counting {
    pub(super) fn new(front: &Front, id: SubId, filters: Vec<Filter>) -> Counting {
        let (store, turns) = (front.store.clone(), front.counting.clone());
        let hll_events = front.limits().hll_events;
        let answer = async move {
            let _turn = turns.acquire_owned().await.map_err(|_| Error::Closed)?;
            // Counting is not done in slices, so it must not be done on the thread that serves.
            let counted = tokio::task::spawn_blocking(move || {
                let count = store.count(&filters)?;
                let hll = match &filters[..] {
                    [one] => store.hll(one, hll_events)?,
                    _ => None,
                };
                Ok((count, hll))
            });
            counted.await.map_err(|_| Error::Closed)?
        };
        Counting { id, answer: Box::pin(answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_clamped_and_held_against_the_limits() {
        let limits = Limits { filter_values: 3, ..Limits::default() };
        let one = |json: &str| filters(&limits, &[json.as_bytes()]).map(|f| f[0].limit);
        assert_eq!(one("{}"), Ok(Some(500)));
        assert_eq!(one(r#"{"limit":0}"#), Ok(Some(0)));
        assert_eq!(one(r##"{"limit":7,"kinds":[1,2],"#t":["a"]}"##), Ok(Some(7)));
        assert_eq!(one(r#"{"limit":18446744073709551615}"#), Ok(Some(1_000)));
        let refused = |json: &str| one(json).unwrap_err();
        assert!(refused(r##"{"kinds":[1,2,3],"#t":["a"]}"##).starts_with("invalid: a filter has"));
        assert!(refused(r#"{"ids":["abc"]}"#).starts_with("invalid: "));
        assert!(refused(r#"{"search":"x"}"#).starts_with("unsupported: "));
        assert!(refused("7").starts_with("invalid: "));
    }
}
