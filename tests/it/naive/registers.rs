//! The registers of NIP-45 by the letter: hex characters and strings of bits.

use super::{Ask, Ev, is_id};
use sha2::{Digest, Sha256};
use std::sync::Arc;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The 64 hex characters of what a filter asks about.
fn about(value: &str) -> String {
    let parts: Vec<&str> = value.splitn(3, ':').collect();
    match parts[..] {
        _ if is_id(value) => value.to_string(),
        [kind, key, _] if kind.parse::<u16>().is_ok() && is_id(key) => key.to_string(),
        _ => hex(&Sha256::digest(value)),
    }
}

/// The registers for the authors of `events`; `None` if `ask` has not one tag with one value,
/// however often.
pub fn registers(ask: &Ask, events: &[Arc<Ev>]) -> Option<[u8; 256]> {
    let [(_, values)] = &ask.tags[..] else { return None };
    let value = values.first()?;
    if values.iter().any(|other| other != value) {
        return None;
    }
    let digit = about(value).chars().nth(32)?.to_digit(16)? as usize;
    let offset = digit + 8;
    let mut registers = [0; 256];
    for ev in events {
        let key = ev.pubkey_bytes();
        let bits: String = key[offset + 1..offset + 8].iter().map(|b| format!("{b:08b}")).collect();
        let rank = bits.chars().take_while(|bit| *bit == '0').count() as u8 + 1;
        let register = &mut registers[usize::from(key[offset])];
        *register = rank.max(*register);
    }
    Some(registers)
}
