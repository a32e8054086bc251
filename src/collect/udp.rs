//! Syslog by datagrams: each is a message.
//!
//! I1. What the kernel has is read as long as there is room; beyond that the kernel drops, and counts.
//! I2. When the collector stops, what the kernel has already is still taken.

use super::sink::Sink;
use super::stats::Way;
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

/// Bytes of the largest datagram, and one more.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// Datagrams that are read before other tasks of the thread have their turn.
const BURST: usize = 256;

/// How long reading pauses when the system refuses it.
const PAUSE: Duration = Duration::from_millis(100);

/// Datagrams that are taken when the collector stops: more than any buffer of the kernel holds.
const LAST: usize = 1 << 16;

/// Takes datagrams until the collector stops.
pub(super) async fn receive(socket: UdpSocket, sink: Rc<Sink>, mut stop: watch::Receiver<bool>) {
    let mut buf = vec![0; DATAGRAM_BYTES];
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            readable = socket.readable() => if readable.is_err() {
                sleep(PAUSE).await;
                continue;
            },
        }
        if !sink.has_failed() {
            sink.room().await;
        }
        if !burst(&socket, &sink, &mut buf) {
            sleep(PAUSE).await;
        }
        yield_now().await;
    }
    last(socket, &sink, &mut buf).await;
}

/// Takes what is there, as long as there is room and others can wait; false if the system refuses.
fn burst(socket: &UdpSocket, sink: &Sink, buf: &mut [u8]) -> bool {
    for _ in 0..BURST {
        match socket.try_recv_from(buf) {
            Ok((bytes, from)) => sink.take(&buf[..bytes], from.ip(), Way::SyslogUdp),
            Err(error) if error.kind() == WouldBlock => return true,
            Err(error) if error.kind() == Interrupted => {}
            Err(_) => return false,
        }
        if sink.is_full() {
            return true;
        }
    }
    true
}

/// Takes what has come already: of the system, since the runtime may not have looked yet.
async fn last(socket: UdpSocket, sink: &Sink, buf: &mut [u8]) {
    let Ok(socket) = socket.into_std() else { return };
    for _ in 0..LAST {
        let Ok((bytes, from)) = socket.recv_from(buf) else { return };
        sink.take(&buf[..bytes], from.ip(), Way::SyslogUdp);
        if !sink.room().await {
            return;
        }
    }
}
