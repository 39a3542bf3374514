//! Files that nobody looked at when the plan was made: their columns and types, before they are loaded.

use longshore_shared::clickhouse::{Policy, policy};
use longshore_shared::source::{Found, Schema, SchemaReader};
use longshore_shared::task::{Chunk, FilesSource, Source, SourceFile, Unseen};
use longshore_shared::types::{Fit, Reader, Type, fit, needs_cast};

use crate::claim::Claim;
use crate::error::AttemptError;
use crate::worker::Worker;

/// The files of a chunk have what the plan expects of them.
pub(crate) async fn expected(worker: &Worker, claim: &Claim) -> Result<(), AttemptError> {
    let spec = &claim.job.spec;
    let Source::Files(source) = &spec.source else { return Ok(()) };
    let Some(unseen) = &source.unseen else { return Ok(()) };
    let chunk = Chunk::decode(&claim.task.chunk)?;
    let is_unread =
        |file: &&SourceFile| unseen.files.is_empty() || unseen.files.contains(&file.path);
    let files: Vec<SourceFile> = chunk.files().iter().filter(is_unread).cloned().collect();
    let files = files.as_slice();
    if files.is_empty() || (unseen.columns.is_none() && !unseen.types) {
        return Ok(());
    }
    let reader = SchemaReader {
        server: claim.server.clone(),
        source: source.clone(),
        keys: worker.keys.clone(),
        settings: spec.settings.clone(),
        only_names: !unseen.types,
    };
    let found = reader.read(files).await?;
    let Some(first) = files.first() else { return Ok(()) };
    let asked = reader.asked_for(first).await?;
    for (file, found) in files.iter().zip(found) {
        let (schema, rows) = match found {
            Found::Schema(schema, rows) => (schema, rows),
            Found::Empty => continue,
            // The reader refuses what it is not asked for: no look is needed.
            Found::Broken(_) if refuses_surplus(source) => continue,
            Found::Broken(failure) if policy(&failure) == Policy::StopJob => {
                return Err(failure.into());
            }
            // The load might read it, and leave out a column that nobody knows.
            Found::Broken(failure) => {
                let way = if unseen.types {
                    "--columns and --conversions as-insert"
                } else {
                    "--columns"
                };
                return Err(AttemptError::Source(format!(
                    "file {}: its columns cannot be read ({}), so the load might leave values of it out. Plan again: \
                     name what to load with {way}, or leave this file out",
                    file.path, failure.message
                )));
            }
        };
        if rows == Some(0) {
            continue;
        }
        if let Some(problem) = problem(unseen, &schema, &asked, &source.format) {
            // A header may stand alone: such a file decides nothing.
            if has_header(&source.format) && reader.is_bare_header(file).await {
                continue;
            }
            return Err(AttemptError::Source(format!(
                "file {}: {problem}. The plan was made without a look at this file; `plan files --validate` looks at all files",
                file.path
            )));
        }
    }
    Ok(())
}

fn refuses_surplus(source: &FilesSource) -> bool {
    source.settings.get("input_format_skip_unknown_fields").is_some_and(|skips| skips == "0")
}

/// May a file be nothing but the names of its columns? A footer tells its rows.
fn has_header(format: &str) -> bool {
    format.contains("WithNames")
}

/// The name under which a column of a file is read: one of those that are known.
fn name_of<'n>(known: &[&'n str], any_case: bool, schema: &Schema, name: &'n str) -> &'n str {
    let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
    if !any_case || known.contains(&name) {
        return name;
    }
    let mut like = known.iter().filter(|known| known.eq_ignore_ascii_case(name));
    match (like.next(), like.next()) {
        (Some(known), None) if !has(known) => known,
        _ => name,
    }
}

fn problem(
    unseen: &Unseen,
    schema: &Schema,
    asked: &[(String, Type, bool)],
    format: &str,
) -> Option<String> {
    let known: Vec<&str> = match &unseen.columns {
        Some(columns) => columns.iter().map(String::as_str).collect(),
        None => asked.iter().map(|(name, ..)| name.as_str()).collect(),
    };
    for column in &schema.columns {
        let name = name_of(&known, unseen.any_case, schema, &column.name);
        if let Some(known) = &unseen.columns
            && !known.iter().any(|known| known == name)
        {
            return Some(format!(
                "it has a column `{name}` that the plan does not load, so its values would be lost"
            ));
        }
        let Some((_, kind, has_default)) = asked.iter().find(|(asked, ..)| asked == name) else {
            continue;
        };
        if !unseen.types {
            continue;
        }
        let fits = fit(column.kind.bare(), kind, Reader::of(format));
        let is_exact = match fits {
            _ if needs_cast(format, &column.kind, kind) => false,
            Fit::Exact | Fit::Rounded | Fit::Unknown => true,
            Fit::Nulls => !column.may_be_null,
            Fit::Overflow | Fit::Range | Fit::Back | Fit::Text => false,
        };
        if !is_exact {
            return Some(format!(
                "its column `{name}` is {}, and a value may not fit {kind}",
                column.kind
            ));
        }
        let is_lost = column.may_be_null && column.kind.is_nullable() && !kind.is_nullable();
        if is_lost && !has_default {
            return Some(format!("its column `{name}` may hold NULL, which {kind} does not take"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_shared::source::FoundColumn;

    fn schema(columns: &[(&str, &str)]) -> Schema {
        let column = |(name, kind): &(&str, &str)| FoundColumn {
            name: (*name).into(),
            kind: Type::parse(kind),
            may_be_null: kind.starts_with("Nullable"),
            is_hive: false,
        };
        Schema { columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_file_that_differs_from_the_sample_is_named_with_its_column() {
        let unseen = Unseen {
            columns: Some(vec!["a".into(), "b".into()]),
            types: true,
            files: Vec::new(),
            any_case: false,
        };
        let asked = [
            ("a".to_owned(), Type::parse("UInt8"), false),
            ("b".to_owned(), Type::parse("String"), true),
        ];
        let of = |columns: &[(&str, &str)]| problem(&unseen, &schema(columns), &asked, "Avro");
        assert_eq!(of(&[("a", "UInt8"), ("b", "Nullable(String)")]), None);
        assert!(of(&[("z", "UInt8")]).unwrap().contains("column `z`"));
        assert!(of(&[("a", "Int64")]).unwrap().contains("may not fit UInt8"));
        assert!(of(&[("a", "Nullable(UInt8)")]).unwrap().contains("NULL"));
        assert!(of(&[("b", "Decimal(9, 2)")]).unwrap().contains("column `b`"));

        let any = Unseen { any_case: true, ..unseen.clone() };
        let of = |unseen: &Unseen, columns: &[(&str, &str)]| {
            problem(unseen, &schema(columns), &asked, "Avro")
        };
        assert_eq!(of(&any, &[("A", "UInt8")]), None, "the reader takes it for `a`");
        assert!(of(&unseen, &[("A", "UInt8")]).unwrap().contains("column `A`"));
        assert!(of(&any, &[("A", "UInt8"), ("a", "UInt8")]).unwrap().contains("column `A`"));
    }
}
