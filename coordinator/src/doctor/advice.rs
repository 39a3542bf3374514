//! What a person is advised to do about a job.
//!
//! Every advice stands here once. `docs/doctor.md` lists them, and `tests/e2e/advice/` follows each
//! in the state in which it is given: the rows must be there once afterwards. None may lose rows or
//! load them twice, so nothing here says *plan again* of a job that has loaded a part of its rows.

use longshore_shared::task::Job;

use crate::ui::report::missing_grant;
use crate::ui::text;

/// A job that no worker may touch yet.
pub(super) const SUBMIT: &str = "longshore submit JOB";
/// A job whose tasks are being written.
pub(super) const PLAN_ON: &str = "give the same longshore plan again: it makes the plan whole";
/// A job that waits, and whose cause is gone.
pub(super) const RESUME: &str = "longshore resume JOB";
/// A job that is being cancelled.
pub(super) const CANCEL: &str = "longshore cancel JOB";
/// A job that is being deleted.
pub(super) const DELETE: &str = "longshore plan delete JOB --yes";
/// A job that was cancelled.
pub(super) const RESUME_CANCELLED: &str =
    "to load what is missing: longshore resume JOB, then longshore run JOB";
/// A job whose tasks did not all end well.
pub(super) const LOOK_AT_TASKS: &str =
    "longshore tasks JOB --state failed,quarantined\neach line below says how its task goes on";
/// A job that the closing audit failed.
pub(super) const AUDIT: &str = "`The closing audit failed a job` in docs/recovery.md explains the findings.\n\
     When the cause is mended, the job is audited again: longshore resume JOB --audit-again, then longshore run JOB";
/// Nobody is there to work.
pub(super) const WORKER: &str = "longshore-worker --job JOB";
/// A task failed.
pub(super) const RETRY: &str = "longshore task TASK   (its files and attempts)\nwhen the cause is gone: longshore retry JOB --failed";
/// A task failed because its files changed.
pub(super) const PLAN_FILES: &str = "longshore task TASK   (its files)\n\
     the files changed for good: load them by a job of their own, and leave this task failed:\n\
     longshore tasks JOB --state failed --files >LIST; longshore plan files --files LIST";
/// A task in quarantine.
pub(super) const LOOK_AGAIN: &str = "longshore task TASK   (its parts, files and staging tables)\n\
     longshore retry JOB --quarantined   (looks for its parts again, loads nothing)\n\
     Load nothing of it again before you know what is in the target.";

/// A cause that is known by its words, and the advice.
struct Cure {
    says: &'static [&'static str],
    advice: &'static str,
    /// What may be done besides while nothing of the job is loaded.
    while_empty: &'static str,
    /// The job cannot go on.
    is_final: bool,
}

const fn cure_of(says: &'static [&'static str], advice: &'static str) -> Cure {
    Cure { says, advice, while_empty: "", is_final: false }
}

const CURES: &[Cure] = &[
    cure_of(
        &["has receipts of epoch"],
        "if its rows are still in the target: longshore restore JOB",
    ),
    cure_of(
        &["again writes"],
        "run the command that made the plan once more: it writes what is missing",
    ),
    cure_of(&["UNKNOWN_DATABASE"], "longshore init   (makes the databases that are missing)"),
    cure_of(
        &["is gone, or this user may not see it", "is gone, or this user may not read it"],
        "UNDROP TABLE brings back what was dropped minutes ago",
    ),
    cure_of(
        &["KILL MUTATION"],
        "wait until the mutation is finished; the reason names the KILL MUTATION that gives it up",
    ),
    cure_of(&["APPLY PATCHES"], "ALTER TABLE … APPLY PATCHES, as the reason says"),
    Cure {
        says: &["was dropped and made again; nothing is loaded"],
        advice: "what was loaded into that table is gone with it.\nGive the job up (longshore cancel JOB), empty the other tables \
                 that it loads into, and plan all of it anew with --again TEXT",
        while_empty: "",
        is_final: true,
    },
    Cure {
        says: &["until it is as it was planned", "plan again"],
        advice: "a table or view changed: undo the change",
        while_empty: "or give the job up and plan again: longshore cancel JOB",
        is_final: false,
    },
    Cure {
        says: &["MEMORY_LIMIT_EXCEEDED"],
        advice: "give the server more memory",
        while_empty: "or give the job up and plan smaller chunks (--chunk-bytes): longshore cancel JOB",
        is_final: false,
    },
    cure_of(&["TOO_MANY_PARTS"], "let merges catch up: longshore doctor --target TABLE"),
    cure_of(&["There is no named collection"], "make the named collection on the server again"),
];

/// A task's files are not what they were when they were planned.
pub(super) fn says_changed(cause: &str) -> bool {
    ["was changed after the plan", "is not there any more as it was planned"]
        .iter()
        .any(|words| cause.contains(words))
}

fn known(cause: &str) -> Option<&'static Cure> {
    CURES.iter().find(|cure| cure.says.iter().any(|words| cause.contains(words)))
}

/// What to do about a cause that is known by its words.
pub(super) fn cure(cause: &str, is_empty: bool) -> Option<String> {
    if let Some(grant) = missing_grant(cause) {
        let user = grantee(cause).unwrap_or("USER");
        return Some(format!("GRANT {grant} TO {};", crate::grants::list::name(user)));
    }
    let cure = known(cause)?;
    let mut advice = cure.advice.to_owned();
    if is_empty && !cure.while_empty.is_empty() {
        advice = format!("{advice}\n{}", cure.while_empty);
    }
    Some(advice)
}

/// Fills an advice in.
pub(super) fn of(advice: &str, job: &Job) -> String {
    let target = format!("--target {}", job.spec.target);
    advice.replace("JOB", &job.id.to_string()).replace("--target TABLE", &target)
}

/// A task that a worker tries again by itself.
pub(super) fn of_wait(job: &Job, cause: &str) -> String {
    cure(cause, false)
        .map_or_else(|| "nothing: a worker tries it again".to_owned(), |cure| of(&cure, job))
}

/// Fills an advice about a task in, with the cure of its cause before the last line.
pub(super) fn of_task(advice: &str, job: &Job, task: &str) -> String {
    of(advice, job).replace("TASK", task)
}

/// A paused job: what is in the way first.
pub(super) fn of_pause(job: &Job, is_empty: bool) -> String {
    let resume = of(RESUME, job);
    if job.reason.is_empty() {
        return resume;
    }
    let cure = cure(&job.reason, is_empty).unwrap_or_else(|| "mend the cause".to_owned());
    let cure = of(&cure, job);
    if known(&job.reason).is_some_and(|cure| cure.is_final) {
        return cure;
    }
    format!("{cure}\n{resume}")
}

/// A failed task.
pub(super) fn of_failure(job: &Job, task: &str, cause: &str) -> String {
    if says_changed(cause) {
        return of_task(PLAN_FILES, job, task);
    }
    let retry = of_task(RETRY, job, task);
    match cure(cause, false) {
        Some(cure) => format!("{}\n{retry}", of(&cure, job)),
        None => retry,
    }
}

/// `…Exception: USER: Not enough privileges…`
fn grantee(message: &str) -> Option<&str> {
    let (head, _) = message.split_once(": Not enough privileges")?;
    head.rsplit(": ").next()
}

/// A cause of at most so many characters, on one line.
pub(super) fn in_a_line(cause: &str) -> String {
    text::line(cause, CAUSE_CHARS_MAX)
}

const CAUSE_CHARS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Every advice that a person can be given.
    fn all() -> Vec<&'static str> {
        let fixed = [
            SUBMIT,
            PLAN_ON,
            RESUME,
            CANCEL,
            DELETE,
            RESUME_CANCELLED,
            LOOK_AT_TASKS,
            AUDIT,
            WORKER,
            RETRY,
            PLAN_FILES,
            LOOK_AGAIN,
        ];
        let cures = CURES.iter().flat_map(|cure| [cure.advice, cure.while_empty]);
        fixed.into_iter().chain(cures).filter(|advice| !advice.is_empty()).collect()
    }

    #[test]
    fn the_page_lists_every_advice() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
        let page = fs::read_to_string(page).expect("docs/doctor.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
        for advice in all() {
            let first = advice.lines().next().expect("a line");
            let stands =
                rows.iter().any(|row| row.replace('`', "").contains(&first.replace('`', "")));
            assert!(stands, "docs/doctor.md does not list `{first}`");
        }
    }

    #[test]
    fn planning_again_is_advised_only_while_nothing_is_loaded() {
        for cure in CURES {
            let says_so =
                cure.advice.contains("plan again") || cure.advice.contains("plan smaller");
            assert!(!says_so, "{}", cure.advice);
        }
        let changed = "the target was altered: plan again";
        assert_eq!(
            cure(changed, false).as_deref(),
            Some("a table or view changed: undo the change")
        );
        assert!(cure(changed, true).expect("a cure").contains("longshore cancel JOB"));
    }

    #[test]
    fn a_missing_grant_is_a_statement_for_its_user() {
        let cause = "Code: 497. DB::Exception: loader: Not enough privileges. To execute this query, it's \
                     necessary to have the grant SELECT(a) ON d.t. (ACCESS_DENIED)";
        assert_eq!(cure(cause, false).as_deref(), Some("GRANT SELECT(a) ON d.t TO loader;"));
    }
}
