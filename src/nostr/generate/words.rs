//! Text by rule: a vocabulary of made-up words, used as often as their rank says (Zipf).

use super::chance::{Chance, Zipf};

const VOCABULARY: usize = 8_000;
const HASHTAGS: usize = 1_500;

const STARTS: [&str; 16] =
    ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "sh"];
const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "ou", "ai"];
const ENDS: [&str; 8] = ["", "", "n", "r", "s", "t", "l", "ck"];

const EMOJI: [&str; 10] = ["🔥", "⚡", "😂", "🤙", "🫂", "❤️", "👀", "🚀", "👨‍👩‍👧", "🇯🇵"];
const CJK: [&str; 6] =
    ["今日は良い天気", "闪电网络", "おはよう", "自由と秩序", "안녕하세요", "比特币"];

/// The vocabulary.
pub(super) struct Words {
    words: Vec<String>,
    ranks: Zipf,
    hashtags: Zipf,
}

impl Words {
    /// The one vocabulary that there is.
    pub(super) fn new() -> Words {
        let words = (0..VOCABULARY).map(word).collect();
        Words { words, ranks: Zipf::new(VOCABULARY), hashtags: Zipf::new(HASHTAGS) }
    }

    /// A word.
    pub(super) fn word(&self, chance: &mut Chance) -> &str {
        &self.words[self.ranks.rank(chance)]
    }

    /// A hashtag without its `#`; common ones are not the commonest words.
    pub(super) fn hashtag(&self, chance: &mut Chance) -> &str {
        &self.words[VOCABULARY - 1 - self.hashtags.rank(chance)]
    }

    /// Appends `count` words as sentences: capitals, commas, quotes, line breaks.
    pub(super) fn sentences(&self, chance: &mut Chance, count: u64, out: &mut String) {
        let mut fresh = true;
        for i in 0..count {
            let word = self.word(chance);
            if fresh {
                let mut chars = word.chars();
                out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
                out.push_str(chars.as_str());
            } else if chance.below(60) == 0 {
                out.push('"');
                out.push_str(word);
                out.push('"');
            } else {
                out.push_str(word);
            }
            fresh = chance.below(11) == 0;
            match (i + 1 == count, fresh) {
                (true, _) => out.push_str(chance.pick(&["", ".", ".", "!", "?"])),
                (_, true) => {
                    out.push_str(chance.pick(&[". ", ". ", ". ", "! ", "? ", ".\n\n", "\n"]))
                }
                _ => out.push_str(if chance.below(14) == 0 { ", " } else { " " }),
            }
        }
    }

    /// Appends what notes have at times: emoji, another script, a link, a mention, odd characters.
    pub(super) fn decorate(&self, chance: &mut Chance, out: &mut String) {
        match chance.below(100) {
            0..12 => {
                for _ in 0..=chance.below(3) {
                    out.push_str(chance.pick(&EMOJI));
                }
            }
            12..18 => {
                out.push('\n');
                for _ in 0..=chance.below(8) {
                    out.push_str(chance.pick(&CJK));
                }
            }
            18..32 => {
                out.push_str("\nhttps://image.example/");
                out.push_str(&const_hex::encode(chance.bytes32()));
                out.push_str(chance.pick(&[".jpg", ".png", ".webp", ".mp4"]));
            }
            32..38 => {
                out.push_str(" nostr:npub1");
                bech32(chance, 58, out);
            }
            38..40 => out.push_str("\n\tfn main() {\n\t\tprintln!(\"\\u{1f525}\");\n\t}\r\n"),
            _ => {}
        }
    }
}

/// Appends so many characters of the bech32 alphabet.
pub(super) fn bech32(chance: &mut Chance, count: u64, out: &mut String) {
    draw(chance, b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", count, out);
}

/// Appends so many characters of the base64 alphabet.
pub(super) fn base64(chance: &mut Chance, count: u64, out: &mut String) {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    draw(chance, alphabet, count, out);
}

fn draw(chance: &mut Chance, alphabet: &[u8], count: u64, out: &mut String) {
    for _ in 0..count {
        out.push(alphabet[chance.below(alphabet.len() as u64) as usize] as char);
    }
}

/// The word of a rank: one syllable for the commonest, up to three. No two are the same text often;
/// natural languages have homographs too.
fn word(rank: usize) -> String {
    let syllables = match rank {
        0..100 => 1,
        100..2_500 => 2,
        _ => 3,
    };
    // An odd factor permutes the ranks, so that neighbours do not sound alike.
    let mut code = (rank as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let mut out = String::new();
    for _ in 0..syllables {
        for parts in [&STARTS[..], &VOWELS, &ENDS] {
            out.push_str(parts[code as usize % parts.len()]);
            code /= parts.len() as u64;
        }
    }
    out
}
