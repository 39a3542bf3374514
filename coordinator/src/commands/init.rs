//! `longshore init`: makes the control tables.

use std::time::Duration;

use clap::Args;
use longshore_shared::clickhouse::Server;
use longshore_shared::config::Config;
use longshore_shared::store::{self, StoreError};
use serde::Serialize;

use crate::session::{FIRST_ANSWER_MAX, bounded};
use crate::ui::error::{Error, Exit};
use crate::ui::output::Output;

/// A dozen statements of some milliseconds each; without Keeper they would wait for minutes.
const INIT_MAX: Duration = Duration::from_secs(40);

/// Make the databases and control tables, where they are missing
///
/// Running it again changes nothing. The tables live in Keeper (KeeperMap), so every server that
/// shares the Keeper ensemble and was initialised shows the same jobs.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Make control tables again that Keeper has lost: plans, jobs and tasks in them are gone
    ///
    /// Receipts and the identity of the environment are kept on the server, so that a plan made
    /// again has the id that it had, and loads nothing that it loaded before: see `longshore restore`.
    /// Tables that Keeper knows are left as they are.
    #[arg(long)]
    keeper_is_lost: bool,
}

#[derive(Debug, Serialize)]
struct Created {
    server: String,
    database: String,
    staging_database: String,
    version: u32,
    environment: String,
    existed: bool,
    /// Tables that Keeper had lost.
    were_lost: Vec<&'static str>,
}

pub(crate) async fn run(args: InitArgs, config: &Config, output: Output) -> Result<Exit, Error> {
    let server = Server::new(config.connection.clone())?;
    let were_lost = if args.keeper_is_lost {
        bounded(config, &server, INIT_MAX, store::drop_lost(&server)).await??
    } else {
        Vec::new()
    };
    // Proves address and password, and Keeper where there are tables; what follows takes longer.
    match bounded(config, &server, FIRST_ANSWER_MAX, store::environment(&server)).await? {
        Ok(_) | Err(StoreError::NotInitialised(_) | StoreError::Outdated(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let report = bounded(config, &server, INIT_MAX, store::init(&server)).await??;
    let made = Created {
        server: config.connection.url.clone(),
        database: server.control().to_owned(),
        staging_database: server.staging().to_owned(),
        version: report.version,
        environment: report.environment,
        existed: report.existed,
        were_lost,
    };
    output.show(&made, text)?;
    Ok(Exit::Done)
}

fn text(made: &Created) -> String {
    let Created { server, database, staging_database, version, environment, existed, .. } = made;
    if *existed {
        return format!(
            "The control tables are in place on {server}: database {database}, version {version}."
        );
    }
    if !made.were_lost.is_empty() {
        return format!(
            "Made again on {server}, because Keeper had lost them: {}.\n\
             This environment is {environment}, as it was.\n\n\
             Next: plan what was planned, with the same options: it gets the id that it had. Its tasks that have\n\
             {:6}receipts are not loaded again: longshore restore JOB",
            made.were_lost.join(", "),
            ""
        );
    }
    format!(
        "Made on {server}:\n  \
         {database}  control tables, version {version}: jobs, tasks, cursors, workers, meta (KeeperMap); \
         receipts, manifests, attempts (MergeTree)\n  \
         {staging_database}  empty; workers make and drop their staging tables there\n\
         This environment is {environment}.\n\n\
         Next: longshore plan files --target DATABASE.TABLE --url URL"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_made_and_what_comes_next() {
        let mut made = Created {
            server: "http://ch:8123".into(),
            database: "longshore".into(),
            staging_database: "longshore_staging".into(),
            version: 1,
            environment: "e1".into(),
            existed: false,
            were_lost: Vec::new(),
        };
        insta::assert_snapshot!(text(&made), @"
        Made on http://ch:8123:
          longshore  control tables, version 1: jobs, tasks, cursors, workers, meta (KeeperMap); receipts, manifests, attempts (MergeTree)
          longshore_staging  empty; workers make and drop their staging tables there
        This environment is e1.

        Next: longshore plan files --target DATABASE.TABLE --url URL
        ");
        made.existed = true;
        insta::assert_snapshot!(text(&made), @"The control tables are in place on http://ch:8123: database longshore, version 1.");
    }
}
