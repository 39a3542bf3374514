//! Shows how a job goes, on standard error: a bar on a terminal, plain lines in a log.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_shared::store::{StoreError, TaskStore};
use longshore_shared::task::{Job, JobId, JobState, TaskId};
use serde::Serialize;

use crate::census::{Census, census};
use crate::ui::output::Output;
use crate::ui::text;

/// Pauses between two looks at a job: for a bar that moves, and for lines in a log.
const BAR_PAUSE: Duration = Duration::from_millis(400);
const LINES_PAUSE: Duration = Duration::from_secs(1);
/// A log gets a line at least this often, and at each tenth of the work.
const LINE_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The rate is that of the last minute: a job can run for days.
const PACE_WINDOW: Duration = Duration::from_mins(1);
/// Two lines, so that what a person looks for first fits into any terminal.
const BAR: &str = "{bar:16} {percent:>3} %  {prefix}\n{wide_msg}";

/// A job as it stands.
pub(crate) struct Look {
    pub(crate) job: Job,
    pub(crate) census: Census,
}

/// Reads job and counts; nothing when the job is gone.
pub(crate) async fn read_progress<S: TaskStore>(
    store: &S,
    id: &JobId,
) -> Result<Option<Look>, StoreError> {
    let Some(job) = store.job(id).await? else {
        return Ok(None);
    };
    let census = census(store, &job).await?;
    Ok(Some(Look { job, census }))
}

impl Look {
    /// Done and total, in bytes where the source knows sizes, else in tasks.
    fn amount(&self) -> (u64, u64) {
        if self.job.bytes > 0 {
            (self.census.bytes, self.job.bytes)
        } else {
            (self.census.done, self.census.total)
        }
    }

    /// Share of the work that is done, in percent.
    pub(crate) fn percent(&self) -> u64 {
        let (done, total) = self.amount();
        if self.census.done == self.census.total {
            100
        } else {
            (done * 100 / total.max(1)).min(99)
        }
    }
}

/// The rates of the last minute.
#[derive(Debug, Default)]
struct Pace {
    marks: VecDeque<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    amount: u64,
    rows: u64,
}

impl Pace {
    fn note(&mut self, at: Duration, amount: u64, rows: u64) {
        self.marks.push_back(Mark { at, amount, rows });
        while self.marks.len() > 2 && at.saturating_sub(self.marks[1].at) >= PACE_WINDOW {
            self.marks.pop_front();
        }
    }

    /// Units and rows a second; nothing before anything was done.
    fn rates(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let amount = last.amount.saturating_sub(first.amount);
        let rows = last.rows.saturating_sub(first.rows);
        (seconds > 0.0 && amount > 0).then(|| (amount as f64 / seconds, rows as f64 / seconds))
    }

    fn estimate_time_left(&self, left: u64) -> Option<Duration> {
        let (rate, _) = self.rates()?;
        Duration::try_from_secs_f64((left as f64 / rate).ceil()).ok()
    }
}

/// The display of one job's progress.
pub(crate) struct Progress {
    shape: Shape,
    pace: Pace,
    started: Instant,
    line_at: Option<Instant>,
    tenth: u64,
    /// Tasks that were said to be hindered, and by what.
    told: Vec<(TaskId, String)>,
    /// What the job itself was said to wait for.
    reason: String,
}

enum Shape {
    Bar(ProgressBar),
    Lines,
    Json,
}

#[derive(Serialize)]
struct Document<'a> {
    progress: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    job_id: &'a str,
    percent: u64,
    tasks: &'a Census,
    rows: u64,
    bytes: u64,
    bytes_total: u64,
    seconds_left: Option<u64>,
}

impl Progress {
    /// A bar when standard error is a terminal.
    pub(crate) fn new(output: Output) -> Self {
        let shape = if output.is_json() {
            Shape::Json
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template(BAR).expect("the template is right: a test reads it");
            Shape::Bar(bar.with_style(style.progress_chars("█▉▊▋▌▍▎▏ ")))
        } else {
            Shape::Lines
        };
        Self {
            shape,
            pace: Pace::default(),
            started: Instant::now(),
            line_at: None,
            tenth: 0,
            told: Vec::new(),
            reason: String::new(),
        }
    }

    /// Pause between two looks: each costs the server some statements.
    pub(crate) fn pause(&self) -> Duration {
        if matches!(self.shape, Shape::Bar(_)) { BAR_PAUSE } else { LINES_PAUSE }
    }

    /// Shows the job as it stands.
    pub(crate) fn show(&mut self, look: &Look) {
        self.note_hindered(look);
        self.note_waiting(look);
        let (amount, total) = look.amount();
        self.pace.note(self.started.elapsed(), amount, look.census.rows);
        let left = self.pace.estimate_time_left(total.saturating_sub(amount));
        let percent = look.percent();
        let (amounts, state) = (amounts(look, &self.pace), state(look, left));
        if let Shape::Bar(bar) = &self.shape {
            bar.set_position(percent);
            bar.set_prefix(state);
            bar.set_message(amounts);
        } else if self.is_line_due(percent) {
            self.print_line(look, percent, left, &format!("{state}, {amounts}"));
        }
    }

    fn print_line(&self, look: &Look, percent: u64, left: Option<Duration>, words: &str) {
        if !matches!(self.shape, Shape::Json) {
            eprintln!("{:>8}  {percent:>3} %  {words}", text::duration(self.started.elapsed()));
            return;
        }
        let progress = Fields {
            job_id: look.job.id.as_str(),
            percent,
            tasks: &look.census,
            rows: look.census.rows,
            bytes: look.census.bytes,
            bytes_total: look.job.bytes,
            seconds_left: left.map(|left| left.as_secs()),
        };
        if let Ok(line) = serde_json::to_string(&Document { progress }) {
            eprintln!("{line}");
        }
    }

    /// Says something without breaking the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.shape {
            Shape::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Shape::Lines => eprintln!("{text}"),
            Shape::Json => {}
        }
    }

    /// Says which tasks cannot be published, once for each cause.
    fn note_hindered(&mut self, look: &Look) {
        let hindered = &look.census.hindered;
        for (task, error) in hindered {
            let known = self.told.iter().any(|(told, words)| told == task && words == error);
            if !known {
                self.note(&format!("task {task}: {}", text::line(error, text::CELL_CHARS_MAX * 3)));
            }
        }
        let is_there = |told: &TaskId| hindered.iter().any(|(task, _)| task == told);
        for (task, _) in self.told.iter().filter(|(task, _)| !is_there(task)) {
            self.note(&format!("task {task} goes on"));
        }
        self.told.clone_from(hindered);
    }

    /// Says what a job waits for whose tasks are all done.
    fn note_waiting(&mut self, look: &Look) {
        let is_running = look.job.state == JobState::Running;
        let reason = if is_running { look.job.reason.as_str() } else { "" };
        if reason != self.reason && !reason.is_empty() {
            self.note(&format!("the job {reason}"));
        }
        reason.clone_into(&mut self.reason);
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Shape::Bar(bar) = self.shape {
            bar.finish_and_clear();
        }
    }

    fn is_line_due(&mut self, percent: u64) -> bool {
        let tenth = percent / 10;
        let is_due =
            tenth != self.tenth || self.line_at.is_none_or(|at| at.elapsed() >= LINE_PAUSE_MAX);
        if is_due {
            self.line_at = Some(Instant::now());
            self.tenth = tenth;
        }
        is_due
    }
}

/// What was loaded, and how fast it goes.
fn amounts(look: &Look, pace: &Pace) -> String {
    let Look { job, census } = look;
    let mut words = vec![format!("{} rows", text::count(census.rows))];
    if job.bytes > 0 {
        let (done, total) = (text::bytes(census.bytes), text::bytes(job.bytes));
        words.push(format!("{done} of {total}"));
    }
    if let Some((amount, rows)) = pace.rates() {
        words.push(format!("{} rows/s", text::count(whole(rows))));
        if job.bytes > 0 {
            words.push(format!("{}/s", text::bytes(whole(amount))));
        }
    }
    words.join(", ")
}

/// How far it is, how long it may take, who works, and what went wrong.
fn state(look: &Look, left: Option<Duration>) -> String {
    let census = &look.census;
    let (done, total) = (text::count(census.done), text::count(census.total));
    let mut words = vec![format!("{done} of {total} tasks")];
    if let Some(left) = left.filter(|_| census.done < census.total) {
        words.push(format!("about {} left", text::seconds(left)));
    }
    words.push(text::plural(census.owners.len() as u64, "worker"));
    if census.failed > 0 {
        words.push(format!("{} failed", text::count(census.failed)));
    }
    if census.quarantined > 0 {
        words.push(format!("{} quarantined", text::count(census.quarantined)));
    }
    if !census.hindered.is_empty() {
        words.push(format!("{} waiting", census.hindered.len()));
    }
    words.join(", ")
}

/// For display only: a rate is neither negative nor near the limit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
