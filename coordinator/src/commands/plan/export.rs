//! `longshore plan export`: a plan as a file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use longshore_shared::config::Config;
use serde::Serialize;

use crate::plan::file::{PlanFile, is_stream};
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use crate::ui::text;

/// Write a plan to a file, for a review or for another place
///
/// The file is JSON, holds no secret, and is the same for the same plan, byte by byte. It is read by
/// `longshore plan import`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Plan id, or the first digits of it
    plan: String,

    /// The file, or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Document {
    plan_id: String,
    file: String,
    chunks: usize,
    files: u64,
    bytes: u64,
    file_bytes: usize,
}

pub(crate) async fn run(args: ExportArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let session = Session::open(config).await?;
    let job = session.job(&args.plan).await?;
    let plan = PlanFile::of(&session, &job).await?;
    let text = plan.text()?;
    if is_stream(&args.file) {
        Output::raw(&text)?;
        return Ok(Exit::Done);
    }
    write(&args.file, &text).map_err(|error| {
        let message = format!("cannot write {}: {error}", args.file.display());
        Report::new(Kind::Usage, message)
    })?;
    let document = Document {
        plan_id: plan.id.to_string(),
        file: args.file.display().to_string(),
        chunks: plan.chunks.len(),
        files: plan.files(),
        bytes: plan.bytes(),
        file_bytes: text.len(),
    };
    output.show(&document, |document| {
        format!(
            "Plan {}, {}, is in {}.\n\nNext: longshore plan import {}",
            document.plan_id,
            text::plural(document.chunks as u64, "chunk"),
            document.file,
            document.file
        )
    })?;
    Ok(Exit::Done)
}

/// Whole or not at all: a file that was there stays until the new one is complete.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let written = written.and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}
