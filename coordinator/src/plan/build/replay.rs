//! Views again: choose them, see what their queries read and how far chunks may divide it, cut.

use std::collections::HashMap;

use longshore_shared::config::Config;
use longshore_shared::schema::{Chosen, choose_views};
use longshore_shared::sql::quote_list;
use longshore_shared::task::{Publish, TableName};

use crate::grants::durable::check_durable;
use crate::plan::draft::{Content, Draft, SpecBase};
use crate::plan::input::ReplayInput;
use crate::plan::replay::notes::{notes, rows_of};
use crate::plan::replay::view::Replay;
use crate::plan::tables::cut_tables::cut_tables;
use crate::plan::tables::engines::refuse_source;
use crate::plan::target::columns::SourceSchema;
use crate::plan::target::rehearse::rehearse;
use crate::plan::target::replicas::check_wait;
use crate::plan::target::shadow::{Marks, rehearse as rehearse_shadows};
use crate::plan::unfinished::refuse_unfinished;
use crate::plan::window::args::outside_note;
use crate::session::Session;
use crate::ui::error::{Error, Kind, Report};

pub(super) async fn build(
    session: &Session,
    config: &Config,
    input: ReplayInput,
) -> Result<Draft, Error> {
    let server = &session.server;
    let ReplayInput { job, views, target, cascade, as_blocks, cut, window } = input;
    let mut chosen = choose_views(server, &views, target.as_ref(), cascade, &job.ignored).await?;
    refuse(session, &chosen, job.publish).await?;
    rehearse_shadows(server, &chosen.graph, job.publish).await?;
    // Before the sources are read: what arrives from here on is not in this plan.
    let marks = Marks::of(server, &chosen.graph, job.publish).await?;
    let mut told = notes(server, &chosen, job.publish).await?;
    let sources: Vec<&TableName> = chosen.feeds.iter().map(|view| &view.source).collect();
    let window = window.request(config, &sources, &chosen.graph.base().name)?;
    told.extend(window.as_ref().and_then(|_| outside_note(job.publish)));
    let replay = Replay {
        server,
        graph: &chosen.graph,
        options: &cut,
        config,
        window: window.as_ref(),
        as_blocks,
    };
    let mut origins = Vec::with_capacity(chosen.feeds.len());
    for view in &chosen.feeds {
        origins.push(replay.origin(view, &mut told).await?);
    }
    told.extend(rehearse(server, &mut chosen.graph).await?);
    check_durable(server, job.durable).await?;
    check_wait(server, &chosen.graph, job.replicas_wait).await?;
    let home = session.home().await?;
    let cuts = cut_tables(session, &origins, &cut).await?;
    let columns: Vec<String> =
        chosen.feeds[0].columns.iter().map(|column| column.name.clone()).collect();
    let schema = SourceSchema {
        rows: HashMap::new(),
        select: quote_list(&columns),
        columns,
        outputs: Vec::new(),
        notes: Vec::new(),
    };
    let base = SpecBase {
        job,
        target: chosen.graph.base().name.clone(),
        graph: chosen.graph,
        schema,
        filter: String::new(),
        environment: session.environment.clone(),
        servers: vec![home],
        shard_by: None,
    };
    let content = Content::Tables { origins, cuts, options: cut };
    Ok(Draft { base, content, marks, notes: told })
}

/// Refuses sources that cannot be read or hold nothing, and a target that others fill too and that is
/// to be replaced.
async fn refuse(session: &Session, chosen: &Chosen, publish: Publish) -> Result<(), Error> {
    let server = &session.server;
    let mut rows = 0;
    for view in &chosen.feeds {
        refuse_source(server, view).await?;
        refuse_unfinished(server, &view.source).await?;
        rows += rows_of(server, &view.source).await?;
    }
    if rows == 0 {
        let message =
            format!("{} holds no rows: there is nothing to replay", chosen.feeds[0].source);
        return Err(Report::new(Kind::Usage, message).into());
    }
    if let (false, Some((view, table))) = (publish.is_append(), chosen.other_writers.first()) {
        let message = format!(
            "--publish {}: {view} writes to {table} too and is not replayed, so its rows would be gone",
            publish.mode.as_str()
        );
        let help = format!("replay all that write to it: --target {table} without --view");
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    Ok(())
}
