//! Bad neighbours: clients that never read, and clients that ask without end.

use super::crowd::{self, Socket};
use crate::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tungstenite::Message;

/// Neighbours that are there until `end`.
pub struct Neighbours {
    _silent: Vec<Socket>,
    asking: Vec<JoinHandle<u64>>,
    over: Arc<AtomicBool>,
}

impl Neighbours {
    pub fn none() -> Neighbours {
        Neighbours { _silent: Vec::new(), asking: Vec::new(), over: Arc::default() }
    }

    /// Clients that want everything, stored and live, and read nothing.
    pub fn stalled(url: &str, count: usize) -> Result<Neighbours> {
        let stalled = |_| {
            let mut socket = crowd::connect(url)?;
            for i in 0..8 {
                crowd::send(&mut socket, Message::text(format!("[\"REQ\",\"s{i}\",{{}}]")))?;
            }
            Ok(socket)
        };
        let silent = (0..count).map(stalled).collect::<Result<_>>()?;
        Ok(Neighbours { _silent: silent, ..Neighbours::none() })
    }

    /// Clients that ask for the newest 500 again and again, sixteen requests under way each.
    pub fn floods(url: &str, count: usize) -> Result<Neighbours> {
        let over: Arc<AtomicBool> = Arc::default();
        let mut asking = Vec::new();
        for _ in 0..count {
            let (mut socket, over) = (crowd::connect(url)?, over.clone());
            asking.push(std::thread::spawn(move || flood(&mut socket, &over)));
        }
        Ok(Neighbours { asking, over, ..Neighbours::none() })
    }

    /// Sends them away; how many requests were answered.
    pub fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.asking.into_iter().map(|one| one.join().unwrap_or(0)).sum()
    }
}

fn flood(socket: &mut Socket, over: &AtomicBool) -> u64 {
    let ask = |i: u64| {
        Message::text(format!("[\"REQ\",\"f{}\",{{\"kinds\":[1],\"limit\":500}}]", i % 16))
    };
    let (mut sent, mut answered) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        while sent < answered + 16 && crowd::send(socket, ask(sent)).is_ok() {
            sent += 1;
        }
        match crowd::read(socket) {
            Ok(Some(Message::Text(text))) => {
                let ended = text.starts_with("[\"EOSE\"") || text.starts_with("[\"CLOSED\"");
                answered += u64::from(ended);
            }
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_micros(100)),
            // The relay sent it away: that is an answer too.
            Err(_) => return answered,
        }
    }
    answered
}
