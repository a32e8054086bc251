//! Which pages stay: the pool on seeded traces against a naive S3-FIFO, which it must equal hit for
//! hit, and against FIFO, which it must beat.

use super::*;
use std::collections::{HashMap, HashSet, VecDeque};

const FRAMES: usize = 400;
const PAGES: u32 = 8000;

/// A Zipf trace (exponent 0.9) with a scan of cold pages after each `scan_every` accesses, if any.
fn trace(accesses: usize, scan_every: Option<usize>) -> Vec<u32> {
    let hot = PAGES as usize / 2;
    let mut sums = Vec::with_capacity(hot);
    let mut sum = 0.0;
    for rank in 1..=hot {
        sum += (rank as f64).powf(-0.9);
        sums.push(sum);
    }
    let (mut seed, mut scan, mut out) = (42u64, 0, Vec::new());
    for i in 0..accesses {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let x = (seed >> 11) as f64 / (1u64 << 53) as f64 * sum;
        let rank = sums.partition_point(|&s| s < x);
        out.push((rank as u32).wrapping_mul(1237) % hot as u32); // 1237 is coprime to the pages
        if scan_every.is_some_and(|every| i % every == every - 1) {
            out.extend((0..FRAMES as u32).map(|n| hot as u32 + (scan + n) % hot as u32));
            scan += FRAMES as u32;
        }
    }
    out
}

fn pool_hits(trace: &[u32]) -> Vec<bool> {
    let pool = Pool::new(FRAMES * 4096, PageSize::K4);
    let (paged, file) = open(&pool, TestFile::new(1, PAGES));
    let hits = trace.iter().map(|&n| {
        let resident = paged.resident(n);
        paged.page(n).unwrap();
        resident
    });
    let hits: Vec<bool> = hits.collect();
    let stats = pool.stats();
    assert_eq!(stats.hits as usize, hits.iter().filter(|h| **h).count());
    assert_eq!(stats.misses as usize, file.reads());
    assert_eq!(stats.evictions, stats.misses - FRAMES as u64);
    hits
}

fn fifo_hits(trace: &[u32]) -> Vec<bool> {
    let (mut queue, mut resident) = (VecDeque::new(), HashSet::new());
    let hits = trace.iter().map(|&n| {
        let hit = !resident.insert(n);
        if !hit {
            queue.push_back(n);
            if queue.len() > FRAMES {
                resident.remove(&queue.pop_front().unwrap());
            }
        }
        hit
    });
    hits.collect()
}

/// S3-FIFO as the paper has it, with pages for frames and no pins.
#[derive(Default)]
struct Naive {
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    uses: HashMap<u32, u32>,
    left: HashMap<u32, usize>,
    evictions_from_small: usize,
}

impl Naive {
    fn access(&mut self, page: u32) -> bool {
        if let Some(uses) = self.uses.get_mut(&page) {
            *uses = (*uses + 1).min(3);
            return true;
        }
        let ghosts = FRAMES - FRAMES / 10;
        let was_ghost =
            self.left.get(&page).is_some_and(|at| self.evictions_from_small - at <= ghosts);
        if self.uses.len() == FRAMES {
            self.evict();
        }
        self.left.remove(&page);
        self.uses.insert(page, 0);
        if was_ghost {
            self.main.push_back(page)
        } else {
            self.small.push_back(page)
        }
        false
    }

    fn evict(&mut self) {
        loop {
            if self.small.len() > FRAMES / 10 || self.main.is_empty() {
                let page = self.small.pop_front().unwrap();
                if self.uses[&page] < 2 {
                    self.uses.remove(&page);
                    self.evictions_from_small += 1;
                    self.left.insert(page, self.evictions_from_small);
                    return;
                }
                self.main.push_back(page);
            } else {
                let page = self.main.pop_front().unwrap();
                match self.uses[&page] {
                    0 => {
                        self.uses.remove(&page);
                        return;
                    }
                    uses => self.uses.insert(page, uses - 1),
                };
                self.main.push_back(page);
            }
        }
    }
}

fn percent(hits: &[bool]) -> f64 {
    hits.iter().filter(|h| **h).count() as f64 * 100.0 / hits.len() as f64
}

#[test]
fn the_pool_is_s3_fifo_hit_for_hit_and_beats_fifo() {
    for (scan_every, margin) in [(None, 10.0), (Some(1000), 10.0)] {
        let trace = trace(40_000, scan_every);
        let mut naive = Naive::default();
        let want: Vec<bool> = trace.iter().map(|&n| naive.access(n)).collect();
        let pool = pool_hits(&trace);
        let first = pool.iter().zip(&want).position(|(a, b)| a != b);
        assert_eq!(first, None, "the pool and the naive twin part");
        let (pool, fifo) = (percent(&pool), percent(&fifo_hits(&trace)));
        assert!(pool > fifo + margin, "S3-FIFO {pool:.1} %, FIFO {fifo:.1} %");
    }
}

#[test]
fn a_scan_of_the_whole_file_leaves_the_hot_pages_in_memory() {
    let pool = Pool::new(FRAMES * 4096, PageSize::K4);
    let (paged, _) = open(&pool, TestFile::new(1, PAGES));
    let hot = 0..FRAMES as u32 / 2;
    for _ in 0..4 {
        hot.clone().for_each(|n| drop(paged.page(n).unwrap()));
    }
    (FRAMES as u32..PAGES).for_each(|n| drop(paged.page(n).unwrap()));
    assert!(hot.clone().all(|n| paged.resident(n)));
}
