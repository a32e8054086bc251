//! Management over HTTP: NIP-86, authorised by NIP-98.
//!
//! ```text
//!   POST, content type application/nostr+json+rpc
//!     -> body, bounded -> auth: who -> call: what -> policy: kept, then in force -> {"result":..}
//!                                                 -> banevent: removed from the store as well
//! ```
//!
//! I1. What is answered with a result is durable.
//! I2. An event that is banned is refused from then on, and removed after that: it does not come back between.

mod auth;
#[cfg(not(test))]
mod base64;
#[cfg(test)]
pub(super) mod base64;
mod call;
#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;

use super::auth::hosts as auth_hosts;
use super::config::Config;
use super::front::Front;
use super::policy::{Policy, Subject};
use crate::base::Result;
use crate::nostr::EventStore;
use auth::{Guard, Refused, Url};
use call::Call;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The content type of a call.
const RPC: &str = "application/nostr+json+rpc";

/// Bytes of a call: many times the longest text that is kept.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Who may manage a relay, and what they manage.
pub(super) struct Manager {
    guard: Guard,
    /// What clients know the relay by; without any of its own, the address that it listens on. Never what a request
    /// names as its host: a relay that an admin manages too could pass on here what was signed for it.
    urls: Vec<Url>,
    policy: Arc<Policy>,
    store: Arc<EventStore>,
}

/// An answer: its status and its JSON.
type Answer = (StatusCode, Value);

fn error(status: StatusCode, text: impl Into<String>) -> Answer {
    (status, json!({ "error": text.into() }))
}

impl Manager {
    /// `None` if nobody may.
    pub(super) fn new(
        (config, address): (&Config, SocketAddr),
        policy: &Arc<Policy>,
        store: &Arc<EventStore>,
    ) -> Option<Manager> {
        let admins = config.policy.admins.clone();
        let urls = match &config.relay_urls[..] {
            [] => auth_hosts(config, address).iter().map(|host| Url::on(host, address)).collect(),
            urls => urls.iter().filter_map(|url| Url::parse(url)).collect(),
        };
        let (policy, store) = (policy.clone(), store.clone());
        (!admins.is_empty()).then(|| Manager { guard: Guard::new(admins), urls, policy, store })
    }

    /// Does what a call asks for. Blocks for disk.
    fn serve(&self, proof: &Proof, body: &[u8]) -> Answer {
        let request = auth::Request {
            header: proof.header.as_deref(),
            urls: &self.urls,
            body,
            now: proof.now,
        };
        let admin = match self.guard.admit(&request) {
            Ok(admin) => const_hex::encode(admin),
            Err(Refused::Unproven(why)) => return error(StatusCode::UNAUTHORIZED, why),
            Err(Refused::Forbidden) => {
                return error(StatusCode::FORBIDDEN, "this public key does not manage this relay");
            }
            Err(Refused::TooMany) => {
                return error(StatusCode::TOO_MANY_REQUESTS, "there are too many calls");
            }
        };
        let (method, call) = match Call::parse(body) {
            Ok(parsed) => parsed,
            Err(why) => return error(StatusCode::OK, why),
        };
        match self.make(&call) {
            Ok(result) => {
                tracing::info!(admin, method, "managed");
                (StatusCode::OK, json!({ "result": result }))
            }
            Err(why) => {
                tracing::warn!(admin, method, why, "a call was not done");
                error(StatusCode::OK, why)
            }
        }
    }

    fn make(&self, call: &Call) -> std::result::Result<Value, String> {
        let changes = !matches!(call, Call::List(..) | Call::Awaiting | Call::Methods);
        if changes {
            self.policy.manage(|managed| call.change(managed).unwrap_or(Ok(())))?;
        }
        if let Call::Set(rule, _) = call
            && let (false, Subject::Event(id)) = (rule.allow, &rule.subject)
        {
            self.remove(id).map_err(|error| {
                tracing::error!(%error, "an event that was banned could not be removed");
                format!("it is refused from now on, but could not be removed ({})", error.code())
            })?;
        }
        Ok(call.answer(&self.policy.managed()))
    }

    /// Removes an event from the store, if it is there (I2).
    fn remove(&self, id: &[u8; 32]) -> Result<()> {
        if let Some(event) = self.store.get(id)? {
            let engine = self.store.engine();
            // A shard's number is a route to it.
            let shard = engine.shard_number(event.as_ref().record());
            let _removed = engine.remove(shard as u64, &[*id])?;
        }
        Ok(())
    }
}

/// What of a request's head is looked at.
struct Proof {
    header: Option<String>,
    now: u64,
}

/// Whether a request is a call.
pub(super) fn is_call(method: &Method, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    *method == Method::POST && kind.trim().eq_ignore_ascii_case(RPC)
}

/// Answers a call: a status and the JSON of the body. The body must have come within `Limits::http`, as all of HTTP.
pub(super) async fn answer(
    front: &Front,
    manager: &Arc<Manager>,
    (request, from): (Request<Incoming>, IpAddr),
) -> (StatusCode, Vec<u8>) {
    front.counters.management_calls.add();
    let text = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_string)
    };
    let proof = Proof { header: text(header::AUTHORIZATION), now: front.now() };
    let (status, json) = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Err(_) => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a call has {BODY_BYTES_MAX} bytes at most"),
        ),
        Ok(body) => {
            let (manager, body) = (manager.clone(), body.to_bytes());
            // It writes to disk, and waits for it.
            let served = tokio::task::spawn_blocking(move || manager.serve(&proof, &body));
            served.await.unwrap_or_else(|_| {
                error(StatusCode::INTERNAL_SERVER_ERROR, "the call was not done")
            })
        }
    };
    if status != StatusCode::OK {
        let why = json["error"].as_str().unwrap_or("a call was refused");
        front.send_away(&front.counters.management_refused, from, why);
    }
    (status, json.to_string().into_bytes())
}
