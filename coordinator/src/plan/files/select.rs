//! `--select` over files: the user's expressions see text as text.

use longshore_shared::clickhouse::Failure;
use longshore_shared::task::Output;
use longshore_shared::types::{Type, join};

use super::column::{How, ReadAs, Target};
use super::defaults::{self, DefaultOf};
use super::formats::Format;
use super::merge::{Merged, Schemas};
use super::request::Layout;
use super::{Files, owned};
use crate::plan::target::columns::{Query, SourceSchema, is_unreadable};
use crate::plan::target::outputs::NullIs;
use crate::ui::error::{Error, Kind, Report};

impl Files<'_> {
    /// Decides columns by the user's expressions.
    pub(super) async fn by_select(
        &mut self,
        format: Format<'_>,
        targets: &[Target],
        schemas: &Schemas,
    ) -> Result<(Layout, SourceSchema), Error> {
        let how = How { format, as_insert: self.choice.as_insert, is_under_select: true };
        let own = owned(schemas.columns.iter().map(|column| column.name.as_str()));
        let mut layout = Layout { own, ..Layout::default() };
        let insertable = |name: &str| targets.iter().find(|t| t.is_insertable() && t.name == name);
        // Names of the target stand for the columns that the reader would be given.
        let mut guessed = Vec::new();
        for column in &schemas.columns {
            let read = match insertable(&column.name) {
                Some(target) => how.read(target, Some(column)),
                // Lists and objects of JSON stay what they are.
                None if format.is_text() && !is_list(column) => {
                    guessed.push((layout.structure.len(), joined(column)));
                    ReadAs::plain(&column.name, "Nullable(String)")
                }
                None => ReadAs::plain(&column.name, &joined(column).to_string()),
            };
            layout.outputs.push(Output { cast: read.cast.clone(), ..Output::plain(&read.name) });
            layout.structure.push(read);
        }
        if format.family == super::formats::Family::Nameless || format.has_late_keys() {
            let rest =
                targets.iter().filter(|t| t.is_insertable() && t.default_kind != "EPHEMERAL");
            for target in rest.filter(|target| schemas.get(&target.name).is_none()) {
                let read = how.read(target, None);
                layout
                    .outputs
                    .push(Output { cast: read.cast.clone(), ..Output::plain(&read.name) });
                layout.structure.push(read);
            }
        }
        defaults::mind(targets, &mut layout, DefaultOf::Reader);
        let null_is = if format.is_text() { NullIs::Absence } else { NullIs::Value };
        self.apply(&layout);
        if let Err(failure) = self.try_select().await {
            let told = self.guess(&mut layout, &guessed, failure).await?;
            self.apply(&layout);
            let mut schema = self.query(Vec::new(), null_is).await?;
            schema.notes.push(told);
            return Ok((layout, schema));
        }
        let schema = self.query(Vec::new(), null_is).await?;
        Ok((layout, schema))
    }

    /// The expressions do not take text: columns of which they need more are read in the type that
    /// the server guesses from the first rows.
    async fn guess(
        &mut self,
        layout: &mut Layout,
        guessed: &[(usize, Type)],
        failure: Failure,
    ) -> Result<String, Error> {
        let texts: Vec<String> =
            guessed.iter().map(|(at, _)| layout.structure[*at].kind.clone()).collect();
        for (at, kind) in guessed {
            layout.structure[*at].kind = kind.to_string();
        }
        self.apply(layout);
        if guessed.is_empty() || self.try_select().await.is_err() {
            return Err(refused(failure));
        }
        let mut kept = Vec::new();
        for ((at, kind), text) in guessed.iter().zip(texts) {
            layout.structure[*at].kind = text;
            self.apply(layout);
            if self.try_select().await.is_err() {
                layout.structure[*at].kind = kind.to_string();
                kept.push(layout.structure[*at].structure());
            }
        }
        self.apply(layout);
        Ok(format!(
            "--select needs numbers or times of columns that the target lacks, so these are read in the type \
             that the first rows suggest: {}. A later value may not be what it seems; --structure says what \
             they are",
            kept.join(", ")
        ))
    }

    async fn try_select(&self) -> Result<(), Failure> {
        let reading = self.reading();
        let select = self.choice.select.as_deref().unwrap_or("*");
        let from = format!("({})", reading.select(select));
        let query =
            Query { from: &from, what: "files", is_table: false, settings: &reading.settings };
        query.types(self.server, &from).await.map(drop)
    }
}

/// The type that holds what all files have.
fn joined(column: &Merged) -> Type {
    let mut kinds = column.types.iter().map(|(kind, _)| kind.clone());
    let first = kinds.next().unwrap_or_else(|| Type::named("String"));
    kinds.try_fold(first, |one, other| join(&one, &other)).unwrap_or_else(|| Type::named("String"))
}

fn is_list(column: &Merged) -> bool {
    let is_list =
        |kind: &Type| matches!(kind.bare(), Type::Array(_) | Type::Map(..) | Type::Tuple(_));
    column.types.iter().any(|(kind, _)| is_list(kind))
}

fn refused(failure: Failure) -> Error {
    if !is_unreadable(&failure) {
        return failure.into();
    }
    let message = format!("the files cannot be read so: {}", failure.message);
    Report::new(Kind::Usage, message)
        .help("check --select, --where and --format; --structure says what the files hold")
        .into()
}
