//! What two plans have different.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use longshore_shared::task::{Chunk, SourceFile};
use serde::Serialize;
use serde_json::Value;

use super::plan::PlanFile;
use super::write::value;
use crate::plan::explain::contents::{Contents, FileLine};
use crate::ui::text;

/// All differences; none when the plans are the same.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// There is none.
    pub(crate) same: bool,
    pub(crate) spec: Vec<FieldChange>,
    /// Files that only one of them loads, or that were changed in between.
    pub(crate) files: Vec<FileChange>,
    /// Chunks that only one of them has.
    pub(crate) chunks: Vec<ChunkChange>,
}

/// A field with two values; one that is missing has none.
#[derive(Debug, Serialize)]
pub(crate) struct FieldChange {
    pub(crate) field: String,
    pub(crate) a: Option<Value>,
    pub(crate) b: Option<Value>,
}

/// A file that is another, or not there.
#[derive(Debug, Serialize)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) a: Option<FileLine>,
    pub(crate) b: Option<FileLine>,
}

/// A chunk by its number, in words.
#[derive(Debug, Serialize)]
pub(crate) struct ChunkChange {
    pub(crate) number: usize,
    pub(crate) a: Option<String>,
    pub(crate) b: Option<String>,
}

impl Comparison {
    /// Of two plans. Ids are no difference: they tell of others.
    pub(crate) fn of(a: &PlanFile, b: &PlanFile) -> Self {
        let mut spec = Vec::new();
        fields("", Some(&value(&a.spec)), Some(&value(&b.spec)), &mut spec);
        fields("marks", Some(&value(&a.marks)), Some(&value(&b.marks)), &mut spec);
        let (files, chunks) = (files(a, b), chunks(a, b));
        let same = spec.is_empty() && files.is_empty() && chunks.is_empty() && a.chunks == b.chunks;
        Self { same, spec, files, chunks }
    }

    /// Is there nothing to show?
    pub(crate) fn has_no_lines(&self) -> bool {
        self.spec.is_empty() && self.files.is_empty() && self.chunks.is_empty()
    }
}

fn fields(path: &str, a: Option<&Value>, b: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(&inner, a.get(name), b.get(name), changes);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                fields(&format!("{path}[{at}]"), Some(a), Some(b), changes);
            }
        }
        (a, b) if a != b => {
            let (a, b) = (a.cloned(), b.cloned());
            changes.push(FieldChange { field: path.to_owned(), a, b });
        }
        _ => {}
    }
}

fn files(a: &PlanFile, b: &PlanFile) -> Vec<FileChange> {
    let by_path = |plan: &PlanFile| -> BTreeMap<String, SourceFile> {
        let files = plan.chunks.iter().flat_map(Chunk::files);
        files.map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (a, b) = (by_path(a), by_path(b));
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    // Whether a plan knows the rows of a file says nothing of the file.
    let pins = |file: Option<&SourceFile>| file.map(|file| (file.size, file.etag.clone()));
    paths
        .into_iter()
        .filter(|path| pins(a.get(*path)) != pins(b.get(*path)))
        .map(|path| FileChange {
            path: path.clone(),
            a: a.get(path).map(FileLine::from),
            b: b.get(path).map(FileLine::from),
        })
        .collect()
}

/// Chunks that have no equal in the other plan, those of the same number together.
fn chunks(a: &PlanFile, b: &PlanFile) -> Vec<ChunkChange> {
    let (only_a, only_b) = (without_equal(a, b), without_equal(b, a));
    let numbers: BTreeSet<usize> = only_a.iter().chain(&only_b).copied().collect();
    let words = |plan: &PlanFile, only: &BTreeSet<usize>, number: usize| {
        only.contains(&number).then(|| {
            let chunk = &plan.chunks[number];
            let contents = Contents::of_chunk(&plan.spec, chunk);
            match chunk.files() {
                [] => contents.first(),
                files => {
                    let count = text::plural(files.len() as u64, "file");
                    format!("{count}, from {}", contents.first())
                }
            }
        })
    };
    numbers
        .into_iter()
        .map(|number| ChunkChange {
            number,
            a: words(a, &only_a, number),
            b: words(b, &only_b, number),
        })
        .collect()
}

/// Numbers of the chunks of `plan` that `other` has not, or not as often.
fn without_equal(plan: &PlanFile, other: &PlanFile) -> BTreeSet<usize> {
    let key = |chunk: &Chunk| value(chunk).to_string();
    let mut there: HashMap<String, usize> = HashMap::new();
    for chunk in &other.chunks {
        *there.entry(key(chunk)).or_default() += 1;
    }
    let mut is_missing = |chunk: &Chunk| match there.get_mut(&key(chunk)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    let numbered = plan.chunks.iter().enumerate();
    numbered.filter(|(_, chunk)| is_missing(chunk)).map(|(number, _)| number).collect()
}
