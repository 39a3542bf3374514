//! `longshore plan import`: a plan from a file.

use std::path::PathBuf;

use super::common::Document;
use crate::plan::file::PlanFile;
use crate::plan::file::adopt::{self, source_words};
use crate::plan::write::missing::write_from_file;
use crate::plan::write::rows::whole;
use crate::session::Session;
use crate::ui::error::{Error, Exit, Kind, Report};
use crate::ui::output::Output;
use clap::Args;
use longshore_shared::config::Config;

/// Make a plan from a file that `plan export` wrote
///
/// The plan keeps its id, and importing it again changes nothing. Targets, views and tables that are
/// read must be those of the plan. A plan of another environment is refused.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Import a plan that was made for another environment: the tables it fills must be defined in
    /// the same way here, and it must read the same files
    #[arg(long)]
    force_environment: bool,
}

pub(crate) async fn run(args: ImportArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let mut file = PlanFile::open(&args.file)?;
    let session = Session::open(config).await?;
    let is_foreign = file.spec.environment != session.environment;
    if is_foreign && !args.force_environment {
        let message = format!("plan {} was made for another environment", file.id);
        return Err(Report::new(Kind::Conflict, message)
            .help(
                "plan it here (longshore plan …), or --force-environment if it shall load the same \
                 files into these tables",
            )
            .into());
    }
    let mut notes = Vec::new();
    let (job, created) = if let Some(job) = whole(&session.store, &file.id).await? {
        write_from_file(&session, &job, &file.chunks).await?;
        let there = PlanFile::of(&session, &job).await?;
        if !there.is_same(&file) {
            let message = format!("plan {} is here already and is not that of the file", file.id);
            let shown = args.file.display();
            return Err(Report::new(Kind::Conflict, message)
                .help(format!("what differs: longshore plan diff {} {shown}", file.id))
                .into());
        }
        (job, false)
    } else {
        if is_foreign {
            adopt::rebind(&session, &mut file).await?;
            notes.push("it was made for another environment and is bound to this one".to_owned());
        }
        adopt::check(&session, &file).await?;
        Box::pin(adopt::publish(&session, file, is_foreign)).await?
    };
    let words = source_words(&job);
    output.show(&Document::of(&job, created, words, notes), Document::words)?;
    Ok(Exit::Done)
}
