//! The protocol as a model: every order of events within bounds, with the real transition function.
//!
//! A state holds the task rows, the tables and statements of the server, and where each worker
//! stands. Rows are the project's own `Progress`, changed by `Progress::next` alone and written as
//! `settle_swap` writes them: compared by epoch and stamp, an OK proves nothing, and the row is read
//! back. Each step of a worker stands for the function of `worker/src` that its name in `state.rs`
//! tells. Between any two steps of one worker the others, the server, and the faults have their turn:
//!
//! * a worker dies, or sleeps past its lease and goes on until its next look at it;
//! * a request is cut: it never arrives, arrives at once with its answer lost, or arrives late,
//!   when its sender has long gone on (all three are one fault: what is late may never come);
//! * the server dies; a MOVE that ran is undone, or its part is in both tables;
//! * the evidence of a publishing task grows old, and merged parts are not listed any more.
//!
//! `LONGSHORE_MODEL_FAULTS=N` allows N faults instead of 1 (two tasks) and 2 (one task); use
//! `--release`, and expect ten times the states for each.
//!
//! Left out: views (one staging table a task), pauses between attempts, the cursor of a job.

mod answers;
mod model;
mod people;
mod properties;
mod protocol;
mod publish;
mod server;
mod state;
mod worker;

use protocol::{Bug, Protocol};
use state::Budget;
use stateright::{Checker, HasDiscoveries, Model};

/// A protocol with so many faults, each kind so often at most.
fn protocol(tasks: usize, faults: u8, each: u8) -> Protocol {
    // Evidence that grows old beside two tasks takes minutes to go through.
    let olds = u8::from(tasks == 1);
    let budget =
        Budget { faults, crashes: each, sleeps: each, losses: each, server_crashes: each, olds };
    Protocol { tasks, workers: 2, attempts_max: 2, budget, bug: None, reaches: false }
}

/// The number of faults to allow.
fn faults(default: u8) -> u8 {
    std::env::var("LONGSHORE_MODEL_FAULTS")
        .map_or(default, |text| text.parse().expect("LONGSHORE_MODEL_FAULTS is a number"))
}

/// Goes through all states; at least so many must be there, or the model has stopped moving.
fn exhaust(protocol: Protocol, at_least: usize) {
    let start = std::time::Instant::now();
    let checker =
        protocol.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    println!(
        "{} states, {} of them different, depth {}, {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        start.elapsed(),
    );
    checker.assert_properties();
    assert!(checker.unique_state_count() > at_least, "{} states", checker.unique_state_count());
}

#[test]
fn two_workers_and_two_tasks_survive_any_fault() {
    exhaust(protocol(2, faults(1), faults(1)), 500_000);
}

#[test]
fn two_workers_and_one_task_survive_any_two_faults() {
    let bounds = protocol(1, faults(2), faults(2) - 1);
    exhaust(Protocol { reaches: true, ..bounds }, 500_000);
}

/// A planted bug must break this rule.
fn breaks(bug: Bug, rule: &'static str) {
    let model = Protocol { bug: Some(bug), ..protocol(1, 2, 1) };
    let finish = HasDiscoveries::AnyOf([rule].into());
    let checker = model.checker().threads(2).finish_when(finish).spawn_bfs().join();
    let path = checker.assert_any_discovery(rule);
    println!("{bug:?}: {} states, {:?}", checker.unique_state_count(), path.into_actions());
}

#[test]
fn a_fence_that_is_skipped_is_seen() {
    breaks(Bug::SkipFence, "an epoch that was fenced off changes nothing");
}

#[test]
fn a_fence_without_new_names_is_seen() {
    breaks(Bug::NoRename, "an epoch that was fenced off changes nothing");
}

#[test]
fn a_move_that_is_sent_again_blindly_is_seen() {
    breaks(Bug::BlindMove, "no row is in the target twice");
}

#[test]
fn a_move_after_one_without_a_trace_is_seen() {
    breaks(Bug::KeepMoving, "no row is in the target twice");
}

#[test]
fn an_ok_that_is_taken_for_a_claim_is_seen() {
    breaks(Bug::TrustOk, "one worker acts in an epoch");
}

#[test]
fn a_lost_answer_that_is_taken_for_a_failure_is_seen() {
    breaks(Bug::TrustError, "no row is lost");
}

#[test]
fn a_job_that_a_zombie_pauses_is_seen() {
    breaks(Bug::PauseUnchecked, "no job is paused for a fault that passes");
}

#[test]
fn a_rename_that_comes_late_is_seen() {
    breaks(Bug::RenameOnce, "no job is paused for a fault that passes");
}
