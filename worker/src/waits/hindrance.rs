//! What keeps a loaded task from being published, told while it lasts.
//!
//! From the manifest on a task only goes forward, for as long as that takes. Its row then says what
//! it waits for: `status`, `run`, `tasks` and `task` show it. A single error that is gone with the
//! next try is not told.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_shared::store::{KeeperMapStore, TaskStore};
use longshore_shared::task::Task;
use tokio::time::Instant;

/// Between two notes on one row: each is a write to Keeper.
const NOTE_PAUSE: Duration = Duration::from_secs(5);

/// What was met so far, and what of it stands on the row.
#[derive(Debug, Default)]
pub(crate) struct Hindrance(Mutex<Met>);

#[derive(Debug, Default)]
struct Met {
    /// Troubles since the last step that went well.
    times: u32,
    noted: Option<(String, Instant)>,
}

impl Hindrance {
    /// Notes on the row of a publishing task what it waits for.
    pub(crate) async fn meets(&self, store: &KeeperMapStore, task: &Task, cause: &str) {
        let words = format!("it is loaded and cannot be published yet: {cause}");
        if self.is_due(&words, Instant::now()) {
            note(store, task, &words).await;
        }
    }

    /// The task goes on: takes the note back.
    pub(crate) async fn passes(&self, store: &KeeperMapStore, task: &Task) {
        if self.is_told() {
            note(store, task, "").await;
        }
    }

    /// A step did not work. What is to be noted, if it is time for that.
    fn is_due(&self, words: &str, now: Instant) -> bool {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.times += 1;
        let is_news = met.noted.as_ref().is_none_or(|(noted, at)| {
            noted != words && now.saturating_duration_since(*at) >= NOTE_PAUSE
        });
        let is_due = met.times > 1 && is_news;
        if is_due {
            met.noted = Some((words.to_owned(), now));
        }
        is_due
    }

    /// A step worked. Is there a note to be taken back?
    fn is_told(&self) -> bool {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.times = 0;
        met.noted.take().is_some()
    }
}

async fn note(store: &KeeperMapStore, task: &Task, words: &str) {
    // It is for people only: a store that is away must not keep the task.
    if let Err(error) = store.tell(task, words).await {
        tracing::debug!(%error, "what hinders the task is not on its row");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_noted_once_and_what_passes_is_not() {
        let (hindrance, began) = (Hindrance::default(), Instant::now());
        assert!(!hindrance.is_due("full", began), "it may be gone with the next try");
        assert!(hindrance.is_due("full", began));
        assert!(!hindrance.is_due("full", began + NOTE_PAUSE), "it stands there already");
        assert!(!hindrance.is_due("fuller", began + NOTE_PAUSE / 2), "a count that changes");
        assert!(hindrance.is_due("read-only", began + NOTE_PAUSE));
        assert!(hindrance.is_told());
        assert!(!hindrance.is_told());
        assert!(!hindrance.is_due("full", began + NOTE_PAUSE));
    }
}
