//! Walks over sorted sets of a segment's ordinals: posting lists, and what is made of them.
//!
//! Every walk goes one way, back (newest first) or forth. `seek(t)` answers the first member at `t` or
//! beyond it in that direction; targets never step back. Union, intersection and difference are written
//! once, for both directions, over `Way`.

use super::Order;
use crate::base::{Ordinal, Result};
use crate::segment;
use std::collections::BinaryHeap;
use std::ops::Range;

/// The direction of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Back,
    Forth,
}

impl Way {
    pub(super) fn of(order: Order) -> Way {
        match order {
            Order::Newest => Way::Back,
            Order::Oldest => Way::Forth,
        }
    }

    /// Where a walk over `range` begins; `None` if it is empty.
    pub(super) fn start(self, range: &Range<Ordinal>) -> Option<Ordinal> {
        (!range.is_empty()).then_some(match self {
            Way::Back => range.end.wrapping_sub(1),
            Way::Forth => range.start,
        })
    }

    /// The ordinal behind `o`.
    pub(super) fn after(self, o: Ordinal) -> Option<Ordinal> {
        match self {
            Way::Back => o.checked_sub(1),
            Way::Forth => o.checked_add(1),
        }
    }

    /// Whether the walk comes to `a` before `b`.
    fn is_before(self, a: Ordinal, b: Ordinal) -> bool {
        self.rank(a) > self.rank(b)
    }

    /// Greater for what comes sooner.
    fn rank(self, o: Ordinal) -> Ordinal {
        match self {
            Way::Back => o,
            Way::Forth => !o,
        }
    }
}

/// A sorted set of ordinals, walked one way.
pub(super) enum Walk {
    /// Every ordinal.
    All,
    /// A posting list.
    List(segment::Cursor, Way),
    /// Ordinals at hand, in the order of the walk.
    Known(Vec<Ordinal>, usize, Way),
    Union(Union),
    Intersection(Intersection),
    Difference(Box<Difference>),
}

/// Members of at least one walk.
pub(super) struct Union {
    walks: Vec<Walk>,
    /// The head of each walk that has one: rank, index.
    heads: BinaryHeap<(Ordinal, u32)>,
    started: bool,
    way: Way,
}

/// Members of all walks, the sparsest first.
pub(super) struct Intersection {
    walks: Vec<Walk>,
}

/// Members of the first that are not in the second.
pub(super) struct Difference {
    from: Walk,
    without: Walk,
    /// The last answer of `without`: still good while it lies beyond the target.
    next_without: Option<Option<Ordinal>>,
    way: Way,
}

impl Walk {
    /// The ordinals of `known`, in any order.
    pub(super) fn known(mut known: Vec<Ordinal>, way: Way) -> Walk {
        known.sort_unstable_by_key(|&o| std::cmp::Reverse(way.rank(o)));
        known.dedup();
        Walk::Known(known, 0, way)
    }

    /// Members of at least one of `walks`.
    pub(super) fn union(mut walks: Vec<Walk>, way: Way) -> Walk {
        match walks.len() {
            1 => walks.remove(0),
            _ => Walk::Union(Union { walks, heads: BinaryHeap::new(), started: false, way }),
        }
    }

    /// Members of all of `walks`; everything if there are none.
    pub(super) fn intersection(mut walks: Vec<Walk>) -> Walk {
        match walks.len() {
            0 => Walk::All,
            1 => walks.remove(0),
            _ => Walk::Intersection(Intersection { walks }),
        }
    }

    /// Members of `from` that are not in `without`.
    pub(super) fn difference(from: Walk, without: Walk, way: Way) -> Walk {
        Walk::Difference(Box::new(Difference { from, without, next_without: None, way }))
    }

    /// The first member at `target` or beyond it. Targets of one walk never step back.
    pub(super) fn seek(&mut self, target: Ordinal) -> Result<Option<Ordinal>> {
        match self {
            Walk::All => Ok(Some(target)),
            Walk::List(cursor, Way::Back) => cursor.seek_le(target),
            Walk::List(cursor, Way::Forth) => cursor.seek_ge(target),
            Walk::Known(known, at, way) => {
                while known.get(*at).is_some_and(|&o| way.is_before(o, target)) {
                    *at += 1;
                }
                Ok(known.get(*at).copied())
            }
            Walk::Union(union) => union.seek(target),
            Walk::Intersection(intersection) => intersection.seek(target),
            Walk::Difference(difference) => difference.seek(target),
        }
    }
}

impl Union {
    fn seek(&mut self, target: Ordinal) -> Result<Option<Ordinal>> {
        let way = self.way;
        if !self.started {
            self.started = true;
            for (i, walk) in self.walks.iter_mut().enumerate() {
                if let Some(head) = walk.seek(target)? {
                    self.heads.push((way.rank(head), i as u32));
                }
            }
        }
        while let Some(mut head) = self.heads.peek_mut() {
            if head.0 <= way.rank(target) {
                // Ranks are their own inverse.
                return Ok(Some(way.rank(head.0)));
            }
            match self.walks[head.1 as usize].seek(target)? {
                Some(o) => head.0 = way.rank(o),
                None => {
                    std::collections::binary_heap::PeekMut::pop(head);
                }
            }
        }
        Ok(None)
    }
}

impl Intersection {
    fn seek(&mut self, mut target: Ordinal) -> Result<Option<Ordinal>> {
        'again: loop {
            for walk in &mut self.walks {
                match walk.seek(target)? {
                    None => return Ok(None),
                    Some(o) if o == target => {}
                    Some(o) => {
                        target = o;
                        // The sparsest leads; asked again for its own answer it gives it back.
                        continue 'again;
                    }
                }
            }
            return Ok(Some(target));
        }
    }
}

impl Difference {
    fn seek(&mut self, mut target: Ordinal) -> Result<Option<Ordinal>> {
        while let Some(o) = self.from.seek(target)? {
            let stale = match self.next_without {
                None => true,
                Some(Some(w)) => self.way.is_before(w, o),
                Some(None) => false,
            };
            if stale {
                self.next_without = Some(self.without.seek(o)?);
            }
            if self.next_without != Some(Some(o)) {
                return Ok(Some(o));
            }
            match self.way.after(o) {
                Some(next) => target = next,
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;
    use std::collections::BTreeSet;

    fn collect(mut walk: Walk, way: Way, range: Range<Ordinal>) -> Vec<Ordinal> {
        let mut out = Vec::new();
        let mut target = way.start(&range);
        while let Some(t) = target {
            let Some(o) = walk.seek(t).unwrap().filter(|o| range.contains(o)) else { break };
            out.push(o);
            target = way.after(o);
        }
        out
    }

    fn naive(set: &BTreeSet<Ordinal>, way: Way) -> Vec<Ordinal> {
        match way {
            Way::Back => set.iter().rev().copied().collect(),
            Way::Forth => set.iter().copied().collect(),
        }
    }

    #[test]
    fn random_algebra_agrees_with_sets() {
        let mut rng = Rng::new(7);
        for round in 0..2000 {
            let way = if round % 2 == 0 { Way::Back } else { Way::Forth };
            let universe = 1 + rng.below(60) as Ordinal;
            let mut random_set = || {
                let n = rng.below(universe.into());
                (0..n).map(|_| rng.below(universe.into()) as Ordinal).collect::<BTreeSet<_>>()
            };
            let sets: Vec<BTreeSet<Ordinal>> = (0..4).map(|_| random_set()).collect();
            let walk = |i: usize| Walk::known(sets[i].iter().copied().collect(), way);
            let union = Walk::union(vec![walk(0), walk(1), walk(2)], way);
            let either = &(&sets[0] | &sets[1]) | &sets[2];
            assert_eq!(collect(union, way, 0..universe), naive(&either, way));
            let both = Walk::intersection(vec![Walk::union(vec![walk(0), walk(1)], way), walk(2)]);
            let expected = &(&sets[0] | &sets[1]) & &sets[2];
            assert_eq!(collect(both, way, 0..universe), naive(&expected, way));
            let difference = Walk::difference(Walk::All, Walk::union(vec![walk(2), walk(3)], way), way);
            let all: BTreeSet<Ordinal> = (0..universe).collect();
            let expected = &all - &(&sets[2] | &sets[3]);
            assert_eq!(collect(difference, way, 0..universe), naive(&expected, way));
        }
    }

    #[test]
    fn the_ends_of_the_ordinals_are_reached() {
        assert_eq!(collect(Walk::All, Way::Back, 0..2), vec![1, 0]);
        assert_eq!(collect(Walk::All, Way::Forth, 0..2), vec![0, 1]);
        assert_eq!(collect(Walk::union(vec![], Way::Back), Way::Back, 0..2), Vec::<Ordinal>::new());
    }
}
