//! A socket whose last answer arrives: its end is gentle.
//!
//! ```text
//!   answer written -> our half closed -> what the client still sends is read and dropped -> closed
//! ```
//!
//! A socket that is closed with bytes unread resets the connection, and the reset overtakes the answer: a
//! client in the middle of too long a head would see a broken pipe where it was told 431. RFC 9112, 9.6,
//! describes the remedy.
//!
//! It also knows whether its client takes what is written.
//!
//! I1. It ends when the client closes, after [`DRAIN_BYTES_MAX`], or after [`DRAIN_TIME_MAX`], whichever
//!     comes first. Then a reset is all that is left.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// What is read and dropped at most: many times the largest head.
const DRAIN_BYTES_MAX: usize = 256 * 1024;

/// How long the client may take to notice that it was answered.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// A socket as HTTP sees it.
pub(super) struct Lingering {
    stream: TcpStream,
    /// Whether what was written last found no room. One thread's own; hyper asks for what could be sent to others.
    is_blocked: Arc<AtomicBool>,
    drained: usize,
    /// Set when our half is closed.
    end: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    /// `is_blocked` is set as long as the client does not take what is written to it.
    pub(super) fn new(stream: TcpStream, is_blocked: Arc<AtomicBool>) -> Lingering {
        Lingering { stream, is_blocked, drained: 0, end: None }
    }

    /// The socket itself, for what is not HTTP.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.is_blocked.store(written.is_pending(), Relaxed);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.is_blocked.store(written.is_pending(), Relaxed);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.end.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let end = this.end.get_or_insert_with(|| Box::pin(sleep(DRAIN_TIME_MAX)));
        let mut dropped = [0; 4096];
        while this.drained < DRAIN_BYTES_MAX && end.as_mut().poll(context).is_pending() {
            let mut buf = ReadBuf::new(&mut dropped);
            // A client that resets the connection has ended it.
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buf));
            match (read, buf.filled().len()) {
                (Ok(()), bytes @ 1..) => this.drained += bytes,
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
