//! Source files whose rows say where they belong: (file, row number, checksum) over several months.

use crate::sql::literal;

/// Format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// CSV with a line of names.
    Csv,
}

impl Format {
    /// Its name in ClickHouse.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSVWithNames",
        }
    }
}

/// A file in the bucket.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Name within the scene; also the value of its rows' column `file`.
    pub name: String,
    /// Whole key.
    pub key: String,
    /// Rows that were written into it.
    pub rows: u64,
    /// How they were written.
    pub format: Format,
}

/// Columns of a source row, as a table function takes them.
pub(crate) const STRUCTURE: &str =
    "file String, n UInt64, day Date, kind String, value UInt64, checksum UInt64";

/// The rows of one file: four months, three kinds, a checksum over the rest of the row.
///
/// `file` goes into every hash, so that no two files hold a row that looks the same.
pub fn rows_sql(file: &str, rows: u64) -> String {
    let file = literal(file);
    format!(
        "SELECT {file} AS file, number AS n, \
         toDate('2024-01-01') + cityHash64({file}, number, 'day') % 120 AS day, \
         ['view', 'click', 'buy'][1 + cityHash64({file}, number, 'kind') % 3] AS kind, \
         cityHash64({file}, number, 'value') % 1000 AS value, \
         cityHash64(file, n, day, kind, value) AS checksum \
         FROM numbers({rows})"
    )
}
