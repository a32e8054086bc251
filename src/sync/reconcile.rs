//! One sync: what differs is found by negentropy, and brought where it is missing.
//!
//! ```text
//!   range of time --> session: opening, messages --> differences, in batches --> fetch --> put
//!        ^ halved when a side says that it is too much at once
//! ```
//!
//! Differences are brought while the session stands, so that they need no memory, and an end in the middle loses
//! nothing.

use super::party::{BATCH, Party, Refusal};
use super::{Direction, Failed, Report, Tally};
use crate::nostr::Filter;
use crate::nostr::negentropy::{Differences, Referee, Side, opening};

/// Messages of one session: enough for a hundred million differences in frames of 60 kB, and an end for a side that
/// always says something else.
const MESSAGES_MAX: u64 = 100_000;

/// Brings what matches `filter` and is on one side only to the other, as `direction` says. `now`, in seconds, is
/// where the range of time is first halved if that is needed. `tell` is told of every batch; `report` counts, and
/// stays right if the future is dropped half-way.
///
/// # Errors
/// [`Failed`]; what was brought until then is there.
pub async fn sync(
    (local, remote): (&mut Party, &mut Party),
    filter: &Filter,
    direction: Direction,
    now: u64,
    report: &mut Report,
    tell: &mut (dyn FnMut(&Report) + Send),
) -> Result<(), Failed> {
    let mut ranges = vec![(filter.since, filter.until)];
    while let Some((since, until)) = ranges.pop() {
        let part = Filter { since, until, ..filter.clone() };
        match session(local, remote, &part, direction, report, tell).await {
            Ok(()) => {}
            Err(Refusal::Failed(failed)) => return Err(failed),
            Err(Refusal::TooMuch(failed)) => {
                let middle = middle(since, until, now).filter(|_| filter.limit.is_none());
                let middle = middle.ok_or(failed)?;
                // The newer half is popped first.
                ranges.push((since, middle));
                ranges.push((middle + 1, until));
            }
        }
    }
    Ok(())
}

/// The last second of the older half; `None` if there is but one.
fn middle(since: u64, until: u64, now: u64) -> Option<u64> {
    match (since..until).contains(&now) {
        true => Some(now),
        false => (since < until).then(|| since + (until - since) / 2),
    }
}

async fn session(
    local: &mut Party,
    remote: &mut Party,
    filter: &Filter,
    direction: Direction,
    report: &mut Report,
    tell: &mut (dyn FnMut(&Report) + Send),
) -> Result<(), Refusal> {
    let (mut referee, mut found) = (Referee::new(), Differences::default());
    let mut broken = |side, message: &[u8], found: &mut Differences| {
        referee.pass(side, message, found).map_err(|malformed| Failed::Protocol {
            url: if side == Side::First { "the local side" } else { "the remote side" }.into(),
            why: malformed.to_string(),
        })
    };
    let answer = local.begin(filter, &opening()).await?;
    let mut next = broken(Side::First, &answer, &mut found)?;
    let (mut side, mut remote_knows) = (Side::Second, false);
    let messages = report.messages;
    while let Some(message) = next {
        report.messages += 1;
        if report.messages - messages > MESSAGES_MAX {
            let (url, why) = ("the remote side".into(), "the session does not end".into());
            return Err(Failed::Protocol { url, why }.into());
        }
        let answer = match side {
            Side::First => local.go_on(&message).await?,
            Side::Second if remote_knows => remote.go_on(&message).await?,
            Side::Second => remote.begin(filter, &message).await?,
        };
        remote_knows = true;
        next = broken(side, &answer, &mut found)?;
        side = if side == Side::First { Side::Second } else { Side::First };
        let last = next.is_none();
        bring(remote, local, direction.is_down(), &mut found.second, last, |tally| {
            count(report, Side::First, tally, tell)
        })
        .await?;
        bring(local, remote, direction.is_up(), &mut found.first, last, |tally| {
            count(report, Side::Second, tally, tell)
        })
        .await?;
    }
    local.end().await?;
    if remote_knows {
        remote.end().await?;
    }
    Ok(())
}

fn count(report: &mut Report, to: Side, batch: Tally, tell: &mut (dyn FnMut(&Report) + Send)) {
    let tally = if to == Side::First { &mut report.down } else { &mut report.up };
    tally.found += batch.found;
    tally.stored += batch.stored;
    tally.duplicate += batch.duplicate;
    tally.refused += batch.refused;
    tally.missing += batch.missing;
    tell(report);
}

/// Brings whole batches of `ids`, or all of them if these are the `last`; only counts them if it is not `wanted`.
async fn bring(
    from: &mut Party,
    to: &mut Party,
    wanted: bool,
    ids: &mut Vec<[u8; 32]>,
    last: bool,
    mut count: impl FnMut(Tally),
) -> Result<(), Failed> {
    while ids.len() >= BATCH || last && !ids.is_empty() {
        let batch = ids.split_off(ids.len().saturating_sub(BATCH));
        let mut tally = Tally { found: batch.len() as u64, ..Tally::default() };
        if wanted {
            let events = from.fetch(&batch).await?;
            tally.missing = (batch.len() - events.len()) as u64;
            to.put(&events, &mut tally).await?;
        }
        count(tally);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_meet_and_end() {
        assert_eq!(middle(0, u64::MAX, 100), Some(100));
        assert_eq!(middle(0, 100, 100), Some(50));
        assert_eq!(middle(101, u64::MAX, 100), Some(101 + (u64::MAX - 101) / 2));
        assert_eq!(middle(7, 8, 100), Some(7));
        assert_eq!(middle(7, 7, 7), None);
    }
}
