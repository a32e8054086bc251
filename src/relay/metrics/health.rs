//! Whether a relay should get clients, and why not.
//!
//! A process that answers at all is healthy: what it cannot mend by itself is a matter of readiness. An
//! orchestrator restarts what is not healthy, and sends nobody to what is not ready; a shard that is poisoned
//! still answers queries, and a restart without looking at the disk would not mend it.

use crate::base::ShardId;
use serde_json::json;

/// Space below which a relay is not ready: the next log file, memtable and merge of a shard or two.
pub const SPACE_BYTES_MIN: u64 = 256 << 20;

/// What says whether clients should be sent to a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// It is stopping.
    pub stopping: bool,
    /// The shards that take no writes, since one failed.
    pub poisoned: Vec<ShardId>,
    /// The shards that take no events for now, since the disk is full.
    pub full: Vec<ShardId>,
    /// Bytes that may be written to the store's file system, if that can be known.
    pub free_bytes: Option<u64>,
}

impl Readiness {
    /// Whether clients should be sent here.
    pub fn is_ready(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Why not, in sentences that name no file.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.stopping {
            reasons.push("the relay is stopping".into());
        }
        for shard in &self.poisoned {
            reasons.push(format!("shard {shard} takes no writes, since one failed"));
        }
        for shard in &self.full {
            reasons.push(format!("shard {shard} takes no events for now, since the disk is full"));
        }
        if let Some(free) = self.free_bytes.filter(|free| *free < SPACE_BYTES_MIN) {
            reasons.push(format!("{} MiB are left on the disk", free >> 20));
        }
        reasons
    }

    pub(in crate::relay) fn json(&self) -> String {
        json!({ "ready": self.is_ready(), "reasons": self.reasons() }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_enough_and_all_are_said() {
        let well = Readiness {
            stopping: false,
            poisoned: vec![],
            full: vec![],
            free_bytes: Some(SPACE_BYTES_MIN),
        };
        assert!(well.is_ready());
        assert!(Readiness { free_bytes: None, ..well.clone() }.is_ready());
        assert_eq!(well.json(), r#"{"ready":true,"reasons":[]}"#);
        let ill = [
            Readiness { stopping: true, ..well.clone() },
            Readiness { poisoned: vec![1], ..well.clone() },
            Readiness { full: vec![2], ..well.clone() },
            Readiness { free_bytes: Some(SPACE_BYTES_MIN - 1), ..well.clone() },
        ];
        for (ill, said) in
            ill.iter().zip(["stopping", "shard 1 takes no", "disk is full", "255 MiB are left"])
        {
            assert!(!ill.is_ready() && ill.reasons()[0].contains(said), "{ill:?}");
        }
        let all =
            Readiness { stopping: true, poisoned: vec![0, 3], full: vec![1], free_bytes: Some(0) };
        assert_eq!(all.reasons().len(), 5);
    }
}
