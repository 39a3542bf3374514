//! May the source of a view be cut, and where? A query that groups rows gives something else when a
//! group lies in two chunks, unless the target puts its pieces together.

mod merging;
mod shape;
mod together;
mod tree;

use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::schema::GraphTable;
use longshore_shared::task::TableName;
use serde::Deserialize;

use merging::TargetColumn;
pub(crate) use shape::Shape;
pub(crate) use together::Together;

/// How the source of a feed may be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cutting {
    /// Anywhere: the result is the same. `grouped` says that groups are put together by the target.
    Free {
        /// Pieces of groups go into the target, which puts them together.
        grouped: bool,
    },
    /// Rows that are equal in all of these must stay together, for each step.
    Aligned {
        /// What such rows share.
        together: Together,
        /// Why the target does not make up for it.
        why: String,
    },
    /// Not at all.
    Whole {
        /// What looks at all rows.
        why: String,
    },
}

#[derive(Deserialize, clickhouse::Row)]
struct Explained {
    explain: String,
}

/// Reads what a query makes of several rows of a table.
pub(crate) async fn query_shape(
    server: &Server,
    query: &str,
    source: &str,
) -> Result<Option<Shape>, Failure> {
    // One pass: names are resolved, and nothing is rewritten for speed yet.
    let text = format!("EXPLAIN QUERY TREE passes = 1 {query}");
    let call = || {
        server
            .call_text("explain_query", text.clone())
            .setting("allow_experimental_analyzer", 1)
            .fetch_all()
    };
    let lines: Vec<Explained> = retry_idempotent(call).await?;
    let lines: Vec<String> = lines.into_iter().map(|line| line.explain).collect();
    Ok(shape::read(&lines, source))
}

/// How the source may be cut, so that the result is what one INSERT of the whole gives.
pub(crate) async fn cutting(
    server: &Server,
    shape: &Shape,
    target: &GraphTable,
) -> Result<Cutting, Failure> {
    if shape.second_looks > 0 {
        let why = "it reads its source a second time (a join with itself, IN, a scalar), and would \
                   see there only the rows of its own chunk";
        return Ok(Cutting::Whole { why: why.to_owned() });
    }
    if let Some(what) = shape.whole.first() {
        return Ok(Cutting::Whole { why: format!("{what} is taken over all rows") });
    }
    if shape.levels.is_empty() {
        return Ok(Cutting::Free { grouped: false });
    }
    let has_keys = shape.levels.iter().all(|level| !level.keys.is_empty());
    let why = match &shape.grouped {
        None => {
            let steps: Vec<&str> = shape.levels.iter().map(|level| level.what).collect();
            Some(format!("{} looks at several rows", steps.join(", ")))
        }
        Some(outputs) => {
            let (engine, columns) = described(server, &target.name).await?;
            merging::obstacle(&engine, &columns, outputs, has_keys)
        }
    };
    Ok(match why {
        None => Cutting::Free { grouped: true },
        Some(why) if has_keys => Cutting::Aligned { together: Together::of(&shape.levels), why },
        Some(why) => Cutting::Whole { why },
    })
}

#[derive(Deserialize, clickhouse::Row)]
struct Engine {
    engine: String,
}

async fn described(
    server: &Server,
    table: &TableName,
) -> Result<(String, Vec<TargetColumn>), Failure> {
    let of_table = |name, text: &str| {
        server
            .call_text(name, text.to_owned())
            .param("database", &table.database)
            .param("table", &table.table)
    };
    let engine = "SELECT engine_full AS engine FROM system.tables WHERE database = {database:String} AND name = {table:String}";
    let columns = "SELECT name, type, is_in_sorting_key, is_in_partition_key FROM system.columns WHERE database = {database:String} AND table = {table:String} ORDER BY position";
    let found: Engine = retry_idempotent(|| of_table("engine_of", engine).fetch_one()).await?;
    let columns = retry_idempotent(|| of_table("target_columns", columns).fetch_all()).await?;
    Ok((found.engine, columns))
}
