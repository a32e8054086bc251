//! What a request is answered, in the encoding that it came in.
//!
//! ```text
//!   taken          ExportLogsServiceResponse, empty             {}
//!   taken in part  1 { 1 rejected, 2 message }                  {"partialSuccess":{"rejectedLogRecords":"1",...}}
//!   not taken      google.rpc.Status 2 message                  {"message":"..."}
//! ```

use super::wire::{push_bytes, push_number};
use serde_json::json;

/// How a request and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// The encoding that a media type names, its parameters aside.
    pub(crate) fn of(media_type: &str) -> Option<Encoding> {
        let name = media_type.split(';').next().unwrap_or_default().trim();
        [Encoding::Protobuf, Encoding::Json]
            .into_iter()
            .find(|encoding| name.eq_ignore_ascii_case(encoding.media_type()))
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    /// That the records were taken, but for so many.
    pub(crate) fn taken(self, rejected: u64, why: &str) -> Vec<u8> {
        match (self, rejected) {
            (Encoding::Protobuf, 0) => Vec::new(),
            (Encoding::Json, 0) => b"{}".to_vec(),
            (Encoding::Protobuf, _) => {
                let (mut partial, mut response) = (Vec::new(), Vec::new());
                push_number(1, rejected, &mut partial);
                push_bytes(2, why.as_bytes(), &mut partial);
                push_bytes(1, &partial, &mut response);
                response
            }
            (Encoding::Json, _) => {
                let partial =
                    json!({ "rejectedLogRecords": rejected.to_string(), "errorMessage": why });
                json!({ "partialSuccess": partial }).to_string().into_bytes()
            }
        }
    }

    /// That nothing was taken, and why.
    pub(crate) fn refused(self, why: &str) -> Vec<u8> {
        match self {
            Encoding::Protobuf => {
                let mut status = Vec::new();
                push_bytes(2, why.as_bytes(), &mut status);
                status
            }
            Encoding::Json => json!({ "message": why }).to_string().into_bytes(),
        }
    }
}
