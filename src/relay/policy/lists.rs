//! Allow and deny lists: who may come, and what may be published.
//!
//! ```text
//!   layers: what was decided by NIP-86, then configuration and files; the first that names a subject decides
//!     event    denied -> blocked     allowed -> stored whatever else the lists say
//!     author   denied -> blocked     not on an allow list that is there -> restricted
//!     kind     likewise
//!     address  likewise
//! ```
//!
//! I1. Within a layer a denial counts more than an allowance.
//! I2. An allow list is there as soon as one layer allows anything of that sort.

use super::network::Networks;
use super::rule::{Rule, Subject};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Kinds by 64, each a bit.
const KIND_WORDS: usize = (1 << 16) / 64;

/// The rules of one origin, ready for look-ups.
#[derive(Default)]
pub(super) struct Layer {
    allow: Sets,
    deny: Sets,
}

#[derive(Default)]
struct Sets {
    pubkeys: HashSet<[u8; 32]>,
    events: HashSet<[u8; 32]>,
    kinds: Kinds,
    addresses: Networks,
}

/// A set of kinds; it takes 8 KiB once it holds any.
#[derive(Default)]
struct Kinds(Vec<u64>);

impl Kinds {
    fn insert(&mut self, kind: u16) {
        self.0.resize(KIND_WORDS, 0);
        self.0[usize::from(kind / 64)] |= 1 << (kind % 64);
    }

    fn contain(&self, kind: u16) -> bool {
        self.0.get(usize::from(kind / 64)).is_some_and(|word| word >> (kind % 64) & 1 == 1)
    }
}

impl Layer {
    pub(super) fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Layer {
        let mut layer = Layer::default();
        for Rule { allow, subject } in rules {
            let sets = if *allow { &mut layer.allow } else { &mut layer.deny };
            match subject {
                Subject::Pubkey(key) => drop(sets.pubkeys.insert(*key)),
                Subject::Event(id) => drop(sets.events.insert(*id)),
                Subject::Kinds(kinds) => kinds.clone().for_each(|kind| sets.kinds.insert(kind)),
                Subject::Address(network) => sets.addresses.insert(*network),
            }
        }
        layer
    }
}

/// Why something is not let in: the text of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::relay) struct Refusal(pub(in crate::relay) &'static str);

/// What the lists say of what they do not refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::relay) enum Listed {
    /// Nothing speaks against it.
    Passes,
    /// It is allowed by its id, whatever else is asked of events.
    Exempt,
}

/// All layers, the first the strongest.
pub(super) struct Lists {
    pub(super) managed: Arc<Layer>,
    pub(super) configured: Arc<Layer>,
}

impl Lists {
    fn layers(&self) -> [&Layer; 2] {
        [&self.managed, &self.configured]
    }

    /// What the first layer that names a subject says of it; refused if none does, but allows others.
    fn decide(
        &self,
        holds: impl Fn(&Sets) -> bool,
        allows_any: impl Fn(&Sets) -> bool,
        [denied, unlisted]: [&'static str; 2],
    ) -> Result<(), Refusal> {
        for layer in self.layers() {
            if holds(&layer.deny) {
                return Err(Refusal(denied)); // I1
            }
            if holds(&layer.allow) {
                return Ok(());
            }
        }
        match self.layers().iter().any(|layer| allows_any(&layer.allow)) {
            true => Err(Refusal(unlisted)),
            false => Ok(()),
        }
    }

    /// Whether the event may be stored.
    pub(super) fn event(
        &self,
        id: &[u8; 32],
        pubkey: &[u8; 32],
        kind: u16,
    ) -> Result<Listed, Refusal> {
        for layer in self.layers() {
            if layer.deny.events.contains(id) {
                return Err(Refusal("blocked: this event is banned here"));
            }
            if layer.allow.events.contains(id) {
                return Ok(Listed::Exempt);
            }
        }
        self.decide(
            |sets| sets.pubkeys.contains(pubkey),
            |sets| !sets.pubkeys.is_empty(),
            [
                "blocked: this author is banned here",
                "restricted: only listed authors may publish here",
            ],
        )?;
        self.decide(
            |sets| sets.kinds.contain(kind),
            |sets| !sets.kinds.0.is_empty(),
            [
                "blocked: events of this kind are not taken here",
                "restricted: only events of listed kinds are taken here",
            ],
        )?;
        Ok(Listed::Passes)
    }

    /// Whether a client from there may come in.
    pub(super) fn address(&self, address: IpAddr) -> Result<(), Refusal> {
        self.decide(
            |sets| sets.addresses.contain(address),
            |sets| !sets.addresses.is_empty(),
            [
                "blocked: this address is blocked here",
                "restricted: only listed addresses may connect",
            ],
        )
    }

    /// Whether there is an allow list of authors or of kinds.
    pub(super) fn restrict_writes(&self) -> bool {
        let lists = |sets: &Sets| !sets.pubkeys.is_empty() || !sets.kinds.0.is_empty();
        self.layers().iter().any(|layer| lists(&layer.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Rng;

    fn layer(rules: &[&str]) -> Arc<Layer> {
        let rules: Vec<Rule> = rules.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Layer::new(&rules))
    }

    fn hex(n: u8) -> String {
        const_hex::encode([n; 32])
    }

    fn lists(managed: &[&str], configured: &[&str]) -> Lists {
        Lists { managed: layer(managed), configured: layer(configured) }
    }

    fn said(lists: &Lists, id: u8, author: u8, kind: u16) -> &'static str {
        match lists.event(&[id; 32], &[author; 32], kind) {
            Ok(Listed::Passes) => "passes",
            Ok(Listed::Exempt) => "exempt",
            Err(Refusal(text)) => text.split_once(':').unwrap().0,
        }
    }

    #[test]
    fn lists_decide_by_hand() {
        let none = lists(&[], &[]);
        assert_eq!(said(&none, 1, 1, 1), "passes");
        assert!(!none.restrict_writes());
        let (author, event) =
            (format!("allow pubkey {}", hex(2)), format!("allow event {}", hex(9)));
        let some = lists(&[&event], &[&author, "deny kind 4-5"]);
        assert_eq!(said(&some, 1, 2, 1), "passes");
        assert_eq!(said(&some, 1, 2, 4), "blocked");
        assert_eq!(said(&some, 1, 3, 1), "restricted");
        assert_eq!(said(&some, 9, 3, 4), "exempt");
        assert!(some.restrict_writes());
        let over = lists(&["allow kind 4"], &["deny kind 4"]);
        assert_eq!((said(&over, 1, 1, 4), said(&over, 1, 1, 3)), ("passes", "restricted"));
        let both = lists(&[], &["allow kind 0-9", "deny kind 4"]);
        assert_eq!((said(&both, 1, 1, 4), said(&both, 1, 1, 10)), ("blocked", "restricted"));
    }

    #[test]
    fn addresses_are_let_in_by_list() {
        let lists = lists(&["deny address 10.1.0.0/16"], &["allow address 10.0.0.0/8"]);
        let said = |text: &str| lists.address(text.parse().unwrap()).map_err(|Refusal(text)| text);
        assert_eq!(said("10.2.0.1"), Ok(()));
        assert!(said("10.1.0.1").unwrap_err().starts_with("blocked: "));
        assert!(said("192.0.2.1").unwrap_err().starts_with("restricted: "));
    }

    /// The rules as they read, over two kinds and two authors: what a person would do with a list.
    fn twin(managed: &[Rule], configured: &[Rule], author: u8, kind: u16) -> &'static str {
        let about = |rule: &Rule, keys: bool| match &rule.subject {
            Subject::Pubkey(key) if keys => Some(*key == [author; 32]),
            Subject::Kinds(kinds) if !keys => Some(kinds.contains(&kind)),
            _ => None,
        };
        for keys in [true, false] {
            let all = [managed, configured];
            let named = all.iter().find_map(|rules| {
                let mut found =
                    rules.iter().filter(|rule| about(rule, keys) == Some(true)).peekable();
                found.peek()?;
                Some(found.all(|rule| rule.allow))
            });
            let mut every = all.into_iter().flatten();
            match named {
                Some(false) => return "blocked",
                Some(true) => {}
                None if every.any(|r| r.allow && about(r, keys).is_some()) => return "restricted",
                None => {}
            }
        }
        "passes"
    }

    #[test]
    fn lists_decide_as_their_rules_read() {
        let mut rng = Rng::new(6);
        for _ in 0..2_000 {
            let mut draw = || -> Vec<Rule> {
                let one = |rng: &mut Rng| {
                    let verb = if rng.chance(2) { "allow" } else { "deny" };
                    let (n, m) = (rng.below(3), rng.below(3));
                    match rng.chance(2) {
                        true => format!("{verb} kind {}-{}", n.min(m), n.max(m)),
                        false => format!("{verb} pubkey {}", hex(n as u8)),
                    }
                };
                (0..rng.below(4)).map(|_| one(&mut rng).parse().unwrap()).collect()
            };
            let (managed, configured) = (draw(), draw());
            let lists = Lists {
                managed: Arc::new(Layer::new(&managed)),
                configured: Arc::new(Layer::new(&configured)),
            };
            for (author, kind) in (0..3).flat_map(|author| (0..3).map(move |kind| (author, kind))) {
                let twin = twin(&managed, &configured, author, kind);
                assert_eq!(said(&lists, 7, author, kind), twin, "{managed:?} {configured:?}");
            }
        }
    }
}
