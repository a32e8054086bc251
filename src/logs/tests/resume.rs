//! Resume tokens: what they survive, and what they are refused for, one by one.

use super::*;

/// A store with ten lines, a question and the token behind its fourth.
fn started(reverse: bool) -> (Machine, LogStore, Query) {
    let (machine, source) = (Machine::new(3), named("web"));
    let lines: Vec<String> = (0..10).map(|i| format!("line {i}")).collect();
    let lines: Vec<Line<'_>> =
        lines.iter().enumerate().map(|(i, line)| (100 + i as u64 / 2, &source, &**line)).collect();
    let log = shaped(&machine, Shape::Mixed, &lines).0;
    let sources = vec![source.uuid()];
    let tokens = vec![b"line".to_vec()];
    let query =
        Query { from: Some(50), to: Some(1000), reverse, sources, tokens, limit: 4, resume: None };
    let resume = page(&log, &query).1;
    assert!(resume.is_some());
    (machine, log, Query { resume, limit: 0, ..query })
}

fn numbers(reverse: bool) -> Vec<String> {
    let rest = if reverse { (0..6).rev().collect::<Vec<_>>() } else { (4..10).collect() };
    rest.iter().map(|i| format!("line {i}")).collect()
}

#[test]
fn a_token_stays_good_whatever_happens_to_the_records() {
    for reverse in [false, true] {
        let (machine, log, query) = started(reverse);
        let text = query.resume.unwrap().to_string();
        assert!(text.len() < 90 && text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
        let query = Query { resume: Some(text.parse().unwrap()), ..query };
        let is_as_it_was = |log: &LogStore, after: &str| {
            assert_eq!(find(log, &query), numbers(reverse), "{after}");
        };
        is_as_it_was(&log, "nothing");
        let source = named("web");
        for ts in [60, 101, 102, 103, 104, 900] {
            log.append(LogRecord { ts, source: &source, raw: b"line late" }).unwrap();
        }
        is_as_it_was(&log, "writes before, at and behind the position");
        log.engine().flush().unwrap();
        is_as_it_was(&log, "sealing");
        log.engine().compact().unwrap();
        is_as_it_was(&log, "compaction");
        drop(log);
        is_as_it_was(&machine.open(), "opening again");
        machine.disk.kill();
        is_as_it_was(&machine.open(), "a kill");
    }
}

#[test]
fn bounds_may_be_left_to_the_token() {
    let (_machine, log, query) = started(false);
    let open = Query { from: None, to: None, ..query.clone() };
    assert_eq!(find(&log, &open), numbers(false));
    for (from, to) in [(Some(51), Some(1000)), (Some(50), Some(999)), (Some(50), Some(1001))] {
        let other = Query { from, to, ..query.clone() };
        let why = log.search(&other).err().unwrap().to_string();
        assert!(why.contains("range of time"), "{why}");
    }
}

#[test]
fn a_token_of_another_question_is_refused() {
    let (_machine, log, query) = started(false);
    let other_source = vec![[1; 16]];
    for (other, what) in [
        (Query { reverse: true, ..query.clone() }, "direction"),
        (Query { tokens: vec![b"lines".to_vec()], ..query.clone() }, "another query"),
        (Query { tokens: vec![], ..query.clone() }, "another query"),
        (Query { sources: other_source, ..query.clone() }, "another query"),
        (Query { sources: vec![], ..query.clone() }, "another query"),
    ] {
        let error = log.search(&other).err().unwrap();
        assert_eq!(error.code(), "ERR_INVALID");
        assert!(error.to_string().contains(what), "{error}");
    }
    // The same question in other words.
    let same = Query { tokens: vec![b"-LINE-".to_vec(), b"line".to_vec()], ..query };
    assert_eq!(find(&log, &same), numbers(false));
}

#[test]
fn a_token_of_another_store_is_refused() {
    let (_machine, _log, query) = started(false);
    let other = Machine::new(4).open();
    let error = other.search(&query).err().unwrap();
    assert!(error.to_string().contains("another store"), "{error}");
}

#[test]
fn a_damaged_token_is_refused_wherever_it_is_damaged() {
    let (_machine, _log, query) = started(false);
    let text = query.resume.unwrap().to_string();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ =+/";
    for at in 0..text.len() {
        for other in alphabet.chars().filter(|c| !text[at..].starts_with(*c)) {
            let damaged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(code(damaged.parse::<Resume>()), "ERR_INVALID", "{damaged}");
        }
        assert_eq!(code(text[..at].parse::<Resume>()), "ERR_INVALID", "{at} characters");
    }
    for longer in [format!("{text}A"), format!("{text}AAAA"), format!(" {text}"), "é".repeat(40)] {
        assert_eq!(code(longer.parse::<Resume>()), "ERR_INVALID", "{longer}");
    }
    assert_eq!(text.parse::<Resume>().unwrap(), query.resume.unwrap());
}

#[test]
fn a_token_whose_record_is_gone_is_refused() {
    for reverse in [false, true] {
        let (_machine, log, query) = started(reverse);
        let resume = query.resume.unwrap();
        let at = resume.after.unwrap();
        // As after retention: there never was a record there.
        for gone in [
            Position { ts: at.ts, arrival: at.arrival + 1_000_000 },
            Position { ts: at.ts, arrival: at.arrival - 1_000_000 },
            Position { ts: at.ts + 500, ..at },
            Position { ts: 1, ..at },
        ] {
            let mut resume = resume;
            resume.after = Some(gone);
            let resume = Some(resume);
            assert_eq!(code(log.search(&Query { resume, ..query.clone() })), "ERR_GONE", "{gone}");
        }
    }
}

#[test]
fn what_arrives_later_is_on_no_page() {
    let source = named("a");
    let log = Machine::new(5).open();
    let append = |ts| log.append(LogRecord { ts, source: &source, raw: b"x" }).unwrap();
    for ts in 0..10 {
        append(ts * 10);
    }
    let query = Query { limit: 3, ..Query::default() };
    let (mut given, mut resume) = (0, None);
    loop {
        let (texts, next) = page(&log, &Query { resume, ..query.clone() });
        given += texts.len();
        assert!(given <= 10, "{texts:?}");
        // So many more than a page that the engine's limit is used up by them.
        for i in 0..40 {
            append(i * 3);
        }
        if given % 2 == 0 {
            log.engine().flush().unwrap();
        }
        let Some(next) = next else { break };
        resume = Some(next);
    }
    assert_eq!(given, 10);
}
