//! Before the websocket: heads that never end, too many headers, requests without a reader.

use super::*;

pub(super) fn all(scale: usize) {
    slow(scale);
    large(scale);
    unread(scale);
}

/// A byte of a head at each tick, from many at once: all are sent off when their time is over.
fn slow(scale: usize) {
    let mut siege = Siege::begin(&["--head-timeout", "1 s", "--http-timeout", "2 s"]);
    let count = 100 * scale;
    siege.beside("slow heads", 32 + scale as u64, |siege| {
        let mut open: Vec<TcpStream> = (0..count).map(|_| connect(&siege.relay)).collect();
        open.iter_mut().for_each(|s| s.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap());
        let begun = Watch::begin();
        while !open.is_empty() {
            siege.tick();
            open.retain_mut(|stream| stream.write_all(b"x").is_ok() && !is_gone(stream));
            assert!(begun.elapsed() < crate::clients::DEADLINE, "{} are still in", open.len());
        }
    });
    siege.until("ratite_relay_heads_refused_total", count as u64);
    siege.said("no request came in time");
    siege.end();
}

/// Heads with a thousand headers, and with one of 64 KiB.
fn large(scale: usize) {
    let mut siege = Siege::begin(&[]);
    let many: String = (0..1_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    siege.beside("large heads", 32, |siege| {
        for headers in [&many, &long].repeat(50 * scale) {
            let mut stream = connect(&siege.relay);
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            // It may hang up before it has read all of it.
            let _written = stream.write_all(head.as_bytes());
            let answer = rest(stream);
            assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", answer.escape_ascii());
        }
    });
    assert!(siege.metric("ratite_relay_heads_refused_total") >= 100);
    siege.said("the head of a request is too long");
    siege.end();
}

/// Requests one behind the other, of which nobody reads the answers.
fn unread(scale: usize) {
    let mut siege = Siege::begin(&["--http-timeout", "2 s"]);
    siege.beside("answers that nobody reads", 32, |siege| {
        let mut open = Vec::new();
        let dropped = siege.metric("ratite_relay_slow_clients_total");
        for _ in 0..20 * scale {
            let mut stream = connect(&siege.relay);
            stream.set_nonblocking(true).unwrap();
            let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5_000);
            // As much as there is room for.
            let _written = stream.write(request.as_bytes());
            open.push(stream);
        }
        siege.until("ratite_relay_slow_clients_total", dropped + open.len() as u64);
    });
    siege.said("this client does not take the answers to its requests");
    siege.end();
}

#[test]
fn slow_heads_are_sent_off_in_time() {
    slow(1);
}

#[test]
fn large_heads_are_refused() {
    large(1);
}

#[test]
fn answers_that_nobody_reads_hold_little() {
    unread(1);
}
