//! The HTTP in front of the websocket: handshake, NIP-11, a page, and short answers to all else.
//!
//! ```text
//!   GET with Upgrade: websocket            -> 101, then `connection`
//!   GET with Accept: application/nostr+json, GET /nip11 -> the document
//!   OPTIONS                                -> 204, for browsers that ask before
//!   GET /                                  -> the page
//!   HEAD                                   -> the head of what GET is answered
//! ```
//!
//! I1. A connection is in this phase for `Limits::http` at most, its first head for `Limits::head`.

use super::connection::{self, websocket_config};
use super::deflate;
use super::front::Front;
use super::info;
use super::linger::Lingering;
use super::transport::{Frames, Transport};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
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
pub(super) async fn serve(front: Rc<Front>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
    let limits = front.limits();
    let upgrade = Rc::new(Cell::new(None));
    let service = service_fn(|request| {
        let response = respond(&front, request, &upgrade);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .max_header_size(limits.head_bytes)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service)
        .with_upgrades();
    tokio::select! {
        // How plain HTTP ended is between the client and its own log.
        _ = timeout(limits.http, connection) => {}
        _ = stop.wait_for(|stop| *stop) => return,
    }
    let Some((upgrade, is_compressed)) = upgrade.take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Lingering>>() else { return };
    let frames = || Frames::new(front.deflate.clone(), limits.message_bytes);
    let frames = is_compressed.then(frames);
    let stream = parts.io.into_inner().into_inner();
    let transport = Transport::new(stream, &parts.read_buf, frames);
    let config = Some(websocket_config(limits));
    let socket = WebSocketStream::from_raw_socket(transport, Role::Server, config).await;
    connection::run(front, socket, is_compressed).await;
}

fn respond(
    front: &Front,
    mut request: Request<Incoming>,
    upgrade: &Cell<Option<(OnUpgrade, bool)>>,
) -> Response<Full<Bytes>> {
    front.counters.http_answers.add();
    let headers = request.headers();
    match route(request.method(), request.version(), request.uri().path(), headers) {
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
            let document = info::document(&front.config, searches);
            open(answer(StatusCode::OK, NOSTR_JSON, document))
        }
        Route::Preflight => open(answer(StatusCode::NO_CONTENT, "", Bytes::new())),
        Route::Page => page(front, headers),
        Route::Refused(status, text) => {
            let mut response = answer(status, "text/plain", text);
            match status {
                StatusCode::METHOD_NOT_ALLOWED => {
                    put(&mut response, header::ALLOW, "GET, HEAD, OPTIONS")
                }
                StatusCode::UPGRADE_REQUIRED => {
                    put(&mut response, header::SEC_WEBSOCKET_VERSION, "13");
                }
                _ => {}
            }
            response
        }
    }
}

fn page(front: &Front, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let secure = text(HeaderName::from_static("x-forwarded-proto")) == Some("https");
    let stats = front.store.engine().stats();
    let live = |s: &crate::shard::ShardStats| {
        let dead = s.segment_dead + s.memtable_dead;
        // The figures are of one moment each, and so may contradict one another.
        (s.segment_records + s.memtable_records).saturating_sub(dead)
    };
    let events = stats.iter().map(live).sum();
    let page = info::page(&front.config, host, secure, events);
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", page);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    put(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What a request asks for.
#[derive(Debug, PartialEq)]
enum Route {
    /// The handshake is right; this is the `Sec-WebSocket-Accept`.
    Websocket(String),
    Document,
    Preflight,
    Page,
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
    match path {
        "/" => Route::Page,
        _ => Route::Refused(StatusCode::NOT_FOUND, "nothing is here\n"),
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

fn answer(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
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
    put(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
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
