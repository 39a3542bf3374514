//! The schemas of the files of a plan, and the names under which their columns are read.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, retry_idempotent};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{Found, Schema, raw_clause};
use longshore_shared::task::SourceFile;
use serde::Deserialize;

use super::Files;
use super::formats::{Family, Format};
use super::merge::{Merged, Schemas};
use crate::ui::error::Error;

const SAMPLE_FILES: usize = 1_000;

#[derive(Deserialize, Row)]
struct Probe {
    a: u8,
}

impl Files<'_> {
    /// How many files are looked at.
    pub(super) fn looked_at(&self) -> usize {
        let all = self.list.len();
        if all > self.schemas_max { SAMPLE_FILES.min(self.schemas_max) } else { all }
    }

    /// The schemas of all files, or of a sample.
    pub(super) async fn schemas(&self, format: Format<'_>) -> Result<(Schemas, bool), Error> {
        if !format.has_schema() {
            return Ok((Schemas::default(), false));
        }
        let is_sample = self.list.len() > self.schemas_max;
        if planted(Bug::ColumnsOfTheFirst) {
            let first = &self.list[..1];
            let found = self.reader().read(first).await?;
            return Ok((Schemas::merge(first, &found, |_, name| name.to_owned()), false));
        }
        let sample: Vec<SourceFile>;
        let files = if is_sample {
            let wanted = self.looked_at();
            let step = self.list.len() / wanted;
            sample = self.list.iter().step_by(step).take(wanted).cloned().collect();
            &sample
        } else {
            self.list
        };
        let found = self.reader().read(files).await?;
        self.refuse_format(&found)?;
        let any_case = self.takes_any_case(format, &found).await?;
        let mut merged =
            Schemas::merge(files, &found, |schema, name| self.name_of(any_case, schema, name));
        // A header may stand alone: such a file decides nothing.
        let is_doubtful =
            |merged: &Merged| self.columns.iter().all(|column| column.name != merged.name);
        if format.family == Family::Header && merged.columns.iter().any(is_doubtful) {
            let found = self.without_bare_headers(files, found, any_case).await?;
            merged =
                Schemas::merge(files, &found, |schema, name| self.name_of(any_case, schema, name));
        }
        Ok((merged, is_sample))
    }

    /// The name under which a column of a file is read.
    pub(super) fn name_of(&self, any_case: bool, schema: &Schema, name: &str) -> String {
        let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
        let is_target = |name: &str| self.columns.iter().any(|column| column.name == name);
        if !any_case || is_target(name) {
            return name.to_owned();
        }
        let mut like = self.columns.iter().filter(|column| column.name.eq_ignore_ascii_case(name));
        match (like.next(), like.next()) {
            (Some(column), None) if !has(&column.name) => column.name.clone(),
            _ => name.to_owned(),
        }
    }

    /// Does the reader of this format match names in any case? Newer servers do for text.
    pub(super) async fn takes_any_case(
        &self,
        format: Format<'_>,
        found: &[Found],
    ) -> Result<bool, Error> {
        let differs = |name: &str| {
            !self.columns.iter().any(|column| column.name == name)
                && self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let mut schemas = found.iter().filter_map(|found| match found {
            Found::Schema(schema, _) => Some(schema),
            _ => None,
        });
        if !format.is_text()
            || !schemas.any(|schema| schema.columns.iter().any(|c| differs(&c.name)))
        {
            return Ok(false);
        }
        let text = match format.family {
            Family::Keys => "format(JSONEachRow, 'a UInt8', '{\"A\":1}')",
            _ => "format(CSVWithNames, 'a UInt8', 'A\n1\n')",
        };
        let text = format!("SELECT a FROM {text}");
        let found = retry_idempotent(|| {
            self.server.call_text("any_case", text.clone()).fetch_all::<Probe>()
        });
        // A server that refuses the key does not match it.
        Ok(found.await.is_ok_and(|rows| rows.first().is_some_and(|row| row.a == 1)))
    }

    /// Files with columns that the target lacks count only if they have a row.
    pub(super) async fn without_bare_headers(
        &self,
        files: &[SourceFile],
        mut found: Vec<Found>,
        any_case: bool,
    ) -> Result<Vec<Found>, Error> {
        #[derive(Deserialize, Row)]
        struct Rows {
            rows: u64,
        }
        /// A larger file has more than its header.
        const HEADER_BYTES_MAX: u64 = 64 << 10;
        let is_known = |schema: &Schema, name: &str| {
            let name = self.name_of(any_case, schema, name);
            self.columns.iter().any(|column| column.name == name)
        };
        for (file, found) in files.iter().zip(&mut found) {
            let Found::Schema(schema, None) = &*found else { continue };
            let is_doubtful = schema.columns.iter().any(|column| !is_known(schema, &column.name));
            if !is_doubtful || file.size > HEADER_BYTES_MAX {
                continue;
            }
            let from = raw_clause(&self.source, std::slice::from_ref(file), self.keys);
            let text = format!("SELECT count() AS rows FROM (SELECT * FROM {from} LIMIT 1)");
            let settings = self.reading().settings;
            let known = self.server.known_settings().await;
            let rows = retry_idempotent(|| {
                let call =
                    self.server.call_text("has_rows", text.clone()).settings(&settings, known);
                call.deadline(None).fetch_one::<Rows>()
            });
            // What cannot be read is found by its own load.
            if rows.await.is_ok_and(|rows| rows.rows == 0) {
                *found = Found::Empty;
            }
        }
        Ok(found)
    }

    /// When no file can be read the format is wrong, or the keys are.
    fn refuse_format(&self, found: &[Found]) -> Result<(), Error> {
        let broken = |found: &Found| match found {
            Found::Broken(failure) => Some(failure.clone()),
            _ => None,
        };
        let all: Option<Vec<Failure>> =
            found.iter().filter(|found| !matches!(found, Found::Empty)).map(broken).collect();
        match all.unwrap_or_default().into_iter().next() {
            Some(failure) => Err(self.unreadable(failure)),
            None => Ok(()),
        }
    }
}
