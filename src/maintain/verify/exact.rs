//! Which posting is wrong: the second pass, over a segment whose sums differ.
//!
//! Each posting's record must have the term, and each record's term the posting. Reads records in the
//! order of posting lists, so it is slow, and is done only where the sums say that there is something.

use super::segment::{Look, named, shown};
use crate::base::{Result, Terms};
use crate::model::Record;
use crate::segment::{Body, Segment};
use std::sync::Arc;

pub(super) fn name(look: &mut Look<'_, '_, '_>, segment: &Arc<Segment>) -> Result<()> {
    strangers(look, segment)?;
    missing(look, segment)
}

/// The terms of record `ordinal`, sealed.
fn terms_of(
    look: &Look<'_, '_, '_>,
    segment: &Segment,
    ordinal: u32,
    body: &mut Body,
) -> Result<Terms> {
    let key = segment.key(ordinal)?;
    *body = segment.body(ordinal, std::mem::take(body))?;
    let mut terms = Terms::new();
    look.scene.model.terms(Record { key, body }, &mut terms);
    terms.seal();
    Ok(terms)
}

/// Postings whose record does not have the term.
fn strangers(look: &mut Look<'_, '_, '_>, segment: &Arc<Segment>) -> Result<()> {
    let (mut scan, mut body) = (segment.terms(), Body::default());
    while let Some((term, postings)) = scan.next()? {
        let (mut cursor, mut next) = (postings.cursor(segment), 0);
        while let Some(ordinal) = cursor.seek_ge(next)? {
            next = ordinal + 1;
            if !terms_of(look, segment, ordinal, &mut body)?.iter().any(|has| has == term) {
                let key = named(&segment.key(ordinal)?);
                let what =
                    format!("under {} stands record {ordinal}, {key}, without it", shown(term));
                look.say(None, "posting", what);
            }
            if look.is_full() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Terms of records that have no posting for them.
fn missing(look: &mut Look<'_, '_, '_>, segment: &Arc<Segment>) -> Result<()> {
    let mut body = Body::default();
    for ordinal in 0..segment.records() {
        for term in terms_of(look, segment, ordinal, &mut body)?.iter() {
            let found = match segment.term(term)? {
                Some(postings) => postings.cursor(segment).seek_ge(ordinal)?,
                None => None,
            };
            if found != Some(ordinal) {
                let key = named(&segment.key(ordinal)?);
                let what = format!("record {ordinal}, {key}, does not stand under {}", shown(term));
                look.say(None, "posting", what);
            }
            if look.is_full() {
                return Ok(());
            }
        }
    }
    Ok(())
}
