//! The help of every command as a user sees it, and what the command line refuses.

use clap::{CommandFactory, Parser};

use super::Cli;

/// The short help, or the error, for a command line.
fn said(line: &str) -> String {
    let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
    error.render().to_string()
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help() {
    insta::assert_snapshot!(said("longshore -h"), @"
    Load and re-load very large amounts of data into ClickHouse, exactly once

    Usage: longshore [OPTIONS] <COMMAND>

    Commands:
      init     Make the databases and control tables, where they are missing
      doctor   Check the installation, or say what a job waits for, and what to do about it
      plan     Make plans, show them, carry them elsewhere
      submit   Hand a plan to the workers, or let a paused job go on
      run      Submit a job, work on it with local worker processes, and end when it does
      status   Show all jobs, or how one of them stands
      jobs     List jobs
      tasks    List tasks of a job
      task     Show one task: its chunk, statements, attempts and proof, and what happens next
      explain  Show why a chunk has its borders, and the exact statement that loads it
      pause    Stop a job from being worked on, until it is resumed
      resume   Let a job go on: one that was paused, halted, cancelled, interrupted, or has failed tasks
      retry    Let tasks that ended badly be done again
      scale    Change how many tasks of a job may be loaded at the same time, also while it runs
      cancel   End a job: loads in flight are given back, what is being published is finished
      restore  Count tasks as done that have receipts, after Keeper was put back or rows of it were lost
      check    Fail when a plan is not loaded, or a job waits for a person
      gc       Remove staging tables and worker rows that nobody needs any more

    Options:
          --json     Print the result, and an error, as JSON
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Examples:
      longshore init
      longshore plan files --target db.table --url 's3://bucket/path/*.parquet'
      longshore run JOB --workers 4
      longshore status JOB --watch

    Exit codes:
      0 ok
      1 error
      2 wrong usage, setting or input
      3 the job ended, or was paused, with tasks that are not done
      4 a person must allow it first: --yes
      5 the server, or its Keeper, cannot be reached
      6 the state of the job or of the control tables does not admit it
      8 `doctor`, `check` or a dry run found a problem, or `plan diff --exit-code` a difference
      129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM
    ");
}

#[test]
fn long_help() {
    insta::assert_snapshot!(said("longshore --help"), @"
    Load and re-load very large amounts of data into ClickHouse, exactly once

    A plan cuts the work into chunks and writes them as tasks into ClickHouse. A submitted plan is a
    job; any number of workers load its tasks, each exactly once.

    Usage: longshore [OPTIONS] <COMMAND>

    Commands:
      init     Make the databases and control tables, where they are missing
      doctor   Check the installation, or say what a job waits for, and what to do about it
      plan     Make plans, show them, carry them elsewhere
      submit   Hand a plan to the workers, or let a paused job go on
      run      Submit a job, work on it with local worker processes, and end when it does
      status   Show all jobs, or how one of them stands
      jobs     List jobs
      tasks    List tasks of a job
      task     Show one task: its chunk, statements, attempts and proof, and what happens next
      explain  Show why a chunk has its borders, and the exact statement that loads it
      pause    Stop a job from being worked on, until it is resumed
      resume   Let a job go on: one that was paused, halted, cancelled, interrupted, or has failed tasks
      retry    Let tasks that ended badly be done again
      scale    Change how many tasks of a job may be loaded at the same time, also while it runs
      cancel   End a job: loads in flight are given back, what is being published is finished
      restore  Count tasks as done that have receipts, after Keeper was put back or rows of it were lost
      check    Fail when a plan is not loaded, or a job waits for a person
      gc       Remove staging tables and worker rows that nobody needs any more

    Options:
          --json
              Print the result, and an error, as JSON

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Connection:
          --server <URL>
              Address of ClickHouse's HTTP interface, without user and password [env: CLICKHOUSE_URL]

          --user <NAME>
              ClickHouse user [env: CLICKHOUSE_USER]

          --password-file <FILE>
              File that holds the password [env: CLICKHOUSE_PASSWORD_FILE]
              
              Without it the password is taken from CLICKHOUSE_PASSWORD, then from `clickhouse-password`
              in $CREDENTIALS_DIRECTORY. There is no flag for the password itself: everybody on the
              machine can read a process's arguments.

          --ca-file <FILE>
              File with the certificates (PEM) of the only authorities that are trusted to sign the
              server's, instead of the system's [env: CLICKHOUSE_CA_FILE]

          --database <NAME>
              Database of the control tables [env: LONGSHORE_DATABASE]

          --staging-database <NAME>
              Database of the staging tables [env: LONGSHORE_STAGING_DATABASE]

          --config <FILE>
              Configuration file instead of ./longshore.toml [env: LONGSHORE_CONFIG]

    Messages:
          --log-format <LOG_FORMAT>
              Form of the messages on standard error [env: LONGSHORE_LOG_FORMAT]

              Possible values:
              - text: Lines for people
              - json: One JSON object a line

          --log-level <LEVEL>
              Level of the messages: error, warn, info, debug, trace, or a filter [env: LONGSHORE_LOG]

    Examples:
      longshore init
      longshore plan files --target db.table --url 's3://bucket/path/*.parquet'
      longshore run JOB --workers 4
      longshore status JOB --watch

    Exit codes:
      0 ok
      1 error
      2 wrong usage, setting or input
      3 the job ended, or was paused, with tasks that are not done
      4 a person must allow it first: --yes
      5 the server, or its Keeper, cannot be reached
      6 the state of the job or of the control tables does not admit it
      8 `doctor`, `check` or a dry run found a problem, or `plan diff --exit-code` a difference
      129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM
    ");
}

#[test]
fn help_of_init() {
    insta::assert_snapshot!(said("longshore init -h"), @"
    Make the databases and control tables, where they are missing

    Usage: longshore init [OPTIONS]

    Options:
          --keeper-is-lost  Make control tables again that Keeper has lost: plans, jobs and tasks in
                            them are gone
          --json            Print the result, and an error, as JSON
      -h, --help            Print help (see more with '--help')
    ");
}

#[test]
fn help_of_doctor() {
    insta::assert_snapshot!(said("longshore doctor -h"), @"
    Check the installation, or say what a job waits for, and what to do about it

    Usage: longshore doctor [OPTIONS] [JOB]

    Arguments:
      [JOB]  Job id, or the first digits of it: what it waits for, task by task

    Options:
          --target <DB.TABLE>        Also look at this table: its views, what cannot be staged, its
                                     parts
          --named-collection <NAME>  Also try this named collection
          --publish <HOW>            With --target: how jobs will publish there, append, replace or
                                     exchange [default: append]
          --grants                   Print the GRANT statements instead, and check nothing
          --role <ROLE>              Only the grants of this role [possible values: planner, worker,
                                     reader]
          --to <NAME>                User that the statements are for [default: the user of this
                                     connection]
          --json                     Print the result, and an error, as JSON
      -h, --help                     Print help (see more with '--help')
    ");
}

#[test]
fn help_of_gc() {
    insta::assert_snapshot!(said("longshore gc -h"), @"
    Remove staging tables and worker rows that nobody needs any more

    Usage: longshore gc [OPTIONS]

    Options:
          --yes                    Remove it
          --older-than <DURATION>  How long a worker must have been silent, or a plan given up, as 30m
                                   or 2h [default: 1h]
          --unknown-jobs           Also staging tables of jobs that these control tables do not know
          --json                   Print the result, and an error, as JSON
      -h, --help                   Print help (see more with '--help')
    ");
}

#[test]
fn help_of_plan() {
    insta::assert_snapshot!(said("longshore plan show -h"), @"
    Show what a plan loads, from where, and every table and view it fills

    Usage: longshore plan show [OPTIONS] <JOB>

    Arguments:
      <JOB>  Job id, or the first digits of it

    Options:
          --chunks <N>  Chunks shown [default: 5]
          --json        Print the result, and an error, as JSON
      -h, --help        Print help (see more with '--help')
    ");
}

#[test]
fn help_of_submit() {
    insta::assert_snapshot!(said("longshore submit -h"), @"
    Hand a plan to the workers, or let a paused job go on

    Usage: longshore submit [OPTIONS] <JOB>

    Arguments:
      <JOB>  Job id, or the first digits of it

    Options:
          --dry-run            Check everything and say what would happen, but change nothing
          --max-loads <N>      Load at most so many tasks at the same time, over all workers; `longshore
                               scale` changes it
          --force-overlap      Let it run although another job loads into the same table
          --force-environment  Let it run although the plan was made for another environment; it is
                               bound to this one
          --json               Print the result, and an error, as JSON
      -h, --help               Print help (see more with '--help')
    ");
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(said("longshore run -h"), @"
    Submit a job, work on it with local worker processes, and end when it does

    Usage: longshore run [OPTIONS] <JOB>

    Arguments:
      <JOB>  Job id, or the first digits of it

    Options:
          --workers <N>        Worker processes [default: 2]
          --slots <K>          Loads that each worker runs at the same time [env: LONGSHORE_SLOTS]
          --log-dir <DIR>      Folder for the workers' logs, instead of a temporary one
          --dry-run            Check everything and say what would happen, but change nothing
          --max-loads <N>      Load at most so many tasks at the same time, over all workers; `longshore
                               scale` changes it
          --force-overlap      Let it run although another job loads into the same table
          --force-environment  Let it run although the plan was made for another environment; it is
                               bound to this one
          --json               Print the result, and an error, as JSON
      -h, --help               Print help (see more with '--help')
    ");
}

#[test]
fn help_of_status() {
    insta::assert_snapshot!(said("longshore status -h"), @"
    Show all jobs, or how one of them stands

    Usage: longshore status [OPTIONS] [JOB]

    Arguments:
      [JOB]  Job id, or the first digits of it; without it all jobs and plans are listed

    Options:
          --watch  Show the progress until the job ends or is paused
          --json   Print the result, and an error, as JSON
      -h, --help   Print help (see more with '--help')
    ");
}

#[test]
fn help_of_tasks() {
    insta::assert_snapshot!(said("longshore tasks -h"), @r#"
    List tasks of a job

    Usage: longshore tasks [OPTIONS] <JOB>

    Arguments:
      <JOB>  Job id, or the first digits of it

    Options:
          --state <STATE>      Only tasks in these states [possible values: pending, claimed,
                               publishing, done, failed, quarantined]
          --where <CONDITION>  Only tasks that meet this condition, as "error~'timed out' and
                               attempts>3"
          --limit <N>          Tasks shown at most [default: 50]
          --files              Print the addresses of their files instead, one a line, as `plan files
                               --files` takes them; of all such tasks when --limit is not given
          --json               Print the result, and an error, as JSON
      -h, --help               Print help (see more with '--help')
    "#);
}

#[test]
fn help_of_task() {
    insta::assert_snapshot!(said("longshore task -h"), @"
    Show one task: its chunk, statements, attempts and proof, and what happens next

    Usage: longshore task [OPTIONS] <ID>

    Arguments:
      <ID>  Task id: JOB-NUMBER

    Options:
          --source-keys-file <FILE>  File with keys of the store, only to hide them in what is shown
                                     [env: LONGSHORE_SOURCE_KEYS_FILE=]
          --json                     Print the result, and an error, as JSON
      -h, --help                     Print help (see more with '--help')
    ");
}

#[test]
fn what_the_command_line_refuses() {
    insta::assert_snapshot!(said("longshore stauts"), @"
    error: unrecognized subcommand 'stauts'

      tip: some similar subcommands exist: 'pause', 'tasks', 'status'

    Usage: longshore [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(said("longshore tasks 0123 --state broken"), @"
    error: invalid value 'broken' for '--state <STATE>'
      [possible values: pending, claimed, publishing, done, failed, quarantined]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(said("longshore run 0123 --workers 0"), @"
    error: invalid value '0' for '--workers <N>': 0 is not in 1..=256

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(said("longshore status --password x"), @"
    error: unexpected argument '--password' found

      tip: a similar argument exists: '--password-file'

    Usage: longshore status --password-file <FILE> [JOB]

    For more information, try '--help'.
    ");
    // A secret that was typed as a flag is not repeated.
    assert!(!said("longshore status --password=canary").contains("canary"));
    insta::assert_snapshot!(said("longshore status --watch"), @"
    error: the following required arguments were not provided:
      <JOB>

    Usage: longshore status --watch <JOB>

    For more information, try '--help'.
    ");
}
