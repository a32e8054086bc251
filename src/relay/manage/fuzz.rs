//! What has to hold of everything that a stranger can send to the management of a relay, for fuzzing.

use super::auth::{Guard, Refused, Request, Url};
use super::base64;
use super::call::Call;
use crate::relay::policy::Managed;

/// The second in which all requests are made.
const NOW: u64 = 1_700_000_000;

/// What nobody has signed lets nobody in, and what is no base64 as it is written is none.
pub(crate) fn nip98(bytes: &[u8]) {
    let header = match bytes.split_first() {
        // The event itself, so that what is behind base64 is reached.
        Some((0, json)) => format!("Nostr {}", base64::encode(json)),
        Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
        None => return,
    };
    let admins = vec![[7; 32], [9; 32]];
    let urls = ["ws://else.test", "wss://Relay.Test:443"].map(Url::parse);
    let urls: Vec<Url> = urls.into_iter().flatten().collect();
    let request = Request { header: Some(&header), urls: &urls, body: b"{}", now: NOW };
    match Guard::new(admins).admit(&request) {
        Ok(key) => panic!("{key:02x?} is let in, who has signed nothing"),
        Err(Refused::Unproven(_) | Refused::Forbidden) => {}
        Err(Refused::TooMany) => panic!("there was one"),
    }
    if let Some(spelled) = base64::decode(&header) {
        assert_eq!(base64::decode(&base64::encode(&spelled)), Some(spelled));
    }
    let _any = Url::parse(&header);
}

/// A call that is understood is done, undone and answered, each within its limits.
pub(crate) fn nip86(body: &[u8]) {
    let Ok((name, call)) = Call::parse(body) else { return };
    assert!(!name.is_empty());
    let mut managed = Managed::default();
    for _ in 0..2 {
        if let Some(Ok(())) = call.change(&mut managed) {
            assert!(managed.rules().count() <= 1, "a subject has one rule");
        }
        let answer = call.answer(&managed).to_string();
        assert!(answer.len() <= 2_000 + 8 * body.len(), "{answer}");
    }
}
