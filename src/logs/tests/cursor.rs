//! Cursors: to and fro, and to positions, against a list and an index.

use super::*;

fn position(record: Option<LogRef<'_>>) -> Option<Position> {
    record.map(|record| record.position())
}

#[test]
fn a_cursor_goes_as_an_index_goes() {
    let source = named("a");
    for shape in SHAPES {
        let mut rng = Rng::new(7);
        let times: Vec<u64> = (0..60).map(|_| rng.below(20)).collect();
        let lines: Vec<Line<'_>> = times.iter().map(|&ts| (ts, &source, "line")).collect();
        let (log, mut sorted) = shaped(&Machine::new(7), shape, &lines);
        sorted.sort_unstable();
        let mut cursor = log.cursor().unwrap();
        log.append(LogRecord { ts: 10, source: &source, raw: b"later" }).unwrap();
        let mut gap = 0;
        for step in 0..3000 {
            match rng.below(20) {
                0..9 => {
                    let next = position(cursor.next().unwrap());
                    assert_eq!(next, sorted.get(gap).copied(), "{shape:?}, step {step}");
                    gap = (gap + 1).min(sorted.len());
                }
                9..18 => {
                    let before = gap.checked_sub(1).map(|i| sorted[i]);
                    let prev = position(cursor.prev().unwrap());
                    assert_eq!(prev, before, "{shape:?}, step {step}");
                    gap = gap.saturating_sub(1);
                }
                18 => {
                    gap = rng.below(sorted.len() as u64) as usize;
                    cursor.seek(sorted[gap]).unwrap();
                }
                _ if rng.chance(2) => {
                    cursor.to_end();
                    gap = sorted.len();
                }
                _ => {
                    cursor.to_start();
                    gap = 0;
                }
            }
        }
    }
}

#[test]
fn the_ends_are_answers_and_one_can_turn_there() {
    let source = named("a");
    for shape in SHAPES {
        let lines = [(1, &source, "one"), (2, &source, "two")];
        let (log, positions) = shaped(&Machine::new(8), shape, &lines);
        let mut cursor = log.cursor().unwrap();
        for _again in 0..2 {
            assert!(cursor.prev().unwrap().is_none());
            assert!(cursor.prev().unwrap().is_none());
            assert_eq!(position(cursor.next().unwrap()), Some(positions[0]));
            assert_eq!(position(cursor.next().unwrap()), Some(positions[1]));
            assert!(cursor.next().unwrap().is_none());
            assert!(cursor.next().unwrap().is_none());
            assert_eq!(position(cursor.prev().unwrap()), Some(positions[1]));
            assert_eq!(position(cursor.prev().unwrap()), Some(positions[0]));
        }
    }
}

#[test]
fn an_empty_store_has_both_ends_at_once() {
    let log = Machine::new(9).open();
    let mut cursor = log.cursor().unwrap();
    for _ in 0..2 {
        assert!(cursor.next().unwrap().is_none());
        assert!(cursor.prev().unwrap().is_none());
    }
    assert!(find(&log, &Query::default()).is_empty());
    assert_eq!(page(&log, &Query { limit: 1, ..Query::default() }), (vec![], None));
}

#[test]
fn a_position_that_no_record_has_is_an_error_and_moves_nothing() {
    let source = named("a");
    let lines = [(1, &source, "one"), (2, &source, "two"), (3, &source, "three")];
    for shape in SHAPES {
        let (log, positions) = shaped(&Machine::new(10), shape, &lines);
        let mut cursor = log.cursor().unwrap();
        cursor.seek(positions[1]).unwrap();
        let at = positions[1];
        for bad in [
            Position { ts: 0, arrival: 0 },
            Position { arrival: at.arrival + (1 << 40), ..at },
            Position { arrival: at.arrival - 1, ..at },
            Position { ts: at.ts + 1, ..at },
            Position { ts: u64::MAX, arrival: u64::MAX },
        ] {
            assert_eq!(code(cursor.seek(bad)), "ERR_GONE", "{bad}");
        }
        assert_eq!(position(cursor.prev().unwrap()), Some(positions[0]));
        cursor.seek(positions[2]).unwrap();
        assert_eq!(position(cursor.next().unwrap()), Some(positions[2]));
        assert!(cursor.next().unwrap().is_none());
    }
}
