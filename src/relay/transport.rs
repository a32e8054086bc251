//! A client's socket below its websocket: where compressed messages become plain ones.
//!
//! ```text
//!   socket --bytes--> [ frame heads ] --plain frames--------------------------> tungstenite
//!                           +--compressed: gather, unmask, inflate, one frame----^
//! ```
//!
//! tungstenite knows no extension and refuses the bit that marks a compressed message. So each
//! such message is put before it as the plain one that it stands for. What breaks the protocol is passed on
//! as it is, or as something that breaks it as much: tungstenite says what happens then.
//!
//! I1. Of a message that is being gathered no more is kept than a message may have.
//! I2. One message is inflated at a time, and nothing more is read before it was taken.

use super::deflate::{Deflate, Unfit};
use super::held::Halves;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;
/// The first of the opcodes of control frames, which may stand between those of a message.
const CONTROL: u8 = 8;

/// Bytes of the longest head: two, a length of eight, a mask.
const HEAD_BYTES_MAX: usize = 14;

/// Bytes read from the socket at once.
const READ_BYTES: usize = 4096;

/// The socket of one client.
pub(super) struct Transport {
    stream: TcpStream,
    /// What was read and not yet looked at.
    raw: Vec<u8>,
    /// Where compression was agreed on.
    frames: Option<Frames>,
    incoming: Rc<Halves>,
}

impl Transport {
    /// A socket of which `read` was read already.
    pub(super) fn new(
        stream: TcpStream,
        read: &[u8],
        frames: Option<Frames>,
        incoming: Rc<Halves>,
    ) -> Transport {
        Transport { stream, raw: read.to_vec(), frames, incoming }
    }

    /// The socket itself.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let given = match &mut this.frames {
                None => give(&mut this.raw, buf),
                Some(frames) => {
                    if frames.plain.is_empty() {
                        let taken = frames.take(&this.raw);
                        this.raw.drain(..taken);
                    }
                    give(&mut frames.plain, buf)
                }
            };
            if given {
                return Poll::Ready(Ok(()));
            }
            if this.frames.is_none() {
                this.raw = Vec::new();
                let before = buf.filled().len();
                ready!(Pin::new(&mut this.stream).poll_read(context, buf))?;
                return Poll::Ready(taken(&this.incoming, buf.filled().len() - before));
            }
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            match read.filled() {
                [] => return Poll::Ready(Ok(())),
                bytes => {
                    taken(&this.incoming, bytes.len())?;
                    this.raw.extend_from_slice(bytes);
                }
            }
        }
    }
}

/// Counts what was read.
///
/// # Errors
/// `QuotaExceeded`, if the clients of this thread have sent too much of messages that are not whole.
fn taken(incoming: &Halves, bytes: usize) -> io::Result<()> {
    match incoming.add(bytes) {
        true => Ok(()),
        false => Err(io::ErrorKind::QuotaExceeded.into()),
    }
}

/// Moves what fits from `from` to `buf`; says whether that was anything.
fn give(from: &mut Vec<u8>, buf: &mut ReadBuf<'_>) -> bool {
    let bytes = from.len().min(buf.remaining());
    buf.put_slice(&from[..bytes]);
    match bytes == from.len() {
        // A large one is not kept by an idle client.
        true if from.capacity() > READ_BYTES => *from = Vec::new(),
        _ => drop(from.drain(..bytes)),
    }
    bytes > 0
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The frames of one client, compressed messages among them.
pub(super) struct Frames {
    deflate: Rc<RefCell<Deflate>>,
    bytes_max: usize,
    at: At,
    /// The head that is being read.
    head: Vec<u8>,
    /// The compressed message that is being gathered, and its opcode.
    message: Option<(u8, Vec<u8>)>,
    /// What is to be taken from here as plain frames.
    plain: Vec<u8>,
}

/// Where in a frame.
#[derive(Clone, Copy)]
enum At {
    Head,
    /// In a payload that is passed on.
    Passed {
        left: u64,
    },
    /// In one of a compressed message.
    Gathered {
        left: usize,
        mask: [u8; 4],
        is_final: bool,
    },
}

impl Frames {
    /// The frames of a client whose messages may have `bytes_max` bytes.
    pub(super) fn new(deflate: Rc<RefCell<Deflate>>, bytes_max: usize) -> Frames {
        let (head, plain) = (Vec::with_capacity(HEAD_BYTES_MAX), Vec::new());
        Frames { deflate, bytes_max, at: At::Head, head, message: None, plain }
    }

    /// Takes bytes until there is something plain (I2); gives how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while self.plain.is_empty() && !rest.is_empty() {
            match self.at {
                At::Head => {
                    self.head.push(rest[0]);
                    rest = &rest[1..];
                    if self.head.len() == head_len(&self.head) {
                        self.begin();
                        self.head.clear();
                    }
                }
                At::Passed { left } => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.plain.extend_from_slice(&rest[..now]);
                    rest = &rest[now..];
                    self.pass(left - now as u64);
                }
                At::Gathered { left, mask, is_final } => {
                    let (now, later) = rest.split_at(left.min(rest.len()));
                    rest = later;
                    if let Some((_, message)) = &mut self.message {
                        let key = mask.iter().cycle();
                        message.extend(now.iter().zip(key).map(|(byte, key)| byte ^ key));
                    }
                    let mut mask = mask;
                    mask.rotate_left(now.len() % 4);
                    self.gather(left - now.len(), mask, is_final);
                }
            }
        }
        bytes.len() - rest.len()
    }

    /// A head is there: what follows it is passed on or gathered.
    fn begin(&mut self) {
        let (first, length) = (self.head[0], payload_len(&self.head));
        let opcode = first & 0x0f;
        let is_masked = self.head[1] & MASKED != 0;
        let begins = matches!(opcode, 1 | 2) && first & 0x70 == COMPRESSED;
        let goes_on = opcode == 0 && first & 0x70 == 0;
        if opcode >= CONTROL || !is_masked || self.message.is_none() && !begins {
            self.plain.extend_from_slice(&self.head);
            return self.pass(length);
        }
        if self.message.is_some() && !goes_on {
            return self.refuse(Unfit::Corrupt);
        }
        let gathered = self.message.as_ref().map_or(0, |(_, message)| message.len());
        let fits = usize::try_from(length).ok().filter(|l| *l <= self.bytes_max - gathered); // I1
        let Some(length) = fits else { return self.refuse(Unfit::TooLarge) };
        self.message.get_or_insert((opcode, Vec::new()));
        let mask = self.head.last_chunk().copied().unwrap_or_default();
        self.gather(length, mask, first & FINAL != 0);
    }

    fn pass(&mut self, left: u64) {
        self.at = if left == 0 { At::Head } else { At::Passed { left } };
    }

    /// `left` bytes of the frame are to come; with none, its message may be complete.
    fn gather(&mut self, left: usize, mask: [u8; 4], is_final: bool) {
        if left > 0 {
            self.at = At::Gathered { left, mask, is_final };
            return;
        }
        self.at = At::Head;
        if !is_final {
            return;
        }
        let Some((opcode, message)) = self.message.take() else { return };
        let inflated = self.deflate.borrow_mut().larger(message, self.bytes_max);
        match inflated {
            Ok(message) => {
                self.plain_head(FINAL | opcode, message.len() as u64);
                self.plain.extend_from_slice(&message);
            }
            Err(unfit) => self.refuse(unfit),
        }
    }

    /// Passes on what tungstenite refuses for the same reason, and nothing else ever after.
    fn refuse(&mut self, unfit: Unfit) {
        match unfit {
            Unfit::TooLarge => self.plain_head(FINAL | 1, self.bytes_max as u64 + 1),
            Unfit::Corrupt => self.plain_head(FINAL | COMPRESSED | 1, 0),
        }
        self.message = None;
        self.at = At::Passed { left: u64::MAX };
    }

    /// The head of a frame with the mask that changes nothing.
    fn plain_head(&mut self, first: u8, length: u64) {
        self.plain.extend_from_slice(&[first, MASKED | 127]);
        self.plain.extend_from_slice(&length.to_be_bytes());
        self.plain.extend_from_slice(&[0; 4]);
    }
}

/// Bytes of the head that begins so; more than there are, if that cannot be said yet.
fn head_len(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED != 0 { 4 } else { 0 }
}

/// Bytes of the payload behind a whole head.
fn payload_len(head: &[u8]) -> u64 {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    match head[1] & 0x7f {
        126 => number(&head[2..4]),
        127 => number(&head[2..10]),
        short => u64::from(short),
    }
}

#[cfg(any(all(test, feature = "tool"), feature = "fuzzing"))]
pub(super) mod fuzz;
#[cfg(test)]
#[path = "tests/transport.rs"]
mod tests;
