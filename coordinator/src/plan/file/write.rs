//! Writes a plan file: the head and the spec over many lines, one chunk or one file a line, so that
//! a comparison of two versions shows what changed.

use std::fmt::Write;

use longshore_shared::task::Chunk;
use serde::Serialize;
use serde_json::{Value, json};

use super::canonical::digest;
use super::plan::{PlanFile, VERSION};

/// The parts of a file that others are checked by.
pub(crate) struct Sums {
    pub(crate) spec: String,
    pub(crate) chunks: String,
    pub(crate) head: String,
}

impl Sums {
    /// Of the parts as JSON. `head` is everything else in the file but the checksums.
    pub(crate) fn of(head: &Value, spec: &Value, chunks: &Value) -> Self {
        let (spec, chunks) = (digest(spec), digest(chunks));
        let head = digest(&json!([head, spec, chunks]));
        Self { spec, chunks, head }
    }
}

pub(crate) fn text(file: &PlanFile) -> String {
    let head = json!({
        "longshore_plan": VERSION,
        "id": file.id,
        "made_by": concat!("longshore ", env!("CARGO_PKG_VERSION")),
        "counts": {
            "chunks": file.chunks.len(),
            "files": file.files(),
            "bytes": file.bytes(),
        },
        "marks": file.marks,
    });
    let sums = Sums::of(&head, &value(&file.spec), &value(&file.chunks));
    let mut text = String::from("{\n");
    for name in ["longshore_plan", "id", "made_by", "counts", "marks"] {
        let _ = writeln!(text, "  \"{name}\": {},", head[name]);
    }
    text.push_str("  \"checksums\": {\n");
    let _ = writeln!(text, "    \"head\": \"{}\",", sums.head);
    let _ = writeln!(text, "    \"spec\": \"{}\",", sums.spec);
    let _ = writeln!(text, "    \"chunks\": \"{}\"", sums.chunks);
    text.push_str("  },\n");
    let spec = serde_json::to_string_pretty(&file.spec).expect("a spec is plain JSON");
    let _ = writeln!(text, "  \"spec\": {},", spec.replace('\n', "\n  "));
    text.push_str("  \"chunks\": [");
    let lines: Vec<String> = file.chunks.iter().map(chunk).collect();
    text.push_str(&lines.join(","));
    text.push_str("\n  ]\n}\n");
    text
}

/// A chunk on a line of its own; one of several files has a line for each.
fn chunk(chunk: &Chunk) -> String {
    match chunk.files() {
        [] | [_] => format!("\n    {}", line(chunk)),
        files => {
            let files: Vec<String> =
                files.iter().map(|file| format!("\n      {}", line(file))).collect();
            format!("\n    {{\"files\":[{}\n    ]}}", files.join(","))
        }
    }
}

fn line<T: Serialize>(record: &T) -> String {
    serde_json::to_string(record).expect("records are plain JSON")
}

pub(crate) fn value<T: Serialize>(record: &T) -> Value {
    serde_json::to_value(record).expect("records are plain JSON")
}
