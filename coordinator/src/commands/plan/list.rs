//! `longshore plan list`: every plan, whatever became of it.

use clap::Args;
use longshore_shared::config::Config;
use longshore_shared::task::{Job, JobState};
use serde::Serialize;

use crate::commands::job_filter::JobFilter;
use crate::plan::file::adopt::source_words;
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::{Output, Side, table};
use crate::ui::text;

/// List plans: what they read and fill, and what became of them
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: JobFilter,
}

#[derive(Debug, Serialize)]
struct PlanList {
    plans: Vec<PlanLine>,
}

#[derive(Debug, Serialize)]
struct PlanLine {
    plan_id: String,
    state: JobState,
    target: String,
    /// What is read, in words.
    source: String,
    chunks: u32,
    files: u64,
    /// Rows of the source, when they are known without reading it.
    rows: Option<u64>,
    bytes: u64,
    publish: &'static str,
    environment: String,
    /// What the user gave to make another plan of the same rows.
    again: String,
    created_at: Option<String>,
}

impl From<Job> for PlanLine {
    fn from(job: Job) -> Self {
        Self {
            plan_id: job.id.to_string(),
            state: job.state,
            target: job.spec.target.to_string(),
            source: source_words(&job),
            chunks: job.chunks(),
            files: job.files,
            rows: job.spec.source.as_tables().and_then(|tables| tables.rows),
            bytes: job.bytes,
            publish: job.spec.publish.mode.as_str(),
            created_at: text::time(job.created_ms),
            environment: job.spec.environment,
            again: job.spec.made.again,
        }
    }
}

pub(crate) async fn run(args: ListArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let jobs = args.filter.jobs(&session).await?;
    let list = PlanList { plans: jobs.into_iter().map(PlanLine::from).collect() };
    output.show(&list, words)?;
    Ok(Exit::Done)
}

fn words(list: &PlanList) -> String {
    if list.plans.is_empty() {
        return "No such plans.".to_owned();
    }
    let columns = [
        ("PLAN", Side::Left),
        ("STATE", Side::Left),
        ("TARGET", Side::Left),
        ("CHUNKS", Side::Right),
        ("READS", Side::Left),
        ("PLANNED", Side::Left),
    ];
    let rows = list.plans.iter().map(|plan| {
        vec![
            plan.plan_id.clone(),
            plan.state.as_str().to_owned(),
            plan.target.clone(),
            text::count(plan.chunks.into()),
            text::line(&plan.source, text::CELL_CHARS_MAX),
            plan.created_at.clone().unwrap_or_default(),
        ]
    });
    table(&columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_plan_is_a_line() {
        let list = PlanList { plans: vec![fixture::job(JobState::Planned).into()] };
        insta::assert_snapshot!(words(&list), @"
        PLAN              STATE    TARGET       CHUNKS  READS                 PLANNED
        0123456789abcdef  planned  demo.events      40  120 files (4.00 GiB)  2026-08-21T12:00:00.000Z
        ");
        insta::assert_snapshot!(serde_json::to_string(&list).unwrap(), @r#"{"plans":[{"plan_id":"0123456789abcdef","state":"planned","target":"demo.events","source":"120 files (4.00 GiB)","chunks":40,"files":120,"rows":null,"bytes":4294967296,"publish":"append","environment":"e1","again":"","created_at":"2026-08-21T12:00:00.000Z"}]}"#);
    }
}
