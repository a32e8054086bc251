//! Texts: whole on every backend, told when they are not, one of two after any crash.

use super::*;
use crate::io::{Backend, Faults, simulated, system};

const NAME: &str = "some.json";

fn json(n: usize) -> Vec<u8> {
    format!("{{\"n\":{n},\"why\":\"{}\"}}", "why \u{e9} ".repeat(n % 300)).into_bytes()
}

/// What is read of `json(n)`.
fn text(n: usize) -> Vec<u8> {
    with_checksum(&json(n))
}

#[test]
fn a_text_is_one_object_of_json_with_its_checksum_first() {
    let text = text(2);
    assert!(text.starts_with(&MAGIC) && text[HEAD_BYTES..] == json(2)[1..]);
    let digits = format!("{:016x}", crc64(&json(2)[1..]));
    assert_eq!(text[..HEAD_BYTES], *format!("{{\"crc64\":\"{digits}\",").as_bytes());
    // I3
    for blanks in [0, 1, 5_000] {
        let padded = [&text[..], &vec![b' '; blanks]].concat();
        assert_eq!(checked(Path::new("p"), &padded).unwrap(), text);
    }
}

#[test]
fn a_text_is_there_again_on_every_backend() {
    for backend in [Backend::Auto, Backend::Posix] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, store) = (system(backend).unwrap().disk, dir.path());
        assert_eq!(read(&*disk, store, NAME).unwrap(), None);
        for n in [1, 299, 2, 1_499] {
            write(&*disk, store, NAME, &json(n)).unwrap();
            assert_eq!(read(&*disk, store, NAME).unwrap(), Some(text(n)));
            let bytes = std::fs::read(store.join("relay/some.json")).unwrap();
            assert!(bytes.len().is_multiple_of(4096) && bytes.trim_ascii_end() == text(n));
        }
        for wrong in [&b""[..], b"{", b"{}", &json(3), &[b' '; 4096], &[0; 8192]] {
            std::fs::write(store.join("relay/some.json"), wrong).unwrap();
            let Err(Error::Corrupt { path, .. }) = read(&*disk, store, NAME) else {
                panic!("{wrong:?} is taken")
            };
            assert_eq!(path, store.join("relay/some.json"));
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let path = Path::new("p");
    let whole = [&text(3)[..], &[b' '; 64]].concat();
    let refused = |bytes: &[u8]| match checked(path, bytes) {
        Err(Error::Corrupt { offset, .. }) => offset == 0 || offset == HEAD_BYTES as u64,
        _ => false,
    };
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            assert!(refused(&flipped), "byte {at}, bit {bit}");
        }
        if at < text(3).len() {
            assert!(refused(&whole[..at]), "cut at {at}");
            // No other byte in its place either, and no blank that would end the text.
            for byte in [b' ', b'\n', 0, b'}', b'"'] {
                let mut other = whole.clone();
                other[at] = byte;
                assert!(other == whole || refused(&other), "{byte} at {at}");
            }
        }
    }
    // Digits have one form.
    let mut upper = whole.clone();
    upper[..HEAD_BYTES].make_ascii_uppercase();
    assert!(refused(&upper));
}

#[test]
fn a_crash_leaves_the_old_text_or_the_new_one() {
    let mut left_new = 0;
    for seed in 0..60 {
        let (env, sim, _) = simulated(seed, Faults::default());
        let (disk, store) = (&*env.disk, Path::new("/store"));
        disk.create_dir(store).unwrap();
        write(disk, store, NAME, &json(1)).unwrap();
        sim.crash_after(seed % 12);
        let written = write(disk, store, NAME, &json(2));
        sim.power_loss();
        let found = read(disk, store, NAME).unwrap().unwrap();
        assert!(found == text(1) && written.is_err() || found == text(2), "seed {seed}");
        left_new += u32::from(found == text(2));
        write(disk, store, NAME, &json(3)).unwrap();
        assert_eq!(read(disk, store, NAME).unwrap(), Some(text(3)));
        assert_eq!(names(disk, store).unwrap(), [NAME]);
    }
    assert!((1..60).contains(&left_new));
}
