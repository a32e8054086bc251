//! Words, used as often as their rank says (Zipf), looked up in a table instead of searched for.

/// As many words as there are.
const VOCABULARY: usize = 4_096;

/// The commonest words, as programs write them.
const COMMON: [&str; 48] = [
    "request",
    "order",
    "user",
    "cache",
    "session",
    "payment",
    "client",
    "timeout",
    "queue",
    "message",
    "retry",
    "stock",
    "worker",
    "token",
    "batch",
    "upstream",
    "invoice",
    "carrier",
    "lookup",
    "refund",
    "profile",
    "basket",
    "address",
    "coupon",
    "email",
    "report",
    "export",
    "index",
    "image",
    "upload",
    "search",
    "gateway",
    "ledger",
    "account",
    "shipment",
    "replica",
    "backlog",
    "quota",
    "label",
    "tenant",
    "webhook",
    "parcel",
    "voucher",
    "customer",
    "supplier",
    "warehouse",
    "currency",
    "balance",
];

const BEGINNINGS: [&str; 8] = ["", "re", "pre", "un", "sub", "auto", "multi", "cross"];
const ROOTS: [&str; 32] = [
    "load", "map", "lock", "pack", "mark", "link", "sort", "route", "bind", "print", "check",
    "point", "form", "port", "scan", "ship", "track", "trace", "block", "fetch", "merge", "match",
    "split", "store", "stream", "sync", "test", "tick", "write", "view", "vote", "walk",
];
const ENDS: [&str; 16] = [
    "", "er", "ing", "ed", "able", "set", "point", "age", "ment", "less", "list", "ness", "up",
    "down", "er2", "id",
];

const _: () = assert!(BEGINNINGS.len() * ROOTS.len() * ENDS.len() == VOCABULARY);

/// Of how many equal chances a table is made: the rarest of the words has nearly one.
const SLOTS: usize = 1 << 15;

/// Ranks from 0, the n-th with a weight of 1/n.
#[derive(Debug)]
pub(super) struct Table(Vec<u16>);

impl Table {
    /// So many ranks, at most 65,536.
    pub(super) fn new(count: usize) -> Table {
        let weights = (1..=count as u64).map(|rank| (1u64 << 32) / rank);
        let total: u64 = weights.clone().sum();
        let mut slots = Vec::with_capacity(SLOTS);
        let mut sum = 0;
        for (rank, weight) in weights.enumerate() {
            sum += weight;
            let end = (u128::from(sum) * SLOTS as u128 / u128::from(total)) as usize;
            slots.resize(end.max(slots.len()), rank as u16);
        }
        Table(slots)
    }

    /// The rank that the low bits of `chance` stand for.
    pub(super) fn rank(&self, chance: u64) -> usize {
        usize::from(self.0[chance as usize % SLOTS])
    }
}

/// The vocabulary.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<String>,
    table: Table,
}

impl Words {
    /// The one vocabulary that there is.
    pub(super) fn new() -> Words {
        Words { words: (0..VOCABULARY).map(word).collect(), table: Table::new(VOCABULARY) }
    }

    /// The word of a rank.
    pub(super) fn word(&self, rank: usize) -> &str {
        &self.words[rank]
    }

    /// The word that the low bits of `chance` stand for.
    pub(super) fn pick(&self, chance: u64) -> &str {
        &self.words[self.table.rank(chance)]
    }
}

/// No two are the same but few.
fn word(rank: usize) -> String {
    if let Some(common) = COMMON.get(rank) {
        return (*common).into();
    }
    // An odd factor permutes the ranks, so that neighbours do not sound alike.
    let code = rank * 2_531 % VOCABULARY;
    let beginning = BEGINNINGS[code % 8];
    let root = ROOTS[code / 8 % 32];
    format!("{beginning}{root}{}", ENDS[code / 256])
}
