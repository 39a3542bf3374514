//! The servers of a lane, hurt and healed. Each fault of a server has a thread that ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use longshore_tests::{CLICKHOUSE, KEEPER, KEEPERS, OwnBed, S3, SECOND, send_signal};

/// Tries to start a killed server; it may need another one that is down as well.
const RESTARTS_MAX: u32 = 30;
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// One server.
struct One {
    name: &'static str,
    pid: Mutex<u32>,
    is_hurt: AtomicBool,
}

/// The servers of one bed.
#[derive(Clone)]
pub(crate) struct Servers {
    bed: Arc<OwnBed>,
    all: Arc<[One]>,
    keepers: &'static [&'static str],
    healing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Called when a fault of a server is over.
pub(crate) type Healed = Box<dyn FnOnce() + Send>;

impl Servers {
    /// The servers of a bed that runs. The second one of a bed without replicas is never hurt.
    pub(crate) fn of(bed: &Arc<OwnBed>, has_replicas: bool) -> Self {
        let one = |name: &&'static str| One {
            name,
            pid: Mutex::new(bed.pid(name)),
            is_hurt: AtomicBool::new(false),
        };
        let keepers: &[_] = if has_replicas { &KEEPERS } else { &[KEEPER] };
        let clickhouse: &[_] = if has_replicas { &[CLICKHOUSE, SECOND] } else { &[CLICKHOUSE] };
        let all = keepers.iter().chain(clickhouse).chain(&[S3]).map(one).collect();
        Self { bed: bed.clone(), all, keepers, healing: Arc::default() }
    }

    /// The Keepers, the one that is picked first.
    pub(crate) fn keepers(&self, pick: usize) -> Vec<&'static str> {
        let first = pick % self.keepers.len();
        self.keepers[first..].iter().chain(&self.keepers[..first]).copied().collect()
    }

    fn one(&self, name: &str) -> &One {
        self.all.iter().find(|one| one.name == name).expect("a server of the bed")
    }

    /// Kills a server and starts it again after a while. False when it is hurt already.
    pub(crate) fn kill(&self, name: &'static str, down: Duration, healed: Healed) -> bool {
        self.kill_and(name, down, || {}, healed)
    }

    /// The same, and something is done while it is down.
    pub(crate) fn kill_and(
        &self,
        name: &'static str,
        down: Duration,
        meanwhile: impl FnOnce() + Send + 'static,
        healed: Healed,
    ) -> bool {
        if self.one(name).is_hurt.swap(true, Ordering::SeqCst) {
            return false;
        }
        send_signal(self.pid(name), "KILL");
        self.later(name, move |servers| {
            thread::sleep(down);
            meanwhile();
            servers.start(name);
            healed();
        });
        true
    }

    /// Stops a server for a while. False when it is hurt already.
    pub(crate) fn stop(&self, name: &'static str, length: Duration, healed: Healed) -> bool {
        if self.one(name).is_hurt.swap(true, Ordering::SeqCst) {
            return false;
        }
        send_signal(self.pid(name), "STOP");
        self.later(name, move |servers| {
            thread::sleep(length);
            send_signal(servers.pid(name), "CONT");
            healed();
        });
        true
    }

    /// Kills all servers that run, and starts them again in one of the orders in which each can.
    pub(crate) fn kill_all(&self, order: usize, down: Duration, healed: Healed) -> bool {
        if self.all.iter().any(|one| one.is_hurt.load(Ordering::SeqCst)) {
            return false;
        }
        for one in self.all.iter() {
            one.is_hurt.store(true, Ordering::SeqCst);
            send_signal(self.pid(one.name), "KILL");
        }
        // ClickHouse does not answer before it has its Keeper, which stands before it; the store is anywhere.
        let mut names: Vec<_> =
            self.all.iter().map(|one| one.name).filter(|name| *name != S3).collect();
        names.insert(order % (names.len() + 1), S3);
        self.later(S3, move |servers| {
            thread::sleep(down);
            for name in &names {
                servers.start(name);
                servers.one(name).is_hurt.store(false, Ordering::SeqCst);
            }
            healed();
        });
        true
    }

    fn later(&self, name: &'static str, heal: impl FnOnce(&Self) + Send + 'static) {
        let servers = self.clone();
        let handle = thread::spawn(move || {
            heal(&servers);
            servers.one(name).is_hurt.store(false, Ordering::SeqCst);
        });
        self.healing.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    fn start(&self, name: &str) {
        // One command a bed at a time: a ClickHouse that waits for its Keeper would keep others,
        // the Keeper's own start among them, from beginning.
        while name.starts_with("clickhouse") && !self.keepers_have_a_majority() {
            thread::sleep(RESTART_PAUSE);
        }
        let mut error = String::new();
        for _ in 0..RESTARTS_MAX {
            match self.bed.try_restart(name) {
                Ok(()) => {
                    *self.one(name).pid.lock().unwrap_or_else(PoisonError::into_inner) =
                        self.bed.pid(name);
                    return;
                }
                Err(words) => error = words,
            }
            thread::sleep(RESTART_PAUSE);
        }
        panic!("{name} does not start again: {error}");
    }

    fn keepers_have_a_majority(&self) -> bool {
        let hurt = self.keepers.iter().filter(|name| self.one(name).is_hurt.load(Ordering::SeqCst));
        hurt.count() * 2 < self.keepers.len()
    }

    fn pid(&self, name: &str) -> u32 {
        *self.one(name).pid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is any server hurt at the moment?
    pub(crate) fn is_any_hurt(&self) -> bool {
        self.all.iter().any(|one| one.is_hurt.load(Ordering::SeqCst))
    }

    /// Waits until every server is well again.
    ///
    /// # Errors
    /// When one did not come back.
    pub(crate) fn heal(&self) -> Result<(), String> {
        loop {
            let next = self.healing.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(handle) = next else { return Ok(()) };
            handle.join().map_err(|_| "a server did not come back".to_owned())?;
        }
    }
}
