//! Heads of messages: the RFCs' own examples, what real senders send, and any bytes.

use super::*;
use proptest::prelude::*;

/// Priority, whether the time counts, host and program.
type Told = (Option<u8>, bool, &'static str, &'static str);

/// Priority, time, host and program, as text.
fn head(message: &[u8]) -> (Option<u8>, Option<u64>, &str, &str) {
    let Head { pri, micros, host, app } = Head::of(message);
    let text = |name: Option<&'_ [u8]>| name.map(|name| String::from_utf8_lossy(name).into_owned());
    // Leaked: a test may.
    let text = |name| &*Box::leak(text(name).unwrap_or_default().into_boxed_str());
    (pri, micros, text(host), text(app))
}

/// 2003-10-11T22:14:15Z.
const THEN: u64 = 1_065_910_455_000_000;

#[test]
fn the_examples_of_rfc_5424_are_read() {
    let su =
        b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root'";
    assert_eq!(head(su), (Some(34), Some(THEN + 3000), "mymachine.example.com", "su"));
    let local = b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.";
    let then = 1_061_727_255_000_003;
    assert_eq!(head(local), (Some(165), Some(then), "192.0.2.1", "myproc"));
    let data =
        b"<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [exampleSDID@32473 iut=\"3\"]";
    assert_eq!(head(data), (Some(165), Some(THEN + 3000), "host", "evntslog"));
    assert_eq!(head(b"<0>1 - - - - - -"), (Some(0), None, "", ""));
    assert_eq!(head(b"1 - host app - - - no priority"), (None, None, "host", "app"));
}

#[test]
fn the_examples_of_rfc_3164_are_read() {
    let su = b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8";
    assert_eq!(head(su), (Some(34), None, "mymachine", "su"));
    assert_eq!(head(b"Use the BFG!"), (None, None, "", ""));
    let bare = b"<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time. %%";
    assert_eq!(head(bare), (Some(165), None, "mymachine", "myproc"));
    let relayed =
        b"<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All";
    assert_eq!(head(relayed).0, Some(0));
}

#[test]
fn what_real_senders_send_is_read() {
    // Each with its sender: a form that is in use, and what is to be told of it.
    let cases: [(&[u8], Told); 16] = [
        (b"<13>Nov  2 06:00:00 box root: logger", (Some(13), false, "box", "root")),
        (b"<13>Nov 22 06:00:00 root[77]: local socket", (Some(13), false, "", "root")),
        (b"<14>2026-11-22T06:00:00.123456+01:00 box app[1]: x", (Some(14), true, "box", "app")),
        (b"<14>2026-11-22 06:00:00 box app: no zone", (Some(14), false, "box", "app")),
        (b"<14>2026-11-22T06:00:00Z box app: x", (Some(14), true, "box", "app")),
        (
            b"<189>Nov 22 2026 06:00:00 fw %ASA-6-305011: Built",
            (Some(189), false, "fw", "%ASA-6-305011"),
        ),
        (b"<189>Nov 22 06:00:00 2026 fw app: x", (Some(189), false, "fw", "app")),
        (
            b"<189>*Mar  1 18:46:11.123: %SYS-5-CONFIG_I: x",
            (Some(189), false, "", "%SYS-5-CONFIG_I"),
        ),
        (b"<14>ident: Python with an ident\0", (Some(14), false, "", "ident")),
        (b"<14>Python without an ident\0", (Some(14), false, "", "")),
        (b"<14>see http://host/a: text", (Some(14), false, "", "")),
        (b"\xef\xbb\xbf<14>a: b", (Some(14), false, "", "a")),
        (b"<14>\xef\xbb\xbfa: b", (Some(14), false, "", "a")),
        (
            b"<14>Nov 22 06:00:00 fe80::1 dnsmasq-dhcp[12]: x",
            (Some(14), false, "fe80::1", "dnsmasq-dhcp"),
        ),
        (b"<192>app: the priority is too large", (None, false, "", "")),
        (b"<13>1 2026-11-22 is not a head", (Some(13), false, "", "")),
    ];
    for (message, (pri, has_time, host, app)) in cases {
        let found = head(message);
        let said = String::from_utf8_lossy(message);
        let found = (found.0, found.1.is_some(), found.2, found.3);
        assert_eq!(found, (pri, has_time, host, app), "{said}");
    }
}

#[test]
fn names_that_say_nothing_or_too_much_are_none() {
    let long = [&b"<14>"[..], &[b'a'; 256], b": text"].concat();
    assert_eq!(head(&long).3, "");
    let longest = [&b"<14>"[..], &[b'a'; 255], b": text"].concat();
    assert_eq!(head(&longest).3.len(), 255);
    assert_eq!(head(b"<14>: text").3, "");
    assert_eq!(head(b"<14>app[12 text").3, "");
    assert_eq!(head(b"<14>app:text").3, "");
    assert_eq!(head(b"<14>app:").3, "app");
}

#[test]
fn only_ends_are_trimmed() {
    assert_eq!(trimmed(b"a\0b\r\n\0\n"), b"a\0b");
    assert_eq!(trimmed(b"\n\0"), b"");
    assert_eq!(trimmed(b" a "), b" a ");
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        Head::of(&bytes);
    }

    #[test]
    fn anything_close_to_a_message_is_read(
        start in "(<[0-9]{0,4}>)?(1 )?",
        stamp in "([A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:.]{5,9}|[0-9T: .+-]{0,30}Z?)",
        rest in "[ a-z\\[\\]:<>0-9\u{e9}-]{0,40}",
    ) {
        let message = format!("{start}{stamp} {rest}");
        let found = Head::of(message.as_bytes());
        for name in [found.host, found.app].into_iter().flatten() {
            prop_assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(&b' '));
        }
    }

    #[test]
    fn what_is_written_as_rfc_5424_is_read_back(
        pri in 0..=191u8, secs in 0..4_102_444_800u64, micros in 0..1_000_000u64,
        host in "[!-,.-~][!-~]{0,40}", app in "[!-,.-~][!-~]{0,40}", text in "\\PC{0,40}",
    ) {
        let time = super::stamp::tests::written(secs * 1_000_000 + micros);
        let message = format!("<{pri}>1 {time} {host} {app} - - - {text}");
        let wanted = Head {
            pri: Some(pri),
            micros: Some(secs * 1_000_000 + micros),
            host: Some(host.as_bytes()),
            app: Some(app.as_bytes()),
        };
        prop_assert_eq!(Head::of(message.as_bytes()), wanted);
    }
}
