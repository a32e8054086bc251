//! Compressed bodies: of every size, with and without a dictionary, and bytes that are no packed body.

use super::*;
use crate::base::limits::RECORD_BYTES_MAX;
use crate::base::put_varint;
use crate::segment::compression::{Decoder, Encoder, SAMPLE_BYTES_MAX};

/// Bodies under ascending keys.
fn numbered(bodies: Vec<Vec<u8>>) -> Records {
    let key = |time: u64| Key { time, id: std::array::from_fn(|i| time.to_be_bytes()[i % 8]) };
    (0u64..).zip(bodies).map(|(time, body)| (key(time), (body, Vec::new()))).collect()
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

/// A body like others: some words of a few, and a number.
fn words(random: &mut Random) -> Vec<u8> {
    let mut text = format!("{:x}", random.next());
    for _ in 0..60 {
        text += [" the", " record", " of", " a", " store", " is", " written", " once"]
            [random.below(8) as usize];
    }
    text.into_bytes()
}

fn written(bodies: Vec<Vec<u8>>) -> (SegmentInfo, Arc<Segment>, Records) {
    let (disk, new, records) = (disk(), packed_segment(0, PageSize::K4), numbered(bodies));
    let info = write(&*disk, new, &records);
    (info, open(&*disk, new, 200).unwrap(), records)
}

#[test]
fn bodies_of_every_kind_and_size_up_to_the_limit_read_back() {
    let mut random = Random(1);
    let mut lens: Vec<usize> = (0..70).collect();
    lens.extend([4000, 4070, 4076, 4080, 4081, 20_000, 1 << 20, RECORD_BYTES_MAX]);
    let mut bodies = Vec::new();
    for &len in &lens {
        bodies.push(vec![b'x'; len]);
        bodies.push(noise(&mut random, len));
        let mut half = vec![0; len];
        half[..len / 2].copy_from_slice(&noise(&mut random, len / 2));
        bodies.push(half);
    }
    let (info, segment, records) = written(bodies);
    compare(&segment, &records).unwrap();
    assert_eq!(info.raw_bytes, 3 * lens.iter().sum::<usize>() as u64);
    assert_eq!(info.compression, Compression::Zstd);
    assert!(info.body_bytes < info.raw_bytes * 6 / 10);
}

#[test]
fn a_body_that_does_not_shrink_stays_as_it_is_and_borrowed() {
    let mut random = Random(2);
    let bodies: Vec<_> = (0..300).map(|_| noise(&mut random, 200)).collect();
    let (info, segment, records) = written(bodies);
    compare(&segment, &records).unwrap();
    assert_eq!(info.body_bytes, 300 * 204);
    let body = segment.body(0, Body::default()).unwrap();
    assert_eq!(body.len(), 200);
    assert!(!body.is_copy());
}

#[test]
fn more_bodies_than_are_sampled_share_one_dictionary() {
    let mut random = Random(3);
    let bodies: Vec<Vec<u8>> = std::iter::from_fn(|| Some(words(&mut random)))
        .scan(0, |bytes, body| {
            *bytes += body.len();
            (*bytes < SAMPLE_BYTES_MAX + 1_000_000).then_some(body)
        })
        .collect();
    let (info, segment, records) = written(bodies);
    compare(&segment, &records).unwrap();
    assert!(info.raw_bytes > SAMPLE_BYTES_MAX as u64);
    assert!(info.body_bytes < info.raw_bytes / 3, "{} of {}", info.body_bytes, info.raw_bytes);
    let page_table = 4 * u64::from(info.pages);
    assert!(segment.memory_bytes() > page_table + 60_000, "the dictionary is counted");
}

#[test]
fn a_dictionary_makes_small_bodies_smaller() {
    let mut random = Random(4);
    let bodies: Vec<_> = (0..2000).map(|_| words(&mut random)).collect();
    let few = written(bodies[..20].to_vec()).0;
    let many = written(bodies).0;
    let share = |info: SegmentInfo| info.body_bytes as f64 / info.raw_bytes as f64;
    assert!(share(many) < share(few) * 0.9, "{} and {}", share(many), share(few));
}

#[test]
fn a_packed_body_is_unpacked_into_the_memory_at_hand() {
    let (_, segment, records) = written(vec![vec![5; 3000]; 50]);
    let mut body = segment.body(0, Body::default()).unwrap();
    let memory = body.as_ptr();
    for ordinal in 0..records.len() as u32 {
        body = segment.body(ordinal, body).unwrap();
        assert_eq!(*body, [5; 3000]);
        assert_eq!(body.as_ptr(), memory);
    }
}

#[test]
fn a_length_beyond_a_record_is_refused_before_memory_is_taken() {
    let decoder = Decoder::new(&[]).unwrap();
    for len in [RECORD_BYTES_MAX as u64 + 1, 1 << 40, u64::MAX] {
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        put_varint(&mut packed, len);
        packed.extend_from_slice(&[0; 20]);
        assert!(decoder.unpack(&packed, RECORD_BYTES_MAX, &mut out).is_err());
        assert_eq!(out.capacity(), 0);
    }
}

#[test]
fn bytes_that_are_no_packed_body_give_an_error_or_a_body_of_the_length_they_say() {
    let mut random = Random(6);
    let bodies: Vec<_> = (0..3000).map(|_| words(&mut random)).collect();
    let sizes: Vec<usize> = bodies.iter().map(Vec::len).collect();
    let (mut encoder, zdict) = Encoder::train(&bodies.concat(), &sizes);
    assert!(zdict.len() > 1024);
    let decoder = Decoder::new(&zdict).unwrap();
    let mut out = Vec::new();
    for body in &bodies[..20] {
        let packed = encoder.pack(body).unwrap().to_vec();
        decoder.unpack(&packed, RECORD_BYTES_MAX, &mut out).unwrap();
        assert_eq!(out, *body);
        for len in 0..packed.len() {
            assert!(
                decoder.unpack(&packed[..len], RECORD_BYTES_MAX, &mut out).is_err(),
                "cut off at {len}"
            );
        }
        for at in 0..packed.len() {
            let mut other = packed.clone();
            other[at] ^= 1 << random.below(8);
            let unpacked = decoder.unpack(&other, RECORD_BYTES_MAX, &mut out);
            assert!(unpacked.is_ok() || out.is_empty());
            assert!(at < 2 || unpacked.is_err() || out.len() == body.len());
        }
        decoder.unpack(&packed, RECORD_BYTES_MAX, &mut out).unwrap();
        assert_eq!(out, *body, "the context of the thread is none the worse");
    }
    // Another dictionary, or none, makes other bytes of it and does no harm.
    let packed = encoder.pack(&bodies[0]).unwrap().to_vec();
    let mut other = zdict.clone();
    for at in (0..other.len()).step_by(7) {
        other[at] ^= random.next() as u8;
        if let Ok(decoder) = Decoder::new(&other) {
            let _ = decoder.unpack(&packed, RECORD_BYTES_MAX, &mut out);
        }
    }
    let _ = Decoder::new(&[]).unwrap().unpack(&packed, RECORD_BYTES_MAX, &mut out);
}
