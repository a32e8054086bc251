//! A listener for those who watch the relay: `/metrics`, `/health` and `/ready`, on an address of its own.
//!
//! One thread with a runtime of its own, so that it answers also when every front-end thread is busy.
//!
//! I1. At most [`WATCHERS_MAX`] connections are served at once, each for `Limits::http` at most.

use super::config::{Config, Metrics};
use super::http::{NOTHING, State, refusal, state};
use super::metrics::Vitals;
use crate::base::{Error, Result};
use crate::io::threads;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

/// Connections at once; whoever watches needs one or two.
const WATCHERS_MAX: usize = 32;

/// How long accepting pauses when the system has nothing left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running listener. Dropping it ends it.
pub(super) struct Scrape {
    address: SocketAddr,
    // Dropped before the thread, which it ends.
    _end: oneshot::Sender<()>,
    _thread: threads::Thread<()>,
}

#[derive(Clone)]
struct Times {
    head: Duration,
    http: Duration,
}

impl Scrape {
    /// Starts one if the configuration gives it an address.
    ///
    /// # Errors
    /// `Io` if that cannot be listened on.
    pub(super) fn start(config: &Config, vitals: &Arc<Vitals>) -> Result<Option<Scrape>> {
        let Metrics::At(listen) = config.metrics else { return Ok(None) };
        let cannot_listen = |error| Error::io("listen on", listen.to_string(), error);
        let (runtime, listener) = begin(listen).map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let times = Times { head: config.limits.head, http: config.limits.http };
        let (end, ended) = oneshot::channel();
        let vitals = vitals.clone();
        let thread = threads::spawn("ratite-metrics", move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, vitals, times) => {}
                    // Dropped with the relay.
                    _ = ended => {}
                }
            });
        });
        tracing::info!(%address, "metrics are served");
        Ok(Some(Scrape { address, _end: end, _thread: thread }))
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

fn begin(listen: SocketAddr) -> io::Result<(Runtime, TcpListener)> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    Ok((Builder::new_current_thread().enable_all().build()?, listener))
}

async fn accept(listener: TcpListener, vitals: Arc<Vitals>, times: Times) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "metrics are not served"),
    };
    let room = Arc::new(Semaphore::new(WATCHERS_MAX));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _from)) => {
                let (vitals, times) = (vitals.clone(), times.clone());
                tokio::spawn(async move {
                    serve(stream, vitals, times).await;
                    drop(place);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, vitals: Arc<Vitals>, times: Times) {
    let service = service_fn(|request| {
        let vitals = vitals.clone();
        async move { Ok::<_, Infallible>(respond(&vitals, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .serve_connection(TokioIo::new(stream), service);
    // How it ended is between the watcher and its own log.
    let _ended = timeout(times.http, connection).await;
}

async fn respond(vitals: &Arc<Vitals>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    }
    match State::at(request.uri().path()) {
        Some(asked) => state(vitals, asked).await,
        None => refusal(StatusCode::NOT_FOUND, NOTHING),
    }
}
