//! HyperLogLog of NIP-45: how many authors there are, in 256 bytes that merge with those of other relays.
//!
//! ```text
//!   filter: #x = [value] --> 64 hex characters --> character 32 + 8 = offset (8 to 23)
//!   pubkey:  .. | offset: which register | offset + 1 ..: leading zeros + 1, the largest stays | ..
//! ```
//!
//! The offset follows from what is asked about, so that nobody can mine one key that counts everywhere.
//!
//! I1. Registers depend on the set of keys only: on no order, and on no repetition. So merging the registers of
//!     two relays gives those of the union.

use super::event::Item;
use super::filter::Filter;
use sha2::{Digest, Sha256};
use std::fmt;

/// Registers, as NIP-45 fixes them.
pub const REGISTERS: usize = 256;

/// Bits behind the byte of the register that are looked at: 7 bytes, which every offset leaves.
const RANK_BITS: u32 = 56;

/// The hex character that decides the offset, and the least offset.
const OFFSET_CHARACTER: usize = 32;
const OFFSET_MIN: usize = 8;

/// The constant of the estimate for 256 registers: 0.7213 / (1 + 1.079 / 256).
const ALPHA: f64 = 0.718_272_583_242_945;

/// The registers for the keys of one filter's authors.
#[derive(Clone, PartialEq, Eq)]
pub struct Hll {
    offset: usize,
    registers: [u8; REGISTERS],
}

impl Hll {
    /// Empty registers for `filter`; `None` if it has not exactly one tag condition with exactly one value: then
    /// NIP-45 defines no offset that relays would agree on.
    pub fn new(filter: &Filter) -> Option<Hll> {
        let [(_, values)] = &filter.tags[..] else { return None };
        let [value] = &values[..] else { return None };
        Some(Hll { offset: offset(value.item()), registers: [0; REGISTERS] })
    }

    /// Counts an author.
    pub fn add(&mut self, pubkey: &[u8; 32]) {
        let register = usize::from(pubkey[self.offset]);
        let mut rest = [0; 8];
        rest[1..].copy_from_slice(&pubkey[self.offset + 1..self.offset + 8]);
        let rank = u64::from_be_bytes(rest).leading_zeros() - (64 - RANK_BITS) + 1;
        self.registers[register] = self.registers[register].max(rank as u8);
    }

    /// Adds what another relay counted for the same filter.
    pub fn merge(&mut self, registers: &[u8; REGISTERS]) {
        self.registers.iter_mut().zip(registers).for_each(|(own, other)| *own = (*own).max(*other));
    }

    /// The registers.
    pub fn registers(&self) -> &[u8; REGISTERS] {
        &self.registers
    }

    /// How many authors there are, within some 7 percent in two of three cases; nearly exact for a few dozen.
    pub fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
        let raw = ALPHA * count * count / sum;
        let zeros = self.registers.iter().filter(|rank| **rank == 0).count();
        // While registers are empty, how many are says more than what is in the others.
        let estimate = match zeros {
            1.. if raw <= 2.5 * count => count * (count / zeros as f64).ln(),
            _ => raw,
        };
        estimate.round() as u64
    }
}

/// The registers as NIP-45 sends them: 512 hex characters.
impl fmt::Display for Hll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.registers))
    }
}

impl fmt::Debug for Hll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hll(offset {}, about {})", self.offset, self.estimate())
    }
}

/// Reads the registers that another relay sent; `None` if they are no 512 hex characters.
pub fn parse_registers(hex: &str) -> Option<[u8; REGISTERS]> {
    let mut registers = [0; REGISTERS];
    let whole = hex.len() == 2 * REGISTERS && hex.bytes().all(|b| b.is_ascii_hexdigit());
    (whole && const_hex::decode_to_slice(hex, &mut registers).is_ok()).then_some(registers)
}

/// Where the keys are read, by the value that is asked for: an id or a key as it is, the key of an address, the
/// hash of anything else.
fn offset(value: Item<'_>) -> usize {
    let digest: [u8; 32] = match value {
        Item::Hex(bytes) => match bytes.try_into() {
            Ok(id) => id,
            Err(_) => Sha256::digest(const_hex::encode(bytes)).into(),
        },
        Item::Text(text) => address_key(text).unwrap_or_else(|| Sha256::digest(text).into()),
    };
    // Character 32 is the high half of byte 16.
    usize::from(digest[OFFSET_CHARACTER / 2] >> 4) + OFFSET_MIN
}

/// The key of `kind:key:d`.
fn address_key(text: &str) -> Option<[u8; 32]> {
    let mut parts = text.splitn(3, ':');
    parts.next()?.parse::<u16>().ok()?;
    let key = parts.next()?;
    parts.next()?;
    let mut bytes = [0; 32];
    let whole = key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
    (whole && const_hex::decode_to_slice(key, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests;
