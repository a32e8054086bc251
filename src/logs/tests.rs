//! The store as a whole, on the simulated disk.

use super::*;

fn texts(mut search: Search) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(record) = search.next().unwrap() {
        out.push(String::from_utf8_lossy(record.raw()).into_owned());
    }
    out
}

#[test]
fn what_is_appended_is_found_by_time_source_and_word() {
    let log = LogStore::in_memory().unwrap();
    let (web, db) = (Source::named("web").unwrap(), Source::of([9; 16]));
    let line = |ts, source, raw| LogRecord { ts, source, raw };
    let batch = [
        line(3, &web, b"GET /index 200".as_slice()),
        line(1, &db, b"slow query"),
        line(2, &web, b"GET /slow 500"),
    ];
    let positions = log.append_batch(&batch).unwrap();
    assert_eq!(positions.iter().map(|p| p.ts).collect::<Vec<_>>(), [3, 1, 2]);
    for _sealed in 0..2 {
        let find = |query: &Query| texts(log.search(query).unwrap());
        assert_eq!(find(&Query::default()), ["slow query", "GET /slow 500", "GET /index 200"]);
        let slow = Query { tokens: vec![b"SLOW".to_vec()], reverse: true, ..Query::default() };
        assert_eq!(find(&slow), ["GET /slow 500", "slow query"]);
        let of_db = Query { sources: vec![db.uuid()], ..Query::default() };
        assert_eq!(find(&of_db), ["slow query"]);
        assert_eq!(find(&Query::between(Some(3), Some(1))), ["GET /slow 500", "slow query"]);
        let mut first = log.search(&Query { limit: 2, ..Query::default() }).unwrap();
        while first.next().unwrap().is_some() {}
        let resume = first.resume().unwrap();
        let mut second = log.search(&Query { limit: 2, resume, ..Query::default() }).unwrap();
        assert_eq!(second.next().unwrap().unwrap().raw(), b"GET /index 200");
        assert_eq!(second.resume().unwrap(), None);
        let mut cursor = log.cursor().unwrap();
        cursor.seek(positions[2]).unwrap();
        assert_eq!(cursor.next().unwrap().unwrap().position(), positions[2]);
        assert_eq!(cursor.prev().unwrap().unwrap().position(), positions[2]);
        assert_eq!(cursor.prev().unwrap().unwrap().position(), positions[1]);
        assert!(cursor.prev().unwrap().is_none());
        log.engine().flush().unwrap();
    }
}
