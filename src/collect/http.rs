//! OTLP requests and figures over HTTP.
//!
//! ```text
//!   POST /v1/logs   200 durable, 400 no such request, 413 too large, 415 another encoding, 429 no room now,
//!                   503 too slow, or the store does not take it; the last two say when to come again
//!   GET /healthz    200            GET /ready   200 or 503 with the reasons            GET /metrics
//! ```
//!
//! Which statuses an exporter repeats a request on is fixed by the OTLP specification: 429, 502, 503, 504. All else
//! is final, so nothing that may be mended is answered with it.
//!
//! I1. A request is answered with 200 when all its records are as durable as the sync mode says. Without an answer,
//!     and after 503, they may be stored: an exporter that repeats a request may store it twice.

use super::batch::Batch;
use super::body::{self, Unread};
use super::config::Limits;
use super::names::Sources;
use super::otlp::answer::Encoding;
use super::otlp::intake::{Intake, Refused};
use super::otlp::{json, protobuf};
use super::server::Vitals;
use super::stats::{Dropped, MEDIA_TYPE, Way};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Where OTLP's logs go.
const LOGS: &str = "/v1/logs";

/// Headers of one request, and their bytes.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long accepting pauses when the system has nothing left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Seconds after which a request may come again: for which there was no room, and that the store did not take.
const NO_ROOM_SECONDS: &str = "1";
const FAILED_SECONDS: &str = "5";

type Answer = Response<Full<Bytes>>;

/// What the connections of the thread share.
struct Front {
    vitals: Arc<Vitals>,
    limits: Limits,
    /// For the bytes of requests that are being read or appended.
    room: Semaphore,
    sources: RefCell<Sources>,
}

/// Serves connections until the collector stops.
pub(super) async fn serve(
    listener: TcpListener,
    vitals: Arc<Vitals>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let (room, sources) = (Semaphore::new(limits.in_flight_bytes), RefCell::default());
    let stats = vitals.stats.clone();
    let front = Rc::new(Front { vitals, limits, room, sources });
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => stats.connected(Way::Otlp, -1),
            accepted = listener.accept() => match accepted {
                Ok(_) if connections.len() >= front.limits.http_connections => stats.refused(Way::Otlp),
                Ok((stream, _from)) => {
                    stats.connected(Way::Otlp, 1);
                    connections.spawn_local(connection(front.clone(), stream, stopped.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(front.limits.closing, all_ended).await.is_err() {
        tracing::warn!("HTTP connections did not end in time and are cut off");
    }
    connections.shutdown().await;
}

async fn connection(front: Rc<Front>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(respond(&front, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is between the client and its own log.
        _ended = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

async fn respond(front: &Front, request: Request<Incoming>) -> Answer {
    let is_get = request.method() == Method::GET || request.method() == Method::HEAD;
    match request.uri().path() {
        LOGS if request.method() == Method::POST => logs(front, request).await,
        LOGS => {
            with(text(StatusCode::METHOD_NOT_ALLOWED, "POST logs here\n"), header::ALLOW, "POST")
        }
        _ if !is_get => {
            let answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
            with(answer, header::ALLOW, "GET, HEAD")
        }
        "/healthz" => text(StatusCode::OK, "healthy\n"),
        "/ready" => {
            let readiness = front.vitals.readiness();
            let status = match readiness.is_ready() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            answer(status, "application/json", readiness.json())
        }
        "/metrics" => answer(StatusCode::OK, MEDIA_TYPE, front.vitals.metrics()),
        _ => text(StatusCode::NOT_FOUND, "there are /v1/logs, /healthz, /ready and /metrics\n"),
    }
}

/// Takes an OTLP request.
async fn logs(front: &Front, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let answer = match how(&parts.headers) {
        Ok((encoding, is_packed)) => match take(front, body, encoding, is_packed).await {
            Ok(rejected) => {
                let why = "a record has at most 1048576 bytes";
                reply(encoding, StatusCode::OK, encoding.taken(rejected, why))
            }
            Err(refusal) => refusal.answer(encoding),
        },
        Err(why) => text(StatusCode::UNSUPPORTED_MEDIA_TYPE, why),
    };
    front.vitals.stats.answered(match answer.status() {
        StatusCode::OK => "200",
        StatusCode::BAD_REQUEST => "400",
        StatusCode::PAYLOAD_TOO_LARGE => "413",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "415",
        StatusCode::TOO_MANY_REQUESTS => "429",
        _ => "503",
    });
    answer
}

/// How a request is written, and whether it is packed.
fn how(headers: &HeaderMap) -> Result<(Encoding, bool), &'static str> {
    let text = |name| headers.get(name).map_or(Some(""), |value: &HeaderValue| value.to_str().ok());
    let encoding = text(header::CONTENT_TYPE).and_then(Encoding::of);
    let encoding = encoding.ok_or("send application/x-protobuf or application/json\n")?;
    match text(header::CONTENT_ENCODING).map(str::to_ascii_lowercase).as_deref() {
        Some("" | "identity") => Ok((encoding, false)),
        Some("gzip") => Ok((encoding, true)),
        _ => Err("send it packed with gzip, or not packed\n"),
    }
}

/// A request that is not taken: its status, and why.
struct Refusal(StatusCode, String);

impl Refusal {
    fn answer(self, encoding: Encoding) -> Answer {
        let Refusal(status, why) = self;
        let answer = reply(encoding, status, encoding.refused(&why));
        match status {
            StatusCode::TOO_MANY_REQUESTS => with(answer, header::RETRY_AFTER, NO_ROOM_SECONDS),
            StatusCode::SERVICE_UNAVAILABLE => with(answer, header::RETRY_AFTER, FAILED_SECONDS),
            _ => answer,
        }
    }

    fn no_room() -> Refusal {
        Refusal(StatusCode::TOO_MANY_REQUESTS, "there is no room for more requests now".into())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            Refused::Malformed(why) => Refusal(StatusCode::BAD_REQUEST, why),
            Refused::TooLarge(what) => {
                Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("too many {what} in one request"))
            }
        }
    }
}

/// Stores what a request has, and gives how many of its records were not taken.
async fn take(
    front: &Front,
    body: Incoming,
    encoding: Encoding,
    is_packed: bool,
) -> Result<u64, Refusal> {
    let most = front.limits.request_bytes;
    let unread = |unread| match unread {
        Unread::TooLarge => Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request has at most {most} bytes, unpacked as well"),
        ),
        Unread::NoRoom => Refusal::no_room(),
        Unread::Broken => Refusal(StatusCode::BAD_REQUEST, "its body ended early".into()),
        Unread::Corrupt => Refusal(StatusCode::BAD_REQUEST, "it is not packed with gzip".into()),
    };
    let held = timeout(front.limits.body, body::read(body, most, &front.room)).await;
    let late = |_| Refusal(StatusCode::SERVICE_UNAVAILABLE, "its body took too long".into());
    let held = held.map_err(late)?.map_err(unread)?;
    // From here to the batch nothing waits, so that one request at a time is unpacked and read.
    let (batch, rejected) = {
        let unpacked = is_packed.then(|| body::unpack(&held.bytes, most)).transpose();
        let unpacked = unpacked.map_err(unread)?;
        let bytes = unpacked.as_deref().unwrap_or(&held.bytes);
        let mut sources = front.sources.borrow_mut();
        let mut intake = Intake::new(front.vitals.now(), &mut sources);
        match encoding {
            Encoding::Protobuf => protobuf::read(bytes, &mut intake)?,
            Encoding::Json => json::read(bytes, &mut intake)?,
        }
        intake.end()
    };
    drop(held);
    append(front, &batch).await?;
    front.vitals.stats.dropped(Dropped::TooLong, rejected as usize);
    Ok(rejected)
}

/// Appends a request's records, once there is room for them to be under way.
async fn append(front: &Front, batch: &Batch) -> Result<(), Refusal> {
    if batch.is_empty() {
        return Ok(());
    }
    let bytes = batch.memory_bytes().min(front.limits.in_flight_bytes);
    let room = front.room.acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX));
    let Ok(Ok(_room)) = timeout(front.limits.room, room).await else {
        return Err(Refusal::no_room());
    };
    let begin = front.vitals.nanos();
    match batch.append(&front.vitals.store).await {
        Ok(()) => {
            let stats = &front.vitals.stats;
            stats.appended(front.vitals.nanos().saturating_sub(begin));
            stats.stored(Way::Otlp, batch.len(), batch.raw_bytes());
            Ok(())
        }
        Err(error) => {
            // The shard has said once that the disk is full.
            if !error.is_disk_full() {
                tracing::error!(%error, records = batch.len(), "an OTLP request cannot be stored");
            }
            let why = format!("the store does not take it: {}", error.code());
            Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why))
        }
    }
}

fn reply(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Answer {
    answer(status, encoding.media_type(), body)
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    answer(status, "text/plain", text)
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    with(answer, header::CONTENT_TYPE, kind)
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
