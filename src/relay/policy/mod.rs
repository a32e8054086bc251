//! What a relay lets in: lists, work, rates, and what is decided over NIP-86.
//!
//! ```text
//!   network --- rule --- lists                  who and what
//!                |         |
//!             managed --- keep                  decided over NIP-86, and its file
//!   pow                                         how much work an event must show
//!   bucket --- addresses --- meters             how much, how fast
//!   proxy                                       whose connection it is
//! ```
//!
//! One of these a relay, shared by its threads; what they read is one pointer that is swapped.
//!
//! I1. What is decided over NIP-86 is durable before it counts.
//! I2. A file that cannot be read changes nothing: what was read before still counts.

mod addresses;
mod bucket;
mod config;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;
mod keep;
mod lists;
mod managed;
mod meters;
mod network;
mod pow;
mod proxy;
mod rule;
#[cfg(test)]
mod tests;

pub use bucket::Rate;
pub use config::{PluginConfig, PolicyConfig};
pub use meters::{Rates, Speeds};
pub use network::Network;
pub use pow::POW_BITS_MAX;
pub use proxy::Proxies;
pub use rule::{Rule, Subject};

pub(super) use lists::Refusal;
pub(super) use managed::{Managed, TEXT_BYTES_MAX, Told, rule};
pub(super) use meters::{Meter, Spent};
pub(super) use rule::hex;

use crate::base::{Error, Result};
use crate::io::{Disk, Env};
use crate::nostr::EventRef;
use arc_swap::ArcSwap;
use lists::{Layer, Listed, Lists};
use meters::Meters;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What a relay lets in.
pub struct Policy {
    lists: ArcSwap<Lists>,
    told: ArcSwap<Told>,
    managed: Mutex<Managed>,
    sources: Mutex<Sources>,
    meters: Meters,
    pow_bits: u8,
    proxies: Proxies,
    disk: Arc<dyn Disk>,
    /// The store's directory.
    store: PathBuf,
}

/// Where the configured rules come from.
struct Sources {
    rules: Vec<Rule>,
    files: Vec<PathBuf>,
    /// When each file last changed, and its length.
    seen: Vec<Option<(SystemTime, u64)>>,
}

/// Why an event is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unwanted {
    /// The lists do not want it.
    Listed(Refusal),
    /// So many bits of work are asked for; it has so many.
    Work(u8, u32),
}

impl Policy {
    /// The policy of a relay whose store is in `dir`.
    ///
    /// # Errors
    /// `Io`, `Corrupt` or `WrongVersion` for what was decided over NIP-86; `Io` or `Invalid` for the files of
    /// rules.
    pub(super) fn open(
        config: &PolicyConfig,
        rates: &Rates,
        env: &Env,
        dir: &Path,
    ) -> Result<Policy> {
        let managed = keep::load(&*env.disk, dir)?;
        let mut seed = [0; 8];
        env.entropy.fill(&mut seed);
        let lists = Lists { managed: layer(&managed), configured: Arc::default() };
        let policy = Policy {
            lists: ArcSwap::from_pointee(lists),
            told: ArcSwap::from_pointee(managed.told.clone()),
            managed: Mutex::new(managed),
            sources: Mutex::new(Sources { rules: Vec::new(), files: Vec::new(), seen: Vec::new() }),
            meters: Meters::new(rates, u64::from_le_bytes(seed)),
            pow_bits: config.pow_bits,
            proxies: config.proxies.clone(),
            disk: env.disk.clone(),
            store: dir.into(),
        };
        policy.reload(config)?;
        Ok(policy)
    }

    /// Takes the rules and the files of rules of `config` in place of what counted, and reads the files anew.
    /// What else is in it stays as it was. Blocks for the reading.
    ///
    /// # Errors
    /// `Io` or `Invalid`, with file and line; then nothing has changed.
    pub fn reload(&self, config: &PolicyConfig) -> Result<()> {
        self.read(&mut lock(&self.sources), config.rules.clone(), config.files.clone())
    }

    /// Reads the files of rules anew if one of them has changed; whether it did.
    pub(super) fn refresh(&self) -> Result<bool> {
        let mut sources = lock(&self.sources);
        let seen = stamps(&sources.files);
        if seen == sources.seen {
            return Ok(false);
        }
        // Also if it cannot be read: once per change is enough to say so.
        sources.seen = seen;
        let (rules, files) = (sources.rules.clone(), sources.files.clone());
        self.read(&mut sources, rules, files).map(|()| true)
    }

    fn read(&self, sources: &mut Sources, rules: Vec<Rule>, files: Vec<PathBuf>) -> Result<()> {
        // Before the reading: what changes meanwhile is read again.
        let seen = stamps(&files);
        let mut all = rules.clone();
        for path in &files {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| Error::io("read the rules in", path, error))?;
            let named = |why| Error::invalid("rules", format!("{}, {why}", path.display()));
            all.extend(rule::parse_lines(&text).map_err(named)?);
        }
        let configured = Arc::new(Layer::new(&all));
        self.lists
            .rcu(|lists| Lists { managed: lists.managed.clone(), configured: configured.clone() });
        *sources = Sources { rules, files, seen };
        Ok(())
    }

    /// Whether there are files to watch.
    pub(super) fn has_files(&self) -> bool {
        !lock(&self.sources).files.is_empty()
    }

    /// Whether lists and work let an event in.
    pub(super) fn admit(&self, event: &EventRef<'_>) -> std::result::Result<(), Unwanted> {
        let listed = self.lists.load().event(event.id(), event.pubkey(), event.kind());
        if listed.map_err(Unwanted::Listed)? == Listed::Exempt || self.pow_bits == 0 {
            return Ok(());
        }
        match pow::work(event) {
            work if work < u32::from(self.pow_bits) => Err(Unwanted::Work(self.pow_bits, work)),
            _ => Ok(()),
        }
    }

    /// Whether a client from there may come in.
    pub(super) fn admit_address(&self, address: IpAddr) -> std::result::Result<(), Refusal> {
        self.lists.load().address(address)
    }

    /// Who is believed about where clients come from.
    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The meter of a new connection.
    pub(super) fn meter(&self, from: IpAddr) -> Meter {
        self.meters.meter(from)
    }

    /// Whether a connection may, as far as rates go; `now` in nanoseconds of the monotonic clock.
    pub(super) fn take(&self, meter: &Meter, spent: Spent, now: u64) -> bool {
        self.meters.take(meter, spent, now)
    }

    /// What the relay says of itself instead of what its configuration says.
    pub(super) fn told(&self) -> Arc<Told> {
        self.told.load_full()
    }

    /// Whether not everyone may publish everything.
    pub(super) fn restricts_writes(&self) -> bool {
        self.pow_bits > 0 || self.lists.load().restrict_writes()
    }

    /// What was decided over NIP-86.
    pub(super) fn managed(&self) -> Managed {
        lock(&self.managed).clone()
    }

    /// Decides something over NIP-86 (I1). Blocks for the writing.
    ///
    /// # Errors
    /// What `change` says against it, or that it could not be written; then nothing has changed.
    pub(super) fn manage(
        &self,
        change: impl FnOnce(&mut Managed) -> std::result::Result<(), String>,
    ) -> std::result::Result<(), String> {
        let mut managed = lock(&self.managed);
        let mut changed = managed.clone();
        change(&mut changed)?;
        if changed == *managed {
            return Ok(());
        }
        if let Err(error) = keep::save(&*self.disk, &self.store, &changed) {
            tracing::error!(%error, "what was decided over NIP-86 could not be kept");
            return Err(format!("it could not be kept ({})", error.code()));
        }
        let layer = layer(&changed);
        self.lists
            .rcu(|lists| Lists { managed: layer.clone(), configured: lists.configured.clone() });
        self.told.store(Arc::new(changed.told.clone()));
        *managed = changed;
        Ok(())
    }
}

fn layer(managed: &Managed) -> Arc<Layer> {
    Arc::new(Layer::new(managed.rules().map(|reasoned| &reasoned.rule)))
}

/// What shows that files have changed.
fn stamps(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |path: &PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    files.iter().map(stamp).collect()
}

/// Nothing that is locked here is ever half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
