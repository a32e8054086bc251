//! One client's websocket: frames in, messages out, deadlines, and a decent end.
//!
//! ```text
//!   frames --> session --> outbox --> writer --> socket       all one task
//!                 ^ feed ----^
//! ```
//!
//! I1. Reading stops while the session has too much under way or the outbox is full, so that a
//!     client that does not read its answers is not read either.
//! I2. A connection that the relay ends is told why, and given a bounded time to hear it.
//! I3. However much a client sends, others on its thread have their turn when what it sends has taken `TURN`.

use super::client::Client;
use super::deflate::Deflate;
use super::front::Front;
use super::held::Halves;
use super::limits::Limits;
use super::outbox::{Ending, Outbox};
use super::reply;
use super::session::Session;
use super::transport::Transport;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

pub(super) type Socket = WebSocketStream<Transport>;
type Sink = SplitSink<Socket, Message>;

/// How long a client that was told goodbye may take to hang up. Without this wait, closing while it
/// still sends would reset the connection, and what was said last would be lost.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Pings in a row that are answered while the client does not read: each answer is queued.
const BLIND_PINGS_MAX: u32 = 32;

/// Bytes read from a socket at once. Allocated with the connection; most are idle.
const READ_BYTES: usize = 8 * 1024;

/// How long messages of one client are decoded and taken in a row while there are more: an event takes some 25 us to
/// check, and without an end to it a megabyte of them would be checked before anybody else is served. Much less would
/// have answers sent one by one.
const TURN: Duration = Duration::from_micros(400);

/// Bytes gathered before they are written to a socket, if more follow at once.
const WRITE_BYTES: usize = 64 * 1024;

/// The websocket's own settings. Its write buffer needs no limit: the outbox has it.
pub(super) fn websocket_config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes))
}

/// Why a connection ends.
enum End {
    /// There is nobody to talk to.
    Gone,
    /// The client said goodbye.
    Closed,
    /// The client does not answer pings.
    Silent,
    /// The client does not read.
    Slow,
    /// The relay stops.
    Stop,
    /// The client did what is not allowed.
    Refused(CloseCode, &'static str),
}

/// Serves a client until it leaves, breaks a rule, or the relay stops. `is_compressed`: what was agreed.
pub(super) async fn run(
    front: Rc<Front>,
    (socket, incoming): (Socket, Rc<Halves>),
    client: Client,
    is_compressed: bool,
) {
    front.counters.websockets.add();
    let outbox = front.connect();
    let (sink, mut frames) = socket.split();
    let deflate = is_compressed.then(|| front.deflate.clone());
    let mut writer = pin!(write(sink, outbox.clone(), deflate));
    let from = client.address;
    let mut session = Session::new(front.clone(), outbox.clone(), client);
    let end = serve(&front, &mut session, &outbox, (&mut frames, &incoming), writer.as_mut()).await;
    let closing = front.limits().closing;
    let frame = match end {
        End::Gone => return,
        End::Silent => {
            let why = "this client does not answer a ping";
            return front.send_away(&front.counters.silent_clients, from, why);
        }
        End::Closed => {
            // Reading on answers the client's close frame.
            let _ = timeout(closing, async { while frames.next().await.is_some() {} }).await;
            return;
        }
        End::Slow => {
            let why = "error: this client reads too slowly";
            front.send_away(&front.counters.slow_clients, from, why);
            outbox.clear();
            farewell(CloseCode::Policy, why)
        }
        End::Stop => {
            // Whoever asked for the stop closes the store next: what is under way ends before.
            let _ = timeout(closing, session.finish_writes()).await;
            farewell(CloseCode::Away, "error: the relay is stopping")
        }
        End::Refused(code, text) => {
            front.send_away(&front.counters.frames_refused, from, text);
            farewell(code, text)
        }
    };
    drop(session);
    let (notice, close) = frame;
    outbox.push(notice);
    outbox.push(Message::Close(Some(close)));
    outbox.finish();
    if let Ok(Ok(sink)) = timeout(closing, writer).await {
        hang_up(sink, frames).await;
    }
}

/// Everything between the handshake and the end.
async fn serve(
    front: &Front,
    session: &mut Session,
    outbox: &Outbox,
    (frames, incoming): (&mut SplitStream<Socket>, &Halves),
    mut writer: Pin<&mut impl Future<Output = Result<Sink, WsError>>>,
) -> End {
    let mut pulse = Pulse::new(front.limits());
    let mut alarm = pin!(sleep_until(pulse.heard + pulse.ping));
    let (mut blind_pings, mut spent) = (0, Duration::ZERO);
    // When frames were last asked for: what comes at once has been decoded since, and is part of the turn.
    let asked = Cell::new(pulse.heard);
    loop {
        let (may_read, full) = (session.may_read(), outbox.is_full());
        tokio::select! {
            frame = poll_fn(|context| {
                asked.set(Instant::now());
                frames.poll_next_unpin(context)
            }), if may_read => {
                pulse.heard = asked.get();
                incoming.is_whole();
                match frame {
                    Some(Ok(Message::Text(text))) => session.take(&text),
                    Some(Ok(Message::Ping(_))) => {
                        // Else nobody noticed that its answers are not read, and they would pile up.
                        outbox.ask_flush();
                        blind_pings = if outbox.is_blocked() { blind_pings + 1 } else { 0 };
                        if blind_pings > BLIND_PINGS_MAX {
                            return End::Slow;
                        }
                    }
                    Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Binary(_))) => {
                        return End::Refused(CloseCode::Unsupported, "invalid: a message is text");
                    }
                    Some(Ok(Message::Close(_))) => return End::Closed,
                    Some(Err(error)) => return refused(&error),
                    None => return End::Gone,
                }
                spent += pulse.heard.elapsed();
                if spent >= TURN {
                    spent = Duration::ZERO;
                    front.rounds.next().await;
                }
            }
            () = session.work() => {}
            // Room was made, so the client reads; that is a sign of life while it is not heard.
            () = outbox.room(), if full => pulse.heard = Instant::now(),
            ending = outbox.ending() => return match ending {
                Ending::Slow => End::Slow,
                Ending::Stop => End::Stop,
            },
            () = alarm.as_mut() => match pulse.check(Instant::now()) {
                Beat::Wait(until) => alarm.as_mut().reset(until),
                Beat::Ping(until) => {
                    outbox.push(Message::Ping(Default::default()));
                    alarm.as_mut().reset(until);
                }
                Beat::Dead => return End::Silent,
            },
            _ = writer.as_mut() => return End::Gone,
        }
    }
}

/// Sends what comes into the outbox until that ends; gathers what is there before it flushes.
async fn write(
    mut sink: Sink,
    outbox: Rc<Outbox>,
    deflate: Option<Rc<RefCell<Deflate>>>,
) -> Result<Sink, WsError> {
    loop {
        let message = tokio::select! {
            biased;
            message = outbox.take() => match message {
                Some(message) => Some(message),
                None => break,
            },
            () = outbox.flush_asked() => None,
        };
        outbox.set_blocked(true);
        let message = match (&deflate, message) {
            (Some(deflate), Some(message)) => Some(compressed(&mut deflate.borrow_mut(), message)),
            (_, message) => message,
        };
        if let Some(message) = message {
            sink.feed(message).await?;
        }
        if outbox.is_drained() {
            sink.flush().await?;
        }
        outbox.set_blocked(false);
    }
    sink.flush().await?;
    Ok(sink)
}

/// The message in its compressed form, if that is worth it.
fn compressed(deflate: &mut Deflate, message: Message) -> Message {
    let Message::Text(text) = &message else { return message };
    let Some(payload) = deflate.smaller(text.as_bytes()) else { return message };
    let opcode = OpCode::Data(Data::Text);
    let header = FrameHeader { is_final: true, rsv1: true, opcode, ..FrameHeader::default() };
    Message::Frame(Frame::from_payload(header, payload.into()))
}

/// Ends the sending half and lets the client do the same.
async fn hang_up(sink: Sink, frames: SplitStream<Socket>) {
    let Ok(socket) = sink.reunite(frames) else { return };
    let mut stream = socket.into_inner().into_inner();
    let mut unread = vec![0; READ_BYTES];
    let gone = async {
        stream.shutdown().await?;
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether it hung up, failed or took too long: dropping the stream is what is left to do.
    let _ = timeout(LINGER, gone).await;
}

fn farewell(code: CloseCode, text: &'static str) -> (Message, CloseFrame) {
    (reply::notice(text), CloseFrame { code, reason: text.into() })
}

/// What an error of reading says about the client.
fn refused(error: &WsError) -> End {
    match error {
        WsError::Capacity(_) => End::Refused(CloseCode::Size, "invalid: the message is too large"),
        WsError::Utf8(_) => End::Refused(CloseCode::Invalid, "invalid: a message is UTF-8"),
        WsError::Io(error) if error.kind() == ErrorKind::QuotaExceeded => End::Refused(
            CloseCode::Again,
            "error: too much is sent here by halves; try again later",
        ),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        WsError::Protocol(_) => {
            End::Refused(CloseCode::Protocol, "invalid: this breaks the websocket protocol")
        }
        _ => End::Gone,
    }
}

/// Whether a client is there.
struct Pulse {
    ping: Duration,
    pong: Duration,
    /// When something last came from it.
    heard: Instant,
    pinged: Option<Instant>,
}

/// What silence calls for.
#[derive(Debug, PartialEq)]
enum Beat {
    /// Nothing; look again then.
    Wait(Instant),
    /// A ping; look again then.
    Ping(Instant),
    /// The end.
    Dead,
}

impl Pulse {
    fn new(limits: &Limits) -> Pulse {
        Pulse { ping: limits.ping, pong: limits.pong, heard: Instant::now(), pinged: None }
    }

    fn check(&mut self, now: Instant) -> Beat {
        match self.pinged {
            Some(pinged) if self.heard <= pinged => match pinged + self.pong {
                until if until <= now => Beat::Dead,
                until => Beat::Wait(until),
            },
            _ if self.heard + self.ping <= now => {
                self.pinged = Some(now);
                Beat::Ping(now + self.pong.min(self.ping))
            }
            _ => Beat::Wait(self.heard + self.ping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_pinged_again_in_time() {
        let mut limits = Limits::default();
        (limits.ping, limits.pong) = (Duration::from_secs(55), Duration::from_secs(60));
        let mut pulse = Pulse::new(&limits);
        let at = |seconds| pulse.heard + Duration::from_secs(seconds);
        let [t55, t56, t110, t111, t115, t166] = [55, 56, 110, 111, 115, 166].map(at);
        assert_eq!(pulse.check(t55), Beat::Ping(t110));
        assert_eq!(pulse.check(t110), Beat::Wait(t115));
        pulse.heard = t56;
        assert_eq!(pulse.check(t110), Beat::Wait(t111));
        assert_eq!(pulse.check(t111), Beat::Ping(t166));
    }

    #[test]
    fn silence_is_pinged_and_then_ended() {
        let mut limits = Limits::default();
        (limits.ping, limits.pong) = (Duration::from_secs(10), Duration::from_secs(3));
        let mut pulse = Pulse::new(&limits);
        let at = |seconds| pulse.heard + Duration::from_secs(seconds);
        let [t5, t10, t13, t15, t23, t26] = [5, 10, 13, 15, 23, 26].map(at);
        assert_eq!(pulse.check(t5), Beat::Wait(t10));
        assert_eq!(pulse.check(t10), Beat::Ping(t13));
        // An answer just in time, then none.
        pulse.heard = t13;
        assert_eq!(pulse.check(t13), Beat::Wait(t23));
        assert_eq!(pulse.check(t23), Beat::Ping(t26));
        pulse.pinged = Some(t10);
        pulse.heard = t10;
        assert_eq!(pulse.check(t5), Beat::Wait(t13));
        assert_eq!(pulse.check(t15), Beat::Dead);
    }
}
