//! The HTTP in front of the websocket: handshake, NIP-11, a page, and short answers to all else.
//!
//! ```text
//!   GET with Upgrade: websocket            -> 101, then `connection`
//!   GET with Accept: application/nostr+json, GET /nip11 -> the document
//!   POST of application/nostr+json+rpc     -> `manage`
//!   OPTIONS                                -> 204, for browsers that ask before
//!   GET /                                  -> the page; /stats.json, its figures
//!   GET /health, /ready                    -> how the relay is; /metrics, if that is public
//!   HEAD                                   -> the head of what GET is answered
//! ```
//!
//! I1. A connection is in this phase for `Limits::http` at most, its first head for `Limits::head`.

use super::client::Client;
use super::config::Metrics;
use super::connection::{self, websocket_config};
use super::deflate;
use super::doors::Entry;
use super::front::Front;
use super::held::Halves;
use super::linger::Lingering;
use super::manage;
use super::metrics::{Asked, MEDIA_TYPE, Vitals};
use super::transport::{Frames, Transport};
use super::{info, page};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Headers of one request.
const HEADERS_MAX: usize = 64;

/// Characters of a `Sec-WebSocket-Key`: 16 bytes in base64.
const KEY_CHARS: usize = 24;

const NOSTR_JSON: &str = "application/nostr+json";

/// Serves one connection from its first byte to its last.
pub(super) async fn serve(
    front: Rc<Front>,
    vitals: Arc<Vitals>,
    stream: TcpStream,
    entry: Entry,
    mut stop: watch::Receiver<bool>,
) {
    let limits = front.limits();
    let (upgrade, entry) = (Cell::new(None), RefCell::new(entry));
    let (is_answered, is_blocked) = (Cell::new(false), Arc::new(AtomicBool::new(false)));
    let service = service_fn(async |request| {
        is_answered.set(true);
        Ok::<_, Infallible>(respond(&front, &vitals, request, &entry, &upgrade).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .max_header_size(limits.head_bytes)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Lingering::new(stream, is_blocked.clone())), service)
        .with_upgrades();
    tokio::select! {
        ended = timeout(limits.http, connection) => {
            let from = entry.borrow().from();
            if ended.is_err() && is_blocked.load(Relaxed) {
                let why = "this client does not take the answers to its requests";
                front.send_away(&front.counters.slow_clients, from, why);
            }
            let why = match ended {
                Err(_) => Some("no request came in time"),
                Ok(ended) => ended.err().as_ref().and_then(unread),
            };
            // Who was answered and stays silent behind it does nothing unusual.
            if let Some(why) = why.filter(|_| !is_answered.get()) {
                front.send_away(&front.counters.heads_refused, from, why);
            }
        }
        _ = stop.wait_for(|stop| *stop) => return,
    }
    let Some((upgrade, is_compressed)) = upgrade.take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Lingering>>() else { return };
    let frames = || Frames::new(front.deflate.clone(), limits.message_bytes);
    let frames = is_compressed.then(frames);
    let stream = parts.io.into_inner().into_inner();
    let incoming = Halves::of(&front.incoming);
    let transport = Transport::new(stream, &parts.read_buf, frames, incoming.clone());
    let config = Some(websocket_config(limits));
    let socket = WebSocketStream::from_raw_socket(transport, Role::Server, config).await;
    let client = Client::new(&front.policy, entry.borrow().from());
    connection::run(front, (socket, incoming), client, is_compressed).await;
}

/// What was wrong with what came instead of a request; nothing, if the client just went.
fn unread(error: &hyper::Error) -> Option<&'static str> {
    match error {
        error if error.is_timeout() => Some("no request came in time"),
        error if error.is_parse_too_large() => Some("the head of a request is too long"),
        error if error.is_parse() => Some("what came is no request"),
        _ => None,
    }
}

async fn respond(
    front: &Front,
    vitals: &Arc<Vitals>,
    mut request: Request<Incoming>,
    entry: &RefCell<Entry>,
    upgrade: &Cell<Option<(OnUpgrade, bool)>>,
) -> Response<Full<Bytes>> {
    front.counters.http_answers.add();
    let headers = request.headers();
    if let Some(refused) = turn_away(front, headers, entry) {
        return refused;
    }
    if let Some(manager) = &front.manager
        && manage::is_call(request.method(), headers)
    {
        let from = entry.borrow().from();
        let (status, json) = manage::answer(front, manager, (request, from)).await;
        let mut response = open(answer(status, "application/json", json));
        if status == StatusCode::UNAUTHORIZED {
            put(&mut response, header::WWW_AUTHENTICATE, "Nostr");
        }
        return response;
    }
    let route = route(request.method(), request.version(), request.uri().path(), headers);
    match route {
        Route::Websocket(accept) => {
            let is_compressed = front.config.compression && offers_deflate(headers);
            upgrade.set(Some((hyper::upgrade::on(&mut request), is_compressed)));
            let switching = StatusCode::SWITCHING_PROTOCOLS;
            let mut response = answer(switching, "", Bytes::new());
            put(&mut response, header::CONNECTION, "Upgrade");
            put(&mut response, header::UPGRADE, "websocket");
            put(&mut response, header::SEC_WEBSOCKET_ACCEPT, &accept);
            if is_compressed {
                put(&mut response, header::SEC_WEBSOCKET_EXTENSIONS, deflate::ACCEPTED);
            }
            response
        }
        Route::Document => {
            let searches = !front.store.search_kinds().is_off();
            let document = info::document(&front.config, &front.policy, searches);
            open(answer(StatusCode::OK, NOSTR_JSON, document))
        }
        Route::Preflight => open(answer(StatusCode::NO_CONTENT, "", Bytes::new())),
        Route::Page => the_page(front, headers),
        Route::State(State::Metrics) if front.config.metrics != Metrics::Public => {
            refusal(StatusCode::NOT_FOUND, NOTHING)
        }
        Route::State(asked) => state(vitals, asked).await,
        Route::Refused(status, text) => refusal(status, text),
    }
}

/// The answer to what is asked of how the relay is.
pub(super) async fn state(vitals: &Arc<Vitals>, asked: State) -> Response<Full<Bytes>> {
    const JSON: &str = "application/json";
    let vitals = vitals.clone();
    // It looks at files, which may take long.
    let looked = tokio::task::spawn_blocking(move || match asked {
        State::Health => answer(StatusCode::OK, JSON, "{\"healthy\":true}"),
        State::Figures => answer(StatusCode::OK, JSON, vitals.answer(Asked::Figures).to_string()),
        State::Metrics => {
            answer(StatusCode::OK, MEDIA_TYPE, vitals.answer(Asked::Metrics).to_string())
        }
        State::Readiness => {
            let readiness = vitals.readiness();
            let status = match readiness.is_ready() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            answer(status, JSON, readiness.json())
        }
    });
    let failed = |_| answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "it failed\n");
    let mut response = looked.await.unwrap_or_else(failed);
    put(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

pub(super) fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = answer(status, "text/plain", text);
    match status {
        StatusCode::METHOD_NOT_ALLOWED => put(&mut response, header::ALLOW, "GET, HEAD, OPTIONS"),
        StatusCode::UPGRADE_REQUIRED => {
            put(&mut response, header::SEC_WEBSOCKET_VERSION, "13");
        }
        _ => {}
    }
    response
}

fn the_page(front: &Front, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let secure = text(HeaderName::from_static("x-forwarded-proto")) == Some("https");
    let nonce = page::nonce(&front.store);
    let html = page::html(&front.config, &front.policy.told(), (host, secure), &nonce);
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", html);
    put(&mut response, header::CONTENT_SECURITY_POLICY, &page::policy(host, &nonce));
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, header::REFERRER_POLICY, "no-referrer");
    response
}

/// What may be asked of how the relay is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// That it answers.
    Health,
    /// Whether clients should be sent here.
    Readiness,
    /// Everything, for Prometheus.
    Metrics,
    /// What the page shows.
    Figures,
}

impl State {
    /// What is asked for at a path.
    pub(super) fn at(path: &str) -> Option<State> {
        match path {
            "/health" => Some(State::Health),
            "/ready" => Some(State::Readiness),
            "/metrics" => Some(State::Metrics),
            "/stats.json" => Some(State::Figures),
            _ => None,
        }
    }
}

/// What is said where nothing is.
pub(super) const NOTHING: &str = "nothing is here\n";

/// The answer to a client that may not come in, now that its proxy has said who it is; from here on the connection
/// counts as its own.
fn turn_away(
    front: &Front,
    headers: &HeaderMap,
    entry: &RefCell<Entry>,
) -> Option<Response<Full<Bytes>>> {
    let mut entry = entry.borrow_mut();
    let from = front.policy.proxies().client(entry.from(), headers);
    let refused = |status, text: &'static str| {
        front.send_away(&front.counters.connections_refused, from, text);
        Some(answer(status, "text/plain", text))
    };
    match front.policy.admit_address(from) {
        Err(refusal) => refused(StatusCode::FORBIDDEN, refusal.0),
        Ok(()) if entry.move_to(from) => None,
        Ok(()) => {
            refused(StatusCode::TOO_MANY_REQUESTS, "too many connections from this address\n")
        }
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq)]
enum Route {
    /// The handshake is right; this is the `Sec-WebSocket-Accept`.
    Websocket(String),
    Document,
    Preflight,
    Page,
    State(State),
    Refused(StatusCode, &'static str),
}

fn route(method: &Method, version: Version, path: &str, headers: &HeaderMap) -> Route {
    if method == Method::OPTIONS {
        return Route::Preflight;
    }
    // hyper leaves out the body of an answer to HEAD, and says its length.
    if method != Method::GET && method != Method::HEAD {
        return Route::Refused(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    }
    if method == Method::GET && headers.contains_key(header::UPGRADE) {
        return websocket(version, headers);
    }
    // Behind a proxy the relay may stand under any path; its document is found on the same.
    if has_token(headers, header::ACCEPT, NOSTR_JSON) || path == info::DOCUMENT_PATH {
        return Route::Document;
    }
    match (path, State::at(path)) {
        (_, Some(state)) => Route::State(state),
        ("/", _) => Route::Page,
        _ => Route::Refused(StatusCode::NOT_FOUND, NOTHING),
    }
}

/// The server's side of the handshake of RFC 6455, 4.2.1.
fn websocket(version: Version, headers: &HeaderMap) -> Route {
    let bad = |why| Route::Refused(StatusCode::BAD_REQUEST, why);
    if version != Version::HTTP_11 {
        return bad("a websocket needs HTTP/1.1\n");
    }
    if !has_token(headers, header::UPGRADE, "websocket") {
        return bad("the only upgrade here is to websocket\n");
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return bad("the Connection header does not say Upgrade\n");
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Route::Refused(StatusCode::UPGRADE_REQUIRED, "the websocket version here is 13\n");
    }
    match headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes) {
        Some(key) if key.len() == KEY_CHARS && key.ends_with(b"==") => {
            Route::Websocket(derive_accept_key(key))
        }
        _ => bad("the Sec-WebSocket-Key is not 16 bytes in base64\n"),
    }
}

/// Whether the client offers a compression that is understood here.
fn offers_deflate(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).into_iter();
    offers.filter_map(|offer| offer.to_str().ok()).any(deflate::is_offered)
}

/// Whether one of the comma-separated values of a header is `token`, parameters aside.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| {
        let value = value.split(';').next().unwrap_or_default();
        value.trim().eq_ignore_ascii_case(token)
    })
}

pub(super) fn answer(
    status: StatusCode,
    kind: &str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    if !kind.is_empty() {
        put(&mut response, header::CONTENT_TYPE, kind);
    }
    response
}

/// Lets pages of any origin read the answer, as NIP-11 demands.
fn open(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    put(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    put(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "*");
    put(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS");
    response
}

fn put(response: &mut Response<Full<Bytes>>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn get(path: &str, lines: &[(&'static str, &str)]) -> Route {
        route(&Method::GET, Version::HTTP_11, path, &headers(lines))
    }

    #[test]
    fn requests_find_their_answers() {
        let status = |route| match route {
            Route::Refused(status, _) => status.as_u16(),
            other => panic!("{other:?}"),
        };
        assert_eq!(get("/", &[]), Route::Page);
        assert_eq!(get("/nip11", &[]), Route::Document);
        assert_eq!(status(get("/x", &[])), 404);
        let accept = "text/html, Application/Nostr+JSON; q=0.9";
        assert_eq!(get("/x", &[("accept", accept)]), Route::Document);
        let other = |method| route(&method, Version::HTTP_11, "/", &HeaderMap::new());
        assert_eq!(other(Method::OPTIONS), Route::Preflight);
        assert_eq!(status(other(Method::POST)), 405);
        assert_eq!(other(Method::HEAD), Route::Page);
        assert_eq!(get("/ready", &[]), Route::State(State::Readiness));
    }

    #[test]
    fn only_a_right_handshake_is_accepted() {
        // The example of RFC 6455, 1.3.
        let right = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(get("/any", &right), Route::Websocket(accept.into()));
        for (i, wrong) in ["h2c", "close", "12", "abc"].into_iter().enumerate() {
            let mut lines = right;
            lines[i].1 = wrong;
            let expected = if i == 2 { 426 } else { 400 };
            let Route::Refused(status, _) = get("/", &lines) else { panic!("{wrong}") };
            assert_eq!(status.as_u16(), expected, "{wrong}");
        }
        let old = route(&Method::GET, Version::HTTP_10, "/", &headers(&right));
        assert!(matches!(old, Route::Refused(StatusCode::BAD_REQUEST, _)));
    }
}
