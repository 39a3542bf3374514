//! Compares the tables of a plan with what they are now.

use super::now::{Current, current};
use crate::clickhouse::{Failure, Server};
use crate::task::{Graph, GraphTable, Shadow, TableName};

/// A difference between the plan and the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Drift {
    /// A table or view is gone.
    #[error(
        "{0} is gone, or this user may not see it (a table: GRANT INSERT ON {0}; a view: GRANT SHOW COLUMNS ON {0})"
    )]
    Gone(TableName),
    /// A table was dropped and made again.
    #[error("{0} was dropped and made again")]
    Recreated(TableName),
    /// The definition is another.
    #[error("{table} was altered: {change}")]
    Altered {
        /// The table.
        table: TableName,
        /// First difference of the two definitions.
        change: String,
    },
    /// A view was added.
    #[error("{view} fires on {table} and was added after the plan was made")]
    ViewAdded {
        /// The view.
        view: TableName,
        /// The table it fires on.
        table: TableName,
    },
    /// A view was removed.
    #[error("{view} fired on {table} when the plan was made and does not any more")]
    ViewRemoved {
        /// The view.
        view: TableName,
        /// The table it fired on.
        table: TableName,
    },
    /// A view's query is another.
    #[error("the query of {0} was changed")]
    ViewChanged(TableName),
}

/// The first difference between the graph and the server, if there is one.
///
/// # Errors
/// When the server cannot be asked.
pub async fn check(server: &Server, graph: &Graph) -> Result<Option<Drift>, Failure> {
    let Current { tables, shadows, views } = current(server, graph).await?;
    for planned in &graph.tables {
        let Some(now) = tables.iter().find(|table| table.name == planned.name) else {
            return Ok(Some(Drift::Gone(planned.name.clone())));
        };
        if let Some(view) = now.dependents.iter().find(|view| !planned.dependents.contains(view)) {
            let (view, table) = (view.clone(), planned.name.clone());
            return Ok(Some(Drift::ViewAdded { view, table }));
        }
        if let Some(view) = planned.dependents.iter().find(|view| !now.dependents.contains(view)) {
            let (view, table) = (view.clone(), planned.name.clone());
            return Ok(Some(Drift::ViewRemoved { view, table }));
        }
        if now.definition != planned.definition {
            return Ok(Some(Drift::Altered {
                table: planned.name.clone(),
                change: first_difference(&planned.definition, &now.definition),
            }));
        }
        if now.uuid != planned.uuid {
            return Ok(Some(Drift::Recreated(planned.name.clone())));
        }
    }
    for planned in graph.tables.iter().filter_map(|table| table.shadow.as_ref()) {
        if let Some(drift) = shadow_drift(planned, &shadows) {
            return Ok(Some(drift));
        }
    }
    for planned in &graph.views {
        match views.iter().find(|(name, _)| *name == planned.name) {
            None => return Ok(Some(Drift::Gone(planned.name.clone()))),
            Some((_, select)) if *select != planned.select => {
                return Ok(Some(Drift::ViewChanged(planned.name.clone())));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// What is not as it was with a shadow.
fn shadow_drift(planned: &Shadow, shadows: &[GraphTable]) -> Option<Drift> {
    let name = planned.name.clone();
    let Some(now) = shadows.iter().find(|now| now.name == name) else {
        return Some(Drift::Gone(name));
    };
    if let Some(view) = now.dependents.first() {
        return Some(Drift::ViewAdded { view: view.clone(), table: name });
    }
    if now.uuid != Some(planned.uuid) {
        return Some(Drift::Recreated(name));
    }
    (now.definition != planned.definition).then(|| Drift::Altered {
        change: first_difference(&planned.definition, &now.definition),
        table: name,
    })
}

/// The words around the first place where two definitions differ.
fn first_difference(planned: &str, now: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    let same = planned.chars().zip(now.chars()).take_while(|(a, b)| a == b).count();
    // Begin at a word, so that `Int32` is not shown as `32`.
    let start = planned
        .chars()
        .take(same)
        .collect::<Vec<_>>()
        .iter()
        .rposition(|symbol| matches!(symbol, ',' | '('))
        .map_or(0, |at| at + 1);
    let from = |text: &str| text.chars().skip(start).take(SHOWN_CHARS).collect::<String>();
    format!("planned `{}`, now `{}`", from(planned).trim(), from(now).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_first_difference_from_the_beginning_of_its_column() {
        assert_eq!(
            first_difference(
                "CREATE TABLE a (`x` Int32, `y` String)",
                "CREATE TABLE a (`x` Int64, `y` String)"
            ),
            "planned ``x` Int32, `y` String)`, now ``x` Int64, `y` String)`"
        );
    }
}
