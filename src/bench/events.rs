//! Events in memory: made by one thread, signed by all, in the order in which they were made.

use super::Going;
use crate::base::Result;
use crate::io::threads;
use crate::nostr::Event;
use crate::nostr::generate::{Generator, Unsigned};

/// Events that a thread signs between two looks at [`Going`]: some 50 ms.
const SIGNED_AT_ONCE: u64 = 1024;

/// Finishes `unsigned` on so many threads, each in some 50 us with a signature; without, a few of its bytes are zeros.
///
/// # Errors
/// If a thread cannot be started.
pub fn finish(mut unsigned: Vec<Unsigned>, threads: usize, sign: bool) -> Result<Vec<Event>> {
    let each = unsigned.len().div_ceil(threads.max(1)).max(1);
    let mut parts = Vec::new();
    while !unsigned.is_empty() {
        let rest = unsigned.split_off(each.min(unsigned.len()));
        let part = std::mem::replace(&mut unsigned, rest);
        let one = move |u: Unsigned| if sign { u.sign() } else { u.into_event() };
        parts.push(threads::spawn("sign", move || part.into_iter().map(one).collect::<Vec<_>>()));
    }
    let mut events = Vec::new();
    for part in parts {
        events.extend(part.join()?);
    }
    Ok(events)
}

/// The next `count` events, signed on all cores; fewer if it was told to end. Tells how many there are already.
///
/// # Errors
/// As [`finish`].
pub fn signed(
    generator: &mut Generator,
    count: u64,
    going: &Going,
    told: &mut dyn FnMut(u64),
) -> Result<Vec<Event>> {
    let (threads, mut events) = (threads::cores(), Vec::with_capacity(count as usize));
    while (events.len() as u64) < count && going() {
        let more = (count - events.len() as u64).min(SIGNED_AT_ONCE * threads as u64);
        let unsigned = (0..more).map(|_| generator.next_unsigned()).collect();
        events.extend(finish(unsigned, threads, true)?);
        told(events.len() as u64);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::always;
    use crate::nostr::generate::Config;

    #[test]
    fn the_order_is_the_generators_however_many_sign() {
        let generator = || Generator::new(9, &Config { events: 50, ..Config::default() });
        let ids = |events: &[Event]| events.iter().map(|e| *e.id()).collect::<Vec<_>>();
        let expected: Vec<Event> = generator().take(11).collect();
        for threads in [1, 2, 3, 16] {
            let mut made = generator();
            let unsigned = (0..11).map(|_| made.next_unsigned()).collect();
            let events = finish(unsigned, threads, true).unwrap();
            assert_eq!(ids(&events), ids(&expected));
            assert!(events.iter().all(|e| crate::nostr::verify::signature(&e.as_ref())));
        }
        let mut said = Vec::new();
        let events = signed(&mut generator(), 11, &always(), &mut |n| said.push(n)).unwrap();
        assert_eq!((ids(&events), said), (ids(&expected), vec![11]));
        assert!(finish(Vec::new(), 3, true).unwrap().is_empty());
    }
}
