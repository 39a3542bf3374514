//! A proxy between some workers and the server that does as the schedule says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{Proxy, Verdict, within};

use crate::kind::Kind;
use crate::record::Record;
use crate::schedule::Fault;

const TICK: Duration = Duration::from_millis(50);
/// A statement that is let go has reached the server and done its work after this.
const ARRIVAL: Duration = Duration::from_secs(2);

/// A fault that waits for its request.
struct Waiting {
    fault: Fault,
    times: usize,
    job: u64,
}

/// What the proxy looks at when a request comes by.
#[derive(Default)]
struct Sky {
    waiting: Mutex<Vec<Waiting>>,
    /// Until then the address leads to the second server.
    elsewhere: Mutex<Option<Instant>>,
    /// Statements that are held at this moment.
    held: AtomicUsize,
    /// How often all held statements were let go.
    releases: AtomicUsize,
}

/// The proxy of a lane, and what waits there.
pub(crate) struct RequestFaults {
    proxy: Proxy,
    sky: Arc<Sky>,
}

impl RequestFaults {
    /// A proxy in front of a server, whose address can lead to another one.
    pub(crate) fn start(server: &str, other: &str, lane: u64, record: Arc<Record>) -> Self {
        let sky: Arc<Sky> = Arc::default();
        let (server, other) = (server.to_owned(), other.to_owned());
        let route = {
            let sky = sky.clone();
            move || if sky.is_elsewhere() { other.clone() } else { server.clone() }
        };
        let shared = sky.clone();
        let proxy = Proxy::routed(route, move |request| {
            let Some((fault, job)) = shared.take(request) else { return Verdict::Pass };
            let words: String = request.lines().skip(1).take(2).collect::<Vec<_>>().join(" ");
            let words: String = words.chars().take(80).collect();
            record.fault(lane, job, fault.kind, "proxy", &words);
            let length = Duration::from_millis(fault.length_ms);
            match fault.kind {
                Kind::LostRequest => Verdict::LoseRequest,
                Kind::LostAnswer => Verdict::LoseAnswer,
                Kind::Held => {
                    shared.hold(length);
                    Verdict::Pass
                }
                _ => {
                    thread::sleep(length);
                    Verdict::Pass
                }
            }
        });
        Self { proxy, sky }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// The next one to three requests with the fault's words are hit; of those that are held, one.
    pub(crate) fn brew(&self, fault: &Fault, job: u64) {
        let times = if fault.kind == Kind::Held { 1 } else { 1 + fault.pick % 3 };
        lock(&self.sky.waiting).push(Waiting { fault: fault.clone(), times, job });
    }

    /// From now on the address leads to the second server for a while. False when it does already.
    pub(crate) fn reroute(&self, length: Duration) -> bool {
        if self.sky.is_elsewhere() {
            return false;
        }
        *lock(&self.sky.elsewhere) = Some(Instant::now() + length);
        true
    }

    /// Nothing waits any more. What is held stays held.
    pub(crate) fn clear(&self) {
        lock(&self.sky.waiting).clear();
    }

    /// Lets go what is still held, and waits until the server has had it.
    pub(crate) fn release(&self) {
        if self.sky.held.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.sky.releases.fetch_add(1, Ordering::SeqCst);
        within(ARRIVAL, || (self.sky.held.load(Ordering::SeqCst) == 0).then_some(()));
        thread::sleep(ARRIVAL);
    }
}

impl Sky {
    fn is_elsewhere(&self) -> bool {
        lock(&self.elsewhere).is_some_and(|until| Instant::now() < until)
    }

    /// Waits that long, or until all are let go.
    fn hold(&self, length: Duration) {
        self.held.fetch_add(1, Ordering::SeqCst);
        let (end, before) = (Instant::now() + length, self.releases.load(Ordering::SeqCst));
        while Instant::now() < end && self.releases.load(Ordering::SeqCst) == before {
            thread::sleep(TICK);
        }
        self.held.fetch_sub(1, Ordering::SeqCst);
    }

    fn take(&self, request: &str) -> Option<(Fault, u64)> {
        let mut waiting = lock(&self.waiting);
        let at = waiting.iter().position(|one| request.contains(&one.fault.point))?;
        waiting[at].times -= 1;
        let found = (waiting[at].fault.clone(), waiting[at].job);
        if waiting[at].times == 0 {
            waiting.remove(at);
        }
        Some(found)
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
