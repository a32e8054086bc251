//! HyperLogLog by hand, against the NIP's words written out naively, and its estimate against the truth.

use super::*;
use crate::io::Rng;
use crate::nostr::TagValue;

fn filter(letter: u8, value: &str) -> Filter {
    Filter { tags: vec![(letter, vec![TagValue::new(value)])], ..Filter::default() }
}

fn key(rng: &mut Rng) -> [u8; 32] {
    let mut key = [0; 32];
    key.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next_u64().to_le_bytes()));
    key
}

#[test]
fn only_one_value_of_one_tag_has_an_offset() {
    assert_eq!(Hll::new(&Filter::default()), None);
    let mut two = filter(b'e', "x");
    two.tags[0].1.push(TagValue::new("y"));
    assert_eq!(Hll::new(&two), None);
    let mut tags = filter(b'e', "x");
    tags.tags.push((b'p', vec![TagValue::new("y")]));
    assert_eq!(Hll::new(&tags), None);
    assert!(Hll::new(&filter(b'e', "")).is_some());
}

#[test]
fn the_offset_is_character_32_and_8() {
    let with = |c: char| format!("{}{c}{}", "0".repeat(32), "1".repeat(31));
    for (c, expected) in [('0', 8), ('7', 15), ('a', 18), ('f', 23)] {
        assert_eq!(Hll::new(&filter(b'e', &with(c))).unwrap().offset, expected, "{c}");
        let address = format!("30023:{}:some:thing", with(c));
        assert_eq!(Hll::new(&filter(b'a', &address)).unwrap().offset, expected, "{address}");
    }
    // SHA-256 of "nostr", "ab" and "1:x:" as `sha256sum` prints them, character 32.
    for text in ["nostr", "ab", "1:x:", "70000:", "deadbeef"] {
        let hash = const_hex::encode(Sha256::digest(text));
        let expected = hash.chars().nth(32).unwrap().to_digit(16).unwrap() as usize + 8;
        assert_eq!(Hll::new(&filter(b't', text)).unwrap().offset, expected, "{text}");
    }
}

#[test]
fn a_register_is_the_longest_run_of_zeros_and_one() {
    let mut hll = Hll::new(&filter(b'e', &"0".repeat(64))).unwrap();
    assert_eq!(hll.offset, 8);
    let mut key = [0xff; 32];
    key[8] = 5;
    hll.add(&key);
    assert_eq!(hll.registers[5], 1);
    (key[9], key[10]) = (0, 0x10);
    hll.add(&key);
    assert_eq!(hll.registers[5], 8 + 3 + 1);
    key[9] = 1;
    hll.add(&key);
    assert_eq!(hll.registers[5], 12, "a shorter run changes nothing");
    hll.add(&[0; 32]);
    assert_eq!(hll.registers[0], 57, "seven bytes of zeros");
    assert_eq!(hll.registers.iter().filter(|r| **r > 0).count(), 2);
}

/// The NIP's three steps, on text, bit by bit.
fn naive(offset: usize, keys: &[[u8; 32]]) -> [u8; REGISTERS] {
    let mut registers = [0u8; REGISTERS];
    for key in keys {
        let bits: String = key[offset + 1..offset + 8].iter().map(|b| format!("{b:08b}")).collect();
        let zeros = bits.chars().take_while(|c| *c == '0').count() as u8;
        let register = &mut registers[key[offset] as usize];
        if zeros + 1 > *register {
            *register = zeros + 1;
        }
    }
    registers
}

#[test]
fn random_sets_agree_with_the_naive_twin_and_merge_to_their_union() {
    let mut rng = Rng::new(45);
    for round in 0..50 {
        let value = const_hex::encode(key(&mut rng));
        let empty = Hll::new(&filter(b'p', &value)).unwrap();
        let keys: Vec<_> = (0..rng.below(400)).map(|_| key(&mut rng)).collect();
        let of = |keys: &[[u8; 32]]| {
            let mut hll = empty.clone();
            keys.iter().for_each(|key| hll.add(key));
            hll
        };
        let all = of(&keys);
        assert_eq!(all.registers, naive(empty.offset, &keys), "round {round}");
        let (a, b) = (keys.len() / 3, keys.len() / 2);
        let mut merged = of(&keys[..b]);
        merged.merge(of(&keys[a..]).registers());
        assert_eq!(merged, all, "round {round}");
        assert_eq!(parse_registers(&all.to_string()), Some(all.registers));
    }
}

#[test]
fn the_estimate_is_near_the_truth() {
    let mut rng = Rng::new(7);
    for count in [0_u64, 1, 2, 10, 50, 300, 1_000, 5_000, 50_000] {
        let mut hll = Hll::new(&filter(b'p', "x")).unwrap();
        for _ in 0..count {
            let key = key(&mut rng);
            hll.add(&key);
            hll.add(&key);
        }
        let off = hll.estimate().abs_diff(count);
        assert!(off <= count / 5 + u64::from(count > 2), "{} for {count}", hll.estimate());
    }
}

#[test]
fn registers_of_others_are_hex_or_nothing() {
    assert_eq!(parse_registers(&"0a".repeat(256)), Some([10; 256]));
    for text in [&"0a".repeat(255), &format!("0x{}", "0a".repeat(255)), &"zz".repeat(256), ""] {
        assert_eq!(parse_registers(text), None, "{text}");
    }
}
