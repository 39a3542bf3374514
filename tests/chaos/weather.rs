//! A proxy between some workers and the server that does as the schedule says.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use longshore_tests::{Proxy, Verdict};

use crate::record::Record;
use crate::schedule::{Fault, Kind};

/// A fault that waits for its request.
struct Waiting {
    fault: Fault,
    times: usize,
    job: u64,
}

/// The proxy of a lane, and what waits there.
pub(crate) struct Weather {
    proxy: Proxy,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

impl Weather {
    /// A proxy in front of a server.
    pub(crate) fn start(server: &str, lane: u64, record: Arc<Record>) -> Self {
        let waiting: Arc<Mutex<Vec<Waiting>>> = Arc::default();
        let shared = waiting.clone();
        let proxy = Proxy::start(server, move |request| {
            let Some((fault, job)) = take(&shared, request) else { return Verdict::Pass };
            let words: String = request.lines().skip(1).take(2).collect::<Vec<_>>().join(" ");
            let words: String = words.chars().take(80).collect();
            record.fault(lane, job, fault.kind, "proxy", &words);
            match fault.kind {
                Kind::LostRequest => Verdict::LoseRequest,
                Kind::LostAnswer => Verdict::LoseAnswer,
                _ => {
                    thread::sleep(Duration::from_millis(fault.length_ms));
                    Verdict::Pass
                }
            }
        });
        Self { proxy, waiting }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// The next one to three requests with the fault's words are hit.
    pub(crate) fn brew(&self, fault: &Fault, job: u64) {
        let waiting = Waiting { fault: fault.clone(), times: 1 + fault.pick % 3, job };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }

    /// Nothing waits any more.
    pub(crate) fn clear(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn take(waiting: &Mutex<Vec<Waiting>>, request: &str) -> Option<(Fault, u64)> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let at = waiting.iter().position(|one| request.contains(&one.fault.point))?;
    waiting[at].times -= 1;
    let found = (waiting[at].fault.clone(), waiting[at].job);
    if waiting[at].times == 0 {
        waiting.remove(at);
    }
    Some(found)
}
