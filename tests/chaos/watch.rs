//! Looks at the task table all the time, to see when the job is over and how long recoveries take.
//! What it sees decides nothing about right or wrong: that is the checker's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use longshore_tests::{Admin, name};

use crate::record::Record;

const LOOK_PAUSE: Duration = Duration::from_millis(150);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    epoch: String,
    state: String,
    worker: String,
}

struct Death {
    at: Instant,
    /// Tasks of the dead, as far as seen; none until the first look after the death.
    tasks: Option<Vec<String>>,
    worker: String,
    is_disturbed: bool,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<String, Seen>,
    job: String,
    reason: String,
    deaths: Vec<Death>,
    heals: Vec<(&'static str, Instant)>,
}

/// A look at one job that goes on until it is dropped.
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What others tell a watch.
#[derive(Clone)]
pub(crate) struct Told(Arc<Mutex<State>>);

impl Told {
    /// A worker was killed.
    pub(crate) fn died(&self, worker: String) {
        let (at, tasks) = (Instant::now(), None);
        lock(&self.0).deaths.push(Death { at, tasks, worker, is_disturbed: false });
    }

    /// A server was hurt: recoveries that wait meanwhile say nothing about the workers.
    pub(crate) fn disturbed(&self) {
        for death in &mut lock(&self.0).deaths {
            death.is_disturbed = true;
        }
    }

    /// A server is well again.
    pub(crate) fn healed(&self, fault: &'static str) {
        let now = Instant::now();
        let mut state = lock(&self.0);
        for death in &mut state.deaths {
            death.is_disturbed = true;
        }
        state.heals.push((fault, now));
    }
}

impl Watch {
    /// Begins to look at the only job of a control database.
    pub(crate) fn start(
        url: &str,
        control: &str,
        record: Arc<Record>,
        is_hurt: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        let (state, stop) =
            (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (admin, control) = (Admin::new(url), name(control));
        let (shared, ended) = (state.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let looked = Instant::now();
                let found = read_rows(&admin, &control);
                let now = Instant::now();
                if let Ok((tasks, job, reason)) = found {
                    let hurt = is_hurt();
                    let mut state = lock(&shared);
                    (state.job, state.reason) = (job, reason);
                    state.compare(tasks, looked, now, hurt, &record);
                }
                thread::sleep(LOOK_PAUSE);
            }
        });
        Self { state, stop, thread: Some(thread) }
    }

    /// For those who hurt and heal.
    pub(crate) fn told(&self) -> Told {
        Told(self.state.clone())
    }

    /// State and reason of the job when it was last seen.
    pub(crate) fn job(&self) -> (String, String) {
        let state = lock(&self.state);
        (state.job.clone(), state.reason.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Look = (BTreeMap<String, Seen>, String, String);

fn read_rows(admin: &Admin, control: &str) -> Result<Look, String> {
    let rows = |text: String| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    let tasks =
        admin.try_run(&format!("SELECT task_id, epoch, state, worker FROM {control}.tasks"))?;
    let jobs = admin.try_run(&format!("SELECT state, reason FROM {control}.jobs"))?;
    let tasks = rows(tasks)
        .into_iter()
        .filter_map(|row| {
            let [task, epoch, state, worker] = row.try_into().ok()?;
            Some((task, Seen { epoch, state, worker }))
        })
        .collect();
    let mut job = rows(jobs).into_iter().next().unwrap_or_default().into_iter();
    Ok((tasks, job.next().unwrap_or_default(), job.next().unwrap_or_default()))
}

impl State {
    fn compare(
        &mut self,
        tasks: BTreeMap<String, Seen>,
        looked: Instant,
        now: Instant,
        hurt: bool,
        record: &Record,
    ) {
        let millis = |since: Instant| u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
        let owned = |worker: &str| -> Vec<String> {
            let is_its = |seen: &&Seen| {
                seen.worker.starts_with(worker)
                    && (seen.state == "claimed" || seen.state == "publishing")
            };
            tasks.iter().filter(|(_, seen)| is_its(seen)).map(|(task, _)| task.clone()).collect()
        };
        for death in &mut self.deaths {
            death.is_disturbed |= hurt;
            // Only a look that began after the death shows what it left behind.
            if death.tasks.is_none() && looked > death.at {
                death.tasks = Some(owned(&death.worker));
            }
            let left = owned(&death.worker);
            if let Some(waiting) = &mut death.tasks {
                for _ in waiting.iter().filter(|task| !left.contains(task)) {
                    let ms = millis(death.at);
                    record.add(|sums| {
                        let times = if death.is_disturbed {
                            &mut sums.reclaims_disturbed
                        } else {
                            &mut sums.reclaims
                        };
                        times.push(ms);
                    });
                }
                waiting.retain(|task| left.contains(task));
            }
        }
        self.deaths.retain(|death| death.tasks.as_ref().is_none_or(|tasks| !tasks.is_empty()));
        if self.tasks != tasks && !self.tasks.is_empty() {
            for (fault, at) in self.heals.drain(..) {
                record.add(|sums| sums.heals.entry(fault).or_default().push(millis(at)));
            }
        }
        self.tasks = tasks;
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
