//! The schemas of all files, as one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use longshore_shared::clickhouse::Failure;
use longshore_shared::source::{Found, Schema};
use longshore_shared::task::SourceFile;
use longshore_shared::types::Type;

/// A column that some files have.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    pub(crate) name: String,
    /// Its types, each with the first file that has it so.
    pub(crate) types: Vec<(Type, String)>,
    pub(crate) may_be_null: bool,
    /// It stands in the paths.
    pub(crate) is_hive: bool,
    /// The first file that lacks it, and how many do.
    pub(crate) missing: Option<(String, usize)>,
    /// The first file that has it.
    pub(crate) first: String,
}

impl Merged {
    /// Of an array of tuples with names: the arrays of the elements of one name.
    pub(crate) fn element(&self, name: &str) -> Option<Self> {
        let mut types: Vec<(Type, String)> = Vec::new();
        for (kind, path) in &self.types {
            let mut items = kind.nested().into_iter().flatten();
            let found = items.find(|(item, _)| item.as_deref() == Some(name));
            let Some((_, kind)) = found else { continue };
            let kind = Type::Array(Box::new(kind.clone()));
            if !types.iter().any(|(known, _)| *known == kind) {
                types.push((kind, path.clone()));
            }
        }
        (!types.is_empty()).then(|| Self { types, ..self.clone() })
    }
}

/// What the files hold.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    /// In the order of their first appearance.
    pub(crate) columns: Vec<Merged>,
    /// Files that cannot be read, with the reason.
    pub(crate) broken: Vec<(String, Failure)>,
    /// Files without any row, as far as that shows.
    pub(crate) empty: usize,
    /// Files with a schema.
    pub(crate) read: usize,
    /// Rows of files whose footers say them, by path.
    pub(crate) rows: HashMap<String, u64>,
}

impl Schemas {
    /// Merges what was found of these files. Files without rows decide nothing. `rename` says under
    /// which name a column of a schema is read.
    pub(crate) fn merge(
        files: &[SourceFile],
        found: &[Found],
        rename: impl Fn(&Schema, &str) -> String,
    ) -> Self {
        let mut merged = Self::default();
        // Alike files share a schema: each is looked at once.
        let mut kinds: Vec<(Arc<Schema>, Vec<&str>)> = Vec::new();
        let mut places: BTreeMap<*const Schema, usize> = BTreeMap::new();
        for (file, found) in files.iter().zip(found) {
            if let Found::Schema(_, Some(rows)) = found {
                merged.rows.insert(file.path.clone(), *rows);
            }
            match found {
                Found::Empty | Found::Schema(_, Some(0)) => merged.empty += 1,
                Found::Broken(failure) => merged.broken.push((file.path.clone(), failure.clone())),
                Found::Schema(schema, _) => {
                    merged.read += 1;
                    let place = *places.entry(Arc::as_ptr(schema)).or_insert(kinds.len());
                    match kinds.get_mut(place) {
                        Some((_, paths)) => paths.push(&file.path),
                        None => kinds.push((renamed(schema, &rename), vec![&file.path])),
                    }
                }
            }
        }
        for (schema, paths) in &kinds {
            merged.add(schema, paths[0]);
        }
        for column in &mut merged.columns {
            let lacks = |schema: &Schema| !schema.columns.iter().any(|c| c.name == column.name);
            let missing: Vec<&str> = kinds
                .iter()
                .filter(|(schema, _)| lacks(schema))
                .flat_map(|(_, paths)| paths.iter().copied())
                .collect();
            column.missing = missing.first().map(|first| ((*first).to_owned(), missing.len()));
        }
        merged
    }

    fn add(&mut self, schema: &Schema, path: &str) {
        for found in &schema.columns {
            let kind = found.kind.clone();
            match self.columns.iter_mut().find(|column| column.name == found.name) {
                Some(column) => {
                    column.may_be_null |= found.may_be_null;
                    if !column.types.iter().any(|(known, _)| *known == kind) {
                        column.types.push((kind, path.to_owned()));
                    }
                }
                None => self.columns.push(Merged {
                    name: found.name.clone(),
                    types: vec![(kind, path.to_owned())],
                    may_be_null: found.may_be_null,
                    is_hive: found.is_hive,
                    missing: None,
                    first: path.to_owned(),
                }),
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Merged> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn renamed(schema: &Arc<Schema>, rename: &impl Fn(&Schema, &str) -> String) -> Arc<Schema> {
    let mut columns = schema.columns.clone();
    for column in &mut columns {
        column.name = rename(schema, &column.name);
    }
    Arc::new(Schema { columns })
}
