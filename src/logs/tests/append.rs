//! Appending: one, batches, futures, and what is refused.

use super::*;
use futures::executor::block_on;

#[test]
fn positions_come_in_the_order_of_the_slice_whatever_the_shards_do() {
    let sources: Vec<Source> = (0..20).map(|i| named(&format!("source {i}"))).collect();
    let machine = Machine::new(1);
    let log = machine.open();
    let raws: Vec<String> = (0..3000).map(|i| format!("line {i}")).collect();
    let record = |(i, raw): (usize, &'_ String)| -> (u64, usize, Vec<u8>) {
        (7, i * 7 % sources.len(), raw.clone().into_bytes())
    };
    let lines: Vec<_> = raws.iter().enumerate().map(record).collect();
    let batch: Vec<LogRecord<'_>> = lines
        .iter()
        .map(|(ts, source, raw)| LogRecord { ts: *ts, source: &sources[*source], raw })
        .collect();
    let positions = log.append_batch(&batch).unwrap();
    assert!(positions.is_sorted() && positions.len() == batch.len());
    // All have one time, and are read in the order of the slice.
    assert_eq!(find(&log, &Query::default()), raws);
    let counts = log.sources().unwrap();
    assert_eq!(counts.len(), sources.len());
    assert!(counts.iter().all(|(source, n)| *n == 150 && source.name().is_some()), "{counts:?}");
    log.engine().flush().unwrap();
    assert_eq!(log.sources().unwrap(), counts);
}

#[test]
fn a_batch_with_a_record_that_is_too_long_stores_nothing_and_names_it() {
    let (log, source) = (Machine::new(2).open(), named("a"));
    let (fits, long) = (vec![b'x'; 1000], vec![b'x'; RAW_BYTES_MAX + 1]);
    let record = |raw| LogRecord { ts: 1, source: &source, raw };
    let batch = [record(&*fits), record(&*fits), record(&*long)];
    for refused in [log.append_batch(&batch), block_on(log.append_batch_async(&batch))] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), "ERR_INVALID");
        assert!(error.to_string().contains("record 2 has 1048577 bytes"), "{error}");
    }
    assert_eq!(code(log.append(batch[2])), "ERR_INVALID");
    assert!(find(&log, &Query::default()).is_empty());
    assert_eq!(log.append_batch(&[]).unwrap(), []);
}

#[test]
fn the_longest_record_is_stored_and_found_by_its_last_word() {
    let log = LogStore::in_memory().unwrap();
    let source = named(&"n".repeat(NAME_BYTES_MAX));
    let mut raw: Vec<u8> =
        (0..).flat_map(|i| format!("w{i} ").into_bytes()).take(RAW_BYTES_MAX).collect();
    raw.truncate(RAW_BYTES_MAX - 5);
    raw.extend(b" last");
    let position = log.append(LogRecord { ts: 5, source: &source, raw: &raw }).unwrap();
    log.append(LogRecord { ts: 6, source: &source, raw: b"first last" }).unwrap();
    for _sealed in 0..2 {
        for (word, found) in [("last", 2), ("LAST w77 w100000", 1), ("w100001x", 0), ("absent", 0)]
        {
            let query = Query { tokens: vec![word.into()], ..Query::default() };
            let mut search = log.search(&query).unwrap();
            let mut all = 0;
            while let Some(record) = search.next().unwrap() {
                assert!(all > 0 || record.position() == position && record.raw() == raw);
                all += 1;
            }
            assert_eq!((all, log.count(&query).unwrap()), (found, found), "{word}");
        }
        log.engine().flush().unwrap();
    }
    log.close().unwrap();
}

#[test]
fn futures_store_as_calls_do() {
    let options = Options { threads: true, readers: 1, in_flight: 16, ..Options::tiny() };
    let (log, source) = (Machine::new(3).open_with(&options), named("a"));
    let raws: Vec<String> = (0..500).map(|i| format!("line {i}")).collect();
    let record = |raw: &'static str| LogRecord { ts: 1, source: &source, raw: raw.as_bytes() };
    let batch: Vec<LogRecord<'_>> =
        raws.iter().map(|raw| LogRecord { ts: 2, source: &source, raw: raw.as_bytes() }).collect();
    // More under way than there are answers to hold: none waits for another for ever.
    let all = futures::future::join4(
        log.append_batch_async(&batch),
        log.append_batch_async(&batch),
        log.append_batch_async(&batch),
        log.append_async(record("one")),
    );
    let (a, b, c, one) = block_on(all);
    let mut positions = [a.unwrap(), b.unwrap(), c.unwrap(), vec![one.unwrap()]].concat();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!((positions.len(), log.count(&Query::default()).unwrap()), (1501, 1501));
    log.close().unwrap();
    assert_eq!(code(log.append(record("after"))), "ERR_CLOSED");
}

#[test]
fn who_would_rather_drop_is_told_what_was_taken() {
    // More than the ring has room for, and nobody empties it meanwhile.
    let (log, sources) = (Machine::new(4).open(), [named("a"), named("b"), named("c")]);
    let raws: Vec<String> = (0..2000).map(|i| format!("{i} {}", "x".repeat(500))).collect();
    let record = |(i, raw): (usize, &'_ String)| (i, raw.clone());
    let lines: Vec<(usize, String)> = raws.iter().enumerate().map(record).collect();
    let batch: Vec<LogRecord<'_>> = lines
        .iter()
        .map(|(i, raw)| LogRecord { ts: 1, source: &sources[i % 3], raw: raw.as_bytes() })
        .collect();
    let answers = log.try_append_batch(&batch).unwrap();
    let taken: Vec<&str> =
        answers.iter().zip(&raws).filter(|(a, _)| a.is_some()).map(|(_, raw)| &**raw).collect();
    assert!((1..2000).contains(&taken.len()), "{}", taken.len());
    assert_eq!(find(&log, &Query::default()), taken);
    let positions: Vec<Position> = answers.into_iter().flatten().collect();
    assert!(positions.is_sorted());
    assert!(log.try_append(batch[0]).unwrap().is_some(), "there is room again");
}

#[test]
fn futures_are_ready_without_threads_and_a_full_disk_is_told_and_ends() {
    let machine = Machine::new(5);
    let log = machine.open();
    let sources: Vec<Source> = (0..4).map(|i| named(&format!("source {i}"))).collect();
    let raw = vec![b'x'; 1000];
    let record = |i: usize| LogRecord { ts: 9, source: &sources[i % 4], raw: &raw };
    block_on(log.append_async(record(0))).unwrap();
    let batch: Vec<LogRecord<'_>> = (1..2000).map(record).collect();
    assert_eq!(block_on(log.append_batch_async(&batch)).unwrap().len(), 1999);
    assert_eq!(log.engine().count(&[crate::query::Select::all()]).unwrap(), 2000);
    machine.disk.set_quota(Some(1 << 20));
    let refused = (0..10_000).find_map(|i| log.append(record(i)).err()).expect("it is full");
    assert_eq!(refused.code(), "ERR_DISK_FULL");
    let stored = log.engine().count(&[crate::query::Select::all()]).unwrap();
    assert!(block_on(log.append_batch_async(&batch)).is_err());
    assert!(log.seal().is_err(), "there is no space for a segment");
    machine.disk.set_quota(None);
    let ended = (0..20).find(|&i| {
        machine.clock.advance(std::time::Duration::from_secs(9));
        let _looks = log.seal();
        log.append(record(i)).is_ok() && log.engine().disk_full().is_none()
    });
    assert!(ended.is_some(), "{:?}", log.engine().disk_full());
    assert!(log.engine().count(&[crate::query::Select::all()]).unwrap() > stored);
    log.close().unwrap();
}
