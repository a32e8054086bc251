//! Threads: started here under a name, joined here, pinned and prioritised here.
//!
//! Invariants: 1. a panic of a thread reaches whoever joins it as an error that names the thread;
//! 2. no thread outlives its handle: dropping the handle joins (so close what the thread waits for
//! before its handle is dropped, and declare such fields before it); 3. what a thread belongs to, the threads that it
//! starts belong to as well.
#![expect(unsafe_code, reason = "affinity and priority are system calls")]

use crate::base::{Error, Result};
use std::any::Any;
use std::cell::Cell;
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

/// A thread's handle.
#[derive(Debug)]
pub struct Thread<T> {
    name: String,
    /// `None` once joined.
    state: Option<State<T>>,
}

#[derive(Debug)]
enum State<T> {
    Started(JoinHandle<T>),
    Refused(std::io::Error),
}

/// Starts a thread called `name` (the kernel shows its first 15 bytes). If the system refuses, `f` is
/// dropped at once, so that its channels close, and `join` says why.
pub fn spawn<T: Send + 'static>(
    name: impl Into<String>,
    f: impl FnOnce() -> T + Send + 'static,
) -> Thread<T> {
    let name = name.into();
    let owner = owner_current();
    let owned = move || owned_by(owner, f);
    let state = match Builder::new().name(name.clone()).spawn(owned) {
        Ok(handle) => State::Started(handle),
        Err(error) => State::Refused(error),
    };
    Thread { name, state: Some(state) }
}

thread_local! {
    static OWNER: Cell<u64> = const { Cell::new(0) };
}

/// A number that no other owner of threads in this process has.
pub fn owner_new() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// What the calling thread belongs to; 0 if to nothing.
pub fn owner_current() -> u64 {
    OWNER.get()
}

/// Runs `f`; meanwhile this thread, and for their lives the threads that it starts, belong to `owner` (invariant 3).
pub fn owned_by<T>(owner: u64, f: impl FnOnce() -> T) -> T {
    struct Back(u64);
    impl Drop for Back {
        fn drop(&mut self) {
            OWNER.set(self.0);
        }
    }
    let _back = Back(OWNER.replace(owner));
    f()
}

impl<T> Thread<T> {
    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its function has returned or panicked; `join` then does not block.
    pub fn is_finished(&self) -> bool {
        match &self.state {
            Some(State::Started(handle)) => handle.is_finished(),
            _ => true,
        }
    }

    /// Waits for the thread's end.
    ///
    /// # Errors
    /// `Poisoned`, naming the thread, if it panicked; `Io` if it was never started.
    pub fn join(mut self) -> Result<T> {
        self.end().unwrap_or(Err(Error::Closed))
    }

    fn end(&mut self) -> Option<Result<T>> {
        match self.state.take()? {
            State::Refused(error) => Some(Err(Error::io("start the thread", &self.name, error))),
            // A handle that its own thread drops cannot be joined: let the thread run out.
            State::Started(handle) if handle.thread().id() == std::thread::current().id() => None,
            State::Started(handle) => Some(handle.join().map_err(|panic| Error::Poisoned {
                stage: "its thread",
                why: format!("thread {} panicked: {}", self.name, message(&*panic)),
            })),
        }
    }
}

impl<T> Drop for Thread<T> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.end() {
            tracing::error!(thread = self.name, %error, "a thread ended badly, and no one asked");
        }
    }
}

/// Runs `f`; a panic in it ends here.
///
/// # Errors
/// The text that the panic was raised with. What `f` worked on may be torn: let go of it.
pub fn caught<T>(f: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| message(&*panic).to_string())
}

/// The text that a panic was raised with.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

/// Cores that this process may use: affinity and container quota counted in, as they were when it was first asked or a
/// thread first pinned, since the system reads files to say so, and says it of the thread that asks.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Binds the calling thread to the `core`-th of the cores that the process may run on.
///
/// # Errors
/// `Invalid` if there are fewer; `Io` if the system refuses.
pub fn pin_current_to(core: usize) -> Result<()> {
    let _whole = cores(); // from here on this thread would be told of one
    let mut allowed = empty_set();
    let process = i32::try_from(std::process::id()).unwrap_or(0);
    // SAFETY: the pointer and the size are those of `allowed`, which the call fills.
    let got =
        unsafe { libc::sched_getaffinity(process, size_of::<libc::cpu_set_t>(), &mut allowed) };
    if got != 0 {
        return Err(Error::io(
            "read the cores of",
            "this process",
            std::io::Error::last_os_error(),
        ));
    }
    let cpus = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| {
        // SAFETY: `cpu` is below CPU_SETSIZE.
        unsafe { libc::CPU_ISSET(cpu, &allowed) }
    });
    let cpus: Vec<usize> = cpus.collect();
    let Some(&cpu) = cpus.get(core) else {
        return Err(Error::invalid("core", format!("core {core} of {}", cpus.len())));
    };
    let mut one = empty_set();
    // SAFETY: `cpu` is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    // SAFETY: the pointer and the size are those of `one`; 0 is the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one) } {
        0 => Ok(()),
        _ => Err(Error::io("pin", "this thread", std::io::Error::last_os_error())),
    }
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: a cpu_set_t is an array of integers, for which zero is a value: the empty set.
    unsafe { std::mem::zeroed() }
}

/// Raises the calling thread's priority (nice -10), and with it that of the kernel workers that its
/// ring starts from then on (so raise it before the first operation): on a busy machine the tail of a commit falls from a scheduler tick (4 ms) to 0.1 ms.
/// Returns whether the system allowed it; without privilege it does not, and nothing changes.
pub fn raise_priority_current() -> bool {
    nice_current(-10)
}

/// Lowers the calling thread's priority (nice 10): for work that nobody waits for. Returns whether the
/// system allowed it.
pub fn lower_priority_current() -> bool {
    nice_current(10)
}

fn nice_current(nice: i32) -> bool {
    // SAFETY: takes no pointers; on Linux 0 is the calling thread, not its process.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    set == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_thread_has_its_name_and_gives_back_its_value() {
        let thread = spawn("shard-7", || std::thread::current().name().map(str::to_owned));
        assert_eq!(thread.name(), "shard-7");
        assert_eq!(thread.join().unwrap().as_deref(), Some("shard-7"));
    }

    #[test]
    fn a_thread_lowers_its_own_priority_and_no_other() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit_once(") ").unwrap().1;
            fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = nice();
        let lowered = spawn("low", move || lower_priority_current().then(nice));
        // Who is lower already, without privilege, stays there.
        assert_eq!(lowered.join().unwrap(), (before <= 10 || nice_allowed()).then_some(10));
        assert_eq!(nice(), before);
    }

    /// Whether this process may raise priorities.
    fn nice_allowed() -> bool {
        spawn("high", raise_priority_current).join().unwrap()
    }

    #[test]
    fn a_panic_becomes_an_error_that_names_the_thread() {
        let thread = spawn("shard-8", || {
            if cores() > 0 {
                panic!("boom {}", 1);
            }
        });
        let error = thread.join().unwrap_err().to_string();
        assert!(error.contains("thread shard-8 panicked: boom 1"), "{error}");
    }

    #[test]
    fn a_thread_that_cannot_start_says_so_at_join_and_drops_its_work() {
        // A name with a zero byte would panic; a refusal by the system is made by hand.
        let refused = std::io::Error::from_raw_os_error(libc::EAGAIN);
        let thread: Thread<()> =
            Thread { name: "shard-9".into(), state: Some(State::Refused(refused)) };
        assert!(thread.is_finished());
        let error = thread.join().unwrap_err().to_string();
        assert!(error.starts_with("cannot start the thread shard-9"), "{error}");
    }

    #[test]
    fn dropping_a_handle_joins() {
        let ended = Arc::new(AtomicBool::new(false));
        let (start, started) = std::sync::mpsc::channel::<()>();
        let thread = spawn("dropped", {
            let ended = ended.clone();
            move || {
                let _ = started.recv();
                ended.store(true, Ordering::SeqCst);
            }
        });
        drop(start);
        drop(thread);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn threads_belong_to_what_the_thread_that_started_them_belongs_to() {
        let (one, other) = (owner_new(), owner_new());
        assert!(one != other && owner_current() == 0);
        let seen = owned_by(one, || {
            let within = owned_by(other, owner_current);
            let child = spawn("parent", || spawn("child", owner_current).join().unwrap());
            (within, owner_current(), child)
        });
        assert_eq!(seen.0, other);
        assert_eq!((seen.1, seen.2.join().unwrap(), owner_current()), (one, one, 0));
    }

    #[test]
    fn a_pinned_thread_runs_on_one_core() {
        let allowed = || std::thread::available_parallelism().unwrap().get();
        for core in 0..cores() {
            let seen = spawn("pinned", move || pin_current_to(core).map(|()| (allowed(), cores())));
            assert_eq!(seen.join().unwrap().unwrap(), (1, cores()));
        }
        assert_eq!(pin_current_to(100_000).unwrap_err().code(), "ERR_INVALID");
    }

    #[test]
    fn priority_is_raised_for_the_calling_thread_alone_or_left() {
        // SAFETY: takes no pointers.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let (allowed, inside) =
            spawn("urgent", move || (raise_priority_current(), nice())).join().unwrap();
        assert_eq!(inside, if allowed { -10 } else { before });
        assert_eq!(nice(), before);
    }
}
