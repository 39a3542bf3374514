//! `--dry-run` of `submit` and `run`: every check, and what would happen.
//!
//! Nothing is changed but one thing: where a policy asks for a dry run, it is noted that this one
//! found nothing in the way. A plan never changes, so that holds for as long as there is the plan.

use longshore_shared::clickhouse::{Failure, Server};
use longshore_shared::config::Config;
use longshore_shared::schema::identities;
use longshore_shared::store::{LockStore, TaskStore};
use longshore_shared::task::{Feed, Job, JobEvent, JobSpec, JobState, TableName};
use serde::Serialize;

use super::admission::{self, ForceArgs};
use super::overlap::{self, overlaps};
use crate::doctor::job::has_problem;
use crate::doctor::{Finding, Level, render, source, unseen, views};
use crate::session::{FIRST_ANSWER_MAX, Session, bounded};
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;
use crate::ui::text;

const SERVER: &str = "server";
const SOURCE: &str = "source";
const OVERLAP: &str = "overlap";

/// What a dry run prints. Keys are only ever added.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    job_id: String,
    state: JobState,
    /// True: nothing was changed but the note of this dry run.
    dry_run: bool,
    /// It would run from then on.
    would_run: bool,
    target: String,
    tasks: u32,
    files: u64,
    bytes: u64,
    problems: usize,
    warnings: usize,
    /// A policy asked for this dry run, and it is noted.
    noted: bool,
    checks: Vec<Finding>,
}

/// Looks at everything that stands in the way of a job, and shows it.
pub(crate) async fn run(
    session: &Session,
    job: &Job,
    force: ForceArgs,
    output: Output,
) -> Result<Exit, Error> {
    let checks = findings(session, job, force).await?;
    let is_bad = has_problem(&checks);
    let noted = !is_bad && admission::asks_for_dry_run(session, job);
    if noted {
        session.store.mark_dry_run(&job.id).await?;
    }
    let document = Document {
        job_id: job.id.to_string(),
        state: job.state,
        dry_run: true,
        would_run: !is_bad && job.state.next(JobEvent::Submitted).is_ok(),
        target: job.spec.target.to_string(),
        tasks: job.tasks,
        files: job.files,
        bytes: job.bytes,
        problems: render::count(&checks, Level::Problem),
        warnings: render::count(&checks, Level::Warning),
        noted,
        checks,
    };
    output.show(&document, words)?;
    Ok(if is_bad { Exit::Problem } else { Exit::Done })
}

async fn findings(session: &Session, job: &Job, force: ForceArgs) -> Result<Vec<Finding>, Error> {
    let config = &session.config;
    let mut found = vec![state(job), environment(session, job, force)];
    if job.state.is_terminal() {
        return Ok(found);
    }
    found.extend(others(session, job, force).await?);
    found.extend(targets(session, job, force).await?);
    if job.spec.durable {
        found.push(Finding::ok(SERVER, "all is synced to its disks before a receipt (--durable)"));
    }
    let feeds = job.spec.source.as_tables().map(|tables| tables.feeds.as_slice());
    for feed in feeds.unwrap_or_default().iter().filter(|feed| feed.remote.is_none()) {
        let there = is_there(&session.server, feed, job).await;
        found.push(
            there.unwrap_or_else(|failure| unseen(SOURCE, Level::Warning, &failure.into(), config)),
        );
    }
    let files = job.spec.source.as_files();
    if let Some((files, name)) = files.and_then(|f| Some((f, f.named_collection.as_deref()?))) {
        found.push(source::collection(&session.server, files.function, name, config).await);
    }
    found.push(workers(session, job).await?);
    Ok(found)
}

fn state(job: &Job) -> Finding {
    let Job { id, state, .. } = job;
    match state {
        JobState::Planning => Finding::problem(
            "job",
            "its plan is not whole yet",
            "give the same longshore plan again".to_owned(),
        ),
        JobState::Planned => Finding::ok("job", "it is planned, and would run"),
        JobState::Paused | JobState::Halted => {
            Finding::ok("job", format!("it is {}, and would go on", state.as_str()))
        }
        JobState::Running => Finding::ok("job", "it runs already"),
        JobState::Completed => Finding::ok("job", "it is completed: there is nothing to run"),
        JobState::Failed => Finding::problem(
            "job",
            "it has ended, and some of its tasks are not done",
            format!("longshore retry {id} --failed"),
        ),
        JobState::Deleting => {
            Finding::problem("job", "it is being deleted", format!("longshore plan delete {id}"))
        }
        JobState::Cancelling | JobState::Cancelled | JobState::Reopening => Finding::problem(
            "job",
            format!("it is {}", state.as_str()),
            format!("longshore resume {id}"),
        ),
    }
}

fn environment(session: &Session, job: &Job, force: ForceArgs) -> Finding {
    const CHECK: &str = "environment";
    if admission::is_bound_here(session, job) {
        return Finding::ok(CHECK, "the plan was made for this one");
    }
    let report = admission::elsewhere(session, job);
    if force.force_environment {
        let remedy = "--force-environment would bind it to this one";
        return Finding::warning(CHECK, report.message, remedy);
    }
    Finding::problem(CHECK, report.message, report.help.unwrap_or_default())
}

/// Other jobs that load into the same tables.
async fn others(session: &Session, job: &Job, force: ForceArgs) -> Result<Vec<Finding>, Error> {
    let found = overlaps(&session.store, job).await?;
    if found.is_empty() {
        let tables: Vec<String> = overlap::tables(job).iter().map(ToString::to_string).collect();
        let message = format!("no other job loads into {}", tables.join(", "));
        return Ok(vec![Finding::ok(OVERLAP, message)]);
    }
    let finding = |other: &overlap::Overlap| {
        if force.force_overlap || overlap::may_share(session, &other.table) {
            let why = if force.force_overlap { "--force-overlap" } else { "policy.block_overlap" };
            let remedy = format!("nothing: allowed by {why}");
            return Finding::warning(OVERLAP, other.note(), remedy);
        }
        let report = overlap::refused(job, other);
        Finding::problem(OVERLAP, report.message, report.help.unwrap_or_default())
    };
    Ok(found.iter().map(finding).collect())
}

/// The tables that are filled, on each server of the job.
async fn targets(session: &Session, job: &Job, force: ForceArgs) -> Result<Vec<Finding>, Error> {
    let (config, spec) = (&session.config, &job.spec);
    if !spec.is_sharded() {
        let home = session.home().await?;
        let other = admission::other_server(job, &home.uuid).filter(|_| !force.force_environment);
        if let Some(server) = other {
            let message = format!(
                "the plan was made on the server at {}; workers that are at home on this one leave it alone",
                server.url
            );
            let remedy = "the same command with --server set to that one\n\
                          or load into this one: --force-environment";
            return Ok(vec![Finding::problem(SERVER, message, remedy)]);
        }
        let mut found = vec![views::unchanged(&session.server, &spec.graph, config).await];
        found.extend(views::dictionaries(&session.server, spec, Level::Problem, config).await);
        return Ok(found);
    }
    each_server(config, spec).await
}

/// The tables of each of several servers.
pub(crate) async fn each_server(config: &Config, spec: &JobSpec) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (shard, planned) in spec.servers.iter().enumerate() {
        let mut connection = config.connection.clone();
        connection.url.clone_from(&planned.url);
        let server = Server::new(connection)?;
        let facts = bounded(config, &server, FIRST_ANSWER_MAX, server.facts()).await;
        let of_server = match facts {
            Ok(Ok(facts)) if facts.server_uuid == planned.uuid => {
                let own = spec.on(shard);
                let mut of_server = vec![views::unchanged(&server, &own.graph, config).await];
                of_server.extend(views::dictionaries(&server, &own, Level::Problem, config).await);
                of_server
            }
            Ok(Ok(_)) => {
                let message = format!("another server answers at {}", planned.url);
                vec![Finding::problem(SERVER, message, "bring that server back, or plan again")]
            }
            Ok(Err(failure)) => vec![unseen(SERVER, Level::Problem, &failure.into(), config)],
            Err(error) => vec![unseen(SERVER, Level::Problem, &error, config)],
        };
        found.extend(of_server.into_iter().map(|finding| finding.about(planned.url.clone())));
    }
    Ok(found)
}

/// Is the table that is read still the one of the plan?
async fn is_there(server: &Server, feed: &Feed, job: &Job) -> Result<Finding, Failure> {
    let what = if feed.is_snapshot { "the snapshot" } else { "the source" };
    let Feed { table, uuid, .. } = feed;
    let now = identities(server, std::slice::from_ref(table)).await?;
    let same = |(name, found): &(TableName, uuid::Uuid)| {
        name == table && uuid.is_none_or(|planned| planned == *found)
    };
    if now.iter().any(same) {
        return Ok(Finding::ok(SOURCE, format!("{what} {table} is there")));
    }
    let how = if now.is_empty() {
        "is not there, or this user may not see it"
    } else {
        "was dropped and made again"
    };
    let message = format!("{what} {table} {how}");
    let remedy = format!("plan it again: longshore plan show {} says how it was made", job.id);
    Ok(Finding::problem(SOURCE, message, remedy))
}

async fn workers(session: &Session, job: &Job) -> Result<Finding, Error> {
    const CHECK: &str = "workers";
    let all = session.store.workers().await?;
    let live = all.iter().filter(|worker| !worker.has_lapsed() && !worker.draining).count() as u64;
    if live == 0 {
        let remedy = format!("longshore run {} brings its own, or start longshore-worker", job.id);
        return Ok(Finding::warning(CHECK, "no worker is running", remedy));
    }
    Ok(Finding::ok(CHECK, format!("{} alive", text::plural(live, "worker"))))
}

fn words(document: &Document) -> String {
    let Document { job_id, target, .. } = document;
    let size = format!(
        "{} for {target} ({})",
        text::plural(document.tasks.into(), "task"),
        text::bytes(document.bytes)
    );
    let end = match (document.would_run, document.problems) {
        (true, _) => {
            let noted = if document.noted { " This dry run is noted." } else { "" };
            let next = format!("Next: longshore submit {job_id}");
            format!("Nothing was changed. It would run: {size}.{noted}\n\n{next}")
        }
        (false, 0) => "Nothing was changed, and nothing would be.".to_owned(),
        _ => format!("Nothing was changed. It would not run: {size}."),
    };
    format!("Job {job_id}\n\n{}\n\n{end}", render::lines(&document.checks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(checks: Vec<Finding>, would_run: bool) -> Document {
        Document {
            job_id: "0123456789abcdef".into(),
            state: JobState::Planned,
            dry_run: true,
            would_run,
            target: "demo.events".into(),
            tasks: 40,
            files: 100,
            bytes: 4 << 30,
            problems: render::count(&checks, Level::Problem),
            warnings: render::count(&checks, Level::Warning),
            noted: false,
            checks,
        }
    }

    #[test]
    fn says_what_would_happen_and_what_is_in_the_way() {
        let good = vec![
            Finding::ok("job", "it is planned, and would run"),
            Finding::warning("workers", "no worker is running", "longshore-worker"),
        ];
        insta::assert_snapshot!(words(&document(good.clone(), true)), @"
        Job 0123456789abcdef

        ok       job               it is planned, and would run
        warning  workers           no worker is running
                 longshore-worker

        Nothing was changed. It would run: 40 tasks for demo.events (4.00 GiB).

        Next: longshore submit 0123456789abcdef
        ");
        let bad = vec![Finding::problem(OVERLAP, "job 1 loads into demo.events", "wait")];
        insta::assert_snapshot!(words(&document(bad, false)), @"
        Job 0123456789abcdef

        problem  overlap           job 1 loads into demo.events
                 wait

        Nothing was changed. It would not run: 40 tasks for demo.events (4.00 GiB).
        ");
        insta::assert_snapshot!(words(&document(good[..1].to_vec(), false)), @"
        Job 0123456789abcdef

        ok       job               it is planned, and would run

        Nothing was changed, and nothing would be.
        ");
        let json = serde_json::to_string_pretty(&document(good, true)).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "job_id": "0123456789abcdef",
          "state": "planned",
          "dry_run": true,
          "would_run": true,
          "target": "demo.events",
          "tasks": 40,
          "files": 100,
          "bytes": 4294967296,
          "problems": 0,
          "warnings": 1,
          "noted": false,
          "checks": [
            {
              "check": "job",
              "level": "ok",
              "subject": null,
              "message": "it is planned, and would run",
              "remedy": null
            },
            {
              "check": "workers",
              "level": "warning",
              "subject": null,
              "message": "no worker is running",
              "remedy": "longshore-worker"
            }
          ]
        }
        "#);
    }
}
