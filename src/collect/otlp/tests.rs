//! Requests against a twin that reads them with the structs of opentelemetry-proto, and requests that are none.

use super::answer::Encoding;
use super::intake::{Intake, RECORDS_MAX, Refused};
use super::{json, protobuf};
use crate::collect::names::Sources;
use crate::logs::RAW_BYTES_MAX;
use opentelemetry_proto::tonic::collector::logs::v1 as collector;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

type Request = collector::ExportLogsServiceRequest;

/// When requests come, to the tests.
const NOW: u64 = 1_795_000_000_000_000;

/// A record: time, source, raw.
type Found = (u64, String, Vec<u8>);

fn read(encoding: Encoding, request: &[u8]) -> Result<(Vec<Found>, u64), Refused> {
    let mut sources = Sources::default();
    let mut intake = Intake::new(NOW, &mut sources);
    match encoding {
        Encoding::Protobuf => protobuf::read(request, &mut intake)?,
        Encoding::Json => json::read(request, &mut intake)?,
    }
    let (batch, rejected) = intake.end();
    let records = batch.records().into_iter();
    Ok((records.map(|r| (r.ts, r.source.to_string(), r.raw.to_vec())).collect(), rejected))
}

/// A value as the documentation says that it is shown.
fn shown(value: &Option<AnyValue>) -> Value {
    let members = |list: &[KeyValue]| -> Map<String, Value> {
        list.iter().map(|pair| (pair.key.clone(), shown(&pair.value))).collect()
    };
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) if number.is_finite() => json!(number),
        Some(Any::DoubleValue(number)) => json!(number.to_string()),
        Some(Any::BytesValue(bytes)) => {
            json!(String::from_utf8(super::line::base64(bytes)).unwrap())
        }
        Some(Any::ArrayValue(list)) => {
            list.values.iter().map(|value| shown(&Some(value.clone()))).collect()
        }
        Some(Any::KvlistValue(list)) => Value::Object(members(&list.values)),
    }
}

/// The twin: the records of a request, each as (time, source, JSON or text).
fn expected(request: &Request) -> Vec<(u64, String, Value)> {
    let mut records = Vec::new();
    for logs in &request.resource_logs {
        let attributes = logs.resource.clone().unwrap_or_default().attributes;
        let named = |name: &str| {
            let found = attributes.iter().rfind(|pair| pair.key == name);
            found
                .and_then(|pair| shown(&pair.value).as_str().map(String::from))
                .filter(|n| !n.is_empty())
        };
        let (service, host) = (named("service.name"), named("host.name"));
        let mut resource = Map::new();
        for pair in &attributes {
            let is_source =
                pair.key == "service.name" || (pair.key == "host.name" && service.is_none());
            if !is_source && !pair.key.starts_with("telemetry.sdk.") {
                resource.insert(pair.key.clone(), shown(&pair.value));
            }
        }
        let source = service.or(host).unwrap_or("otlp".into());
        for logs in &logs.scope_logs {
            let scope = logs.scope.clone().unwrap_or_default().name;
            for record in &logs.log_records {
                let nanos = [record.time_unix_nano, record.observed_time_unix_nano];
                let ts = nanos.into_iter().find(|n| *n > 0).map_or(NOW, |n| n / 1000);
                records.push((ts, source.clone(), line(record, &scope, &resource)));
            }
        }
    }
    records
}

fn line(record: &LogRecord, scope: &str, resource: &Map<String, Value>) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value, is_there: bool| {
        is_there.then(|| line.insert(name.into(), value));
    };
    let number = record.severity_number;
    let severity = match record.severity_text.as_str() {
        "" if (1..=24).contains(&number) => {
            let name =
                ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"][(number as usize - 1) / 4];
            let nth = (number - 1) % 4 + 1;
            if nth == 1 { name.to_string() } else { format!("{name}{nth}") }
        }
        text => text.into(),
    };
    put("severity", json!(severity), !severity.is_empty());
    put("severity_number", json!(number), number > 0);
    put("event", json!(record.event_name), !record.event_name.is_empty());
    let attributes: Map<String, Value> =
        record.attributes.iter().map(|pair| (pair.key.clone(), shown(&pair.value))).collect();
    put("attributes", json!(attributes), !attributes.is_empty());
    put("scope", json!(scope), !scope.is_empty());
    put("resource", json!(resource), !resource.is_empty());
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let is_id = |id: &[u8], bytes| id.len() == bytes && id.iter().any(|byte| *byte != 0);
    put("trace_id", json!(hex(&record.trace_id)), is_id(&record.trace_id, 16));
    put("span_id", json!(hex(&record.span_id)), is_id(&record.span_id, 8));
    let body = record.body.as_ref().filter(|body| body.value.is_some()).cloned();
    match (line.is_empty(), body) {
        (true, None) => json!(""),
        (true, body) => shown(&body),
        (false, None) => Value::Object(line),
        (false, body) => {
            line.insert("body".into(), shown(&body));
            Value::Object(line)
        }
    }
}

/// A record's raw, as the twin has it.
fn parsed(raw: &[u8], wanted: &Value) -> Value {
    match wanted {
        Value::String(_) => json!(String::from_utf8(raw.to_vec()).unwrap()),
        _ => serde_json::from_slice(raw).unwrap(),
    }
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "\\PC{0,12}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        // Quarters are read back exactly, whoever reads them.
        any::<i32>().prop_map(|quarters| Any::DoubleValue(f64::from(quarters) / 4.0)),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Any::BytesValue),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
    let leaf = prop_oneof![9 => leaf, 1 => Just(AnyValue { value: None })];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        let pairs = prop::collection::btree_map("[a-c]{0,2}", inner, 0..4).prop_map(pairs);
        prop_oneof![
            list.prop_map(|values| AnyValue {
                value: Some(Any::ArrayValue(ArrayValue { values }))
            }),
            pairs.prop_map(|values| AnyValue {
                value: Some(Any::KvlistValue(KeyValueList { values }))
            }),
        ]
    })
}

fn pairs(map: std::collections::BTreeMap<String, AnyValue>) -> Vec<KeyValue> {
    map.into_iter()
        .map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() })
        .collect()
}

fn record() -> impl Strategy<Value = LogRecord> {
    let nanos = || prop_oneof![Just(0), 1000..u64::MAX];
    let attributes = prop::collection::btree_map("[a-z.]{1,6}", any_value(), 0..4).prop_map(pairs);
    let severity =
        (prop_oneof![Just(0), 0..30i32], prop_oneof![Just(String::new()), "[a-zA-Z]{1,5}"]);
    let id = |bytes: usize| {
        prop_oneof![Just(vec![]), Just(vec![0; bytes]), prop::collection::vec(1..255u8, bytes)]
    };
    let body = prop::option::of(any_value());
    (nanos(), nanos(), severity, body, attributes, id(16), id(8), "[a-z]{0,3}").prop_map(
        |(
            time_unix_nano,
            observed_time_unix_nano,
            severity,
            body,
            attributes,
            trace_id,
            span_id,
            event_name,
        )| {
            let (severity_number, severity_text) = severity;
            LogRecord {
                time_unix_nano,
                observed_time_unix_nano,
                severity_number,
                severity_text,
                body,
                attributes,
                trace_id,
                span_id,
                event_name,
                ..LogRecord::default()
            }
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let name = "(service.name|host.name|telemetry.sdk.name|k8s.[a-z]{1,3})";
    let resource = prop::collection::btree_map(name, "[a-z]{1,6}", 0..4).prop_map(|map| {
        let text = |text| AnyValue { value: Some(Any::StringValue(text)) };
        Resource {
            attributes: pairs(map.into_iter().map(|(k, v)| (k, text(v))).collect()),
            ..Resource::default()
        }
    });
    let scope = prop::option::of("[a-z]{0,4}").prop_map(|name| {
        name.map(|name| InstrumentationScope {
            name,
            version: "1".into(),
            ..InstrumentationScope::default()
        })
    });
    let records = prop::collection::vec(record(), 0..4);
    let scopes = (scope, records).prop_map(|(scope, log_records)| ScopeLogs {
        scope,
        log_records,
        schema_url: "s".into(),
    });
    let logs = (prop::option::of(resource), prop::collection::vec(scopes, 0..3)).prop_map(
        |(resource, scope_logs)| ResourceLogs { resource, scope_logs, schema_url: "u".into() },
    );
    prop::collection::vec(logs, 0..3).prop_map(|resource_logs| Request { resource_logs })
}

fn of_one(record: LogRecord) -> Request {
    let logs = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    Request {
        resource_logs: vec![ResourceLogs { scope_logs: vec![logs], ..ResourceLogs::default() }],
    }
}

proptest! {
    #[test]
    fn requests_of_both_encodings_are_read_as_the_twin_reads_them(request in request()) {
        let wanted = expected(&request);
        let text = serde_json::to_vec(&request).unwrap();
        for (encoding, bytes) in [(Encoding::Protobuf, request.encode_to_vec()), (Encoding::Json, text)] {
            let (found, rejected) = read(encoding, &bytes).unwrap();
            prop_assert_eq!((found.len(), rejected), (wanted.len(), 0));
            for (found, wanted) in found.iter().zip(&wanted) {
                prop_assert_eq!((found.0, &found.1), (wanted.0, &wanted.1));
                prop_assert_eq!(&parsed(&found.2, &wanted.2), &wanted.2, "{:?}", encoding);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (ours, theirs) = (read(Encoding::Protobuf, &bytes), Request::decode(&bytes[..]));
        // We read all that they read; they also want UTF-8, and types that we skip.
        prop_assert!(ours.is_ok() || theirs.is_err());
        let _either = read(Encoding::Json, &bytes);
    }

    #[test]
    fn a_request_with_a_byte_changed_or_its_end_cut_is_read_or_refused(
        request in request(), at: prop::sample::Index, byte: u8, is_cut: bool,
    ) {
        let text = serde_json::to_vec(&request).unwrap();
        for (encoding, mut bytes) in [(Encoding::Protobuf, request.encode_to_vec()), (Encoding::Json, text)] {
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            if is_cut { bytes.truncate(at) } else { bytes[at] = byte }
            let _either = read(encoding, &bytes);
        }
    }
}

#[test]
fn what_a_strict_decoder_refuses_is_kept() {
    // A body that is no UTF-8, as a forwarder passes it on.
    let record = b"\x2a\x05\x0a\x03a\xff\x00";
    let scope = [b"\x12", &[record.len() as u8][..], record].concat();
    let logs = [b"\x12", &[scope.len() as u8][..], &scope].concat();
    let request = [b"\x0a", &[logs.len() as u8][..], &logs].concat();
    assert!(Request::decode(&request[..]).is_err());
    let (found, _) = read(Encoding::Protobuf, &request).unwrap();
    assert_eq!(found, [(NOW, "otlp".into(), b"a\xff\0".to_vec())]);
}

#[test]
fn json_of_other_writers_is_read() {
    // Numbers as text and not, null, names in any order, unknown names, escapes, hex in capitals.
    let text = r#"{"x":{"y":[1]},"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"5000","body":{"stringValue":"a\u00e9\n"},"attributes":[
            {"key":"i","value":{"intValue":7}},{"key":"s","value":{"intValue":"-8","later":1}},
            {"key":"d","value":{"doubleValue":"1.5"}},{"key":"n","value":null},{"key":"e","value":{}}],
         "severityNumber":9,"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":null,"flags":1},
        {"timeUnixNano":6000,"body":{"stringValue":"b"}}],"scope":{"name":"late"}}],
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]}},
        {"scopeLogs":null}]}"#;
    let (found, rejected) = read(Encoding::Json, text.as_bytes()).unwrap();
    assert_eq!((found.len(), rejected), (2, 0));
    assert_eq!((found[0].0, &*found[0].1, found[1].0), (5, "svc", 6));
    let wanted = json!({
        "severity": "INFO", "severity_number": 9, "body": "aé\n", "scope": "late",
        "attributes": { "i": 7, "s": -8, "d": 1.5, "n": null, "e": null },
        "trace_id": "5b8efff798038103d269b633813fc60c",
    });
    assert_eq!(parsed(&found[0].2, &wanted), wanted);
    for bad in [
        "",
        "[]",
        "{\"resourceLogs\":{}}",
        "{\"resourceLogs\":[1]}",
        "{} x",
        "{\"resourceLogs\":[{}]",
    ] {
        assert!(
            matches!(read(Encoding::Json, bad.as_bytes()), Err(Refused::Malformed(_))),
            "{bad}"
        );
    }
}

#[test]
fn a_record_that_is_too_long_is_rejected_alone() {
    let body = |bytes: usize| {
        let value = Some(Any::StringValue("x".repeat(bytes)));
        LogRecord { body: Some(AnyValue { value }), ..LogRecord::default() }
    };
    let mut request = of_one(body(RAW_BYTES_MAX));
    request.resource_logs[0].scope_logs[0].log_records.extend([body(RAW_BYTES_MAX + 1), body(1)]);
    let (found, rejected) = read(Encoding::Protobuf, &request.encode_to_vec()).unwrap();
    let sizes: Vec<usize> = found.iter().map(|found| found.2.len()).collect();
    assert_eq!((sizes, rejected), (vec![RAW_BYTES_MAX, 1], 1));
}

#[test]
fn a_small_request_cannot_become_large() {
    // Empty records: two bytes each on the wire.
    let many = |count| {
        let logs =
            ScopeLogs { log_records: vec![LogRecord::default(); count], ..ScopeLogs::default() };
        ResourceLogs { scope_logs: vec![logs], ..ResourceLogs::default() }
    };
    let at_most = Request { resource_logs: vec![many(RECORDS_MAX)] };
    assert_eq!(read(Encoding::Protobuf, &at_most.encode_to_vec()).unwrap().0.len(), RECORDS_MAX);
    let more = Request { resource_logs: vec![many(RECORDS_MAX), many(1)] }.encode_to_vec();
    assert_eq!(read(Encoding::Protobuf, &more), Err(Refused::TooLarge("records")));
    // A resource of 100 KB, written into each of its records.
    let value = Some(AnyValue { value: Some(Any::StringValue("x".repeat(100_000))) });
    let attributes = vec![KeyValue { key: "k".into(), value, ..KeyValue::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let request = Request { resource_logs: vec![ResourceLogs { resource, ..many(1000) }] };
    for (encoding, bytes) in [
        (Encoding::Protobuf, request.encode_to_vec()),
        (Encoding::Json, serde_json::to_vec(&request).unwrap()),
    ] {
        assert!(matches!(read(encoding, &bytes), Err(Refused::TooLarge(_))), "{encoding:?}");
    }
}

#[test]
fn values_within_values_end_somewhere() {
    let nested = |depth: usize| {
        let mut value = AnyValue { value: Some(Any::IntValue(1)) };
        for _ in 0..depth {
            value = AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![value] })) };
        }
        of_one(LogRecord { body: Some(value), ..LogRecord::default() })
    };
    for (depth, is_taken) in [(31, true), (32, false), (5000, false)] {
        let request = nested(depth);
        let found = read(Encoding::Protobuf, &request.encode_to_vec());
        assert_eq!(found.is_ok(), is_taken, "{depth}");
        if depth < 100 {
            assert_eq!(read(Encoding::Json, &serde_json::to_vec(&request).unwrap()), found);
        }
        // What nests a value drops it one level a call; leaked, so that the deepest needs no stack.
        std::mem::forget(request);
    }
    let brackets = [&b"{\"resourceLogs\":"[..], &[b'['; 100_000]].concat();
    assert!(matches!(read(Encoding::Json, &brackets), Err(Refused::Malformed(_))));
}

#[test]
fn answers_are_what_exporters_read() {
    type Response = collector::ExportLogsServiceResponse;
    let taken = Response::decode(&Encoding::Protobuf.taken(0, "")[..]).unwrap();
    assert!(taken.partial_success.is_none());
    let partial = Response::decode(&Encoding::Protobuf.taken(300, "too long")[..]).unwrap();
    let partial = partial.partial_success.unwrap();
    assert_eq!((partial.rejected_log_records, &*partial.error_message), (300, "too long"));
    let text: Value = serde_json::from_slice(&Encoding::Json.taken(300, "too long")).unwrap();
    assert_eq!(
        text,
        json!({ "partialSuccess": { "rejectedLogRecords": "300", "errorMessage": "too long" } })
    );
    assert_eq!(Encoding::Json.taken(0, ""), b"{}");
    assert_eq!(Encoding::Protobuf.refused("no"), b"\x12\x02no");
    assert_eq!(Encoding::of("Application/JSON; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(Encoding::of("application/x-protobuf"), Some(Encoding::Protobuf));
    assert_eq!(Encoding::of("text/plain"), None);
}
