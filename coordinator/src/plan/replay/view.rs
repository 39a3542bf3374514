//! A view of a replay as a feed of the job: its query, its columns, and where its source may be cut.

use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::config::Config;
use longshore_shared::schema::{
    ChoiceError, Column, Graph, GraphView, columns, firing_select, identities,
};
use longshore_shared::source::{ProbeError, check_filter};
use longshore_shared::sql::quote_identifier;
use longshore_shared::task::{BudgetUnit, Feed, FeedView, TableName};

use super::aggregation::{Cutting, Shape, Together, cutting, query_shape};
use super::detours::{dictionary_note, refuse_detours};
use crate::plan::cut::{CutOptions, Unit, cut};
use crate::plan::tables::feed::{Align, FeedOptions, Origin};
use crate::plan::tables::remote::Source;
use crate::plan::target::columns::{ColumnChoice, decide_table, types_of};
use crate::plan::window::cut::{NO_BORDER, Windowed};
use crate::plan::window::request::WindowRequest;
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

impl From<ChoiceError> for Error {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::Graph(error) => error.into(),
            other => {
                Report { help: other.help(), ..Report::new(Kind::Usage, other.to_string()) }.into()
            }
        }
    }
}

impl From<ProbeError> for Error {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Failure(failure) => failure.into(),
            ignored @ ProbeError::Ignored { .. } => Report::new(Kind::Usage, ignored.to_string())
                .help("INSERT … SELECT the view's query by hand")
                .into(),
        }
    }
}

/// Makes the feeds of a replay.
pub(crate) struct Replay<'a> {
    pub(crate) server: &'a Server,
    pub(crate) graph: &'a Graph,
    pub(crate) options: &'a FeedOptions,
    pub(crate) config: &'a Config,
    /// Only a time window of the sources.
    pub(crate) window: Option<&'a WindowRequest>,
    /// Each chunk is to the views what an inserted block is, whatever they make of several rows.
    pub(crate) as_blocks: bool,
}

impl Replay<'_> {
    /// The feed of a view, and where its source may be cut.
    pub(crate) async fn origin(
        &self,
        view: &GraphView,
        notes: &mut Vec<String>,
    ) -> Result<Origin, Error> {
        let mut feed = feed(self.server, view, notes).await?;
        let Some(feed_view) = &mut feed.view else { return Err(unreadable(view)) };
        let source = format!("{}.{}", view.source.database, view.source.table);
        let shape = query_shape(self.server, &feed_view.select, &source).await?;
        let shape = shape.filter(|shape| shape.ways > 0).ok_or_else(|| unreadable(view))?;
        refuse_detours(self.server, view, &shape).await?;
        notes.extend(dictionary_note(self.server, view).await?);
        let is_alone = shape.other_tables.is_empty()
            && shape.table_functions.is_empty()
            && shape.second_looks == 0
            // ORDER BY … LIMIT reads the other columns of the rows that are left a second time.
            && shape.whole.is_empty();
        feed_view.passes = is_alone.then_some(shape.ways as u64);
        check_filter(self.server, &feed).await?;
        notes.extend(read_besides(view, &shape));
        let (align, windowed) = self.align(view, &shape, notes).await?;
        feed.window = windowed.as_ref().map(Windowed::window);
        Ok(Origin { feed, source: Source::Local, align, windowed })
    }

    /// Where the source of a view may be cut: by its key, by time, or not at all.
    async fn align(
        &self,
        view: &GraphView,
        shape: &Shape,
        notes: &mut Vec<String>,
    ) -> Result<(Option<Align>, Option<Windowed>), Error> {
        let mut windowed = None;
        if let Some(request) = self.window {
            let (found, told) = request.of_table(self.server, self.config, &view.source).await?;
            notes.extend(told);
            windowed = Some(found);
        }
        let Some(target) = self.graph.tables.iter().find(|table| table.name == view.target) else {
            return Err(unreadable(view));
        };
        let name = &view.name;
        let (why, together) = match cutting(self.server, shape, target).await? {
            Cutting::Free { grouped } => {
                if grouped {
                    notes.extend(self.readers_of_pieces(view));
                }
                return Ok((None, windowed));
            }
            _ if self.as_blocks => {
                notes.push(format!(
                    "{name} sees one chunk at a time, as it sees one inserted block (--as-blocks): \
                     its result depends on where the chunks end"
                ));
                return Ok((None, windowed));
            }
            Cutting::Aligned { why, together } => (why, Some(together)),
            Cutting::Whole { why } => (why, None),
        };
        if let Some(windowed) = windowed {
            let windowed = with_borders(windowed, together.as_ref());
            if !windowed.is_whole() || self.fits(&windowed, &view.source).await? {
                return Ok((None, Some(windowed)));
            }
        } else if let Some(found) = self.unwindowed(view, together.as_ref(), notes).await? {
            return Ok(found);
        }
        let cut = cut(self.server, &view.source, &self.cut_options(WHOLE)).await?;
        let groups = together.map_or_else(String::new, |together| {
            format!("; it groups by {}, by which {} is not sorted", together.words(), view.source)
        });
        let message = format!(
            "{name} cannot be replayed in pieces: {why}{groups}, and {} ({} in all) is more than \
             one chunk",
            view.source,
            text::bytes(cut.bytes)
        );
        let help = "give a --chunk-bytes that holds it, a window that does (--since, --until), or \
                    --as-blocks to take each chunk as one inserted block";
        Err(Report::new(Kind::Usage, message).help(help).into())
    }

    /// Without a window: by key and partition, by a time that rows are grouped by, or in one chunk.
    async fn unwindowed(
        &self,
        view: &GraphView,
        together: Option<&Together>,
        notes: &mut Vec<String>,
    ) -> Result<Option<(Option<Align>, Option<Windowed>)>, Error> {
        if let (Some(align), Some(together)) = (self.aligned(view, together).await?, together) {
            notes.push(format!(
                "rows of {} that {} groups by {} stay in one chunk",
                view.source,
                view.name,
                together.words()
            ));
            return Ok(Some((Some(align), None)));
        }
        // All in one chunk, if it fits.
        let whole = cut(self.server, &view.source, &self.cut_options(WHOLE)).await?;
        if whole.bytes <= self.options.chunk_bytes {
            return Ok(Some((Some(WHOLE), None)));
        }
        let Some(together) = together else { return Ok(None) };
        for column in together.columns() {
            let request = WindowRequest {
                column: Some(column),
                min_chunk: self.config.rules(&view.source).min_chunk,
                ..WindowRequest::default()
            };
            let found = request.of_table(self.server, self.config, &view.source).await;
            let (windowed, told) = match found {
                Ok(found) => found,
                // A column that is no time.
                Err(Error::Report(_)) => continue,
                Err(error) => return Err(error),
            };
            // A row without a time would be in no chunk.
            let windowed = with_borders(windowed, Some(together));
            if windowed.is_whole() || windowed.time.is_nullable {
                continue;
            }
            notes.extend(told);
            notes.push(format!(
                "{} is cut by time, where no group of {} is divided",
                view.source, view.name
            ));
            return Ok(Some((None, Some(windowed))));
        }
        Ok(None)
    }

    /// Is the window one chunk within the budget?
    async fn fits(&self, windowed: &Windowed, source: &TableName) -> Result<bool, Error> {
        let budget = self.options.chunk_bytes;
        let is_compressed = self.options.unit == BudgetUnit::Compressed;
        let cut = windowed.cut(self.server, source, budget, is_compressed).await?;
        Ok(cut.over_budget == 0)
    }

    /// Borders that keep groups in one piece: leading key columns that all their rows share, and
    /// partitions, when rows of one group are in one.
    async fn aligned(
        &self,
        view: &GraphView,
        together: Option<&Together>,
    ) -> Result<Option<Align>, Error> {
        let Some(together) = together else { return Ok(None) };
        let keys = source_keys(self.server, &view.source).await?;
        let columns = keys.sorting.iter().take_while(|key| together.decides(key)).count();
        let is_partitioned = !keys.partition.is_empty();
        let partitions_apart =
            is_partitioned && keys.partition.iter().all(|key| together.decides(key));
        let align = Align { columns, partitions_apart };
        Ok((columns > 0 || partitions_apart).then_some(align))
    }

    fn cut_options(&self, align: Align) -> CutOptions {
        CutOptions {
            budget_bytes: self.options.chunk_bytes,
            unit: match self.options.unit {
                BudgetUnit::Uncompressed => Unit::Uncompressed,
                BudgetUnit::Compressed => Unit::Compressed,
            },
            partitions_max: usize::MAX,
            has_snapshot: false,
            align: Some(align.columns),
            partitions_apart: align.partitions_apart,
            partitions: None,
        }
    }

    /// Views on a target that gets pieces of groups see the pieces, as they do in life.
    fn readers_of_pieces(&self, view: &GraphView) -> Vec<String> {
        let readers = self.graph.views.iter().filter(|next| next.source == view.target);
        readers
            .map(|next| {
                format!(
                    "{} reads {} chunk by chunk: a group of {} may reach it in several pieces, as \
                     it does when rows are inserted",
                    next.name, view.target, view.name
                )
            })
            .collect()
    }
}

/// No border at all.
const WHOLE: Align = Align { columns: 0, partitions_apart: false };

/// Only borders that divide no group.
fn with_borders(mut windowed: Windowed, together: Option<&Together>) -> Windowed {
    let (name, zone) = (&windowed.time.name, &windowed.time.zone);
    let found = together.and_then(|together| together.borders(name, zone, windowed.time.is_day()));
    windowed.borders = found.unwrap_or_else(|| vec![NO_BORDER.to_owned()]);
    windowed
}

fn unreadable(view: &GraphView) -> Error {
    let message = format!(
        "the server does not say how the query of {} gets its rows from {}",
        view.name, view.source
    );
    Report::new(Kind::Usage, message).help("INSERT … SELECT the view's query by hand").into()
}

fn read_besides(view: &GraphView, shape: &Shape) -> Option<String> {
    let others: Vec<&str> =
        shape.other_tables.iter().chain(&shape.table_functions).map(String::as_str).collect();
    (!others.is_empty()).then(|| {
        format!("{} also reads {}, as it is when a chunk is loaded", view.name, others.join(", "))
    })
}

/// The keys of a source, expression by expression.
struct Keys {
    sorting: Vec<String>,
    partition: Vec<String>,
}

#[derive(serde::Deserialize, clickhouse::Row)]
struct KeyTexts {
    sorting_key: String,
    partition_key: String,
}

async fn source_keys(server: &Server, table: &TableName) -> Result<Keys, Error> {
    let text = "SELECT sorting_key, partition_key FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let call = || {
        server
            .call_text("source_keys", text.to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let found: KeyTexts = retry_idempotent(|| call().fetch_one()).await?;
    let split = |key: &str| {
        let expressions = longshore_shared::schema::key_expressions(key, "");
        expressions.into_iter().map(|(expression, _)| expression).collect()
    };
    Ok(Keys { sorting: split(&found.sorting_key), partition: split(&found.partition_key) })
}

/// The feed of a view: its query over its source, its columns by name.
async fn feed(server: &Server, view: &GraphView, notes: &mut Vec<String>) -> Result<Feed, Error> {
    let found = identities(server, std::slice::from_ref(&view.source)).await?.pop();
    let Some((_, uuid)) = found else {
        let message = format!("there is no table {}, which {} reads", view.source, view.name);
        return Err(Report::new(Kind::Usage, message).into());
    };
    let select = firing_select(&view.select);
    if select != view.select {
        notes.push(format!(
            "of the UNION ALL of {} only the first SELECT runs, as it does when rows are inserted",
            view.name
        ));
    }
    let target = columns(server, &view.target).await?;
    let from = format!("({select})");
    let (choice, left_out) = choice(server, view, &target, &from).await?;
    notes.extend(left_out);
    let schema = decide_table(server, &target, &choice, &from).await;
    let schema = schema.map_err(|error| of_view(error, view))?;
    notes.extend(schema.notes.into_iter().map(|note| format!("{}: {note}", view.name)));
    Ok(Feed {
        table: view.source.clone(),
        uuid: Some(uuid),
        origin: view.source.clone(),
        is_snapshot: false,
        remote: None,
        key: Vec::new(),
        view: Some(FeedView {
            name: view.name.clone(),
            defined: view.select.clone(),
            select,
            columns: schema.columns,
            target: view.target.clone(),
            passes: None,
        }),
        known: None,
        window: None,
    })
}

/// The columns that the server takes of a view when rows are inserted: those that its target stores.
/// With what is left out, in words.
async fn choice(
    server: &Server,
    view: &GraphView,
    target: &[Column],
    from: &str,
) -> Result<(ColumnChoice, Option<String>), Error> {
    let mut choice = ColumnChoice::default();
    // A query that cannot be read is reported by whoever decides the columns.
    let Ok(given) = types_of(server, from, &[]).await else { return Ok((choice, None)) };
    let kind = |name: &String| {
        let found = target.iter().find(|column| column.name == *name);
        found.map(|column| column.default_kind.as_str())
    };
    let names = given.into_iter().map(|(name, _)| name);
    let (taken, lost): (Vec<String>, Vec<String>) =
        names.partition(|name| kind(name).is_some_and(|kind| kind != "ALIAS"));
    let GraphView { name, target, .. } = view;
    if let Some(column) = taken.iter().find(|name| kind(name) == Some("MATERIALIZED")) {
        let message = format!(
            "{name} fills `{column}` of {target}, which is MATERIALIZED there: the server keeps the \
             value of the view, and an INSERT cannot give it"
        );
        let help = format!(
            "ALTER TABLE {} MODIFY COLUMN {} … DEFAULT … instead of MATERIALIZED",
            target.quoted(),
            quote_identifier(column)
        );
        return Err(Report::new(Kind::Usage, message).help(help).into());
    }
    if taken.is_empty() || lost.is_empty() {
        return Ok((choice, None));
    }
    choice.columns = taken;
    let note = format!(
        "{name} gives columns that {target} does not store: {}; they are left out, as the server \
         leaves them out of an INSERT",
        lost.join(", ")
    );
    Ok((choice, Some(note)))
}

/// The flags that a message about columns names are not those of a replay.
fn of_view(error: Error, view: &GraphView) -> Error {
    let Error::Report(report) = error else { return error };
    Report::new(report.kind, format!("{}: {}", view.name, report.message))
        .help(format!("make the columns of {} and of the view the same", view.target))
        .into()
}
