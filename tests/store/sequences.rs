//! Random sequences of what workers do to a store, with copies that may be stale and writes that
//! arrive late or twice, beside a reference.
//!
//! `FAULT_SEED` repeats a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use longshore_shared::store::MemoryStore;
use longshore_shared::task::{JobId, JobState};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::Runtime;

use super::acts::{Act, Change};
use super::reference::Reference;
use super::subject::{Rig, Run};

/// How often something was tried, over all sequences of a run.
type Tried = BTreeMap<String, u32>;

fn seed() -> u64 {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    seed
}

/// Runs so many sequences of up to so many steps; the shortest that fails is shown.
fn run<R: Rig>(seed: u64, cases: u32, steps: usize) -> Tried {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let tried = RefCell::new(Tried::new());
    let mut runner = TestRunner::new(config.clone());
    let sequences = Reference::sequential_strategy(steps / 2..=steps);
    let result = runner.run(&sequences, |(initial, acts, applied)| {
        count(&mut tried.borrow_mut(), initial.clone(), &acts);
        Run::<R>::test_sequential(config.clone(), initial, acts, applied);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("{:#?}", tried.borrow());
    tried.into_inner()
}

fn count(tried: &mut Tried, mut state: Reference, acts: &[Act]) {
    for act in acts {
        state = Reference::apply(state, act);
        let (Act::Write(worker, _) | Act::Send(worker)) = act else { continue };
        let outcome = state.outcome.expect("a write has an outcome");
        *tried.entry(format!("{} {outcome:?}", state.held_kind(*worker))).or_default() += 1;
        if let Act::Write(_, Change::Task(_, event)) = act {
            *tried.entry(format!("{event:?} {outcome:?}")).or_default() += 1;
        }
    }
    if matches!(state.rows.job.value, JobState::Completed | JobState::Failed) {
        *tried.entry("a job finished".into()).or_default() += 1;
    }
    let finished = state.rows.cursor.value.finished.len();
    *tried.entry(format!("segments finished: {finished}")).or_default() += 1;
}

/// What a run did not try it did not test.
fn must_have_tried(tried: &Tried, wanted: &[&str]) {
    let missing: Vec<&&str> =
        wanted.iter().filter(|wanted| !tried.contains_key(**wanted)).collect();
    assert!(missing.is_empty(), "never tried: {missing:?}");
}

const EVERY_OUTCOME: [&str; 6] = [
    "task Applied",
    "task Recognised",
    "task Refused",
    "cursor Applied",
    "cursor Recognised",
    "cursor Refused",
];

struct Memory {
    store: MemoryStore,
    runtime: Runtime,
}

impl Rig for Memory {
    type Store = MemoryStore;

    fn fresh() -> Self {
        Self { store: MemoryStore::default(), runtime: runtime() }
    }

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    fn pass(&self, ms: i64, _: &JobId) {
        self.store.advance(ms);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn the_memory_store_does_what_the_reference_says() {
    let tried = run::<Memory>(seed(), 250, 120);
    must_have_tried(&tried, &EVERY_OUTCOME);
    let events =
        ["Claim", "TakeOver", "Load", "Publish", "Retry", "HandBack", "GiveUp", "Quarantine"];
    for event in events {
        let applied = format!("{event} Applied");
        must_have_tried(&tried, &[&applied]);
    }
    let ends = ["job Applied", "job Recognised", "job Refused"];
    must_have_tried(&tried, &ends);
    must_have_tried(
        &tried,
        &["Claim Refused", "TakeOver Refused", "Load Refused", "Publish Refused"],
    );
}
