//! What a job loads, from where, into what: the immutable heart of a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tables::TablesSource;
use super::{
    Chunk, Graph, JobServer, Output, Publish, ReplicasWait, ShardBy, SourceFile, TableName,
};
use crate::sql::quote_list;

/// The table function that reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceFunction {
    /// Amazon S3 and stores that speak its protocol.
    #[serde(rename = "s3")]
    S3,
    /// Google Cloud Storage.
    #[serde(rename = "gcs")]
    Gcs,
    /// Azure Blob Storage.
    #[serde(rename = "azureBlobStorage")]
    Azure,
    /// Any web address.
    #[serde(rename = "url")]
    Url,
    /// Files in the server's `user_files`.
    #[serde(rename = "file")]
    File,
    /// Hadoop file system.
    #[serde(rename = "hdfs")]
    Hdfs,
}

impl SourceFunction {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::S3, Self::Gcs, Self::Azure, Self::Url, Self::File, Self::Hdfs];

    /// Its name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azureBlobStorage",
            Self::Url => "url",
            Self::File => "file",
            Self::Hdfs => "hdfs",
        }
    }
}

/// A set of files and how to read them. Holds no secret: keys come from a named collection on the
/// server or, at each statement, from the environment of the program that sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSource {
    /// The table function.
    pub function: SourceFunction,
    /// What stands before a file's key in the address (`http://host/`); empty inside a named collection.
    pub base: String,
    /// What the server's `_path` begins with and the address does not say (`bucket/`).
    pub strip: String,
    /// What follows the key in the address (`?query`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// Named collection on the server, if one is used.
    pub named_collection: Option<String>,
    /// Azure container.
    pub container: Option<String>,
    /// ClickHouse format name.
    pub format: String,
    /// `name Type DEFAULT …, …` of the columns that the reader is asked for, pinned at plan time.
    pub structure: String,
    /// The columns that come out of it. Empty: all of the structure, as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// Columns of the structure that are read to be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Columns of the files that are named like something the server adds to rows of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
    /// Settings of every statement that reads the files, chosen when the plan was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Not all files were looked at: workers look at the others before they load them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
    /// What the user took upon himself, so that it is checked of no file.
    #[serde(default, skip_serializing_if = "Waived::is_nothing")]
    pub waived: Waived,
}

/// Checks that the user does not want. Part of what a plan is, whatever files could be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// Columns that the target lacks: what to load was chosen by name or by expressions.
    pub columns: bool,
    /// Values that do not fit: they become what a plain INSERT makes of them.
    pub types: bool,
}

impl Waived {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What must hold of files that were not looked at when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// Columns that a file may have; none: any, because the user chose what to load.
    pub columns: Option<Vec<String>>,
    /// Every value of a column must have its like in the type that is read.
    pub types: bool,
    /// Files that could not be looked at when the plan was made; none: any file, because a sample was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The reader matches names in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_case: bool,
}

impl FilesSource {
    /// Does an older program read these files in another way?
    pub fn has_outputs(&self) -> bool {
        !(self.outputs.is_empty() && self.settings.is_empty() && self.unseen.is_none())
    }

    /// The key of a file, as it stands in its address: without what only the server's `_path` says.
    pub fn key<'a>(&self, file: &'a SourceFile) -> &'a str {
        file.path.strip_prefix(&self.strip).unwrap_or(&file.path)
    }

    /// The address of a file; a key alone inside a named collection.
    pub fn address(&self, file: &SourceFile) -> String {
        format!("{}{}{}", self.base, self.key(file), self.suffix)
    }
}

/// Bounds of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Attempts before a task fails.
    pub attempts_max: u32,
    /// Deaths of workers before a task fails.
    pub deaths_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts_max: 5, deaths_max: 10 }
    }
}

/// What a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there is one of a job")]
pub enum Source {
    /// Files of an object store, the web or a disk.
    Files(FilesSource),
    /// Tables.
    Tables(TablesSource),
}

impl Source {
    /// The files, when it reads files.
    pub fn as_files(&self) -> Option<&FilesSource> {
        match self {
            Self::Files(files) => Some(files),
            Self::Tables(_) => None,
        }
    }

    /// The tables, when it reads tables.
    pub fn as_tables(&self) -> Option<&TablesSource> {
        match self {
            Self::Files(_) => None,
            Self::Tables(tables) => Some(tables),
        }
    }
}

/// How rows get into the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Staged, proved, moved: exactly once.
    #[default]
    Staged,
    /// Inserted into the target itself, for targets that cannot be staged. What a repeated insert
    /// does is up to the target's deduplication.
    Direct,
}

impl Mode {
    /// Is it the usual one? It is not written down then.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_staged(&self) -> bool {
        *self == Self::Staged
    }
}

/// Where the rows of a chunk go, and what of the source they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load<'a> {
    /// The table of the graph.
    pub target: &'a TableName,
    /// Column list of the INSERT.
    pub columns: &'a [String],
    /// Expressions of the SELECT, one text; none: the columns.
    pub select: Option<&'a str>,
}

/// How a plan was made: told to people, no part of what the plan is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOptions {
    /// What the user gave to make another plan of the same rows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub again: String,
    /// Bytes of files that a chunk should not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_bytes: Option<u64>,
    /// Every chunk has all of that, instead of a share that varies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_even: bool,
    /// Files that a chunk may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_files: Option<u32>,
    /// Digest over the number and content of all task rows: see [`crate::task::digest`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Version of the records that the planner knew. Workers of an older one leave the job alone: their
    /// closing audit would look for less.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub format: u8,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl PlanOptions {
    fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What is read.
    pub source: Source,
    /// How rows get into the target.
    #[serde(default, skip_serializing_if = "Mode::is_staged")]
    pub mode: Mode,
    /// The table they go into.
    pub target: TableName,
    /// Column list of the INSERT, in the order of `select`.
    pub columns: Vec<String>,
    /// Expressions of the SELECT, one text.
    pub select: String,
    /// The columns that come out of the SELECT, where some are converted. Empty: as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// Condition of the SELECT; empty for none.
    pub filter: String,
    /// Extra settings of the INSERT.
    pub settings: BTreeMap<String, String>,
    /// The target, the views that depend on it, and their targets, as they were at plan time.
    pub graph: Graph,
    /// Identity of the environment (the Keeper ensemble) that the plan was made for.
    pub environment: String,
    /// Bounds.
    pub limits: Limits,
    /// How the rows become visible.
    #[serde(default, skip_serializing_if = "Publish::is_append")]
    pub publish: Publish,
    /// The servers that hold the target; several for shards. Empty in plans of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<JobServer>,
    /// Which of several servers a row belongs to: each chunk is a task of every server then. Without
    /// it a chunk goes to one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_by: Option<ShardBy>,
    /// Everything that a receipt proves is synced to disk before the receipt is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub durable: bool,
    /// On how many replicas every row must be before the job is completed.
    #[serde(default, skip_serializing_if = "ReplicasWait::is_one")]
    pub replicas_wait: ReplicasWait,
    /// Tasks that may be loaded at the same time, over all workers. A person can change it at any time, so it is
    /// no part of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loads_max: Option<u32>,
    /// What the closing audit found, until a person has it made again. It stays while the job is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_failed: Option<String>,
    /// How the plan was made.
    #[serde(default, skip_serializing_if = "PlanOptions::is_unsaid")]
    pub made: PlanOptions,
    /// Ended tasks that are being let go on. Only between the command that asks for it and its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopening: Option<Box<super::Reopening>>,
}

impl JobSpec {
    /// The load of a chunk. Of a replay each feed fills the target of its view.
    pub fn load(&self, chunk: &Chunk) -> Load<'_> {
        let feed = chunk
            .as_slice()
            .and_then(|slice| self.source.as_tables()?.feeds.get(slice.feed))
            .and_then(|feed| feed.view.as_ref());
        match feed {
            Some(view) => Load { target: &view.target, columns: &view.columns, select: None },
            None => {
                Load { target: &self.target, columns: &self.columns, select: Some(&self.select) }
            }
        }
    }

    /// Is each row of the source one row of the target? An expression of the user may multiply or
    /// fold rows, a condition leaves some out, and so does the query of a view.
    pub fn is_one_for_one(&self) -> bool {
        let has_view = self
            .source
            .as_tables()
            .is_some_and(|tables| tables.feeds.iter().any(|feed| feed.view.is_some()));
        self.filter.is_empty() && self.select == quote_list(&self.columns) && !has_view
    }

    /// Rows that all tasks together must have loaded, when that is known for certain.
    pub fn rows_expected(&self) -> Option<u64> {
        let tables = self.source.as_tables()?;
        let is_fixed = tables.feeds.iter().all(|feed| feed.is_snapshot && feed.window.is_none());
        tables.rows.filter(|_| is_fixed && self.is_one_for_one())
    }

    /// Rows that all tasks together must have loaded at least: those that live tables held when they
    /// were cut. (Rows that vanish later fail their chunk.)
    pub fn rows_at_least(&self) -> Option<u64> {
        let tables = self.source.as_tables()?;
        let is_whole = tables.feeds.iter().all(|feed| feed.window.is_none());
        tables.rows.filter(|_| is_whole && self.is_one_for_one())
    }
}
