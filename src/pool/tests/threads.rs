//! The pool under several threads: one read for many waiters, failures that wake them, reads ahead that
//! come late or never, and a random mix in which every byte read is compared.

use super::*;
use std::thread::{Scope, ScopedJoinHandle, scope};

const READERS: usize = 4;

/// A file whose reads the test lets through one at a time.
fn gated(outcome: fn(usize) -> Result<()>) -> (TestFile, Arc<Barrier>) {
    let gate = Arc::new(Barrier::new(2));
    let inside = Arc::clone(&gate);
    let file = TestFile::new(1, 100).hooked(move |nth, _, _| {
        inside.wait();
        outcome(nth)
    });
    (file, gate)
}

fn readers<'s>(
    s: &'s Scope<'s, '_>,
    paged: &Arc<PagedFile>,
) -> Vec<ScopedJoinHandle<'s, Result<bool>>> {
    let one = || Arc::clone(paged);
    let read = |paged: Arc<PagedFile>| s.spawn(move || paged.page(7).map(|p| is_page(&p, 1, 7)));
    (0..READERS).map(|_| read(one())).collect()
}

/// Until all but one reader wait for that one.
fn until_they_wait(pool: &Pool, waits: u64) {
    while pool.stats().waits < waits {
        std::thread::yield_now();
    }
}

#[test]
fn many_waiters_cause_one_read() {
    let pool = pool();
    let (file, gate) = gated(|_| Ok(()));
    let (paged, file) = open(&pool, file);
    scope(|s| {
        let readers = readers(s, &paged);
        until_they_wait(&pool, READERS as u64 - 1);
        gate.wait();
        readers.into_iter().for_each(|r| assert!(r.join().unwrap().unwrap()));
    });
    assert_eq!(file.reads(), 1);
    let stats = pool.stats();
    assert_eq!((stats.misses, stats.waits, stats.hits), (1, READERS as u64 - 1, 0));
}

#[test]
fn a_failed_read_wakes_all_waiters_who_then_read_for_themselves() {
    let pool = pool();
    let (file, gate) = gated(|nth| if nth < 2 { Err(io_error()) } else { Ok(()) });
    let (paged, file) = open(&pool, file);
    scope(|s| {
        let readers = readers(s, &paged);
        until_they_wait(&pool, READERS as u64 - 1);
        for _ in 0..3 {
            gate.wait();
        }
        let answers: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        assert_eq!(answers.iter().filter(|a| a.is_err()).count(), 2);
        assert!(answers.into_iter().flatten().all(|right| right));
    });
    assert_eq!(file.reads(), 3);
    assert!(paged.page(7).is_ok());
}

#[test]
fn readers_wait_for_a_read_ahead_and_are_woken_by_its_end_or_its_loss() {
    for complete in [true, false] {
        let (pool, shelf) = (pool(), Arc::new(Shelf::default()));
        let (paged, file) = open_with(&pool, TestFile::new(1, 9), Some(Arc::clone(&shelf) as _));
        paged.prefetch(&[7]);
        scope(|s| {
            let readers = readers(s, &paged);
            until_they_wait(&pool, READERS as u64);
            let (op, token) = shelf.take().pop().unwrap().into_parts();
            match complete {
                true => {
                    let (result, buf) = perform(op);
                    token.complete(result, buf);
                }
                false => drop(token),
            }
            readers.into_iter().for_each(|r| assert!(r.join().unwrap().unwrap()));
        });
        assert_eq!(file.reads(), 1);
        assert_eq!(pool.stats().misses, u64::from(!complete));
    }
}

#[test]
fn a_read_ahead_that_never_ends_is_replaced() {
    for here in [true, false] {
        let shelf = Arc::new(Shelf { here, ..Shelf::default() });
        let pool = pool();
        let (paged, file) = open_with(&pool, TestFile::new(1, 200), Some(Arc::clone(&shelf) as _));
        paged.prefetch(&[7, 8]);
        scope(|s| {
            readers(s, &paged).into_iter().for_each(|r| assert!(r.join().unwrap().unwrap()));
        });
        assert_eq!(file.reads(), 1);
        // It ends after all: what it brings is not needed, and its frame is free again.
        for read in shelf.take() {
            let (op, token) = read.into_parts();
            let (result, buf) = perform(op);
            token.complete(result, buf);
        }
        assert!(paged.resident(7) && paged.resident(8));
        assert_eq!(pool.stats().resident, 2);
        assert!(is_page(&paged.page(7).unwrap(), 1, 7));
        let all: Vec<_> = (100..164).map(|n| paged.page(n).unwrap()).collect();
        assert_eq!(all.len(), 64);
    }
}

/// A ring on a thread of its own, which completes, spoils or drops what it is given, by a seed.
struct Ring(Mutex<mpsc::Sender<FetchRead>>);

impl Fetch for Ring {
    fn fetch(&self, reads: Vec<FetchRead>) {
        let sender = lock(&self.0);
        reads.into_iter().for_each(|read| drop(sender.send(read)));
    }
}

fn serve(reads: &mpsc::Receiver<FetchRead>) {
    let mut seed = 1;
    let mut late = Vec::new();
    while let Ok(read) = reads.recv() {
        let (op, token) = read.into_parts();
        match next(&mut seed) % 8 {
            0 => drop((op, token)),
            1 => drop((token, perform(op))),
            2 => {
                drop(token);
                late.push(op); // the kernel still writes
            }
            3 => token.complete(Err(io_error()), perform(op).1),
            4 => {
                let (result, mut buf) = perform(op);
                buf[1000] ^= 1;
                token.complete(result, buf);
            }
            _ => {
                let (result, buf) = perform(op);
                token.complete(result, buf);
            }
        }
        if late.len() > 5 {
            late.drain(..).for_each(|op| drop(perform(op)));
        }
    }
}

fn next(seed: &mut u64) -> u32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as u32
}

/// One reader's random walk. All pages it reads, holds or asks for are compared.
fn walk(files: &[Arc<PagedFile>; 3], mut seed: u64, steps: usize) {
    let mut held: Vec<HeldPage> = Vec::new();
    for _ in 0..steps {
        let file = next(&mut seed) as usize % files.len();
        let (id, paged) = (file as u8 + 1, &files[file]);
        let number = (next(&mut seed) % 100).min(next(&mut seed) % 100);
        match next(&mut seed) % 16 {
            0 => paged.prefetch(&[number, (number + 1) % 100, (number + 2) % 100]),
            1 => match paged.hold(number) {
                Ok(page) => {
                    assert!(is_page(&page, id, number));
                    held.push(page);
                }
                Err(error) => assert!(matches!(error.code(), "ERR_IO" | "ERR_CORRUPT"), "{error}"),
            },
            2 => {
                if let Some(page) = paged.page_if_resident(number) {
                    assert!(is_page(&page, id, number));
                }
            }
            _ => match paged.page(number) {
                Ok(page) => assert!(is_page(&page, id, number)),
                Err(error) => assert!(matches!(error.code(), "ERR_IO" | "ERR_CORRUPT"), "{error}"),
            },
        }
        if held.len() > 8 {
            let page = held.swap_remove(next(&mut seed) as usize % held.len());
            let id = page.file().path().to_str().unwrap().as_bytes()[5] - b'0';
            assert!(is_page(&page, id, page.number()));
        }
    }
}

#[test]
fn a_random_mix_reads_every_page_right() {
    let pool = pool();
    let (sender, receiver) = mpsc::channel();
    let ring = std::thread::scope(|s| {
        s.spawn(move || serve(&receiver));
        let ring: Arc<Ring> = Arc::new(Ring(Mutex::new(sender)));
        let files = [1, 2, 3].map(|id| {
            let file = TestFile::new(id, 100).hooked(move |nth, _, page| {
                match (id, nth % 50) {
                    (1, 7) => return Err(io_error()),
                    (3, 7) => page[2000] ^= 4,
                    _ => {}
                }
                Ok(())
            });
            let fetch = (id < 3).then(|| Arc::clone(&ring) as Arc<dyn Fetch>);
            open_with(&pool, file, fetch).0
        });
        scope(|s| {
            (0..4).for_each(|t| {
                drop(s.spawn({
                    let files = &files;
                    move || walk(files, t, 4000)
                }))
            });
        });
        Arc::downgrade(&ring)
    });
    assert!(ring.upgrade().is_none());
    let stats = pool.stats();
    assert_eq!((stats.resident, stats.pinned), (0, 0), "{stats:?}");
    assert!(stats.evictions > 1000 && stats.prefetched > 100 && stats.hits > 1000, "{stats:?}");
    let (paged, _) = open(&pool, TestFile::new(1, 64));
    let all: Vec<_> = (0..64).map(|n| paged.page(n).unwrap()).collect();
    assert_eq!(all.len(), 64);
}
