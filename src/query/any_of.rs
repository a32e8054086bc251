//! A condition of a selection: terms of which a match has at least one.
//!
//! ```text
//!   AnyOf::later(400, || ...)  --- whoever looks a term up ---> 400 terms, made once, for all clones
//! ```
//!
//! A filter of hundreds of authors is answered without looking up a term where their marks are sifted (`sieve`): then
//! the terms are never made.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

type Make = Box<dyn FnOnce() -> Vec<Vec<u8>> + Send>;

/// Terms of which one must hold, best ascending and each once. A clone shares them.
#[derive(Clone)]
pub struct AnyOf {
    count: usize,
    terms: Arc<LazyLock<Vec<Vec<u8>>, Make>>,
}

impl AnyOf {
    /// `count` terms, which `make` gives when the first of them is looked at.
    pub fn later(count: usize, make: impl FnOnce() -> Vec<Vec<u8>> + Send + 'static) -> AnyOf {
        AnyOf { count, terms: Arc::new(LazyLock::new(Box::new(make))) }
    }

    /// How many there are. Makes none.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none, so that nothing matches. Makes none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl From<Vec<Vec<u8>>> for AnyOf {
    fn from(terms: Vec<Vec<u8>>) -> AnyOf {
        AnyOf::later(terms.len(), || terms)
    }
}

impl Deref for AnyOf {
    type Target = [Vec<u8>];

    fn deref(&self) -> &[Vec<u8>] {
        debug_assert_eq!(self.terms.len(), self.count);
        &self.terms
    }
}

impl<'a> IntoIterator for &'a AnyOf {
    type Item = &'a Vec<u8>;
    type IntoIter = std::slice::Iter<'a, Vec<u8>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyOf({} terms)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[test]
    fn terms_are_made_once_for_all_clones_and_not_for_their_number() {
        let made = Arc::new(AtomicU32::new(0));
        let counted = made.clone();
        let any_of = AnyOf::later(2, move || {
            counted.fetch_add(1, Relaxed);
            vec![vec![1], vec![2]]
        });
        let clone = any_of.clone();
        assert_eq!((any_of.len(), any_of.is_empty(), made.load(Relaxed)), (2, false, 0));
        assert_eq!(clone.iter().flatten().sum::<u8>(), 3);
        assert_eq!((any_of[1].clone(), made.load(Relaxed)), (vec![2], 1));
    }
}
