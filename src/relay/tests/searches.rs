//! Searches over the wire: ranked, counted, live, and refused where there are none.

use super::*;

#[test]
fn searches_are_ranked_counted_and_go_on_live() {
    let rig = rig();
    let mut client = rig.client();
    for (text, n) in
        ["Nostr relays", "nostr Nostr #nostr", "relays", "nostr, at last"].iter().zip(0..)
    {
        assert_eq!(client.publish(&note(1, n, text)), accepted(""), "{n}");
    }
    let best = ["nostr Nostr #nostr", "nostr, at last", "Nostr relays"];
    let found = client.ask("s", "{\"search\":\"NOSTR language:en\"}");
    assert_eq!(found[0], best[0]);
    assert_eq!(found.len(), 3);
    assert_eq!(client.ask("s", "{\"search\":\"nostr\",\"limit\":1}"), [best[0]]);
    assert_eq!(client.ask("s", "{\"search\":\"\\\"nostr relays\\\"\"}"), [best[2]]);
    let both = client.ask("s", "{\"limit\":10},{\"search\":\"nostr\",\"limit\":1}");
    assert_eq!((&*both[0], both.len()), (best[0], 4));
    client.say("[\"COUNT\",\"c\",{\"search\":\"nostr\",\"limit\":1}]");
    assert_eq!(client.hear()[2]["count"], 3);
    // Live: what has the words, and nothing else.
    assert_eq!(client.ask("live", "{\"search\":\"\\\"at last\\\" Nostr\",\"limit\":0}").len(), 0);
    client.say("[\"CLOSE\",\"s\"]");
    // Behind an answer, what was said before is done.
    client.say("[\"COUNT\",\"c\",{\"search\":\"nostr\"}]");
    assert_eq!(client.hear()[2]["count"], 3);
    let mut writer = rig.client();
    for (text, n) in
        ["at last", "nostr last at", "something else", "Nostr AT  last!"].iter().zip(9..)
    {
        assert_eq!(writer.publish(&note(2, n, text)), accepted(""));
    }
    let heard = client.hear();
    assert_eq!((&heard[1], &heard[2]["content"]), (&json!("live"), &json!("Nostr AT  last!")));
}

#[test]
fn a_relay_without_words_refuses_searches_and_says_so() {
    for (search, supported) in [(SearchKinds::off(), false), (SearchKinds::default(), true)] {
        let rig = rig_of(|_| {}, Some(&search));
        let mut client = rig.client();
        let document = web::http(&rig, "GET /nip11 HTTP/1.1").1;
        assert_eq!(document.contains("45,50,62"), supported, "{document}");
        for verb in ["REQ", "COUNT"] {
            client.say(&format!("[\"{verb}\",\"s\",{{\"search\":\"x\"}}]"));
            let heard = client.hear();
            match supported {
                true => assert_ne!(heard[0], "CLOSED"),
                false => assert_eq!(heard[2], "unsupported: search is not offered here"),
            }
        }
        if !supported {
            // What asks for nothing is no search.
            assert_eq!(client.ask("s", "{\"search\":\"language:en\"}").len(), 0);
        }
    }
}
