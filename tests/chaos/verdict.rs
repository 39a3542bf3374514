//! What is left of a job when all faults are over: the checker's findings.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use longshore_tests::Scene;

use crate::kind::Kind;
use crate::record::Record;
use crate::schedule::Shape;

/// What the checker says of a job whose task rows were deleted.
const TASKS_MISSING: &str = "a job without all of its tasks";
/// What the closing audit says of it.
const ROWS_MISSING: &str = "tasks are in the task table";

/// Words of a panic.
pub(crate) fn words_of(words: &(dyn Any + Send)) -> String {
    let text = words.downcast_ref::<String>().cloned();
    text.or_else(|| words.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// What somebody destroyed, so that it cannot be compared.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Damage {
    /// Receipts were deleted.
    pub(crate) receipts: bool,
    /// Rows of a table were destroyed on the disk.
    pub(crate) rows: bool,
    /// Rows of tasks were deleted, maybe after the job was over.
    tasks: bool,
}

impl Damage {
    /// The damage with one more fault of the schedule.
    pub(crate) fn after(self, kind: Kind) -> Self {
        Self {
            receipts: self.receipts || kind == Kind::ReceiptRowGone,
            rows: self.rows || kind == Kind::PartCut,
            tasks: self.tasks || kind == Kind::TaskRowGone,
        }
    }
}

/// Everything that is wrong after a job; nothing when all is exact. A job that says *completed* is
/// compared in every case, also when it was loaded again.
pub(crate) fn of(
    scene: &Scene,
    job: &str,
    shape: &Shape,
    record: &Record,
    damage: Damage,
    is_again: bool,
) -> Vec<String> {
    let tasks = scene.tasks();
    let mut findings = Vec::new();
    let status = scene.status(job);
    let is_completed = status["state"] == "completed";
    if status["state"] == "completed" && !tasks.all("done") {
        findings.push(format!("completed, and not all tasks are done: {:?}", tasks.states()));
    }
    let reason = status["reason"].as_str().unwrap_or_default();
    if status["state"] == "failed" && tasks.all("done") {
        record.add(|sums| sums.refused.push(reason.to_owned()));
        // The row of a task can be deleted right before the audit looks for it, which says so then.
        let is_row_gone =
            damage.tasks && reason.contains(ROWS_MISSING) && scene.is_a_row_missing(job);
        if !damage.receipts && !damage.rows && !is_row_gone {
            findings
                .push(format!("the closing audit failed a job of which all is there: {reason}"));
        }
    }
    let unfinished: Vec<_> = tasks.0.iter().filter(|task| task.state != "done").collect();
    for task in &unfinished {
        let words = format!("{} {}: {}", task.id, task.state, task.error);
        match task.state.as_str() {
            "quarantined" => record.add(|sums| sums.quarantined.push(words)),
            "failed" => record.add(|sums| sums.given_up.push(words)),
            _ => findings.push(format!("a task did not end: {words}")),
        }
        for file in scene.files_of_task(&task.id) {
            // Nothing of a failed task may be in the target; of one that is quarantined, or hangs
            // while it publishes, some may.
            if task.state == "quarantined" || task.state == "publishing" {
                scene.pardon(&file);
            } else {
                scene.forget(&file);
            }
        }
    }
    let audit = scene.audit_rows("events");
    record.add(|sums| {
        sums.jobs += u64::from(!is_again);
        sums.again += u64::from(is_again);
        sums.tasks += tasks.0.len() as u64;
        sums.rows += audit.rows;
        // What a job that does not claim to be completed leaves out is not lost.
        sums.lost += if is_completed { audit.lost } else { 0 };
        sums.duplicated += audit.duplicated;
    });
    if shape.copies && !unfinished.is_empty() {
        // A piece of a table is no file: what a task that was given up leaves out is not known here.
        findings.extend((audit.duplicated > 0).then(|| format!("{} rows twice", audit.duplicated)));
        return findings;
    }
    if !is_completed && scene.is_a_row_missing(job) {
        // Whose files the missing tasks held is not known any more.
        findings.extend((audit.duplicated > 0).then(|| format!("{} rows twice", audit.duplicated)));
        return findings;
    }
    if damage.rows && !is_completed {
        // Some rows are gone, and the job says that it is not complete.
        findings.extend((audit.duplicated > 0).then(|| format!("{} rows twice", audit.duplicated)));
        return findings;
    }
    findings.extend(audit.wrong);
    // Views can be compared as a whole only when nothing is half done.
    let half_done = tasks.count("quarantined") + tasks.count("publishing") > 0;
    let check =
        |what: &dyn Fn()| catch_unwind(AssertUnwindSafe(what)).err().map(|words| words_of(&*words));
    if !half_done {
        findings.extend(check(&|| scene.assert_view("daily_mv")));
        findings.extend(check(&|| scene.assert_view("buys")));
        if shape.deep {
            findings.extend(check(&|| scene.assert_view("months")));
            findings.extend(check(&|| {
                scene.assert_states("users_mv", "kind", "uniqExactMerge(seen), sum(value)");
            }));
        }
        if !damage.receipts {
            findings.extend(check(&|| scene.assert_receipts(job)));
        }
        // A plan that was killed leaves its rehearsal: empty tables, which `gc` is there for.
        findings.extend(check(&|| {
            scene.longshore(["gc", "--yes", "--older-than", "0s"]).run().ok();
        }));
        // The snapshot of a job that was not completed stays.
        if is_completed {
            findings.extend(check(&|| scene.assert_clean(job)));
        }
    }
    let is_known = |orphan: &String| damage.tasks && orphan.starts_with(TASKS_MISSING);
    findings.extend(scene.orphans().into_iter().filter(|orphan| !is_known(orphan)));
    findings.extend(scene.secrets_seen());
    findings
}

/// Everything that is wrong after a plan was deleted whose job had been cancelled: what was published stays,
/// once, and nothing else does.
pub(crate) fn of_deleted(scene: &Scene) -> Vec<String> {
    let audit = scene.audit_rows("events");
    let twice = (audit.duplicated > 0).then(|| format!("{} rows twice", audit.duplicated));
    let gone = scene.longshore(["gc", "--yes", "--older-than", "0s"]).run();
    let refused = (gone.code() != Some(0)).then(|| format!("gc after a deletion: {gone}"));
    let left = scene.staged();
    let left = (!left.is_empty()).then(|| format!("staged after a deletion: {left:?}"));
    twice.into_iter().chain(refused).chain(left).collect()
}

/// Is it a fault of every worker of the job, which makes its steps longer or its tasks fail?
fn is_constant(line: &str) -> bool {
    let is_short = line.contains("sleep(") && !line.contains("sleep(1500)");
    is_short || (line.contains("stage.between") && line.contains("error"))
}

/// Tells each fault that a worker met at one of its points; constant ones do not count.
pub(crate) fn count_points(scene: &Scene, mut tell: impl FnMut(&str)) {
    let files = fs::read_dir(scene.folder()).into_iter().flatten().flatten();
    for file in files.filter(|file| file.file_name().to_string_lossy().contains("longshore-worker"))
    {
        let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap_or_default()).into_owned();
        let faults =
            text.lines().filter(|line| line.contains(": fault ") || line.contains(" fault point="));
        for line in faults.filter(|line| !is_constant(line)) {
            let point = line.split("point=").nth(1).unwrap_or(line);
            tell(point);
        }
    }
}
