//! What must hold in every state, and what must be reached in some run.

use longshore_shared::task::{StateName, TaskState};
use stateright::Property;

use crate::protocol::{Protocol, manifest_parts, manifest_table};
use crate::state::{ALL, Broken, PARTITIONS, State, Step, Store, What, Why, Worker};

fn copies(store: &Store, partition: u8) -> u8 {
    store.target.iter().filter(|p| p.partition == partition).map(|p| p.copies).sum()
}

/// What holds in every state.
pub(crate) fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no row is in the target twice", |_, state: &State| {
            let once = |store: &Store| (0..PARTITIONS).all(|p| copies(store, p) <= 1);
            state.stores.iter().all(once)
        }),
        Property::always("no row is lost", |_, state: &State| {
            state.rows.iter().zip(&state.stores).all(|(row, store)| match &row.progress.state {
                TaskState::Done { .. } => {
                    store.receipt && (0..PARTITIONS).all(|p| copies(store, p) == 1)
                }
                TaskState::Publishing { manifest, .. }
                | TaskState::Quarantined { manifest, .. } => {
                    let made = manifest_table(manifest);
                    let staged =
                        store.tables.iter().find(|t| t.made == made).map_or(0, |t| t.parts);
                    let moved = store.target.iter().filter(|part| part.made == made);
                    let there = moved.fold(staged, |mask, part| mask | 1 << part.partition);
                    manifest_parts(manifest) == ALL && there == ALL
                }
                // Left of publishing nothing of it is in the target.
                _ => store.target.is_empty(),
            })
        }),
        Property::always("one worker acts in an epoch", |_, state: &State| {
            let claims = || state.workers.iter().filter_map(|worker| worker.claim.as_ref());
            claims().enumerate().all(|(at, claim)| {
                claims().skip(at + 1).all(|other| {
                    other.task != claim.task || other.row.progress.epoch != claim.row.progress.epoch
                })
            })
        }),
        Property::always("epochs only rise", |_, s: &State| s.broken != Some(Broken::Epoch)),
        Property::always("publishing is never left backward", |_, s: &State| {
            s.broken != Some(Broken::Backward)
        }),
        Property::always("an epoch that was fenced off changes nothing", |_, s: &State| {
            s.broken != Some(Broken::Fenced)
        }),
        Property::always("staging is kept until all of it is published", |_, s: &State| {
            s.broken != Some(Broken::Dropped)
        }),
        Property::always("nothing is loaded into a set twice", |_, s: &State| {
            s.broken != Some(Broken::LoadedTwice)
        }),
        Property::always("a receipt tells the truth", |_, s: &State| {
            s.broken != Some(Broken::FalseReceipt)
        }),
        Property::always("no job is paused for a fault that passes", |_, s: &State| !s.paused),
        Property::always("only missing evidence leads to quarantine", |_, s: &State| {
            let quarantined = |name| name == StateName::Quarantined;
            s.rows
                .iter()
                .zip(&s.stores)
                .all(|(row, store)| !quarantined(row.progress.state.name()) || store.old)
        }),
    ]
}

/// Does a worker stand so?
fn some(state: &State, holds: impl Fn(&Worker) -> bool) -> bool {
    state.workers.iter().any(holds)
}

fn name_of(worker: &Worker) -> Option<StateName> {
    worker.claim.as_ref().map(|claim| claim.row.progress.state.name())
}

/// What is reached in some run: without these the rules above would hold of nothing.
pub(crate) fn sometimes() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("all tasks are done", |_, s: &State| {
            s.rows.iter().all(|row| row.progress.state.name() == StateName::Done)
        }),
        Property::sometimes("a loading task is taken over", |_, s: &State| {
            some(s, |w| w.step == Step::StopOlder && name_of(w) == Some(StateName::Claimed))
        }),
        Property::sometimes("a publishing task is taken over", |_, s: &State| {
            some(s, |w| w.step == Step::RenameSet)
        }),
        Property::sometimes("a task that failed is tried again", |_, s: &State| {
            s.rows.iter().any(|row| {
                row.progress.state.name() == StateName::Pending && row.progress.epoch.0 > 0
            })
        }),
        Property::sometimes("a compare-and-set of a zombie is refused", |_, s: &State| {
            some(s, |w| w.step == Step::Over(Why::Refused))
        }),
        Property::sometimes("a part is found in both tables", |_, s: &State| {
            some(s, |w| matches!(w.step, Step::DropPublished { .. }))
        }),
        Property::sometimes("an unanswered write is recognised as own", |_, s: &State| {
            some(s, |w| match &w.step {
                Step::ReadBack { request, heard: false } => match &request.what {
                    What::Swap { next, .. } => {
                        s.rows[usize::from(request.task)].stamp == next.stamp
                    }
                    _ => false,
                },
                _ => false,
            })
        }),
        Property::sometimes("an OK is not believed", |_, s: &State| {
            some(s, |w| match &w.step {
                Step::ReadBack { request, heard: true } => match &request.what {
                    What::Swap { next, .. } => {
                        s.rows[usize::from(request.task)].stamp != next.stamp
                    }
                    _ => false,
                },
                _ => false,
            })
        }),
        Property::sometimes("a fence waits for a MOVE", |_, s: &State| {
            s.running.iter().any(|run| {
                run.moves.is_some()
                    && some(s, |w| {
                        w.step == Step::StopOlder
                            && w.claim.as_ref().is_some_and(|c| {
                                c.task == run.task && c.row.progress.epoch.0 > u64::from(run.epoch)
                            })
                    })
            })
        }),
        Property::sometimes("a late MOVE finds its table renamed", |_, s: &State| {
            s.late.iter().any(|request| {
                matches!(request.what, What::Move { .. })
                    && request.epoch < s.stores[usize::from(request.task)].fenced
            })
        }),
        Property::sometimes("a task is quarantined", |_, s: &State| {
            some(s, |w| w.step == Step::Over(Why::Quarantined))
        }),
        Property::sometimes("a task fails", |_, s: &State| {
            s.rows.iter().any(|row| row.progress.state.name() == StateName::Failed)
        }),
    ]
}
