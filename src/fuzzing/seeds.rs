//! The seeds of the targets: real encodings, small ones of each form.

use crate::base::{Key, Lsn, PageSize, SegmentId, StoreId, put_varint};
use crate::nostr::generate::{Config, Generator};
use crate::nostr::negentropy::{Items, opening, respond};
use crate::nostr::{Event, Signer};
use crate::segment::format::{Header, kind};
use crate::segment::{Compression, NewSegment, fuzz};
use crate::shard::format::{
    EntryKind, MANIFEST_HEADER_BYTES, Manifest, ManifestSegment, entry_head,
};
use flate2::Compression as Level;
use flate2::write::{DeflateEncoder, GzEncoder};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use std::io::Write;
use std::path::Path;
use zerocopy::IntoBytes;

type Seeds = Vec<Vec<u8>>;

fn texts(texts: &[&str]) -> Seeds {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Each behind this byte, which says how it is taken.
fn behind(head: u8, seeds: Seeds) -> Seeds {
    seeds.into_iter().map(|seed| [&[head][..], &seed].concat()).collect()
}

/// One event of each kind that is short.
fn events() -> Vec<Event> {
    let generator = Generator::new(5, &Config { events: 500, start: 1_700_000_000 });
    let mut kinds = Vec::new();
    let short = generator.take(500).filter(|event| event.to_json().len() < 700);
    let mut events: Vec<Event> = short
        .filter(|event| !kinds.contains(&event.kind()) && (kinds.push(event.kind()), true).1)
        .collect();
    events.truncate(6);
    let tags = [vec!["e", "0123456789abcdef"], vec![], vec!["t", "\u{1}\"\\\u{10ffff}"]];
    events.push(Event::from_parts([9; 32], u64::MAX, 30_023, &tags, "a\nb\u{2028}"));
    events
}

fn nostr(name: &str) -> Seeds {
    let id = "0a".repeat(32);
    match name {
        "event_json" => {
            let mut seeds: Seeds = events().iter().map(Event::to_json).collect();
            let text = String::from_utf8_lossy(&seeds[0]).into_owned();
            let more = text.replacen('{', r#" { "x" : [{"y":-1.5e+3},null,true,"\ud83d\ude00"] , "#, 1);
            seeds.push(more.into_bytes());
            seeds
        }
        "event_body" => events().iter().map(|event| event.body()[98..].to_vec()).collect(),
        "filter_json" => vec![
            b"{}".to_vec(),
            format!(r##"{{"ids":["{id}"],"authors":["{id}"],"#e":["{id}"],"#p":[]}}"##).into(),
            br##"{"kinds":[1,0,65535],"#t":["a","\u00e9"],"#a":["30023:x:"],"limit":18446744073709551615}"##.to_vec(),
            br#"[{"since":1,"until":2},{"search":"a \"b c\" d:e"}]"#.to_vec(),
        ],
        "negentropy" | "negentropy_referee" => {
            let keys = (0..300).map(|n| Key { time: n % 40, id: [n as u8; 32] }).collect();
            let items = Items::new(keys);
            let first = respond(&items, &opening(), 4096).unwrap();
            let second = respond(&Items::default(), &first, 4096).unwrap();
            let short = [&first[..first.len().min(500)], &second].map(<[u8]>::to_vec);
            let messages: Seeds = short.into_iter().chain([opening(), vec![0x62]]).collect();
            match name {
                "negentropy" => messages,
                _ => messages.into_iter().map(|m| [&[m.len().div_ceil(4).min(127) as u8 * 2], &m[..], &[3], &m].concat()).collect(),
            }
        }
        _ => texts(&["bitcoin \"layer two\" language:de", "東京タワー x", "a \"b", "http://x.y é"]),
    }
}

fn relay(name: &str) -> Seeds {
    match name {
        "client_message" => texts(&[
            r#"["EVENT",{"id":"00","tags":[["e","x"]],"content":"\"]"}]"#,
            r#" [ "REQ" , "s\u00e9" , {"kinds":[1]} , {} ] "#,
            r#"["COUNT","a",{"limit":1}]"#,
            r#"["CLOSE","s"]"#,
            r#"["AUTH",{"a":[1,-2.5e3,null,true]}]"#,
            r#"["NEG-OPEN","s",{"limit":1},"61"]"#,
            r#"["NEG-MSG","s","6100"]"#,
            r#"["NEG-CLOSE","s"]"#,
        ]),
        "nip86" => texts(&[
            r#"{"method":"supportedmethods","params":[]}"#,
            r#"{"method":"banpubkey","params":["0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","spam"]}"#,
            r#"{"method":"allowkind","params":[1]}"#,
            r#"{"method":"blockip","params":["2001:db8::/32",""]}"#,
            r#"{"method":"changerelayname","params":["a \u0007"]}"#,
            r#"{"method":"listblockedips"}"#,
        ]),
        "nip98" => {
            let signer = Signer::new([7; 32]).unwrap();
            let payload = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
            let tags = [["u", "https://relay.test/"], ["method", "POST"], ["payload", payload]];
            let event = Event::from_parts(*signer.pubkey(), 1_700_000_000, 27_235, &tags, "");
            let json = event.sign(&signer).to_json();
            let mut seeds = behind(0, vec![json]);
            seeds.extend(behind(1, texts(&["nostr eyJpZCI6IjAifQ==", "wss://a.b:443/x?y"])));
            seeds
        }
        "plugin" => behind(
            5,
            texts(&[
                "{\"id\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"action\":\"reject\",\"msg\":\"no \\u00e9\"}\n{}\n\n",
                "{\"id\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"action\":\"accept\"}",
            ]),
        ),
        "deflate" => {
            let mut seeds = behind(
                1,
                vec![
                    deflated(b"[\"EVENT\",\"a\",{}] again and again and again"),
                    deflated(&[b'x'; 3000]),
                ],
            );
            seeds.extend(behind(0, texts(&["permessage-deflate; client_max_window_bits=10, x"])));
            seeds.push(vec![1, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]);
            seeds
        }
        _ => websocket(),
    }
}

/// What other relays say, and what decides who is let in.
fn others(name: &str) -> Seeds {
    let id = "0a".repeat(32);
    match name {
        "relay_message" => texts(&[
            r#"["EVENT","s",{"id":"00","tags":[["e","x"]],"content":"\"]"}]"#,
            r#" [ "OK" , "00" , true , "duplicate: \u00e9" ] "#,
            r#"["OK","00",false,""]"#,
            r#"["EOSE","s"]"#,
            r#"["CLOSED","s","auth-required: \n"]"#,
            r#"["NEG-MSG","n","6100aF"]"#,
            r#"["NEG-ERR","n","blocked: too big"]"#,
            r#"["NOTICE","hello",7]"#,
            r#"["AUTH","challenge"]"#,
            r#"["NEG-MSG","n","0x61"]"#,
            r#"["EOSE",1]"#,
        ]),
        "policy_json" => texts(&[
            r#"{"version":2}    "#,
            &format!(
                r#"{{"version":2,"name":"Bird \u00e9","description":"","icon":null,"rules":[{{"rule":"deny pubkey {id}","reason":"spam \"x\"\n"}}]}}"#
            ),
            r#"{"version":2,"rules":[{"rule":"deny kind 4","reason":"old"},{"rule":"deny address 10.0.0.0/8"},{"rule":"allow kind 4"}]}"#,
            &format!(
                r#"{{"version":2,"rules":[["allow event {id}","why"],{{"rule":" deny  kind 0-9","more":[1]}}],"x":-1.5e3}}"#
            ),
            r#"{"version":3,"rules":{"deny":["kind 4"]}}"#,
            r#"{"version":2,"version":2}"#,
            r#"{"version":2,"rules":[{"rule":"deny x"}]}"#,
        ]),
        "rules" => texts(&[
            "# who\n\nallow kind 1 # notes\r\n  deny\tkind 4\n",
            &format!(
                "allow pubkey {id}\ndeny event {}\ndeny kind 0-9\nallow kind 3\n",
                "FE".repeat(32)
            ),
            "deny address 192.0.2.7/24\nallow address 2001:db8::/32\ndeny address ::ffff:10.0.0.1\nallow address 0.0.0.0/0",
            "deny kind 007\ndeny kind 65535-65535\ndeny kind 0-65535\n",
            "allow kind 1\n\nallow kind 9-1",
            "deny pubkey 0a",
            "deny address 1.2.3.4/33",
        ]),
        _ => {
            let mut seeds = texts(&[
                "\x001.1.1.1, 192.0.2.1 ,10.0.0.7",
                "\x011.1.1.1\n192.0.2.1\n10.0.0.7",
                "\x0210.0.0.9, 127.0.0.1",
                "\x03[2001:db8::1]:443, [::1], ::ffff:192.0.2.1",
                "\x00192.0.2.1:80, unknown, 10.0.0.7",
                "\x04192.0.2.1",
                "\x08192.0.2.1",
            ]);
            seeds.push(b"\x001.1.1.1, \xe9, 192.0.2.1".to_vec());
            seeds
        }
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().strip_suffix(&[0, 0, 0xff, 0xff]).unwrap_or(encoder.get_ref()).to_vec()
}

/// Masked frames: a text, a compressed message in two pieces with a ping between, a long head.
fn websocket() -> Seeds {
    let frame = |first: u8, payload: &[u8]| {
        let masked = payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(b, m)| b ^ m);
        let mut frame = vec![first, 0x80 | payload.len().min(126) as u8];
        if payload.len() > 125 {
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        frame.extend([1, 2, 3, 4]);
        frame.extend(masked);
        frame
    };
    let small = deflated(b"[\"REQ\",\"a\",{},{},{},{},{}]");
    let (one, two) = small.split_at(small.len() / 2);
    let pieces = [frame(0x41, one), frame(0x89, b"ping"), frame(0x80, two)].concat();
    let mixed = [frame(0x81, b"[\"CLOSE\",\"a\"]"), pieces.clone(), frame(0x88, b"")].concat();
    behind(3, vec![mixed, pieces, frame(0xc1, &deflated(&[b'z'; 900])), frame(0x81, &[b'y'; 130])])
}

fn engine(name: &str) -> Seeds {
    let store = StoreId([3; 16]);
    let segment = |b: u8, records, dead| ManifestSegment { id: SegmentId([b; 16]), records, dead };
    let manifest = Manifest {
        generation: 9,
        log_start: Lsn::new(3, 4096),
        log_end: Lsn::new(3, 8192),
        mark: 1 << 40,
        segments: vec![segment(1, 10, vec![0, 1, 9]), segment(2, 70_000, vec![300, 69_999])],
    };
    let whole = manifest.encode(store, 5);
    let new = NewSegment {
        id: SegmentId([1; 16]),
        store,
        shard: 5,
        page: PageSize::K4,
        model: ("toy", 3),
        ids: crate::base::Ids::Foreign,
        mark: None,
        compression: Compression::Zstd,
    };
    match name {
        "manifest" => vec![whole[MANIFEST_HEADER_BYTES..].to_vec(), whole.clone()],
        "log_entry" => {
            let record = crate::model::Record { key: Key { time: 7, id: [7; 32] }, body: b"body" };
            let put = [&entry_head(EntryKind::Put, record, 1)[..], &[5; 32], b"body"].concat();
            let none = crate::model::Record { body: b"", ..record };
            vec![put, [&entry_head(EntryKind::Remove, none, 2)[..], &[6; 64]].concat()]
        }
        "store_file" => vec![
            whole[..100].to_vec(),
            [b"RATSTOR1", &[2, 0, 0, 0, 0, 16, 0, 0][..], &[9; 16], &[4]].concat(),
        ],
        "page" => vec![b"\x03\x00\x02\x11a page's payload".to_vec(), vec![0; 64]],
        "segment_header" => {
            let mut seeds = fuzz::payloads(kind::HEADER);
            seeds.push(Header::new(&new).as_bytes().to_vec());
            seeds
        }
        "dictionary" => {
            let leaves = fuzz::payloads(kind::LEAF).into_iter().map(|p| p[1..].to_vec()).take(2);
            let mut seeds = behind(1, leaves.collect());
            let interior = fuzz::payloads(kind::INTERIOR).into_iter().map(|p| p[1..].to_vec());
            seeds.extend(interior.take(2));
            seeds
        }
        "postings" => {
            let runs = fuzz::payloads(kind::POSTINGS).into_iter().take(2);
            let mut seeds: Seeds = runs
                .flat_map(|run| [[&[49, 9], &run[..]].concat(), [&[24, 9], &run[..]].concat()])
                .collect();
            let mut inline = vec![3, 1];
            put_varint(&mut inline, 3 << 2);
            inline.extend([0, 5, 9]);
            seeds.extend([inline, vec![3, 1, 4 << 2 | 1, 7, 8], vec![3, 1, 4 << 2 | 2, 7, 2]]);
            seeds
        }
        "segment_bodies" => {
            let blocks =
                fuzz::payloads(kind::BODIES).into_iter().map(|p| p[..p.len().min(900)].to_vec());
            let mut seeds = behind(7, blocks.take(4).collect());
            seeds.push(vec![2, 2, 1, 3, b'a', b'b', b'c', b'd']);
            seeds
        }
        "segment" => (0..4)
            .flat_map(|form| [vec![form], vec![form, 3, 0x91, 4, 0, 255, 0, 1, 9, 0, 1]])
            .collect(),
        "wal_headers" => vec![
            b"rblk\x10\0\0\0\x02\0\0\0\0\0\0\0".to_vec(),
            vec![4, 0, 0, 0, 1, 2, 3, 4],
            b"ratitlog\x01\0\0\0\x07\0\0\0".to_vec(),
        ],
        _ => vec![
            [
                &[0x80, 4][..],
                &[3, 1, 2, 3, 2, 8, 9],
                &[1],
                &[5, 0],
                &[0x81, 2, 1, 7, 0, 0],
                &[2, 0],
            ]
            .concat(),
            [
                &[0, 3][..],
                &[4, 1, 2, 3, 4, 0],
                &[0x9c, 2, 1, 0, 0, 0],
                &[0x86, 1, 255, 255],
                &[7, 1, 1, 1],
            ]
            .concat(),
        ],
    }
}

fn logs(name: &str) -> Seeds {
    match name {
        "syslog" => texts(&[
            "<34>1 2003-10-11T22:14:15.003Z host app 12 ID47 [a b=\"c\"] \u{feff}text",
            "<13>Oct  1 22:14:15 host su[12]: it failed",
            "<191>2026 Nov 22 06:00:00.123 UTC: %SYS-5: x",
            "\u{feff}<0>- - -\n",
            "{host}/{app}.{severity}",
        ]),
        "syslog_frames" => behind(
            7,
            texts(&[
                "27 <34>1 - host app - - - text<13>a line\n5 <1>ab\0 17",
                "300 <34>1 x\n\n\r\n9",
            ]),
        ),
        "time" => texts(&[
            "2026-11-22T14:00:00.5+01:00 x",
            "[22/Nov/2026:14:00:00 +0100]",
            "1 - - [22/Nov/2026:14:00:00 +0100] \"GET",
            "Nov 22 14:00:00 host",
            "I1122 14:00:00.123456 1 x.go:1]",
            "ts=1795348800.123",
            "yesterday 14:00",
            "1h30m ago",
            "-15m",
            "2w",
            "1795348800123",
            "Sun, 22 Nov 2026 14:00:00 GMT",
            "2026/11/22 14:00",
            "@18446744073709551615us",
        ]),
        "resume" => {
            let mut seeds = texts(&["1732243200000000-1732243200123456", "18446744073709551615-0"]);
            seeds.push([&[0x13][..], &[7; 51]].concat());
            seeds.push(
                b"EQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
                    .to_vec(),
            );
            seeds
        }
        "log_body" => vec![
            b"\x04hostraw bytes".to_vec(),
            [&[0][..], &[9; 16], b"raw"].concat(),
            b"\x02\xc3\xa9".to_vec(),
        ],
        "log_tokens" => behind(5, texts(&["errorHTTP/1.1 500 Error id=4f-é", "ab-cdab cd abcd"])),
        "otlp_json" => {
            let json = OTLP.as_bytes();
            let mut gz = GzEncoder::new(Vec::new(), Level::fast());
            gz.write_all(json).unwrap();
            vec![json.to_vec(), gz.finish().unwrap(), br#"{"resourceLogs":[]}"#.to_vec()]
        }
        _ => {
            let request: ExportLogsServiceRequest = serde_json::from_str(OTLP).unwrap();
            vec![request.encode_to_vec()]
        }
    }
}

const OTLP: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}},
 {"key":"k","value":{"kvlistValue":{"values":[{"key":"d","value":{"doubleValue":1.5}}]}}}]},
 "scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1795348800000000001","severityNumber":9,
 "body":{"stringValue":"b \" \u00e9"},"attributes":[{"key":"x","value":{"intValue":"-7"}},
 {"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"bytesValue":"AQI="}]}}}],
 "traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"},{"body":{"stringValue":"bare"}}]}]}]}"#;

/// Writes the seeds of the targets that have none, or of all with `RATITE_SEEDS=all`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn seeds_are_written() {
    let all = std::env::var("RATITE_SEEDS").is_ok_and(|which| which == "all");
    for (name, _) in super::TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        if dir.exists() && !all {
            continue;
        }
        std::fs::create_dir_all(&dir).unwrap();
        let seeds = match *name {
            "event_json" | "event_body" | "filter_json" | "negentropy" | "negentropy_referee"
            | "search" => nostr(name),
            "client_message" | "nip86" | "nip98" | "plugin" | "deflate" | "websocket" => {
                relay(name)
            }
            "relay_message" | "policy_json" | "rules" | "forwarded" => others(name),
            "syslog" | "syslog_frames" | "time" | "resume" | "log_body" | "log_tokens"
            | "otlp_json" | "otlp_protobuf" => logs(name),
            _ => engine(name),
        };
        assert!(!seeds.is_empty(), "{name}");
        for (n, seed) in seeds.iter().enumerate() {
            std::fs::write(dir.join(format!("seed-{n}")), seed).unwrap();
        }
    }
}
