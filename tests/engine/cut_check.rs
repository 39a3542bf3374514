//! What must hold for every cut of every table, asked of the server.

use std::collections::BTreeMap;

use longshore_shared::source::slice_where;
use longshore_shared::task::{KeyColumn, Slice, TableName};
use longshore_tests::{Admin, literal};

use crate::planner::{Cut, CutOptions, Unit};

/// What a cut was worth.
pub(crate) struct Worth {
    /// Rows that are not hidden by a DELETE.
    pub(crate) rows: u64,
    /// Bytes of all rows, by the sizes of their parts, a slice.
    pub(crate) bytes: Vec<u64>,
    /// Granules that the server reads for each slice.
    pub(crate) granules: Vec<u64>,
    /// Granules of the table.
    pub(crate) granules_all: u64,
}

impl Worth {
    /// How full the slices are on average.
    pub(crate) fn fill(&self, budget: u64) -> f64 {
        self.bytes.iter().sum::<u64>() as f64 / budget as f64 / self.bytes.len() as f64
    }
}

/// Every row is in one slice, whether the index is used or not; bounds and budget hold. `slack` is how
/// far the size of a granule may be off: the index knows bytes on disk, not how well they compress.
pub(crate) fn check(
    admin: &Admin,
    table: &TableName,
    cut: &Cut,
    options: &CutOptions,
    slack: f64,
) -> Worth {
    let name = table.quoted();
    let conditions: Vec<String> =
        cut.slices.iter().map(|slice| slice_where(&cut.key, slice)).collect();
    let rows = admin.number(&format!("SELECT count() FROM {name}"));
    if cut.slices.is_empty() {
        assert_eq!(rows, 0, "a table without slices has no rows");
        return Worth { rows, bytes: vec![], granules: vec![], granules_all: 0 };
    }
    exactly_one(admin, &name, &conditions);
    if let Some(columns) = options.align {
        undivided(admin, &name, cut, columns, &conditions);
    }
    let found = by_part(admin, &name, &conditions);
    let scales = scales(admin, table, options.unit);
    let mut bytes = Vec::new();
    for (at, slice) in cut.slices.iter().enumerate() {
        let parts = &found[at];
        let count: u64 = parts.values().map(|share| share.rows).sum();
        assert!(slice.rows.hold(count), "{count} rows, {:?}: {}", slice.rows, conditions[at]);
        let has_deletes = cut.rows.is_none();
        assert!(count > 0 || has_deletes, "an empty slice: {}", conditions[at]);
        let real = bytes_of(parts, &scales);
        bytes.push(real);
        if cut.is_bounded && !has_deletes {
            let budget = options.budget_bytes as f64 * slack;
            assert!(real as f64 <= budget, "{real} bytes of {budget}: {}", conditions[at]);
        }
    }
    let all: u64 = found.iter().flat_map(BTreeMap::values).map(|share| share.rows).sum();
    assert_eq!(all, rows, "with the index");
    if let Some(known) = cut.rows {
        assert_eq!(known, rows, "the plan's number of rows");
    }
    let granules = granules(admin, &name, &conditions);
    let granules_all = granules_of(admin, table);
    pruned(cut, &granules, rows as f64 / granules_all as f64, scales.len());
    Worth { rows, bytes, granules, granules_all }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bytes_of(shares: &BTreeMap<String, Share>, scales: &BTreeMap<String, f64>) -> u64 {
    shares.iter().map(|(part, share)| share.bytes * scales[part]).sum::<f64>() as u64
}

/// Without the index: the conditions alone decide.
fn exactly_one(admin: &Admin, name: &str, conditions: &[String]) {
    let flags: Vec<String> = conditions.iter().map(|text| format!("ifNull({text}, 0)")).collect();
    let wrong = admin.rows(&format!(
        "SELECT n, count() FROM (SELECT arraySum([{}]) AS n FROM {name}) WHERE n != 1 GROUP BY n",
        flags.join(", ")
    ));
    assert!(wrong.is_empty(), "rows by how many slices they are in: {wrong:?} of {conditions:#?}");
}

/// Rows that are equal in the leading columns are in one slice, in whatever partition.
fn undivided(admin: &Admin, name: &str, cut: &Cut, columns: usize, conditions: &[String]) {
    let flags: Vec<String> = conditions.iter().map(|text| format!("ifNull({text}, 0)")).collect();
    let key: Vec<&str> = cut.key.iter().take(columns).map(|key| key.expression.as_str()).collect();
    let divided = admin.number(&format!(
        "SELECT count() FROM (SELECT {0} FROM {name} GROUP BY {0} HAVING uniqExact(indexOf([{1}], 1)) > 1)",
        if key.is_empty() { "1".to_owned() } else { key.join(", ") },
        flags.join(", ")
    ));
    assert_eq!(divided, 0, "keys in several slices of {conditions:#?}");
}

/// What a part has in a slice.
struct Share {
    rows: u64,
    /// As the server counts bytes in memory.
    bytes: f64,
}

/// Shares of each slice by part, read through the index.
fn by_part(admin: &Admin, name: &str, conditions: &[String]) -> Vec<BTreeMap<String, Share>> {
    let mut found: Vec<BTreeMap<String, Share>> =
        conditions.iter().map(|_| BTreeMap::new()).collect();
    for (page, texts) in conditions.chunks(PAGE).enumerate() {
        let count = |(at, text): (usize, &String)| {
            let at = page * PAGE + at;
            format!(
                "SELECT {at} AS at, _part AS part, count() AS n, sum(byteSize(*)) AS bytes \
                 FROM {name} WHERE {text} GROUP BY part"
            )
        };
        let selects: Vec<String> = texts.iter().enumerate().map(count).collect();
        for row in admin.rows(&selects.join(" UNION ALL ")) {
            let at: usize = row[0].parse().expect("a position");
            let rows = row[2].parse().expect("a number");
            let bytes = row[3].parse().expect("a number");
            found[at].insert(row[1].clone(), Share { rows, bytes });
        }
    }
    found
}

/// Statements of one page.
const PAGE: usize = 50;

/// Bytes of each part's files for a byte in memory.
fn scales(admin: &Admin, table: &TableName, unit: Unit) -> BTreeMap<String, f64> {
    let bytes = match unit {
        Unit::Uncompressed => "data_uncompressed_bytes",
        Unit::Compressed => "data_compressed_bytes",
    };
    let rows = admin.rows(&format!(
        "SELECT _part, any(bytes) / sum(size) \
         FROM (SELECT _part, byteSize(*) AS size FROM {}) AS rows \
         JOIN (SELECT name, {bytes} AS bytes FROM system.parts \
               WHERE database = {} AND table = {} AND active) AS parts ON name = _part \
         GROUP BY _part",
        table.quoted(),
        literal(&table.database),
        literal(&table.table)
    ));
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().expect("a number"))).collect()
}

/// Granules read for each slice, as EXPLAIN tells them.
fn granules(admin: &Admin, name: &str, conditions: &[String]) -> Vec<u64> {
    let read = conditions.iter().map(|text| {
        let plan = admin.bytes(&format!(
            "EXPLAIN indexes = 1, json = 1 SELECT * FROM {name} WHERE {text} FORMAT TSVRaw"
        ));
        // It shows the bounds, which may be any bytes.
        let plan = String::from_utf8_lossy(&plan);
        let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
        let mut selected = Vec::new();
        collect(&plan, &mut selected);
        selected.last().copied()
    });
    // Without a key and partitions there is no index that EXPLAIN could tell of.
    read.map(|selected| selected.unwrap_or(0)).collect()
}

/// Granules of the table.
fn granules_of(admin: &Admin, table: &TableName) -> u64 {
    admin.number(&format!(
        "SELECT countIf(rows_in_granule > 0) FROM mergeTreeIndex({}, {})",
        literal(&table.database),
        literal(&table.table)
    ))
}

/// Each slice reads the granules that may have its rows, and hardly another.
fn pruned(cut: &Cut, granules: &[u64], rows: f64, parts: usize) {
    // The index knows nothing of isNaN, and takes ranges of two pieces for one of both.
    let is_plain = |slice: &Slice| slice.pieces.len() == 1 && slice.pieces[0].parts.len() < 2;
    // A table without a key has no index that EXPLAIN could tell the offsets of a part by.
    if cut.key.is_empty() || cut.key.iter().any(KeyColumn::has_nan) {
        return;
    }
    for (slice, read) in cut.slices.iter().zip(granules).filter(|(slice, _)| is_plain(slice)) {
        // Granules are of about the same size, but for the last of a part.
        let most = slice.rows.max as f64 / rows * 1.25 + 4.0 * parts as f64;
        assert!(*read as f64 <= most, "{read} granules, not {most}: {:?}", slice.pieces);
    }
}

/// Selected granules of each index, in their order.
fn collect(value: &serde_json::Value, found: &mut Vec<u64>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        serde_json::Value::Object(fields) => {
            found.extend(fields.get("Selected Granules").and_then(serde_json::Value::as_u64));
            fields.values().for_each(|item| collect(item, found));
        }
        _ => {}
    }
}
