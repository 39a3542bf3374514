//! May a task be loaded from its beginning again? Only when nothing of it is in any target.

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, read};
use longshore_shared::schema::table_now;
use longshore_shared::sql;
use longshore_shared::store::TaskBrief;
use longshore_shared::task::{Job, Manifest, PublishMode, TableName, Task, TaskState};
use serde::Deserialize;

use crate::exit::{Error, Kind, Report};
use crate::reopen::Choice;
use crate::session::Session;
use crate::text;

/// Identities or tasks named in one statement.
const PAGE: usize = 1_000;
/// Partitions named in a message.
const SHOWN_MAX: usize = 5;

#[derive(Deserialize, Row)]
struct Identity {
    identity: String,
    is_published: u8,
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

/// Refuses when a part of a quarantined task is found in a target: loading it again would double it.
///
/// Parts that were merged long ago are not listed any more; of those a person has to know.
pub(crate) async fn check_absent(server: &Server, task: &Task) -> Result<(), Error> {
    for table in manifest(task).map(|manifest| &manifest.tables).into_iter().flatten() {
        let uuids: Vec<String> = table.parts().map(|part| part.uuid.to_string()).collect();
        for page in uuids.chunks(PAGE) {
            let call = || server.call(sql::FIND_PARTS).list("uuids", page);
            let found: Vec<Identity> = read(|| {
                call()
                    .param("database", &table.target.database)
                    .param("table", &table.target.table)
                    .fetch_all()
            })
            .await?;
            if let Some(part) = found.iter().find(|part| part.is_published == 1) {
                let message = format!(
                    "task {} cannot be loaded again: part {} of it is in {}",
                    task.id, part.identity, table.target
                );
                let help = format!(
                    "longshore retry {} --task {} proves and finishes its moves",
                    task.id.job, task.id
                );
                return Err(Report::new(Kind::Conflict, message).help(help).into());
            }
        }
    }
    Ok(())
}

/// Refuses to take a quarantined exchange for done while the target is not the new table.
pub(crate) async fn check_present(server: &Server, task: &Task) -> Result<(), Error> {
    let handovers = manifest(task).map(|manifest| &manifest.handovers).into_iter().flatten();
    for handover in handovers.filter(|handover| handover.mode == PublishMode::Exchange) {
        let now = table_now(server, &handover.target).await?;
        if now.is_none_or(|now| now.destination_uuid() != handover.shadow_uuid) {
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
            read(|| call().name("control", control).param("job", &job.id).fetch_all()).await?;
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
    let filled: Vec<Filled> = read(|| {
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
                it into another table";
    Err(Report::new(Kind::Conflict, message).help(help).into())
}
