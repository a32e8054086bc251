//! What a plugin was asked and has not answered.
//!
//! I1. An answer goes to the question about its event that was asked first, of those that somebody waits for: two
//!     clients may publish the same event at once, and one of them may have gone.
//! I2. Plugins answer in order, or nearly, so looking from the front finds the question at once.

use super::Verdict;
use std::collections::VecDeque;
use tokio::sync::oneshot;
use tokio::time::Instant;

struct Question {
    id: [u8; 32],
    asked: Instant,
    verdict: oneshot::Sender<Verdict>,
}

/// The questions, in the order in which they were asked.
#[derive(Default)]
pub(super) struct Pending(VecDeque<Question>);

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, id: [u8; 32], asked: Instant, verdict: oneshot::Sender<Verdict>) {
        self.0.push_back(Question { id, asked, verdict });
    }

    /// Hands a verdict to who waits for it; whether somebody was to be answered.
    pub(super) fn answer(&mut self, id: &[u8; 32], verdict: Verdict) -> bool {
        let mut about = (0..self.0.len()).filter(|&at| self.0[at].id == *id); // I2
        let first = about.next();
        let waits = |at: &usize| !self.0[*at].verdict.is_closed();
        let at = first.filter(waits).or_else(|| about.find(waits)).or(first); // I1
        let question = at.and_then(|at| self.0.remove(at));
        question.map(|question| question.verdict.send(verdict)).is_some()
    }

    /// When the oldest question was asked.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.0.front().map(|question| question.asked)
    }

    /// Gives up what was asked up to `until`; when the last of it was.
    pub(super) fn expire(&mut self, until: Instant) -> Option<Instant> {
        let mut last = None;
        while let Some(asked) = self.oldest().filter(|asked| *asked <= until) {
            drop(self.0.pop_front());
            last = Some(asked);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_answer_goes_to_who_waits_for_it_and_not_to_who_has_gone() {
        let mut pending = Pending::default();
        let mut ask = || {
            let (verdict, answer) = oneshot::channel();
            pending.push([1; 32], Instant::now(), verdict);
            answer
        };
        let (gone, mut waits) = (ask(), ask());
        drop(gone);
        assert!(pending.answer(&[1; 32], Verdict::Accept));
        assert_eq!(waits.try_recv(), Ok(Verdict::Accept));
        assert!(pending.answer(&[1; 32], Verdict::Accept), "the plugin answers both");
        assert!(!pending.answer(&[1; 32], Verdict::Accept));
    }

    #[test]
    fn answers_find_their_questions_in_any_order() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pending = Pending::default();
        let mut waiting: Vec<_> = [1, 2, 1, 3]
            .into_iter()
            .enumerate()
            .map(|(n, id)| {
                let (verdict, answer) = oneshot::channel();
                pending.push([id; 32], at(n as u64), verdict);
                answer
            })
            .collect();
        let mut got = |n: usize| waiting[n].try_recv().ok();
        assert!(!pending.answer(&[9; 32], Verdict::Accept));
        assert!(pending.answer(&[1; 32], Verdict::Accept));
        assert_eq!((got(0), got(2)), (Some(Verdict::Accept), None));
        assert!(pending.answer(&[1; 32], Verdict::ShadowReject));
        assert_eq!(got(2), Some(Verdict::ShadowReject));
        assert!(!pending.answer(&[1; 32], Verdict::Accept));
        assert_eq!((pending.len(), pending.oldest()), (2, Some(at(1))));
        assert_eq!(pending.expire(at(0)), None);
        assert_eq!(pending.expire(at(2)), Some(at(1)));
        assert_eq!((pending.len(), pending.oldest(), got(1)), (1, Some(at(3)), None));
        assert!(!pending.answer(&[2; 32], Verdict::Accept), "it came too late");
    }
}
