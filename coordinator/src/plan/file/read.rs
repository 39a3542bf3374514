//! Reads a plan file, and refuses one that is torn, edited or of a newer version.

use longshore_shared::source::{Reading, SourceKeys};
use longshore_shared::task::{Chunk, JobId, JobSpec, Mark};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::plan::{PlanFile, VERSION};
use super::write::{Sums, value};

/// What a file has.
const PARTS: [&str; 8] =
    ["longshore_plan", "id", "made_by", "counts", "marks", "checksums", "spec", "chunks"];
/// What the checksum of the head is not of.
const APART: [&str; 3] = ["checksums", "spec", "chunks"];

/// The plan in the file, or what is wrong with the file.
pub(crate) fn parse(bytes: &[u8]) -> Result<PlanFile, String> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_eof() {
            format!("the file ends in the middle, in line {}", error.line())
        } else {
            format!("no JSON in line {}: {error}", error.line())
        }
    })?;
    let Value::Object(fields) = whole else { return Err("not a plan file".to_owned()) };
    let Some(version) = fields.get("longshore_plan").and_then(Value::as_u64) else {
        return Err("not a plan file: `longshore_plan` is missing".to_owned());
    };
    if version > VERSION {
        let by = fields.get("made_by").and_then(Value::as_str).unwrap_or("a newer Longshore");
        return Err(format!(
            "written by {by} in version {version} of the layout, this program knows {VERSION}: upgrade Longshore"
        ));
    }
    if let Some(missing) = PARTS.iter().find(|part| !fields.contains_key(**part)) {
        return Err(format!("`{missing}` is missing"));
    }
    check(&fields)?;
    let id: JobId = typed(&fields, "id")?;
    let spec: JobSpec = typed(&fields, "spec")?;
    let marks: Vec<Vec<Mark>> = typed(&fields, "marks")?;
    let chunks: Vec<Chunk> = typed(&fields, "chunks")?;
    for (number, chunk) in chunks.iter().enumerate() {
        if Reading::of(&spec, chunk, &SourceKeys::default()).is_err() {
            return Err(format!("chunk {number} does not belong to the source of the plan"));
        }
    }
    if chunks.is_empty() || spec.graph.tables.is_empty() {
        return Err("it loads nothing".to_owned());
    }
    Ok(PlanFile { id, spec, marks, chunks })
}

/// Nothing was changed since the export; the spaces between may be others.
fn check(fields: &Map<String, Value>) -> Result<(), String> {
    let (spec, chunks) = (&fields["spec"], &fields["chunks"]);
    let counted = fields["counts"]["chunks"].as_u64();
    let found = chunks.as_array().map(|chunks| chunks.len() as u64);
    if counted != found {
        let shown = |count: Option<u64>| count.map_or_else(|| "no".to_owned(), |n| n.to_string());
        return Err(format!(
            "edited after the export: {} chunks were written, {} are there",
            shown(counted),
            shown(found)
        ));
    }
    let mut head = fields.clone();
    head.retain(|name, _| !APART.contains(&name.as_str()));
    let sums = Sums::of(&Value::Object(head), spec, chunks);
    let is_written = |name: &str, sum: &str| fields["checksums"][name] == sum;
    for (name, sum) in [("spec", &sums.spec), ("chunks", &sums.chunks), ("head", &sums.head)] {
        if !is_written(name, sum) {
            return Err(format!("edited after the export: the checksum of its {name} is another"));
        }
    }
    Ok(())
}

/// A part as what it must be. Every field of it must be known: one that is ignored could be the one
/// that matters.
fn typed<T: DeserializeOwned + serde::Serialize>(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<T, String> {
    let record: T = serde_json::from_value(fields[name].clone())
        .map_err(|error| format!("its {name} cannot be understood: {error}"))?;
    match unknown(name, &fields[name], &value(&record)) {
        None => Ok(record),
        Some(path) => Err(format!("this version does not know its `{path}`: upgrade Longshore")),
    }
}

/// The first place that the file has and the record does not.
fn unknown(path: &str, file: &Value, record: &Value) -> Option<String> {
    match (file, record) {
        (Value::Object(file), Value::Object(record)) => file.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match record.get(name) {
                Some(known) => unknown(&path, value, known),
                None => Some(path),
            }
        }),
        (Value::Array(file), Value::Array(record)) if file.len() == record.len() => {
            let both = file.iter().zip(record).enumerate();
            both.into_iter()
                .find_map(|(at, (file, record))| unknown(&format!("{path}[{at}]"), file, record))
        }
        (file, record) => (file != record).then(|| path.to_owned()),
    }
}
