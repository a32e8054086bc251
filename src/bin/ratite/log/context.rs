//! Records around those that match: the neighbours in their source.
//!
//! ```text
//!   match --> walk back, up to N or to what was shown --> them, in order --> the match
//!         --> walk on, up to N or to the next match ----> them
//! ```
//!
//! 1. A record is shown once. One that matches is shown when the search comes to it, so that matches stay in order.
//! 2. What stands before and after is so by time; newest first, what is after is shown first.

use super::rows::{Role, Rows};
use crate::failure::Outcome;
use crate::output::Lines;
use ratite::logs::tokens::Needles;
use ratite::logs::{LogRef, LogStore, Position, Query, Search};
use std::collections::HashMap;

/// The flags.
#[derive(clap::Args, Debug)]
pub struct ContextArgs {
    /// Records of the same source to show before each match
    #[arg(short = 'B', long = "before", value_name = "N")]
    before: Option<usize>,

    /// Records of the same source to show after each match
    #[arg(short = 'A', long = "after", value_name = "N")]
    after: Option<usize>,

    /// Both
    #[arg(
        short = 'C',
        long = "context",
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    context: usize,
}

/// Shows matches with what is around them.
pub struct Around<'a> {
    log: &'a LogStore,
    query: &'a Query,
    needles: Needles,
    /// How many are shown ahead of a match and behind it, in the order of the answer.
    ahead: usize,
    behind: usize,
    /// The last of each source that was shown, and of all.
    shown: HashMap<[u8; 16], Position>,
    last: Option<[u8; 16]>,
}

impl<'a> Around<'a> {
    /// `None` if nothing is to be shown around matches.
    pub fn new(log: &'a LogStore, query: &'a Query, args: &ContextArgs) -> Option<Around<'a>> {
        let before = args.before.unwrap_or(args.context);
        let after = args.after.unwrap_or(args.context);
        // 2.
        let (ahead, behind) = if query.reverse { (after, before) } else { (before, after) };
        let needles = Needles::new(&query.tokens);
        let (shown, last) = (HashMap::new(), None);
        (ahead + behind > 0).then_some(Around { log, query, needles, ahead, behind, shown, last })
    }

    /// Shows a match and what is around it.
    pub fn show(&mut self, record: &LogRef<'_>, rows: &mut Rows, lines: &mut Lines) -> Outcome<()> {
        let (position, source) = (record.position(), record.source().uuid());
        let shown = self.shown.get(&source).copied();
        let mut before = Vec::new();
        // One more than is shown says whether what was shown last is next to it.
        let mut walk = self.walk(position, source, !self.query.reverse)?;
        let mut is_next = false;
        while before.len() <= self.ahead {
            let Some(found) = walk.next()? else { break };
            if self.is_behind(found.position(), position) {
                continue;
            }
            let at = found.position();
            if shown.is_some_and(|shown| at == shown || !self.is_behind(at, shown)) {
                is_next = self.last == Some(source);
                break;
            }
            let mut row = Vec::new();
            rows.write(&found, Role::Context, &mut row);
            before.push(row);
        }
        before.truncate(self.ahead);
        if self.last.is_some() && !is_next {
            lines.add(|out| rows.divider(out))?;
        }
        for row in before.iter().rev() {
            lines.add(|out| out.extend_from_slice(row))?;
        }
        lines.add(|out| rows.write(record, Role::Match, out))?;
        self.last = Some(source);
        self.shown.insert(source, position);
        self.show_behind(position, source, rows, lines)
    }

    fn show_behind(
        &mut self,
        position: Position,
        source: [u8; 16],
        rows: &mut Rows,
        lines: &mut Lines,
    ) -> Outcome<()> {
        let mut left = self.behind;
        if left == 0 {
            return Ok(());
        }
        let mut walk = self.walk(position, source, self.query.reverse)?;
        while left > 0 {
            let Some(found) = walk.next()? else { break };
            let at = found.position();
            if at == position || !self.is_behind(at, position) {
                continue;
            }
            if self.matches(&found) {
                break; // 1.
            }
            lines.add(|out| rows.write(&found, Role::Context, out))?;
            self.shown.insert(source, at);
            left -= 1;
        }
        Ok(())
    }

    /// The records of a source from `position` on, it and its equals in time among them.
    fn walk(&self, position: Position, source: [u8; 16], reverse: bool) -> Outcome<Search> {
        let Position { ts, .. } = position;
        let (from, to) = if reverse { (None, ts.checked_add(1)) } else { (Some(ts), None) };
        let query = Query { from, to, reverse, sources: vec![source], ..Query::default() };
        Ok(self.log.search(&query)?)
    }

    /// Whether `at` is `position` or comes later in the order of the answer.
    fn is_behind(&self, at: Position, position: Position) -> bool {
        if self.query.reverse { at <= position } else { at >= position }
    }

    fn matches(&self, record: &LogRef<'_>) -> bool {
        let (query, ts) = (self.query, record.ts());
        query.from.is_none_or(|from| ts >= from)
            && query.to.is_none_or(|to| ts < to)
            && self.needles.all_in(record.raw())
    }
}
