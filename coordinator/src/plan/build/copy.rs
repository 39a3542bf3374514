//! A table into another: decide the columns, look for what is lost, cut by the index.

use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::schema::{Graph, columns};
use longshore_shared::source::table_clause;

use crate::grants::durable::check_durable;
use crate::plan::cut::Cut;
use crate::plan::draft::{Content, Draft, SpecBase};
use crate::plan::input::CopyInput;
use crate::plan::tables::cut_tables::cut_tables;
use crate::plan::tables::feed::{Origin, Snapshot};
use crate::plan::tables::remote::Source;
use crate::plan::tables::since::Since;
use crate::plan::target::columns::{SourceSchema, check_syntax, decide_table};
use crate::plan::target::expiry::expired_note;
use crate::plan::target::filled::target;
use crate::plan::target::replicas::check_wait;
use crate::plan::target::shadow::{Marks, in_place_note};
use crate::plan::unfinished::refuse_unfinished;
use crate::plan::window::args::outside_note;
use crate::plan::window::cut::Windowed;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

pub(super) async fn build(
    session: &Session,
    config: &Config,
    input: CopyInput,
) -> Result<Draft, Error> {
    let server = &session.server;
    let job = &input.job;
    let fills = target(server, &input.target, job.mode, job.publish, &job.ignored);
    // Both to their ends: the one that tries the staging tables takes them away again.
    let (reads, fills) = tokio::join!(reads(session, config, &input), fills);
    let ((mut origin, schema, cuts), (graph, mut notes)) = (reads?, fills?);
    // Before the table is cut: what arrives from here on is not in this plan.
    let marks = Marks::of(server, &graph, job.publish).await?;
    notes.extend(schema.notes.iter().cloned());
    notes.extend(losses(server, &input, &origin, &graph).await);
    let mut options = input.cut.clone();
    if input.is_in_place {
        options.snapshot = Snapshot::Always;
    }
    check_durable(server, job.durable).await?;
    check_wait(server, &graph, job.replicas_wait).await?;
    let home = session.home().await?;
    origin.windowed = windowed(server, config, &input, &origin.source, &mut notes).await?;
    origin.feed.window = origin.windowed.as_ref().map(Windowed::window);
    let content = if let Some(earlier) = &input.delta {
        let since = Since::of(session, earlier, &input.from).await?;
        Content::Delta { origin: Box::new(origin), options, since }
    } else {
        let origins = vec![origin];
        let cuts = match cuts {
            Some(cuts) => cuts,
            None => cut_tables(session, &origins, &options).await?,
        };
        Content::Tables { origins, cuts, options }
    };
    let base = SpecBase {
        target: input.target,
        graph,
        schema,
        filter: input.choice.filter,
        environment: session.environment.clone(),
        servers: vec![home],
        shard_by: None,
        job: input.job,
    };
    Ok(Draft { base, content, marks, notes })
}

/// The table as it is read, its columns in the target, and its cut where nothing later can change it.
async fn reads(
    session: &Session,
    config: &Config,
    input: &CopyInput,
) -> Result<(Origin, SourceSchema, Option<Vec<Cut>>), Error> {
    let server = &session.server;
    let has_window = input.window.request(config, &[&input.from], &input.target)?.is_some();
    let is_plain = input.job.publish.is_append() && input.delta.is_none() && !has_window;
    let (feed, source) = input.remote.resolve(server, config, &input.from).await?;
    if source.is_seen() {
        refuse_unfinished(source.server().unwrap_or(server), &input.from).await?;
    }
    let origin = Origin { feed, source, align: None, windowed: None };
    let from = table_clause(&origin.feed);
    let schema = async {
        let choice = &input.choice;
        check_syntax(server, choice.select.as_deref(), &choice.filter).await?;
        let target_columns = columns(server, &input.target).await?;
        decide_table(server, &target_columns, choice, &from).await
    };
    let cuts = async {
        if !is_plain {
            return Ok(None);
        }
        cut_tables(session, std::slice::from_ref(&origin), &input.cut).await.map(Some)
    };
    let (schema, cuts) = tokio::try_join!(schema, cuts)?;
    Ok((origin, schema, cuts))
}

/// What the copy may not have of the table, or the target not any more.
async fn losses(server: &Server, input: &CopyInput, origin: &Origin, graph: &Graph) -> Vec<String> {
    let mut notes = Vec::new();
    let choice = &input.choice;
    if input.is_in_place && (choice.select.is_some() || !choice.filter.is_empty()) {
        notes.extend(in_place_note(input.job.publish));
    }
    if !origin.source.is_seen() {
        notes.push(format!(
            "mutations of {} that are not finished on the other server are not looked for: give --remote-url",
            input.from
        ));
    }
    if choice.select.is_none() {
        let from = table_clause(&origin.feed);
        notes.extend(expired_note(server, &from, &input.from, graph, &choice.filter).await);
    }
    notes
}

/// The time window, if one is asked for.
async fn windowed(
    server: &Server,
    config: &Config,
    input: &CopyInput,
    source: &Source,
    notes: &mut Vec<String>,
) -> Result<Option<Windowed>, Error> {
    let Some(request) = input.window.request(config, &[&input.from], &input.target)? else {
        return Ok(None);
    };
    let refused = |message: &str, help: &str| {
        Err(Report::new(Kind::Usage, message).help(help.to_owned()).into())
    };
    if input.delta.is_some() {
        return refused("--delta is of a whole table", "leave the time window out");
    }
    if input.is_in_place {
        let message = "a table that takes its own place is copied whole: rows outside of a time \
                       window would be gone";
        return refused(message, "leave the time window out");
    }
    if !source.is_seen() {
        let message = "the rows of a time window are counted on the other server";
        return refused(message, "give --remote-url");
    }
    notes.extend(outside_note(input.job.publish));
    let there = source.server().unwrap_or(server);
    let (windowed, told) = request.of_table(there, config, &input.from).await?;
    notes.extend(told);
    Ok(Some(windowed))
}
