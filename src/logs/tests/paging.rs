//! The paging cases, word for word, in every shape: records t0..t5 a second apart.

use super::*;

const T0: u64 = 1_700_000_000 * S;

/// Four lines at t1 to t4, which a filter by source and word leaves whole, among others that it does not.
struct Case {
    log: LogStore,
    query: Query,
}

impl Case {
    fn new(shape: Shape, filtered: bool) -> Case {
        let (web, db) = (named("web"), named("db"));
        let mut lines: Vec<Line<'_>> = vec![
            (T0 + S, &web, "one ERROR"),
            (T0 + 2 * S, &web, "two error"),
            (T0 + 3 * S, &web, "three: error!"),
            (T0 + 4 * S, &web, "four/Error"),
        ];
        let mut query = Query::between(Some(T0), Some(T0 + 5 * S));
        if filtered {
            for i in (0..4).rev() {
                lines.insert(i, (lines[i].0, &db, "error elsewhere"));
                lines.insert(i, (lines[i].0 + 1, &web, "errors terror fine"));
            }
            query.sources = vec![web.uuid()];
            query.tokens = vec![b"Error".to_vec()];
        }
        Case { log: shaped(&Machine::new(1), shape, &lines).0, query }
    }

    /// First words of what is found.
    fn page(&self, query: &Query) -> (Vec<String>, Option<Resume>) {
        let (texts, resume) = page(&self.log, query);
        (texts.iter().map(|text| first_word(text)).collect(), resume)
    }
}

fn first_word(text: &str) -> String {
    text.split(|c: char| !c.is_alphabetic()).next().unwrap().to_string()
}

fn each_case(check: impl Fn(Case)) {
    for shape in SHAPES {
        for filtered in [false, true] {
            println!("{shape:?}, filtered: {filtered}");
            check(Case::new(shape, filtered));
        }
    }
}

#[test]
fn a_limit_of_two_gives_two_and_a_token_that_gives_the_others() {
    each_case(|case| {
        let query = Query { limit: 2, ..case.query.clone() };
        let (first, resume) = case.page(&query);
        assert_eq!(first, ["one", "two"]);
        assert!(resume.is_some());
        let (second, resume) = case.page(&Query { resume, ..query });
        assert_eq!(second, ["three", "four"]);
        assert_eq!(resume, None, "nothing is left");
    });
}

#[test]
fn who_stops_by_hand_goes_on_there() {
    each_case(|case| {
        let mut search = case.log.search(&case.query).unwrap();
        search.next().unwrap().unwrap();
        search.next().unwrap().unwrap();
        let resume = search.resume().unwrap();
        // Looking ahead loses nothing.
        let third = search.next().unwrap().unwrap().raw().to_vec();
        assert_eq!(first_word(std::str::from_utf8(&third).unwrap()), "three");
        let (rest, resume) = case.page(&Query { resume, ..case.query.clone() });
        assert_eq!((rest, resume), (vec!["three".into(), "four".into()], None));
    });
}

#[test]
fn reverse_is_the_mirror() {
    each_case(|case| {
        let bounds = Query::between(Some(T0 + 5 * S), Some(T0));
        assert!(bounds.reverse);
        let query = Query { reverse: true, ..case.query.clone() };
        assert_eq!((bounds.from, bounds.to), (query.from, query.to));
        assert_eq!(case.page(&query).0, ["four", "three", "two", "one"]);
        let query = Query { limit: 2, ..query };
        let (first, resume) = case.page(&query);
        assert_eq!(first, ["four", "three"]);
        let (second, resume) = case.page(&Query { resume, ..query });
        assert_eq!((second, resume), (vec!["two".into(), "one".into()], None));
    });
}

#[test]
fn across_segments_a_page_of_three_is_followed_by_the_fourth() {
    for (reverse, last) in [(false, "four"), (true, "one")] {
        let case = Case::new(Shape::Scattered, false);
        let query = Query { limit: 3, reverse, ..case.query.clone() };
        let (first, resume) = case.page(&query);
        assert_eq!((first.len(), resume.is_some()), (3, true));
        assert_eq!(case.page(&Query { resume, ..query }), (vec![last.into()], None));
    }
}

#[test]
fn a_token_of_the_beginning_begins_there() {
    each_case(|case| {
        let resume = case.log.search(&case.query).unwrap().resume().unwrap();
        let (all, resume) = case.page(&Query { resume, ..case.query.clone() });
        assert_eq!((all.len(), resume), (4, None));
    });
}

#[test]
fn ranges_hold_their_ends() {
    let (source, edges) = (named("a"), [0, 1, 2, u64::MAX - 1, u64::MAX]);
    let lines = edges.map(|ts| (ts, &source, "line"));
    for shape in SHAPES {
        let (log, _) = shaped(&Machine::new(1), shape, &lines);
        let bounds: Vec<Option<u64>> = [None].into_iter().chain(edges.map(Some)).collect();
        for &from in &bounds {
            for &to in &bounds {
                let mut wanted = edges.to_vec();
                wanted.retain(|&ts| {
                    from.is_none_or(|from| ts >= from) && to.is_none_or(|to| ts < to)
                });
                let query = Query { from, to, ..Query::default() };
                assert_eq!(log.count(&query).unwrap(), wanted.len() as u64, "{query:?}");
                for reverse in [false, true] {
                    let mut search = log.search(&Query { reverse, ..query.clone() }).unwrap();
                    let mut found = Vec::new();
                    while let Some(record) = search.next().unwrap() {
                        found.push(record.ts());
                    }
                    assert_eq!(found, wanted, "{shape:?} {query:?}");
                    wanted.reverse();
                }
            }
        }
    }
}
