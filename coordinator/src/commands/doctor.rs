//! `longshore doctor`: what stands in the way of a load, and what to do about it.

use std::time::Duration;

use clap::Args;
use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::schema::GraphTable;
use longshore_shared::task::{Mode, PublishMode, TableName};
use serde::Serialize;

use crate::doctor::job::{OpenTask, has_problem, read_job};
use crate::doctor::views::{self, TableNode, tree, tree_text};
use crate::doctor::{
    Finding, Level, capacity, installation, losses, or_unseen, orphans, privileges, read_only,
    render, source, unseen,
};
use crate::grants::dictionaries::{graph_needs, spec_needs};
use crate::grants::list::{Grant, Role, Scope, grants};
use crate::job::dry_run;
use crate::plan::target::filled::guarantee;
use crate::plan::target::shadow::parse_publish;
use crate::reach::shards;
use crate::session::Session;
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;

/// A worker that has been silent for so long is dead, and a plan being made for so long given up.
pub(crate) const LONG_AGO: Duration = Duration::from_hours(1);

/// Check the installation, or say what a job waits for, and what to do about it
///
/// Each line is ok, a warning (loads work) or a problem (loads fail, or wait for a person); below
/// it stands what to run. Nothing is changed. The exit code is 8 when there is a problem.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Job id, or the first digits of it: what it waits for, task by task
    job: Option<String>,

    /// Also look at this table: its views, what cannot be staged, its parts
    #[arg(long, value_name = "DB.TABLE", conflicts_with = "job")]
    target: Option<TableName>,

    /// Also try this named collection
    #[arg(long, value_name = "NAME", conflicts_with = "job")]
    named_collection: Option<String>,

    /// With --target: how jobs will publish there, append, replace or exchange
    #[arg(long, value_name = "HOW", default_value = "append", value_parser = parse_publish, requires = "target")]
    publish: PublishMode,

    /// Print the GRANT statements instead, and check nothing
    #[arg(long)]
    grants: bool,

    /// Only the grants of this role
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,

    /// User that the statements are for [default: the user of this connection]
    #[arg(long, value_name = "NAME", requires = "grants")]
    to: Option<String>,
}

/// What `doctor --json` prints. Keys are only ever added.
#[derive(Debug, Serialize)]
struct Document {
    server: String,
    user: String,
    job_id: Option<String>,
    target: Option<String>,
    problems: usize,
    warnings: usize,
    checks: Vec<Finding>,
    graph: Option<TableNode>,
    tasks: Vec<OpenTask>,
}

#[derive(Debug, Serialize)]
struct RoleGrants {
    role: Role,
    user: String,
    grants: Vec<GrantLine>,
}

#[derive(Debug, Serialize)]
struct GrantLine {
    statement: String,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct GrantDocument {
    roles: Vec<RoleGrants>,
}

pub(crate) async fn run(args: DoctorArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    if args.grants {
        return print_grants(args, config, output).await;
    }
    let mut document = Document {
        server: config.connection.url.clone(),
        user: config.connection.user.clone(),
        job_id: None,
        target: args.target.as_ref().map(ToString::to_string),
        problems: 0,
        warnings: 0,
        checks: Vec::new(),
        graph: None,
        tasks: Vec::new(),
    };
    match &args.job {
        Some(job) => Box::pin(examine(job, config, &mut document)).await?,
        None => Box::pin(check_all(&args, config, &mut document)).await?,
    }
    document.problems = render::count(&document.checks, Level::Problem);
    document.warnings = render::count(&document.checks, Level::Warning);
    output.show(&document, text)?;
    Ok(if has_problem(&document.checks) { Exit::Problem } else { Exit::Done })
}

/// The installation, top down; what cannot be reached ends the look.
async fn check_all(args: &DoctorArgs, config: &Config, out: &mut Document) -> Result<(), Error> {
    let server = Server::new(config.connection.clone())?;
    match installation::server(&server, config).await {
        Ok((_, found)) => out.checks.extend(found),
        Err(finding) => {
            out.checks.push(finding);
            return Ok(());
        }
    }
    let (usable, found) = installation::control_tables(&server, config).await;
    out.checks.extend(found);
    let mut scope = scope_of(config);
    scope.collection.clone_from(&args.named_collection);
    scope.source = args.named_collection.as_ref().map(|_| source::DEFAULT);
    if let Some(target) = &args.target {
        let (graph, found) = views::check(&server, target, config).await;
        out.checks.extend(found);
        if let Some(graph) = graph {
            let needs = graph_needs(&server, &graph).await?;
            let parts = capacity::parts(&server, graph.base()).await;
            out.checks.extend(or_unseen("parts", config, parts));
            out.graph = Some(tree(&graph));
            scope = scope.with_graph(&graph, needs).with_publish(args.publish);
        }
    }
    let found = privileges::check(&server, &scope, args.role).await;
    out.checks.extend(or_unseen("grants", config, found));
    if let Some(name) = &args.named_collection {
        out.checks.push(source::collection(&server, source::DEFAULT, name, config).await);
    }
    out.checks.extend(or_unseen("disk", config, capacity::disks(&server).await));
    out.checks.extend(or_unseen("merges", config, capacity::merges(&server).await));
    if usable {
        let session = Session::open(config).await?;
        out.checks.extend(Box::pin(orphans::check(&session, LONG_AGO, config)).await);
    }
    Ok(())
}

async fn examine(job: &str, config: &Config, out: &mut Document) -> Result<(), Error> {
    let session = Session::open(config).await?;
    let job = session.job(job).await?;
    out.job_id = Some(job.id.to_string());
    out.target = Some(job.spec.target.to_string());
    let files = job.spec.source.as_files();
    let collection =
        files.and_then(|files| Some((files.function, files.named_collection.clone()?)));
    let is_open = !job.state.is_terminal();
    let spec = job.spec.clone();
    let graph = &spec.graph;
    let mode = job.spec.mode;
    let there = match shards(&job).next() {
        Some((_, task)) => session.reach(&job, &task).await,
        None => Ok(session.server.clone()),
    };
    let losses = Box::pin(losses::of_job(&session, &job)).await;
    let waits =
        if is_open { Box::pin(read_only::of_job(&session, &job)).await } else { Ok(Vec::new()) };
    let look = Box::pin(read_job(&session, job)).await?;
    out.checks = look.findings(config);
    out.checks.extend(
        losses.unwrap_or_else(|error| vec![unseen("losses", Level::Warning, &error, config)]),
    );
    out.checks.extend(
        waits.unwrap_or_else(|error| vec![unseen("read-only", Level::Warning, &error, config)]),
    );
    out.tasks = look.open_tasks();
    if is_open && spec.is_sharded() {
        out.checks.extend(Box::pin(dry_run::each_server(config, &spec)).await?);
        return Ok(());
    }
    // The tables of a job of one server are looked at there, whatever server this one is.
    let server = &match there {
        Ok(server) => server,
        Err(error) => {
            out.checks.push(unseen("server", Level::Problem, &error, config));
            return Ok(());
        }
    };
    if mode == Mode::Direct {
        let found = direct(server, graph.base()).await;
        out.checks
            .push(found.unwrap_or_else(|error| unseen("mode", Level::Warning, &error, config)));
    }
    if is_open {
        out.checks.push(views::unchanged(server, graph, config).await);
        out.checks.extend(views::dictionaries(server, &spec, Level::Warning, config).await);
        if let Some((function, name)) = &collection {
            out.checks.push(source::collection(server, *function, name, config).await);
        }
        let parts = capacity::parts(server, graph.base()).await;
        out.checks.extend(or_unseen("parts", config, parts));
    }
    Ok(())
}

/// A direct load is only as good as the target's deduplication.
async fn direct(server: &Server, target: &GraphTable) -> Result<Finding, Error> {
    let words = guarantee(server, target).await?.words(&target.name);
    Ok(Finding::warning("mode", words, "for exactly once plan again with --mode staged"))
}

fn scope_of(config: &Config) -> Scope {
    Scope {
        control: config.connection.control.clone(),
        staging: config.connection.staging.clone(),
        durable: config.durable,
        ..Scope::default()
    }
}

/// The statements. The server is only asked when a table or job is named.
async fn print_grants(args: DoctorArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let mut scope = scope_of(config);
    scope.collection.clone_from(&args.named_collection);
    scope.source = args.named_collection.as_ref().map(|_| source::DEFAULT);
    if let Some(job) = &args.job {
        let session = Session::open(config).await?;
        let spec = session.job(job).await?.spec;
        let needs = spec_needs(&session.server, &spec).await?;
        let publish = spec.publish.mode;
        scope = scope
            .with_graph(&spec.graph, needs)
            .with_source(&spec.source)
            .with_publish(publish)
            .with_durable(spec.durable);
    } else if let Some(target) = &args.target {
        let server = Server::new(config.connection.clone())?;
        let graph = longshore_shared::schema::discover(&server, target, &[]).await?;
        let needs = graph_needs(&server, &graph).await?;
        scope = scope.with_graph(&graph, needs).with_publish(args.publish);
    }
    let user = args.to.unwrap_or_else(|| config.connection.user.clone());
    let line = |grant: Grant| GrantLine { statement: grant.statement(&user), why: grant.why };
    let roles = Role::ALL.into_iter().filter(|role| args.role.is_none_or(|wanted| wanted == *role));
    let roles = roles.map(|role| RoleGrants {
        role,
        user: user.clone(),
        grants: grants(role, &scope).into_iter().map(line).collect(),
    });
    let document = GrantDocument { roles: roles.collect() };
    let is_whole = !scope.tables.is_empty() && scope.knows_source();
    output.show(&document, |document| grants_text(document, is_whole))?;
    Ok(Exit::Done)
}

fn grants_text(document: &GrantDocument, is_whole: bool) -> String {
    let mut lines = Vec::new();
    for role in &document.roles {
        lines.push(format!("-- {}", role.role.as_str()));
        let mut why = "";
        for grant in &role.grants {
            if grant.why != why {
                why = grant.why;
                lines.push(format!("-- {why}"));
            }
            lines.push(grant.statement.clone());
        }
        lines.push(String::new());
    }
    if !is_whole {
        lines.push(
            "-- The tables and files of a load are not in here: \
             longshore doctor --grants JOB, or --target DB.TABLE --named-collection NAME"
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn text(document: &Document) -> String {
    let mut parts = Vec::new();
    if let Some(job) = &document.job_id {
        let target = document.target.as_deref().unwrap_or_default();
        parts.push(format!("Job {job} into {target}\n"));
    }
    parts.push(render::lines(&document.checks));
    if let Some(graph) = &document.graph {
        parts.push(format!("\n{}", tree_text(graph)));
    }
    parts.push(format!("\n{}", render::verdict(&document.checks)));
    parts.join("\n")
}
