//! What a chunk loads, as it is shown.

use longshore_shared::source::Reading;
use longshore_shared::store::StoreError;
use longshore_shared::task::{Chunk, Job, JobSpec, Slice, SourceFile, Task};
use serde::Serialize;

use super::last_task;
use crate::ui::output::{Side, table};
use crate::ui::text;

/// Files shown in text; all of them are in JSON.
const FILES_SHOWN: usize = 20;

/// A file of a chunk.
#[derive(Debug, Serialize)]
pub(crate) struct FileLine {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
}

impl From<&SourceFile> for FileLine {
    fn from(file: &SourceFile) -> Self {
        Self { path: file.path.clone(), size: file.size, etag: file.etag.clone() }
    }
}

/// A piece of a table.
#[derive(Debug, Serialize)]
pub(crate) struct SliceLine {
    /// The table that is read: the snapshot, when there is one.
    pub(crate) from: String,
    /// The view whose query reads it, for a replay.
    pub(crate) view: Option<String>,
    /// Holds for exactly the rows of the chunk.
    #[serde(rename = "where")]
    pub(crate) condition: String,
    /// Rows that the index promises, at least.
    pub(crate) rows_min: u64,
    /// And at most.
    pub(crate) rows_max: u64,
}

/// What a chunk loads.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Contents {
    /// Its files; empty for a piece of a table.
    pub(crate) files: Vec<FileLine>,
    /// The piece of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slice: Option<SliceLine>,
    /// What the last task of a job does instead of loading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publishes: Option<String>,
}

impl Contents {
    pub(crate) fn of(job: &Job, task: &Task) -> Result<Self, StoreError> {
        let chunk = Chunk::decode(&task.chunk)?;
        let publishes = job.is_last(&task.id).then(|| last_task::words(job));
        Ok(Self { publishes, ..Self::of_chunk(&job.spec, &chunk) })
    }

    /// Of a chunk of a plan.
    pub(crate) fn of_chunk(spec: &JobSpec, chunk: &Chunk) -> Self {
        let files = chunk.files().iter().map(FileLine::from).collect();
        let slice = chunk.as_slice().and_then(|slice| slice_line(spec, slice));
        Self { files, slice, publishes: None }
    }

    /// One line: where the chunk begins.
    pub(crate) fn first(&self) -> String {
        if let Some(words) = &self.publishes {
            return words.clone();
        }
        match (&self.slice, self.files.first()) {
            (Some(slice), _) => slice.condition.clone(),
            (None, Some(file)) => file.path.clone(),
            (None, None) => String::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        match (&self.publishes, &self.slice) {
            (Some(words), _) => format!("Loads nothing: when all others are done it {words}"),
            (None, Some(slice)) => slice_text(slice),
            (None, None) => files_text(&self.files),
        }
    }
}

fn slice_line(spec: &JobSpec, slice: &Slice) -> Option<SliceLine> {
    let feed = spec.source.as_tables()?.feeds.get(slice.feed)?;
    let reading = Reading::rows_of(feed, slice);
    Some(SliceLine {
        from: reading.from,
        view: feed.view.as_ref().map(|view| view.name.to_string()),
        condition: reading.condition,
        rows_min: slice.rows.min,
        rows_max: slice.rows.max,
    })
}

fn slice_text(slice: &SliceLine) -> String {
    let rows = if slice.rows_min == slice.rows_max {
        text::count(slice.rows_min)
    } else {
        format!("{} to {} by the index", text::count(slice.rows_min), text::count(slice.rows_max))
    };
    let through =
        slice.view.as_ref().map_or(String::new(), |view| format!(", through view {view}"));
    format!("Reads {rows} rows of {}{through} where\n  {}", slice.from, slice.condition)
}

fn files_text(files: &[FileLine]) -> String {
    let columns = [("FILE", Side::Left), ("BYTES", Side::Right)];
    let rows = files.iter().take(FILES_SHOWN);
    let rows = rows.map(|file| vec![file.path.clone(), text::count(file.size)]).collect();
    let mut text = table(&columns, rows);
    if files.len() > FILES_SHOWN {
        text = format!("{text}\n… and {} more (--json shows all)", files.len() - FILES_SHOWN);
    }
    text
}
