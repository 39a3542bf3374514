//! Reads a table's parts and primary index from the server. No row of the table is read.

use std::collections::HashMap;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, read};
use longshore_shared::schema::key_expressions;
use longshore_shared::sql::{self, quote_literal};
use longshore_shared::task::TableName;
use serde::Deserialize;

use super::key::IndexColumn;
use super::layout::{KEY_COLUMNS_MAX, Part, RawMark};
use super::{CutError, Unit};

/// Marks whose keys are asked for in one statement.
const KEYS_A_STATEMENT: usize = 10_000;
/// Columns of the index before those of the key: part, number of the mark, rows.
const INDEX_COLUMNS: usize = 3;
/// Bytes of a mark before the hashes of its key.
const MARK_BYTES: usize = 8 + 4 + 1 + 1;

/// What the server says of a table.
#[derive(Debug, Deserialize, Row)]
pub(crate) struct TableFacts {
    pub(crate) engine: String,
    pub(crate) engine_full: String,
    pub(crate) primary_key: String,
}

/// A part as the server lists it.
#[derive(Debug, Clone, Deserialize, Row)]
pub(crate) struct ListedPart {
    pub(crate) name: String,
    pub(crate) name_hash: u64,
    pub(crate) partition_id: String,
    pub(crate) rows: u64,
    pub(crate) uncompressed: u64,
    pub(crate) compressed: u64,
    pub(crate) hash: String,
    pub(crate) has_lightweight_delete: u8,
}

#[derive(Deserialize, Row)]
struct DescribedColumn {
    name: String,
    r#type: String,
}

#[derive(Deserialize, Row)]
struct MarkKey {
    part: u64,
    mark: u64,
    values: Vec<String>,
}

/// Engine and key.
pub(crate) async fn facts(server: &Server, table: &TableName) -> Result<TableFacts, CutError> {
    let call = || named(server.call(sql::TABLE_KEY), table).fetch_optional();
    read(call).await?.ok_or_else(|| CutError::NoTable(table.clone()))
}

/// Active parts with rows, in order of partition and name.
pub(crate) async fn parts(server: &Server, table: &TableName) -> Result<Vec<ListedPart>, Failure> {
    read(|| named(server.call(sql::LIST_SOURCE_PARTS), table).fetch_all()).await
}

fn named<'a>(
    call: longshore_shared::clickhouse::Call<'a>,
    table: &TableName,
) -> longshore_shared::clickhouse::Call<'a> {
    call.param("database", &table.database).param("table", &table.table)
}

/// The key columns that can be bounds.
pub(crate) async fn key(
    server: &Server,
    table: &TableName,
    facts: &TableFacts,
) -> Result<Vec<IndexColumn>, Failure> {
    let expressions = key_expressions(&facts.primary_key, &facts.engine_full);
    if expressions.is_empty() {
        return Ok(Vec::new());
    }
    // The names and types that the index gives to the same expressions.
    let text = format!("DESCRIBE TABLE {}", index(table));
    let call = || {
        let call = server.call_text("describe_index", text.clone());
        call.setting("describe_compact_output", 1).fetch_all::<DescribedColumn>()
    };
    let mut columns = read(call).await?;
    columns.drain(..columns.len().min(INDEX_COLUMNS));
    if columns.len() != expressions.len() {
        return Ok(Vec::new());
    }
    let usable = columns.iter().zip(expressions).map_while(|(column, (expression, descending))| {
        IndexColumn::new(&column.name, expression, &column.r#type, descending)
    });
    Ok(usable.take(KEY_COLUMNS_MAX).collect())
}

/// The marks of these parts, in the order of the key. `None` when a part is gone.
pub(crate) async fn marks(
    server: &Server,
    table: &TableName,
    key: &[IndexColumn],
    parts: &[ListedPart],
) -> Result<Vec<RawMark>, Failure> {
    let text = marks_query(table, key);
    let call = || server.call_text("read_index", text.clone()).fetch_bytes("RowBinary");
    let bytes = read(call).await?;
    let places: HashMap<u64, u32> =
        parts.iter().enumerate().map(|(at, part)| (part.name_hash, at as u32)).collect();
    Ok(decode(&bytes, key.len(), &places))
}

fn marks_query(table: &TableName, key: &[IndexColumn]) -> String {
    let mask = |flag: fn(&IndexColumn) -> String| {
        let bits =
            key.iter().enumerate().map(|(at, column)| format!("({}) * {}", flag(column), 1 << at));
        bits.collect::<Vec<_>>().join(" + ")
    };
    let mask = |flag| if key.is_empty() { "0".to_owned() } else { mask(flag) };
    let hashed: Vec<String> = key.iter().map(IndexColumn::hashed).collect();
    let prefixes = (1..=key.len())
        .map(|count| format!(", toUInt32(cityHash64({}))", hashed[..count].join(", ")));
    let order = key.iter().map(|column| format!("{}, ", column.order()));
    format!(
        "SELECT cityHash64(part_name), toUInt32(rows_in_granule), toUInt8({}), toUInt8({}){} \
         FROM {} ORDER BY {}part_name, mark_number",
        mask(IndexColumn::is_set),
        mask(IndexColumn::is_fit),
        prefixes.collect::<String>(),
        index(table),
        order.collect::<String>(),
    )
}

fn decode(bytes: &[u8], columns: usize, places: &HashMap<u64, u32>) -> Vec<RawMark> {
    let row = MARK_BYTES + 4 * columns;
    let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mark = |row: &[u8]| {
        let low = u64::from(number(row));
        let part = *places.get(&(low | u64::from(number(&row[4..])) << 32))?;
        let mut prefixes = [0; KEY_COLUMNS_MAX];
        for (at, hash) in row[MARK_BYTES..].chunks_exact(4).enumerate() {
            prefixes[at] = number(hash);
        }
        Some(RawMark { part, rows: number(&row[8..]), set: row[12], fit: row[13], prefixes })
    };
    bytes.chunks_exact(row).filter_map(mark).collect()
}

/// The keys of some marks as literals, by part and number of the mark.
pub(crate) async fn keys(
    server: &Server,
    table: &TableName,
    key: &[IndexColumn],
    parts: &[ListedPart],
    marks: &[(u32, u32)],
) -> Result<HashMap<(u32, u32), Vec<String>>, Failure> {
    let places: HashMap<u64, u32> =
        parts.iter().enumerate().map(|(at, part)| (part.name_hash, at as u32)).collect();
    let literals: Vec<String> = key.iter().map(IndexColumn::literal).collect();
    let mut found = HashMap::with_capacity(marks.len());
    for page in marks.chunks(KEYS_A_STATEMENT) {
        let wanted: Vec<String> = page
            .iter()
            .map(|(part, mark)| format!("({},{mark})", parts[*part as usize].name_hash))
            .collect();
        let text = format!(
            "SELECT cityHash64(part_name) AS part, mark_number AS mark, [{}] AS values FROM {} \
             WHERE (cityHash64(part_name), mark_number) IN ({})",
            literals.join(", "),
            index(table),
            wanted.join(","),
        );
        let call = || {
            let call = server.call_text("read_keys", text.clone());
            call.setting("max_query_size", QUERY_BYTES_MAX).fetch_all::<MarkKey>()
        };
        let rows = read(call).await?;
        found.extend(rows.into_iter().filter_map(|row| {
            Some(((*places.get(&row.part)?, u32::try_from(row.mark).ok()?), row.values))
        }));
    }
    Ok(found)
}

/// Room for the marks of one page.
const QUERY_BYTES_MAX: usize = 4 * 1024 * 1024;

fn index(table: &TableName) -> String {
    format!("mergeTreeIndex({}, {})", quote_literal(&table.database), quote_literal(&table.table))
}

/// What the cut needs of a listed part.
pub(crate) fn part(listed: &ListedPart, unit: Unit) -> Part {
    let bytes = match unit {
        Unit::Uncompressed => listed.uncompressed,
        Unit::Compressed => listed.compressed,
    };
    Part {
        name: listed.name.clone(),
        partition: listed.partition_id.clone(),
        rows: listed.rows,
        bytes,
        has_deletes: listed.has_lightweight_delete != 0,
    }
}
