//! What is said of the task that publishes what all others have loaded.

use longshore_shared::task::{Job, JobSpec, JobState, PublishMode, Task, TaskState, kept_name};

/// What it does, in words. `id` names the kept table when the job is known.
pub(crate) fn words(job: &Job) -> String {
    how(&job.spec, &|target| kept_name(target, &job.id).to_string())
}

fn how(spec: &JobSpec, kept: &dyn Fn(&longshore_shared::task::TableName) -> String) -> String {
    let tables = spec.graph.tables.iter().filter(|table| table.keeps_rows());
    let lines: Vec<String> = tables
        .map(|table| match spec.publish.mode {
            PublishMode::Exchange => {
                format!(
                    "exchanges {} for its shadow and keeps it as {}",
                    table.name,
                    kept(&table.name)
                )
            }
            _ => format!("replaces the partitions of {} that were loaded", table.name),
        })
        .collect();
    lines.join("; ")
}

/// What happens to it next, or what a person has to do; none when it is like any other task.
pub(crate) fn next(job: &Job, task: &Task) -> Option<String> {
    if !job.is_last(&task.id) {
        return None;
    }
    let target = &job.spec.target;
    match &task.progress.state {
        TaskState::Pending { .. } if job.state == JobState::Running => {
            Some("it waits until all other tasks have ended; nothing is visible before.".to_owned())
        }
        TaskState::Claimed { owner } => Some(format!(
            "worker {} checks that everything is loaded; {target} is as it was.",
            owner.worker
        )),
        TaskState::Publishing { owner, .. } => Some(format!(
            "worker {} {}; if it dies, another one finishes that.",
            owner.worker,
            words(job)
        )),
        TaskState::Failed { .. } => Some(format!(
            "nothing by itself; nothing is published, {target} is as it was. What was loaded stays \
             in its shadow. Once the cause is gone: longshore resume {0}. To give the job up: longshore cancel {0}",
            job.id
        )),
        TaskState::Quarantined { .. } => Some(format!(
            "a person has to decide: a table of the manifest is not what it was. Look which of its UUIDs stand under \
             which name (system.tables); nothing of this job touches them any more. {target} may be published or not."
        )),
        TaskState::Pending { .. } | TaskState::Done { .. } => None,
    }
}
