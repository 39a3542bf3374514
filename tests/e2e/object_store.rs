//! An object store that is busy, refuses, loses objects or breaks off: tried again, or failed with
//! the key named; never half a file.

use longshore_tests::{End, LONG_LEASE, Program, Scene, Toxics, Wire, http_answer};

use crate::crashes::settle;

const FILES: usize = 3;
const ROWS: u64 = 2_000;
/// The one file that the faults are about.
const FILE: &str = "events-001.parquet";

/// The server reads through a wire to the store, with keys given inline: the address in a named
/// collection is the server's own.
struct Store {
    scene: Scene,
    wire: Wire,
    job: String,
}

impl Store {
    fn planned() -> Self {
        let scene = Scene::with_events(FILES, ROWS);
        let wire = Wire::start(&scene.bed.s3_endpoint);
        let url = format!("{}/{}/{}", wire.url(), scene.bed.bucket, scene.key("*.parquet"));
        let target = format!("{}.events", scene.db);
        let plan = scene
            .longshore(["plan", "files", "--json", "--target", &target, "--url", &url])
            .args(["--source-function", "s3", "--chunk-files-max", "1"]);
        let planned = with_keys(plan, &scene).run().ok();
        let job = planned.json()["plan_id"].as_str().expect("a plan").to_owned();
        scene.longshore(["submit", &job]).run().ok();
        Self { scene, wire, job }
    }

    /// Every read of the one file ends so, this many times.
    fn meets(&self, end: End, times: u32) {
        let only = format!("GET /{}/{}", self.scene.bed.bucket, self.scene.key(FILE));
        self.wire.set(Toxics { end: Some(end), only, times, ..Toxics::default() });
        let worker = with_keys(self.scene.worker(&self.job), &self.scene);
        worker.env("LONGSHORE_LEASE", LONG_LEASE).run();
        assert!(self.wire.ends() > 0, "the file was never read through the wire");
    }

    /// The store is well again before the task's last attempt: every row is there once.
    fn is_exact(&self, what: &str) {
        assert_eq!(self.wire.ends(), 2, "{what}");
        settle(&self.scene, &self.job, what);
    }

    /// The task of the file has failed and names it, the others are done, and nothing is half done.
    fn fails_by_name(&self) {
        let tasks = self.scene.tasks();
        assert_eq!((tasks.count("done"), tasks.count("failed")), (FILES - 1, 1), "{tasks:?}");
        let failed = tasks.0.iter().find(|task| task.state == "failed").expect("a failed task");
        assert!(failed.error.contains(FILE), "{}", failed.error);
        assert_eq!(failed.attempts, 1, "trying again is of no use: {failed:?}");
        for secret in [&self.scene.bed.access_key_id, &self.scene.bed.secret_access_key] {
            assert!(!failed.error.contains(secret.as_str()), "{}", failed.error);
        }
        self.scene.forget(FILE);
        self.scene.assert_exact();
        self.scene.assert_clean(&self.job);
    }
}

fn with_keys(program: Program, scene: &Scene) -> Program {
    program
        .env("AWS_ACCESS_KEY_ID", &scene.bed.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &scene.bed.secret_access_key)
}

/// An answer in the words of S3: they are all that the server passes on.
fn refusal(status: &str, code: &str, message: &str) -> End {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    End::Answer(http_answer(status, "application/xml", &body))
}

#[test]
fn a_store_that_is_busy_is_asked_again() {
    let busy = [
        ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
        ("500 Internal Server Error", "InternalError", "We encountered an internal error."),
    ];
    for (status, code, message) in busy {
        let store = Store::planned();
        store.meets(refusal(status, code, message), 2);
        store.is_exact(code);
    }
}

#[test]
fn an_object_that_breaks_off_is_read_again() {
    // Within the headers of the answer, and within the object.
    for bytes in [60, 3_000] {
        let store = Store::planned();
        store.meets(End::CutReply(bytes), 2);
        store.is_exact(&format!("cut after {bytes} bytes"));
    }
}

#[test]
fn an_object_that_may_no_longer_be_read_fails_its_task_by_name() {
    let store = Store::planned();
    store.meets(refusal("403 Forbidden", "AccessDenied", "Access Denied."), 0);
    store.fails_by_name();
}

#[test]
fn an_object_that_is_gone_fails_its_task_by_name() {
    let store = Store::planned();
    store.meets(refusal("404 Not Found", "NoSuchKey", "The specified key does not exist."), 0);
    store.fails_by_name();
}
