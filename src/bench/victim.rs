//! A process that inserts until it is killed, and who kills it: what opening after a kill is measured with.
//!
//! ```text
//!   kill_after: start --> read its lines, each a number of inserts --> SIGKILL when there are enough
//!   victim:     insert, say the number, insert ... until the line cannot be written or the process is gone
//! ```

use super::ingest::Feeder;
use crate::base::{Error, Result};
use crate::nostr::EventStore;
use crate::nostr::generate::{Config, Generator};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Inserts after which a victim says how far it is.
const TOLD: u64 = 100;

/// Inserts that a victim has under way.
const UNDER_WAY: usize = 256;

/// Inserts made-up events, and says on `out` how many, until that fails. Other victims of one store want other seeds.
///
/// # Errors
/// Of the store. That nobody reads `out` any more is none.
pub fn insert_until_killed(store: &EventStore, seed: u64, out: &mut dyn Write) -> Result<()> {
    let mut generator = Generator::new(seed, &Config::default());
    let mut feeder = Feeder::new(store, UNDER_WAY);
    for count in 1u64.. {
        let event = generator.next_unsigned().into_event();
        feeder.insert(&event.as_ref(), &mut |_| {})?;
        if count % TOLD == 0 && writeln!(out, "{count}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    feeder.finish(&mut |_| {}).map(drop)
}

/// Starts a victim and kills it when it has inserted enough.
///
/// # Errors
/// `Io` if it cannot be started, or ends by itself before.
pub fn kill_after(mut victim: Command, inserts: u64) -> Result<()> {
    let failed = |error| Error::io("run", "the process that is to be killed", error);
    let mut child = victim.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let lines = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
    let far = lines.map_while(io::Result::ok).filter_map(|line| line.parse::<u64>().ok());
    let is_enough = far.into_iter().any(|count| count >= inserts);
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    match is_enough {
        true => Ok(()),
        false => Err(failed(io::Error::other("it ended by itself"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_victim_is_killed_when_it_has_done_enough_and_is_missed_when_it_ends_before() {
        // One process, which the kill ends: no pipeline, whose parts would go on.
        kill_after(shell("echo 1; echo 200; exec tail -f /dev/null"), 200).unwrap();
        let error = kill_after(shell("echo 199"), 200).unwrap_err().to_string();
        assert!(error.contains("ended by itself"), "{error}");
    }

    #[test]
    fn a_victim_that_nobody_listens_to_ends() {
        use crate::store::Options;
        struct Deaf(u64);
        impl Write for Deaf {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += u64::from(bytes.contains(&b'\n'));
                if self.0 > 3 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let env = crate::io::in_memory();
        let store = EventStore::open_in("store".as_ref(), &Options::in_memory(), env).unwrap();
        insert_until_killed(&store, 1, &mut Deaf(0)).unwrap();
        let stored = store.count(&[crate::nostr::Filter::default()]).unwrap();
        assert!(stored > 200, "{stored}");
        store.close().unwrap();
    }
}
