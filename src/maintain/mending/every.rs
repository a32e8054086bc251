//! Every byte of a small store flipped, every page in another's place, every page as it was before: what is asked is
//! answered as ever or with an error that names the file, and whatever a question meets, `verify` finds.
//!
//! ```text
//!   STORE, manifests, logs, segments --one byte, one page--> open, everything, terms, ids, counts --> right, or named
//!                                                        \-> verify: the same file is named
//! ```
//!
//! Of two kinds: records with ids of their own making and bodies one by one, as events are; and ids that the store
//! makes, late terms and bodies by block, as logs have them. The one thing that cannot be told is damage in the last
//! write of a log (`wal::replay`, rule 3).

use super::*;
use crate::base::{Error, PageSize};
use crate::io::sim::{Moment, Survivors};
use crate::store::tests::own;

const PAGE: usize = PageSize::K4.bytes();

/// What a store holds.
type Held = BTreeMap<Key, Vec<u8>>;

struct Kind {
    name: &'static str,
    model: Arc<dyn Model>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// A disk with these files, whose copies share what is not changed in them.
    disk: Moment,
    whole: Held,
    /// Without the last record, the last two, and so on: what is left if the last writes are taken for torn.
    without: Vec<Held>,
    by_term: BTreeMap<Vec<u8>, Vec<Key>>,
}

fn opened(model: &Arc<dyn Model>, env: &Env) -> Result<Store, Error> {
    let born = env.disk.list(DIR.as_ref()).is_ok_and(|names| names.contains(&"STORE".into()));
    let options = Options { shards: (!born).then_some(1), create: !born, ..options() };
    Store::open(DIR.as_ref(), model.clone(), &options, env.clone())
}

/// Two segments, deaths in them, and two log files.
fn filled(model: &Arc<dyn Model>, items: &[Item]) -> BTreeMap<PathBuf, Vec<u8>> {
    let (env, disk, _clock) = simulated(1, Faults::default());
    let part = items.len() / 8;
    let store = opened(model, &env).unwrap();
    insert(&store, &items[..4 * part]);
    store.flush().unwrap();
    insert(&store, &items[4 * part..7 * part]);
    store.flush().unwrap();
    insert(&store, &items[7 * part..items.len() - 9]);
    disk.kill();
    std::mem::forget(store);
    let store = opened(model, &env).unwrap();
    insert(&store, &items[items.len() - 9..]);
    disk.kill();
    std::mem::forget(store);
    let mut files = files(&disk);
    for (path, bytes) in &mut files {
        // Logs are zeros for the most part; a shorter one is as good.
        if path.to_str().unwrap().contains("/wal-") {
            let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used.next_multiple_of(PAGE) + PAGE);
        }
    }
    files
}

fn kinds() -> [Kind; 2] {
    let mut rng = Rng::new(3);
    let mut events: Vec<Item> = (0..420).map(|n| random_item(&mut rng, 1000 + n)).collect();
    events.iter_mut().for_each(|(_, body)| body.truncate(400));
    events.last_mut().unwrap().1[2] = 0;
    let records: Vec<Item> = (0..900).map(|n| own::item(&mut rng, n)).collect();
    let all = |items: &[Item]| items.iter().cloned().collect::<Held>();
    let alive = |items: &[Item]| held(items.iter()).into_values().collect::<Held>();
    let kind = |name, model: Arc<dyn Model>, items: &[Item], of: &dyn Fn(&[Item]) -> Held| {
        let whole = of(items);
        let without = (1..9).map(|last| of(&items[..items.len() - last])).collect();
        let mut by_term: BTreeMap<Vec<u8>, Vec<Key>> = BTreeMap::new();
        for (&key, body) in &whole {
            let mut terms = Terms::new();
            model.terms(Record { key, body }, &mut terms);
            terms.seal();
            terms.iter().for_each(|term| by_term.entry(term.to_vec()).or_default().push(key));
        }
        let files = filled(&model, items);
        let disk = machine(&files, 1).1.moment();
        Kind { name, files, disk, model, whole, without, by_term }
    };
    let logs: Arc<dyn Model> = Arc::new(ByBlock(own::Own { late: true }));
    [kind("events", toy(), &events, &alive), kind("logs", logs, &records, &all)]
}

impl Kind {
    /// Opens the store and asks; what it holds, if all that was answered is of what went in.
    fn ask(&self, env: &Env, nth: usize) -> Result<Held, Error> {
        let store = opened(&self.model, env)?;
        let mut found = BTreeMap::new();
        let mut cursor = store.query(&[Select::all()], Order::Newest)?;
        while let Some(record) = cursor.next()? {
            let is_known = self.whole.get(&record.key).is_some_and(|body| body == record.body);
            assert!(is_known, "{}: {:?} was never stored so", self.name, record.key);
            assert!(found.insert(record.key, record.body.to_vec()).is_none(), "twice");
        }
        if found.len() == self.whole.len() {
            let count = store.count(&[Select::all()])?;
            assert_eq!(count as usize, found.len());
            for (term, keys) in self.by_term.iter().skip(nth % 17).step_by(self.by_term.len() / 9) {
                let select = Select { all_of: vec![vec![term.clone()].into()], ..Select::all() };
                let mut cursor = store.query(&[select], Order::Oldest)?;
                let mut of_term = Vec::new();
                while let Some(record) = cursor.next()? {
                    of_term.push(record.key);
                }
                assert_eq!(&of_term, keys, "{}: {term:?}", self.name);
            }
            for (key, body) in self.whole.iter().skip(nth % 29).step_by(60) {
                let got = store.get(&key.id, |record| record.body.to_vec())?;
                assert_eq!(got.as_ref(), Some(body), "{}: {key:?}", self.name);
            }
        }
        Ok(found)
    }

    /// A machine of its own with these files, one bit of which is flipped.
    fn flipped(&self, path: &Path, byte: usize, bit: u32) -> Env {
        let (env, _, _) = simulated(byte as u64, Faults::default());
        let disk = self.disk.crash(byte as u64, Survivors::All, Survivors::All);
        disk.flip_bit(path, byte as u64, bit).unwrap();
        Env { disk, ..env }
    }

    /// What comes of a store in which `path` is damaged; panics if that is wrong data, or if `verify` is better off.
    /// So many of the last writes may be taken for torn. `damaged` makes a machine with it.
    fn judge(&self, damaged: &dyn Fn() -> Env, spot: (&Path, usize), last: usize) -> Met {
        let (path, nth) = spot;
        let text = format!("{}: {}, {nth}", self.name, path.display());
        let met = match self.ask(&damaged(), nth) {
            Ok(found) if found == self.whole => return Met::Harmless,
            Ok(found) => {
                let is_log = path.to_str().unwrap().contains("/wal-");
                let torn = is_log && self.without[..last].contains(&found);
                assert!(torn, "{text}: {} of {}", found.len(), self.whole.len());
                Met::TakenForTorn
            }
            Err(error) => {
                let damage = ["ERR_CORRUPT", "ERR_WRONG_VERSION", "ERR_MISMATCH"];
                assert!(damage.contains(&error.code()), "{text}: {} {error}", error.code());
                assert!(error.to_string().contains(DIR), "{text}: no file is named: {error}");
                let is_segment = path.extension().is_some();
                let is_named = error.to_string().contains(path.to_str().unwrap());
                assert!(!is_segment || is_named, "{text}: {error}");
                Met::Reported
            }
        };
        if met == Met::TakenForTorn && last > 1 {
            return met; // Nothing is left of writes that never came.
        }
        // As it was: opening writes.
        match verify::run(&damaged(), DIR.as_ref(), &self.model, &mut ()) {
            Ok(report) => {
                let found = report.findings.iter().any(|finding| finding.path == path);
                assert!(found, "{text}: {met:?}, and verify found {:?}", report.findings);
                assert!(met == Met::TakenForTorn || !report.is_healthy(), "{text}: a note only");
            }
            Err(error) => assert!(error.to_string().contains(DIR), "{text}: {error}"),
        }
        met
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Met {
    Harmless,
    Reported,
    TakenForTorn,
}

/// Flips one bit in every `step`-th byte of every file, from byte `first` of each on.
fn flips(kind: &Kind, step: usize, first: usize) -> BTreeMap<Met, usize> {
    let mut met = BTreeMap::new();
    for path in kind.files.keys() {
        for at in (first..kind.files[path].len()).step_by(step) {
            let bit = (at % 7 + at / PAGE % 2) as u32;
            let damaged = || kind.flipped(path, at, bit);
            *met.entry(kind.judge(&damaged, (path, at), 1)).or_default() += 1;
        }
    }
    let bytes: usize = kind.files.values().map(Vec::len).sum();
    println!("{}: {bytes} bytes in {} files, 1 in {step}: {met:?}", kind.name, kind.files.len());
    met
}

#[test]
fn a_flipped_byte_is_named_or_harmless_and_verify_finds_what_questions_meet() {
    for kind in kinds() {
        let met = flips(&kind, 331, 5);
        assert!(met[&Met::Reported] > 200 && met[&Met::Harmless] > 100, "{met:?}");
        let torn = met.get(&Met::TakenForTorn).copied().unwrap_or(0);
        assert!(torn < 10, "{met:?}");
    }
}

/// `RATITE_STEP=16 cargo test --lib each_byte_of_a_store -- --ignored --nocapture`
#[test]
#[ignore = "half an hour; some of it runs always"]
fn each_byte_of_a_store_flipped_in_turn() {
    let step = std::env::var("RATITE_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(1);
    for kind in kinds() {
        flips(&kind, step, 0);
    }
}

/// What a write that went to the wrong place, or nowhere, leaves of a page: another page of the file, the same page of
/// another file, or zeros.
#[test]
fn a_page_in_the_place_of_another_or_lost_is_named_or_harmless() {
    for kind in kinds() {
        let mut met: BTreeMap<Met, usize> = BTreeMap::new();
        for (path, bytes) in &kind.files {
            let others = kind.files.iter().filter(|(other, _)| *other != path);
            let pages = bytes.len().div_ceil(PAGE);
            for page in 0..pages {
                let range = page * PAGE..bytes.len().min((page + 1) * PAGE);
                let place = |of: &[u8], page: usize| -> Option<Vec<u8>> {
                    Some(of.get(page * PAGE..page * PAGE + range.len())?.to_vec())
                };
                let mut puts = vec![Some(vec![0; range.len()])];
                puts.extend([1, 2, 7].map(|next| place(bytes, (page + next) % pages)));
                puts.extend(others.clone().map(|(_, other)| place(other, page)));
                let was = &bytes[range.clone()];
                for (nth, put) in
                    puts.into_iter().flatten().enumerate().filter(|(_, put)| put != was)
                {
                    let mut files = kind.files.clone();
                    files.get_mut(path).unwrap()[range.clone()].copy_from_slice(&put);
                    // Of a log, a page has many blocks.
                    let damaged = || machine(&files, nth as u64).0;
                    let found = kind.judge(&damaged, (path, page * 100 + nth), 8);
                    *met.entry(found).or_default() += 1;
                }
            }
        }
        println!("{}: {met:?}", kind.name);
        assert!(met[&Met::Reported] > 100 && met.get(&Met::TakenForTorn).is_none_or(|&n| n < 20));
    }
}
