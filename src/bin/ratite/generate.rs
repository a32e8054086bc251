//! `ratite gen`: signed events from a seed.
//!
//! ```text
//!   generate (1 thread, a batch at a time) --> sign (a thread a core) --+
//!        |                                                              v
//!        +-- where each batch's lines will come from, in order --> write (this thread)
//! ```
//!
//! 1. The output is the generator's sequence, byte for byte, however many cores sign.

use crate::failure::Outcome;
use crate::output::Lines;
use crate::progress::Progress;
use crossbeam::channel::{Receiver, Sender, bounded};
use ratite::io::threads;
use ratite::nostr::generate::{Config, Generator, Unsigned};
use ratite::nostr::write_event;
use std::io::{self, IsTerminal};

/// Events that travel together: some 10 ms of signing.
const BATCH: u64 = 256;

/// Options of `ratite gen`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many events; there is one author for each 20 of them, and at least 50
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000)]
    count: u64,

    /// Another seed gives other events, the same seed the same bytes, on every machine
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// When the events begin (Unix time); they come one a second on average [default: 1700000000]
    #[arg(long, value_name = "TIME")]
    start: Option<u64>,

    /// When the events end, more or less, instead of when they begin
    #[arg(long, value_name = "TIME", conflicts_with = "start")]
    stop: Option<u64>,
}

/// Events to be signed, and where their lines are awaited.
type Batch = (Vec<Unsigned>, Sender<Vec<u8>>);

pub fn run(args: &Args) -> Outcome<()> {
    let mut config = Config { events: args.count, ..Config::default() };
    let from_stop = args.stop.map(|stop| stop.saturating_sub(args.count));
    config.start = args.start.or(from_stop).unwrap_or(config.start);
    let (seed, count) = (args.seed, args.count);

    let signer_count = threads::cores();
    let (work_in, work) = bounded::<Batch>(2 * signer_count);
    let (order_in, order) = bounded::<Receiver<Vec<u8>>>(4 * signer_count);
    let maker = threads::spawn("generate", move || {
        make(&mut Generator::new(seed, &config), count, &work_in, &order_in);
    });
    let sign_with = |i| {
        let work = work.clone();
        threads::spawn(format!("sign-{i}"), move || sign(&work))
    };
    let signers: Vec<_> = (0..signer_count).map(sign_with).collect();
    drop(work);

    // This takes `order` along: without a writer the maker ends, and then the signers.
    let written = write(order, count);
    maker.join()?;
    for signer in signers {
        signer.join()?;
    }
    written
}

fn make(
    generator: &mut Generator,
    count: u64,
    work: &Sender<Batch>,
    order: &Sender<Receiver<Vec<u8>>>,
) {
    let mut left = count;
    while left > 0 {
        let events = left.min(BATCH);
        left -= events;
        let batch = (0..events).map(|_| generator.next_unsigned()).collect();
        let (lines_in, lines) = bounded(1);
        if order.send(lines).is_err() || work.send((batch, lines_in)).is_err() {
            return;
        }
    }
}

fn sign(work: &Receiver<Batch>) {
    for (batch, lines_in) in work {
        let mut lines = Vec::with_capacity(batch.len() * 1200);
        for unsigned in batch {
            write_event(&unsigned.sign().as_ref(), &mut lines);
            lines.push(b'\n');
        }
        if lines_in.send(lines).is_err() {
            return;
        }
    }
}

fn write(order: Receiver<Receiver<Vec<u8>>>, count: u64) -> Outcome<()> {
    // On a terminal that shows the events a bar would only be in the way.
    let progress = (!io::stdout().is_terminal()).then(|| Progress::of_items(count));
    let mut out = Lines::open();
    let mut written = 0;
    for lines in order {
        // A signer that died has dropped the other end; joining it says why.
        let Ok(lines) = lines.recv() else { break };
        out.whole(&lines)?;
        written = count.min(written + BATCH);
        if let Some(progress) = &progress {
            progress.set(written, written);
        }
    }
    if let Some(progress) = progress {
        progress.clear();
    }
    out.finish()
}
