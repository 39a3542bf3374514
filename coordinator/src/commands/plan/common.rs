//! What the commands that make plans have in common: flags, and what they print.

use std::collections::BTreeMap;

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::source::is_protected;
use longshore_shared::task::{Job, JobState, Limits, Mode, PlanOptions, ReplicasWait, TableName};
use serde::Serialize;

use crate::plan::input::JobInput;
use crate::plan::target::columns::ColumnChoice;
use crate::plan::target::shadow::PublishArgs;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text::{self, parse_bytes};

/// Flags of every plan whose rows the user can choose and form.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Expressions to load, named like target columns [default: the columns by name]
    #[arg(long, value_name = "EXPRESSIONS")]
    pub(crate) select: Option<String>,
    /// Load only rows that meet this condition
    #[arg(long = "where", value_name = "CONDITION", default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    /// Load only these columns of the source
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with = "select")]
    pub(crate) columns: Vec<String>,
    /// Leave these columns of the source out
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with_all = ["select", "columns"])]
    pub(crate) ignore_columns: Vec<String>,
    /// What becomes of a value that does not fit into its column
    #[arg(long, value_enum, value_name = "HOW", default_value = "checked")]
    pub(crate) conversions: Conversions,
    /// Bytes in one chunk, as 500M or 2G [default: of files 1G, or a quarter of all when that is less; 2G of a table; 128M in direct mode]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) chunk_bytes: Option<u64>,
    /// How rows get into the target
    #[arg(long, value_enum, value_name = "MODE", default_value = "staged")]
    pub(crate) mode: ModeFlag,
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// Flags of every plan that do not say what is read.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// ClickHouse setting of every load, as NAME=VALUE; may be repeated
    #[arg(long = "settings", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
    /// Sync everything that a receipt proves to the server's disks before the receipt is written
    /// [default: server.durable]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) durable: Option<bool>,
    /// On how many replicas of each replicated target every row must be before the job is completed
    #[arg(long, value_enum, value_name = "HOW MANY", default_value = "one")]
    pub(crate) replicas_wait: ReplicasWaitFlag,
    /// Attempts before a task fails
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts_max: u32,
    /// Leave this refreshable view as it is: it does not fire on inserts; may be repeated
    #[arg(long, value_name = "VIEW")]
    pub(crate) ignore_view: Vec<TableName>,
    /// Any text: gives the plan another id, to load the same rows a second time on purpose
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) again: String,
}

/// In a direct load a chunk is one block in the server's memory.
const DIRECT_CHUNK_BYTES: u64 = 128 << 20;

impl JobArgs {
    /// What every plan has. `in_place`: the target is read by the same job.
    pub(crate) fn input(
        &self,
        config: &Config,
        mode: Mode,
        in_place: bool,
    ) -> Result<JobInput, Error> {
        Ok(JobInput {
            mode,
            publish: self.publish.chosen(in_place)?,
            ignored: self.ignore_view.clone(),
            settings: parse_settings(&self.settings)?,
            limits: Limits { attempts_max: self.attempts_max, ..Limits::default() },
            // What the user says, or the file.
            durable: self.durable.unwrap_or(config.durable),
            replicas_wait: self.replicas_wait.into(),
            made: PlanOptions { again: self.again.clone(), ..PlanOptions::default() },
        })
    }
}

impl LoadArgs {
    /// The budget of a chunk: what the user says, or what suits the mode.
    pub(crate) fn chunk_bytes(&self, staged: u64) -> u64 {
        self.chunk_bytes_said().unwrap_or(staged)
    }

    /// The budget of a chunk, if the user or the mode says one.
    pub(crate) fn chunk_bytes_said(&self) -> Option<u64> {
        self.chunk_bytes.or(match self.mode {
            ModeFlag::Staged => None,
            ModeFlag::Direct => Some(DIRECT_CHUNK_BYTES),
        })
    }

    /// What the user says of the columns.
    pub(crate) fn choice(&self, structure: Option<String>) -> ColumnChoice {
        ColumnChoice {
            structure,
            select: self.select.clone(),
            columns: self.columns.clone(),
            ignored: self.ignore_columns.clone(),
            filter: self.filter.clone(),
            as_insert: self.conversions == Conversions::AsInsert,
        }
    }
}

/// What becomes of a value that does not fit into its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Conversions {
    /// Its task fails and names file, column and value
    Checked,
    /// What a plain INSERT makes of it is loaded: numbers wrap, digits are cut off, NULL is a default
    AsInsert,
}

/// How rows get into the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ModeFlag {
    /// Staged, proved, moved: exactly once
    Staged,
    /// Inserted into the target itself, for targets that cannot be staged; its own deduplication
    /// is all that keeps an interrupted chunk from being there twice
    Direct,
}

impl From<ModeFlag> for Mode {
    fn from(flag: ModeFlag) -> Self {
        match flag {
            ModeFlag::Staged => Self::Staged,
            ModeFlag::Direct => Self::Direct,
        }
    }
}

/// On how many replicas every row must be before the job is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReplicasWaitFlag {
    /// The one that loads; the others fetch the rows in their own time
    One,
    /// More than half of them
    Quorum,
    /// All of them
    All,
}

impl From<ReplicasWaitFlag> for ReplicasWait {
    fn from(flag: ReplicasWaitFlag) -> Self {
        match flag {
            ReplicasWaitFlag::One => Self::One,
            ReplicasWaitFlag::Quorum => Self::Quorum,
            ReplicasWaitFlag::All => Self::All,
        }
    }
}

/// What a command that makes a plan prints.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    plan_id: String,
    chunks: u32,
    files: u64,
    /// Rows of the source, when they are known without reading it.
    rows: Option<u64>,
    bytes: u64,
    target: String,
    state: JobState,
    created: bool,
    tables: usize,
    views: usize,
    notes: Vec<String>,
    /// What is read, in words.
    #[serde(skip)]
    source: String,
}

impl Document {
    /// Of a plan. `source` is what it reads, in words.
    pub(crate) fn of(job: &Job, created: bool, source: String, notes: Vec<String>) -> Self {
        let graph = &job.spec.graph;
        Self {
            plan_id: job.id.to_string(),
            chunks: job.chunks(),
            files: job.files,
            rows: job.spec.source.as_tables().and_then(|tables| tables.rows),
            bytes: job.bytes,
            target: job.spec.target.to_string(),
            state: job.state,
            created,
            tables: graph.tables.len(),
            views: graph.views.len(),
            notes,
            source,
        }
    }

    pub(crate) fn words(&self) -> String {
        let Self { plan_id, target, source, .. } = self;
        let chunks = text::plural(self.chunks.into(), "chunk");
        let mut lines = vec![format!("Plan {plan_id}: {source} into {target}, in {chunks}.")];
        if self.views > 0 {
            lines.push(format!(
                "{} and {} of theirs are filled too.",
                text::plural(self.views as u64, "materialized view"),
                text::plural(self.tables as u64 - 1, "table"),
            ));
        }
        lines.extend(self.notes.iter().map(|note| format!("Note: {note}.")));
        lines.push(String::new());
        lines.push(match (self.created, self.state) {
            (true, _) | (false, JobState::Planned) => format!(
                "Next: look at it with `longshore plan show {plan_id}`\n{:6}load it here with `longshore run {plan_id} --workers 4`\n{:6}or hand it to a fleet with `longshore submit {plan_id}`",
                "", ""
            ),
            (false, state) => format!(
                "This plan was made before and is {}: longshore status {plan_id}\nTo load the same rows once more on purpose: --again TEXT",
                state.as_str()
            ),
        });
        lines.join("\n")
    }
}

fn parse_settings(pairs: &[String]) -> Result<BTreeMap<String, String>, Error> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Report::new(Kind::Usage, format!("--settings takes NAME=VALUE, not `{pair}`"))
            })?;
            if is_protected(name.trim()) {
                let message = format!(
                    "the setting `{}` is Longshore's own: it decides whether rows are lost",
                    name.trim()
                );
                return Err(Report::new(Kind::Usage, message).into());
            }
            // A value may be a blank or a tab: a delimiter.
            let trimmed = value.trim();
            let value = if trimmed.is_empty() { value } else { trimmed };
            Ok((name.trim().to_owned(), value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_decides_whether_rows_are_lost_is_refused() {
        let settings = |text: &str| parse_settings(&[text.to_owned()]);
        assert!(settings("materialized_views_ignore_errors=1").is_err());
        assert!(settings("no value").is_err());
        assert_eq!(settings("max_threads = 3").unwrap()["max_threads"], "3");
    }
}
