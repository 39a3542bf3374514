//! Secrets stay where they belong: a whole life at the loudest log level, and every place that
//! anybody could look at afterwards is searched for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longshore_tests::{OwnBed, Program, Scene, drawn_few};

/// Every library too, not only our own.
const LOUDEST: &str = "trace,longshore=trace,longshore_shared=trace,longshore_worker=trace";
/// No real secret, but it must be treated as one: it begins every wrong one.
const WRONG: &str = "canary-7d1f0e-";

/// Looks at the arguments of all processes of this machine, again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<BTreeSet<String>>>,
}

impl Watch {
    fn start(secrets: &[String]) -> Self {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, counted, secrets) = (stop.clone(), looks.clone(), secrets.to_vec());
        let thread = thread::spawn(move || {
            let mut found = BTreeSet::new();
            while !ended.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").expect("/proc").flatten() {
                    // It may have ended, and what is no process has no arguments.
                    let Ok(bytes) = fs::read(process.path().join("cmdline")) else { continue };
                    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
                    if secrets.iter().any(|secret| text.contains(secret.as_str())) {
                        found.insert(text);
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(5));
            }
            found
        });
        Self { stop, looks, thread: Some(thread) }
    }

    fn end(mut self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.looks.load(Ordering::Relaxed) > 100, "processes were looked at");
        self.thread.take().expect("a thread").join().expect("no panic")
    }
}

/// What everything said, and how often somebody had reason to.
struct Life<'a> {
    scene: &'a Scene,
    said: Vec<String>,
}

impl Life<'_> {
    fn run(&mut self, program: Program, code: i32) -> String {
        let begin = Instant::now();
        let ended = program.env("LONGSHORE_LOG", LOUDEST).run().exits_with(code);
        println!("program {} took {:?}", self.said.len(), begin.elapsed());
        self.said.push(format!("{ended}"));
        ended.stdout
    }

    /// Plans with keys given inline instead of by a named collection.
    fn plan_inline(&self, keys: Keys, more: &[&str]) -> Program {
        let scene = self.scene;
        let (target, url) = (format!("{}.events", scene.db), scene.url("*.parquet"));
        let args = ["plan", "files", "--json", "--target", &target, "--url", &url];
        let program = scene.longshore(args).args(["--source-function", "s3"]).args(more);
        keys.give(program, scene)
    }

    fn id(planned: &str) -> String {
        let planned: serde_json::Value = serde_json::from_str(planned).expect("JSON");
        planned["plan_id"].as_str().expect("a plan").to_owned()
    }
}

/// How the keys of the store are given.
#[derive(Clone, Copy)]
enum Keys {
    Environment,
    File,
    Wrong,
}

impl Keys {
    fn give(self, program: Program, scene: &Scene) -> Program {
        let (id, secret) = (&scene.bed.access_key_id, &scene.bed.secret_access_key);
        match self {
            Self::Environment => {
                program.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret)
            }
            Self::File => {
                let path = scene.folder().join("keys");
                let text = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY='{secret}'\n");
                fs::write(&path, text).expect("a writable folder");
                program.env("LONGSHORE_SOURCE_KEYS_FILE", path.display().to_string())
            }
            Self::Wrong => program
                .env("AWS_ACCESS_KEY_ID", id)
                .env("AWS_SECRET_ACCESS_KEY", format!("{WRONG}'secret"))
                .env("AWS_SESSION_TOKEN", format!("{WRONG}token")),
        }
    }
}

#[test]
fn no_secret_is_anywhere_after_a_whole_life() {
    let own = OwnBed::start();
    let scene = Scene::on(&own.bed).and_events(3, 200);
    let secrets =
        [scene.bed.password.clone(), scene.bed.secret_access_key.clone(), WRONG.to_owned()];
    let watch = Watch::start(&secrets);
    let mut life = Life { scene: &scene, said: Vec::new() };
    let logs = scene.folder().join("logs").display().to_string();

    // What goes well: by a named collection, by keys of the environment, by keys of a file.
    life.run(scene.longshore(["init"]), 0);
    let named = Life::id(&life.run(scene.plan_program("events", "*.parquet", &[]), 0));
    life.run(scene.longshore(["run", &named, "--workers", "2", "--log-dir", &logs]), 0);
    for (keys, again) in [(Keys::Environment, "environment"), (Keys::File, "file")] {
        let plan = life.plan_inline(keys, &["--again", again, "--chunk-files-max", "1"]);
        let job = Life::id(&life.run(plan, 0));
        life.run(scene.longshore(["submit", &job]), 0);
        life.run(keys.give(scene.worker(&job), &scene), 0);
        for command in ["status", "tasks"] {
            life.run(scene.longshore([command, &job]), 0);
            life.run(scene.longshore([command, &job, "--json"]), 0);
        }
        life.run(scene.longshore(["plan", "show", &job, "--json"]), 0);
        let first = format!("{job}-0000000");
        life.run(scene.longshore(["task", &first, "--json"]), 0);
        life.run(keys.give(scene.longshore(["explain", &first]), &scene), 0);
        life.run(scene.longshore(["plan", "export", &job, "-"]), 0);
    }

    // What goes wrong: data, expressions of the user, keys, password, address, configuration.
    scene.put_bytes("zz-broken.parquet", b"PAR1 this is no such file PAR1");
    let plan =
        life.plan_inline(Keys::Environment, &["--again", "broken", "--chunk-files-max", "1"]);
    let broken = Life::id(&life.run(plan, 0));
    life.run(scene.longshore(["submit", &broken]), 0);
    life.run(Keys::Environment.give(scene.worker(&broken), &scene), 0);
    let failed = scene.tasks().0.into_iter().find(|task| task.state == "failed");
    let failed = failed.expect("a failed task").id;
    life.run(scene.longshore(["task", &failed]), 0);
    let wrong = ["value = = 1", "value = 1) UNION ALL (SELECT", "value = 'open", "nosuch(value)"];
    let flags = wrong.map(|wrong| ["--where", "--select"].map(|flag| [flag, wrong]));
    for flags in drawn_few(flags.as_flattened(), 3) {
        life.run(life.plan_inline(Keys::Environment, &flags), 2);
    }
    life.run(life.plan_inline(Keys::Wrong, &["--again", "wrong keys"]), 1);
    let canary = format!("{WRONG}password");
    life.run(scene.longshore(["status"]).env("CLICKHOUSE_PASSWORD", &canary), 2);
    life.run(scene.worker(&named).env("CLICKHOUSE_PASSWORD", &canary), 1);
    let url = format!("http://someone:{WRONG}@127.0.0.1:1");
    life.run(scene.longshore(["status"]).env("CLICKHOUSE_URL", url), 2);
    life.run(scene.longshore(["status"]).env("CLICKHOUSE_URL", "http://127.0.0.1:1"), 5);
    for text in
        [format!("[server]\npassword = '{WRONG}'\n"), format!("[server\n{WRONG} = {WRONG}\n")]
    {
        let path = scene.folder().join("refused.toml");
        fs::write(&path, text).expect("a writable folder");
        let path = path.display().to_string();
        life.run(scene.longshore(["status"]).args(["--config", &path]), 2);
    }

    let shown = watch.end();
    assert!(shown.is_empty(), "in the arguments of processes: {shown:?}");
    assert!(life.said.iter().any(|said| said.contains("TRACE")), "the log was loud");
    let mut places: Vec<(String, String)> = life
        .said
        .iter()
        .enumerate()
        .map(|(at, said)| (format!("what program {at} said"), said.clone()))
        .collect();
    places.extend(scene.everything_written());
    places.extend(files_in(Path::new(&logs)));
    places.extend(files_in(&own.folder().join("zookeeper")));
    places.extend(files_in(&own.folder().join("log")));
    assert!(places.iter().any(|(_, text)| text.contains(&broken)), "the job left its marks");
    for (place, text) in &places {
        for secret in &secrets {
            let Some(at) = text.find(secret.as_str()) else { continue };
            let from = text.floor_char_boundary(at.saturating_sub(300));
            panic!("a secret stands in {place}: …{}…", &text[from..at]);
        }
    }
    println!("{} places, {} programs", places.len(), life.said.len());
}

/// The files below a folder, whatever is in them.
fn files_in(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_in(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    assert!(!found.is_empty(), "{} is empty", folder.display());
    found
}
