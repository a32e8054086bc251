//! Puts every mutant of a list into the text of its file, each behind a switch of its own.
//!
//! ```text
//!   a < b   --->   (if on(7) { a <= b } else if on(8) { a > b } else { a < b })
//! ```
//!
//! P1. With all switches off the program is what it was.
//! P2. A mutant's text is that of the file, with this one change: what stands within is not switched there.
//! P3. Comments say where each mutant, and each place, begins and ends, so that an error of the compiler finds its own.

use crate::places::{Bytes, Name, Place};
use std::collections::HashMap;

/// A mutant: its number, where it stands, what is written there.
pub struct Mutant {
    pub id: usize,
    pub name: (String, usize, usize),
    pub replacement: String,
}

/// A change of the text: what the mutants are, and how the rest follows.
struct Edit {
    at: Bytes,
    id: usize,
    before: String,
    after: String,
}

/// `text` with those of `mutants` that have a place, and the numbers of those that have none.
pub fn plant(
    text: &str,
    places: &HashMap<Name, Place>,
    mutants: &[&Mutant],
) -> (String, Vec<usize>) {
    let (mut left, mut edits) = (Vec::new(), Vec::new());
    let mut by_place: HashMap<Name, Vec<&Mutant>> = HashMap::new();
    for mutant in mutants {
        let (kind, line, column) = &mutant.name;
        let kind = KINDS.iter().find(|known| **known == kind.as_str());
        let name =
            kind.map(|&kind| (kind, *line, *column)).filter(|name| places.contains_key(name));
        match name {
            Some(name) => by_place.entry(name).or_default().push(mutant),
            None => left.push(mutant.id),
        }
    }
    for (name, mutants) in by_place {
        edits.push(edit(text, &places[&name], &mutants));
    }
    edits.sort_by_key(|edit| (edit.at.start, std::cmp::Reverse(edit.at.end), edit.id));
    // Insertions come before what begins where they stand.
    edits.sort_by_key(|edit| (edit.at.start, !edit.at.is_empty()));
    let mut out = String::new();
    render(text, 0..text.len(), &edits, &mut out);
    (out, left)
}

pub const KINDS: [&str; 5] =
    ["FnValue", "BinaryOperator", "UnaryOperator", "MatchArm", "MatchArmGuard"];

/// The switch of a mutant.
fn on(id: usize) -> String {
    format!("crate::mutant::on({id})")
}

/// A mutant's own text, marked (P3).
fn marked(id: usize, text: &str) -> String {
    format!("/*<{id}*/{text}/*{id}>*/")
}

fn edit(text: &str, place: &Place, mutants: &[&Mutant]) -> Edit {
    let id = mutants[0].id;
    let (open, close) = (format!("/*({id}*/"), format!("/*{id})*/"));
    let mut before = open;
    match place {
        Place::Body(at) => {
            for mutant in mutants {
                let value = marked(mutant.id, &format!("return {};", mutant.replacement));
                before += &format!(" if {} {{ {value} }}", on(mutant.id));
            }
            Edit { at: *at..*at, id, before: before + &close, after: String::new() }
        }
        Place::Op { whole, token } => {
            before.push('(');
            for mutant in mutants {
                let (left, right) = (&text[whole.start..token.start], &text[token.end..whole.end]);
                let value = marked(mutant.id, &format!("{left}{}{right}", mutant.replacement));
                before += &format!("if {} {{ {value} }} else ", on(mutant.id));
            }
            Edit { at: whole.clone(), id, before: before + "{ ", after: format!(" }}){close}") }
        }
        Place::Arm(at, None) => {
            let guard = marked(id, &format!(" if !{}", on(id)));
            Edit { at: *at..*at, id, before: before + &guard + &close, after: String::new() }
        }
        Place::Arm(_, Some(guard)) => {
            let rest = marked(id, &format!(") && !{}", on(id)));
            Edit { at: guard.clone(), id, before: before + "(", after: rest + &close }
        }
        Place::Guard(at) => {
            before.push('(');
            for mutant in mutants {
                let value = marked(mutant.id, &mutant.replacement);
                before += &format!("if {} {{ {value} }} else ", on(mutant.id));
            }
            Edit { at: at.clone(), id, before: before + "{ ", after: format!(" }}){close}") }
        }
    }
}

/// Writes `range` of `text` with `edits`, which are sorted and lie in it.
fn render(text: &str, range: Bytes, edits: &[Edit], out: &mut String) {
    let (mut at, mut rest) = (range.start, edits);
    while let Some((edit, behind)) = rest.split_first() {
        out.push_str(&text[at..edit.at.start]);
        let end = edit.at.end;
        let within = behind.iter().take_while(|other| other.at.start < end && !edit.at.is_empty());
        let within = &behind[..within.count()];
        out.push_str(&edit.before);
        render(text, edit.at.clone(), within, out);
        out.push_str(&edit.after);
        (at, rest) = (end, &behind[within.len()..]);
    }
    out.push_str(&text[at..range.end]);
}

/// Which mutant, or else which place (by its first mutant), the bytes `at` of a planted text belong to (P3).
pub enum Guilty {
    Mutant(usize),
    Place(usize),
}

pub fn guilty(planted: &str, at: Bytes) -> Option<Guilty> {
    let mut best: Option<(usize, Guilty)> = None;
    for (open, close, is_mutant) in [("/*<", ">*/", true), ("/*(", ")*/", false)] {
        for (start, _) in planted.match_indices(open) {
            let digits: String =
                planted[start + 3..].chars().take_while(char::is_ascii_digit).collect();
            let Ok(id) = digits.parse::<usize>() else { continue };
            let end = format!("/*{id}{close}");
            let Some(length) = planted[start..].find(&end) else { continue };
            let is_better = best.as_ref().is_none_or(|(best, of)| {
                length < *best || is_mutant && matches!(of, Guilty::Place(_))
            });
            if start <= at.start && at.end <= start + length + end.len() && is_better {
                let of = if is_mutant { Guilty::Mutant(id) } else { Guilty::Place(id) };
                best = Some((length, of));
            }
        }
    }
    best.map(|(_, of)| of)
}
