//! Reads a table's parts and primary index from the server. No row of the table is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::schema::key_expressions;
use longshore_shared::sql::{self, quote_identifier, quote_literal};
use longshore_shared::task::TableName;
use serde::Deserialize;

use super::error::CutError;
use super::key::IndexColumn;
use super::layout::{KEY_COLUMNS_MAX, Part, RawMark};
use super::sizes::{self, Extent, Offset, Stream, StreamBytes};

/// Marks whose keys are asked for in one statement.
const KEYS_A_STATEMENT: usize = 10_000;
/// Columns of the index before those of the key: part, number of the mark, rows.
const INDEX_COLUMNS: usize = 3;
/// Bytes of a mark before the hashes of its key.
const MARK_BYTES: usize = 8 + 4 + 1 + 1;
/// Bytes of a mark's place in a stream.
const OFFSET_BYTES: usize = 8 + 4;

/// What the budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of the columns in memory.
    Uncompressed,
    /// Bytes on disk. Misleading where some rows compress better than others.
    Compressed,
}

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

/// Blocks in the name of a part: `partition_first_last_level[_mutation]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// The lowest.
    pub(crate) first: i64,
    /// The highest.
    pub(crate) last: i64,
    /// The last mutation that was applied, if any.
    pub(crate) mutation: Option<i64>,
}

impl Blocks {
    /// From a name; none when it has another form.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut fields = name.split('_').skip(1);
        let first = fields.next()?.parse().ok()?;
        let last = fields.next()?.parse().ok()?;
        fields.next()?;
        let mutation = fields.next().map(str::parse).transpose().ok()?;
        Some(Self { first, last, mutation })
    }
}

#[derive(Deserialize, Row)]
struct DescribedColumn {
    name: String,
    r#type: String,
}

/// A column whose rows differ in size, in a part.
#[derive(Deserialize, Row)]
struct ListedColumn {
    part: u64,
    column: String,
    is_wide: u8,
    is_list: u8,
    bytes: u64,
    inner_names: Vec<String>,
    inner_bytes: Vec<u64>,
}

impl ListedColumn {
    /// Bytes by the mark that measures them. What is the same for every row is in none.
    fn streams(&self, marks: &HashSet<String>) -> Vec<(String, StreamBytes)> {
        let name = file_name(&self.column);
        let main = format!("{name}.mark");
        let mut all = vec![(main.clone(), StreamBytes { own: self.bytes, more: 0 })];
        for (inner, bytes) in self.inner_names.iter().zip(&self.inner_bytes) {
            let mark = format!("{name}%2E{inner}.mark");
            if marks.contains(&mark) {
                all.push((mark, StreamBytes { own: *bytes, more: 0 }));
            } else if self.is_list != 0 && inner != "size0" {
                // The sizes of the elements are as many as those; `size0` is one a row.
                let outer =
                    inner.split_once('.').map(|(outer, _)| format!("{name}%2E{outer}.mark"));
                let mark = outer.unwrap_or_else(|| main.clone());
                all.push((mark, StreamBytes { own: 0, more: *bytes }));
            }
        }
        all.retain(|(mark, _)| marks.contains(mark));
        all
    }
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
    retry_idempotent(call).await?.ok_or_else(|| CutError::NoTable(table.clone()))
}

/// Active parts with rows, in order of partition and name.
pub(crate) async fn parts(server: &Server, table: &TableName) -> Result<Vec<ListedPart>, Failure> {
    retry_idempotent(|| named(server.call(sql::LIST_SOURCE_PARTS), table).fetch_all()).await
}

fn named<'a>(
    call: longshore_shared::clickhouse::Call<'a>,
    table: &TableName,
) -> longshore_shared::clickhouse::Call<'a> {
    call.param("database", &table.database).param("table", &table.table)
}

/// What the index can tell.
pub(crate) struct Index {
    /// The key columns that can be bounds.
    pub(crate) key: Vec<IndexColumn>,
    /// Columns with marks of streams.
    pub(crate) marks: HashSet<String>,
}

/// The key columns and streams of a table's index.
pub(crate) async fn index(
    server: &Server,
    table: &TableName,
    facts: &TableFacts,
) -> Result<Index, Failure> {
    let expressions = key_expressions(&facts.primary_key, &facts.engine_full);
    // The names and types that the index gives to the same expressions.
    let text = format!("DESCRIBE TABLE {}", index_of(table, true));
    let call = || {
        let call = server.call_text("describe_index", text.clone());
        call.setting("describe_compact_output", 1).fetch_all::<DescribedColumn>()
    };
    let columns = retry_idempotent(call).await?;
    let own = columns.get(INDEX_COLUMNS..).unwrap_or_default();
    let of_key = own.iter().zip(expressions).map_while(|(column, (expression, descending))| {
        IndexColumn::new(&column.name, expression, &column.r#type, descending)
    });
    let key = of_key.take(KEY_COLUMNS_MAX).collect();
    let marks = own.iter().filter(|column| column.r#type.contains("offset_in_compressed_file"));
    Ok(Index { key, marks: marks.map(|column| column.name.clone()).collect() })
}

/// The streams whose rows differ in size, and what the marks measure of each part.
pub(crate) async fn streams(
    server: &Server,
    table: &TableName,
    index: &Index,
    parts: &[ListedPart],
) -> Result<(Vec<Stream>, Vec<Extent>), Failure> {
    let call = || named(server.call(sql::LIST_STREAMS), table).fetch_all::<ListedColumn>();
    let listed = retry_idempotent(call).await?;
    let places = places(parts);
    let extent = |part: &ListedPart| Extent { bytes: part.uncompressed, is_wide: false };
    let mut extents: Vec<Extent> = parts.iter().map(extent).collect();
    let mut found: BTreeMap<String, Vec<StreamBytes>> = BTreeMap::new();
    for column in listed {
        let Some(part) = places.get(&column.part).map(|part| *part as usize) else { continue };
        extents[part].is_wide = column.is_wide != 0;
        for (mark, bytes) in column.streams(&index.marks) {
            let empty = || vec![StreamBytes::default(); parts.len()];
            let sum = &mut found.entry(mark).or_insert_with(empty)[part];
            // The server has no sizes of columns for a part that is one file. Any of them will do.
            let own = if extents[part].is_wide { bytes.own } else { extents[part].bytes };
            *sum = StreamBytes { own: sum.own + own, more: sum.more + bytes.more };
        }
    }
    let streams = found.into_iter().map(|(mark, bytes)| Stream { mark, bytes }).collect();
    let all = parts.iter().map(|part| part.uncompressed).sum();
    Ok((sizes::choose(streams, all), extents))
}

/// As the server escapes the name of a column's file.
fn file_name(column: &str) -> String {
    let mut name = String::with_capacity(column.len());
    for byte in column.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

fn places(parts: &[ListedPart]) -> HashMap<u64, u32> {
    parts.iter().enumerate().map(|(at, part)| (part.name_hash, at as u32)).collect()
}

/// The marks of these parts, in the order of the key, and where they are in each stream.
pub(crate) async fn marks(
    server: &Server,
    table: &TableName,
    key: &[IndexColumn],
    parts: &[ListedPart],
    streams: &[Stream],
) -> Result<(Vec<RawMark>, Vec<Offset>), Failure> {
    let text = marks_query(table, key, streams);
    let call = || {
        let call = server.call_text("read_index", text.clone()).deadline(None);
        call.fetch_bytes("RowBinary")
    };
    let bytes = retry_idempotent(call).await?;
    Ok(decode(&bytes, key.len(), streams.len(), &places(parts)))
}

fn marks_query(table: &TableName, key: &[IndexColumn], streams: &[Stream]) -> String {
    let mask = |flag: fn(&IndexColumn) -> String| {
        let bits =
            key.iter().enumerate().map(|(at, column)| format!("({}) * {}", flag(column), 1 << at));
        bits.collect::<Vec<_>>().join(" + ")
    };
    let mask = |flag| if key.is_empty() { "0".to_owned() } else { mask(flag) };
    let hashed: Vec<String> = key.iter().map(IndexColumn::hashed).collect();
    let prefixes = (1..=key.len())
        .map(|count| format!(", toUInt32(cityHash64({}))", hashed[..count].join(", ")));
    let offsets = streams.iter().map(|stream| {
        let place = quote_identifier(&stream.mark);
        format!(", ifNull({place}.1, 0), toUInt32(ifNull({place}.2, 0))")
    });
    let order = key.iter().map(|column| format!("{}, ", column.order()));
    format!(
        "SELECT cityHash64(part_name), toUInt32(rows_in_granule), toUInt8({}), toUInt8({}){}{} \
         FROM {} ORDER BY {}part_name, mark_number",
        mask(IndexColumn::is_set),
        mask(IndexColumn::is_fit),
        prefixes.collect::<String>(),
        offsets.collect::<String>(),
        index_of(table, !streams.is_empty()),
        order.collect::<String>(),
    )
}

fn decode(
    bytes: &[u8],
    columns: usize,
    streams: usize,
    places: &HashMap<u64, u32>,
) -> (Vec<RawMark>, Vec<Offset>) {
    let row_bytes = MARK_BYTES + 4 * columns + OFFSET_BYTES * streams;
    let rows = bytes.len() / row_bytes;
    let (mut marks, mut offsets) = (Vec::with_capacity(rows), Vec::with_capacity(rows * streams));
    let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let long = |bytes: &[u8]| u64::from(number(bytes)) | u64::from(number(&bytes[4..])) << 32;
    for row in bytes.chunks_exact(row_bytes) {
        // Of a part that came after the list: the count of rows will tell.
        let Some(part) = places.get(&long(row)).copied() else { continue };
        let (hashes, places) = row[MARK_BYTES..].split_at(4 * columns);
        let mut prefixes = [0; KEY_COLUMNS_MAX];
        for (at, hash) in hashes.chunks_exact(4).enumerate() {
            prefixes[at] = number(hash);
        }
        let (rows, set, fit) = (number(&row[8..]), row[12], row[13]);
        marks.push(RawMark { part, rows, bytes: 0, set, fit, prefixes });
        offsets.extend(places.chunks_exact(OFFSET_BYTES).map(|place| Offset {
            compressed: long(place),
            inside: u64::from(number(&place[8..])),
        }));
    }
    (marks, offsets)
}

/// The keys of some marks as literals, by part and number of the mark.
pub(crate) async fn keys(
    server: &Server,
    table: &TableName,
    key: &[IndexColumn],
    parts: &[ListedPart],
    marks: &[(u32, u32)],
) -> Result<HashMap<(u32, u32), Vec<String>>, Failure> {
    let places = places(parts);
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
            index_of(table, false),
            wanted.join(","),
        );
        let call = || {
            let call = server.call_text("read_keys", text.clone());
            call.setting("max_query_size", QUERY_BYTES_MAX).fetch_all::<MarkKey>()
        };
        let rows = retry_idempotent(call).await?;
        found.extend(rows.into_iter().filter_map(|row| {
            Some(((*places.get(&row.part)?, u32::try_from(row.mark).ok()?), row.values))
        }));
    }
    Ok(found)
}

/// Room for the marks of one page.
const QUERY_BYTES_MAX: usize = 4 * 1024 * 1024;

fn index_of(table: &TableName, with_marks: bool) -> String {
    let (database, table) = (quote_literal(&table.database), quote_literal(&table.table));
    let with_marks = if with_marks { ", with_marks = true" } else { "" };
    format!("mergeTreeIndex({database}, {table}{with_marks})")
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
