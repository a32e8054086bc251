//! Tests of the pool as a whole, over a file in memory whose reads a test can count, hold and spoil.

use super::format::seal_page;
use super::*;
use crate::io::{self, Buf, Op};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};

mod resize;
mod threads;
mod trace;
mod warm;

/// What a test does to the `n`-th read of a file, after the page is in the buffer.
type Hook = dyn Fn(usize, u32, &mut [u8]) -> Result<()> + Send + Sync;

/// A file whose pages are functions of its id and their number.
struct TestFile {
    path: PathBuf,
    id: [u8; 16],
    page_bytes: usize,
    pages: u32,
    reads: AtomicUsize,
    hook: Box<Hook>,
}

impl fmt::Debug for TestFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestFile({})", self.path.display())
    }
}

/// The bytes of a payload, different for every file, page and place.
fn payload(id: &[u8; 16], number: u32, bytes: usize) -> impl Iterator<Item = u8> {
    let seed = u64::from(id[0]) << 32 | u64::from(number);
    (0..bytes as u64).map(move |i| {
        let x = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i >> 3);
        (x.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (8 * (i & 7))) as u8
    })
}

impl TestFile {
    fn new(id: u8, pages: u32) -> TestFile {
        TestFile {
            path: PathBuf::from(format!("test-{id}.seg")),
            id: [id; 16],
            page_bytes: 4096,
            pages,
            reads: AtomicUsize::new(0),
            hook: Box::new(|_, _, _| Ok(())),
        }
    }

    fn hooked(
        mut self,
        hook: impl Fn(usize, u32, &mut [u8]) -> Result<()> + Send + Sync + 'static,
    ) -> TestFile {
        self.hook = Box::new(hook);
        self
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl io::File for TestFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        u64::from(self.pages) * self.page_bytes as u64
    }

    fn align(&self) -> usize {
        512
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        assert_eq!(buf.len() % self.page_bytes, 0);
        assert_eq!(offset % self.page_bytes as u64, 0);
        assert_eq!(buf.as_ptr() as usize % self.page_bytes, 0);
        let first = (offset / self.page_bytes as u64) as u32;
        let nth = self.reads.fetch_add(1, Ordering::SeqCst);
        for (number, page) in (first..).zip(buf.chunks_exact_mut(self.page_bytes)) {
            assert!(number < self.pages, "page {number} of {}", self.pages);
            let bytes = page.len() - PAGE_TRAILER_BYTES;
            page.iter_mut().zip(payload(&self.id, number, bytes)).for_each(|(to, from)| *to = from);
            seal_page(page, &self.id, number, number % 7);
            (self.hook)(nth, number, page)?;
        }
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        unreachable!("the pool writes nothing")
    }

    fn sync(&self) -> Result<()> {
        unreachable!("the pool writes nothing")
    }
}

fn pool() -> Arc<Pool> {
    Pool::new(0, PageSize::K4)
}

fn open(pool: &Arc<Pool>, file: TestFile) -> (Arc<PagedFile>, Arc<TestFile>) {
    open_with(pool, file, None)
}

fn open_with(
    pool: &Arc<Pool>,
    file: TestFile,
    fetch: Option<Arc<dyn Fetch>>,
) -> (Arc<PagedFile>, Arc<TestFile>) {
    let file = Arc::new(file);
    (PagedFile::new(pool, Arc::clone(&file) as _, file.id, file.pages, fetch), file)
}

/// Whether `bytes` are the payload of that page.
fn is_page(bytes: &[u8], id: u8, number: u32) -> bool {
    bytes.iter().copied().eq(payload(&[id; 16], number, 4096 - PAGE_TRAILER_BYTES))
}

fn io_error() -> Error {
    Error::io("read", "test.seg", std::io::Error::other("injected"))
}

/// Collects reads ahead until the test takes them.
#[derive(Default)]
struct Shelf {
    reads: Mutex<Vec<FetchRead>>,
    here: bool,
}

impl Fetch for Shelf {
    fn fetch(&self, reads: Vec<FetchRead>) {
        lock(&self.reads).extend(reads);
    }

    fn completes_here(&self) -> bool {
        self.here
    }
}

impl Shelf {
    fn take(&self) -> Vec<FetchRead> {
        std::mem::take(&mut lock(&self.reads))
    }
}

/// Does what a ring does with an operation.
fn perform(op: Op) -> (Result<()>, Buf) {
    match op {
        Op::Read { file, offset, mut buf } => (file.read_at(offset, &mut buf), buf),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_is_read_once_and_hits_and_misses_are_counted() {
    let pool = pool();
    let (paged, file) = open(&pool, TestFile::new(1, 10));
    assert_eq!((paged.pages(), paged.payload_bytes()), (10, 4080));
    assert_eq!(paged.path(), Path::new("test-1.seg"));
    assert!(!paged.resident(3) && paged.page_if_resident(3).is_none());
    for _ in 0..3 {
        let page = paged.page(3).unwrap();
        assert!(is_page(&page, 1, 3));
        assert_eq!(page.kind(), 3);
        assert_eq!(pool.stats().pinned, 1);
    }
    assert!(paged.resident(3) && paged.page_if_resident(3).is_some());
    assert!(is_page(&paged.page(9).unwrap(), 1, 9));
    let counts = PartStats { hits: 3, misses: 2 };
    let mut want =
        PoolStats { frames: 64, resident: 2, hits: 3, misses: 2, ..PoolStats::default() };
    want.parts[Part::Other as usize] = counts;
    assert_eq!(pool.stats(), want);
    assert_eq!(file.reads(), 2);
}

#[test]
fn hits_and_misses_are_counted_for_the_part_that_asks() {
    let pool = pool();
    let (paged, _) = open(&pool, TestFile::new(1, 10));
    for (part, n) in Part::ALL.into_iter().zip(1..) {
        assert_eq!(part as usize, n - 1, "the order of the counts");
        drop(paged.page_for(n as u32, part).unwrap());
        (0..n).for_each(|_| drop(paged.hold_for(n as u32, part).unwrap()));
    }
    let stats = pool.stats();
    let want: Vec<_> = (1..=6).map(|n| PartStats { hits: n, misses: 1 }).collect();
    assert_eq!((&stats.parts[..], stats.hits, stats.misses), (&want[..], 21, 6));
    assert_eq!((want[2].hit_rate(), PartStats::default().hit_rate()), (Some(0.75), None));
}

#[test]
fn every_page_size_is_served_and_the_frames_fill_the_memory() {
    for page in [PageSize::K4, PageSize::K8, PageSize::K16] {
        let pool = Pool::new(3 << 20, page);
        assert_eq!((pool.page_size(), pool.payload_bytes()), (page, page.bytes() - 16));
        assert_eq!(pool.stats().frames, (3 << 20) / page.bytes());
        let mut file = TestFile::new(1, 5000);
        file.page_bytes = page.bytes();
        let (paged, _) = open(&pool, file);
        for number in (0..5000).step_by(3) {
            let page = paged.page(number).unwrap();
            assert!(page.iter().copied().eq(payload(&[1; 16], number, page.len())));
        }
        assert_eq!(pool.stats().resident, pool.stats().frames);
    }
}

#[test]
fn eviction_keeps_pinned_pages_and_says_so_when_all_are() {
    let pool = pool();
    let (paged, file) = open(&pool, TestFile::new(1, 1000));
    let pinned: Vec<_> = (0..63).map(|n| paged.page(n).unwrap()).collect();
    for number in 100..1000 {
        assert!(is_page(&paged.page(number).unwrap(), 1, number));
    }
    assert!(pinned.iter().zip(0..).all(|(page, n)| is_page(page, 1, n)));
    assert_eq!(pool.stats().evictions, 899);

    let last = paged.page(500).unwrap();
    let error = paged.page(501).unwrap_err();
    assert!(matches!(error, Error::Full { what: "buffer pool frames", limit: 64 }), "{error}");
    assert!(is_page(&paged.page(500).unwrap(), 1, 500));
    drop(last);
    assert!(is_page(&paged.page(501).unwrap(), 1, 501));
    drop(pinned);
    let reads = file.reads();
    assert!((0..63).all(|n| is_page(&paged.page(n).unwrap(), 1, n)));
    assert_eq!(file.reads(), reads);
}

#[test]
fn held_pages_outlive_the_handle_and_dropping_a_file_gives_its_frames_back() {
    let pool = pool();
    let (one, _) = open(&pool, TestFile::new(1, 100));
    let (two, _) = open(&pool, TestFile::new(2, 100));
    let held = one.hold(7).unwrap();
    for number in 0..20 {
        one.page(number).unwrap();
        two.page(number).unwrap();
    }
    drop(one);
    assert_eq!(pool.stats().resident, 40);
    assert!(is_page(&held, 1, 7));
    assert_eq!((held.kind(), held.number(), held.file().pages()), (0, 7, 100));
    drop(held);
    assert_eq!((pool.stats().resident, pool.stats().pinned), (20, 0));
    assert!((0..20).all(|n| two.resident(n)));
    // The slot is used again, and none of its pages is taken for the former file's.
    let (three, file) = open(&pool, TestFile::new(3, 100));
    assert!((0..100).all(|n| is_page(&three.page(n).unwrap(), 3, n)));
    assert!((0..20).all(|n| is_page(&two.page(n).unwrap(), 2, n)));
    assert_eq!(file.reads(), 100);
    let weak = Arc::downgrade(&pool);
    let held = three.hold(5).unwrap();
    drop((pool, two, three));
    assert!(is_page(&held, 3, 5));
    drop(held);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_page_past_the_end_is_damage_and_not_a_panic() {
    let (paged, file) = open(&pool(), TestFile::new(1, 10));
    for number in [10, 11, u32::MAX] {
        let error = paged.page(number).unwrap_err();
        let at = u64::from(number) * 4096;
        assert!(matches!(error, Error::Corrupt { offset, .. } if offset == at), "{error}");
        assert!(!paged.resident(number) && paged.page_if_resident(number).is_none());
    }
    assert_eq!(file.reads(), 0);
}

#[test]
fn a_failed_or_damaged_read_leaves_nothing_and_the_next_one_succeeds() {
    let pool = pool();
    let file = TestFile::new(1, 1000).hooked(|nth, _, page| {
        match nth {
            0 => return Err(io_error()),
            1 => page[99] ^= 0x10,
            2 => seal_page(page, &[1; 16], 6, 0),
            3 => seal_page(page, &[2; 16], 5, 0),
            4 => panic!("in the file"),
            _ => {}
        }
        Ok(())
    });
    let (paged, file) = open(&pool, file);
    assert_eq!(paged.page(5).unwrap_err().code(), "ERR_IO");
    for what in ["checksum", "another page", "checksum"] {
        match paged.page(5).unwrap_err() {
            Error::Corrupt { path, offset, what: text } => {
                assert_eq!((path.to_str(), offset), (Some("test-1.seg"), 5 * 4096));
                assert!(text.contains("page 5") && text.contains(what), "{text}");
            }
            other => panic!("{other}"),
        }
        assert!(!paged.resident(5));
    }
    let panicked = std::panic::AssertUnwindSafe(|| paged.page(5).is_ok());
    assert!(std::panic::catch_unwind(panicked).is_err());
    assert_eq!((pool.stats().resident, pool.stats().pinned), (0, 0));
    assert!(is_page(&paged.page(5).unwrap(), 1, 5));
    assert_eq!((file.reads(), pool.stats().misses), (6, 6));
    // No frame was lost on the way.
    let all: Vec<_> = (100..164).map(|n| paged.page(n).unwrap()).collect();
    assert_eq!(all.len(), 64);
}

#[test]
fn prefetched_pages_are_there_without_a_read_by_the_caller() {
    let (pool, shelf) = (pool(), Arc::new(Shelf::default()));
    let (paged, file) = open_with(&pool, TestFile::new(1, 100), Some(Arc::clone(&shelf) as _));
    paged.page(2).unwrap();
    paged.prefetch(&[1, 2, 3, 3, 100, u32::MAX]);
    paged.prefetch(&[1, 3]);
    let reads = shelf.take();
    assert_eq!(reads.len(), 2);
    assert!(!paged.resident(1) && paged.page_if_resident(1).is_none());
    for read in reads {
        let (op, token) = read.into_parts();
        let (result, buf) = perform(op);
        token.complete(result, buf);
    }
    assert!(is_page(&paged.page(1).unwrap(), 1, 1) && is_page(&paged.page(3).unwrap(), 1, 3));
    assert_eq!(file.reads(), 3);
    let stats = pool.stats();
    assert_eq!((stats.prefetched, stats.misses, stats.hits, stats.waits), (2, 1, 2, 0));
    // Without a Fetch nothing happens.
    let (plain, file) = open(&pool, TestFile::new(2, 10));
    plain.prefetch(&[1, 2]);
    assert!(file.reads() == 0 && pool.stats().resident == 3);
}

#[test]
fn reading_ahead_takes_a_quarter_of_the_frames_at_most_and_never_a_pinned_one() {
    let (pool, shelf) = (pool(), Arc::new(Shelf::default()));
    let (paged, _) = open_with(&pool, TestFile::new(1, 200), Some(Arc::clone(&shelf) as _));
    paged.prefetch(&(0..100).collect::<Vec<_>>());
    let reads = shelf.take();
    assert_eq!(reads.len(), 16);
    drop(reads);
    let pinned: Vec<_> = (100..160).map(|n| paged.page(n).unwrap()).collect();
    paged.prefetch(&(0..100).collect::<Vec<_>>());
    assert_eq!(lock(&shelf.reads).len(), 4);
    assert_eq!(paged.page(50).unwrap_err().code(), "ERR_FULL");
    shelf.take();
    assert!(is_page(&paged.page(50).unwrap(), 1, 50));
    assert!(pinned.iter().zip(100..).all(|(page, n)| is_page(page, 1, n)));
}

#[test]
fn a_failed_read_ahead_is_silent_and_frees_its_frame_only_with_its_buffer() {
    let (pool, shelf) = (pool(), Arc::new(Shelf::default()));
    let (paged, _) = open_with(&pool, TestFile::new(1, 200), Some(Arc::clone(&shelf) as _));
    let frames = || (0..64).map_while(|n| paged.page(100 + n).ok()).collect::<Vec<_>>().len();
    let next = |number| {
        paged.prefetch(&[number]);
        shelf.take().pop().unwrap().into_parts()
    };
    let (op, token) = next(1);
    token.complete(Err(io_error()), perform(op).1);
    let (op, token) = next(2);
    let (_, mut buf) = perform(op);
    buf[0] ^= 1;
    token.complete(Ok(()), buf);
    assert!(!paged.resident(1) && !paged.resident(2));
    assert_eq!(frames(), 64);

    // A foreign buffer with the right bytes: the frame itself holds none of them.
    let (op, token) = next(3);
    let mut buf = Buf::zeroed(4096, 4096);
    buf.copy_from_slice(&perform(next(4).0).1);
    token.complete(Ok(()), buf);
    assert!(!paged.resident(3));
    assert_eq!(frames(), 63);
    drop(op);
    assert_eq!(frames(), 64);

    // The same once the operation is gone: the frame has the bytes of whatever was in it before.
    let (op, token) = next(6);
    let mut buf = Buf::zeroed(4096, 4096);
    buf.copy_from_slice(&perform(next(6 + 1).0).1);
    seal_page(&mut buf, &[1; 16], 6, 0);
    drop(op);
    token.complete(Ok(()), buf);
    assert!(is_page(&paged.page(6).unwrap(), 1, 6));

    // A ring that drops the token before the kernel is done with the buffer.
    let (op, token) = next(5);
    drop(token);
    assert!(is_page(&paged.page(5).unwrap(), 1, 5));
    assert_eq!(frames(), 63);
    let (_, buf) = perform(op);
    assert_eq!(frames(), 63);
    drop(buf);
    assert_eq!(frames(), 64);
}

#[test]
fn only_a_fetched_claim_under_way_is_ever_replaced() {
    let pool = pool();
    let (paged, _) = open(&pool, TestFile::new(1, 10));
    let table = Arc::new(PageTable::new(10));
    let claim =
        |instead_of, fetched| pool.claim(&table, join(9, 5), 5, instead_of, fetched).unwrap();
    let Claim::Granted(reader, false) = claim(None, false) else { panic!("not granted") };
    let frame = reader.frame();
    assert!(matches!(claim(Some(frame), false), Claim::Loading(f, false) if f == frame));
    drop(pool.publish_pinned(reader, false));
    assert!(matches!(claim(Some(frame), false), Claim::Resident));
    table.set(5, NEVER);
    let Claim::Granted(ahead, _) = claim(None, true) else { panic!("not granted") };
    assert!(matches!(claim(Some(frame), false), Claim::Loading(f, true) if f == ahead.frame()));
    let Claim::Granted(better, _) = claim(Some(ahead.frame()), false) else {
        panic!("not granted")
    };
    pool.publish_ahead(&table, 5, ahead, false);
    assert_eq!(table.frame(5), Some(better.frame()));
    assert!(!pool.frames.state(better.frame()).is_valid());
    drop(paged);
}

#[test]
fn what_is_handed_out_may_go_to_any_thread() {
    fn any_thread<T: Send + Sync + 'static>() {}
    any_thread::<Pool>();
    any_thread::<PagedFile>();
    any_thread::<HeldPage>();
    any_thread::<FetchRead>();
    any_thread::<FetchToken>();
}

#[test]
fn a_lease_outlives_the_pool() {
    let (pool, shelf) = (pool(), Arc::new(Shelf::default()));
    let (paged, _) = open_with(&pool, TestFile::new(1, 200), Some(Arc::clone(&shelf) as _));
    paged.prefetch(&[1]);
    let (op, token) = shelf.take().pop().unwrap().into_parts();
    drop((pool, paged, shelf, token));
    let (result, buf) = perform(op);
    assert!(result.is_ok() && is_page(&buf[..4080], 1, 1));
}
