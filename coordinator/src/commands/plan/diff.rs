//! `longshore plan diff`: what two plans have different.

use std::path::{Path, PathBuf};

use clap::Args;
use longshore_shared::config::Config;
use serde::Serialize;

use crate::plan::file::{ChunkChange, Comparison, FieldChange, FileChange, PlanFile, is_stream};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Lines of one kind shown in text; all are in JSON.
const LINES_SHOWN: usize = 20;
/// Characters of a value in text.
const VALUE_CHARS_MAX: usize = 120;

/// Compare two plans: fields of the spec, files, and chunks
///
/// Each is a plan of the control tables or a file of `plan export`; without a plan of the control
/// tables no server is asked.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Plan id, its first digits, or a file
    a: String,

    /// Plan id, its first digits, or a file
    b: String,

    /// End with exit code 8 when they differ
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    a: Side,
    b: Side,
    #[serde(flatten)]
    comparison: Comparison,
}

#[derive(Debug, Serialize)]
struct Side {
    from: String,
    plan_id: String,
    chunks: usize,
    files: u64,
    bytes: u64,
}

/// Opened when the first plan of the control tables is asked for.
struct Plans<'a> {
    config: &'a Config,
    session: Option<Session>,
}

pub(crate) async fn run(args: DiffArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    if is_stream(Path::new(&args.a)) && is_stream(Path::new(&args.b)) {
        let message = "only one of the two can come from standard input";
        return Err(Report::new(Kind::Usage, message).into());
    }
    let mut plans = Plans { config, session: None };
    let (a, b) = (plans.get(&args.a).await?, plans.get(&args.b).await?);
    let comparison = Comparison::of(&a, &b);
    let is_same = comparison.same;
    let document = Document { a: side(args.a, &a), b: side(args.b, &b), comparison };
    output.show(&document, words)?;
    Ok(if args.exit_code && !is_same { Exit::Problem } else { Exit::Done })
}

impl Plans<'_> {
    async fn get(&mut self, name: &str) -> Result<PlanFile, Error> {
        let path = PathBuf::from(name);
        if is_stream(&path) || path.is_file() || name.contains(['/', '.']) {
            return Ok(PlanFile::open(&path)?);
        }
        if self.session.is_none() {
            self.session = Some(Session::open(self.config).await?);
        }
        let Some(session) = &self.session else { unreachable!("it was just opened") };
        let job = session.job(name).await?;
        PlanFile::of(session, &job).await
    }
}

fn side(from: String, plan: &PlanFile) -> Side {
    Side {
        from,
        plan_id: plan.id.to_string(),
        chunks: plan.chunks.len(),
        files: plan.files(),
        bytes: plan.bytes(),
    }
}

fn words(document: &Document) -> String {
    let Document { a, b, comparison } = document;
    if comparison.same {
        return format!("{} and {} are the same plan.", a.from, b.from);
    }
    let mut lines = vec![format!("- {}", side_words(a)), format!("+ {}", side_words(b))];
    let mut section = |title: &str, changes: Vec<String>| {
        if changes.is_empty() {
            return;
        }
        lines.push(format!("\n{title}:"));
        let more = changes.len().saturating_sub(LINES_SHOWN);
        lines.extend(changes.into_iter().take(LINES_SHOWN));
        if more > 0 {
            lines.push(format!("… and {more} more (--json shows all)"));
        }
    };
    section("spec", comparison.spec.iter().map(field_words).collect());
    section("files", comparison.files.iter().map(file_words).collect());
    section("chunks", comparison.chunks.iter().map(chunk_words).collect());
    if comparison.has_no_lines() {
        lines.push("\nThe same chunks, in another order.".to_owned());
    }
    lines.join("\n")
}

fn side_words(side: &Side) -> String {
    format!(
        "{} (plan {}): {}, {}, {}",
        side.from,
        side.plan_id,
        text::plural(side.chunks as u64, "chunk"),
        text::plural(side.files, "file"),
        text::bytes(side.bytes)
    )
}

fn field_words(change: &FieldChange) -> String {
    let value = |sign: &str, value: &Option<serde_json::Value>| {
        let value = value.as_ref()?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("\n  {sign} {}", text::line(&text, VALUE_CHARS_MAX)))
    };
    let (a, b) = (value("-", &change.a), value("+", &change.b));
    format!("{}{}{}", change.field, a.unwrap_or_default(), b.unwrap_or_default())
}

fn file_words(change: &FileChange) -> String {
    let of = |file: &Option<crate::plan::explain::contents::FileLine>| {
        file.as_ref().map(|file| format!("{} bytes, etag {}", text::count(file.size), file.etag))
    };
    match (of(&change.a), of(&change.b)) {
        (Some(a), Some(b)) => format!("~ {}\n  - {a}\n  + {b}", change.path),
        (None, Some(b)) => format!("+ {} ({b})", change.path),
        (a, _) => format!("- {} ({})", change.path, a.unwrap_or_default()),
    }
}

fn chunk_words(change: &ChunkChange) -> String {
    let value = |sign: &str, words: &Option<String>| {
        words.as_ref().map(|words| format!("\n  {sign} {}", text::line(words, VALUE_CHARS_MAX)))
    };
    let (a, b) = (value("-", &change.a), value("+", &change.b));
    format!("chunk {}{}{}", change.number, a.unwrap_or_default(), b.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_like_one_of_a_text() {
        let side = |from: &str, plan_id: &str| Side {
            from: from.into(),
            plan_id: plan_id.into(),
            chunks: 2,
            files: 3,
            bytes: 2_000_000,
        };
        let file = |size| {
            Some(crate::plan::explain::contents::FileLine {
                path: "f".into(),
                size,
                etag: "e".into(),
            })
        };
        let comparison = Comparison {
            same: false,
            spec: vec![
                FieldChange {
                    field: "filter".into(),
                    a: Some("id > 0".into()),
                    b: Some("id > 1".into()),
                },
                FieldChange { field: "made.again".into(), a: None, b: Some("x".into()) },
            ],
            files: vec![
                FileChange { path: "f".into(), a: file(1), b: file(2_000) },
                FileChange { path: "g".into(), a: None, b: file(2) },
                FileChange { path: "h".into(), a: file(3), b: None },
            ],
            chunks: vec![ChunkChange { number: 1, a: Some("f".into()), b: Some("f, g".into()) }],
        };
        let mut document = Document {
            a: side("0123", "0123456789abcdef"),
            b: side("plan.json", "fedcba9876543210"),
            comparison,
        };
        insta::assert_snapshot!(words(&document), @"
        - 0123 (plan 0123456789abcdef): 2 chunks, 3 files, 1.91 MiB
        + plan.json (plan fedcba9876543210): 2 chunks, 3 files, 1.91 MiB

        spec:
        filter
          - id > 0
          + id > 1
        made.again
          + x

        files:
        ~ f
          - 1 bytes, etag e
          + 2,000 bytes, etag e
        + g (2 bytes, etag e)
        - h (3 bytes, etag e)

        chunks:
        chunk 1
          - f
          + f, g
        ");
        document.comparison =
            Comparison { same: true, spec: vec![], files: vec![], chunks: vec![] };
        insta::assert_snapshot!(words(&document), @"0123 and plan.json are the same plan.");
    }
}
