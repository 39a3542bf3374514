//! A note on a task's row: what hinders it, for people. No state changes by it.

use super::keys::TaskFields;
use super::{KeeperMapStore, Stored, TASK_BYTES_MAX};
use crate::clickhouse::retry_idempotent;
use crate::sql;
use crate::task::Task;

/// Bytes of a row besides chunk, manifest and error.
pub(super) const OTHER_BYTES: usize = 400;

/// See [`super::TaskStore::tell`].
pub(super) async fn tell(store: &KeeperMapStore, task: &Task, words: &str) -> Stored<()> {
    let state = &task.progress.state;
    // The error of every other state belongs to the state itself.
    if !state.name().is_owned() {
        return Ok(());
    }
    // A note must not make a row too large that is not: it is cut instead.
    let taken = TaskFields::from(state).manifest.len() + task.chunk.len() + OTHER_BYTES;
    let words = head(words, TASK_BYTES_MAX.saturating_sub(taken));
    // The same words on the same row, once or twice: a lost answer is no reason to give up.
    let note = || {
        store
            .write(sql::TELL_TASK)
            .param("error", words)
            .param("task", &task.id)
            .param("epoch", task.progress.epoch)
            .param("stamp", &task.stamp.0)
            .execute()
    };
    retry_idempotent(note).await?;
    Ok(())
}

/// The beginning of a text, whole letters only.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn a_note_is_cut_between_letters() {
        assert_eq!(head("aü☃", 9), "aü☃");
        assert_eq!(head("aü☃", 5), "aü");
        assert_eq!(head("ü", 1), "");
    }
}
