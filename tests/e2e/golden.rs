//! What scripts rely on: the JSON of every command and its exit code. A key may be added, and then the
//! file of its command changes; none may go or change its meaning.

use std::cell::RefCell;

use longshore_tests::{Format, LONG_LEASE, Scene};
use serde_json::Value;

/// Numbers that differ from run to run.
const VOLATILE: [&str; 16] = [
    "age_ms",
    "age_secs",
    "bytes",
    "bytes_total",
    "budget_bytes",
    "elapsed_ms",
    "file_bytes",
    "heartbeat_age_ms",
    "memory_bytes",
    "pid",
    "published_ms",
    "at_ms",
    "read_bytes",
    "size",
    "taken_ms",
    "threads",
];
/// Texts that differ from run to run, or between machines and versions of the engine.
const OPAQUE: [&str; 15] = [
    "definition",
    "digest",
    "environment",
    "etag",
    "hash",
    "host",
    "max_insert_threads",
    "max_threads",
    "min_insert_block_size_bytes",
    "summary",
    "uuid",
    "target_uuid",
    "version",
    "worker",
    "worker_id",
];

/// A scene with a plan of two chunks, and what its commands said.
struct Golden {
    scene: Scene,
    job: String,
    /// Another plan, once there is one.
    other: RefCell<String>,
}

impl Golden {
    fn new() -> Self {
        let scene = Scene::with_events(2, 100);
        let job = scene.plan(&["--chunk-files-max", "1"]);
        Self { scene, job, other: RefCell::new("OTHER".to_owned()) }
    }

    /// Runs a command with `JOB` for the plan's id, and holds what it says against its golden file.
    fn check(&self, name: &str, line: &str, code: i32) -> Value {
        let args = line.split(' ').map(|word| {
            let word = word.replace("JOB", &self.job).replace("OTHER", &self.other.borrow());
            word.replace("FOLDER", &self.scene.folder().display().to_string())
        });
        let program = self.scene.longshore(args).args(["--json"]);
        let ended = program.env("LONGSHORE_LEASE", LONG_LEASE).run().exits_with(code);
        let said = if ended.stdout.is_empty() { &ended.stderr } else { &ended.stdout };
        let document: Value = serde_json::from_str(said).expect("one JSON document");
        let mut shown = document.clone();
        self.still(&mut shown, "");
        let text = serde_json::to_string_pretty(&shown).expect("JSON");
        insta::assert_snapshot!(
            format!("golden_{name}"),
            format!("longshore {line}\n{code}\n{text}")
        );
        document
    }

    /// Puts fixed words in the place of what differs.
    fn still(&self, value: &mut Value, key: &str) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    self.still(value, key);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.still(item, key);
                }
            }
            Value::Number(_) if VOLATILE.contains(&key) => *value = "NUMBER".into(),
            Value::String(text) if OPAQUE.contains(&key) && !text.is_empty() => {
                *value = "TEXT".into();
            }
            Value::String(text) if key.ends_with("_at") => *text = "TIME".to_owned(),
            Value::String(text) => {
                let scene = &self.scene;
                let (folder, bucket) =
                    (scene.folder().display().to_string(), format!("{}/", scene.bed.bucket));
                let names = [
                    (&folder, "FOLDER"),
                    (&self.job, "JOB"),
                    (&self.other.borrow(), "OTHER"),
                    (&scene.staging, "STAGING"),
                    (&scene.control, "CONTROL"),
                    (&scene.db, "DB"),
                    (&scene.prefix, "PREFIX"),
                    (&scene.bed.clickhouse_url, "SERVER"),
                    (&scene.bed.s3_endpoint, "STORE"),
                    (&bucket, "BUCKET/"),
                ];
                for (name, word) in names {
                    *text = text.replace(name.as_str(), word);
                }
                *text = without_uuids(text);
            }
            _ => {}
        }
    }
}

/// The name of an inner table has a UUID in it.
fn without_uuids(text: &str) -> String {
    let is_uuid = |word: &str| {
        let groups: Vec<usize> = word.split('-').map(str::len).collect();
        let is_hex = word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        is_hex && groups == [8, 4, 4, 4, 12]
    };
    let is_apart = |symbol: char| !symbol.is_ascii_hexdigit() && symbol != '-';
    let words = text.split_inclusive(is_apart).map(|word| {
        let bare = word.trim_end_matches(is_apart);
        if is_uuid(bare) { word.replace(bare, "UUID") } else { word.to_owned() }
    });
    words.collect()
}

#[test]
fn the_documents_of_plans_have_their_form() {
    let golden = Golden::new();
    golden.check("plan_show", "plan show JOB", 0);
    golden.check("plan_list", "plan list", 0);
    golden.check("jobs_list", "jobs list", 0);
    golden.check("explain", "explain JOB-0000000", 0);
    golden.check("tasks", "tasks JOB", 0);
    golden.check("plan_export", "plan export JOB FOLDER/plan.json", 0);
    golden.check("plan_import", "plan import FOLDER/plan.json", 0);
    golden.check("plan_diff_same", "plan diff JOB FOLDER/plan.json --exit-code", 0);
    golden.scene.put_rows("events-002.parquet", 100, Format::Parquet);
    let other = golden.scene.plan(&["--chunk-files-max", "1", "--where", "n >= 0"]);
    golden.other.replace(other.clone());
    let differ = golden.check("plan_diff", "plan diff JOB OTHER --exit-code", 8);
    assert_eq!(differ["b"]["plan_id"], other.as_str());
    golden.check("plan_delete", "plan delete JOB --yes", 0);
}

#[test]
fn the_documents_of_a_life_have_their_form() {
    let golden = Golden::new();
    golden.check("submit", "submit JOB", 0);
    golden.check("status", "status JOB", 0);
    golden.check("pause", "pause JOB", 0);
    golden.check("resume", "resume JOB", 0);
    golden.check("run", "run JOB --workers 1", 0);
    golden.check("status_completed", "status JOB", 0);
    golden.check("status_list", "status", 0);
    golden.check("gc", "gc", 0);
    let task = golden.scene.longshore(["task", &format!("{}-0000000", golden.job), "--json"]);
    let task = task.run().ok().json();
    // How many statements there are is the worker's business.
    let load = task["statements"].as_array().expect("a list").iter();
    let load = load.clone().find(|line| line["step"] == "load").expect("a load");
    let mut load = load.clone();
    golden.still(&mut load, "");
    insta::assert_snapshot!("golden_task_statement", format!("{load:#}"));
    let keys: Vec<&String> = task.as_object().expect("an object").keys().collect();
    insta::assert_snapshot!("golden_task_keys", format!("{keys:?}"));
    assert_eq!(task["sql"]["from"], "query_log");
    let text = task["sql"]["text"].as_str().expect("a text");
    assert!(text.starts_with("INSERT INTO `longshore_s") && text.contains("events-000"), "{text}");
}

#[test]
fn a_cancelled_job_has_its_form() {
    let golden = Golden::new();
    golden.scene.longshore(["submit", &golden.job]).run().ok();
    golden.check("cancel", "cancel JOB", 0);
    golden.check("submit_cancelled", "submit JOB", 6);
}

#[test]
fn exit_codes_and_errors_have_their_form() {
    let golden = Golden::new();
    golden.check("no_job", "status 0000000000000000", 2);
    golden.check("no_command", "frobnicate", 2);
    golden.check("wrong_where", "tasks JOB --where attemps>3", 2);
    golden.check("not_alone", "plan delete JOB", 4);
    golden.check("no_file", "plan import nowhere.json", 2);
    golden.check("retry_planned", "retry JOB --failed", 6);
    let nobody = golden.scene.longshore(["status", "--json"]);
    let nobody = nobody.env("CLICKHOUSE_URL", "http://127.0.0.1:1").run().exits_with(5);
    assert!(nobody.stderr.contains("\"exit_code\":5"), "{nobody}");
    golden.scene.longshore(["submit", &golden.job]).run().ok();
    golden.check("delete_running", "plan delete JOB --yes", 6);
}
