//! What a chunk reads, as SQL: the same text for the load, the count that checks it, and the search
//! for what is at fault.

use std::collections::BTreeMap;

use super::{SourceKeys, from_clause, read_settings, slice_where};
use crate::planted::{Bug, planted};
use crate::sql::{quote_identifier, quote_literal};
use crate::task::{
    Chunk, Feed, FilesSource, JobSpec, Slice, Source, SourceFile, TableName, Window,
};

/// What stands after SELECT's expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// After FROM.
    pub from: String,
    /// After WHERE; empty for none.
    pub condition: String,
    /// Settings of the statement that belong to what is read.
    pub settings: Vec<(String, String)>,
}

/// A chunk that does not belong to the source of its job: a foreign hand in the control tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the chunk does not belong to the source of its job")]
pub struct ForeignChunk;

impl Reading {
    /// What a chunk of a job reads.
    ///
    /// # Errors
    /// When the chunk belongs to another kind of source.
    pub fn of(spec: &JobSpec, chunk: &Chunk, keys: &SourceKeys) -> Result<Self, ForeignChunk> {
        match (&spec.source, chunk) {
            (Source::Files(source), Chunk::Files { files }) => {
                Ok(Self::files(source, files, &spec.filter, &spec.settings, keys))
            }
            (Source::Tables(source), Chunk::Slice(slice)) => {
                let feed = source.feeds.get(slice.feed).ok_or(ForeignChunk)?;
                Ok(Self::slice(feed, slice, &spec.filter))
            }
            _ => Err(ForeignChunk),
        }
    }

    /// Some files, and the user's condition and settings.
    pub fn files(
        source: &FilesSource,
        files: &[SourceFile],
        filter: &str,
        settings: &BTreeMap<String, String>,
        keys: &SourceKeys,
    ) -> Self {
        let from = from_clause(source, files, keys);
        let settings = read_settings(&source.settings, settings);
        Self { from, condition: filter.to_owned(), settings }
    }

    /// A piece of a table, and the user's condition.
    pub fn slice(feed: &Feed, slice: &Slice, filter: &str) -> Self {
        let piece = [
            slice_where(&feed.key, slice),
            feed.window.as_ref().map_or_else(String::new, window_where),
        ];
        match &feed.view {
            None => {
                let condition = all_of(piece.iter().map(String::as_str).chain([filter]));
                // The bounds are over columns of the table. Left to itself the server takes an
                // expression of the SELECT that has a column's name in its place.
                let value = if planted(Bug::AliasesFirst) { "0" } else { "1" };
                let settings = vec![("prefer_column_name_to_alias".to_owned(), value.to_owned())];
                Self { from: table_clause(feed), condition, settings }
            }
            // Inside the query of a view the table may stand in many places: each reads the piece.
            Some(view) => {
                let filters = filters_of(&feed.table, &all_of(piece.iter().map(String::as_str)));
                Self {
                    from: format!("({})", view.select),
                    condition: filter.to_owned(),
                    settings: filters
                        .map(|text| ("additional_table_filters".to_owned(), text))
                        .into_iter()
                        .collect(),
                }
            }
        }
    }

    /// The rows of a piece as they are in the table, whatever a view or the user make of them.
    pub fn rows_of(feed: &Feed, slice: &Slice) -> Self {
        Self::slice(&Feed { view: None, ..feed.clone() }, slice, "")
    }

    /// `SELECT … FROM … WHERE …`
    pub fn select(&self, expressions: &str) -> String {
        let condition = if self.condition.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.condition)
        };
        format!("SELECT {expressions} FROM {}{condition}", self.from)
    }
}

/// What stands after FROM to read the table of a feed.
pub fn table_clause(feed: &Feed) -> String {
    let Some(remote) = &feed.remote else { return feed.table.quoted() };
    format!(
        "{}({}, database = {}, table = {})",
        remote.function.as_str(),
        quote_identifier(&remote.collection),
        quote_literal(&feed.table.database),
        quote_literal(&feed.table.table)
    )
}

/// The condition of a time window; empty when it is open at both ends.
pub fn window_where(window: &Window) -> String {
    let column = quote_identifier(&window.column);
    let from = window.from.as_ref().map(|from| format!("{column} >= {from}"));
    let to = window.to.as_ref().map(|to| format!("{column} < {to}"));
    all_of(from.as_deref().into_iter().chain(to.as_deref()))
}

/// Conditions that must all hold.
fn all_of<'a>(conditions: impl Iterator<Item = &'a str>) -> String {
    let given: Vec<&str> = conditions.filter(|condition| !condition.is_empty()).collect();
    match given.as_slice() {
        [only] => (*only).to_owned(),
        given => given.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" AND "),
    }
}

/// The value of `additional_table_filters`; none without a condition.
fn filters_of(table: &TableName, condition: &str) -> Option<String> {
    let name = format!("{}.{}", table.database, table.table);
    (!condition.is_empty())
        .then(|| format!("{{{}: {}}}", quote_literal(&name), quote_literal(condition)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{FeedView, Piece, Remote, RemoteFunction, RowBounds};

    fn feed() -> Feed {
        Feed {
            table: "db.`odd name`".parse().unwrap(),
            uuid: None,
            origin: "db.`odd name`".parse().unwrap(),
            is_snapshot: false,
            remote: None,
            key: Vec::new(),
            view: None,
            known: None,
            window: None,
        }
    }

    fn piece(piece: Piece) -> Slice {
        Slice { feed: 0, pieces: vec![piece], rows: RowBounds::exact(1), bytes: 1 }
    }

    fn slice() -> Slice {
        piece(Piece { partitions: vec!["202401".into()], ..Piece::default() })
    }

    #[test]
    fn a_piece_of_a_table_with_a_window_and_a_condition_of_the_user() {
        let window = Window { column: "at".into(), from: Some("1".into()), to: Some("2".into()) };
        let feed = Feed { window: Some(window), ..feed() };
        insta::assert_snapshot!(
            Reading::slice(&feed, &slice(), "x = 1 OR y = 2").select("x"),
            @r"SELECT x FROM `db`.`odd name` WHERE (_partition_id = '202401') AND ((`at` >= 1) AND (`at` < 2)) AND (x = 1 OR y = 2)"
        );
    }

    #[test]
    fn a_table_of_another_server_is_read_through_a_named_collection() {
        let remote = Remote { function: RemoteFunction::RemoteSecure, collection: "far".into() };
        let feed = Feed { remote: Some(remote), ..feed() };
        insta::assert_snapshot!(Reading::slice(&feed, &piece(Piece::default()), "").select("x"), @r"SELECT x FROM remoteSecure(`far`, database = 'db', table = 'odd name') WHERE 1");
    }

    #[test]
    fn a_view_reads_the_piece_wherever_it_names_the_table() {
        let view = FeedView {
            name: "db.v".parse().unwrap(),
            defined: "SELECT 1".into(),
            select: "SELECT 1".into(),
            columns: vec!["x".into()],
            target: "db.t".parse().unwrap(),
            passes: None,
        };
        let feed = Feed { view: Some(view), ..feed() };
        let reading = Reading::slice(&feed, &slice(), "");
        assert_eq!(reading.select("x"), "SELECT x FROM (SELECT 1)");
        insta::assert_snapshot!(reading.settings[0].1, @r"{'db.odd name': '_partition_id = \'202401\''}");
        let rows = Reading::rows_of(&feed, &piece(Piece::default()));
        assert!(rows.settings.iter().all(|(name, _)| *name != "additional_table_filters"));
    }
}
