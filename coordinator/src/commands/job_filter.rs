//! Which jobs a list shows.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use longshore_shared::store::{Stored, TaskStore};
use longshore_shared::task::{Job, JobState, TableName};

use crate::session::Session;

/// Which jobs.
#[derive(Debug, Default, Args)]
pub(crate) struct JobFilter {
    /// Only those in these states
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state_parser())]
    state: Vec<JobState>,

    /// Only those that fill this table, themselves or through a view
    #[arg(long, value_name = "TABLE")]
    target: Option<TableName>,
}

impl JobFilter {
    /// The jobs, the newest first.
    pub(crate) async fn jobs(&self, session: &Session) -> Stored<Vec<Job>> {
        let mut jobs = session.store.jobs().await?;
        jobs.retain(|job| self.holds(job));
        jobs.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.id.cmp(&b.id)));
        Ok(jobs)
    }

    fn holds(&self, job: &Job) -> bool {
        let is_state = self.state.is_empty() || self.state.contains(&job.state);
        let fills = |target: &TableName| job.spec.graph.position(target).is_some();
        is_state && self.target.as_ref().is_none_or(fills)
    }
}

fn state_parser() -> impl TypedValueParser<Value = JobState> {
    PossibleValuesParser::new(JobState::ALL.map(JobState::as_str))
        .try_map(|name| JobState::parse(&name).ok_or("not a state"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_job_is_chosen_by_its_state_and_by_every_table_that_it_fills() {
        let job = fixture::job(JobState::Failed);
        let filter = |state: &[JobState], target: &str| JobFilter {
            state: state.to_vec(),
            target: (!target.is_empty()).then(|| target.parse().unwrap()),
        };
        assert!(filter(&[], "").holds(&job));
        assert!(filter(&[JobState::Running, JobState::Failed], "demo.events").holds(&job));
        assert!(filter(&[], "demo.daily").holds(&job), "the target of a view");
        assert!(!filter(&[JobState::Running], "").holds(&job));
        assert!(!filter(&[], "demo.other").holds(&job));
    }
}
