//! What lines of each kind of program look like.

use super::text::{address, digits, hex, moment, number, web_moment};
use super::words::Words;
use crate::io::Rng;

/// A line that is being written.
pub(super) struct Draft<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) rng: &'a mut Rng,
    pub(super) words: &'a Words,
    pub(super) ts: u64,
    pub(super) source: &'a str,
    pub(super) id: u64,
}

/// A kind of program, and how it writes a line.
type Service = (&'static str, fn(&mut Draft<'_>));

/// Kinds of programs, by rank of their busiest source: each sixth source is of one kind.
pub(super) const SERVICES: [Service; 6] = [
    ("web", access),
    ("app", app),
    ("worker", worker),
    ("db", statement),
    ("auth", auth),
    ("host", kernel),
];

/// Levels, 64 chances: two thirds of the lines are of the first.
const LEVELS: [(&str, u64); 4] = [("info", 42), ("debug", 56), ("warn", 61), ("error", 64)];
const PATHS: [&str; 8] = [
    "/api/v1/orders/",
    "/api/v1/users/",
    "/api/v1/basket/",
    "/static/img/",
    "/api/v2/search?page=",
    "/checkout/",
    "/healthz?n=",
    "/api/v1/stock/",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Safari/605.1.15",
    "curl/8.14.1",
    "okhttp/5.1.0",
];
const REFERERS: [&str; 4] = [
    " \"-\" \"",
    " \"https://shop.example/\" \"",
    " \"https://shop.example/catalogue/summer\" \"",
    " \"https://search.example/results\" \"",
];
const STATEMENTS: [&str; 4] = [
    "SELECT id, state, total FROM orders WHERE user_id = $ ORDER BY created_at DESC LIMIT 50",
    "UPDATE stock SET amount = amount - 1 WHERE item_id = $ AND amount > 0",
    "INSERT INTO payments (order_id, state) VALUES ($, 'open')",
    "SELECT count(*) FROM basket_items WHERE basket_id = $",
];
const QUEUES: [&str; 4] = ["emails", "invoices", "thumbnails", "webhooks"];
const USERS: [&str; 16] = [
    "anna", "ben", "carla", "dmitri", "elif", "femi", "grace", "hiro", "ines", "jonas", "kim",
    "lea", "mei", "nuno", "olga", "pavel",
];
const ABROAD: [&str; 6] = [
    "Größe überschritten",
    "設定を読み込めません",
    "délai dépassé",
    "通知失败",
    "ошибка связи",
    "주문 취소",
];

/// Bytes of the longest token without separators, a dumped key or picture.
const BLOB_BYTES_MAX: u64 = 2_000;

/// `10.0.4.9 - anna17 [01/Jan/2026:00:00:00 +0000] "GET /a/1 HTTP/1.1" 200 512 "-" "curl/8.14.1" rt=0.012 req=...`
fn access(d: &mut Draft<'_>) {
    d.address();
    d.put(" - ");
    d.user();
    d.put(" [");
    web_moment(d.out, d.ts);
    d.put(" +0000] \"");
    let bits = d.rng.next_u64();
    d.put(["GET ", "GET ", "GET ", "POST "][(bits & 3) as usize]);
    d.put(PATHS[(bits >> 2 & 7) as usize]);
    d.put_few(40_000);
    d.put(" HTTP/1.1\" ");
    d.put(match bits >> 8 & 63 {
        0..55 => "200 ",
        55..58 => "304 ",
        58..62 => "404 ",
        62 => "499 ",
        _ => "502 ",
    });
    d.put_few(60_000);
    d.put(REFERERS[(bits >> 24 & 3) as usize]);
    d.put(AGENTS[(bits >> 16 & 3) as usize]);
    d.put("\" rt=");
    d.seconds();
    d.put(" req=");
    hex(d.out, d.id);
}

/// `{"ts":"2026-01-01T00:00:00.000000Z","level":"info","service":"app-00","request_id":"...","msg":"..."}`
fn app(d: &mut Draft<'_>) {
    d.put("{\"ts\":\"");
    moment(d.out, d.ts, b'T');
    d.put(".");
    digits::<6>(d.out, d.ts % 1_000_000);
    d.put("Z\",\"level\":\"");
    d.level();
    d.put("\",\"service\":\"");
    d.put(d.source);
    d.put("\",\"request_id\":\"");
    hex(d.out, d.id);
    d.put("\",\"msg\":\"");
    d.message(3, 6);
    d.put("\",\"user\":\"");
    d.user();
    d.put("\",\"duration_ms\":");
    d.put_few(900);
    d.put("}");
}

/// `ts=2026-01-01T00:00:00.000Z level=info queue=emails worker=3 job=... attempt=1 duration=15ms msg="..."`
fn worker(d: &mut Draft<'_>) {
    d.put("ts=");
    moment(d.out, d.ts, b'T');
    d.put(".");
    digits::<3>(d.out, d.ts / 1_000 % 1_000);
    d.put("Z level=");
    d.level();
    let bits = d.rng.next_u64();
    d.put(" queue=");
    d.put(QUEUES[(bits & 3) as usize]);
    d.put(" worker=");
    number(d.out, bits >> 8 & 15);
    d.put(" job=");
    hex(d.out, d.id);
    d.put(" attempt=");
    number(d.out, 1 + (bits >> 16 & 7) / 6);
    d.put(" duration=");
    d.put_few(2_000);
    d.put("ms msg=\"");
    d.message(2, 5);
    d.put("\"");
}

/// `2026-01-01 00:00:00.000 UTC [812] app@shop LOG:  duration: 12.345 ms  statement: SELECT ... /* req=... */`
fn statement(d: &mut Draft<'_>) {
    moment(d.out, d.ts, b' ');
    d.put(".");
    digits::<3>(d.out, d.ts / 1_000 % 1_000);
    d.put(" UTC [");
    let bits = d.rng.next_u64();
    number(d.out, 800 + (bits & 31));
    d.put("] app@shop LOG:  duration: ");
    d.put_few(800);
    d.put(".");
    digits::<3>(d.out, bits >> 8 & 1_023);
    d.put(" ms  statement: ");
    let (before, after) = STATEMENTS[(bits >> 32 & 3) as usize].split_once('$').unwrap_or_default();
    d.put(before);
    d.put_few(40_000);
    d.put(after);
    d.put(" /* req=");
    hex(d.out, d.id);
    d.put(" */");
}

/// `sshd[4821]: Accepted publickey for anna17 from 10.0.4.9 port 51234 ssh2 session=...`
fn auth(d: &mut Draft<'_>) {
    let bits = d.rng.next_u64();
    d.put(["sshd[", "sudo[", "sshd[", "login["][(bits & 3) as usize]);
    number(d.out, 2_000 + (bits >> 8 & 4_095));
    d.put("]: ");
    d.put(match bits >> 32 & 15 {
        0..7 => "Accepted publickey for ",
        7..11 => "pam_unix(session): session opened for user ",
        11..15 => "pam_unix(session): session closed for user ",
        _ => "error: Failed password for invalid user ",
    });
    d.user();
    d.put(" from ");
    d.address();
    d.put(" port ");
    number(d.out, 32_768 + (bits >> 40 & 0x7fff));
    d.put(" ssh2 session=");
    hex(d.out, d.id);
}

/// `<6>[ 1234.567890] eth3: request order timeout, cookie=...`
fn kernel(d: &mut Draft<'_>) {
    let bits = d.rng.next_u64();
    d.put(["<6>[", "<6>[", "<6>[", "<4>["][(bits & 3) as usize]);
    number(d.out, d.ts / 1_000_000 % 10_000_000);
    d.put(".");
    digits::<6>(d.out, d.ts % 1_000_000);
    d.put(["] eth", "] nvme", "] cpu", "] md"][(bits >> 8 & 3) as usize]);
    number(d.out, bits >> 16 & 7);
    d.put(": ");
    d.message(3, 4);
    d.put(", cookie=");
    hex(d.out, d.id);
}

impl Draft<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A number below `end`, small ones more often.
    fn few(&mut self, end: u64) -> u64 {
        let bits = self.rng.next_u64();
        let (a, b) = (bits >> 32, bits & 0xffff_ffff);
        (((a * b) >> 32) * end) >> 32
    }

    fn put_few(&mut self, end: u64) {
        let few = self.few(end);
        number(self.out, few);
    }

    /// Seconds with three digits.
    fn seconds(&mut self) {
        let ms = self.few(4_000);
        number(self.out, ms / 1_000);
        self.put(".");
        digits::<3>(self.out, ms % 1_000);
    }

    fn level(&mut self) {
        let at = self.rng.next_u64() & 63;
        let level = LEVELS.iter().find(|(_, end)| at < *end).map_or("fatal", |(level, _)| level);
        self.put(level);
    }

    /// Few users do most.
    fn user(&mut self) {
        let user = self.few(4_000);
        self.put(USERS[(user & 15) as usize]);
        number(self.out, user >> 4);
    }

    /// Few addresses ask most.
    fn address(&mut self) {
        let place = self.few(3_000);
        address(self.out, place.wrapping_mul(0x2_8f35));
    }

    /// `low` words and up to `more`; another script now and then, and a long token.
    fn message(&mut self, low: u64, more: u64) {
        let bits = self.rng.next_u64();
        if bits >> 48 & 63 == 0 {
            self.put(ABROAD[(bits >> 32) as usize % ABROAD.len()]);
            self.put(": ");
        }
        for i in 0..low + (bits & 0xff) * more / 256 {
            if i > 0 {
                self.put(" ");
            }
            let words = self.words;
            let word = words.pick(self.rng.next_u64());
            self.put(word);
        }
        if bits >> 54 == 0 {
            self.put(" dump=");
            let count = 60 + self.few(BLOB_BYTES_MAX - 60);
            self.blob(count);
        }
    }

    fn blob(&mut self, count: u64) {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xy";
        for _ in 0..count {
            self.out.push(alphabet[(self.rng.next_u64() & 63) as usize]);
        }
    }
}
