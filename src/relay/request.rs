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
use super::held::Held;
use super::limits::Limits;
use super::live::Live;
use super::message::SubId;
use super::outbox::Outbox;
use super::reply;
use super::visibility::Narrowed;
use crate::base::{Error, Result, planted};
use crate::nostr::hll::Hll;
use crate::nostr::{EventStore, Events, Filter, FilterError, Search, parse_filter};
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
    /// What the client had proved when it asked: what is asked later is not answered sooner.
    pub(super) keys: Box<[[u8; 32]]>,
    /// When it came.
    pub(super) asked_nanos: u64,
    /// The values of its filters.
    pub(super) values: usize,
    pub(super) held: Held,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The events.
    Events,
    /// Their number.
    Count,
}

/// Why a filter is refused; as text, what its client is told.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum FilterRefused {
    /// It breaks NIP-01.
    #[error("invalid: {0}")]
    Invalid(String),
    /// It has more values than this.
    #[error("invalid: a filter has at most {0} values")]
    TooLarge(usize),
    /// It asks for what is not offered.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

impl FilterRefused {
    /// What the log is told, which repeats nothing of the filter.
    pub(super) fn why(&self) -> &'static str {
        match self {
            FilterRefused::Invalid(_) => "invalid: what is asked by is no filter",
            FilterRefused::TooLarge(_) => "invalid: a filter has too many values",
            FilterRefused::Unsupported(_) => "unsupported: a filter asks for what is not offered",
        }
    }
}

/// Parses a filter and holds it against the limit on its values.
///
/// # Errors
/// What to answer with, as in the others.
pub(super) fn filter(limits: &Limits, json: &[u8]) -> std::result::Result<Filter, FilterRefused> {
    let filter = parse_filter(json).map_err(|error| match error {
        FilterError::Invalid(why) => FilterRefused::Invalid(why),
        FilterError::Unsupported(why) => FilterRefused::Unsupported(why),
    })?;
    match values(&filter) > limits.filter_values {
        true => Err(FilterRefused::TooLarge(limits.filter_values)),
        false => Ok(filter),
    }
}

/// The filters of a request, with limits that hold here.
///
/// # Errors
/// That of the first that is refused.
pub(super) fn filters(
    limits: &Limits,
    json: &[&[u8]],
) -> std::result::Result<Vec<Filter>, FilterRefused> {
    let parse = |json: &&[u8]| {
        let mut filter = filter(limits, json)?;
        let limit = filter.limit.unwrap_or(limits.limit_default);
        filter.limit = Some(limit.min(limits.limit_max));
        Ok(filter)
    };
    json.iter().map(parse).collect()
}

/// The filters with this store's search.
///
/// # Errors
/// That it has none.
pub(super) fn adopted(
    store: &EventStore,
    mut filters: Vec<Filter>,
) -> std::result::Result<Vec<Filter>, FilterRefused> {
    let off = |_| FilterRefused::Unsupported("search is not offered here".into());
    store.adopt(&mut filters).map_err(off)?;
    Ok(filters)
}

/// The values of a filter's lists, and the words of its search.
pub(super) fn values(filter: &Filter) -> usize {
    filter.ids.as_ref().map_or(0, Vec::len)
        + filter.authors.as_ref().map_or(0, Vec::len)
        + filter.kinds.as_ref().map_or(0, Vec::len)
        + filter.tags.iter().map(|(_, values)| values.len()).sum::<usize>()
        + filter.search.as_ref().map_or(0, |search: &Search| search.words().len())
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
                front.rounds.next().await;
                stored.rank(front).await?;
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
    asked: Narrowed,
    state: State,
}

enum State {
    Planned(StoreSnapshot),
    Ranking(Answer<Events>),
    Open(Events),
}

impl Stored {
    pub(super) fn new(live: Rc<Live>, snapshot: StoreSnapshot, mut asked: Narrowed) -> Stored {
        asked.filters.retain(|filter| filter.limit != Some(0) && !filter.is_empty());
        Stored { live, asked, state: State::Planned(snapshot) }
    }

    /// Has what is to be ranked ranked, which is not done in slices either.
    async fn rank(&mut self, front: &Front) -> Result<()> {
        if let State::Planned(snapshot) = &self.state
            && self.asked.filters.iter().any(|filter| filter.ranked().is_some())
        {
            let (snapshot, filters) = (snapshot.clone(), self.asked.filters.clone());
            let rank = move |store: &EventStore| store.query_at(&snapshot, &filters, Order::Newest);
            self.state = State::Ranking(beside(front, rank));
        }
        if let State::Ranking(answer) = &mut self.state {
            self.state = State::Open(answer.as_mut().await?);
        }
        Ok(())
    }

    /// Sends some events, as far as there is room; says whether it was the last of them.
    fn slice(&mut self, front: &Front, outbox: &Outbox) -> Result<bool> {
        if let State::Planned(snapshot) = &self.state {
            let events = front.store.query_at(snapshot, &self.asked.filters, Order::Newest)?;
            self.state = State::Open(events);
        }
        let State::Open(events) = &mut self.state else { return Ok(false) };
        // A client may take its answer as slowly as it likes.
        let now = front.now();
        events.pass_time(now);
        for _ in 0..SLICE_EVENTS {
            if outbox.is_full() {
                break;
            }
            let event = if self.asked.is_spent() { None } else { events.next()? };
            let Some(event) = event else {
                self.live.stored_is_over(now);
                return Ok(true);
            };
            if !self.asked.takes(&event) {
                continue;
            }
            outbox.push(reply::event(self.live.id(), &event));
            front.counters.sent_stored.add();
        }
        Ok(false)
    }
}

/// A COUNT under way.
pub(super) struct Counting {
    id: SubId,
    answer: Answer<(u64, Option<Hll>)>,
    _held: Held,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// Asks the store on another thread: what is not done in slices must not be done on the thread that serves.
fn beside<T: Send + 'static>(
    front: &Front,
    ask: impl FnOnce(&EventStore) -> Result<T> + Send + 'static,
) -> Answer<T> {
    let (store, turns) = (front.store.clone(), front.counting.clone());
    Box::pin(async move {
        let _turn = turns.acquire_owned().await.map_err(|_| Error::Closed)?;
        let asked = tokio::task::spawn_blocking(move || ask(&store));
        asked.await.map_err(|_| Error::Closed)?
    })
}

impl Counting {
    /// Counts what matches one of `asked`, which is what of `filters` the client may see.
    pub(super) fn new(
        front: &Front,
        (id, held): (SubId, Held),
        filters: Vec<Filter>,
        asked: Vec<Filter>,
    ) -> Counting {
        let events_max = front.limits().hll_events;
        let asked = if planted!(CountOfTheHidden) { filters.clone() } else { asked };
        let count = move |store: &EventStore| {
            let hll = match &filters[..] {
                [one] => store.hll(one, &asked, events_max)?,
                _ => None,
            };
            Ok((store.count(&asked)?, hll))
        };
        Counting { id, answer: beside(front, count), _held: held }
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
        let refused = |json: &str| one(json).unwrap_err().to_string();
        assert!(refused(r##"{"kinds":[1,2,3],"#t":["a"]}"##).starts_with("invalid: a filter has"));
        assert!(refused(r#"{"ids":["abc"]}"#).starts_with("invalid: "));
        assert_eq!(one(r#"{"search":"three words language:en here"}"#), Ok(Some(500)));
        assert!(refused(r#"{"search":"now there are four"}"#).starts_with("invalid: a filter has"));
        assert!(refused("7").starts_with("invalid: "));
    }
}
