//! May a task be loaded from its beginning again? Only when nothing of it is in any target.

use std::collections::BTreeSet;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent, uuid_text};
use longshore_shared::ledger::{Seen, find_parts, find_parts_settled};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::replicas::unknown_to_keeper;
use longshore_shared::schema::{placed, table_now};
use longshore_shared::sql;
use longshore_shared::store::TaskBrief;
use longshore_shared::task::{
    HandoverPartition, Job, JobState, Manifest, Mode, PublishMode, TableName, Task, TaskState,
};
use serde::Deserialize;
use uuid::Uuid;

use super::choice::Choice;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Identities or tasks named in one statement.
const PAGE: usize = 1_000;
/// Partitions named in a message.
const SHOWN_MAX: usize = 5;

#[derive(Deserialize, Row)]
struct StagedPart {
    #[serde(deserialize_with = "uuid_text")]
    identity: Uuid,
    staged_in: String,
    rows: u64,
}

#[derive(Deserialize, Row)]
struct Went {
    target: String,
    partitions: Vec<String>,
    tasks: u64,
}

#[derive(Deserialize, Row)]
struct Filled {
    partition: String,
    rows: u64,
}

fn manifest(task: &Task) -> Option<&Manifest> {
    match &task.progress.state {
        TaskState::Quarantined { manifest, .. } => Some(manifest),
        _ => None,
    }
}

/// A job that cannot go on.
pub(crate) fn refuse(job: &Job) -> Result<(), Error> {
    let message = match job.state {
        JobState::Planning => format!("plan {} is not whole yet", job.id),
        JobState::Planned => format!("job {} was not submitted yet", job.id),
        JobState::Cancelling => format!("job {} is being cancelled", job.id),
        JobState::Deleting => format!("job {} is being deleted", job.id),
        JobState::Cancelled if job.spec.publish.mode.has_last_task() => {
            format!("job {} was cancelled, and the shadows that it filled are gone", job.id)
        }
        JobState::Cancelled if reads_snapshot(job) => {
            format!("job {} was cancelled, and the snapshot that it read is gone", job.id)
        }
        _ => return Ok(()),
    };
    let help = match job.state {
        JobState::Planning => {
            "the longshore plan that makes it has to end first, or is given again".to_owned()
        }
        JobState::Planned => format!("longshore submit {}", job.id),
        JobState::Cancelling => format!("longshore cancel {} waits for its end", job.id),
        JobState::Deleting => format!("longshore plan delete {} --yes, then plan it again", job.id),
        _ => "plan it again, with --again TEXT".to_owned(),
    };
    Err(Report::new(Kind::Conflict, message).help(help).into())
}

fn reads_snapshot(job: &Job) -> bool {
    let tables = job.spec.source.as_tables();
    tables.is_some_and(|tables| tables.feeds.iter().any(|feed| feed.is_snapshot))
}

/// What was loaded once can not always be loaded again.
pub(crate) fn refuse_replay(job: &Job) -> Result<(), Error> {
    let message = if job.spec.is_sharded() {
        "what this job loaded is on several servers, and not all of them can be looked at"
    } else if job.spec.mode == Mode::Direct {
        "tasks of a direct load cannot be loaded twice: the target's deduplication may drop their rows"
    } else if job.spec.publish.mode.has_last_task() {
        "what this job loaded took the place of its targets as a whole"
    } else {
        return Ok(());
    };
    Err(Report::new(Kind::Conflict, message).help("plan it again, with --again TEXT").into())
}

/// Refuses to take a quarantined task for done that is not, as far as anybody can tell.
pub(crate) async fn check_accepted(server: &Server, task: &Task) -> Result<(), Error> {
    refuse_partial(task)?;
    check_present(server, task).await?;
    check_moved(server, task).await
}

/// Refuses to take a task for done of which only a part is known.
fn refuse_partial(task: &Task) -> Result<(), Error> {
    if manifest(task).is_none_or(|manifest| !manifest.partial) {
        return Ok(());
    }
    let message = format!(
        "task {} cannot be taken for done: what it was to move as a whole is not known",
        task.id
    );
    let help = format!(
        "take its rows out of the targets, then: longshore retry {} --task {} --reload",
        task.id.job, task.id
    );
    Err(Report::new(Kind::Conflict, message).help(help).into())
}

/// Refuses when a part of a quarantined task is found in a target: loading it again would double it.
///
/// Parts that were merged long ago are not listed any more; of those a person has to know.
pub(crate) async fn check_absent(server: &Server, task: &Task) -> Result<(), Error> {
    for table in manifest(task).map(|manifest| &manifest.tables).into_iter().flatten() {
        let uuids: Vec<Uuid> = table.parts().map(|part| part.uuid).collect();
        let found = find_parts_settled(server, &[(&table.target, uuids)]).await?;
        let found = found.into_iter().next().unwrap_or_default();
        if let Some(part) = found.rolled_back.iter().min() {
            let message = format!(
                "task {} cannot be loaded again yet: a MOVE of part {part} into {} was rolled back, and the server has \
                 not cleared it: if it is killed before, the part comes back",
                task.id, table.target
            );
            let help = "try again in five minutes";
            return Err(Report::new(Kind::Conflict, message).help(help).into());
        }
        if let Some(part) = found.published.keys().min() {
            let message = format!(
                "task {} cannot be loaded again: part {part} of it is in {}",
                task.id, table.target
            );
            let help = format!(
                "longshore retry {} --task {} proves and finishes its moves",
                task.id.job, task.id
            );
            return Err(Report::new(Kind::Conflict, message).help(help).into());
        }
    }
    Ok(())
}

async fn find(server: &Server, target: &TableName, uuids: Vec<Uuid>) -> Result<Seen, Error> {
    let found = find_parts(server, &[(target, uuids)]).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Refuses to take a quarantined task for done while rows of it are staged that are not in their
/// target: they would be swept. Identities that are in neither are for a person to vouch for.
async fn check_moved(server: &Server, task: &Task) -> Result<(), Error> {
    for table in manifest(task).map(|manifest| &manifest.tables).into_iter().flatten() {
        let uuids: Vec<Uuid> = table.parts().map(|part| part.uuid).collect();
        let mut unmoved: Vec<StagedPart> = Vec::new();
        for page in uuids.chunks(PAGE).filter(|_| !planted(Bug::AcceptUnmoved)) {
            let call = || server.call(sql::FIND_STAGED).list("uuids", page);
            let staged: Vec<StagedPart> =
                retry_idempotent(|| call().param("staging", server.staging()).fetch_all()).await?;
            if staged.is_empty() {
                continue;
            }
            let mut found = find(server, &table.target, page.to_vec()).await?;
            // What only the disk of this server knows is in no other replica, and not for long in this one.
            let names = found.published.values().cloned();
            let unknown = unknown_to_keeper(server, &table.target, names, &BTreeSet::new()).await?;
            found.published.retain(|_, name| !unknown.contains(name));
            let is_there = |staged: &StagedPart| found.published.contains_key(&staged.identity);
            unmoved.extend(staged.into_iter().filter(|staged| !is_there(staged)));
        }
        if let Some(first) = unmoved.first() {
            let rows = unmoved.iter().map(|part| part.rows).sum();
            let message = format!(
                "task {} is not done: {} of it with {} are still staged and not in {}",
                task.id,
                text::plural(unmoved.len() as u64, "part"),
                text::plural(rows, "row"),
                table.target
            );
            let help = format!(
                "longshore retry {} --task {} proves and finishes its moves\n\
                 if it stays in quarantine because of another table, move what is staged yourself, partition by \
                 partition: ALTER TABLE {} MOVE PARTITION ID '…' TO TABLE {}",
                task.id.job,
                task.id,
                sql::quote_table(server.staging(), &first.staged_in),
                table.target.quoted()
            );
            return Err(Report::new(Kind::Conflict, message).help(help).into());
        }
    }
    Ok(())
}

/// Refuses to take a quarantined exchange for done while the target is not the new table, and a
/// replacement while old rows are in one of its partitions.
async fn check_present(server: &Server, task: &Task) -> Result<(), Error> {
    let handovers = || manifest(task).map(|manifest| &manifest.handovers).into_iter().flatten();
    for handover in handovers().filter(|handover| handover.mode == PublishMode::Replace) {
        let now = placed(server, &handover.target).await?;
        let is_old = |partition: &HandoverPartition| {
            let mut blocks = now.iter().filter(|block| block.partition == partition.id);
            match partition.block {
                Some(last) => blocks.any(|block| block.first_block <= last),
                None => blocks.next().is_none(),
            }
        };
        if let Some(partition) = handover.partitions.iter().find(|partition| is_old(partition)) {
            let message = format!(
                "task {} is not done: partition {} of {} was not replaced",
                task.id, partition.id, handover.target
            );
            let help = "replace it by hand first (ALTER TABLE … REPLACE PARTITION ID … FROM the shadow), or cancel the job";
            return Err(Report::new(Kind::Conflict, message).help(help).into());
        }
    }
    for handover in handovers().filter(|handover| handover.mode == PublishMode::Exchange) {
        let now = table_now(server, &handover.target).await?;
        if now.is_none_or(|now| now.uuid != Some(handover.shadow_uuid)) {
            let message = format!(
                "task {} is not done: {} is not the table that the job filled (UUID {})",
                task.id, handover.target, handover.shadow_uuid
            );
            return Err(Report::new(Kind::Conflict, message)
                .help("exchange the two by hand first, or cancel the job")
                .into());
        }
    }
    Ok(())
}

/// Refuses when a partition that rows of these tasks went into holds rows now.
pub(crate) async fn check_empty(
    session: &Session,
    job: &Job,
    done: &[&TaskBrief],
) -> Result<(), Error> {
    for (server, tasks) in session.by_server(job, done.to_vec(), |task| &task.id).await? {
        let ids: Vec<String> = tasks.iter().map(|task| task.id.to_string()).collect();
        check_empty_there(&server, job, &ids).await?;
    }
    Ok(())
}

async fn check_empty_there(server: &Server, job: &Job, ids: &[String]) -> Result<(), Error> {
    for page in ids.chunks(PAGE) {
        let call = || server.call(sql::REPLAYED_PARTITIONS).list("tasks", page);
        let control = server.control();
        let went: Vec<Went> =
            retry_idempotent(|| call().name("control", control).param("job", &job.id).fetch_all())
                .await?;
        if went.iter().map(|went| went.tasks).max().unwrap_or(0) < page.len() as u64 {
            let message =
                "where all rows of these tasks went is not known any more: receipts are missing";
            return Err(Report::new(Kind::Conflict, message)
                .help("load them by a plan of their own: longshore plan … --again TEXT")
                .into());
        }
        for went in went {
            check_partitions(server, &went).await?;
        }
    }
    Ok(())
}

/// Makes the receipts of tasks void that are loaded again: no worker loads a task that has one.
pub(crate) async fn void(session: &Session, job: &Job, tasks: &[&Choice]) -> Result<(), Error> {
    for (server, tasks) in session.by_server(job, tasks.to_vec(), |choice| &choice.id).await? {
        void_there(&server, job, &tasks).await?;
    }
    Ok(())
}

async fn void_there(server: &Server, job: &Job, tasks: &[&Choice]) -> Result<(), Error> {
    for page in tasks.chunks(PAGE) {
        let ids: Vec<String> = page.iter().map(|choice| choice.id.to_string()).collect();
        let epochs: Vec<String> = page.iter().map(|choice| choice.epoch.to_string()).collect();
        let epochs = format!("[{}]", epochs.join(","));
        let call = server.call(sql::VOID_RECEIPTS).list("tasks", &ids);
        let call = call.raw_param("epochs", &epochs);
        call.name("control", server.control()).param("job", &job.id).execute().await?;
    }
    Ok(())
}

async fn check_partitions(server: &Server, went: &Went) -> Result<(), Error> {
    let Ok(target) = went.target.parse::<TableName>() else { return Ok(()) };
    let call = || server.call(sql::PARTITION_ROWS).list("partitions", &went.partitions);
    let filled: Vec<Filled> = retry_idempotent(|| {
        call().param("database", &target.database).param("table", &target.table).fetch_all()
    })
    .await?;
    if filled.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = filled
        .iter()
        .take(SHOWN_MAX)
        .map(|filled| format!("{} ({} rows)", filled.partition, text::count(filled.rows)))
        .collect();
    let more = if filled.len() > SHOWN_MAX { ", …" } else { "" };
    let message = format!(
        "rows of these tasks would be in {target} twice: partitions that they went into are not empty: {}{more}",
        shown.join(", ")
    );
    let help = "drop or truncate what is to be loaded again first (views have targets of their own), or load \
                it into another table\n\
                a replay that was cut stays written down: longshore cancel JOB and longshore plan delete JOB give it up";
    Err(Report::new(Kind::Conflict, message).help(help).into())
}
