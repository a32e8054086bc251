//! Requests to delete and to vanish while a shard is poisoned: an error at once for everyone, whosever shard it is, and
//! nothing is gone; opened again, the store takes them.

use super::*;
use crate::io::{Faults, simulated};
use std::path::Path;

/// Its answer to a kind 5 of `author` about this event, and to a wish to vanish from everywhere.
fn requests(client: &mut Client, author: u8, about: &Event, at: u64) -> [(bool, String); 2] {
    let id = const_hex::encode(about.id());
    let delete = event(author, 5, at, &[["e", &id]], "");
    let vanish = event(author, 62, at, &[["relay", "ALL_RELAYS"]], "");
    [client.publish(&delete), client.publish(&vanish)]
}

#[test]
fn requests_on_a_poisoned_shard_are_errors_and_nothing_is_gone_until_it_is_opened_again() {
    let (env, disk, _) = simulated(9, Faults::default());
    let open = || {
        let options = Options { threads: true, ..Options::tiny() };
        Arc::new(EventStore::open_in(Path::new("/simulated"), &options, env.clone()).unwrap())
    };
    let serve = |store: &Arc<EventStore>| {
        let config =
            Config { listen: "127.0.0.1:0".parse().unwrap(), threads: 1, ..Config::default() };
        let relay = Relay::start(store.clone(), config).unwrap();
        let url = format!("ws://{}/", relay.local_addr());
        let stream = TcpStream::connect(relay.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        let mut client = Client { socket, challenge: String::new(), now: 0 };
        assert_eq!(client.hear()[0], "AUTH");
        (relay, client)
    };
    let store = open();
    let (relay, mut client) = serve(&store);
    let notes: Vec<Event> = (1..9).map(|author| note(author, 0, "first")).collect();
    notes.iter().for_each(|note| assert_eq!(client.publish(note), accepted("")));
    disk.set_faults(Faults { eio_write: 1, ..Faults::default() });
    let (taken, why) = client.publish(&note(1, 1, "lost"));
    assert!(!taken && why.starts_with("error: "), "{why}");
    disk.set_faults(Faults::default());
    assert_eq!(store.engine().stats().iter().filter(|shard| shard.poisoned).count(), 1);
    let healthy = (2..9).find(|author| client.publish(&note(*author, 2, "second")).0);
    let healthy = healthy.expect("an author of the other shard");
    for author in [1, healthy] {
        for (taken, why) in requests(&mut client, author, &notes[author as usize - 1], 3) {
            assert!(!taken && why.starts_with("error: "), "{author}: {why}");
        }
    }
    assert_eq!(client.ask("s", "{}").len(), 9, "nothing is gone");
    drop(client);
    relay.stop().unwrap();
    assert!(store.close().is_err());
    drop((relay, store));

    let store = open();
    let (relay, mut client) = serve(&store);
    let ids = |client: &mut Client| client.ask("s", "{\"kinds\":[1]}").len();
    // What was refused as the disk failed may be there whole.
    assert!([9, 10].contains(&ids(&mut client)));
    let [deleted, vanished] = requests(&mut client, 1, &notes[0], 3);
    assert_eq!((deleted.0, vanished.0), (true, true), "{deleted:?} {vanished:?}");
    assert_eq!(ids(&mut client), 8);
    let delete =
        event(healthy, 5, 3, &[["e", &const_hex::encode(notes[healthy as usize - 1].id())]], "");
    assert!(client.publish(&delete).0);
    assert_eq!(client.ask("t", "{\"kinds\":[1]}").len(), 7);
    drop(client);
    relay.stop().unwrap();
    store.close().unwrap();
}
