//! Syslog by streams: connections, each with its framing and its deadlines.
//!
//! I1. All connections of the thread read into one buffer; a connection keeps what is left of a message alone.
//! I2. A message that has begun has a deadline from its first byte, however many bytes come meanwhile.
//! I3. However a connection ends, what there is of its last message is stored.

use super::config::Limits;
use super::sink::Sink;
use super::stats::{Stats, Way};
use super::syslog::frames::{Frame, Frames};
use super::syslog::message::trimmed;
use std::cell::RefCell;
use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Bytes that are read at once: half a batch of the shortest messages.
const READ_BYTES: usize = 16 * 1024;

/// Reads of a connection when the collector stops: what a sender has on its way.
const LAST_READS: usize = 64;

/// How long accepting pauses when the system has nothing left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the connections of a thread share.
struct Streams {
    sink: Rc<Sink>,
    limits: Limits,
    stop: watch::Receiver<bool>,
    buf: RefCell<Vec<u8>>,
}

/// Serves connections until the collector stops.
pub(super) async fn serve(
    listener: TcpListener,
    sink: Rc<Sink>,
    stats: Arc<Stats>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let (closing, most) = (limits.closing, limits.syslog_connections);
    let buf = RefCell::new(vec![0; READ_BYTES]);
    let streams = Rc::new(Streams { sink, limits, stop: stop.clone(), buf });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => stats.connected(Way::SyslogTcp, -1),
            accepted = listener.accept() => match accepted {
                // Closed at once: its sender tries again, or another collector.
                Ok(_) if connections.len() >= most => stats.refused(Way::SyslogTcp),
                Ok(_) if streams.sink.has_failed() => stats.refused(Way::SyslogTcp),
                Ok((stream, from)) => {
                    stats.connected(Way::SyslogTcp, 1);
                    connections.spawn_local(streams.clone().read(stream, from.ip()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    // Who has connected may have sent; of the system, since the runtime may not have looked yet.
    let Ok(waiting) = listener.into_std() else { return };
    while connections.len() < most
        && let Ok((stream, from)) = waiting.accept()
        && stream.set_nonblocking(true).is_ok()
        && let Ok(stream) = TcpStream::from_std(stream)
    {
        stats.connected(Way::SyslogTcp, 1);
        connections.spawn_local(streams.clone().read(stream, from.ip()));
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(closing, all_ended).await.is_err() {
        tracing::warn!("syslog connections did not end in time and are cut off");
    }
    connections.shutdown().await;
}

impl Streams {
    async fn read(self: Rc<Streams>, stream: TcpStream, from: IpAddr) {
        let mut frames = Frames::new(self.limits.message_bytes);
        let mut stop = self.stop.clone();
        let mut deadline = pin!(sleep(self.limits.idle));
        while self.sink.room().await {
            tokio::select! {
                // In this order, so that a deadline that passed while there was no room harms nobody.
                biased;
                _ = stop.wait_for(|stop| *stop) => {
                    self.last(stream, &mut frames, from).await;
                    break;
                }
                () = self.sink.failure() => break,
                readable = stream.readable() => if readable.is_err() { break },
                () = &mut deadline => break,
            }
            let was_partial = frames.is_partial();
            let read = |buf: &mut [u8]| stream.try_read(buf);
            let complete = match self.once(read, &mut frames, from) {
                Ok(Some(complete)) => complete,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(None) | Err(_) => break,
            };
            match frames.is_partial() {
                false => deadline.as_mut().reset(Instant::now() + self.limits.idle),
                // I2.
                true if was_partial && complete == 0 => {}
                true => deadline.as_mut().reset(Instant::now() + self.limits.partial),
            }
        }
        frames.end(|frame| self.take(frame, from));
    }

    /// Reads once, and gives how many messages were complete; `None` if the sender has closed.
    fn once(
        &self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        frames: &mut Frames,
        from: IpAddr,
    ) -> io::Result<Option<usize>> {
        let mut buf = self.buf.borrow_mut();
        let bytes = read(&mut buf)?;
        let mut complete = 0;
        frames.read(&buf[..bytes], |frame| {
            complete += 1;
            self.take(frame, from);
        });
        Ok((bytes > 0).then_some(complete))
    }

    /// Reads what has come already: of the system, since the runtime may not have looked yet.
    async fn last(&self, stream: TcpStream, frames: &mut Frames, from: IpAddr) {
        let Ok(mut stream) = stream.into_std() else { return };
        for _ in 0..LAST_READS {
            let read = |buf: &mut [u8]| stream.read(buf);
            if !matches!(self.once(read, frames, from), Ok(Some(_))) || !self.sink.room().await {
                return;
            }
        }
    }

    fn take(&self, frame: Frame<'_>, from: IpAddr) {
        if frame.is_cut {
            self.sink.cut();
        }
        // What stands between two ends, such as "\r\n\0", is no message.
        if !trimmed(frame.message).is_empty() {
            self.sink.take(frame.message, from, Way::SyslogTcp);
        }
    }
}
