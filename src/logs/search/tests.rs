//! Cancelling, from inside: how far a search went.

use super::*;
use crate::io::threads;
use crate::logs::{LogRecord, Source};

/// Records that an index alone cannot decide on, one after the other, none of which matches.
fn undecided(records: u64) -> LogStore {
    let log = LogStore::in_memory().unwrap();
    let source = Source::named("a").unwrap();
    let raw: String = (0..33_000).map(|i| format!("w{i} ")).collect();
    for ts in 1..=records {
        log.append(LogRecord { ts, source: &source, raw: raw.as_bytes() }).unwrap();
    }
    log
}

#[test]
fn a_cancelled_search_stops_at_the_record_it_looks_at_and_says_so() {
    let log = undecided(4);
    for _sealed in 0..2 {
        let query = Query { tokens: vec![b"absent".to_vec()], limit: 1, ..Query::default() };
        let mut search = log.search(&query).unwrap();
        assert!(search.next().unwrap().is_none(), "nothing matches");
        assert_eq!(search.walk.position.ts, 0, "and nothing is given");

        let mut search = log.search(&query).unwrap();
        let handle = search.cancel_handle();
        threads::spawn("cancels", move || handle.cancel()).join().unwrap();
        assert_eq!(search.next().err().unwrap().code(), "ERR_CANCELLED");
        log.engine().flush().unwrap();
    }
    let query = Query { tokens: vec![b"absent".to_vec()], ..Query::default() };
    let mut search = log.search(&query).unwrap();
    search.cancel_handle().cancel();
    assert!(search.next().is_err());
    assert_eq!(search.walk.position.ts, 1, "at the first");
    // It is over, and stays so.
    assert!(search.next().unwrap().is_none());
    assert!(search.resume().unwrap().is_none());
}

#[test]
fn a_search_is_cancelled_between_two_records() {
    let log = undecided(3);
    let mut search = log.search(&Query::default()).unwrap();
    assert_eq!(search.next().unwrap().unwrap().ts(), 1);
    search.cancel_handle().cancel();
    assert_eq!(search.next().err().unwrap().code(), "ERR_CANCELLED");
    assert!(search.next().unwrap().is_none());
}
