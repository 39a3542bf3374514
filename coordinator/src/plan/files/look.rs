//! The schemas of the files of a plan, and the names under which their columns are read.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, policy, retry_idempotent};
use longshore_shared::planted::{Bug, planted};
use longshore_shared::source::{Found, Schema};
use longshore_shared::task::SourceFile;
use serde::Deserialize;

use super::Files;
use super::formats::{Family, Format};
use super::merge::{Merged, Schemas};
use crate::ui::error::Error;

const SAMPLE_FILES: usize = 1_000;
/// How a reader of text matches names.
const MATCHING_MODE: &str = "input_format_column_name_matching_mode";

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
            let found = self.without_bare_headers(files, found, any_case).await;
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

    /// Does the reader of this format match the names of these files in any case?
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
        if !schemas.any(|schema| schema.columns.iter().any(|c| differs(&c.name))) {
            return Ok(false);
        }
        self.matches_any_case(format).await
    }

    /// Does the reader of this format match names in any case? Newer servers do for text, unless the user says
    /// otherwise, and for columnar files where the user asks for it.
    pub(super) async fn matches_any_case(&self, format: Format<'_>) -> Result<bool, Error> {
        if let Some(setting) = format.case_setting() {
            let told = self.settings.get(&setting);
            return Ok(told.is_some_and(|value| value == "1" || value == "true"));
        }
        if !format.is_text() {
            return Ok(false);
        }
        let text = match format.family {
            Family::Keys => "format(JSONEachRow, 'a UInt8', '{\"A\":1}')",
            _ => "format(CSVWithNames, 'a UInt8', 'A\n1\n')",
        };
        let text = format!("SELECT a FROM {text}");
        // No other setting of the user: it may be about a delimiter, and this text has commas.
        let rule = self.settings.get_key_value(MATCHING_MODE);
        let rule: Vec<_> =
            rule.map(|(name, value)| (name.clone(), value.clone())).into_iter().collect();
        let known = self.server.known_settings().await;
        let found = retry_idempotent(|| {
            let call = self.server.call_text("any_case", text.clone());
            call.settings(&rule, known).fetch_all::<Probe>()
        });
        match found.await {
            Ok(rows) => Ok(rows.first().is_some_and(|row| row.a == 1)),
            // A server that refuses the key does not match it.
            Err(failure) if failure.is_refusal() && !policy(&failure).passes() => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Files with columns that the target lacks count only if they have a row.
    pub(super) async fn without_bare_headers(
        &self,
        files: &[SourceFile],
        mut found: Vec<Found>,
        any_case: bool,
    ) -> Vec<Found> {
        let is_known = |schema: &Schema, name: &str| {
            let name = self.name_of(any_case, schema, name);
            self.columns.iter().any(|column| column.name == name)
        };
        let reader = self.reader();
        for (file, found) in files.iter().zip(&mut found) {
            let Found::Schema(schema, None) = &*found else { continue };
            let is_doubtful = schema.columns.iter().any(|column| !is_known(schema, &column.name));
            // What cannot be read is found by its own load.
            if is_doubtful && reader.is_bare_header(file).await {
                *found = Found::Empty;
            }
        }
        found
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
