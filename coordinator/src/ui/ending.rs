//! Shows how the program ends: an error, on standard error, and its exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use longshore_shared::config::Config;
use miette::{MietteHandlerOpts, ReportHandler};
use serde::Serialize;

use super::error::{Error, Kind, Report};
use super::output::Output;

/// Width of an error on a terminal.
const WIDTH: usize = 100;

/// Shows an error on standard error and gives its exit code.
pub(crate) fn failure(error: &Error, config: Option<&Config>, output: Output) -> ExitCode {
    let report = super::report::of(error, config);
    if output.is_json() {
        eprintln!("{}", json(&report));
    } else {
        eprint!("{}", text(&report, std::io::stderr().is_terminal(), Output::has_colour()));
    }
    ExitCode::from(report.kind.code())
}

/// Shows help, version or what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help and version; a closed pipe is no error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let message = error.render().to_string();
        let message = message.trim().trim_start_matches("error: ");
        eprintln!("{}", json(&Report::new(Kind::Usage, message)));
    } else {
        let _ = error.print();
    }
    ExitCode::from(Kind::Usage.code())
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    kind: Kind,
    message: &'a str,
    help: Option<&'a str>,
    exit_code: u8,
}

fn json(report: &Report) -> String {
    let error = ErrorFields {
        kind: report.kind,
        message: &report.message,
        help: report.help.as_deref(),
        exit_code: report.kind.code(),
    };
    serde_json::to_string(&ErrorDocument { error }).expect("texts and numbers are JSON")
}

fn text(report: &Report, terminal: bool, colour: bool) -> String {
    struct Shown<'a>(&'a Report, bool, bool);
    impl std::fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let handler = MietteHandlerOpts::new()
                .force_graphical(true)
                .color(self.2)
                .terminal_links(false)
                .break_words(false)
                .width(WIDTH)
                // In a log or a pipe a statement to copy stays on its line.
                .wrap_lines(self.1)
                .build();
            handler.debug(self.0, f)
        }
    }
    let shown = Shown(report, terminal, colour).to_string();
    format!("{}\n", shown.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let report = Report::new(Kind::Conflict, "the job has ended").help("longshore status");
        insta::assert_snapshot!(text(&report, true, false), @"
        × the job has ended
        help: longshore status
        ");
        insta::assert_snapshot!(json(&report), @r#"{"error":{"kind":"conflict","message":"the job has ended","help":"longshore status","exit_code":6}}"#);
    }
}
