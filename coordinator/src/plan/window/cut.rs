//! Cuts a table into time windows: one grouped query over its time column says how many rows are in
//! each, so that no chunk is empty and each has an exact count.

use std::fmt::Write;

use clickhouse::Row;
use longshore_shared::clickhouse::{Server, retry_idempotent};
use longshore_shared::schema::table_now;
use longshore_shared::sql::quote_identifier;
use longshore_shared::task::{KeyColumn, Piece, RowBounds, Slice, TableName, Window};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::time::TimeColumn;
use crate::plan::cut::{Cut, CutError};
use crate::ui::error::{Error, Kind, Report};
use crate::ui::text;

/// Cells that are counted at most: more would be a table of their own.
const CELLS_MAX: i64 = 1_000_000;

/// A condition that no moment meets.
pub(crate) const NO_BORDER: &str = "0";

/// A window of a table and how it is cut. Times are ticks of the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windowed {
    pub(crate) time: TimeColumn,
    /// First moment.
    pub(crate) since: i64,
    /// First moment after it.
    pub(crate) until: i64,
    /// Length of what is counted: no chunk is shorter.
    pub(crate) cell: i64,
    /// Cells of a chunk; without it as many as the budget allows.
    pub(crate) chunk_cells: Option<i64>,
    /// Conditions that a border must meet, with `{}` for the moment; in SQL.
    pub(crate) borders: Vec<String>,
}

#[derive(Deserialize, Row)]
struct Cell {
    /// Its number from the beginning of the window.
    at: i64,
    rows: u64,
    partitions: Vec<String>,
}

#[derive(Deserialize, Row)]
struct Allowed {
    at: i64,
}

#[derive(Deserialize, Row)]
struct PartFacts {
    rows: u64,
    bytes: u64,
    hash: String,
}

impl Windowed {
    /// Is it one chunk, because no moment within it is a border?
    pub(crate) fn is_whole(&self) -> bool {
        self.borders.iter().any(|border| border == NO_BORDER)
    }

    /// As the feed has it.
    pub(crate) fn window(&self) -> Window {
        Window {
            column: self.time.name.clone(),
            from: Some(self.time.literal(self.since)),
            to: Some(self.time.literal(self.until)),
        }
    }

    /// Cuts the window of a table.
    pub(crate) async fn cut(
        &self,
        server: &Server,
        table: &TableName,
        budget: u64,
        is_compressed: bool,
    ) -> Result<Cut, Error> {
        if (self.until - self.since) / self.cell > CELLS_MAX {
            let message = format!("the window has more than {} parts", text::count(1_000_000));
            return Err(Report::new(Kind::Usage, message)
                .help("give a longer --min-chunk or a shorter window")
                .into());
        }
        // Others have no partitions to name, and no parts that tell one state of them from another.
        if let Some(found) = table_now(server, table).await?
            && !found.engine.ends_with("MergeTree")
        {
            let table = table.clone();
            return Err(CutError::Engine { table, engine: found.engine }.into());
        }
        let cells = self.cells(server, table).await?;
        let mut partitions: Vec<&String> = cells.iter().flat_map(|c| &c.partitions).collect();
        partitions.sort();
        partitions.dedup();
        let parts = parts(server, table, &partitions, is_compressed).await?;
        let (all_rows, all_bytes) =
            parts.iter().fold((0, 0), |sum, part| (sum.0 + part.rows, sum.1 + part.bytes));
        let bytes = |rows: u64| {
            u64::try_from(u128::from(rows) * u128::from(all_bytes) / u128::from(all_rows.max(1)))
                .unwrap_or(u64::MAX)
        };
        let borders = self.allowed(server).await?;
        let chunks =
            pack(&cells, self.chunk_cells, borders.as_deref(), |rows| bytes(rows) <= budget);
        let slices: Vec<Slice> = chunks
            .iter()
            .map(|chunk| Slice {
                feed: 0,
                pieces: vec![Piece {
                    from: vec![self.literal(chunk.from)],
                    to: vec![self.literal(chunk.to)],
                    ..Piece::default()
                }],
                rows: RowBounds::exact(chunk.rows),
                bytes: bytes(chunk.rows),
            })
            .collect();
        let mut hash = Sha256::new();
        for part in &parts {
            hash.update(format!("{}\n", part.hash));
        }
        let mut digest = String::new();
        for byte in hash.finalize() {
            let _ = write!(digest, "{byte:02x}");
        }
        Ok(Cut {
            key: vec![KeyColumn {
                expression: quote_identifier(&self.time.name),
                type_name: String::new(),
                descending: false,
                // NULL is at no time: it is in no window.
                nullable: false,
            }],
            rows: Some(chunks.iter().map(|chunk| chunk.rows).sum()),
            bytes: slices.iter().map(|slice| slice.bytes).sum(),
            over_budget: slices.iter().filter(|slice| slice.bytes > budget).count(),
            slices,
            digest,
            needs_snapshot: false,
            is_bounded: false,
            notes: Vec::new(),
        })
    }

    /// The border before a cell; none is beyond the window.
    fn literal(&self, cell: i64) -> String {
        let ticks = self.since.saturating_add(cell.saturating_mul(self.cell));
        self.time.literal(ticks.min(self.until))
    }

    async fn cells(&self, server: &Server, table: &TableName) -> Result<Vec<Cell>, Error> {
        let window = self.window();
        // Names of our own inside: an alias hides a column of the same name.
        let text = format!(
            "SELECT intDiv(longshore_ticks - ({since}), {cell}) AS at, count() AS rows, \
             groupUniqArray(longshore_partition) AS partitions FROM \
             (SELECT {ticks} AS longshore_ticks, _partition_id AS longshore_partition \
             FROM {table} WHERE {condition}) GROUP BY at ORDER BY at",
            ticks = self.time.ticks(),
            since = self.since,
            cell = self.cell,
            table = table.quoted(),
            condition = longshore_shared::source::window_where(&window),
        );
        let call = || server.call_text("count_windows", text.clone()).deadline(None);
        Ok(retry_idempotent(|| call().fetch_all()).await?)
    }

    /// The cells that a chunk may begin with, when not all may.
    async fn allowed(&self, server: &Server) -> Result<Option<Vec<i64>>, Error> {
        if self.borders.is_empty() {
            return Ok(None);
        }
        let ticks = format!("toInt64({} + number * {})", self.since, self.cell);
        let moment = self.time.moment(&ticks);
        let conditions: Vec<String> =
            self.borders.iter().map(|border| border.replace("{}", &moment)).collect();
        let text = format!(
            "SELECT toInt64(number) AS at FROM numbers({}) WHERE {} ORDER BY at",
            (self.until - self.since) / self.cell + 1,
            conditions.join(" AND ")
        );
        let call = || server.call_text("window_borders", text.clone());
        let found: Vec<Allowed> = retry_idempotent(|| call().fetch_all()).await?;
        Ok(Some(found.into_iter().map(|border| border.at).collect()))
    }
}

/// Cells `from` to before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    from: i64,
    to: i64,
    rows: u64,
}

/// Fills chunks with cells in order. A chunk ends at a multiple of `length`, and where it is full,
/// but only at an allowed border. No chunk is empty.
fn pack(
    cells: &[Cell],
    length: Option<i64>,
    borders: Option<&[i64]>,
    fits: impl Fn(u64) -> bool,
) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    // Cells between two allowed borders are one.
    let mut units: Vec<Chunk> = Vec::new();
    for cell in cells {
        let (from, to) = match borders {
            None => (cell.at, cell.at + 1),
            Some(borders) => {
                let after = borders.partition_point(|border| *border <= cell.at);
                let from = after.checked_sub(1).map_or(0, |before| borders[before]);
                (from, borders.get(after).copied().unwrap_or(i64::MAX / 2))
            }
        };
        match units.last_mut() {
            Some(last) if last.from == from => last.rows += cell.rows,
            _ => units.push(Chunk { from, to, rows: cell.rows }),
        }
    }
    for unit in units {
        let same_length = |last: &Chunk| {
            length.is_none_or(|length| last.from.div_euclid(length) == unit.from.div_euclid(length))
        };
        match chunks.last_mut() {
            Some(last) if same_length(last) && fits(last.rows + unit.rows) => {
                (last.to, last.rows) = (unit.to, last.rows + unit.rows);
            }
            _ => chunks.push(unit),
        }
    }
    chunks
}

async fn parts(
    server: &Server,
    table: &TableName,
    partitions: &[&String],
    is_compressed: bool,
) -> Result<Vec<PartFacts>, Error> {
    let column = if is_compressed { "data_compressed_bytes" } else { "data_uncompressed_bytes" };
    let text = format!(
        "SELECT rows, {column} AS bytes, hash_of_all_files AS hash FROM system.parts WHERE active \
         AND database = {{database:String}} AND table = {{table:String}} \
         AND partition_id IN {{partitions:Array(String)}} ORDER BY partition_id, hash"
    );
    let call = || {
        server
            .call_text("window_parts", text.clone())
            .param("database", &table.database)
            .param("table", &table.table)
            .list("partitions", partitions)
    };
    Ok(retry_idempotent(|| call().fetch_all()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(rows: &[(i64, u64)]) -> Vec<Cell> {
        rows.iter()
            .map(|(cell, rows)| Cell { at: *cell, rows: *rows, partitions: vec![] })
            .collect()
    }

    fn packed(length: Option<i64>, borders: Option<&[i64]>, most: u64) -> Vec<(i64, i64, u64)> {
        let cells = cells(&[(0, 3), (1, 3), (2, 9), (6, 1), (7, 1), (8, 1)]);
        let chunks = pack(&cells, length, borders, |rows| rows <= most);
        chunks.into_iter().map(|chunk| (chunk.from, chunk.to, chunk.rows)).collect()
    }

    #[test]
    fn chunks_are_filled_up_to_the_budget() {
        assert_eq!(packed(None, None, 6), [(0, 2, 6), (2, 3, 9), (6, 9, 3)]);
        assert_eq!(packed(None, None, 100), [(0, 9, 18)]);
    }

    #[test]
    fn chunks_end_where_a_length_ends() {
        assert_eq!(packed(Some(4), None, 100), [(0, 3, 15), (6, 8, 2), (8, 9, 1)]);
    }

    #[test]
    fn chunks_end_at_allowed_borders_only() {
        assert_eq!(
            packed(None, Some(&[0, 2, 8]), 6),
            [(0, 2, 6), (2, 8, 11), (8, i64::MAX / 2, 1)]
        );
        assert_eq!(packed(None, Some(&[1]), 1), [(0, 1, 3), (1, i64::MAX / 2, 15)]);
    }
}
