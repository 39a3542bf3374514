//! What every store must do: one suite, run on memory and on KeeperMap.
//!
//! Each part makes jobs of its own with random ids, so the suite can run on a store that is in use
//! and parts cannot see each other. Nothing here waits for time to pass.

mod locks;
mod races;
mod records;
mod samples;
mod workers;

use std::sync::Arc;

pub use samples::{job, task};

use super::{LockStore, TaskStore};
/// Runs every part of the suite.
///
/// # Panics
/// When the store breaks a rule; the message names it.
pub async fn exercise(store: impl TaskStore + LockStore) {
    let store = Arc::new(store);
    records::jobs_are_made_once_and_swapped(&*store).await;
    records::tasks_are_made_once(&*store).await;
    records::briefs_come_by_key(&*store).await;
    records::every_state_is_read_back_as_it_was_written(&*store).await;
    records::a_note_changes_no_state_and_goes_with_the_next_change(&*store).await;
    records::a_pause_delays_a_task(&*store).await;
    records::a_stale_swap_loses(&*store).await;
    records::a_swap_recognises_its_own_write(&*store).await;
    records::cursors_count_finished_segments(&*store).await;
    records::chunks_come_by_key(&*store).await;
    records::a_job_is_removed_whole(&*store).await;
    workers::a_worker_lives_until_it_is_removed(&*store).await;
    races::one_of_many_creators_wins(&store).await;
    races::one_of_many_claims_wins(&store).await;
    races::a_take_over_fences_the_old_owner(&store).await;
    races::no_count_of_a_cursor_is_lost(&store).await;
    locks::a_lock_is_made_once_and_swapped(&*store).await;
    locks::one_of_many_takes_a_lock(&store).await;
    locks::a_dry_run_is_remembered(&*store).await;
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_passes_the_suite() {
        super::exercise(MemoryStore::default()).await;
    }
}
